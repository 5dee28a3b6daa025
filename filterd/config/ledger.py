"""`[ledger]`: where the record stands, and what happens while it is away."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field, field_validator

from filterd.config.section import Section


class LedgerConfig(Section):
    """`[ledger]`: the store of standing, sanctions and evidence."""

    url: str | None = Field(
        None,
        description="`postgresql://user@host/database`, for several nodes that share one record; give the password in"
        " a file that PGPASSFILE names. None: an SQLite file in `node.state_dir`, for one node.",
    )
    anchors: tuple[Path, ...] = Field(
        (), description="Further files, on other volumes, that get every checkpoint (ops/docs/LEDGER.md)."
    )
    anchor_command: tuple[str, ...] = Field(
        (), description="Program and arguments; gets new checkpoints on standard input."
    )
    last_word_s: float = Field(
        4 * 3600,
        ge=0,
        description="How long, while the ledger is away, accounts are treated as they were last known to stand; then"
        " their mail waits with 451.",
    )

    @field_validator("url")
    @classmethod
    def _is_postgresql(cls, url: str | None) -> str | None:
        if url is not None and not url.startswith(("postgresql://", "postgres://")):
            raise ValueError("is no URL of PostgreSQL, such as postgresql://user@host/database")
        return url
