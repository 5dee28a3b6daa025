"""The tables of the ledger, in SQLAlchemy Core, so that SQLite and PostgreSQL share one description.

`entry` is the record; it is only ever appended to. `mention` and `opening` are look-up tables made of it. Everything
personal stands in a column called `sealed`, or as a keyed hash. Instants are RFC 3339 text in UTC with microseconds,
which sorts by time.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any, cast

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
    text,
)

from filterd.ledger.codec import instant, instant_text, storable

# Of the tables, as the last of `migrations` leaves them; the version of an entry's body is model.entry.SCHEMA_VERSION.
STORE_VERSION = 5
# The oldest program that can work with such tables: one of the version before, while nodes are upgraded in turn.
OLDEST_READER = 4

METADATA = MetaData()


def _plain(length: int) -> String:
    """Text compared octet by octet on every database, whatever its locale."""
    return String(length).with_variant(String(length, collation="C"), "postgresql")


class Word(TypeDecorator[str]):
    """Text that any database takes: lone surrogates and NUL are escaped on the way in (FAULTS F15)."""

    impl = String
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> Any:
        length = cast(String, self.impl_instance).length
        return dialect.type_descriptor(String(length, collation="C" if dialect.name == "postgresql" else None))

    def process_bind_param(self, value: Any, dialect: Dialect) -> str | None:
        return None if value is None else storable(str(value))


class Instant(TypeDecorator[datetime]):
    """An aware instant as text of fixed width."""

    impl = String(27)
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> Any:
        return dialect.type_descriptor(_plain(27))

    def process_bind_param(self, value: Any, dialect: Dialect) -> str | None:
        return None if value is None else instant_text(value)

    def process_result_value(self, value: Any, dialect: Dialect) -> datetime | None:
        return None if value is None else instant(value)


META = Table(
    "meta",
    METADATA,
    Column("key", _plain(40), primary_key=True),
    Column("value", _plain(200), nullable=False),
)

# `written_at` is plain text here: what was hashed is what is stored, character by character.
ENTRY = Table(
    "entry",
    METADATA,
    Column("writer", _plain(64), primary_key=True),
    Column("seq", BigInteger, primary_key=True, autoincrement=False),
    Column("written_at", _plain(27), nullable=False, index=True),
    Column("kind", _plain(40), nullable=False),
    Column("account_id", _plain(80)),
    Column("tenant_id", _plain(80)),
    Column("schema", Integer, nullable=False),
    Column("body", LargeBinary, nullable=False),
    Column("sealed", LargeBinary),
    Column("prev_hash", LargeBinary, nullable=False),
    Column("row_hash", LargeBinary, nullable=False),
    Index("entry_of_account", "account_id", "written_at", "writer", "seq"),
    # Of rows about the tenant itself.
    Index(
        "entry_of_tenant",
        "tenant_id",
        "written_at",
        sqlite_where=text("account_id IS NULL"),
        postgresql_where=text("account_id IS NULL"),
    ),
)

# Where the rows about a subject end: what tells a node that another one has written since, and after which instant the
# next row must come, whatever its clock says. `revision` counts the changes.
SUBJECT_HEAD = Table(
    "subject_head",
    METADATA,
    Column("subject_id", Word(80), primary_key=True),
    Column("revision", BigInteger, nullable=False),
    Column("last_at", _plain(27), nullable=False),
    Column("writer", _plain(64), nullable=False),
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
    Column("plan", Word(80)),
    Column("expires_on", _plain(10)),
    # Of the id that the operator's own directory has for it, which outlives names.
    Column("external_hash", _plain(32)),
    Column("refreshed_at", Instant),
    Index("tenant_external", "external_hash", unique=True),
)

TENANT_DOMAIN = Table(
    "tenant_domain",
    METADATA,
    Column("domain", Word(255), primary_key=True),
    Column("tenant_id", ForeignKey("tenant.tenant_id"), nullable=False, index=True),
    Column("position", Integer, nullable=False),
)

# `login_hash` is NULL once the account is erased, or somebody else has its address (STANDING 5.7-19).
ACCOUNT = Table(
    "account",
    METADATA,
    Column("account_id", Word(80), primary_key=True),
    Column("tenant_id", ForeignKey("tenant.tenant_id"), nullable=False, index=True),
    Column("login_hash", _plain(32), unique=True),
    Column("language", Word(40)),
    Column("sealed", LargeBinary),
    Column("expires_on", _plain(10)),
    Column("external_hash", _plain(32)),
    Column("refreshed_at", Instant),
    Column("retired_at", Instant),
    Index("account_external", "external_hash", unique=True),
)

# Other addresses of an account, as keyed hashes.
ALIAS = Table(
    "alias",
    METADATA,
    Column("address_hash", _plain(32), primary_key=True),
    Column("account_id", ForeignKey("account.account_id"), nullable=False, index=True),
)

PERSON = Table(
    "person",
    METADATA,
    Column("name", Word(200), primary_key=True),
    Column("role", Word(80), nullable=False),
    Column("token_hash", _plain(32), nullable=False, unique=True),
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
    Column("digest", _plain(64), nullable=False),
    Column("address", _plain(32), nullable=False, index=True),
    Column("stored_at", Instant, nullable=False),
    Column("retention_until", Instant, nullable=False, index=True),
    # How much of the mail: model.evidence.Kept.
    Column("kept", _plain(16), nullable=False, server_default="full"),
)

# The vault's contents where several nodes share a database; with SQLite they are files.
VAULT_OBJECT = Table(
    "vault_object",
    METADATA,
    Column("address", _plain(32), primary_key=True),
    Column("stored_at", Instant, nullable=False),
    Column("sealed", LargeBinary, nullable=False),
)

# Mail that is held. `sealed` has the envelope; the octets are evidence of the same transaction, in the vault.
QUARANTINE = Table(
    "quarantine",
    METADATA,
    Column("item_id", Word(80), primary_key=True),
    Column("transaction_id", Word(80), nullable=False, unique=True),
    Column("account_id", Word(80), nullable=False, index=True),
    Column("tenant_id", Word(80)),
    Column("reason", Word(80), nullable=False),
    Column("state", _plain(16), nullable=False),
    Column("held_at", Instant, nullable=False),
    Column("due_at", Instant, nullable=False, index=True),
    Column("settled_at", Instant),
    Column("digest", _plain(64), nullable=False),
    Column("sealed", LargeBinary, nullable=False),
    # model.held.HoldFacts.
    Column("direction", _plain(16), nullable=False, server_default="outbound"),
    Column("campaign", _plain(64), nullable=False, server_default=""),
    Column("incident_id", Word(80), nullable=False, server_default=""),
    Column("message_key", _plain(64), nullable=False, server_default=""),
    Column("is_harmful", Boolean, nullable=False, server_default=false()),
    Index("quarantine_waiting", "state", "due_at"),
)

MENTION = Table(
    "mention",
    METADATA,
    Column("id", Word(80), primary_key=True),
    Column("account_id", Word(80), nullable=False),
    # The hex part of an incident's id, from which people quote the beginning.
    Column("digits", _plain(64), index=True),
)

OPENING = Table(
    "opening",
    METADATA,
    Column("account_id", Word(80), primary_key=True),
    Column("source", Word(40), nullable=False),
    Column("at", Instant, nullable=False),
    Index("opening_of_source", "source", "at"),
)

# What each node has counted, by account, tenant or client: its own share, written over by nobody else.
COUNT_DAY = Table(
    "count_day",
    METADATA,
    Column("subject_id", Word(80), primary_key=True),
    Column("day", _plain(10), primary_key=True),
    Column("node", _plain(32), primary_key=True),
    Column("messages", Integer, nullable=False),
    Column("recipients", Integer, nullable=False),
)

# `minute` since 1970; `changed_at` in the order of writing, for the nodes that read along.
COUNT_MINUTE = Table(
    "count_minute",
    METADATA,
    Column("subject_id", Word(80), primary_key=True),
    Column("minute", BigInteger, primary_key=True, autoincrement=False),
    Column("node", _plain(32), primary_key=True),
    Column("messages", Integer, nullable=False),
    Column("recipients", Integer, nullable=False),
    Column("unknown", Integer, nullable=False),
    Column("strangers", Integer, nullable=False),
    Column("changed_at", Instant, nullable=False, index=True),
)

# Who wrote to a tenant from outside, and when last.
ACQUAINTANCE = Table(
    "acquaintance",
    METADATA,
    Column("tenant_id", Word(80), primary_key=True),
    Column("sender_hash", _plain(32), primary_key=True),
    Column("last_day", _plain(10), nullable=False, index=True),
)

CORRESPONDENT = Table(
    "correspondent",
    METADATA,
    Column("account_id", Word(80), primary_key=True),
    Column("recipient_hash", Word(128), primary_key=True),
    Column("first_day", _plain(10), nullable=False),
)
