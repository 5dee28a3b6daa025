"""What a mail carries that may have come from outside before: its links, attachments and text, as keyed hashes.

STANDING 5.7-12 (received first): who passes on what a stranger sent them, to ask somebody or to report it, has not made
it. Kept by tenant beside who wrote to it (pipeline/acquaintances), under another name each, so that nobody is taken for
a link.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable

from filterd.checks.links.place import read
from filterd.model.message import Message

# Of one mail; who sends more than this has not been sent it by one stranger.
_LINKS_AT_MOST, _FILES_AT_MOST = 40, 20


def content_keys(message: Message, text_fp: str, pseudonym: Callable[[str], str]) -> tuple[str, ...]:
    """Say the keys of a mail's content.

    Args:
        text_fp: of its text (mail/fingerprint); a mail without text has none to be known by.
        pseudonym: makes the keyed hash that is kept.
    """
    keys = []
    for link in message.links[:_LINKS_AT_MOST]:
        place = read(link)
        if place is not None:
            keys.append(f"link:{place.authority}{place.path}?{place.query}")
    for part in message.attachments[:_FILES_AT_MOST]:
        if part.content:
            keys.append(f"file:{hashlib.sha256(part.content).hexdigest()}")
    if any(text.strip() for text in message.texts):
        keys.append(f"text:{text_fp}")
    return tuple(dict.fromkeys(pseudonym(key) for key in keys))
