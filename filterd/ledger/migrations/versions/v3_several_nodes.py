"""Several nodes on one store: heads of subjects, shared counters, the vault in the database, quarantine, look-ups."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "3"
down_revision = "2"


def upgrade() -> None:
    op.create_table(
        "subject_head",
        _text("subject_id", 80, primary_key=True),
        sa.Column("revision", sa.BigInteger(), nullable=False),
        _text("last_at", 27),
        _text("writer", 64),
    )
    op.create_table(
        "vault_object",
        _text("address", 32, primary_key=True),
        _text("stored_at", 27),
        sa.Column("sealed", sa.LargeBinary(), nullable=False),
    )
    _quarantine()
    _counts()
    for subject in ("tenant", "account"):
        op.add_column(subject, _text("expires_on", 10, nullable=True))
        op.add_column(subject, _text("external_hash", 32, nullable=True))
        op.add_column(subject, _text("refreshed_at", 27, nullable=True))
        op.create_index(f"{subject}_external", subject, ["external_hash"], unique=True)
    op.add_column("tenant", _text("plan", 80, nullable=True))
    op.add_column("account", _text("retired_at", 27, nullable=True))
    op.create_table(
        "alias",
        _text("address_hash", 32, primary_key=True),
        sa.Column("account_id", sa.String(80), sa.ForeignKey("account.account_id"), nullable=False, index=True),
    )
    op.add_column("evidence", _text("kept", 16, server_default="full"))
    # Until now there was one writer a store, so that its last row is the last of each subject.
    op.execute(
        "INSERT INTO subject_head (subject_id, revision, last_at, writer)"
        " SELECT account_id, COUNT(*), MAX(written_at), MAX(writer) FROM entry"
        " WHERE account_id IS NOT NULL GROUP BY account_id"
    )


def _quarantine() -> None:
    op.create_table(
        "quarantine",
        _text("item_id", 80, primary_key=True),
        _text("transaction_id", 80, unique=True),
        _text("account_id", 80, index=True),
        _text("tenant_id", 80, nullable=True),
        _text("reason", 80),
        _text("state", 16),
        _text("held_at", 27),
        _text("due_at", 27, index=True),
        _text("settled_at", 27, nullable=True),
        _text("digest", 64),
        sa.Column("sealed", sa.LargeBinary(), nullable=False),
    )
    op.create_index("quarantine_waiting", "quarantine", ["state", "due_at"])


def _counts() -> None:
    op.create_table(
        "count_day",
        _text("subject_id", 80, primary_key=True),
        _text("day", 10, primary_key=True),
        _text("node", 32, primary_key=True),
        sa.Column("messages", sa.Integer(), nullable=False),
        sa.Column("recipients", sa.Integer(), nullable=False),
    )
    op.create_table(
        "count_minute",
        _text("subject_id", 80, primary_key=True),
        sa.Column("minute", sa.BigInteger(), primary_key=True, autoincrement=False),
        _text("node", 32, primary_key=True),
        sa.Column("messages", sa.Integer(), nullable=False),
        sa.Column("recipients", sa.Integer(), nullable=False),
        sa.Column("unknown", sa.Integer(), nullable=False),
        sa.Column("strangers", sa.Integer(), nullable=False),
        _text("changed_at", 27, index=True),
    )
    # Days were not counted by node before.
    op.execute(
        "INSERT INTO count_day (subject_id, day, node, messages, recipients)"
        " SELECT account_id, day, '', messages, recipients FROM volume_day"
    )
    op.drop_table("volume_day")


def _text(name: str, length: int, *, nullable: bool = False, **more: Any) -> sa.Column[str]:
    return sa.Column(name, sa.String(length), nullable=nullable, **more)
