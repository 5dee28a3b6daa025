"""The header block: fields as they stand, each with its raw octets, folds included.  RFC 5322 §2.2, tolerant.

The header ends at the first empty line, or before the first line that is no field: there Postfix puts the empty line
in, so that is what the recipient gets. A name may be followed by blanks before the colon, as Postfix allows. A mail
whose first line is a continuation line has no header. One `From ` line of a mailbox file is stepped over.
LF alone ends a line too, because attached messages that were decoded have such lines.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import accumulate
from typing import NamedTuple

from filterd.mail.limits import DEFAULT, Limits
from filterd.mail.words import decode
from filterd.model.message import Field

# One field: the whole of it, its name, blanks before the colon, the value with its folds. Possessive: linear.
_FIELD = re.compile(rb"(?m)^(([!-9;-~]++)([ \t]*+):([^\n]*+\n(?>(?:[ \t][^\n]*+\n)*)))")
# Enough to know that one begins.
_FIRST = re.compile(rb"[!-9;-~]++[ \t]*+:")
_LINES = re.compile(rb"[^\n]*+\n(?>(?:[ \t][^\n]*+\n)*)")
_MBOX_FROM = re.compile(rb">*From [^\n]*+\n?")
# A line of nothing but blanks inside the block: a fold for us, the end of the header for others.
_BLANK_LINE = re.compile(rb"\n[ \t]++\r?\n")


# All octets of a field, its name as written, the blanks before the colon, what follows the colon.
Raw = tuple[bytes, bytes, bytes, bytes]


class Block(NamedTuple):
    """A header block found in some octets; offsets are into those octets.

    `body` is where the body starts; `broken` is where a line that is no field ended the block early, or None. For a
    reader that stops at a line of blanks the body starts at `blank`, behind the first `blank_fields` fields.
    """

    fields: list[Raw]
    body: int
    broken: int | None = None
    blank: int | None = None
    blank_fields: int = 0
    defects: tuple[str, ...] = ()


def split(data: bytes, start: int = 0, end: int | None = None, limits: Limits | None = DEFAULT) -> Block:
    """Find the fields of the header that starts at `start`. `limits` None reads them all. Never raises."""
    end = len(data) if end is None else end
    defects: list[str] = []
    first = header_start(data, start, end)
    if first > start:
        defects.append("header.mbox.from")
        start = first
    if data.startswith((b" ", b"\t"), start, end):
        return Block([], start, start, defects=(*defects, "header.first.folded"))
    header_end, body = _header_end(data, start, end)
    block = data[start:header_end]
    if limits and len(block) > limits.header_bytes:
        defects.append("header.bytes.exceeded")
        block = block[: block.rfind(b"\n", 0, limits.header_bytes) + 1]
    found, read = _fields(block)
    broken = blank = None
    blank_fields = 0
    if read < len(block):
        defects.append("header.line.broken")
        body = broken = start + read
    if line := _BLANK_LINE.search(block, 0, read):
        defects.append("header.line.blank")
        blank = start + line.end()
        blank_fields = 1 + next(n for n, length in enumerate(_lengths(found)) if length >= line.end())
    if limits and len(found) > limits.fields:
        defects.append("header.fields.exceeded")
        found = found[: limits.fields]
    return Block(found, body, broken, blank, blank_fields, tuple(defects))


def header_start(data: bytes, start: int, end: int) -> int:
    """Say where the first field may stand: behind a `From ` line of a mailbox file, if there is one."""
    if not data.startswith((b"From ", b">"), start, end):
        return start
    mbox = _MBOX_FROM.match(data, start, end)
    return mbox.end() if mbox else start


def starts_with_field(data: bytes, start: int) -> bool:
    """Say whether `split` would find a field at `start`, where a header begins."""
    return _FIRST.match(data, start) is not None


def sift(data: bytes, start: int, end: int, limits: Limits) -> tuple[Block, bytes]:
    """Read the header as those do who step over lines that are no fields. Also gives these lines."""
    header_end, body = _header_end(data, start, end)
    found: list[Raw] = []
    broken: list[bytes] = []
    block = data[start : min(header_end, start + limits.header_bytes)]
    for lines in _LINES.findall(block if block.endswith(b"\n") else block + b"\n")[: limits.fields]:
        field = _FIELD.fullmatch(lines)
        if field:
            whole, name, blanks, folded = field.groups()
            found.append((whole, name, blanks, folded))
        else:
            broken.append(lines)
    return Block(found, body), b"".join(broken)


def nouns(block: Block) -> tuple[Field, ...]:
    """Make the nouns of a header's fields."""
    found: list[Field] = []
    for whole, name, _, folded in block.fields:
        value = unfold(folded)
        # Most fields are plain and need no decoder.
        text = value.decode("ascii") if value.isascii() and b"=?" not in value else decode(value)
        found.append(Field(name=name.decode("ascii"), raw=whole, value=text))
    return tuple(found)


def unfold(folded: bytes) -> bytes:
    """Give a value without line ends and without the blanks around it; the blanks of the folds stay."""
    value = folded.strip(b" \t\r\n")
    return value.replace(b"\r\n", b"").replace(b"\n", b"") if b"\n" in value else value


def _lengths(found: list[Raw]) -> Iterator[int]:
    return accumulate(len(whole) for whole, *_ in found)


def _header_end(data: bytes, start: int, end: int) -> tuple[int, int]:
    """Say where the last field's line ends, and where the body starts."""
    if data.startswith(b"\r\n", start, end):
        return start, start + 2
    if data.startswith(b"\n", start, end):
        return start, start + 1
    mixed = data.find(b"\n\r\n", start, end)
    plain = data.find(b"\n\n", start, end if mixed < 0 else mixed)
    if plain >= 0:
        return plain + 1, plain + 2
    return (mixed + 1, mixed + 3) if mixed >= 0 else (end, end)


def _fields(block: bytes) -> tuple[list[Raw], int]:
    """Give the fields and how many octets of the block they are: all of it, or up to the first line that is none."""
    is_open = bool(block) and not block.endswith(b"\n")
    found: list[Raw] = _FIELD.findall(block + b"\n" if is_open else block)
    if is_open and found:
        whole, name, blanks, folded = found[-1]
        found[-1] = (whole[:-1], name, blanks, folded[:-1])
    read = sum([len(field[0]) for field in found])
    if read == len(block):
        return found, read
    # Something between the fields is none: the block ends there.
    at = 0
    for number, (whole, *_) in enumerate(found):
        if not block.startswith(whole, at):
            return found[:number], at
        at += len(whole)
    return found, at
