"""Which recipients of which message were counted before: a retry is not a second offence (HOUSE rule 6)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime

from sqlalchemy import Connection, bindparam, select, text

from filterd.ledger.codec import instant_text, storable
from filterd.ledger.schema import DELIVERY

# SQLite takes 32766 parameters in a statement, releases before 3.32 only 999.
_AT_ONCE = 500
_KNOWN = select(DELIVERY.c.delivery_key).where(
    DELIVERY.c.account_id == bindparam("account_id"), DELIVERY.c.delivery_key.in_(bindparam("keys", expanding=True))
)
# SQLite and PostgreSQL both read this.
_INSERT_NEW = text(
    "INSERT INTO delivery (account_id, delivery_key, incident_id, at) VALUES (:account_id, :delivery_key, :incident_id,"
    " :at) ON CONFLICT (account_id, delivery_key) DO NOTHING"
)


def unseen(connection: Connection, account_id: str, keys: Iterable[str]) -> tuple[str, ...]:
    """Say which keys were never marked for this account, in order, each once."""
    wanted = list(dict.fromkeys(map(storable, keys)))
    known: set[str] = set()
    for some in _chunks(wanted):
        known.update(connection.execute(_KNOWN, {"account_id": account_id, "keys": some}).scalars())
    return tuple(key for key in wanted if key not in known)


def mark(connection: Connection, account_id: str, incident_id: str, keys: Iterable[str], at: datetime) -> None:
    """Mark keys as counted in an incident; those marked before stay as they are."""
    shared = {"account_id": storable(account_id), "incident_id": storable(incident_id), "at": instant_text(at)}
    rows = [{**shared, "delivery_key": storable(key)} for key in keys]
    if rows:
        connection.execute(_INSERT_NEW, rows)


def _chunks(keys: list[str]) -> Iterator[list[str]]:
    for start in range(0, len(keys), _AT_ONCE):
        yield keys[start : start + _AT_ONCE]
