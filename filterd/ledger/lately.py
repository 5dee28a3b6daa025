"""What a watch needs to know of the last days when it begins: rows of some kinds, and how many accounts sent."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime, timedelta

from sqlalchemy import Connection, distinct, func, select

from filterd.ledger.codec import decode_record, instant_text
from filterd.ledger.schema import COUNT_DAY, ENTRY
from filterd.model.records import Record

# Of ids of accounts, among the subjects of the counters.
_ACCOUNTS = "a\\_%"


def rows_since(
    connection: Connection, since: datetime, kinds: Collection[str], limit: int
) -> tuple[tuple[str | None, Record], ...]:
    """Say (account id, record) of the latest `limit` rows of these kinds written since then, in the order written."""
    wanted = (
        select(ENTRY.c.account_id, ENTRY.c.kind, ENTRY.c.body)
        .where(ENTRY.c.written_at >= instant_text(since), ENTRY.c.kind.in_(tuple(kinds)))
        .order_by(ENTRY.c.written_at.desc(), ENTRY.c.writer.desc(), ENTRY.c.seq.desc())
        .limit(limit)
    )
    found = [(row.account_id, decode_record(row.kind, row.body)) for row in connection.execute(wanted)]
    return tuple(reversed(found))


def active_senders(connection: Connection, now: datetime, days: int) -> int:
    """Say how many accounts sent anything within so many days, today included."""
    since = (now - timedelta(days=days)).date().isoformat()
    mine = COUNT_DAY.c.subject_id.like(_ACCOUNTS, escape="\\")
    query = select(func.count(distinct(COUNT_DAY.c.subject_id))).where(mine, COUNT_DAY.c.day >= since)
    return int(connection.execute(query).scalar_one())
