"""`[exceptions]`: the operator's lists of what is refused, taken as it is, or judged by other choices."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field

from filterd.config.section import Section


class ExceptionsConfig(Section):
    """`[exceptions]`: allow and deny lists, exceptions by domain and recipient (ops/docs/EXCEPTIONS.md)."""

    files: tuple[Path, ...] = Field(
        (), description="TOML files, in the order that decides between equals; read again when one of them changes."
    )
