"""Tenants and the site have histories of their own; what was received first and whom an account knows."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "4"
down_revision = "3"


def upgrade() -> None:
    of_nobody = sa.text("account_id IS NULL")
    op.create_index(
        "entry_of_tenant",
        "entry",
        ["tenant_id", "written_at"],
        sqlite_where=of_nobody,
        postgresql_where=of_nobody,
    )
    op.create_table(
        "acquaintance",
        sa.Column("tenant_id", sa.String(80), primary_key=True),
        sa.Column("sender_hash", sa.String(32), primary_key=True),
        sa.Column("last_day", sa.String(10), nullable=False, index=True),
    )
