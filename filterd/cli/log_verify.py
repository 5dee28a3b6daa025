"""`filterd log verify`: is the event stream whole, and does it say what the ledger says?"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from typing import TYPE_CHECKING, Any

import typer

from filterd.cli.link import connected
from filterd.cli.options import ConfigFile, Json, StateDir
from filterd.cli.places import events_of, load_config, socket_of
from filterd.cli.say import Progress, complain, count, result, table
from filterd.errors import LedgerUnavailable, ModelError, UsageError

if TYPE_CHECKING:
    from filterd.config import Config
    from filterd.ledger.chain import Row
    from filterd.ledger.remote import RemoteLedger
    from filterd.log.verify import Verified
    from filterd.model.entry import Entry


def verify(config: ConfigFile = None, state_dir: StateDir = None, as_json: Json = False) -> None:
    """Walk every stream and compare it with the ledger. Exit 1 when lines are missing or the two do not agree.

    A running ledger is asked over its socket; one that is stopped is read directly. Torn lines, and lines that are
    there twice, are said, and are no fault.
    """
    import asyncio

    settings = load_config(config, state_dir)
    directory = events_of(settings)
    if not directory.is_dir():
        raise UsageError(f"{directory}: there is no event stream here; --config or --state-dir says where")
    own = f"{settings.node.name}.ledger"
    try:
        found, how = asyncio.run(_running(settings, own)), "running"
    except LedgerUnavailable:
        found, how = _stopped(settings, own), "stopped"
    said = _as_json(found) | {"ledger": how}
    if not found.is_sound:
        complain(f"ledger and stream do not agree: {found.differences[0]}")
    result(said, as_json=as_json, text=lambda: _lines(found))
    if not found.is_sound:
        raise typer.Exit(1)


async def _running(config: Config, own: str) -> Verified:
    """Compare with a running ledger. Raises LedgerUnavailable when none is."""
    import asyncio

    from filterd.cli.chain import running_rows
    from filterd.log.verify import LedgerRows, StreamWalk

    if not socket_of(config).exists():
        raise LedgerUnavailable(f"{socket_of(config)}: no ledger listens here")
    rows, progress, number = LedgerRows(), Progress("rows"), 0
    async with connected(config) as remote:
        async for row in running_rows(remote):
            rows.add(_entry(row))
            number += 1
            progress.step(number)
        progress.end()
        walk = await asyncio.to_thread(StreamWalk, events_of(config))
        # Rows committed while the files were read; of those the stream may not have, none is missed.
        for writer, events in walk.entries.items():
            last = rows.last().get(writer, 0)
            if max(events, default=0) > last:
                async for row in _rows_after(remote, writer, last):
                    if row.seq in events:
                        rows.add(_entry(row))
    return walk.compare(rows, own)


def _stopped(config: Config, own: str) -> Verified:
    from filterd.log.verify import LedgerRows, StreamWalk

    rows = LedgerRows()
    for row in _stored(config):
        rows.add(_entry(row))
    return StreamWalk(events_of(config)).compare(rows, own)


async def _rows_after(ledger: RemoteLedger, writer: str, seq: int) -> AsyncIterator[Row]:
    """Say the rows of one writer after a number. Raises PeerError."""
    from filterd.cli.chain import VERB
    from filterd.ledger.dump import read_dump

    while lines := await ledger.call(VERB, {"writer": writer, "seq": seq}):
        for row in read_dump(str(line).encode() for line in lines):
            if row.writer != writer:
                return
            yield row
            seq = int(str(row.seq))


def _stored(config: Config) -> Iterator[Row]:
    """Say every row of a ledger that is not running. Raises ModelError, UsageError."""
    from filterd.cli.keys import keys_of
    from filterd.ledger.store import StateLock, open_store
    from filterd.ledger.verify import stored_rows

    directory = config.node.state_dir
    lock = StateLock(directory)
    try:
        store = open_store(directory, keys_of(config).chain, url=config.ledger.url, may_create=False)
        try:
            yield from stored_rows(store.connection)
        finally:
            store.close()
    finally:
        lock.release()


def _entry(row: Row) -> Entry:
    """Say a row as the entry it is. Raises ModelError for one that was tampered with."""
    from filterd.ledger.codec import Undecodable, instant
    from filterd.model.entry import Entry

    columns: dict[str, Any] = {name: getattr(row, name) for name in type(row).__slots__}
    try:
        columns["written_at"] = instant(str(row.written_at))
        return Entry(**columns)
    except (Undecodable, TypeError, ValueError) as err:
        raise ModelError(f"row {row.writer!s}:{row.seq!s} cannot be read: {err}; see `filterd ledger verify`") from err


def _as_json(found: Verified) -> dict[str, Any]:
    from dataclasses import asdict

    return {
        "sound": found.is_sound,
        "differences": [asdict(difference) for difference in found.differences],
        "number": found.number,
        "rows": found.rows,
        "older_rows": found.older_rows,
        "streams": {stream.writer: _stream(stream) for stream in found.streams},
    }


def _stream(stream: Any) -> dict[str, Any]:
    return {name: getattr(stream, name) for name in ("first", "last", "events", "entries", "torn", "twice", "cuts")}


def _lines(found: Verified) -> Iterator[str]:
    head = ("writer", "first", "last", "events", "entries", "torn", "twice", "cuts")
    yield from table(head, [(s.writer, *_stream(s).values()) for s in found.streams])
    older = f", {found.older_rows} of them from before the stream begins" if found.older_rows else ""
    yield f"compared with {count(found.rows or 0, 'row')} of the ledger{older}"
    yield from (str(difference) for difference in found.differences)
    if found.number > len(found.differences):
        yield f"and {found.number - len(found.differences)} more"
    if found.is_sound:
        yield "ledger and stream agree"
