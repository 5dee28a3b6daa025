"""What is known of rows that a store does not hold: from the event streams, which tell every row, and from anchors.

A row told by a stream is proven by its hash: with the key of the chain and the hash of the row before, anybody's change
shows. Two things a stream leaves out. Sealed octets: it has their SHA-256, so that the hash is proven all the same, and
the row can be written once more without them. Findings of locked categories: such a row cannot be proven.
"""

from __future__ import annotations

import contextlib
import gzip
import hmac
import zlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import Any

from filterd.ledger.backup_set import StreamEnd
from filterd.ledger.chain import Head, Row, row_hash_of
from filterd.ledger.checkpoint import Checkpoint
from filterd.ledger.codec import Undecodable, canonical, decode_record, instant_text
from filterd.log.read import event_of, pieces_backwards, read_events, stream_files, writer_of
from filterd.model.records import Record, RowRange

# Its violations may be of a locked category; nothing follows from it but a count of messages.
_LOCKED_LEFT_OUT = "violation.recorded"


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """A row as a stream tells it. `row.sealed` is None; `sealed_digest` says whether that is all there was.

    `is_sealed` without a digest: told by a program that did not say one yet.
    """

    row: Row
    sealed_digest: bytes | None
    is_sealed: bool
    is_proven: bool = False

    @property
    def order(self) -> tuple[str, str, int]:
        return str(self.row.written_at), str(self.row.writer), int(str(self.row.seq))

    @property
    def place(self) -> tuple[str, int]:
        return str(self.row.writer), int(str(self.row.seq))

    @property
    def record(self) -> Record | None:
        """Say the record, None when this program does not know such a one."""
        try:
            return decode_record(str(self.row.kind), self.row.body if isinstance(self.row.body, bytes) else b"")
        except Undecodable:
            return None

    def proven(self, key: bytes, prev_hash: bytes | None) -> Told:
        """Say the row with the hash before it, and whether its own hash is what the ledger's key makes of it."""
        if prev_hash is None or not isinstance(self.row.row_hash, bytes):
            return self
        if self.is_sealed and self.sealed_digest is None:
            return self
        found = row_hash_of(key, self.row, prev_hash, self.sealed_digest)
        row = replace(self.row, prev_hash=prev_hash)
        return replace(self, row=row, is_proven=hmac.compare_digest(found, self.row.row_hash))


@dataclass(slots=True, kw_only=True)
class Heard:
    """What streams and anchors say. `rows`: every telling of a row; `judged`: by transaction, the account and
    the instant of a decision that led to rows; `ends`: of the streams."""

    rows: dict[tuple[str, int], list[Told]] = field(default_factory=dict)
    judged: dict[str, tuple[str, str]] = field(default_factory=dict)
    ends: dict[str, StreamEnd] = field(default_factory=dict)
    anchors: Sequence[Checkpoint] = ()


@dataclass(slots=True, kw_only=True)
class Plan:
    """What can be done about the rows behind the ends of the chains.

    Args:
        in_place: continue their chains octet by octet.
        again: proven, or trusted, and to be written once more under new numbers; in the order they were written.
        missing: nobody has them. `doubtful`: told by a stream, and not proven.
        seen: how far each writer's chain went, as far as anybody knows.
        affected: accounts, and why a person must look at them.
        is_known: whether anything was given that reaches beyond the backup, or as far.
    """

    in_place: list[Told] = field(default_factory=list)
    again: list[Told] = field(default_factory=list)
    missing: list[RowRange] = field(default_factory=list)
    doubtful: list[Told] = field(default_factory=list)
    seen: dict[str, int] = field(default_factory=dict)
    affected: dict[str, set[str]] = field(default_factory=dict)
    is_known: bool = False

    @property
    def is_whole(self) -> bool:
        """Say whether the chains end where they ended, with nothing renumbered."""
        return self.is_known and not self.again and not self.missing


def hear(paths: Iterable[Path], anchors: Sequence[Checkpoint] = ()) -> Heard:
    """Read streams: folders of them, or files. Raises OSError for what cannot be read."""
    heard = Heard(anchors=anchors)
    for path in paths:
        for file in stream_files(path) if path.is_dir() else [path]:
            # A packed file that is cut short says what it says up to there.
            with contextlib.suppress(EOFError, zlib.error, gzip.BadGzipFile):
                for event in read_events([file]):
                    _take(heard, event)
    return heard


def plan(heads: dict[str, Head], heard: Heard, chain_key: bytes, *, trusts_streams: bool = False) -> Plan:
    """Say what can be done behind the ends of the chains of a store.

    Args:
        trusts_streams: rows that cannot be proven are taken, too: the streams were out of everybody's reach.
    """
    found = Plan(seen={writer: head.seq for writer, head in heads.items()})
    reached: dict[str, int] = {}
    for writer, seq in [(x.writer, x.seq) for x in heard.anchors] + list(heard.rows):
        reached[writer] = max(reached.get(writer, 0), seq)
        found.seen[writer] = max(found.seen.get(writer, 0), seq)
    # Something older than the backup itself says nothing about what came after it.
    found.is_known = bool(reached) and all(reached.get(writer, 0) >= head.seq for writer, head in heads.items())
    usable: list[Told] = []
    exact: set[tuple[str, int]] = set()
    for writer, last in found.seen.items():
        usable += _follow(writer, heads.get(writer, Head()), last, heard, chain_key, trusts_streams, found, exact)
    usable.sort(key=lambda told: told.order)
    # The order of an account's rows must stay: behind the first that gets another number, all do.
    while usable and usable[0].place in exact:
        found.in_place.append(usable.pop(0))
    found.again = usable
    _name_affected(found, heard, heads)
    return found


