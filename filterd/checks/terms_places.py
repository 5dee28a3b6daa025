"""Every place of a mail in which people write words.  TX-3.3.1: content is text, header fields, attachments, the rest.

Subject, texts (HTML as its reader sees it), display names, header fields of free text, links, names and contents of
attachments: of text, of archives and of documents made of XML, of winmail.dat; headers of attached mails, such as what
was forwarded or an automatic answer quotes. Within a budget, pure, never raises. Pictures, PDF, old Office files and
what is encrypted are not read.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from urllib.parse import unquote

from filterd.checks.attachments import zips
from filterd.checks.sender_fields import mailboxes
from filterd.mail import charset, fields, html, tnef
from filterd.model.message import Message

# Of everything in attachments together, and in how many archives inside each other.
_MAX_BYTES = 1 << 20
_MAX_ENTRIES = 500
_MAX_DEPTH = 4
_MAX_LINKS_CHARS = 20_000

_NAMES = ("from", "sender", "reply-to", "to", "cc", "resent-from", "resent-to")
_WORDS = ("subject", "comments", "keywords", "organization", "thread-topic")
_TEXTS = (".txt", ".csv", ".tsv", ".md", ".log", ".json", ".xml", ".htm", ".html", ".eml", ".ics", ".vcf", ".rtf")
_PAGES = (".htm", ".html")
_EMBEDDED = frozenset({"message/rfc822", "message/global"})
_ZIP = (b"PK\x03\x04", b"PK\x05\x06")
_TAG = re.compile(r"<[^<>]{0,2000}>")


def words(message: Message) -> str:
    """Give all of it as lines, what its reader reads first in front; nothing twice."""
    found: dict[str, None] = dict.fromkeys((message.subject, *message.texts))
    found.update(dict.fromkeys(_of_fields(message)))
    room = _MAX_LINKS_CHARS
    for link in message.links:
        if (room := room - len(link)) < 0:
            break
        found[unquote(link)] = None
    budget = _Budget()
    for part in message.parts:
        if part.filename:
            found[part.filename] = None
        if part.content_type in _EMBEDDED:
            header = fields.nouns(fields.split(part.content))
            attached = Message(raw=b"", body_offset=0, fields=header, parts=(), texts=(), links=())
            found.update(dict.fromkeys(_of_fields(attached)))
        elif not part.content_type.startswith("text/"):
            found.update(dict.fromkeys(_inside(part.content, part.filename or "", budget, 0)))
    return "\n".join(found)


class _Budget:
    """What may still be unpacked of one mail."""

    def __init__(self) -> None:
        self.bytes_left, self.entries_left = _MAX_BYTES, _MAX_ENTRIES


def _of_fields(message: Message) -> Iterator[str]:
    for name in _NAMES:
        yield from (box.name for box in mailboxes(message, name) if box.name)
    for name in _WORDS:
        yield from (field.value for field in message.all(name))


def _inside(content: bytes, name: str, budget: _Budget, depth: int) -> Iterator[str]:
    """Give the words of a file that is no text part, and of the files in it."""
    if content.startswith(_ZIP):
        if depth < _MAX_DEPTH:
            yield from _of_zip(content, budget, depth)
    elif tnef.is_tnef(content):
        yield from _of_tnef(content, budget, depth)
    elif name.lower().endswith(_TEXTS) and b"\0" not in content[: budget.bytes_left]:
        text = charset.decode(content[: budget.bytes_left])
        budget.bytes_left -= min(len(content), budget.bytes_left)
        yield _readable(text, name)


def _of_zip(content: bytes, budget: _Budget, depth: int) -> Iterator[str]:
    directory = zips.read(content, max(budget.entries_left, 0))
    budget.entries_left -= len(directory.entries)
    for entry in directory.entries:
        yield entry.name
        # Where entries share their octets, each would be inflated again.
        if "overlap" in directory.problems:
            continue
        inflated = zips.inflate(content, entry, budget.bytes_left)
        budget.bytes_left -= len(inflated.content)
        if inflated.content:
            yield from _unpacked(inflated.content, entry.name, budget, depth + 1)


def _unpacked(content: bytes, name: str, budget: _Budget, depth: int) -> Iterator[str]:
    if content.startswith(_ZIP) or tnef.is_tnef(content):
        yield from _inside(content, name, budget, depth)
    elif name.lower().endswith(_TEXTS) and b"\0" not in content:
        # It has been paid for.
        yield _readable(charset.decode(content), name)


def _of_tnef(content: bytes, budget: _Budget, depth: int) -> Iterator[str]:
    name = ""
    for piece in tnef.pieces(content):
        if piece.is_name:
            name = charset.decode(piece.content)
            yield name
        elif piece.is_text:
            yield charset.decode(piece.content)
        elif depth < _MAX_DEPTH:
            yield from _inside(piece.content, name, budget, depth + 1)


def _readable(text: str, name: str) -> str:
    if name.lower().endswith(_PAGES):
        return html.to_text(text).text
    return _TAG.sub("", text) if name.lower().endswith(".xml") else text
