"""The search index over the event streams.  ports.VerdictIndex; ops/docs/EVENTS.md, *The index*.

    index = open_index(state_dir, url=None)
    index.find(MailQuery(account_id="a_1", limit=50))

Rows and the position in the stream they were read from are one transaction, so that a crash leaves neither a gap nor a
row twice.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import fields
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import orjson
from sqlalchemy import Connection, Table, delete, func, insert, select, text, update
from sqlalchemy.dialects import postgresql, sqlite

from filterd.clients.verdict_index_store import FILE_NAME, IndexStore
from filterd.clients.verdict_index_tables import ANSWER, FINDING, JUDGED, META, OF_EVENTS, OUTCOMES, POSITION
from filterd.model.found import FoundMail, IndexStatus, JudgedMail, MailAnswer, MailQuery, StreamPosition, order_of

# Below SQLite's oldest bound on variables, 999.
_AT_ONCE = 500
# Rows taken out in one transaction: others wait for it.
_EXPIRED_AT_ONCE = 5_000
_SAID = ("codes", "reasons", "checks", "recipients", "streams")
_COLUMNS = tuple(field.name for field in fields(JudgedMail) if field.name not in _SAID)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def open_index(state_dir: Path, *, url: str | None = None, may_create: bool = True) -> StoredVerdictIndex:
    """Say the index of a node; nothing is opened before it is used.

    Args:
        url: of PostgreSQL; None: the file `verdicts.sqlite3` in `state_dir`.
        may_create: False for whoever only looks.

    Raises:
        ConfigError: the URL is none.
    """
    return StoredVerdictIndex(IndexStore(state_dir / FILE_NAME, url, may_create=may_create))


class StoredVerdictIndex:
    """Implements ports.VerdictIndex."""

    def __init__(self, store: IndexStore):
        self._store = store

    # --- reading the stream -------------------------------------------------------------------------------------------

    def position(self, writer: str) -> StreamPosition | None:
        with self._store.transaction(is_writing=False) as connection:
            return _position(connection, writer)

    def add(
        self,
        writer: str,
        before: StreamPosition | None,
        after: StreamPosition,
        first_seq: int,
        rows: Sequence[JudgedMail | MailAnswer],
    ) -> bool:
        with self._store.transaction(is_writing=True) as connection:
            if _position(connection, writer, is_locked=True) != before:
                return False
            for table in OF_EVENTS:
                of_events = table.c.seq.between(first_seq, after.seq)
                connection.execute(delete(table).where(table.c.writer == writer, of_events))
            mails = [row for row in rows if isinstance(row, JudgedMail)]
            _keep_outcomes(connection, mails)
            _insert(connection, JUDGED, [_judged_row(mail) for mail in mails])
            _insert(connection, FINDING, [row for mail in mails for row in _finding_rows(mail)])
            _insert(connection, ANSWER, [_answer_row(row) for row in rows if isinstance(row, MailAnswer)])
            place = {"seq": after.seq, "inode": str(after.inode), "offset": after.offset, "mark": after.mark}
            if before is None:
                connection.execute(insert(POSITION).values(writer=writer, **place))
            else:
                connection.execute(update(POSITION).where(POSITION.c.writer == writer).values(**place))
            return True

    def rewind(self, writer: str, last_seq: int) -> None:
        with self._store.transaction(is_writing=True) as connection:
            for table in OF_EVENTS:
                connection.execute(delete(table).where(table.c.writer == writer, table.c.seq > last_seq))
            connection.execute(delete(POSITION).where(POSITION.c.writer == writer))

    # --- searching ----------------------------------------------------------------------------------------------------

    def find(self, query: MailQuery, transactions: Collection[str] | None = None) -> list[FoundMail]:
        with self._store.transaction(is_writing=False) as connection:
            if transactions is None:
                rows = connection.execute(_meant(query, ())).mappings().all()
            else:
                rows = [
                    row
                    for some in _chunks(sorted(transactions))
                    for row in connection.execute(_meant(query, some)).mappings()
                ]
            mails = sorted((_mail(row) for row in rows), key=order_of)[-query.limit :]
            answers = _answers(connection, {mail.tx for mail in mails if mail.tx is not None})
            return [FoundMail(judged=mail, answer=answers.get(mail.tx)) for mail in mails]

    def status(self) -> IndexStatus:
        with self._store.transaction(is_writing=False) as connection:
            times = connection.execute(select(func.min(JUDGED.c.at_us), func.max(JUDGED.c.at_us))).one()
            places = connection.execute(select(POSITION).order_by(POSITION.c.writer)).mappings()
            return IndexStatus(
                place=self._store.place,
                mails=connection.execute(select(func.count()).select_from(JUDGED)).scalar_one(),
                answers=connection.execute(select(func.count()).select_from(ANSWER)).scalar_one(),
                oldest_us=times[0],
                newest_us=times[1],
                kept_since_us=_kept(connection),
                positions={row["writer"]: _place(row) for row in places},
            )

    # --- upkeep -------------------------------------------------------------------------------------------------------

    def expire(self, before: datetime) -> int:
        before_us = (before - _EPOCH) // timedelta(microseconds=1)
        with self._store.transaction(is_writing=True) as connection:
            _note(connection, "kept_since_us", str(before_us))
        gone = sum(self._expire_some(table, before_us) for table in OF_EVENTS)
        with self._store.transaction(is_writing=True) as connection:
            if connection.dialect.name == "sqlite":
                # PostgreSQL does it by itself. Bounded: a look at a thousand rows an index.
                connection.execute(text("PRAGMA analysis_limit = 1000"))
                connection.execute(text("ANALYZE"))
        return gone

    def kept_since_us(self) -> int | None:
        with self._store.transaction(is_writing=False) as connection:
            return _kept(connection)

    def clear(self) -> None:
        self._store.destroy()

    def close(self) -> None:
        self._store.close()

    def _expire_some(self, table: Table, before_us: int) -> int:
        gone = 0
        old = select(table.c.at_us).where(table.c.at_us < before_us).order_by(table.c.at_us)
        while True:
            with self._store.transaction(is_writing=True) as connection:
                # Everything as old as the last of so many, or all there is.
                last = connection.execute(old.limit(1).offset(_EXPIRED_AT_ONCE)).scalar()
                bound = table.c.at_us < before_us if last is None else table.c.at_us <= last
                gone += connection.execute(delete(table).where(bound)).rowcount
            if last is None:
                return gone


def _meant(query: MailQuery, transactions: Sequence[str]) -> Any:
    """Say the SELECT of a query; log.search.matches says the same in Python."""
    j = JUDGED.c
    said = select(JUDGED, OUTCOMES.c.said.label("checks")).join(OUTCOMES, OUTCOMES.c.digest == j.outcomes)
    order = (j.at_us, j.writer, j.seq)
    if query.code is not None:
        f = FINDING.c
        said = said.join(FINDING, (f.writer == j.writer) & (f.seq == j.seq)).where(f.code == query.code)
        # The same values; the index over codes has them in order.
        order = (f.at_us, f.writer, f.seq)
    for column, wanted in (
        (j.account_id, query.account_id),
        (j.tenant_id, query.tenant_id),
        (j.disposition, query.disposition),
        (j.sender_domain, query.sender_domain),
        (j.incident_id, query.incident_id),
    ):
        if wanted is not None:
            said = said.where(column == wanted)
    if query.message_ids is not None:
        said = said.where(j.message_id.in_(sorted(query.message_ids)))
    if query.since_us is not None:
        said = said.where(order[0] >= query.since_us)
    if query.until_us is not None:
        said = said.where(order[0] < query.until_us)
    if transactions:
        said = said.where(j.tx.in_(transactions))
    elif query.queue_id is not None:
        said = said.where(j.tx.in_(select(ANSWER.c.tx).where(ANSWER.c.queue_id == query.queue_id)))
    return said.order_by(*(column.desc() for column in order)).limit(query.limit)


def _answers(connection: Connection, transactions: Collection[str]) -> dict[str | None, MailAnswer]:
    """Say the last answer to each."""
    last: dict[str | None, MailAnswer] = {}
    for some in _chunks(sorted(transactions)):
        for row in connection.execute(select(ANSWER).where(ANSWER.c.tx.in_(some))).mappings():
            answer = MailAnswer(**row)
            if answer.tx not in last or order_of(answer) > order_of(last[answer.tx]):
                last[answer.tx] = answer
    return last


def _position(connection: Connection, writer: str, *, is_locked: bool = False) -> StreamPosition | None:
    asked = select(POSITION).where(POSITION.c.writer == writer)
    # SQLite has one writer, and says nothing in SQL about it.
    row = connection.execute(asked.with_for_update() if is_locked else asked).mappings().first()
    return None if row is None else _place(row)


def _place(row: Any) -> StreamPosition:
    return StreamPosition(seq=row["seq"], inode=int(row["inode"]), offset=row["offset"], mark=row["mark"])


def _kept(connection: Connection) -> int | None:
    said = connection.execute(select(META.c.value).where(META.c.key == "kept_since_us")).scalar()
    return None if said is None else int(said)


def _note(connection: Connection, key: str, value: str) -> None:
    connection.execute(delete(META).where(META.c.key == key))
    connection.execute(insert(META).values(key=key, value=value))


def _insert(connection: Connection, table: Table, rows: list[dict[str, Any]]) -> None:
    if rows:
        connection.execute(insert(table), rows)


def _keep_outcomes(connection: Connection, mails: Iterable[JudgedMail]) -> None:
    """Put in what the checks said where it was never said before, by this node or another."""
    kinds = {_digest(said): said.decode() for said in {orjson.dumps(mail.checks) for mail in mails}}
    if kinds:
        put = postgresql.insert(OUTCOMES) if connection.dialect.name == "postgresql" else sqlite.insert(OUTCOMES)
        rows = [{"digest": digest, "said": said} for digest, said in sorted(kinds.items())]
        connection.execute(put.on_conflict_do_nothing(), rows)


def _digest(said: bytes) -> int:
    """Say 63 bits of a hash: nobody gains by two texts that share one."""
    return int.from_bytes(hashlib.blake2b(said, digest_size=8).digest(), "big") >> 1


def _judged_row(mail: JudgedMail) -> dict[str, Any]:
    row = {name: getattr(mail, name) for name in _COLUMNS}
    said = orjson.dumps([mail.codes, mail.reasons, mail.recipients, mail.streams]).decode()
    return row | {"said": said, "outcomes": _digest(orjson.dumps(mail.checks))}


def _finding_rows(mail: JudgedMail) -> Iterator[dict[str, Any]]:
    for code in mail.codes:
        yield {"writer": mail.writer, "seq": mail.seq, "code": code, "at_us": mail.at_us}


def _answer_row(answer: MailAnswer) -> dict[str, Any]:
    return {field.name: getattr(answer, field.name) for field in fields(answer)}


def _mail(row: Any) -> JudgedMail:
    codes, reasons, recipients, streams = orjson.loads(row["said"])
    checks = orjson.loads(row["checks"])
    return JudgedMail(
        **{name: row[name] for name in _COLUMNS},
        codes=tuple(codes),
        reasons=tuple(reasons),
        checks=tuple((name, outcome, why) for name, outcome, why in checks),
        recipients=tuple(recipients),
        streams=tuple(streams),
    )


def _chunks(items: Sequence[str]) -> Iterable[Sequence[str]]:
    return (items[at : at + _AT_ONCE] for at in range(0, len(items), _AT_ONCE))