def _follow(
    writer: str,
    head: Head,
    last: int,
    heard: Heard,
    key: bytes,
    trusts_streams: bool,
    found: Plan,
    exact: set[tuple[str, int]],
) -> list[Told]:
    """Go along the lost part of one chain; say what of it can be used."""
    usable: list[Told] = []
    prev_hash: bytes | None = head.row_hash
    is_exact = True
    for seq in range(head.seq + 1, last + 1):
        tellings = [told.proven(key, prev_hash) for told in heard.rows.get((writer, seq), ())]
        told = next((x for x in tellings if x.is_proven), tellings[0] if tellings else None)
        takes = told is not None and told.record is not None
        takes = takes and told is not None and (told.is_proven or trusts_streams or told.row.kind == _LOCKED_LEFT_OUT)
        if told is not None and takes:
            usable.append(told)
            is_exact = is_exact and told.is_proven and not told.is_sealed
            if is_exact:
                exact.add(told.place)
        else:
            is_exact = False
            if told is not None:
                found.doubtful.append(told)
            _add_missing(found.missing, writer, seq)
        # What a stream says of the next row's hash is proven by that row.
        prev_hash = told.row.row_hash if told is not None and isinstance(told.row.row_hash, bytes) else None
    return usable


def _add_missing(missing: list[RowRange], writer: str, seq: int) -> None:
    if missing and missing[-1].writer == writer and missing[-1].last == seq - 1:
        missing[-1] = replace(missing[-1], last=seq)
    else:
        missing.append(RowRange(writer=writer, first=seq, last=seq))


def _name_affected(found: Plan, heard: Heard, heads: dict[str, Head]) -> None:
    for told in found.doubtful:
        if told.row.account_id is not None:
            kind = f"a row {told.row.kind!s} of {told.row.written_at!s} that is not proven"
            found.affected.setdefault(str(told.row.account_id), set()).add(kind)
    for told in found.again:
        if told.row.account_id is not None and not told.is_proven:
            kind = f"a row {told.row.kind!s} that is not proven"
            found.affected.setdefault(str(told.row.account_id), set()).add(kind)
    if not found.missing:
        return
    # The workers' streams tell which accounts the lost rows were about.
    since = max((instant_text(head.written_at) for head in heads.values() if head.written_at is not None), default="")
    told_of = {_transaction(told) for told in [*found.in_place, *found.again]}
    for transaction_id, (account_id, at) in heard.judged.items():
        if at > since and transaction_id not in told_of:
            found.affected.setdefault(account_id, set()).add("a decision whose rows are lost")


def _transaction(told: Told) -> str | None:
    return getattr(told.record, "transaction_id", None)


def _take(heard: Heard, event: dict[str, Any]) -> None:
    end = heard.ends.get(str(event["writer"]), StreamEnd(seq=0, ledger={}))
    end = replace(end, seq=max(end.seq, int(event["seq"])))
    match event["event"]:
        case "entry":
            told = _told(event)
            if told is not None:
                writer, seq = told.place
                heard.rows.setdefault((writer, seq), []).append(told)
                end.ledger[writer] = max(end.ledger.get(writer, 0), seq)
        case "decided":
            account = event.get("principal", {}).get("account_id")
            if account is not None and event.get("decision", {}).get("incident_id") is not None:
                at = _written_at(str(event["at"]))
                heard.judged[str(event.get("tx"))] = (str(account), at)
    heard.ends[str(event["writer"])] = end


def _told(event: dict[str, Any]) -> Told | None:
    try:
        ledger = event["ledger"]
        digest = event.get("sealed_digest")
        row = Row(
            writer=str(ledger["writer"]),
            seq=int(ledger["seq"]),
            written_at=_written_at(ledger["written_at"]),
            kind=str(event["kind"]),
            account_id=event["account_id"],
            tenant_id=event["tenant_id"],
            schema=int(ledger["schema"]),
            body=canonical(event["body"]),
            sealed=None,
            prev_hash=None,
            row_hash=bytes.fromhex(ledger["row_hash"]),
        )
        is_sealed = bool(event["is_sealed"])
        return Told(row=row, sealed_digest=None if digest is None else bytes.fromhex(digest), is_sealed=is_sealed)
    except (KeyError, TypeError, ValueError):
        return None


def _written_at(text: str) -> str:
    return instant_text(datetime.fromisoformat(text))


def stream_ends(directory: Path) -> dict[str, StreamEnd]:
    """Say how far each stream of a folder went, by its last line and its last ledger row."""
    ends: dict[str, StreamEnd] = {}
    for file in reversed(stream_files(directory) if directory.is_dir() else []):
        writer = writer_of(file)
        known = ends.get(writer, StreamEnd(seq=0, ledger={}))
        if known.seq and known.ledger:
            continue
        with contextlib.suppress(OSError, EOFError, zlib.error):
            ends[writer] = _end_of(file, known)
    return ends


def _end_of(file: Path, known: StreamEnd) -> StreamEnd:
    seq, ledger = known.seq, dict(known.ledger)
    for line in pieces_backwards(file):
        event = event_of(line) if line else None
        if event is None:
            continue
        seq = max(seq, int(event["seq"]))
        if event["event"] == "entry":
            told = event.get("ledger", {})
            ledger.setdefault(str(told.get("writer")), int(told.get("seq", 0)))
            break
        if not event["writer"].endswith(".ledger"):
            break
    return StreamEnd(seq=seq, ledger=ledger)
