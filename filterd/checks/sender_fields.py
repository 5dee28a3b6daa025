"""Which mailboxes stand in From, Sender, Resent- fields and Reply-To?  RFC 5322 §3.4, tolerant; FAULTS 35.

Read from the octets of the field, before encoded words are decoded: what a display name contains is never taken for an
address (RFC 2047 §5). Every field of the name counts. Where the structure is broken so that readers differ in who the
author is, everything that could be an address counts too. Pure, linear, never raises.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from filterd.errors import PeerError
from filterd.mail.fields import unfold
from filterd.mail.names import canonical_domain
from filterd.mail.words import decode
from filterd.model.message import Field, Message

# Of all fields of a name together. Nobody writes a longer one by hand; what stands behind is not read and counts as one
# unreadable author. The worst 8 kB, repeated to the end of a header, held the event loop for a second.
MAX_FIELD_BYTES = 8_192
MAX_MAILBOXES = 64
_RESENT, _TRACE = "resent-", frozenset({"received", "return-path"})
_UNREAD = frozenset({"header.fields.exceeded", "header.bytes.exceeded"})

# Bounded, and escaped characters are passed over: a string that never ends is not searched for its end ever again.
_QUOTED = rb'"(?>(?:[^"\\]|\\.){0,998})"'
_COMMENT = rb"\((?>(?:[^()\\]|\\.){0,998})\)"
_ANGLE = rb'<(?>(?:"(?>(?:[^"\\]|\\.){0,128})"|[^<>"]){0,330})>'
_TEXT = rb'(?>(?:[^"(<,;:\\]|\\.)+)'
_TOKEN = re.compile(rb"%b|%b|%b|[,;:]|%b|." % (_QUOTED, _COMMENT, _ANGLE, _TEXT), re.DOTALL)
_QUOTED_LOCAL = re.compile(rb"\s*%b\s*@" % _QUOTED, re.DOTALL)
_ESCAPED = re.compile(rb"\\(.)", re.DOTALL)
_BLANKS = re.compile(rb"\s*([@.])\s*")
_HOST = re.compile(r"[a-z0-9_-]{1,63}(?:\.[a-z0-9_-]{1,63})+")
_LOOSE = re.compile(rb"[^\s<>@,;:()\"\[\]]{1,64}+@[^\s<>@,;:()\"]{1,255}+")


@dataclass(frozen=True, slots=True, kw_only=True)
class Mailbox:
    """One author as the field has it.

    Args:
        name: the display name, decoded; empty when there is none.
        local_part: as written, unquoted.
        domain: canonical; None when it can be nobody's.
    """

    name: str
    local_part: str
    domain: str | None


def mailboxes(message: Message, field: str) -> tuple[Mailbox, ...]:
    """Read every mailbox of every field called `field`, in order, without repeats; at most `MAX_MAILBOXES`."""
    return _mailboxes(message, message.all(field))


def resenders(message: Message) -> tuple[Mailbox, ...]:
    """Read who passes the mail on now: the Resent-From and Resent-Sender of the topmost block (RFC 5322 §3.6.6).

    What stands below was written by those who had the mail before. A new block begins where a Resent- field comes again
    or a trace field stands between; what has no Resent-From is no block, and does not end one.
    """
    block: dict[str, Field] = {}
    for one in message.fields:
        key = one.key
        is_resent = key.startswith(_RESENT)
        if "resent-from" in block and (key in block or key in _TRACE):
            break
        if is_resent:
            block.setdefault(key, one)
    return _mailboxes(message, [block[key] for key in ("resent-from", "resent-sender") if key in block])


def _mailboxes(message: Message, fields: Iterable[Field]) -> tuple[Mailbox, ...]:
    rest = Mailbox(name="", local_part="", domain=None)
    # Behind what was read of the header there may be another field.
    found: dict[Mailbox, None] = {} if _UNREAD.isdisjoint(message.defects) else {rest: None}
    bytes_left, seen = MAX_FIELD_BYTES, 0
    for one in fields:
        value = unfold(one.raw.partition(b":")[2])
        for mailbox in _read(value[:bytes_left]):
            found[mailbox] = None
            # Repeats count: they cost as much.
            seen += 1
            if seen > MAX_MAILBOXES:
                return (*tuple(found)[: MAX_MAILBOXES - 1], rest)
        bytes_left -= len(value)
        if bytes_left < 0:
            found[rest] = None
            break
    return tuple(found)


def _read(value: bytes) -> Iterator[Mailbox]:
    phrase: list[bytes] = []
    angles: list[bytes] = []
    comment = b""
    is_odd = False
    for match in _TOKEN.finditer(value):
        token = match[0]
        if token in (b",", b";"):
            yield from _mailbox(phrase, angles, comment)
            phrase, angles, comment = [], [], b""
        elif token == b":":
            # What stands before it is the name of a group.
            phrase = []
        elif token.startswith(b"<") and token.endswith(b">"):
            angles.append(token[1:-1])
        elif token.startswith(b"("):
            is_odd = is_odd or len(token) == 1
            comment = token[1:-1]
        else:
            is_odd = is_odd or token in (b'"', b"<") or b")" in token or b">" in token
            phrase.append(token)
    yield from _mailbox(phrase, angles, comment)
    if is_odd:
        for match in _LOOSE.finditer(value):
            yield _made("", match[0])


def _mailbox(phrase: list[bytes], angles: list[bytes], comment: bytes) -> Iterator[Mailbox]:
    """Make the mailboxes of what stands between two commas: one, but for broken mail. The name of an address without
    angle brackets is the comment behind it (RFC 5322 §3.4, old mailers)."""
    if angles:
        name = _name(phrase)
        for angle in angles:
            # A source route (RFC 5322 §4.4) stands before the last colon.
            yield from _addresses(name, angle.rpartition(b":")[2] if angle.lstrip().startswith(b"@") else angle)
        return
    bare = b"".join(phrase)
    if b"=?" in bare:
        # Some readers decode first and take what comes out for addresses.
        for match in _LOOSE.finditer(decode(bare).encode("utf-8", "replace")):
            yield _made("", match[0])
    if b"@" not in bare:
        return
    name = _name([comment])
    if bare.lstrip().startswith(b'"'):
        yield from _addresses(name, bare)
        return
    for word in _BLANKS.sub(rb"\1", bare).split():
        yield from _addresses(name, word)


def _addresses(name: str, octets: bytes) -> Iterator[Mailbox]:
    if b"@" not in octets:
        # The MTA completes a bare local part with a domain of ours.
        return
    if octets.count(b"@") > 1 and not _QUOTED_LOCAL.match(octets):
        # Readers differ in which of them they take.
        first = octets.partition(b"@")
        yield _made(name, b"@".join((first[0], first[2].partition(b"@")[0])))
    yield _made(name, octets)


def _made(name: str, octets: bytes) -> Mailbox:
    local_part, _, domain = octets.rpartition(b"@")
    local_part = local_part.strip()
    if local_part.startswith(b'"') and local_part.endswith(b'"'):
        local_part = _ESCAPED.sub(rb"\1", local_part[1:-1])
    text = b"".join(domain.split()).decode("utf-8", "replace")
    try:
        canonical = canonical_domain(text)
    except PeerError:
        return Mailbox(name=name, local_part=decode(local_part), domain=None)
    is_host = _HOST.fullmatch(canonical) is not None
    return Mailbox(name=name, local_part=decode(local_part), domain=canonical if is_host else None)


def _name(phrase: list[bytes]) -> str:
    words = [_ESCAPED.sub(rb"\1", w[1:-1]) if w.startswith(b'"') and w.endswith(b'"') else w for w in phrase]
    return " ".join(decode(b"".join(words)).split())
