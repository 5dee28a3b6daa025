"""The tables of the ledger, in SQLAlchemy Core, so that SQLite and PostgreSQL share one description.

`entry` is the record; it is only ever appended to. `mention` and `opening` are look-up tables made of it. Everything
personal stands in a column called `sealed`, or as a keyed hash. Instants are RFC 3339 text in UTC with microseconds,
which sorts by time.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Dialect,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    TypeDecorator,
    false,
)

from filterd.ledger.codec import instant, instant_text, storable

# Of the tables; the version of an entry's body is model.entry.SCHEMA_VERSION.
STORE_VERSION = 2

# What makes tables of a version those of the next.
MIGRATIONS = {
    1: (
        "ALTER TABLE tenant ADD COLUMN supplement BLOB",
        "ALTER TABLE tenant ADD COLUMN domains_declared BOOLEAN DEFAULT 0 NOT NULL",
    ),
}

METADATA = MetaData()


class Word(TypeDecorator[str]):
    """Text that any database takes: lone surrogates and NUL are escaped on the way in (FAULTS F15)."""

    impl = String
    cache_ok = True

    def process_bind_param(self, value: Any, dialect: Dialect) -> str | None:
        return None if value is None else storable(str(value))


class Instant(TypeDecorator[datetime]):
    """An aware instant as text of fixed width."""

    impl = String(27)
    cache_ok = True

    def process_bind_param(self, value: Any, dialect: Dialect) -> str | None:
        return None if value is None else instant_text(value)

    def process_result_value(self, value: Any, dialect: Dialect) -> datetime | None:
        return None if value is None else instant(value)


META = Table(
    "meta",
    METADATA,
    Column("key", String(40), primary_key=True),
    Column("value", String(200), nullable=False),
)

# `written_at` is plain text here: what was hashed is what is stored, character by character.
ENTRY = Table(
    "entry",
    METADATA,
    Column("writer", String(64), primary_key=True),
    Column("seq", BigInteger, primary_key=True, autoincrement=False),
    Column("written_at", String(27), nullable=False, index=True),
    Column("kind", String(40), nullable=False),
    Column("account_id", String(80)),
    Column("tenant_id", String(80)),
    Column("schema", Integer, nullable=False),
    Column("body", LargeBinary, nullable=False),
    Column("sealed", LargeBinary),
    Column("prev_hash", LargeBinary, nullable=False),
    Column("row_hash", LargeBinary, nullable=False),
    Index("entry_of_account", "account_id", "written_at", "writer", "seq"),
)

# `wrapped` is NULL once the subject is erased; the row stays so that no new key is made for it.
SUBJECT_KEY = Table(
    "subject_key",
    METADATA,
    Column("subject_id", Word(80), primary_key=True),
    Column("wrapped", LargeBinary),
    Column("destroyed_at", Instant),
)

# `supplement` is the record of a signed one in canonical JSON; it names no person and is not sealed.
TENANT = Table(
    "tenant",
    METADATA,
    Column("tenant_id", Word(80), primary_key=True),
    Column("agreement", Word(200), nullable=False),
    Column("language", Word(40)),
    Column("seats", Integer),
    Column("sealed", LargeBinary),
    Column("supplement", LargeBinary),
    Column("domains_declared", Boolean, nullable=False, server_default=false()),
)

TENANT_DOMAIN = Table(
    "tenant_domain",
    METADATA,
    Column("domain", Word(255), primary_key=True),
    Column("tenant_id", ForeignKey("tenant.tenant_id"), nullable=False, index=True),
    Column("position", Integer, nullable=False),
)

# `login_hash` is NULL once the account is erased: whoever gets the address next is somebody else (STANDING 5.7-19).
ACCOUNT = Table(
    "account",
    METADATA,
    Column("account_id", Word(80), primary_key=True),
    Column("tenant_id", ForeignKey("tenant.tenant_id"), nullable=False, index=True),
    Column("login_hash", String(32), unique=True),
    Column("language", Word(40)),
    Column("sealed", LargeBinary),
)

PERSON = Table(
    "person",
    METADATA,
    Column("name", Word(200), primary_key=True),
    Column("role", Word(80), nullable=False),
    Column("token_hash", String(32), nullable=False, unique=True),
)

DELIVERY = Table(
    "delivery",
    METADATA,
    Column("account_id", Word(80), primary_key=True),
    Column("delivery_key", Word(128), primary_key=True),
    Column("incident_id", Word(80), nullable=False),
    Column("at", Instant, nullable=False),
)

OUTBOX = Table(
    "outbox",
    METADATA,
    Column("item_id", Word(80), primary_key=True),
    Column("topic", Word(80), nullable=False),
    Column("merge_key", Word(200)),
    Column("created_at", Instant, nullable=False),
    Column("due_at", Instant, nullable=False, index=True),
    Column("attempts", Integer, nullable=False),
    Column("leased_at", Instant),
    Column("lease_until", Instant),
    Column("sealed", LargeBinary, nullable=False),
    Index("outbox_merge", "topic", "merge_key"),
)

# One row a promoted transaction; several may share a file. `address` is the name of the file in the vault.
EVIDENCE = Table(
    "evidence",
    METADATA,
    Column("transaction_id", Word(80), primary_key=True),
    Column("account_id", Word(80), nullable=False),
    Column("digest", String(64), nullable=False),
    Column("address", String(32), nullable=False, index=True),
    Column("stored_at", Instant, nullable=False),
    Column("retention_until", Instant, nullable=False, index=True),
)

MENTION = Table(
    "mention",
    METADATA,
    Column("id", Word(80), primary_key=True),
    Column("account_id", Word(80), nullable=False),
    # The hex part of an incident's id, from which people quote the beginning.
    Column("digits", String(64), index=True),
)

OPENING = Table(
    "opening",
    METADATA,
    Column("account_id", Word(80), primary_key=True),
    Column("source", Word(40), nullable=False),
    Column("at", Instant, nullable=False),
    Index("opening_of_source", "source", "at"),
)

VOLUME_DAY = Table(
    "volume_day",
    METADATA,
    Column("account_id", Word(80), primary_key=True),
    Column("day", String(10), primary_key=True),
    Column("messages", Integer, nullable=False),
    Column("recipients", Integer, nullable=False),
)

CORRESPONDENT = Table(
    "correspondent",
    METADATA,
    Column("account_id", Word(80), primary_key=True),
    Column("recipient_hash", Word(128), primary_key=True),
    Column("first_day", String(10), nullable=False),
)
