"""Parts of a mail, to be kept instead of the whole: its header block, and the places that findings point to.

Places are the `where` of findings: the path of a part (`1.2`), `link.3` and `anchor.1` (numbered as in Message),
`text`, or `header.from` and the like, which the header block covers. An excerpt is the header block, an empty line if
it has none at its end, and a section for each place:

    [part 1.2: octets 0 to 2048 of 51234]
    (the octets, transfer encoding undone)

Whatever a mail does, both are bounded, and neither raises.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from filterd.mail import fields
from filterd.mail.parse import parse
from filterd.model.message import Message, Part

# A header block of ordinary mail has 2 to 20 kB; in a larger one somebody hides a body.
MAX_HEADER_BYTES = 262_144
# A finding for each link of a long list is one finding many times over.
MAX_PLACES = 16

_PART = re.compile(r"[0-9]+(?:\.[0-9]+)*")
_NUMBERED = re.compile(r"(link|anchor)\.([0-9]{1,6})")
_TEXT_TYPES = ("text/",)


def header_block(raw: bytes) -> bytes:
    """Say the octets of the header, with the empty line behind it."""
    return raw[: min(fields.split(raw).body, MAX_HEADER_BYTES)]


def excerpt(raw: bytes, places: Iterable[str], around_bytes: int) -> bytes:
    """Say the header block and the places; the beginning of the text where no place is inside the body."""
    message = parse(raw)
    sections = dict.fromkeys(
        section
        for place in list(dict.fromkeys(places))[:MAX_PLACES]
        for section in _sections(message, place, around_bytes)
    )
    if not sections:
        sections = dict.fromkeys(_text(message, around_bytes))
    head = header_block(raw)
    if sections and not head.endswith((b"\n\r\n", b"\n\n")):
        head += b"\r\n"
    return head + b"".join(sections)


def _sections(message: Message, place: str, around_bytes: int) -> list[bytes]:
    if _PART.fullmatch(place):
        return [_section(part, 0, around_bytes) for part in message.parts if part.path.lstrip("~") == place][:1]
    if found := _NUMBERED.fullmatch(place):
        return _link(message, found[1], int(found[2]), around_bytes)
    return _text(message, around_bytes) if place == "text" else []


def _text(message: Message, around_bytes: int) -> list[bytes]:
    """The beginning of the first text; of the first part where there is none."""
    texts = [part for part in message.parts if _is_text(part)] or list(message.parts)
    return [_section(part, 0, around_bytes) for part in texts[:1]]


def _link(message: Message, kind: str, number: int, around_bytes: int) -> list[bytes]:
    urls: Sequence[str] = message.links if kind == "link" else [anchor.target for anchor in message.anchors]
    if not 1 <= number <= len(urls):
        return []
    url = urls[number - 1].encode("utf-8", "surrogateescape")[:around_bytes]
    for part in message.parts:
        if _is_text(part) and (at := part.content.find(url)) >= 0:
            return [_section(part, max(0, at - (around_bytes - len(url)) // 2), around_bytes)]
    # It stands in the mail in other letters, as in an HTML entity.
    return [b"[%s.%d]\r\n%s\r\n" % (kind.encode("ascii"), number, url)]


def _is_text(part: Part) -> bool:
    return part.content_type.startswith(_TEXT_TYPES) and not part.is_attachment


def _section(part: Part, start: int, length: int) -> bytes:
    end = min(start + length, len(part.content))
    title = f"[part {part.path.lstrip('~')}: octets {start} to {end} of {len(part.content)}]\r\n"
    return title.encode("ascii", "replace") + part.content[start:end] + b"\r\n"
