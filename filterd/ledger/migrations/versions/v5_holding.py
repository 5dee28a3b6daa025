"""What tells held mails from each other: whose campaign and incident they are of, and which is tried again."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "5"
down_revision = "4"


def upgrade() -> None:
    op.add_column("quarantine", _text("direction", 16, "outbound"))
    op.add_column("quarantine", _text("campaign", 64))
    op.add_column("quarantine", _text("incident_id", 80))
    op.add_column("quarantine", _text("message_key", 64))
    op.add_column("quarantine", sa.Column("is_harmful", sa.Boolean(), nullable=False, server_default=sa.false()))


def _text(name: str, length: int, default: str = "") -> sa.Column[str]:
    return sa.Column(name, sa.String(length), nullable=False, server_default=default)
