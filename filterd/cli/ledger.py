"""`filterd ledger`: does the chain hold, and a copy of it."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, BinaryIO

import typer

from filterd.cli.keys import keys_of
from filterd.cli.link import connected
from filterd.cli.options import ConfigFile, Json, StateDir
from filterd.cli.places import load_config, socket_of
from filterd.cli.say import Progress, complain, count, result
from filterd.errors import ConfigError, LedgerUnavailable, UsageError

if TYPE_CHECKING:
    from filterd.config import Config
    from filterd.ledger.checkpoint import Checkpoint, Reading
    from filterd.ledger.verify import Verification
    from filterd.ports import Keys

ledger = typer.Typer(help="The ledger itself: verify its chain, dump its rows.")

Key = Annotated[
    str | None,
    typer.Option(
        "--key",
        metavar="SOURCE",
        help="The master key: a file, env:NAME or command:/path; default: in the state directory.",
    ),
]
_PUBLIC_KEY = re.compile(r"[0-9a-f]{64}")


@ledger.command("verify")
def verify(
    dump: Annotated[
        Path | None, typer.Option("--dump", metavar="FILE", help="Verify a dump; - is standard input.")
    ] = None,
    anchor: Annotated[
        list[Path] | None,
        typer.Option("--anchor", metavar="FILE", help="An anchor file, or a copy of one; may be repeated."),
    ] = None,
    key: Key = None,
    public_key: Annotated[
        str | None,
        typer.Option(
            "--public-key",
            metavar="KEY",
            help="With --dump: go by this public key (64 hex digits, or a file with them), without the master key.",
        ),
    ] = None,
    config: ConfigFile = None,
    state_dir: StateDir = None,
    as_json: Json = False,
) -> None:
    """Walk the chain and name the first row that was changed, removed, added or moved. Exit 1 when it does not hold.

    A running ledger is asked over its socket; one that is stopped, or a copy of its state directory, is read directly.
    """
    import asyncio

    settings = load_config(config, state_dir)
    if public_key is not None:
        if dump is None or not anchor or key is not None:
            raise UsageError("--public-key goes with --dump and --anchor, and without --key")
        how, found = "dump", _verify_signed(dump, anchor, _read_public_key(public_key))
    else:
        keys = keys_of(settings, key)
        more = _read_anchors(anchor, keys)
        if dump is not None:
            how, found = "dump", _verify_dump(dump, more, keys.chain)
        elif _is_running(settings):
            how, found = "running", asyncio.run(verify_running(settings, keys, more.checkpoints))
        else:
            from filterd.ledger.verify import verify_store

            directory, url = settings.node.state_dir, settings.ledger.url
            how, found = "stopped", verify_store(directory, keys, more.checkpoints, url=url)
        found = _with_fault(found, more.wrong)
    _say(found, how, has_anchors=dump is None or bool(anchor), as_json=as_json)


@ledger.command("public-key")
def public_key(key: Key = None, config: ConfigFile = None, state_dir: StateDir = None, as_json: Json = False) -> None:
    """Print the key that proves checkpoints: give it to whoever keeps the anchors. It is no secret."""
    from filterd.ledger.checkpoint import key_id, trust_of

    public = trust_of(keys_of(load_config(config, state_dir), key)).public_key
    result({"public_key": public.hex(), "id": key_id(public)}, as_json=as_json, text=lambda: [public.hex()])


@ledger.command("dump")
def dump_rows(
    output: Annotated[
        Path | None, typer.Option("-o", "--output", metavar="FILE", help="Default: standard output.")
    ] = None,
    key: Key = None,
    config: ConfigFile = None,
    state_dir: StateDir = None,
    as_json: Json = True,
) -> None:
    """Write every row, one JSON object a line: to keep, or to verify elsewhere. Sealed fields stay sealed."""
    import asyncio

    settings = load_config(config, state_dir)
    with _writing(output) as file:
        if _is_running(settings):
            asyncio.run(_dump_running(settings, file))
        else:
            _dump_stopped(settings, key, file)


async def verify_running(config: Config, keys: Keys, more_anchors: Sequence[Checkpoint] = ()) -> Verification:
    """Walk the chain of a running ledger, a page at a time. Raises LedgerUnavailable.

    Args:
        more_anchors: of copies of the anchor file.
    """
    from filterd.cli.chain import running_rows
    from filterd.ledger.anchor import FILE_NAME, AnchorFile
    from filterd.ledger.verify import Walk, with_fault

    # Anchors first: what is added meanwhile is only more.
    anchors, wrong = AnchorFile(config.node.state_dir / FILE_NAME, keys).read()
    walk, progress, number = Walk(keys.chain, [*anchors, *more_anchors]), Progress("verified"), 0
    async with connected(config) as remote:
        async for row in running_rows(remote):
            if not walk.step(row):
                break
            number += 1
            progress.step(number)
    progress.end()
    return with_fault(walk.result(), wrong)


def _verify_dump(dump: Path, anchors: Reading, chain_key: bytes) -> Verification:
    from filterd.ledger.dump import read_dump
    from filterd.ledger.verify import verify_rows

    with _reading(dump) as lines:
        return verify_rows(read_dump(lines), chain_key, anchors.checkpoints)


def _verify_signed(dump: Path, anchor: list[Path], public_key: bytes) -> Verification:
    """Walk a dump from checkpoint to checkpoint, without the key of the chain."""
    from filterd.ledger.anchor import read_files
    from filterd.ledger.checkpoint import Trust
    from filterd.ledger.dump import read_dump
    from filterd.ledger.verify import verify_rows

    anchors = read_files(anchor, Trust(public_key=public_key))
    with _reading(dump) as lines:
        return _with_fault(verify_rows(read_dump(lines), None, anchors.checkpoints), anchors.wrong)


def _read_anchors(files: list[Path] | None, keys: Keys) -> Reading:
    from filterd.ledger.anchor import read_files
    from filterd.ledger.checkpoint import trust_of

    return read_files(files or (), trust_of(keys))


def _with_fault(found: Verification, wrong: str | None) -> Verification:
    from filterd.ledger.verify import with_fault

    return with_fault(found, wrong)


def _read_public_key(given: str) -> bytes:
    text = given.strip().lower()
    if not _PUBLIC_KEY.fullmatch(text):
        try:
            text = Path(given).read_text("ascii").strip().lower()
        except (OSError, UnicodeDecodeError) as err:
            raise ConfigError("neither a public key of 64 hex digits nor a file with one", file=given) from err
        if not _PUBLIC_KEY.fullmatch(text):
            raise ConfigError("holds no public key of 64 hex digits", file=given)
    return bytes.fromhex(text)


def _say(found: Verification, how: str, *, has_anchors: bool, as_json: bool) -> None:
    """Print what was found, and what that proves; exit 1 when it does not hold."""
    said = {
        "sound": found.is_sound,
        "rows": found.rows,
        "unanchored": found.unanchored,
        "unseen_writers": found.unseen_writers,
        "lost": found.lost,
        "proven": "contents" if found.has_read_contents else "hashes",
        "fault": None if found.fault is None else str(found.fault),
        "ledger": how,
    }
    if found.fault is not None:
        complain(f"the chain does not hold: {found.fault}")
    result(said, as_json=as_json, text=lambda: _lines(found, has_anchors=has_anchors))
    if not found.is_sound:
        raise typer.Exit(1)


def _lines(found: Verification, *, has_anchors: bool) -> list[str]:
    rows = count(found.rows, "row")
    if not found.is_sound:
        return [f"{rows} hold, then the chain breaks"]
    if found.has_read_contents:
        lines = [f"the chain holds: {rows}, {found.unanchored} of them behind the last anchor"]
        lines.append("proven with the master key: what each row says, and that none before the last anchor is missing")
    else:
        lines = [f"the checkpoints hold: {rows}, {found.unanchored} of them behind the last anchor"]
        lines.append("proven with the public key: the hashes at the checkpoints are as signed; none is missing")
        lines.append("not proven: what the rows say; that takes the master key")
    if found.lost:
        lines.append(f"{count(found.lost, 'row')} missing that a person accepted as lost (ledger.restored)")
    if not has_anchors:
        lines.append("no anchor was given: rows cut off the end would not be missed")
    elif found.unseen_writers:
        lines.append(f"no anchor knows the rows of {', '.join(found.unseen_writers)}: their ends may have been cut off")
    return lines


def _is_running(config: Config) -> bool:
    """Say whether a ledger answers on the socket."""
    import asyncio

    async def look() -> bool:
        try:
            async with connected(config):
                return True
        except LedgerUnavailable:
            return False

    return socket_of(config).exists() and asyncio.run(look())


async def _dump_running(config: Config, file: BinaryIO) -> None:
    from filterd.cli.chain import running_rows
    from filterd.ledger.dump import write_dump

    progress, number = Progress("dumped"), 0
    async with connected(config) as remote:
        async for row in running_rows(remote):
            file.writelines(write_dump([row]))
            number += 1
            progress.step(number)
    progress.end()


def _dump_stopped(config: Config, key: str | None, file: BinaryIO) -> None:
    from filterd.ledger.dump import write_dump
    from filterd.ledger.store import StateLock, open_store
    from filterd.ledger.verify import stored_rows

    directory, url = config.node.state_dir, config.ledger.url
    if not directory.is_dir():
        raise UsageError(f"{directory}: there is no state directory here")
    with ExitStack() as stack:
        if url is None:
            stack.callback(StateLock(directory).release)
        store = open_store(directory, keys_of(config, key).chain, url=url, may_create=False)
        stack.callback(store.close)
        file.writelines(write_dump(stored_rows(store.connection)))


@contextmanager
def _reading(dump: Path) -> Iterator[BinaryIO]:
    if str(dump) == "-":
        yield sys.stdin.buffer
        return
    try:
        file = dump.open("rb")
    except OSError as err:
        raise ConfigError(f"cannot be read: {err.strerror}", file=dump) from err
    with file:
        yield file


@contextmanager
def _writing(output: Path | None) -> Iterator[BinaryIO]:
    if output is None:
        yield sys.stdout.buffer
        sys.stdout.buffer.flush()
        return
    with output.open("wb") as file:
        yield file
