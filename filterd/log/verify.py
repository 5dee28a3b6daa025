"""Is the event stream whole, and does it say what the ledger says?  HOUSE rule 15.

Without a gap in `seq`, no two lines of one number that differ, every ledger row of this node an event, every such event
a row, and both the same. Lines torn by a crash, and lines there twice, are named; nothing is lost by either.
A stream that does not begin at 1 has old files taken away; rows from before its beginning are counted, not missed.
"""

from __future__ import annotations

import contextlib
import gzip
import hashlib
import zlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import orjson

from filterd.log.facts import entry_facts
from filterd.log.read import read_events, steadily, stream_files, writer_of
from filterd.log.safe import json_line
from filterd.log.search import micros
from filterd.model.entry import Entry

# Beyond these a reader has seen enough; all are counted.
NAMED_AT_MOST = 100

_PARTS = ("ledger", "kind", "account_id", "tenant_id", "is_sealed", "body")
_PART_OCTETS = 8
_TIME_OCTETS = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """One thing that is not as it must be.

    Args:
        kind: `gap` (lines missing), `conflict` (two lines of one number that differ), `missing` (a row without its
            event), `unknown` (an event without its row), `differs` (row and event say different things), `foreign` (a
            row of another node).
        writer, seq: of the stream for `gap` and `conflict`, else of the ledger; the first of several.
    """

    kind: str
    writer: str
    seq: int
    text: str

    def __str__(self) -> str:
        return f"{self.kind}: {self.writer}:{self.seq}: {self.text}"


@dataclass(slots=True, kw_only=True)
class Stream:
    """What was found of one writer. `first`, `last`: numbers, 0 for none."""

    writer: str
    first: int = 0
    last: int = 0
    events: int = 0
    entries: int = 0
    torn: int = 0
    cuts: int = 0
    twice: int = 0
    first_at: str = ""


@dataclass(slots=True, kw_only=True)
class Verified:
    """What was found of all. `older_rows`: rows from before the streams begin. `rows`: None when none were compared."""

    streams: list[Stream] = field(default_factory=list)
    differences: list[Difference] = field(default_factory=list)
    number: int = 0
    rows: int | None = None
    older_rows: int = 0

    @property
    def is_sound(self) -> bool:
        return self.number == 0

    def add(self, kind: str, writer: str, seq: int, text: str) -> None:
        self.number += 1
        if len(self.differences) < NAMED_AT_MOST:
            self.differences.append(Difference(kind=kind, writer=writer, seq=seq, text=text))


class LedgerRows:
    """The rows of a ledger, in little room: a digest of each part, and when it was written."""

    def __init__(self) -> None:
        self._rows: dict[str, dict[int, bytes]] = {}
        self._accepted: dict[str, set[range]] = {}

    def add(self, entry: Entry) -> None:
        if entry.kind == "ledger.restored":
            # Streams from before a loss tell rows that the ledger has no more, or has under other numbers.
            lost = range(orjson.loads(entry.body)["after_seq"] + 1, entry.seq)
            self._accepted.setdefault(entry.writer, set()).add(lost)
        said = orjson.loads(json_line(entry_facts(entry), None))
        written = micros(entry.written_at).to_bytes(_TIME_OCTETS, "big", signed=True)
        self._rows.setdefault(entry.writer, {})[entry.seq] = _digest(said) + written

    def of(self, writer: str) -> Mapping[int, bytes]:
        return self._rows.get(writer, {})

    def is_accepted(self, writer: str, seq: int) -> bool:
        """Say whether a row is one of those whose loss is on record."""
        return any(seq in lost for lost in self._accepted.get(writer, ()))

    def last(self) -> dict[str, int]:
        """Say the last row of each writer."""
        return {writer: max(rows) for writer, rows in self._rows.items()}


