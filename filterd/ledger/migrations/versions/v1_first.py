"""The first tables; stores of that version were made without this file."""

from __future__ import annotations

revision = "1"
down_revision = None


def upgrade() -> None:
    """Nothing: the tables are there."""
