"""Lists of the operator: CSV with a header, or JSONL, read to rows that know their line.

Only the shape is judged here (UTF-8, known columns, as many cells as columns); what the cells mean is the ledger's
matter. The first thing wrong raises ConfigError with file, line and column.
"""

from __future__ import annotations

import csv
import io
import json
import sys
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any

from filterd.errors import ConfigError

_JSON_NAMES = (".jsonl", ".ndjson", ".json")


def read_list(file: Path, columns: Collection[str], key: str) -> list[dict[str, Any]]:
    """Read a list to dictionaries with `line` and the columns the list has.

    Args:
        columns: all there may be.
        key: the one that must be there.
    """
    name = "standard input" if str(file) == "-" else str(file)
    try:
        octets = sys.stdin.buffer.read() if str(file) == "-" else file.read_bytes()
    except OSError as err:
        raise ConfigError(f"cannot be read: {err.strerror}", file=file) from err
    try:
        text = octets.decode("utf-8-sig")
    except UnicodeDecodeError as err:
        raise ConfigError("is not UTF-8", file=name, line=octets[: err.start].count(b"\n") + 1) from err
    is_json = file.suffix.lower() in _JSON_NAMES or (file.suffix.lower() != ".csv" and text.lstrip().startswith("{"))
    rows = list((_json_rows if is_json else _csv_rows)(text, name, columns, key))
    if not rows:
        raise ConfigError("holds no rows", file=name)
    return rows


def _csv_rows(text: str, name: str, columns: Collection[str], key: str) -> Iterator[dict[str, Any]]:
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    head: list[str] | None = None
    line = 1
    try:
        for cells in reader:
            # A cell may hold line ends: the row stands where it begins.
            line, here = reader.line_num + 1, line
            if not any(cell.strip() for cell in cells):
                continue
            if head is None:
                head = [cell.strip() for cell in cells]
                _check_columns(head, name, here, columns, key)
                continue
            if len(cells) != len(head):
                raise ConfigError(f"has {len(cells)} cells, the header has {len(head)}", file=name, line=here)
            # An empty cell says that there is no such thing; a column left out says nothing.
            yield {"line": here, **{column: cell.strip() or None for column, cell in zip(head, cells, strict=True)}}
    except csv.Error as err:
        raise ConfigError(f"is not CSV: {err}", file=name, line=reader.line_num) from err


def _json_rows(text: str, name: str, columns: Collection[str], key: str) -> Iterator[dict[str, Any]]:
    # Not splitlines: JSON text may hold U+2028, which ends no line.
    for number, line in enumerate(text.split("\n"), start=1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except ValueError as err:
            raise ConfigError("is not JSON", file=name, line=number) from err
        if not isinstance(row, dict):
            raise ConfigError("is no JSON object", file=name, line=number)
        _check_columns(list(row), name, number, columns, key)
        yield {"line": number, **row}


def _check_columns(found: list[str], name: str, line: int, columns: Collection[str], key: str) -> None:
    for column in found:
        if column not in columns:
            raise ConfigError(
                f"unknown column; known: {', '.join(columns)}", file=name, line=line, key=column or "(empty)"
            )
        if found.count(column) > 1:
            raise ConfigError("stands there twice", file=name, line=line, key=column)
    if key not in found:
        raise ConfigError("is missing", file=name, line=line, key=key)
