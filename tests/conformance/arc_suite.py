"""Reads the ARC suite's YAML: documents of `tests:` (name, then attributes) and `txt-records:`. Nothing else of YAML.

Four names occur twice; a YAML reader keeps the second of each, this one keeps all.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

_CASE = re.compile(r"  ([\w-]+):\s*")
_ATTRIBUTE = re.compile(r"    ([\w-]+):\s*(.*?)\s*")
_RECORD = re.compile(r"  ([\w.-]+): >-")


@dataclass(frozen=True, kw_only=True)
class ArcCase:
    """`status` as the suite writes it: Pass, Fail, None, or empty for a chain that has ended."""

    name: str
    message: bytes
    status: str
    zone: dict[str, str]


def read_suite(path: Path) -> list[ArcCase]:
    documents = re.split(r"(?m)^---.*\n", path.read_text(encoding="utf-8"))
    return [case for document in documents for case in _cases(document)]


def _cases(document: str) -> list[ArcCase]:
    tests, _, records = document.partition("\ntxt-records:\n")
    zone: dict[str, str] = {}
    name = ""
    for line in records.splitlines():
        if match := _RECORD.fullmatch(line):
            name = match[1]
            zone[name] = ""
        elif line.strip():
            # A folded scalar: lines joined by a space.
            zone[name] = f"{zone[name]} {line.strip()}".strip()
    return [
        ArcCase(name=name, message=said["message"].encode(), status=said["cv"].strip(), zone=zone)
        for name, said in _attributes(tests.partition("\ntests:\n")[2])
    ]


def _attributes(tests: str) -> list[tuple[str, dict[str, str]]]:
    found: list[tuple[str, dict[str, str]]] = []
    block = ""
    for line in tests.splitlines():
        if match := _CASE.fullmatch(line):
            found.append((match[1], {}))
            block = ""
        elif match := _ATTRIBUTE.fullmatch(line):
            name, value = match[1], match[2]
            block = name if value == "|" else ""
            found[-1][1][name] = "" if block else value
        elif block:
            found[-1][1][block] += line[6:] + "\n"
    for _, said in found:
        # A literal block keeps one line end at its end.
        said["message"] = said["message"].rstrip("\n") + "\n"
    return found
