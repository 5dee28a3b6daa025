"""Reports about mail of ours: feedback reports and what people forward.  RFC 5965, RFC 6590.

Reads octets, never raises, within the limits of mail/parse. Anybody may have written a report, and anything in it: what
it says of a mail only serves to look for our own record of one. Its words are not kept; a digest of them tells reports
that came together.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from filterd.mail.limits import Limits
from filterd.mail.parse import parse
from filterd.model.message import Message, Part

FEEDBACK = "message/feedback-report"
_ORIGINAL = frozenset({"message/rfc822", "message/global", "text/rfc822-headers", "message/global-headers"})
# RFC 5965 §7.3 and the IANA list; another word is `other`.
TYPES = frozenset({"abuse", "fraud", "virus", "not-spam", "auth-failure", "other"})
NOT_SPAM = "not-spam"
# A report is small: a text, some fields, one mail.
LIMITS = Limits(
    depth=10, parts=50, fields=200, header_bytes=1 << 18, content_bytes=4 << 20, text_chars=100_000, links=1
)
# Of what one report names. RFC 5965 §3.2: Original-Rcpt-To may come several times.
_MOST_RECIPIENTS = 100
_MOST_ORIGINALS = 3
_MOST_LINES = 500
_TRANSACTION = re.compile(r"\s*(t_[0-9a-z]{26})(?:\s|$)")
_MESSAGE_ID = re.compile(r"<[^<>\s]{3,250}>")
_ADDRESS = re.compile(r"[^\s<>()\"',;:]{1,64}@[^\s<>()\"',;:@]{1,255}")
_WORD = re.compile(r"\w+")


@dataclass(frozen=True, slots=True, kw_only=True)
class Reported:
    """What a report says.

    Args:
        feedback: one of TYPES; "" for a mail that is no feedback report.
        transactions, message_ids: by which our record of the mail may be found, in order, without duplicates.
        recipients: whom the mail went to, says the report.
        author: the address that the report says it is from, None for none.
        words: what its first text says, small and without signs, for a digest; "" for none.
    """

    feedback: str
    transactions: tuple[str, ...]
    message_ids: tuple[str, ...]
    recipients: tuple[str, ...]
    author: str | None
    words: str

    @property
    def is_arf(self) -> bool:
        return bool(self.feedback)


def read_complaint(raw: bytes, trace_field: str) -> Reported:
    """Read a mail as a report.

    Args:
        trace_field: the name of the field in which we put the id of the transaction.
    """
    message = parse(raw, LIMITS)
    parts = [part for part in message.parts if not part.path.startswith("~")]
    fields = next((_fields(part) for part in parts if part.content_type == FEEDBACK), {})
    originals = [parse(part.content, LIMITS) for part in parts if part.content_type in _ORIGINAL][:_MOST_ORIGINALS]
    ids = [x for original in originals for x in _MESSAGE_ID.findall(original.first("message-id") or "")]
    if not originals:
        # Who answers a mail names it, and who complains in words often quotes its header.
        ids = _MESSAGE_ID.findall(" ".join((message.first("in-reply-to") or "", message.first("references") or "")))
    found = [m[1] for x in originals if (m := _TRANSACTION.match(x.first(trace_field) or "")) is not None]
    kind = fields.get("feedback-type", [""])[0].strip().lower()
    return Reported(
        feedback=(kind if kind in TYPES else "other") if fields else "",
        transactions=tuple(dict.fromkeys(found)),
        message_ids=tuple(dict.fromkeys(ids))[: 2 * _MOST_ORIGINALS],
        recipients=tuple(dict.fromkeys(_addresses(fields.get("original-rcpt-to", []))))[:_MOST_RECIPIENTS],
        author=next(_addresses([message.first("from") or ""]), None),
        words=_words(message, parts),
    )


def _words(message: Message, parts: list[Part]) -> str:
    """Say what the report's own text says, without what changes from one to the next: numbers and addresses."""
    first = next((part for part in parts if part.content_type.startswith("text/")), None)
    is_inside = first is not None and any(
        first.path.startswith(f"{x.path}.") for x in parts if x.content_type in _ORIGINAL
    )
    if first is None or is_inside or first.content_type in _ORIGINAL:
        return ""
    text = _ADDRESS.sub(" ", message.texts[0] if message.texts else "")
    return " ".join(word for word in _WORD.findall(text.lower()) if not word.isdigit())


def _addresses(texts: list[str]) -> Iterator[str]:
    for text in texts:
        # From the end: a display name may look like an address, too.
        found = _ADDRESS.findall(text[:2_000])
        if found:
            yield found[-1].lower()


def _fields(part: Part) -> dict[str, list[str]]:
    """Take the fields of a feedback report apart, by small name (RFC 5965 §3)."""
    fields: dict[str, list[str]] = {}
    name = ""
    for line in part.content.decode("utf-8", "replace").splitlines()[:_MOST_LINES]:
        if line[:1] in (" ", "\t") and name:
            fields[name][-1] += " " + line.strip()
        else:
            name, colon, value = line.partition(":")
            name = name.strip().lower() if colon else ""
            if name:
                fields.setdefault(name, []).append(value.strip())
    return fields
