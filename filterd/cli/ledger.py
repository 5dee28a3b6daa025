"""`filterd ledger`: does the chain hold, and a copy of it."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, BinaryIO

import typer

from filterd.cli.link import connected
from filterd.cli.options import ConfigFile, Json, StateDir
from filterd.cli.places import key_of, load_config, socket_of
from filterd.cli.say import Progress, complain, count, result
from filterd.errors import ConfigError, LedgerUnavailable, UsageError

if TYPE_CHECKING:
    from filterd.config import Config
    from filterd.ledger.anchor import Anchor
    from filterd.ledger.verify import Verification

ledger = typer.Typer(help="The ledger itself: verify its chain, dump its rows.")

KeyFile = Annotated[
    Path | None, typer.Option("--key", metavar="FILE", help="The node's master key; default: in the state directory.")
]


@ledger.command("verify")
def verify(
    dump: Annotated[
        Path | None, typer.Option("--dump", metavar="FILE", help="Verify a dump; - is standard input.")
    ] = None,
    anchor: Annotated[
        Path | None, typer.Option("--anchor", metavar="FILE", help="With --dump: the anchor file kept with it.")
    ] = None,
    key: KeyFile = None,
    config: ConfigFile = None,
    state_dir: StateDir = None,
    as_json: Json = False,
) -> None:
    """Walk the chain and name the first row that was changed, removed, added or moved. Exit 1 when it does not hold.

    A running ledger is asked over its socket; one that is stopped, or a copy of its state directory, is read directly.
    """
    import asyncio

    from filterd.clients.keys import load_keys

    settings = load_config(config, state_dir)
    chain_key = load_keys(key or key_of(settings), may_create=False).chain
    if dump is not None:
        how, found = "dump", _verify_dump(dump, anchor, chain_key)
    elif _is_running(settings):
        how, found = "running", asyncio.run(verify_running(settings, chain_key))
    else:
        from filterd.ledger.verify import verify_store

        how, found = "stopped", verify_store(settings.node.state_dir, chain_key)
    said = {
        "sound": found.is_sound,
        "rows": found.rows,
        "unanchored": found.unanchored,
        "fault": None if found.fault is None else str(found.fault),
        "ledger": how,
    }
    if found.fault is not None:
        complain(f"the chain does not hold: {found.fault}")
    rows = count(found.rows, "row")
    line = f"the chain holds: {rows}, {found.unanchored} of them behind the last anchor"
    result(said, as_json=as_json, text=lambda: [line if found.is_sound else f"{rows} hold, then the chain breaks"])
    if not found.is_sound:
        raise typer.Exit(1)


@ledger.command("dump")
def dump_rows(
    output: Annotated[
        Path | None, typer.Option("-o", "--output", metavar="FILE", help="Default: standard output.")
    ] = None,
    key: KeyFile = None,
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


async def verify_running(config: Config, chain_key: bytes) -> Verification:
    """Walk the chain of a running ledger, a page at a time. Raises LedgerUnavailable."""
    from filterd.cli.chain import running_rows
    from filterd.ledger.anchor import FILE_NAME, AnchorFile
    from filterd.ledger.verify import Walk, with_anchor_fault

    # Anchors first: what is added meanwhile is only more.
    anchors, wrong = AnchorFile(config.node.state_dir / FILE_NAME, chain_key).read()
    walk, progress, number = Walk(chain_key, anchors), Progress("verified"), 0
    async with connected(config) as remote:
        async for row in running_rows(remote):
            if not walk.step(row):
                break
            number += 1
            progress.step(number)
    progress.end()
    return with_anchor_fault(walk.result(), wrong)


def _verify_dump(dump: Path, anchor: Path | None, chain_key: bytes) -> Verification:
    from filterd.ledger.anchor import AnchorFile
    from filterd.ledger.dump import read_dump
    from filterd.ledger.verify import verify_rows, with_anchor_fault

    anchors: tuple[Anchor, ...] | None = None
    wrong: str | None = None
    if anchor is not None:
        read, wrong = AnchorFile(anchor, chain_key).read()
        anchors = tuple(read)
    try:
        with sys.stdin.buffer if str(dump) == "-" else dump.open("rb") as lines:
            return with_anchor_fault(verify_rows(read_dump(lines), chain_key, anchors), wrong)
    except OSError as err:
        raise ConfigError(f"cannot be read: {err.strerror}", file=dump) from err


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


def _dump_stopped(config: Config, key: Path | None, file: BinaryIO) -> None:
    from filterd.clients.keys import load_keys
    from filterd.ledger.dump import write_dump
    from filterd.ledger.store import StateLock, Store
    from filterd.ledger.verify import stored_rows

    directory = config.node.state_dir
    if not directory.is_dir():
        raise UsageError(f"{directory}: there is no state directory here")
    chain_key = load_keys(key or key_of(config), may_create=False).chain
    lock = StateLock(directory)
    try:
        store = Store.open(directory, chain_key, may_create=False)
        try:
            file.writelines(write_dump(stored_rows(store.connection)))
        finally:
            store.close()
    finally:
        lock.release()


@contextmanager
def _writing(output: Path | None) -> Iterator[BinaryIO]:
    if output is None:
        yield sys.stdout.buffer
        sys.stdout.buffer.flush()
        return
    with output.open("wb") as file:
        yield file
