"""`[evidence]`: how much of mail in breach is kept, and for how long what was held."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from filterd.config.section import Section


class EvidenceConfig(Section):
    """`[evidence]`: how much of mail in breach is kept (ops/docs/EVIDENCE.md)."""

    at_most: Literal["none", "hash", "headers", "excerpt", "full"] = Field(
        "full", description="Ceiling over what categories ask for."
    )
    excerpt_bytes: int = Field(
        2048, ge=64, le=65536, description="Of each place a finding points to, in class `excerpt`."
    )
    spool_mb: int = Field(2048, ge=16, description="Above it, mail in breach waits with 4xx.")
    quarantine_days: int = Field(30, ge=0, description="How long the line of a settled held mail is kept.")
