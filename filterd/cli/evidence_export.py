"""`filterd evidence export` and `reads`: evidence that leaves, and the list of who saw any.  STANDING 5.5, AL-4.2.

An export is proposed and approved like every act of two people (`filterd proposal make evidence.export …`); what is
here takes it out of the house, as one tar of mails with a manifest of digests.
"""

from __future__ import annotations

import base64
import hashlib
import io
import json
import tarfile
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, BinaryIO

import typer

from filterd.cli.evidence import new_file
from filterd.cli.link import ask
from filterd.cli.options import AsRoot, ConfigFile, Json, StateDir, Token
from filterd.cli.places import find_token, load_config
from filterd.cli.say import complain, printable, result, table
from filterd.errors import PeerError

if TYPE_CHECKING:
    from filterd.config import Config

MANIFEST, SUMS = "manifest.json", "SHA256SUMS"
# A larger mail is put together on disk; the file has no name.
_IN_MEMORY_BYTES = 32 * 1024 * 1024


def export(
    export_id: Annotated[str, typer.Argument(metavar="ID", help="The proposal that two people stand behind.")],
    out: Annotated[
        Path,
        typer.Option(
            "--out", metavar="FILE", help="A new tar file of mode 0600; - is standard output, to encrypt in a pipe."
        ),
    ],
    token: Token = None,
    config: ConfigFile = None,
    state_dir: StateDir = None,
    as_json: Json = False,
) -> None:
    """Take out what an approved export hands to an authority, with a manifest. One of its two people does.

    Each mail that goes out is a row of the ledger: its digest, its size, who took it.
    """
    settings, person = load_config(config, state_dir), find_token(token)
    shown = ask(settings, "evidence.take", export=export_id, token=person)
    with new_file(out, "--out") as file:
        written = _write(settings, file, shown, export=export_id, token=person)
    if str(out) != "-":
        complain(f"{out}: readable by you alone; its manifest names every mail with its SHA-256")
        result(written, as_json=as_json, text=lambda: _lines(written))


def reads(
    days: Annotated[int, typer.Option("--days", min=1, max=366, help="How far back.")] = 30,
    by: Annotated[str | None, typer.Option("--by", metavar="NAME", help="What this person did.")] = None,
    token: Token = None,
    as_root: AsRoot = False,
    config: ConfigFile = None,
    state_dir: StateDir = None,
    as_json: Json = False,
) -> None:
    """List who looked at evidence or took it out, and why: for the auditor."""
    from filterd.cli.acting import who

    settings = load_config(config, state_dir)
    said = ask(settings, "evidence.reads", days=days, by=by, **who(token, as_root=as_root))

    def lines() -> Iterable[str]:
        head = ("at", "what", "by", "account", "mails", "why")
        yield from table(head, (_row(row) for row in said["rows"]))
        for name, counts in sorted(said["people"].items()):
            yield f"{printable(name)}: {', '.join(f'{count} {kind}' for kind, count in sorted(counts.items()))}"
        if said["is_cut"]:
            yield "there are more: ask for fewer days"

    result(said, as_json=as_json, text=lines)


def _row(row: dict[str, Any]) -> tuple[str, ...]:
    match row["kind"]:
        case "evidence.viewed":
            what, why = "read content" if row["has_content"] else "looked", row["reason"]
        case "evidence.exported":
            what, why = f"let out, with {printable(row['approver'])}", f"{row['recipient']}, {row['order_id']}"
        case _:
            what, why = f"took out {row['size_bytes']} octets", row["proposal_id"]
    mails = row.get("transaction_ids") or [row.get("transaction_id", "")]
    named = mails[0] if len(mails) == 1 else f"{len(mails)} mails"
    return row["at"], what, row["by"], row["account_id"], named, why


def _write(settings: Config, file: BinaryIO, shown: dict[str, Any], **who: Any) -> dict[str, Any]:
    """Write the tar: each mail, then the digests. Says the manifest. Raises PeerError for octets that are not whole."""
    mails = []
    # One after the other: standard output cannot be gone back in.
    with tarfile.open(fileobj=file, mode="w|") as tar:
        for mail in shown["mails"]:
            name = f"{mail['transaction_id']}.eml"
            with tempfile.SpooledTemporaryFile(max_size=_IN_MEMORY_BYTES) as piece:
                digest, size = _fetch(settings, piece, mail["transaction_id"], who)
                piece.seek(0)
                _add(tar, name, piece, size)
            mails.append({**mail, "file": name, "sha256": digest, "size_bytes": size})
        manifest = {**shown, "mails": mails}
        for name, text in (
            (MANIFEST, json.dumps(manifest, indent=2, ensure_ascii=False) + "\n"),
            (SUMS, "".join(f"{mail['sha256']}  {mail['file']}\n" for mail in mails)),
        ):
            octets = text.encode()
            _add(tar, name, io.BytesIO(octets), len(octets))
    return manifest


def _fetch(settings: Config, out: Any, transaction_id: str, who: dict[str, Any]) -> tuple[str, int]:
    """Fetch one mail; say its digest and size."""
    offset: int | None = 0
    found = hashlib.sha256()
    size = 0
    said: dict[str, Any] = {}
    while offset is not None:
        said = ask(settings, "evidence.take", transaction=transaction_id, offset=offset, **who)
        octets = base64.b64decode(said["octets"])
        found.update(octets)
        size += out.write(octets)
        offset = said["next"]
    if (found.hexdigest(), size) != (said["digest"], said["size_bytes"]):
        raise PeerError(f"{transaction_id}: the ledger's octets are not those of its digest")
    return found.hexdigest(), size


def _add(tar: tarfile.TarFile, name: str, content: Any, size: int) -> None:
    info = tarfile.TarInfo(name)
    info.size, info.mode = size, 0o600
    tar.addfile(info, content)


def _lines(manifest: dict[str, Any]) -> Iterable[str]:
    yield f"{manifest['export']} to {printable(manifest['to'])} by order {manifest['order']}"
    yield from (f"{mail['sha256']}  {mail['file']}  {mail['kept']}" for mail in manifest["mails"])
