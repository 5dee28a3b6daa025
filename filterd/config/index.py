"""`[index]`: search over the event stream."""

from __future__ import annotations

from pydantic import Field

from filterd.config.section import Section


class IndexConfig(Section):
    """`[index]`: the search index of `filterd log find`, made of the event stream; see ops/docs/EVENTS.md."""

    enabled: bool = Field(True, description="Keep one, in the ledger process. Without it, `log find` reads the files.")
    url: str | None = Field(
        None, description="`postgresql://…`, schema `filterd_index`; None: `verdicts.sqlite3` in the state directory."
    )
    retention_days: float = Field(90, gt=0, le=36_500, description="What is older is taken out of the index.")
