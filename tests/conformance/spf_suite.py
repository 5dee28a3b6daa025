"""Reads the SPF suite's YAML: documents of `tests:` and `zonedata:`, one line for each attribute and record."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from filterd.demo.zone import Zone

_KEY = re.compile(r"""  (?! )["']?([^"']+?)["']?:\s*""")
_ATTRIBUTE = re.compile(r"    (helo|host|mailfrom|result): +(.*?)\s*")
_RECORD = re.compile(r"    - ([A-Z]+): *(.*?)\s*")
_ESCAPE = re.compile(r"\\(?:x([0-9a-fA-F]{2})|0)")


@dataclass(frozen=True, kw_only=True)
class SpfCase:
    """`results`: what is allowed, the preferred one first. `zone` is shared by the cases of one scenario."""

    name: str
    helo: str
    host: str
    mailfrom: str
    results: tuple[str, ...]
    zone: Zone


def read_suite(path: Path) -> list[SpfCase]:
    documents = re.split(r"(?m)^---.*\n", path.read_text(encoding="utf-8"))
    return [case for document in documents for case in _cases(document)]


def _cases(document: str) -> list[SpfCase]:
    tests, _, data = document.partition("\nzonedata:\n")
    zone = Zone(_tables(data))
    return [
        SpfCase(
            name=name,
            helo=_scalar(said["helo"]),
            host=_scalar(said["host"]),
            mailfrom=_scalar(said["mailfrom"]),
            results=tuple(_list(said["result"])),
            zone=zone,
        )
        for name, said in _attributes(tests.partition("tests:\n")[2])
    ]


def _attributes(tests: str) -> list[tuple[str, dict[str, str]]]:
    found: list[tuple[str, dict[str, str]]] = []
    for line in tests.splitlines():
        if match := _KEY.fullmatch(line):
            found.append((match[1], {}))
        elif match := _ATTRIBUTE.fullmatch(line):
            found[-1][1][match[1]] = match[2]
    return found


def _tables(data: str) -> dict[str, dict[str, Any]]:
    tables: dict[str, dict[str, Any]] = {}
    table: dict[str, Any] = {}
    for line in data.splitlines():
        if match := _KEY.fullmatch(line):
            table = tables.setdefault(match[1], {})
        elif line.strip() == "- TIMEOUT":
            table["FAIL"] = {"else": "timeout"}
        elif match := _RECORD.fullmatch(line):
            table.setdefault(match[1], []).append(_list(match[2]) if match[2].startswith("[") else _scalar(match[2]))
        elif line.strip():
            raise ValueError(f"not read: {line!r}")
    for table in tables.values():
        # RFC 7208 has no type SPF: unless the case speaks of TXT, its SPF records are TXT records.
        texts = table.pop("SPF", [])
        if "TXT" not in table and texts:
            table["TXT"] = texts
        table["TXT"] = [text for text in table.get("TXT", []) if text != "NONE"]
        if not table["TXT"]:
            del table["TXT"]
        for mx in table.get("MX", []):
            mx[0] = int(mx[0])
    return tables


def _list(text: str) -> list[str]:
    inner = text.removeprefix("[").removesuffix("]").strip()
    return [_scalar(part) for part in re.split(r",\s*", inner)] if inner else []


def _scalar(text: str) -> str:
    if text[:1] == '"':
        return _ESCAPE.sub(lambda m: chr(int(m[1] or "0", 16)), text[1:-1])
    return text[1:-1] if text[:1] == "'" else text
