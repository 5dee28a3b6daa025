"""Postfix policy delegation on the wire: `name=value` lines, an empty line, an action (Postfix SMTPD_POLICY_README).

Pure, octets in, octets out. Attributes nobody here knows are ignored, values may hold any octet but LF and NUL. Raises
PeerError for what is no request; the door then says nothing and hangs up, and Postfix does what its own default says.
"""

from __future__ import annotations

import re

from filterd.errors import PeerError
from filterd.mail.address import mailbox_as_given, parse_forward_path, parse_reverse_path
from filterd.model.reply import Reply
from filterd.model.session import Path

# Postfix sends some thirty attributes in a kilobyte or two; certificate subjects can be long.
MAX_REQUEST_BYTES = 65_536
MAX_ATTRIBUTES = 200
# Postfix line_length_limit, over which it would part the action.
MAX_ACTION_BYTES = 2000

# Names are words of ASCII; whatever follows the first `=` is the value.
_NAME = rb"[!-<>-~]"
_VALUE = rb"[^\0\n]"
_ATTRIBUTE = re.compile(_NAME + rb"+=" + _VALUE + rb"*")
_OF_A_NAME, _OF_A_VALUE = re.compile(_NAME + rb"*"), re.compile(_VALUE + rb"*")

DUNNO = b"action=DUNNO\n\n"
WAIT = b"action=DEFER_IF_PERMIT 4.3.0 Temporary policy failure, try again later\n\n"


class RequestReader:
    """Cuts what comes into requests, in whatever pieces it comes. Each octet is looked at once."""

    def __init__(self) -> None:
        self._held = bytearray()
        # Where the line in hand begins, how far all has been looked at, and whether that is behind its `=`.
        self._line = self._seen = 0
        self._is_in_value = False

    def feed(self, octets: bytes) -> None:
        self._held += octets

    def request(self) -> bytes | None:
        """Give the next request with its empty line, None while it is not whole. Raises PeerError as soon as it cannot
        become one: nobody waits for the empty line of HTTP, TLS and SMTP."""
        held = self._held
        while self._seen < len(held):
            pattern = _OF_A_VALUE if self._is_in_value else _OF_A_NAME
            found = pattern.match(held, self._seen)
            self._seen = found.end() if found is not None else self._seen
            if self._seen > MAX_REQUEST_BYTES:
                raise PeerError("a policy request without end")
            if self._seen == len(held):
                break
            if self._step(held[self._seen]):
                return self._cut()
        return None

    def _step(self, octet: int) -> bool:
        """Go past the octet that ended a name or a value; says whether it ended the request."""
        is_at_start, self._seen = self._seen == self._line, self._seen + 1
        match octet:
            case 0x3D if not self._is_in_value and not is_at_start:
                self._is_in_value = True
            case 0x0A if self._is_in_value:
                self._line, self._is_in_value = self._seen, False
            case 0x0A if is_at_start and self._line:
                return True
            case _:
                raise PeerError("no policy request")
        return False

    def _cut(self) -> bytes:
        block = bytes(self._held[: self._seen])
        del self._held[: self._seen]
        self._line = self._seen = 0
        return block


def parse_request(block: bytes) -> dict[str, bytes]:
    """Read one request with its empty line; the last of two equal names counts."""
    lines = block.removesuffix(b"\n\n").split(b"\n")
    if len(lines) > MAX_ATTRIBUTES:
        raise PeerError(f"more than {MAX_ATTRIBUTES} attributes")
    found: dict[str, bytes] = {}
    for line in lines:
        if _ATTRIBUTE.fullmatch(line) is None:
            raise PeerError("a line that is no attribute")
        name, _, value = line.partition(b"=")
        found[name.decode("ascii")] = value
    if found.get("request") != b"smtpd_access_policy":
        raise PeerError("no smtpd_access_policy request")
    return found


def action(reply: Reply) -> bytes:
    """Say a refusal as Postfix takes it: code, enhanced code, one line of text."""
    # Postfix says nothing of SMTPUTF8 here, so it is the ASCII text.
    return b"action=" + reply.one_line().encode("ascii", "replace")[:MAX_ACTION_BYTES] + b"\n\n"


def sender_of(request: dict[str, bytes]) -> Path | None:
    """Say the reverse-path, None for the null sender."""
    octets = request.get("sender", b"")
    try:
        return parse_reverse_path(b"<" + octets + b">", smtputf8=True)
    except PeerError:
        return mailbox_as_given(octets)


def recipient_of(request: dict[str, bytes]) -> Path:
    """Say the forward-path."""
    octets = request.get("recipient", b"")
    try:
        return parse_forward_path(b"<" + octets + b">", smtputf8=True)
    except PeerError:
        return mailbox_as_given(octets)


def text_of(request: dict[str, bytes], name: str) -> str | None:
    """Say a value as text, None when it is missing, empty, or Postfix's word for unknown."""
    text = request.get(name, b"").decode("utf-8", "backslashreplace")
    return None if not text or text.lower() == "unknown" else text
