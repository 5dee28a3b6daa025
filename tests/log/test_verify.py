"""`StreamWalk` finds every way in which stream and ledger can disagree, and nothing where they agree."""

from __future__ import annotations

import gzip
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import orjson
import pytest

from filterd.log import EventStream, Log
from filterd.log.verify import LedgerRows, StreamWalk, Verified
from filterd.model.entry import Entry
from tests.kit.clock import FrozenClock
from tests.log.streams import Writer
from tests.test_log import KEY, entry

OWN = "node1.ledger"


class Past:
    """Nine rows and their events, and a worker's stream."""

    def __init__(self, folder: Path):
        self.folder, self.clock = folder, FrozenClock()
        self.rows: list[Entry] = []
        self.path = folder / f"{OWN}.jsonl"
        self.worker = Writer(folder)
        self.worker.write({}, {}, {})
        self.write(9)

    def write(self, number: int) -> None:
        log = Log(EventStream(self.folder, OWN, self.clock.now), pseudonym_key=KEY)
        for _ in range(number):
            written_at = self.clock.advance(1)
            self.rows.append(entry(len(self.rows) + 1, writer=OWN, written_at=written_at))
            log.entry(self.rows[-1])
        log.stream.close()

    def lines(self) -> list[bytes]:
        return self.path.read_bytes().splitlines(keepends=True)

    def rewrite(self, lines: list[bytes]) -> None:
        self.path.write_bytes(b"".join(lines))

    def verify(self) -> Verified:
        rows = LedgerRows()
        for row in self.rows:
            rows.add(row)
        return StreamWalk(self.folder).compare(rows, OWN)

    def said(self) -> list[str]:
        return [str(difference).rpartition(":")[0] for difference in self.verify().differences]


@pytest.fixture
def past(tmp_path: Path) -> Iterator[Past]:
    return Past(tmp_path)


def test_what_agrees_is_sound_through_any_rotation(past: Past) -> None:
    assert (past.verify().differences, past.verify().rows) == ([], 9)
    past.path.rename(f"{past.path}.1")
    past.write(3)
    Path(f"{past.path}.1.gz").write_bytes(gzip.compress(Path(f"{past.path}.1").read_bytes()))
    # Half packed: the file it is made of is there still.
    assert past.verify().differences == []
    Path(f"{past.path}.1").unlink()
    found = past.verify()
    assert (found.differences, found.rows, found.older_rows) == ([], 12, 0)
    assert {s.writer: (s.first, s.last, s.events) for s in found.streams} == {OWN: (1, 12, 12), "node1.w0": (1, 3, 3)}


def altered(octets: bytes, **changes: object) -> bytes:
    return orjson.dumps(orjson.loads(octets) | changes, option=orjson.OPT_APPEND_NEWLINE)


DAMAGES: list[tuple[str, Callable[[Past, list[bytes]], list[bytes]], list[str]]] = [
    ("line removed", lambda p, x: x[:4] + x[5:], [f"gap: {OWN}:5", f"missing: {OWN}:5"]),
    ("lines removed", lambda p, x: x[:4] + x[6:], [f"gap: {OWN}:5", f"missing: {OWN}:5", f"missing: {OWN}:6"]),
    ("last line removed", lambda p, x: x[:8], [f"gap: {OWN}:9", f"missing: {OWN}:9"]),
    ("last line torn", lambda p, x: [*x[:8], x[8][:30]], [f"gap: {OWN}:9", f"missing: {OWN}:9"]),
    ("line overwritten", lambda p, x: [*x[:4], b"x" * 80 + b"\n", *x[5:]], [f"gap: {OWN}:5", f"missing: {OWN}:5"]),
    (
        "body altered",
        lambda p, x: [*x[:4], altered(x[4], body={"points": 9}), *x[5:]],
        [f"differs: {OWN}:5"],
    ),
    (
        "subject altered",
        lambda p, x: [*x[:4], altered(x[4], account_id="acc_2"), *x[5:]],
        [f"differs: {OWN}:5"],
    ),
    (
        "two lines of one number",
        lambda p, x: [*x, altered(x[4], account_id="acc_2")],
        [f"conflict: {OWN}:5", f"differs: {OWN}:5"],
    ),
    (
        "event without a row",
        lambda p, x: [*x, altered(x[8], seq=10, ledger=orjson.loads(x[8])["ledger"] | {"seq": 10})],
        [f"unknown: {OWN}:10"],
    ),
    (
        "row of another node",
        lambda p, x: [*x, altered(x[8], seq=10, ledger=orjson.loads(x[8])["ledger"] | {"writer": "node2.ledger"})],
        ["foreign: node2.ledger:9"],
    ),
]


@pytest.mark.parametrize(("damage", "expected"), [d[1:] for d in DAMAGES], ids=[d[0] for d in DAMAGES])
def test_damage_is_named(past: Past, damage: Callable[[Past, list[bytes]], list[bytes]], expected: list[str]) -> None:
    past.rewrite(damage(past, past.lines()))
    assert past.said() == expected


def test_a_gap_in_a_workers_stream_is_named(past: Past) -> None:
    past.worker.seq += 2
    past.worker.write({})
    assert past.said() == ["gap: node1.w0:4"]


def test_a_row_the_stream_never_had_is_missing(past: Past) -> None:
    past.rows.append(entry(10, writer=OWN, written_at=past.clock.now()))
    assert past.said() == [f"missing: {OWN}:10"]


def test_no_stream_at_all_misses_every_row(past: Past) -> None:
    past.path.unlink()
    (past.folder / f"{OWN}.seq").unlink()
    assert len(past.said()) == 9


def test_files_taken_away_are_older_rows_and_no_fault(past: Past) -> None:
    past.path.unlink()
    past.clock.advance(3600)
    assert (past.verify().differences, past.verify().older_rows) == ([], 9)
    past.write(2)
    found = past.verify()
    assert (found.differences, found.rows, found.older_rows) == ([], 11, 9)
    # But a row of the time the stream is there is missed.
    past.rows.append(entry(12, writer=OWN, written_at=past.clock.advance(5)))
    assert past.said() == [f"missing: {OWN}:12"]


def test_rows_written_again_and_files_copied_are_said_and_no_fault(past: Past) -> None:
    log = Log(EventStream(past.folder, OWN, past.clock.now), pseudonym_key=KEY)
    log.entry(past.rows[8])
    log.stream.close()
    shutil.copy(past.path, f"{past.path}.copy")
    found = past.verify()
    assert found.differences == []
    assert {s.writer: s.twice for s in found.streams}[OWN] == 10


def test_a_tear_that_was_mended_is_said_and_no_fault(past: Past) -> None:
    with past.path.open("ab") as file:
        file.write(b'{"v":1,"event":"ent')
    past.write(1)
    found = past.verify()
    assert found.differences == []
    assert {s.writer: s.torn for s in found.streams}[OWN] == 1
