"""Tag lists `a=1; b=2`, as signatures and key records are written.  RFC 6376 §3.2.

Strict: a broken or doubled tag makes the whole list invalid, because two readers could read it differently. Octets
above ASCII are let through (RFC 8616); what they may mean is the business of each tag.
"""

from __future__ import annotations

import re
from binascii import Error as BinasciiError
from binascii import a2b_base64

_CONTROL = re.compile(rb"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")
# The names of a list, joined: one look at all of them.
_NAMES = re.compile(rb"[A-Za-z][A-Za-z0-9_]*+(?>(?:;[A-Za-z][A-Za-z0-9_]*+)*)")
_SIGNATURE = re.compile(rb";\s*+b\s*+=([^;]*+)")
_BASE64 = re.compile(rb"[A-Za-z0-9+/]*+={0,2}")
# RFC 6376 §3.5, `t=` and `x=`: 1*12DIGIT. For `l=` it allows 76 digits, of which no mail needs more than these.
_NUMBER = re.compile(rb"[0-9]{1,12}")


def read(text: bytes) -> dict[bytes, bytes] | None:
    """Read a tag list, folds and all, into values without the blanks around them, in order.

    None: it breaks the grammar, or has one tag twice.
    """
    if _CONTROL.search(text):
        return None
    # One semicolon may stand at the end.
    specs = [spec.partition(b"=") for spec in text.strip().removesuffix(b";").split(b";")]
    found = {name.strip(): value.strip() for name, _, value in specs}
    if len(found) < len(specs) or not all(equals for _, equals, _ in specs) or not _NAMES.fullmatch(b";".join(found)):
        return None
    return found


def without_signature(text: bytes) -> bytes:
    """Take the value of b= out of a tag list, with all blanks around it (RFC 6376 §3.7)."""
    # The added semicolon is for a b= that stands first; a pattern that starts with a plain octet is found faster.
    match = _SIGNATURE.search(b";" + text)
    return text[: match.start(1) - 1] + text[match.end(1) - 1 :] if match else text


def number(value: bytes) -> int | None:
    """Read a decimal number of at most twelve digits; None for anything else."""
    return int(value) if _NUMBER.fullmatch(value) else None


def base64(value: bytes) -> bytes | None:
    """Read base64 with blanks and folds in it (RFC 6376 §2.10); None when it is empty or broken."""
    packed = b"".join(value.split())
    if not packed or len(packed) % 4 or not _BASE64.fullmatch(packed):
        return None
    try:
        return a2b_base64(packed, strict_mode=True)
    except BinasciiError:
        return None


def names(value: bytes) -> tuple[str, ...]:
    """Read a list parted by colons, blanks around them allowed, in lower case. Octets above ASCII match no name."""
    return tuple([name.strip().decode("latin-1") for name in value.lower().split(b":")])
