"""A ledger with an event stream, its backups, and its loss: what the tests of backup and restore share."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

from sqlalchemy import text

from filterd.clients.keys import derive
from filterd.ledger.anchor import FILE_NAME as ANCHOR
from filterd.ledger.backup import Put, Source, snapshot_of_database, snapshot_of_file, take, whole_lines
from filterd.ledger.backup_copy import copy_store
from filterd.ledger.backup_set import TABLES, Manifest, rows_of
from filterd.ledger.backup_verify import SetFound, verify_set
from filterd.ledger.engine import LedgerEngine
from filterd.ledger.evidence import known_addresses
from filterd.ledger.recovery import Acceptance, Customs, Recovered
from filterd.ledger.restore import Place, load, read_anchors, recover
from filterd.ledger.store import FILE_NAME, open_store
from filterd.ledger.traces import Plan, hear, stream_ends
from filterd.ledger.verify import Verification, verify_store
from filterd.log import EventStream
from filterd.log.facts import entry_facts
from filterd.model.entry import Entry
from filterd.model.ids import derived_id
from filterd.model.records import Record
from filterd.ports import LedgerTxn, OutboxItem
from tests.kit.clock import NOON, FrozenClock
from tests.ledger.rig import KEYS, NODE, fold, open_engine, url_file, url_of

MASTER = bytes(range(32))
BY = "Mia"


def notice_of(item: OutboxItem) -> str | None:
    return derived_id("m", item.item_id) if item.topic == "notice" else None


def promise(txn: LedgerTxn, record: Record, account_id: str, tenant_id: str | None) -> bool:
    payload = {"account_id": account_id, "incident_id": getattr(record, "incident_id", "")}
    txn.post("notice", payload, due_at=txn.now)
    return True


CUSTOMS = Customs(notice_of=notice_of, promise=promise, evidence_after=timedelta(days=30))


class Site:
    """A running ledger whose rows are told in a stream, as the product tells them."""

    def __init__(self, state_dir: Path):
        self.state_dir = state_dir
        self.clock = FrozenClock(NOON)
        self.engine: LedgerEngine
        self._stream: EventStream
        self._is_open = False

    @property
    def events(self) -> Path:
        return self.state_dir / "events"

    @property
    def place(self) -> Place:
        return Place(state_dir=self.state_dir, node=NODE, url=url_of(self.state_dir))

    def open(self) -> Site:
        self.engine = open_engine(self.state_dir, self.clock)
        self._is_open = True
        self._stream = EventStream(self.events, f"{NODE}.ledger", self.clock.now)
        self.engine.on_entries(self._tell)
        told = self._stream.last_ledger_seq(self.engine.writer_name)
        self._tell(self.engine.run(lambda txn: _rows_after(txn, told)))
        return self

    def close(self) -> Site:
        """Doing it twice is harmless."""
        if self._is_open:
            self._is_open = False
            self.engine.stop()
            self._stream.close()
        return self

    def _tell(self, entries: tuple[Entry, ...]) -> None:
        for entry in entries:
            self._stream.append("entry", None, entry_facts(entry), is_capped=False)
            self._stream.note_ledger(entry.writer, entry.seq)

    def judged(self, account_id: str, transaction_id: str) -> None:
        """What a worker's stream says of a decision that led to rows."""
        stream = EventStream(self.events, f"{NODE}.w0", self.clock.now)
        said = {"principal": {"account_id": account_id}, "decision": {"incident_id": "i_1"}}
        stream.append("decided", transaction_id, said)
        stream.close()

    # --- backup -------------------------------------------------------------------------------------------------------

    def back_up(self, target: Path, **options: Any) -> Manifest:
        """Take a backup while the ledger runs."""
        put = {"target": target, "node": NODE, "program": "1", "now": self.clock.now(), "key": None} | options
        with self.source() as source:
            return take(source, Put(**put), KEYS)

    @contextlib.contextmanager
    def source(self) -> Iterator[Source]:
        anchor, url = whole_lines(self.state_dir / ANCHOR), url_of(self.state_dir)
        streams = stream_ends(self.events)
        if url is not None:
            with snapshot_of_database(url) as connection:
                yield Source(
                    connection=connection,
                    store="postgresql",
                    vault=None,
                    anchor=anchor,
                    streams=streams,
                    still_named=set,
                )
            return
        copy = Path(self.engine.run(lambda txn: copy_store(txn, {"as_root": True})))
        with snapshot_of_file(copy) as connection:
            yield Source(
                connection=connection,
                store="sqlite",
                vault=self.state_dir / "vault",
                anchor=anchor,
                streams=streams,
                still_named=lambda some: self.engine.run(lambda txn: known_addresses(txn.connection, list(some))),
            )
        copy.unlink()

    # --- loss ---------------------------------------------------------------------------------------------------------

    def lose(self, attic: Path, database: str | None = None) -> Attic:
        """Lose store, vault and keys; anchors and streams are kept elsewhere. `database`: an empty one instead."""
        attic.mkdir()
        shutil.copytree(self.events, attic / "events")
        shutil.copy(self.state_dir / ANCHOR, attic / ANCHOR)
        shutil.rmtree(self.state_dir)
        if database is not None:
            url_file(self.state_dir).write_text(database)
        return Attic(attic)

    # --- restore ------------------------------------------------------------------------------------------------------

    def restore(
        self, folder: Path, *, anchors: tuple[Path, ...] = (), events: tuple[Path, ...] = (), **options: Any
    ) -> tuple[Plan, Recovered]:
        found = verify_set(folder, keys=KEYS)
        assert found.manifest is not None
        assert found.is_sound, found.fault
        heard = hear(events, read_anchors(anchors, KEYS))
        load(folder, found.manifest, self.place, KEYS, anchors, heard)
        return recover(self.place, KEYS, fold, heard, CUSTOMS, now=self.clock.now(), **options)

    def accept(
        self, *, anchors: tuple[Path, ...] = (), events: tuple[Path, ...] = (), by: str = "root", **options: Any
    ) -> tuple[Plan, Recovered]:
        own = self.state_dir / ANCHOR
        heard = hear([*events, self.events], read_anchors([*anchors, *([own] if own.exists() else [])], KEYS))
        who = Acceptance(by=by, reason="the disk burnt", taken_at=NOON)
        return recover(self.place, KEYS, fold, heard, CUSTOMS, now=self.clock.now(), acceptance=who, **options)

    # --- looking ------------------------------------------------------------------------------------------------------

    def verified(self, *anchors: Path) -> Verification:
        """Verify the stopped ledger, with copies of anchors."""
        return verify_store(self.state_dir, KEYS, read_anchors(anchors, KEYS), url=url_of(self.state_dir))

    def tables(self) -> dict[str, list[dict[str, Any]]]:
        """Say every row of every table of the stopped ledger, as it stands."""
        store = open_store(self.state_dir, KEYS.chain, url=url_of(self.state_dir), may_create=False)
        try:
            with store.connection.begin():
                return {table.name: sorted(rows_of(store.connection, table), key=repr) for table in TABLES}
        finally:
            store.close()

    def execute(self, statement: str) -> None:
        """Do something to the stopped store by hand."""
        store = open_store(self.state_dir, KEYS.chain, url=url_of(self.state_dir), may_create=False)
        try:
            with store.connection.begin():
                store.connection.execute(text(statement))
        finally:
            store.close()

    def put_back_by_hand(self, old: Path) -> None:
        """Copy an old SQLite file over the store, as somebody does who knows no better."""
        shutil.copy(old, self.state_dir / FILE_NAME)


class Attic:
    """What survived a loss elsewhere."""

    def __init__(self, folder: Path):
        self.events, self.anchor = folder / "events", folder / ANCHOR


def _rows_after(txn: Any, seq: int) -> tuple[Entry, ...]:
    from filterd.ledger import entries

    return entries.after(txn.connection, txn.equipment.writer, seq, 1_000_000)


def sound(folder: Path, **options: Any) -> SetFound:
    return verify_set(folder, **({"keys": KEYS} | options))


def other_keys() -> Any:
    return derive(bytes(32))
