"""Who does a mail claim to come from?  RFC 5322 §3.6.2, FAULTS 35.

`from_domains` is for suspicion: it reads every From field there is, because receivers differ in which one they show.
Where a field has addresses in angle brackets only those count, so that an address quoted in a display name is not taken
for the author.
`shown` is for people to read.
`author` is for trust: the one domain all readers agree on, or why there is none. It reads the field's octets, before
any decoding, by the grammar of today's RFC 5322 §3.4 (no obs- forms but dots in a display name); whatever does not fit
is ambiguous, because then two programs may see two authors.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

from filterd.errors import PeerError
from filterd.mail.fields import sift
from filterd.mail.limits import DEFAULT
from filterd.mail.names import canonical_domain
from filterd.mail.words import literal
from filterd.model.message import Field, Message

_ANGLE = re.compile(r"<[^<>@]*@([^<>@\s]+)>")
# Whatever looks like an address in brackets to somebody, well formed or not, closed or not.
_BRACKETS = re.compile(r"<([^<>@]*+@[^<>]*+)")
_BARE = re.compile(r"@([^\s<>@,;()\"]+)")
# What somebody who decodes first and parses then takes for the domain of an address, blanks and wide dots included.
_DECODED = re.compile(r"@\s*+([\w-]++(?>(?:[.\u3002\uff0e\uff61][\w-]++)+))")
# A From field longer than this is not written by people; the rest is not read.
_MAX_CHARACTERS = 4096
# What makes another address list of a field, once it comes out of an encoded word; and what ends a comment.
_BRACKETING, _SEPARATORS, _PARENTHESES = "<>", ",;", "()"
# So many domains of an ambiguous author are said; the last one is among them.
_MOST_CLAIMED = 5

# Possessive: linear on any input. Octets above 7F count as letters (RFC 6532).
_ATEXT = rb"[A-Za-z0-9!#$%&'*+/=?^_`{|}~\x80-\xff-]"
_QUOTED = rb'"(?>(?:[^"\\\x00-\x08\x0a-\x1f]|\\[\x20-\x7e])*)"'
_ADDRESS = re.compile(
    rb"(?P<local>%(atext)s++(?>(?:\.%(atext)s++)*)|%(quoted)s)@(?P<domain>[A-Za-z0-9_.\x80-\xff-]++|\[[^\[\]<>\x00-\x20]*+\])"
    % {b"atext": _ATEXT, b"quoted": _QUOTED}
)
_BLANK = re.compile(rb"[ \t]++")
_WORD = re.compile(rb"%b|(?>(?:%b|\.)+)" % (_QUOTED, _ATEXT))
_DOMAIN = re.compile(r"[a-z0-9_](?>(?:[a-z0-9_-]*[a-z0-9_])?)(?>(?:\.[a-z0-9_](?>(?:[a-z0-9_-]*[a-z0-9_])?))*)")
_MAX_NESTING = 8
# A line that starts a mailbox file and may also be read as a From field.
_MBOX_FIELD = re.compile(rb">*From[ \t]++:")
# What a reader drops from a name that he mends: anything but printable ASCII.
_NOT_OF_NAMES = re.compile(rb"[^\x21-\x7e]+")
_UNREAD = frozenset({"header.fields.exceeded", "header.bytes.exceeded"})
# For people to read: an address in brackets or bare, and what else a name may hold. A path has 256 octets (RFC 5321).
_IN_BRACKETS = re.compile(r"<([^\s<>]{1,320}@[^\s<>@]{1,255})>")
_BARE_ADDRESS = re.compile(r"([^\s<>()\[\],;:\"]{1,320}@[^\s<>()\[\],;:\"@]{1,255})")
_OF_NAMES = "'’·&+-"
_UNSEEN = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})
_MOST_NAME, _MOST_ADDRESS = 60, 256


@dataclass(frozen=True, slots=True, kw_only=True)
class Author:
    """The author domain in lower-case A-labels, or the code of why there is no single one.

    `problem`: `unread` (a header longer than what is read: there may be another From field behind), `missing` (no
    From field), `fields` (several, also where one stands behind a line that is no field, which some step over, or has
    octets in its name that some drop, as NUL), `spelling` (blanks before the colon, also in a first line that mailbox
    files would have), `long`, `characters` (control characters), `syntax` (also: several addresses, a group, a route,
    no address), `encoded` (an encoded word in the address), `hidden` (another address in brackets within the display
    name or a comment, or one that encoded words decode to together with what parts addresses), `literal` (an address
    literal), `domain` (what stands behind the sign cannot be a domain).

    An encoded word in a display name that decodes to nothing but words and an address (`jose@corp.example via Team`) is
    a name: RFC 2047 §5 has no addresses in it, and honest lists and calendars write so.

    Args:
        claimed: where there is a problem, the domains that some reader may take for the author's, in lower-case
            A-labels, at most five. `hidden`: the one of the octets alone, which a parser by RFC 5322 finds.
    """

    domain: str | None = None
    problem: str | None = None
    claimed: tuple[str, ...] = ()

    @property
    def written(self) -> str | None:
        """The domain that the octets of a well-formed field have, whatever else its decoded text may show."""
        return self.claimed[0] if self.problem == "hidden" else self.domain


def from_domains(message: Message) -> tuple[str, ...]:
    """Say the domains of the From addresses, as written, in order, without duplicates."""
    found: list[str] = []
    for field in message.all("from"):
        value = field.value[:_MAX_CHARACTERS]
        found += _ANGLE.findall(value) or _BARE.findall(value)
    return tuple(dict.fromkeys(domain.strip(".") for domain in found))


def shown(message: Message) -> str:
    """Say who a mail says has written it, in one line for people to read: `name <address>`, "" where nothing is said.

    Bounded, without control, invisible and turning characters. A name can pose neither as an address nor as a link:
    what those are made of is taken out of it. Whether it is true nobody says here.
    """
    fields = message.all("from")
    value = fields[0].value[:_MAX_CHARACTERS] if fields else ""
    in_brackets = list(_IN_BRACKETS.finditer(value))
    # Of several in brackets the last one is where the mail comes from for most readers.
    address = in_brackets[-1] if in_brackets else _BARE_ADDRESS.search(value)
    if address is None:
        return ""
    name = " ".join("".join(map(_harmless, value[: address.start()])).split())
    cut = name if len(name) <= _MOST_NAME else name[:_MOST_NAME] + "…"
    mailbox = "".join(c for c in address[1] if unicodedata.category(c) not in _UNSEEN)[:_MOST_ADDRESS]
    return f"{cut} <{mailbox}>" if cut else f"<{mailbox}>"


def _harmless(character: str) -> str:
    """Give a letter, mark or digit, and the little that names hold besides; a blank for anything else."""
    return character if unicodedata.category(character)[0] in "LMN" or character in _OF_NAMES else " "


def author(message: Message) -> Author:
    """Say whose domain the mail speaks for: of one From field with one address, and nothing else."""
    found = _author(message)
    if found.problem is None or found.claimed:
        return found
    return Author(problem=found.problem, claimed=_claimed(message))


def _author(message: Message) -> Author:
    fields = message.all("from")
    if not _UNREAD.isdisjoint(message.defects):
        return Author(problem="unread")
    if len(fields) != 1:
        return Author(problem="fields" if fields else "missing")
    if _MBOX_FIELD.match(message.raw):
        return Author(problem="spelling")
    if "header.line.broken" in message.defects and _below(message):
        return Author(problem="fields")
    field = fields[0]
    name, _, raw = field.raw.partition(b":")
    if name != name.strip():
        return Author(problem="spelling")
    value = re.sub(rb"\r?\n(?=[ \t])", b"", raw).strip(b" \t\r\n")
    if len(value) > _MAX_CHARACTERS:
        return Author(problem="long")
    # Also what an encoded word decodes to: a line end or a NUL in a display name has cut addresses short.
    if any((octet < 32 and octet != 9) or octet == 127 for octet in value) or _has_controls(field.value):
        return Author(problem="characters")
    address = _only_address(value)
    if address is None:
        return Author(problem="syntax")
    return _author_of(address, field)


def _author_of(address: re.Match[bytes], field: Field) -> Author:
    if b"=?" in address["local"]:
        return Author(problem="encoded")
    if address["domain"].startswith(b"["):
        return Author(problem="literal")
    try:
        address["local"].decode("utf-8")
        domain = _canonical(address["domain"].decode("utf-8"))
    except (PeerError, UnicodeDecodeError):
        return Author(problem="domain")
    for other in _BRACKETS.findall(field.value):
        try:
            if _canonical(other.rpartition("@")[2]) != domain:
                return Author(problem="hidden", claimed=(domain,))
        except PeerError:
            return Author(problem="hidden", claimed=(domain,))
    is_bracketed = address.string[: address.start()].endswith(b"<")
    if b"=?" in field.raw and _decodes_to_another(field, domain, is_bracketed=is_bracketed):
        return Author(problem="hidden", claimed=(domain,))
    return Author(domain=domain)


def _decodes_to_another(field: Field, domain: str, *, is_bracketed: bool) -> bool:
    """Say whether the decoded field has an address of another domain that its octets do not have, and is another list
    of addresses than they are.

    RFC 2047 §5 has no addresses in encoded words, but who decodes before he parses finds one, before the true one.
    """
    octets = literal(field.raw.partition(b":")[2])
    # Parentheses in a name before brackets are a comment to him, too; what stands before the first address, as in
    # `Doe, John`, ends none.
    parts = _BRACKETING if is_bracketed else _BRACKETING + _PARENTHESES
    parts += "".join(mark for mark in _SEPARATORS if mark in field.value.partition("@")[2])
    if not any(field.value.count(part) > octets.count(part) for part in parts):
        return False
    found = Counter(_decoded_domains(field.value))
    found.subtract(_decoded_domains(octets))
    return any(count > 0 and name != domain for name, count in found.items())


def _decoded_domains(text: str) -> Iterator[str | None]:
    for name in _DECODED.findall(text):
        try:
            yield _canonical(name)
        except PeerError:
            yield None


def _claimed(message: Message) -> tuple[str, ...]:
    """Say the domains of all addresses in whatever somebody may read as a From field: the first four, and the last."""
    texts = [field.value for field in message.all("from")]
    if _MBOX_FIELD.match(message.raw):
        texts.append(literal(message.raw[:_MAX_CHARACTERS].partition(b"\n")[0]))
    if "header.line.broken" in message.defects:
        texts += map(literal, _below(message))
    found = dict.fromkeys(name for text in texts for name in _decoded_domains(text[:_MAX_CHARACTERS]) if name)
    names = tuple(found)
    return names if len(names) <= _MOST_CLAIMED else (*names[: _MOST_CLAIMED - 1], names[-1])


def _below(message: Message) -> list[bytes]:
    """Give the values of From fields that stand at or below the line at which the header broke off."""
    block, broken = sift(message.raw, message.body_offset, len(message.raw), DEFAULT)
    found = [folded for _, name, _, folded in block.fields if name.lower() == b"from"]
    lines = (line.partition(b":") for line in broken.splitlines())
    return found + [value for name, colon, value in lines if colon and _NOT_OF_NAMES.sub(b"", name).lower() == b"from"]


def _only_address(value: bytes) -> re.Match[bytes] | None:
    """Parse `[display-name] <address>` or a bare address, with comments around; None for everything else.

    A display name that is the address itself, unquoted, is against the grammar and very common: it is accepted when it
    is octet by octet the address in the brackets.
    """
    at, bare, has_words = 0, None, False
    while at < len(value):
        if blank := _BLANK.match(value, at):
            at = blank.end()
        elif value[at] == ord("("):
            end = _comment_end(value, at)
            if end is None:
                return None
            at = end
        elif value[at] == ord("<"):
            address = _ADDRESS.match(value, at + 1)
            if address is None or value[address.end() : address.end() + 1] != b">":
                return None
            if bare is not None and (bare[0] != address[0] or has_words):
                return None
            return address if _is_only_space(value, address.end() + 1) else None
        elif address := _ADDRESS.match(value, at):
            if bare is not None or has_words:
                return None
            bare, at = address, address.end()
        elif bare is None and (word := _WORD.match(value, at)):
            has_words, at = True, word.end()
        else:
            return None
    return bare


def _is_only_space(value: bytes, at: int) -> bool:
    """Say whether nothing but blanks and comments follows."""
    while at < len(value):
        if blank := _BLANK.match(value, at):
            at = blank.end()
        elif value[at] == ord("(") and (end := _comment_end(value, at)) is not None:
            at = end
        else:
            return False
    return True


def _comment_end(value: bytes, at: int) -> int | None:
    """Say where the comment that starts at `at` ends; None when it does not, or is nested too deep."""
    depth = 0
    while at < len(value):
        octet = value[at]
        if octet == ord("\\"):
            at += 1
        elif octet == ord("("):
            depth += 1
            if depth > _MAX_NESTING:
                return None
        elif octet == ord(")"):
            depth -= 1
            if depth == 0:
                return at + 1
        at += 1
    return None


def _has_controls(text: str) -> bool:
    return any((c < " " and c != "\t") or c == "\x7f" for c in text)


def _canonical(domain: str) -> str:
    """Give a host name in lower-case A-labels. Raises PeerError: only what can stand in DNS and in a header passes."""
    if domain.endswith("."):
        raise PeerError("root dot")
    name = canonical_domain(domain)
    if not _DOMAIN.fullmatch(name):
        raise PeerError("no host name")
    return name
