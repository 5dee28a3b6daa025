"""A second opinion on ambiguous mail: another parser's leaves (fast-mail-parser), so that a slip of ours hides nothing.

Asked for ambiguous mail only. That parser is fast on mail, but quadratic in the encoded words of a header (60,000 of
them: 25 s in 0.10.0), recurses without bound, and gives up on a mail for one bad base64 character, so it is neither the
first reader nor fed everything.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from itertools import islice

from fast_mail_parser import parse_email_tree, walk

from filterd.model.message import Part

_MAX_BYTES = 4 << 20
_MAX_WORDS = 200
# It calls itself for each multipart in a multipart: 50,000 of them (3 MB) overrun the stack and end the process.
_MAX_MULTIPARTS = 200
_MULTIPART = re.compile(rb"(?i)multipart/")


def other_parts(raw: bytes, known: Collection[bytes], most: int) -> list[Part]:
    """Give the leaves the other parser finds and whose content is not among the `known`; at most `most`."""
    if len(raw) > _MAX_BYTES or raw.count(b"=?") > _MAX_WORDS or _is_nested(raw):
        return []
    seen = {content.strip() for content in known}
    parts: list[Part] = []
    try:
        for number, node in enumerate(walk(parse_email_tree(raw, mode="lazy"))):
            content = node.content
            if not content or content.strip() in seen:
                continue
            seen.add(content.strip())
            parts.append(
                Part(
                    path=f"~~{number}",
                    content_type=node.content_type.lower(),
                    disposition=node.disposition,
                    filename=node.filename or None,
                    charset=None,
                    content=content,
                )
            )
            if len(parts) >= most:
                break
    # Its errors are its own affair: the first reading stands.
    except Exception:
        return parts
    return parts


def _is_nested(raw: bytes) -> bool:
    """Say whether there are so many multiparts that they could stand in each other deeper than the stack reaches."""
    return next(islice(_MULTIPART.finditer(raw), _MAX_MULTIPARTS, None), None) is not None
