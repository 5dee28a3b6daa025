"""Header edits on the raw octets: take fields out, put fields on top. Nothing else of the mail changes.

Never re-serialise a customer's mail (FAULTS F17): a field that is not named stays as it is to the byte, and so does all
from the first octet of the body on. Values are checked, because they may hold what a stranger wrote.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable

from filterd.errors import UsageError
from filterd.mail import fields, words

# RFC 5322 §2.1.1: 78 is wished for, 998 is the law.
_WISHED = 78
_MAX_LINE = 998
_NAME = re.compile(r"[!-9;-~]{1,76}")


def remove_fields(raw: bytes, names: Collection[str]) -> bytes:
    """Take out every field that bears one of the names, in any letter case, also written `Name :`, folds included."""
    doomed = {name.lower().encode("ascii") for name in names}
    return remove_where(raw, lambda name, _: name in doomed)


def remove_where(
    raw: bytes, is_doomed: Callable[[bytes, bytes], bool], block: fields.Block | None = None
) -> bytes:
    """Take out the fields for which `is_doomed(name in lower case, whole raw field)` holds. The same object if none.

    `block` is the header of `raw` with all its fields, for those who have it already.
    """
    if block is None:
        block = fields.split(raw, limits=None)
    start = at = fields.header_start(raw, 0, len(raw))
    # Slices of what stays: no offset shifts, as it would when one field after the other goes (CVE-2022-48521).
    kept = [raw[:start]]
    for whole, name, _, _ in block.fields:
        if is_doomed(name.lower(), whole):
            kept.append(raw[start:at])
            start = at + len(whole)
        at += len(whole)
    return b"".join((*kept, raw[start:])) if len(kept) > 1 else raw


def prepend_fields(raw: bytes, new: Iterable[tuple[str, str]]) -> bytes:
    """Put fields on top, the first one first.

    A mail without any header gets the empty line it needs before its body: else its first line would be a field, or, if
    it starts with a blank, the rest of ours. A `From ` line of a mailbox file stays above.

    Args:
        new: (name, value); the value may not hold CR, LF or NUL, is encoded where it is not ASCII, and is folded.

    Raises:
        UsageError: a name or value that cannot stand in a header.
    """
    rendered = b"".join(render_field(name, value) for name, value in new)
    if not rendered:
        return raw
    at = fields.header_start(raw, 0, len(raw))
    has_header = fields.starts_with_field(raw, at) or raw.startswith((b"\r\n", b"\n"), at)
    return raw[:at] + rendered + (b"" if has_header else b"\r\n") + raw[at:]


def render_field(name: str, value: str) -> bytes:
    """Write one field, folded, with its CRLF. Raises UsageError for what cannot be written."""
    if not _NAME.fullmatch(name):
        raise UsageError(f"not a field name: {name!r}")
    if any(c in value for c in "\r\n\0"):
        raise UsageError(f"{name}: a line end or NUL in the value")
    return _folded(f"{name}: {words.encode(value)}".rstrip(), name).encode("ascii") + b"\r\n"


def _folded(line: str, name: str) -> str:
    """Break the line before blanks so that lines stay short; never into a line of blanks only."""
    lines: list[str] = []
    while len(line) > _WISHED:
        start = len(name) + 2 if not lines else 1
        while start < len(line) and line[start] == " ":
            start += 1
        cut = line.rfind(" ", start, _WISHED + 1)
        if cut <= start:
            cut = line.find(" ", max(start, _WISHED))
        if cut < 0 or not line[cut:].strip():
            break
        lines.append(line[:cut])
        line = line[cut:]
    lines.append(line)
    if any(len(one) > _MAX_LINE for one in lines):
        raise UsageError(f"{name}: a word of more than {_MAX_LINE} characters")
    return "\r\n".join(lines)
