"""Ledger and stream agree: after a full disk, after SIGKILL between commit and event, at every event of a run."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from filterd.errors import PortError
from filterd.log import EntryFeed, EventStream, Log, read_events, stream_files
from filterd.log.verify import LedgerRows, StreamWalk
from filterd.model.entry import Entry
from tests.kit.clock import FrozenClock
from tests.test_log import KEY, entry

ROOT = Path(__file__).resolve().parents[2]
WRITER = "node1.ledger"


class Rows:
    """A ledger as the feed sees it."""

    def __init__(self) -> None:
        self.all: list[Entry] = []

    def commit(self, *, writer: str = WRITER) -> Entry:
        row = entry(len(self.all) + 1, writer=writer)
        self.all.append(row)
        return row

    async def after(self, seq: int) -> Sequence[Entry]:
        await asyncio.sleep(0)
        # In pages, as the engine says them.
        return [row for row in self.all if row.seq > seq][:2]


@pytest.fixture
def log(tmp_path: Path) -> Iterator[Log]:
    one = Log(EventStream(tmp_path, WRITER, FrozenClock().now), pseudonym_key=KEY)
    yield one
    one.stream.close()


def rows_in(log: Log) -> list[int]:
    return [e["ledger"]["seq"] for e in read_events([log.stream.path]) if e["event"] == "entry"]


async def test_rows_are_written_as_they_are_told_once_the_start_is_complete(log: Log) -> None:
    rows = Rows()
    for _ in range(5):
        rows.commit()
    feed = EntryFeed(log, WRITER, rows.after)
    assert (await feed.complete(), feed.is_behind) == (5, False)
    feed.tell([rows.commit(), rows.commit()])
    # Told again, as after a commit whose outcome was unknown.
    feed.tell(rows.all)
    assert rows_in(log) == [1, 2, 3, 4, 5, 6, 7]


async def test_a_row_told_before_the_start_is_complete_waits_its_turn(log: Log) -> None:
    rows = Rows()
    rows.commit()
    feed = EntryFeed(log, WRITER, rows.after)
    feed.tell([rows.commit()])
    assert rows_in(log) == []
    await feed.complete()
    assert rows_in(log) == [1, 2]


async def test_a_row_committed_while_the_ledger_is_asked_is_not_forgotten(log: Log) -> None:
    rows = Rows()

    async def after(seq: int) -> Sequence[Entry]:
        found = [row for row in rows.all if row.seq > seq]
        if not found and len(rows.all) < 3:
            # Committed after the ledger answered, told before we hear the answer.
            feed.tell([rows.commit()])
        return found

    feed = EntryFeed(log, WRITER, after)
    await feed.complete()
    assert (rows_in(log), feed.is_behind) == ([1, 2, 3], False)


async def test_a_full_disk_holds_back_later_rows_and_loses_none(log: Log, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = Rows()
    feed = EntryFeed(log, WRITER, rows.after)
    await feed.complete()
    feed.tell([rows.commit()])
    write = os.write
    monkeypatch.setattr(os, "write", lambda fd, octets: write(fd, octets[:9]))
    with pytest.raises(PortError):
        feed.tell([rows.commit(), rows.commit()])
    with pytest.raises(PortError):
        await feed.complete()
    monkeypatch.setattr(os, "write", write)
    # There is room again: without the feed this row would hide that 2 and 3 are missing.
    feed.tell([rows.commit()])
    assert (rows_in(log), feed.is_behind) == ([1], True)
    assert await feed.complete() == 3
    assert rows_in(log) == [1, 2, 3, 4]


async def test_rows_of_other_nodes_stay_in_their_own_streams(log: Log) -> None:
    rows = Rows()
    feed = EntryFeed(log, WRITER, rows.after)
    await feed.complete()
    feed.tell([entry(1, writer="node2.ledger"), rows.commit()])
    assert [e["ledger"]["writer"] for e in read_events([log.stream.path])] == [WRITER]


# --- A real ledger, killed at every event in turn -------------------------------------------------------------------

LIVE = """
import asyncio, os, signal, sys
from pathlib import Path
from filterd.agreement.fold import apply
from filterd.clients.clock import SystemClock
from filterd.clients.keys import load_keys
from filterd.ledger.engine import LedgerEngine
from filterd.log import EntryFeed, EventStream, Log
from filterd.log.service import set_up
from filterd.model.records import PersonAdded

folder, kill_at, torn = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
set_up("error")
clock, write = SystemClock(), os.write

async def main():
    keys = load_keys(folder / "master.key")
    fold = lambda history, record, _: apply(history, record)
    engine = LedgerEngine.open(state_dir=folder, node="node1", keys=keys, clock=clock, apply=fold)
    log = Log(EventStream(folder / "events", "node1.ledger", clock.now), pseudonym_key=keys.pseudonym)
    feed = EntryFeed(log, engine.writer_name, engine.entries_after)
    left = [kill_at]
    def dying(fd, octets):
        # Only the stream is written with os.write; this is the moment between commit and event.
        if b'"event":"entry"' in octets:
            left[0] -= 1
            if left[0] == 0:
                write(fd, octets[:torn])
                os.kill(os.getpid(), signal.SIGKILL)
        return write(fd, octets)
    os.write = dying
    await feed.complete()
    engine.on_entries(feed.tell)
    async def one(n):
        row = PersonAdded(at=clock.now(), person=f"p{n}", role="moderator", by="root")
        await engine.submit(lambda txn: txn.append(row, account_id=None, tenant_id=None))
    for start in range(0, 12, 4):
        await asyncio.gather(*(one(n) for n in range(start, start + 4)))
    await engine.close()
    os.write = write

asyncio.run(main())
"""


def live(folder: Path, kill_at: int, torn: int = 0) -> int:
    command = [sys.executable, "-c", LIVE, str(folder), str(kill_at), str(torn)]
    return subprocess.run(command, cwd=ROOT, timeout=60, check=False).returncode


def stored(folder: Path) -> LedgerRows:
    from filterd.cli.log_verify import _entry, _stored
    from filterd.config import load

    config = load(None)
    config = config.model_copy(update={"node": config.node.model_copy(update={"state_dir": folder})})
    rows = LedgerRows()
    for row in _stored(config):
        rows.add(_entry(row))
    return rows


@pytest.mark.slow
def test_killed_between_commit_and_event_ledger_and_stream_agree_after_the_next_start(tmp_path: Path) -> None:
    behind = 0
    for kill_at, torn in ((3, 17), (6, 0)):
        assert live(tmp_path, kill_at, torn) == -signal.SIGKILL
        before = StreamWalk(tmp_path / "events").compare(stored(tmp_path), WRITER)
        behind += before.number
        # A tear or missing rows, but never a gap or a row that is none.
        assert {d.kind for d in before.differences} <= {"missing"}
    assert behind > 0
    assert live(tmp_path, 10**9) == 0
    after = StreamWalk(tmp_path / "events").compare(stored(tmp_path), WRITER)
    assert after.differences == []
    assert after.rows is not None
    assert after.rows >= 12
    seqs = [e["seq"] for e in read_events(stream_files(tmp_path / "events"))]
    assert seqs == list(range(1, len(seqs) + 1))
