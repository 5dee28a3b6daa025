"""What a next hop says of mail that it takes, to be said again of mail that is taken in its place (locked_hold).

RFC 5321 §4.3.2 leaves the words behind 250 free, and each server has its own: `Ok: queued as 4XbM2k0FQz`, `OK
id=1tABcd-…`, `<bob@far.example> 0lvXHTtVPWc… Saved`. Whoever sends through us reads them; other words would tell that
the mail was not handed on. Kept are the last two, without the mail's recipient and Message-ID.
"""

from __future__ import annotations

import re
import secrets
import string
from collections import deque
from collections.abc import Iterable

from filterd.model.reply import Reply

# In place of what is the mail's own.
_RECIPIENT, _MESSAGE_ID = "\x01", "\x02"
_TOKEN = re.compile(r"([A-Za-z0-9][A-Za-z0-9+/_.-]*)")
_DOMAIN = re.compile(r"\.[A-Za-z]{2,}\Z")
_NUMBER = re.compile(r"[0-9.]+\Z")
_MESSAGE_ID_FIELD = re.compile(rb"^message-id:\s*(<[^<>\s]+>)", re.IGNORECASE | re.MULTILINE)
# Shorter ones are words and numbers: `2.0.0`, `10025`.
_MIN_ID, _MIN_NUMBER = 5, 6
_VOWELS = frozenset("aeiouAEIOU")


class TakenWords:
    """One a next hop."""

    def __init__(self) -> None:
        self._heard: deque[Reply] = deque(maxlen=2)

    def hear(self, reply: Reply, raw: bytes, recipients: Iterable[bytes]) -> None:
        """Keep a reply to the dot.

        Args:
            raw: the mail that was taken.
            recipients: whom it may name, in an SMTP address's octets.
        """
        text, name = reply.text, _message_id(raw)
        if name is not None:
            text = text.replace(name, _MESSAGE_ID)
        for recipient in recipients:
            text = text.replace(f"<{_text(recipient)}>", _RECIPIENT)
        self._heard.append(Reply(code=reply.code, enhanced=reply.enhanced, text=text))

    def say(self, raw: bytes, recipient: bytes) -> Reply:
        """Say what it would have said of this mail. The id in it is chance; before any was heard, Postfix's words."""
        if not self._heard:
            return Reply(code=250, enhanced="2.0.0", text=f"Ok: queued as {secrets.token_hex(5).upper()}")
        last = self._heard[-1]
        text = _another(last.text, self._heard[0].text) if len(self._heard) > 1 else _another(last.text, None)
        text = text.replace(_RECIPIENT, f"<{_text(recipient)}>").replace(_MESSAGE_ID, _message_id(raw) or "")
        return Reply(code=last.code, enhanced=last.enhanced, text=text)


def _message_id(raw: bytes) -> str | None:
    end = raw.find(b"\r\n\r\n")
    found = _MESSAGE_ID_FIELD.search(raw[: end if end >= 0 else len(raw)])
    return None if found is None else _text(found[1])


def _text(octets: bytes) -> str:
    return octets.decode("utf-8", "surrogateescape")


def _another(text: str, before: str | None) -> str:
    """Say a text with other ids: where two differ, is chance; of a single one, what looks like an id."""
    parts = _TOKEN.split(text)
    others = _TOKEN.split(before) if before is not None else []
    if [len(x) for x in parts] == [len(x) for x in others] and parts[::2] == others[::2]:
        return "".join(_mixed(part, other) for part, other in zip(parts, others, strict=True))
    return "".join(_mixed(part, None) if _is_id(part) else part for part in parts)


def _is_id(token: str) -> bool:
    if _NUMBER.match(token):
        return token.isdigit() and len(token) >= _MIN_NUMBER
    return len(token) >= _MIN_ID and any(x.isdigit() for x in token) and not _DOMAIN.search(token)


def _mixed(token: str, other: str | None) -> str:
    """Replace letters and digits by others of the same alphabet, but for those that two tokens have in common."""
    if token == other:
        return token
    pool = _alphabet(token + (other or ""))
    return "".join(
        secrets.choice(pool) if char.isalnum() and (other is None or char != other[place]) else char
        for place, char in enumerate(token)
    )


def _alphabet(token: str) -> str:
    """Say of which characters such an id is made: digits, hexadecimal, letters; Postfix's long ones have no vowels."""
    letters = {x for x in token if x.isalpha()}
    is_hex = letters <= set(string.hexdigits)
    pool = string.digits if any(x.isdigit() for x in token) else ""
    if any(x.isupper() for x in letters):
        pool += "ABCDEF" if is_hex else string.ascii_uppercase
    if any(x.islower() for x in letters):
        pool += "abcdef" if is_hex else string.ascii_lowercase
    is_mixed = any(x.isupper() for x in letters) and any(x.islower() for x in letters)
    if is_mixed and not letters & _VOWELS:
        pool = "".join(x for x in pool if x not in _VOWELS)
    return pool
