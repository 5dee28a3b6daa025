"""`filterd evidence`: what is kept of mails in breach, for a named person.  STANDING 5.5.

Whatever is shown, the ledger has a row first that says who saw it and why.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any, BinaryIO

import typer

from filterd.cli.link import ask
from filterd.cli.options import ConfigFile, Json, Reason, StateDir, Token
from filterd.cli.places import find_token, load_config
from filterd.cli.say import complain, printable, result, table
from filterd.errors import ConfigError

evidence = typer.Typer(help="Evidence: look at it, or keep it from being erased, as a named person.")

Target = Annotated[str, typer.Argument(metavar="CASE|TRANSACTION", help="A case or incident id, or one transaction.")]
CaseOption = Annotated[
    str, typer.Option("--case", metavar="ID", help="A case, incident, transaction or account id, or a login.")
]


@evidence.command("show")
def show(
    target: Target,
    reason: Reason,
    raw: Annotated[
        Path | None,
        typer.Option("--raw", metavar="FILE", help="Write what is kept of one mail to a new file of mode 0600; - is "
                     "standard output."),
    ] = None,
    token: Token = None,
    config: ConfigFile = None,
    state_dir: StateDir = None,
    as_json: Json = False,
) -> None:
    """Say what is kept of the mails of a case; with --raw hand out one mail."""
    settings, person = load_config(config, state_dir), find_token(token)
    if raw is not None:
        hand_out(settings, "evidence.read", raw, target=target, reason=reason, token=person)
        return
    said = ask(settings, "evidence.show", target=target, reason=reason, token=person)

    def lines() -> Iterable[str]:
        head = ("transaction_id", "at", "kept", "until", "categories", "digest")
        yield from table(
            head, ([",".join(m[n]) if isinstance(m[n], list) else m[n] for n in head] for m in said["mails"])
        )
        for hold in said["holds"]:
            yield f"legal hold {hold['hold_id']} by {printable(hold['by'])} for {printable(hold['case'])}"
        for appeal in said["appeals"]:
            yield f"appeal {appeal} waits for a decision"

    result(said, as_json=as_json, text=lines)


@evidence.command("hold")
def hold(
    case: CaseOption,
    reason: Reason,
    token: Token = None,
    config: ConfigFile = None,
    state_dir: StateDir = None,
    as_json: Json = False,
) -> None:
    """Legal hold: nothing that is kept of the account is erased until it is released."""
    said = ask(
        load_config(config, state_dir), "evidence.hold", case=case, reason=reason, token=find_token(token)
    )
    result(said, as_json=as_json, text=lambda: [f"{said['account_id']} is under legal hold {said['hold_id']}"])


@evidence.command("release")
def release(
    case: CaseOption,
    reason: Reason,
    hold: Annotated[
        str | None, typer.Option("--hold", metavar="ID", help="Which hold, where there are several.")
    ] = None,
    token: Token = None,
    config: ConfigFile = None,
    state_dir: StateDir = None,
    as_json: Json = False,
) -> None:
    """End a legal hold. It takes two people, the second within 72 hours of the first."""
    said = ask(
        load_config(config, state_dir),
        "evidence.release",
        case=case,
        hold=hold,
        reason=reason,
        token=find_token(token),
    )
    over = "has ended" if said["is_over"] else "goes on until a second person releases it, within 72 hours"
    result(said, as_json=as_json, text=lambda: [f"legal hold {said['hold_id']} {over}"])


def hand_out(settings: Any, verb: str, file: Path, **arguments: Any) -> None:
    """Write the octets that a verb hands out to a file, piece by piece."""
    size = 0
    with new_file(file, "--raw") as out:
        for piece in _pieces(settings, verb, arguments):
            size += out.write(piece)
    if str(file) != "-":
        complain(f"{file}: {size} octets, readable by you alone; delete it when you are done")


@contextmanager
def new_file(file: Path, key: str) -> Iterator[BinaryIO]:
    """Open a new file of mode 0600, `-` standard output, and take it away again where writing fails.

    Whatever was there is not written over: raises ConfigError naming the option `key`.
    """
    if str(file) == "-":
        yield sys.stdout.buffer
        sys.stdout.buffer.flush()
        return
    try:
        fd = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    except FileExistsError as err:
        raise ConfigError("is there already; name a new file", file=file, key=key) from err
    try:
        with os.fdopen(fd, "wb") as out:
            yield out
    except BaseException:
        file.unlink(missing_ok=True)
        raise


def _pieces(settings: Any, verb: str, arguments: dict[str, Any]) -> Iterable[bytes]:
    import base64

    offset: int | None = 0
    while offset is not None:
        said = ask(settings, verb, offset=offset, **arguments)
        yield base64.b64decode(said["octets"])
        offset = said["next"]
