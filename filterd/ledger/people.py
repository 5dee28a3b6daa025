"""Who may act by name. A token is kept as a keyed hash only; one person has one."""

from __future__ import annotations

from sqlalchemy import Connection, insert, select, update

from filterd.errors import UsageError
from filterd.ledger.codec import escaped
from filterd.ledger.schema import PERSON
from filterd.model.ids import keyed_hash


def person(connection: Connection, token_key: bytes, token: str) -> tuple[str, str] | None:
    """Say (name, role) of the person whose token this is, or None."""
    by_token = PERSON.c.token_hash == _hashed(token_key, token)
    row = connection.execute(select(PERSON.c.name, PERSON.c.role).where(by_token)).first()
    return None if row is None else (row.name, row.role)


def put_person(connection: Connection, token_key: bytes, name: str, role: str, token: str) -> None:
    """Add somebody, or give them another role and token. Raises UsageError when the token is somebody else's."""
    hashed = _hashed(token_key, token)
    holder = connection.execute(select(PERSON.c.name).where(PERSON.c.token_hash == hashed)).scalar()
    if holder not in (None, name):
        raise UsageError("this token belongs to another person")
    values = {"role": role, "token_hash": hashed}
    if connection.execute(update(PERSON).where(PERSON.c.name == name).values(**values)).rowcount == 0:
        connection.execute(insert(PERSON), {"name": name, **values})


def people(connection: Connection) -> tuple[tuple[str, str], ...]:
    """Say (name, role) of everybody, by name."""
    rows = connection.execute(select(PERSON.c.name, PERSON.c.role).order_by(PERSON.c.name))
    return tuple((row.name, row.role) for row in rows)


def _hashed(token_key: bytes, token: str) -> str:
    return keyed_hash(token_key, "person", escaped(token))