class StreamWalk:
    """All streams of a folder, read once."""

    def __init__(self, directory: Path):
        """Read. Raises OSError for a file that cannot be read."""
        self._directory = directory
        self._streams: dict[str, Stream] = {}
        self._runs: dict[str, list[list[int]]] = {}
        self.entries: dict[str, dict[int, bytes]] = {}
        self._foreign: list[tuple[str, str, int]] = []
        # Before the files: what comes meanwhile is only more.
        self._notes = {file.stem: _noted(file) for file in directory.glob("*.seq")}
        steadily(directory, self._read)

    def compare(self, rows: LedgerRows | None, own_writer: str) -> Verified:
        """Say what is not as it must be.

        Args:
            rows: None: only the streams are looked at.
            own_writer: whose rows must be here, though there may be no event at all.
        """
        said = Verified(streams=[self._streams[writer] for writer in sorted(self._streams)])
        for writer in sorted(self._streams):
            self._compare_numbers(writer, said)
        for stream_writer, writer, seq in self._foreign:
            said.add("foreign", writer, seq, f"this row stands in the stream of {stream_writer}")
        if rows is not None:
            said.rows = 0
            for writer in sorted({own_writer, *self.entries}):
                self._compare_rows(writer, rows, said)
        return said

    # --- reading ------------------------------------------------------------------------------------------------------

    def _read(self, files: list[Path]) -> None:
        self._streams, self._runs, self.entries, self._foreign = {}, {}, {}, []
        for path in files:
            stream = self._stream(writer_of(path))

            def torn(_path: Path, _number: int, _why: str, stream: Stream = stream) -> None:
                stream.torn += 1

            try:
                for event in read_events([path], torn):
                    self._take(event)
            except (EOFError, zlib.error, gzip.BadGzipFile):
                # What is behind this place shows as a gap.
                stream.torn += 1

    def _stream(self, writer: str) -> Stream:
        return self._streams.setdefault(writer, Stream(writer=writer))

    def _take(self, event: dict[str, Any]) -> None:
        writer, seq = str(event["writer"]), int(event["seq"])
        stream = self._stream(writer)
        runs = self._runs.setdefault(writer, [])
        if runs and runs[-1][1] + 1 == seq:
            runs[-1][1] = seq
        else:
            runs.append([seq, seq])
        stream.events += 1
        stream.cuts += event["event"] == "stream.cut"
        if not stream.first or seq < stream.first:
            stream.first, stream.first_at = seq, str(event["at"])
        stream.last = max(stream.last, seq)
        if event["event"] == "entry":
            stream.entries += 1
            self._take_entry(writer, event)

    def _take_entry(self, stream_writer: str, event: dict[str, Any]) -> None:
        ledger = event.get("ledger")
        named = (ledger.get("writer"), ledger.get("seq")) if isinstance(ledger, dict) else (None, None)
        writer, seq = str(named[0]), named[1] if isinstance(named[1], int) else 0
        if writer != stream_writer:
            self._foreign.append((stream_writer, writer, seq))
            return
        known, digest = self.entries.setdefault(writer, {}), _digest(event)
        # Written again after a crash, it says the same; if one of them does not, that one counts.
        if seq not in known or known[seq] == digest:
            known[seq] = digest
        else:
            known[seq] = b"\0" * len(digest)

    # --- comparing ----------------------------------------------------------------------------------------------------

    def _compare_numbers(self, writer: str, said: Verified) -> None:
        stream, reached = self._streams[writer], 0
        twice: list[tuple[int, int]] = []
        for first, last in sorted(self._runs.get(writer, [])):
            if reached and first > reached + 1:
                hole = f"{reached + 1} to {first - 1}" if first > reached + 2 else "this number"
                said.add("gap", writer, reached + 1, f"no line has {hole}; {first} follows")
            if first <= reached:
                twice.append((first, min(last, reached)))
            reached = max(reached, last)
        noted = self._notes.get(writer, 0)
        if reached and noted > reached:
            said.add("gap", writer, reached + 1, f"the stream ends here; the note beside it has seen {noted}")
        if twice:
            stream.twice = sum(last - first + 1 for first, last in twice)
            for seq in self._conflicts(writer, twice):
                said.add("conflict", writer, seq, "two lines of this number say different things")

    def _conflicts(self, writer: str, twice: Iterable[tuple[int, int]]) -> list[int]:
        """Read again what is there twice: is it the same?"""
        ranges, found = list(twice), set()
        known: dict[int, bytes] = {}
        for event in read_events(stream_files(self._directory, writer)):
            seq = event["seq"]
            if any(first <= seq <= last for first, last in ranges):
                line = orjson.dumps(event, option=orjson.OPT_SORT_KEYS)
                if known.setdefault(seq, line) != line:
                    found.add(seq)
        return sorted(found)

    def _compare_rows(self, writer: str, ledger: LedgerRows, said: Verified) -> None:
        events, rows = self.entries.get(writer, {}), ledger.of(writer)
        said.rows = (said.rows or 0) + len(rows)
        begins = min(events, default=0)
        for seq in sorted(rows.keys() | events.keys()):
            row, event = rows.get(seq), events.get(seq)
            if row is None and ledger.is_accepted(writer, seq):
                continue
            if row is None:
                said.add("unknown", writer, seq, "the stream has this row, the ledger has not")
            elif event is None:
                if (not begins or seq < begins) and self._is_older(writer, row):
                    said.older_rows += 1
                else:
                    said.add("missing", writer, seq, "the ledger has this row, the stream has not")
            elif event != row[:-_TIME_OCTETS]:
                said.add("differs", writer, seq, f"row and event differ in {', '.join(_differing(row, event))}")

    def _is_older(self, writer: str, row: bytes) -> bool:
        """Say whether a row is from before the stream begins."""
        stream = self._streams.get(writer)
        if stream is None or not stream.events:
            # No line of this writer at all: either every file was taken away, or none was ever written.
            return self._notes.get(writer, 0) > 0
        if stream.first <= 1:
            return False
        with contextlib.suppress(ValueError):
            written = int.from_bytes(row[-_TIME_OCTETS:], "big", signed=True)
            return written <= micros(datetime.fromisoformat(stream.first_at))
        return False


def _digest(event: Mapping[str, Any]) -> bytes:
    """Say eight octets for each part of an entry."""
    said = (orjson.dumps(event.get(part), option=orjson.OPT_SORT_KEYS) for part in _PARTS)
    return b"".join(hashlib.blake2b(part, digest_size=_PART_OCTETS).digest() for part in said)


def _differing(row: bytes, event: bytes) -> list[str]:
    places = range(0, len(_PARTS) * _PART_OCTETS, _PART_OCTETS)
    pairs = zip(_PARTS, places, strict=True)
    return [part for part, at in pairs if row[at : at + _PART_OCTETS] != event[at : at + _PART_OCTETS]]


def _noted(file: Path) -> int:
    try:
        return int(orjson.loads(file.read_bytes())["seq"])
    except (OSError, ValueError, KeyError, TypeError):
        return 0
