"""Limits: how much of one mail is looked at. Beyond a limit the mail gets a defect, never an exception."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """The bounds of one walk; all readings of an ambiguous mail share them.

    Args:
        depth: nested multiparts and attached messages. Postfix `mime_nesting_limit` is 100; ordinary mail has below 10.
        parts: MIME entities, the multiparts too.
        fields: header fields of one header block.
        header_bytes: octets of one header block.
        content_bytes: decoded octets over all parts.
        text_chars: characters of text kept over all texts.
        links: URLs kept.
    """

    depth: int = 50
    parts: int = 1_000
    fields: int = 2_000
    header_bytes: int = 1 << 20
    content_bytes: int = 128 << 20
    text_chars: int = 1_000_000
    links: int = 1_000


DEFAULT = Limits()
