"""Which recipients of which message were counted before: a retry is not a second offence (HOUSE rule 6)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime

from sqlalchemy import Connection, bindparam, insert, select

from filterd.ledger.codec import storable
from filterd.ledger.schema import DELIVERY

# SQLite takes 32766 parameters in a statement, releases before 3.32 only 999.
_AT_ONCE = 500
_KNOWN = select(DELIVERY.c.delivery_key).where(
    DELIVERY.c.account_id == bindparam("account_id"), DELIVERY.c.delivery_key.in_(bindparam("keys", expanding=True))
)
_INSERT = insert(DELIVERY)


def unseen(connection: Connection, account_id: str, keys: Iterable[str]) -> tuple[str, ...]:
    """Say which keys were never marked for this account, in order, each once."""
    wanted = list(dict.fromkeys(map(storable, keys)))
    known: set[str] = set()
    for some in _chunks(wanted):
        known.update(connection.execute(_KNOWN, {"account_id": account_id, "keys": some}).scalars())
    return tuple(key for key in wanted if key not in known)


def mark(connection: Connection, account_id: str, incident_id: str, keys: Iterable[str], at: datetime) -> None:
    """Mark keys as counted in an incident; those marked before stay as they are."""
    new = unseen(connection, account_id, keys)
    if new:
        shared = {"account_id": account_id, "incident_id": incident_id, "at": at}
        connection.execute(_INSERT, [{**shared, "delivery_key": key} for key in new])


def _chunks(keys: list[str]) -> Iterator[list[str]]:
    for start in range(0, len(keys), _AT_ONCE):
        yield keys[start : start + _AT_ONCE]
