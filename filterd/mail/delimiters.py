"""Where the parts of a multipart lie: the delimiter lines of RFC 2046 §5.1.1, strict first, then as lenient readers.

A delimiter line is `--boundary`, then blanks. Where no line is, a line that merely starts so counts (§5.1.1 allows the
comparison), and that is said. Offsets instead of slices: nesting costs no copies.
"""

from __future__ import annotations

import re
from typing import NamedTuple

# What a delimiter looks like when the header does not announce it: a dashed line, then a Content- field.
_GUESS = re.compile(rb"(?:\A|\n)--([^\r\n]{1,200}+)\r?\n(?=(?i:Content-))")
_CLOSE = b"--"


class Layout(NamedTuple):
    """The octets of each part as (start, end), what was wrong, and the reading that also takes lenient delimiters.

    `lenient` is None when it is the same.
    """

    spans: list[tuple[int, int]]
    defects: list[str]
    lenient: list[tuple[int, int]] | None = None


class _Line(NamedTuple):
    start: int
    end: int
    is_close: bool


def lay_out(data: bytes, start: int, end: int, boundary: bytes, most: int) -> Layout:
    """Find the parts between `start` and `end`; at most `most`, and no span when no line is a delimiter."""
    exact, prefixed = _delimiters(data, start, end, boundary, most)
    defects: list[str] = []
    lenient = None
    if not any(not line.is_close for line in exact):
        if not any(not line.is_close for line in prefixed):
            return Layout([], [])
        exact = sorted(exact + prefixed)
        defects.append("mime.boundary.trailing")
    elif prefixed:
        defects.append("mime.boundary.trailing")
        lenient = _spans(data, sorted(exact + prefixed), end)[0]
    spans, more = _spans(data, exact, end)
    return Layout(spans, defects + more, lenient)


def guess_boundary(data: bytes, start: int, end: int) -> bytes | None:
    """Say what the delimiter may be when the announced one does not occur, or None."""
    found = _GUESS.search(data, max(0, start - 1), end)
    return found[1].rstrip(b" \t") if found else None


def _delimiters(data: bytes, start: int, end: int, boundary: bytes, most: int) -> tuple[list[_Line], list[_Line]]:
    """Give the delimiter lines, and the lines that go on after a blank behind the boundary."""
    needle = b"--" + boundary
    exact: list[_Line] = []
    prefixed: list[_Line] = []
    at = start if data.startswith(needle, start, end) else _next(data, needle, start, end)
    while at >= 0 and len(exact) <= most and len(prefixed) <= most:
        behind = at + len(needle)
        newline = data.find(b"\n", behind, end)
        line_end = end if newline < 0 else newline + 1
        rest = data[behind : min(line_end, behind + 1000)]
        is_close = rest.startswith(_CLOSE)
        tail = rest[2:] if is_close else rest
        if not tail.strip(b" \t\r\n"):
            exact.append(_Line(at, line_end, is_close))
        elif tail[:1] in (b" ", b"\t"):
            prefixed.append(_Line(at, line_end, is_close))
        # From the line end backwards: the next delimiter's LF may be this line's.
        at = _next(data, needle, line_end - 1, end)
    return exact, prefixed


def _next(data: bytes, needle: bytes, position: int, end: int) -> int:
    found = data.find(b"\n" + needle, position, end)
    return found + 1 if found >= 0 else -1


def _spans(data: bytes, lines: list[_Line], end: int) -> tuple[list[tuple[int, int]], list[str]]:
    spans: list[tuple[int, int]] = []
    defects: list[str] = []
    opened: int | None = None
    closed = False
    for line in lines:
        if opened is not None:
            spans.append((opened, max(opened, _before_line_end(data, line.start))))
        opened = None if line.is_close else line.end
        if closed and opened is not None:
            defects.append("mime.boundary.continued")
        closed = closed or line.is_close
    if opened is not None:
        spans.append((opened, end))
    if not closed or opened is not None:
        defects.append("mime.boundary.unclosed")
    return spans, defects


def _before_line_end(data: bytes, position: int) -> int:
    """The line end before a delimiter belongs to the delimiter."""
    if data.endswith(b"\r\n", 0, position):
        return position - 2
    return position - 1 if data.endswith(b"\n", 0, position) else position
