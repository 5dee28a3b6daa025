"""Taking a backup: store, evidence, anchors and keys as one set that belongs together.  ops/docs/BACKUP.md.

Everything is read from one snapshot of the store; evidence that it names and that has been erased since is left out
together with the row that named it. The set is written beside its place, synced file by file, the manifest last, and
renamed: what a crash leaves has another name and no manifest.
"""

from __future__ import annotations

import hashlib
import os
import secrets
import shutil
import sqlite3
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote

from sqlalchemy import Connection, create_engine, select
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.pool import NullPool

from filterd.errors import LedgerUnavailable, ModelError, UsageError
from filterd.ledger import backup_set
from filterd.ledger.backup_set import ChainEnd, FileNote, Kept, Manifest, StreamEnd
from filterd.ledger.checkpoint import Signer
from filterd.ledger.codec import instant_text
from filterd.ledger.evidence import NOWHERE
from filterd.ledger.files import TEMPORARY, read_plain, sync
from filterd.ledger.loss import MARK, TAKEN_AT
from filterd.ledger.schema import ENTRY, EVIDENCE, META, VAULT_OBJECT
from filterd.ledger.store import reason
from filterd.ports import Keys

# What `meta` says of a restore is no matter of the next one.
_OF_THIS_STORE = frozenset({MARK, TAKEN_AT})

