"""What tells a run of mail from others, and whether it can be unsubscribed from.  RFC 2919, RFC 8058, CLAUSES §2.2.

A header is no consent: these are conditions of a stream that a tenant has declared, never a reason by themselves.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from filterd.errors import PeerError
from filterd.mail.address import parse_forward_path
from filterd.model.message import Message

LIST_ID, FROM = "list_id", "from"

# RFC 2919 §2: the identifier stands in angle brackets, after words for people.
_LIST_ID = re.compile(r"<([^<>\s]{1,255})>\s*$")
# RFC 8058 §3.1: this one key and value.
_ONE_CLICK = "list-unsubscribe=one-click"
_COVERED = {"list-unsubscribe", "list-unsubscribe-post"}
_SIGNED_FIELDS = re.compile(r"(?:^|;)\s*h\s*=([^;]*)", re.IGNORECASE)


def stream_key(kind: str, text: str, pseudonym: Callable[[str], str]) -> str:
    """Say how the register knows a stream: the keyed hash of its list id or its author address.

    Raises PeerError for what is neither.
    """
    if kind == LIST_ID:
        found = _LIST_ID.search(text) or re.fullmatch(r"([^<>\s]{1,255})", text.strip())
        if found is None:
            raise PeerError("no list id: newsletter.example.com, or <newsletter.example.com>")
        return pseudonym(f"{LIST_ID}:{found.group(1).lower()}")
    address = parse_forward_path(f"<{text.strip()}>".encode(), smtputf8=True).address
    return pseudonym(f"{FROM}:{address.lower()}")


def stream_keys(message: Message, author: str | None, pseudonym: Callable[[str], str]) -> tuple[str, ...]:
    """Say the keys a mail could be declared under."""
    keys = []
    list_id = message.first("list-id")
    if list_id is not None and (found := _LIST_ID.search(list_id)) is not None:
        keys.append(pseudonym(f"{LIST_ID}:{found.group(1).lower()}"))
    if author is not None:
        keys.append(pseudonym(f"{FROM}:{author.lower()}"))
    return tuple(keys)


def has_one_click(message: Message) -> bool:
    """Say whether there is a way to unsubscribe with one click, which every signature there is covers (RFC 8058 §4)."""
    where, how = message.first("list-unsubscribe"), message.first("list-unsubscribe-post")
    if where is None or how is None or "<https:" not in where.lower().replace(" ", ""):
        return False
    if how.strip().lower() != _ONE_CLICK:
        return False
    signatures = [field.value for field in message.fields if field.name.lower() == "dkim-signature"]
    return all(_names(signature) >= _COVERED for signature in signatures)


def _names(signature: str) -> set[str]:
    found = _SIGNED_FIELDS.search(signature)
    return {name.strip().lower() for name in found.group(1).split(":")} if found is not None else set()
