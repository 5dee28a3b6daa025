"""Rows of who wrote to a tenant from outside, by keyed hash and last day.  STANDING 5.11 (received-first look-back)."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from datetime import date, timedelta

from sqlalchemy import Connection, delete, select
from sqlalchemy.dialects import postgresql, sqlite

from filterd.ledger.schema import ACQUAINTANCE

# The look-back of an agreement is at most thirty days; one more, because clocks of nodes differ.
KEPT_DAYS = 31
_ASKED_AT_ONCE = 500


def note(connection: Connection, rows: Iterable[tuple[str, str, date]], today: date) -> None:
    """Write (tenant id, hash, day) over what was written before, never an earlier day; forget what is too old."""
    values = [
        {"tenant_id": tenant, "sender_hash": who, "last_day": day.isoformat()}
        # Sorted: nodes that write the same rows at once must not wait for each other in a circle.
        for tenant, who, day in sorted(set(rows))
    ]
    if values:
        insert = (postgresql.insert if connection.dialect.name == "postgresql" else sqlite.insert)(ACQUAINTANCE)
        later = insert.excluded["last_day"]
        connection.execute(
            insert.on_conflict_do_update(
                index_elements=["tenant_id", "sender_hash"],
                set_={"last_day": later},
                where=ACQUAINTANCE.c.last_day < later,
            ),
            values,
        )
    old = (today - timedelta(days=KEPT_DAYS)).isoformat()
    connection.execute(delete(ACQUAINTANCE).where(ACQUAINTANCE.c.last_day < old))


def known(connection: Connection, tenant_id: str, senders: Collection[str], since: date) -> frozenset[str]:
    """Say which of these hashes have written to the tenant since a day."""
    asked, found = sorted(set(senders)), set[str]()
    for start in range(0, len(asked), _ASKED_AT_ONCE):
        query = select(ACQUAINTANCE.c.sender_hash).where(
            ACQUAINTANCE.c.tenant_id == tenant_id,
            ACQUAINTANCE.c.sender_hash.in_(asked[start : start + _ASKED_AT_ONCE]),
            ACQUAINTANCE.c.last_day >= since.isoformat(),
        )
        found.update(connection.execute(query).scalars())
    return frozenset(found)


def forget(connection: Connection, tenant_id: str) -> None:
    """Remove what is known of an erased tenant's correspondents."""
    connection.execute(delete(ACQUAINTANCE).where(ACQUAINTANCE.c.tenant_id == tenant_id))