# How far along it is: what, and how many of them.
OnProgress = Callable[[str, int], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """What a set is made of.

    Args:
        connection: sees one snapshot of the store, whatever is written meanwhile.
        store: `sqlite` or `postgresql`.
        vault: the directory of evidence; None: it stands in the snapshot.
        anchor: the whole lines of the anchor file, read before the snapshot was taken.
        still_named: which of these addresses the store names now, while it runs on.
    """

    connection: Connection
    store: str
    vault: Path | None
    anchor: bytes
    streams: dict[str, StreamEnd]
    still_named: Callable[[Collection[str]], set[str]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Put:
    """Where a set goes, and what for.

    Args:
        target: a folder that is not there yet.
        key: the wrapped master key; None: it is left out.
        previous: an older set, whose evidence is linked instead of copied.
    """

    target: Path
    node: str
    program: str
    now: datetime
    key: bytes | None
    previous: Path | None = None


def take(source: Source, put: Put, keys: Keys, on_progress: OnProgress = lambda _what, _number: None) -> Manifest:
    """Take a backup. Raises UsageError, ModelError, or OSError, and leaves nothing that looks like a set."""
    if put.target.exists():
        raise UsageError(f"{put.target}: is there already; a backup is never written over another one")
    work = put.target.parent / f"{TEMPORARY}backup-{secrets.token_hex(8)}"
    # One by one: parents that mkdir makes along the way are open to others.
    for folder in (work, work / backup_set.TABLES_FOLDER, work / backup_set.VAULT_FOLDER):
        folder.mkdir(mode=0o700)
    try:
        manifest = _Taking(source, put, keys, work, on_progress).run()
        (work / backup_set.MANIFEST).chmod(0o600)
        for folder in sorted((x for x in work.rglob("*") if x.is_dir()), reverse=True):
            sync(folder)
        sync(work)
        work.rename(put.target)
        sync(put.target.parent)
    except BaseException as err:
        shutil.rmtree(work, ignore_errors=True)
        if isinstance(err, (SQLAlchemyError, sqlite3.Error)):
            raise ModelError(f"the ledger cannot be read: {reason(err)}") from err
        raise
    return manifest


class _Taking:
    """One backup under way."""

    def __init__(self, source: Source, put: Put, keys: Keys, work: Path, on_progress: OnProgress):
        self._source, self._put, self._keys, self._work = source, put, keys, work
        self._on_progress = on_progress
        self._files: dict[str, FileNote] = {}
        self._heads: dict[str, ChainEnd] = {}

    def run(self) -> Manifest:
        source = self._source
        # Of a mail of which only the digest is kept there is no object.
        named = set(source.connection.execute(select(EVIDENCE.c.address).distinct()).scalars()) - {NOWHERE}
        kept, missing = self._evidence(named)
        absent = source.still_named(missing) if missing else set()
        for table in backup_set.TABLES:
            self._table(table, gone=missing - absent)
        self._file(backup_set.ANCHOR, [source.anchor])
        self._file(backup_set.INDEX, (backup_set.index_line(x) for x in kept))
        if self._put.key is not None:
            self._file(backup_set.KEY, [self._put.key])
        manifest = Manifest(
            v=backup_set.VERSION,
            taken_at=instant_text(self._put.now),
            node=self._put.node,
            store=source.store,
            schema=int(backup_set.stored_meta(self._work)["schema_version"]),
            program=self._put.program,
            heads=tuple(self._heads[name] for name in sorted(self._heads)),
            files=dict(self._files),
            objects=len(kept),
            object_bytes=sum(x.size for x in kept),
            absent=tuple(sorted(absent)),
            streams=source.streams,
            has_key=self._put.key is not None,
            public_key=Signer(self._keys.checkpoint).public_key.hex(),
        )
        self._file(backup_set.MANIFEST, [backup_set.signed(manifest, self._keys.checkpoint)])
        return manifest

    def _table(self, table: Any, gone: Collection[str]) -> None:
        number = 0

        def lines() -> Iterator[bytes]:
            nonlocal number
            for row in backup_set.rows_of(self._source.connection, table):
                if (table is META and row["key"] in _OF_THIS_STORE) or (table is EVIDENCE and row["address"] in gone):
                    continue
                if table is ENTRY:
                    end = ChainEnd(writer=row["writer"], seq=row["seq"], row_hash=row["row_hash"].hex())
                    self._heads[end.writer] = end
                number += 1
                if number % 1000 == 0:
                    self._on_progress(table.name, number)
                yield backup_set.row_line(table, row)

        name = backup_set.table_file(table.name)
        self._file(name, lines())
        note = self._files[name]
        self._files[name] = FileNote(size=note.size, sha256=note.sha256, rows=number)

    def _evidence(self, named: Collection[str]) -> tuple[list[Kept], set[str]]:
        """Put the evidence away; say what there is, and which of it there is not."""
        before = {} if self._put.previous is None else {x.address: x for x in backup_set.read_index(self._put.previous)}
        kept: list[Kept] = []
        missing: set[str] = set()
        for number, address in enumerate(sorted(named)):
            self._on_progress("evidence", number)
            target = self._work / backup_set.object_file(address)
            target.parent.mkdir(mode=0o700, exist_ok=True)
            if (known := before.get(address)) is not None and self._link(known, target):
                kept.append(known)
                continue
            sealed = self._sealed(address)
            if sealed is None:
                missing.add(address)
                continue
            _write(target, [sealed])
            kept.append(Kept(address=address, size=len(sealed), sha256=hashlib.sha256(sealed).hexdigest()))
        return kept, missing

    def _link(self, known: Kept, target: Path) -> bool:
        """Take an object from the set before; say whether that went. Objects never change under their address."""
        if self._put.previous is None:
            return False
        file = self._put.previous / backup_set.object_file(known.address)
        try:
            if file.stat().st_size != known.size:
                return False
            os.link(file, target, follow_symlinks=False)
        except OSError:
            # On another volume, or gone: it is copied from the ledger again.
            return False
        return True

    def _sealed(self, address: str) -> bytes | None:
        if self._source.vault is None:
            query = select(VAULT_OBJECT.c.sealed).where(VAULT_OBJECT.c.address == address)
            return self._source.connection.execute(query).scalar()
        try:
            return read_plain(self._source.vault / address[:2] / address)
        except FileNotFoundError:
            return None

    def _file(self, name: str, parts: Any) -> None:
        self._files[name] = _write(self._work / name, parts)


def _write(target: Path, parts: Any) -> FileNote:
    """Write a new private file and sync it; say what is in it. Raises OSError."""
    sha256, size = hashlib.sha256(), 0
    fd = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    with os.fdopen(fd, "wb") as file:
        for part in parts:
            file.write(part)
            sha256.update(part)
            size += len(part)
        file.flush()
        os.fsync(fd)
    return FileNote(size=size, sha256=sha256.hexdigest())


# --- snapshots --------------------------------------------------------------------------------------------------------


@contextmanager
def snapshot_of_file(file: Path) -> Iterator[Connection]:
    """Read a SQLite file that nobody writes: a copy, or the store of a ledger whose lock we hold."""
    engine = create_engine(
        "sqlite://",
        # Nobody writes it, so that SQLite need not look for a journal, or leave one beside.
        creator=lambda: sqlite3.connect(f"file:{quote(str(file))}?immutable=1", uri=True, isolation_level=None),
        poolclass=NullPool,
    )
    try:
        with engine.connect() as connection:
            connection.exec_driver_sql("BEGIN")
            yield connection
    finally:
        engine.dispose()


@contextmanager
def snapshot_of_database(url: str) -> Iterator[Connection]:
    """See one state of a PostgreSQL database, whatever its nodes write meanwhile. Raises LedgerUnavailable."""
    import psycopg

    from filterd.ledger.postgres import conninfo, place_of

    engine = create_engine(
        "postgresql+psycopg://", creator=lambda: psycopg.connect(conninfo(url)), poolclass=NullPool
    )
    try:
        try:
            connection = engine.connect()
        except (SQLAlchemyError, psycopg.Error) as err:
            raise LedgerUnavailable(f"{place_of(url)}: cannot be opened") from err
        with connection:
            seeing = connection.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)
            with seeing.begin():
                yield seeing
    finally:
        engine.dispose()


def whole_lines(file: Path) -> bytes:
    """Say the whole lines of an anchor file; none when it is not there. Raises OSError."""
    try:
        octets = file.read_bytes()
    except FileNotFoundError:
        return b""
    return octets[: octets.rfind(b"\n") + 1]
