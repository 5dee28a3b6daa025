"""Reads the ARC suites' YAML: documents of `tests:` (name, then attributes) and `txt-records:`. Nothing else of YAML.

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


@dataclass(frozen=True, kw_only=True)
class SealCase:
    """A mail to be sealed. `private`: PEM; `seal`, `signature` and `results`: the three fields' values as expected,
    empty where none is to be added; `at`: seconds since 1970."""

    name: str
    message: bytes
    authserv_id: str
    at: int
    domain: str
    selector: str
    private: bytes
    signed: str
    seal: str
    signature: str
    results: str
    zone: dict[str, str]


def read_sealing(path: Path) -> list[SealCase]:
    documents = re.split(r"(?m)^---.*\n", path.read_text(encoding="utf-8"))
    return [case for document in documents if "\ntests:\n" in document for case in _sealings(document)]


def _sealings(document: str) -> list[SealCase]:
    tests, _, signer = document.partition("\ndomain:")
    _, _, rest = signer.partition("\nprivatekey: |\n")
    private, _, records = rest.partition("\ntxt-records:\n")
    name, _, text = records.strip().partition(": |\n")
    selector = re.search(r"(?m)^sel: +(\S+)$", signer)
    assert selector is not None
    return [
        SealCase(
            name=case,
            message=said["message"].encode(),
            authserv_id=said["srv-id"],
            at=int(said["t"]),
            domain=signer.partition("\n")[0].strip(),
            selector=selector[1],
            private="\n".join(line.strip() for line in private.splitlines()).encode(),
            signed=said["sig-headers"],
            seal=said["AS"],
            signature=said["AMS"],
            results=said["AAR"],
            zone={name: "".join(line.strip() if at else line for at, line in enumerate(text.splitlines()))},
        )
        for case, said in _attributes(tests.partition("\ntests:\n")[2])
    ]


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
