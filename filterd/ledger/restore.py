"""Putting a backup in the place of a lost ledger, and going on from there.  ops/docs/BACKUP.md, decisions/0017.

`load` fills an empty place: store first, marked as unfinished, so that nothing starts from half of it. `recover` then
puts back what is known to have come after the backup. Where that is not all, the store stays marked, and the ledger
refuses to start until a person accepts the loss by name (`recover` with an acceptance).
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import orjson
from sqlalchemy import Connection, inspect, select
from sqlalchemy.exc import SQLAlchemyError

from filterd.errors import ModelError, UsageError
from filterd.ledger import backup_set, loss, people
from filterd.ledger.anchor import FILE_NAME as ANCHOR_NAME
from filterd.ledger.anchor import AnchorFile, read_file
from filterd.ledger.backup_set import Manifest, StreamEnd
from filterd.ledger.checkpoint import Checkpoint, trust_of
from filterd.ledger.equipment import VAULT_NAME, Equipment, equip
from filterd.ledger.files import private_directory, sync, write_durably
from filterd.ledger.histories import Apply
from filterd.ledger.recovery import Acceptance, Customs, Recovered, Recovery, heads_of, name_what_rows_hide
from filterd.ledger.schema import META, VAULT_OBJECT
from filterd.ledger.sqlite import SqliteStore
from filterd.ledger.store import FILE_NAME as STORE_NAME
from filterd.ledger.store import LOCK_NAME, StateLock, Store, open_store, reason
from filterd.ledger.traces import Heard, Plan, plan
from filterd.ledger.versions import prepare
from filterd.model.about import EVERYTHING
from filterd.ports import Keys

# Beside these a state directory is empty.
_MAY_BE_THERE = frozenset({"master.key", LOCK_NAME, "lost+found", backup_set.KEY})
# Event streams go on at the next full million where nobody knows how far they went.
_STREAM_EPOCH = 1_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where a ledger stands, or is to stand. `url` None: a SQLite file in the state directory."""

    state_dir: Path
    node: str
    url: str | None

    @property
    def writer(self) -> str:
        return f"{self.node}.ledger"


# --- filling an empty place -------------------------------------------------------------------------------------------


def refuse_what_is_not_empty(place: Place) -> None:
    """Raise UsageError where anything stands that a restore would cover."""
    if place.state_dir.exists():
        there = sorted(x.name for x in place.state_dir.iterdir() if x.name not in _MAY_BE_THERE)
        if there:
            raise UsageError(f"{place.state_dir}: holds {there[0]}; a backup is restored into an empty directory")
    if place.url is not None:
        with _unlocked(place) as store, store.connection.begin():
            if names := inspect(store.connection).get_table_names():
                raise UsageError(f"{store.place}: has a table {names[0]}; a backup is restored into an empty database")


def load(folder: Path, manifest: Manifest, place: Place, keys: Keys, anchors: Sequence[Path], heard: Heard) -> None:
    """Put a verified set into an empty place. Raises ModelError, UsageError, OSError.

    Args:
        anchors: anchor files of this node; the one that has seen most is gone on with.
        heard: what was read of the streams that came after, for where their numbers go on.
    """
    private_directory(place.state_dir)
    lock = StateLock(place.state_dir)
    try:
        if place.url is None:
            _load_file(folder, manifest, place, keys)
        else:
            _load_database(folder, manifest, place, keys)
        _take_anchor(folder, place, keys, anchors)
        _go_on_with_streams(place.state_dir / "events", manifest, heard)
    finally:
        lock.release()


def write_key(file: Path, master: bytes) -> None:
    """Put a master key where the node looks for it; one that is there stays."""
    if not file.exists():
        write_durably(file, master.hex().encode("ascii") + b"\n")


