"""filterd's own file, for the edits that belong there. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from filterd.cli.probes.wiring.fault import Change
from filterd.model.toml_source import TomlSource


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnFile:
    """The TOML file. `source` is None where the embedded configuration is in effect."""

    path: Path
    source: TomlSource | None

    def set(self, table: tuple[str | int, ...], key: str, value: str) -> Change:
        """Say the edit that sets a key: in its line, below the table's header, or as a new table at the end."""
        if self.source is None:
            return Change(file=self.path, line=None, do="insert", text=f"[{table[0]}]\n{key} = {value}")
        lines = self.source.text.splitlines()
        number = self.source.line_of([*table, key])
        if number is not None and re.match(rf"\s*{re.escape(key)}\s*=", lines[number - 1]):
            return Change(file=self.path, line=number, last=number, do="replace", text=f"{key} = {value}")
        header = self.source.line_of(table)
        if header is not None and lines[header - 1].lstrip().startswith("["):
            return Change(file=self.path, line=header, do="insert", text=f"{key} = {value}")
        name = f"[[{table[0]}]]" if len(table) > 1 else f"[{table[0]}]"
        return Change(file=self.path, line=len(lines), do="insert", text=f"\n{name}\n{key} = {value}")
