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
_NAME = rb"[!-<>-~]+"
_ATTRIBUTE = re.compile(_NAME + rb"=[^\0\n]*")
_BEGINNING = re.compile(rb"(?>(?:%b=[^\0\n]*\n)*)(?:[!-<>-~]*|%b=[^\0\n]*)" % (_NAME, _NAME))

DUNNO = b"action=DUNNO\n\n"
WAIT = b"action=DEFER_IF_PERMIT 4.3.0 Temporary policy failure, try again later\n\n"


def may_begin(octets: bytes) -> bool:
    """Say whether a request may begin like this. HTTP, TLS and SMTP do not: nobody waits for their empty line."""
    return _BEGINNING.fullmatch(octets) is not None


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
