"""Signed supplements of tenants, and whether their domains are known to be all."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "2"
down_revision = "1"


def upgrade() -> None:
    op.add_column("tenant", sa.Column("supplement", sa.LargeBinary()))
    op.add_column("tenant", sa.Column("domains_declared", sa.Boolean(), nullable=False, server_default=sa.false()))
