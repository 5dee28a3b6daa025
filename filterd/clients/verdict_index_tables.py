"""The tables of the search index, in SQLAlchemy Core: SQLite and PostgreSQL share one description.

Rows are made of events and named by them: `writer` and `seq`. `at_us` is microseconds since 1970. No column holds more
than the event does: ids, codes, numbers, keyed hashes, the sender's domain.
"""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, Index, MetaData, String, Table, Text

# Of these tables. An index of another version is thrown away and made anew.
VERSION = "3"

METADATA = MetaData()

# Sorts by octets everywhere, as Python does; PostgreSQL would go by the language of the database.
_NAME = String(64).with_variant(String(64, collation="C"), "postgresql")
_TEXT = Text()

META = Table(
    "meta",
    METADATA,
    Column("key", String(40), primary_key=True),
    Column("value", _TEXT, nullable=False),
)

POSITION = Table(
    "position",
    METADATA,
    Column("writer", _NAME, primary_key=True),
    Column("seq", BigInteger, nullable=False),
    # An inode has 64 bits without a sign: as text.
    Column("inode", String(20), nullable=False),
    Column("offset", BigInteger, nullable=False),
    Column("mark", String(40), nullable=False),
)

# What the checks of a mail said beside `clean`, as JSON: the same few rows for a million mails. `digest` is of `said`.
OUTCOMES = Table(
    "outcomes",
    METADATA,
    Column("digest", BigInteger, primary_key=True, autoincrement=False),
    Column("said", _TEXT, nullable=False),
)

# `said`: finding codes, reasons, hashes of recipients and streams as JSON, to be shown; what is searched has columns.
JUDGED = Table(
    "judged",
    METADATA,
    Column("writer", _NAME, primary_key=True),
    Column("seq", BigInteger, primary_key=True, autoincrement=False),
    Column("at_us", BigInteger, nullable=False),
    Column("event", String(20), nullable=False),
    Column("tx", _TEXT),
    Column("disposition", _TEXT, nullable=False),
    Column("direction", _TEXT),
    Column("listener", _TEXT),
    Column("account_id", _TEXT),
    Column("tenant_id", _TEXT),
    Column("incident_id", _TEXT),
    Column("policy_digest", _TEXT),
    Column("message_id", _TEXT),
    Column("sender_hash", _TEXT),
    Column("sender_domain", _TEXT),
    Column("reply_code", BigInteger),
    Column("reply_enhanced", _TEXT),
    Column("text_fp", _TEXT),
    Column("said", _TEXT, nullable=False),
    Column("outcomes", BigInteger, nullable=False),
    Index("judged_at", "at_us", "writer", "seq"),
    Index("judged_account", "account_id", "at_us"),
    Index("judged_tenant", "tenant_id", "at_us"),
    Index("judged_disposition", "disposition", "at_us"),
    Index("judged_sender", "sender_domain", "at_us"),
    Index("judged_incident", "incident_id"),
    Index("judged_message", "message_id"),
    Index("judged_tx", "tx"),
)

FINDING = Table(
    "finding",
    METADATA,
    Column("writer", _NAME, primary_key=True),
    Column("seq", BigInteger, primary_key=True, autoincrement=False),
    Column("code", _TEXT, primary_key=True),
    Column("at_us", BigInteger, nullable=False),
    Index("finding_code", "code", "at_us"),
    Index("finding_at", "at_us"),
)

ANSWER = Table(
    "answer",
    METADATA,
    Column("writer", _NAME, primary_key=True),
    Column("seq", BigInteger, primary_key=True, autoincrement=False),
    Column("at_us", BigInteger, nullable=False),
    Column("event", String(20), nullable=False),
    Column("tx", _TEXT, nullable=False),
    Column("by", _TEXT),
    Column("reply_code", BigInteger),
    Column("reply_enhanced", _TEXT),
    Column("queue_id", _TEXT),
    Index("answer_at", "at_us"),
    Index("answer_tx", "tx"),
    Index("answer_queue", "queue_id"),
)

# All that is made of one event.
OF_EVENTS = (FINDING, JUDGED, ANSWER)
