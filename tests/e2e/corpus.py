"""The mail of the differential: chosen by a fixed seed over all packs of the outside data, and what of it arrived.

A mail of a file with LF ends goes out with CRLF, as any mail program would send it; all else is as it lies there. Where
it has an author, a copy of ours is signed on top with a key of the tests' own, since the real keys are gone.
"""

from __future__ import annotations

import random
import re
import tarfile
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from dkim import DKIMException

from filterd.pipeline.headers import FOREIGN_PREFIXES, MARKS
from tests.kit.dkim_keys import DkimKey
from tests.kit.postfix import HOSTNAME

SEED = "filterd-differential-1"
# What cleanup(8) makes up where it is missing (local_header_rewrite_clients).
_MADE = re.compile(rb"Message-Id: <\d{14}\.[0-9A-Za-z]+@mail\.corp\.example>\r\n|Date: [^\r]*\(UTC\)\r\n")


@dataclass(frozen=True, kw_only=True)
class Specimen:
    """One mail. `number` makes its recipient; `name` is pack and file."""

    number: int
    name: str
    raw: bytes
    is_signed: bool


def specimens(folder: Path, count: int, key: DkimKey) -> list[Specimen]:
    """Choose `count` mails, as many of each pack as there are, signed where they can be."""
    dice = random.Random(SEED)
    packs = sorted((folder / "data").glob("mail_*.tar.gz"))
    chosen: list[tuple[str, bytes]] = []
    # The smallest first: what a pack has not, the others give.
    left = {pack: _names(pack) for pack in packs}
    for nth, (pack, names) in enumerate(sorted(left.items(), key=lambda item: len(item[1]))):
        share = (count - len(chosen)) // (len(packs) - nth)
        chosen += _read(pack, dice.sample(names, min(share, len(names))))
    assert len(chosen) == count
    return [_specimen(number, name, octets, key) for number, (name, octets) in enumerate(chosen)]


def _names(pack: Path) -> list[str]:
    with tarfile.open(pack) as archive:
        return sorted(member.name for member in archive if member.isfile() and not member.name.endswith(".jsonl"))


def _read(pack: Path, names: list[str]) -> list[tuple[str, bytes]]:
    wanted, found = set(names), []
    with tarfile.open(pack) as archive:
        for member in archive:
            if member.name in wanted and (file := archive.extractfile(member)):
                found.append((f"{pack.name.removesuffix('.tar.gz')}/{member.name}", file.read()))
    return found


def _specimen(number: int, name: str, octets: bytes, key: DkimKey) -> Specimen:
    raw = octets.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")
    if not raw.endswith(b"\r\n"):
        raw += b"\r\n"
    try:
        signed = key.sign(raw)
    except DKIMException:
        return Specimen(number=number, name=name, raw=raw, is_signed=False)
    return Specimen(number=number, name=name, raw=signed, is_signed=True)


@dataclass(frozen=True, kw_only=True)
class Essence:
    """A delivered mail without what each wiring is documented to add: `fields` in their order, folds inside."""

    fields: tuple[bytes, ...]
    body: bytes


def essence(raw: bytes, sent: bytes, *, received: int, is_inbound: bool) -> Essence:
    """Take from a delivered mail what was put on top, and what Postfix makes up anew for each copy.

    Args:
        sent: as it left the client.
        received: how many Received fields the way has put on top.
        is_inbound: strangers' mail: filterd's marks are not compared, nor are those that somebody forged.
    """
    fields, body = parted(raw)
    left: list[bytes] = []
    for field in fields:
        name = field.partition(b":")[0].strip().lower()
        if name == b"received" and received:
            received -= 1
        elif name == b"x-filterd-id" or (_MADE.fullmatch(field) and field not in sent):
            continue
        elif not (is_inbound and _is_mark(name.decode("ascii", "replace"), field)):
            left.append(field)
    assert not received, "fewer Received fields than hops"
    return Essence(fields=tuple(left), body=body)


def _is_mark(name: str, field: bytes) -> bool:
    """Whether it is a field that filterd writes on strangers' mail, or takes out of it (ops/docs/SIEVE.md)."""
    if name == "authentication-results":
        return HOSTNAME.encode() in field
    return name in {mark.lower() for mark in MARKS} or name.startswith(FOREIGN_PREFIXES)


def parted(raw: bytes) -> tuple[list[bytes], bytes]:
    """Part a mail into its fields and its body; the empty line goes with the body."""
    header, empty, body = raw.partition(b"\r\n\r\n")
    fields: list[bytes] = []
    for line in (line + b"\r\n" for line in header.split(b"\r\n")):
        if line[:1] in (b" ", b"\t") and fields:
            fields[-1] += line
        else:
            fields.append(line)
    return fields, empty[2:] + body


def by_pack(some: list[Specimen]) -> Counter[str]:
    return Counter(one.name.partition("/")[0] for one in some)