def _load_file(folder: Path, manifest: Manifest, place: Place, keys: Keys) -> None:
    file = place.state_dir / STORE_NAME
    # Another name until it is whole: a ledger would begin a new chain in an empty file.
    beside = file.with_suffix(".restoring")
    os.close(os.open(beside, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
    store = SqliteStore(beside)
    try:
        with _said(store), store.connection.begin():
            _fill(store.connection, str(file), folder, manifest, keys)
    finally:
        store.close()
    sync(beside)
    beside.rename(file)
    sync(place.state_dir)
    vault = place.state_dir / VAULT_NAME
    private_directory(vault)
    for kept in backup_set.read_index(folder):
        target = vault / kept.address[:2] / kept.address
        target.parent.mkdir(mode=0o700, exist_ok=True)
        # A copy: the backup must not share its blocks with what is in use.
        shutil.copyfile(folder / backup_set.object_file(kept.address), target, follow_symlinks=False)
        target.chmod(0o600)
        sync(target)
    for directory in (*(x for x in vault.iterdir() if x.is_dir()), vault):
        sync(directory)


def _load_database(folder: Path, manifest: Manifest, place: Place, keys: Keys) -> None:
    with _unlocked(place) as store, _said(store), store.connection.begin():
        # All that a node would lock: none may come in between.
        store.lock([EVERYTHING])
        _fill(store.connection, store.place, folder, manifest, keys)
        for kept in backup_set.read_index(folder):
            sealed = (folder / backup_set.object_file(kept.address)).read_bytes()
            row = {"address": kept.address, "stored_at": _instant(manifest.taken_at), "sealed": sealed}
            store.connection.execute(VAULT_OBJECT.insert(), row)


def _fill(connection: Connection, name: str, folder: Path, manifest: Manifest, keys: Keys) -> None:
    prepare(connection, name, keys.chain, may_create=True)
    for table in backup_set.TABLES:
        if table is META:
            continue
        number = backup_set.insert_rows(connection, table, backup_set.read_rows(folder, table))
        expected = manifest.files[backup_set.table_file(table.name)].rows
        if number != expected:
            raise ModelError(f"{folder}: {number} rows of {table.name}, the manifest says {expected}")
    connection.execute(META.insert(), {"key": loss.TAKEN_AT, "value": manifest.taken_at})
    loss.set_mark(connection, loss.UNFINISHED)


def _take_anchor(folder: Path, place: Place, keys: Keys, given: Sequence[Path]) -> None:
    """Go on with the anchor file that has seen most of this node's chain."""
    trust = trust_of(keys)
    best, farthest = folder / backup_set.ANCHOR, -1
    for file in (folder / backup_set.ANCHOR, *given):
        seen = max((x.seq for x in read_file(file, trust).checkpoints if x.writer == place.writer), default=-1)
        if seen > farthest:
            best, farthest = file, seen
    octets = best.read_bytes()
    if octets:
        write_durably(place.state_dir / ANCHOR_NAME, octets[: octets.rfind(b"\n") + 1])


def _go_on_with_streams(directory: Path, manifest: Manifest, heard: Heard) -> None:
    """Write the notes by which event streams go on behind what was there (log.stream)."""
    directory.mkdir(mode=0o750, parents=True, exist_ok=True)
    for writer in sorted({*manifest.streams, *heard.ends}):
        taken, known = manifest.streams.get(writer), heard.ends.get(writer)
        end = known or taken or StreamEnd(seq=0, ledger={})
        seq = end.seq if known is not None else (end.seq // _STREAM_EPOCH + 1) * _STREAM_EPOCH
        ledger = {**(taken.ledger if taken is not None else {}), **end.ledger}
        write_durably(directory / f"{writer}.seq", orjson.dumps({"seq": seq, "ledger": ledger}))


# --- what came after --------------------------------------------------------------------------------------------------


def read_anchors(files: Iterable[Path], keys: Keys) -> list[Checkpoint]:
    """Read anchor files. Raises ModelError for the first that does not hold: nothing may be concluded from it."""
    found: list[Checkpoint] = []
    for file in files:
        reading = read_file(file, trust_of(keys))
        if reading.wrong is not None:
            raise ModelError(f"{reading.wrong}; this anchor file proves nothing")
        found += reading.checkpoints
    return found


def recover(
    place: Place,
    keys: Keys,
    apply: Apply,
    heard: Heard,
    customs: Customs,
    *,
    now: datetime,
    acceptance: Acceptance | None = None,
    erased: Sequence[str] = (),
    trusts_streams: bool = False,
) -> tuple[Plan, Recovered]:
    """Put back what is known to have come after, into a store that is not running; say what that was.

    Without an acceptance rows are only ever put in their own places; with one, the rest follows under new numbers and
    the loss is on record. Raises UsageError when there is nothing to accept, or nobody of that name may act.
    """
    with ExitStack() as stack:
        stack.callback(StateLock(place.state_dir).release)
        store = open_store(place.state_dir, keys.chain, url=place.url, writer=place.writer, may_create=False)
        stack.callback(store.close)
        equipment = equip(place.state_dir, place.node, keys, apply, 1000, place.url)
        equipment.heads.is_shared = store.is_shared
        with _said(store), store.connection.begin():
            store.lock([EVERYTHING])
            equipment.heads.begin()
            found = _recover(store, equipment, heard, customs, now, acceptance, erased, trusts_streams)
        if found[1].is_accepted:
            _anchor(store.connection, place, keys, now)
        return found


def _recover(
    store: Store,
    equipment: Equipment,
    heard: Heard,
    customs: Customs,
    now: datetime,
    acceptance: Acceptance | None,
    erased: Sequence[str],
    trusts_streams: bool,
) -> tuple[Plan, Recovered]:
    connection = store.connection
    mark = loss.mark_of(connection)
    todo = plan(heads_of(connection), heard, equipment.keys.chain, trusts_streams=trusts_streams)
    _refuse_less_than_before(mark, _recoverable(todo))
    if mark is not None and mark.endswith(loss.UNKNOWN) and not _recoverable(todo) and not todo.missing:
        # The anchors that came with the backup are not from after it.
        todo.is_known = False
    if mark is None and acceptance is not None and todo.is_whole and not todo.in_place and not erased:
        raise UsageError(f"{store.place}: nothing is missing; there is no loss to accept")
    work = Recovery(equipment, connection, now, customs)
    name_what_rows_hide(work.txn(), todo)
    is_whole = todo.is_whole and not todo.affected
    work.done.affected = {account: sorted(why) for account, why in sorted(todo.affected.items())}
    if not is_whole and acceptance is None:
        # Nothing of it until somebody answers for it; but who was erased stays so from here on.
        work.erase(erased, on_record=False)
        work.done.missing = tuple(todo.missing)
        known = "" if todo.is_known else f" {loss.UNKNOWN}"
        loss.set_mark(connection, f"{loss.OPEN}{_recoverable(todo)}{known}")
        return todo, work.done
    work.put_in_place(todo.in_place)
    if acceptance is not None and not is_whole:
        _refuse_strangers(connection, acceptance.by)
        work.accept(todo, acceptance, heads_of(connection))
    work.erase(erased, on_record=True)
    work.settle_notices(is_complete=todo.is_known and not todo.missing)
    work.done.is_accepted = True
    loss.set_mark(connection, None)
    store.announce(work.entries, True)
    return todo, work.done


def backup_time(place: Place, keys: Keys) -> datetime | None:
    """Say when the backup was taken that a store was restored from, None where it was not."""
    with ExitStack() as stack:
        store = open_store(place.state_dir, keys.chain, url=place.url, may_create=False)
        stack.callback(store.close)
        with store.connection.begin():
            said = store.connection.execute(select(META.c.value).where(META.c.key == loss.TAKEN_AT)).scalar()
    return None if said is None else _instant(said)


def _recoverable(todo: Plan) -> int:
    return len(todo.in_place) + len(todo.again)


def _refuse_less_than_before(mark: str | None, recoverable: int) -> None:
    """What a restore could bring back must not be lost because a stream was not given again."""
    if mark is None or not mark.startswith(loss.OPEN):
        return
    before = int(mark.removeprefix(loss.OPEN).removesuffix(loss.UNKNOWN))
    if recoverable < before:
        raise UsageError(
            f"{before} rows could be brought back at the restore, now {recoverable}: give the same --events and"
            " --anchor once more"
        )


def _refuse_strangers(connection: Connection, name: str) -> None:
    known = [person for person, _ in people.people(connection)]
    if name != "root" and name not in known:
        raise UsageError(f"{name!r} is nobody of this ledger; there are {', '.join(known) or 'no people'}, or root")


def _anchor(connection: Connection, place: Place, keys: Keys, now: datetime) -> None:
    """Anchor where the chain ends now, so that the loss cannot be undone unseen."""
    with connection.begin():
        head = heads_of(connection).get(place.writer)
    if head is not None:
        file = AnchorFile(place.state_dir / ANCHOR_NAME, keys)
        file.mend()
        file.append(place.writer, head, now)
        file.sync()


@contextmanager
def _unlocked(place: Place) -> Iterator[Store]:
    """Hold the database as it is, tables or not. The lock of this node's name is taken."""
    from filterd.ledger.postgres import PostgresStore

    if place.url is None:
        raise UsageError("a SQLite store is opened by its file")
    store = PostgresStore(place.url, place.writer)
    try:
        yield store
    finally:
        store.close()


@contextmanager
def _said(store: Store) -> Iterator[None]:
    try:
        yield
    except SQLAlchemyError as err:
        raise ModelError(f"{store.place}: cannot be restored: {reason(err)}") from err


def _instant(text: str) -> datetime:
    return datetime.fromisoformat(text).astimezone(UTC)
