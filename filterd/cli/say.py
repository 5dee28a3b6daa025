"""What commands print: results on standard output, everything else on standard error.

Results are JSON with `--json`, else plain lines and tables. Whatever came from outside is made printable, so that no
mail and no file name can speak to the terminal.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterable, Sequence
from typing import Any

# A refresh a tenth of a second is as fast as anybody reads.
_PROGRESS_EVERY_S = 0.1


def printable(value: object) -> str:
    """Make text that a terminal only shows. Line ends and lone surrogates become escapes too."""
    text = str(value)
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in text)


def result(value: Any, *, as_json: bool, text: Callable[[], Iterable[str]]) -> None:
    """Print a command's result: `value` as one JSON document, or the lines of `text`."""
    if as_json:
        print(dumps(value))
        return
    for line in text():
        print(line)


def dumps(value: Any) -> str:
    """Write JSON on one line. Instants as RFC 3339; what JSON cannot hold as text."""
    import orjson

    return orjson.dumps(value, option=orjson.OPT_UTC_Z, default=str).decode()


def table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> list[str]:
    """Lay out a table in columns as wide as they need, None as `-`; `(none)` when there are no rows."""
    cells = [[("-" if cell is None else printable(cell)) for cell in row] for row in rows]
    if not cells:
        return ["(none)"]
    widths = [max(_width(row[i]) for row in [list(head), *cells]) for i in range(len(head))]
    return [
        "  ".join(cell + " " * (width - _width(cell)) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in [[name.upper() for name in head], *cells]
    ]


def count(number: int, noun: str) -> str:
    """Say `1 account` or `2 accounts`."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def complain(line: str) -> None:
    """Print an error or a warning, on one line."""
    print(f"filterd: {printable(line)}", file=sys.stderr, flush=True)


class Progress:
    """How far long work is, on a terminal only. Leaves nothing behind."""

    def __init__(self, what: str):
        self._what, self._is_shown, self._next = what, sys.stderr.isatty(), 0.0

    def step(self, done: int) -> None:
        self.say(f"{self._what} {done}")

    def say(self, line: str) -> None:
        now = time.monotonic()
        if self._is_shown and now >= self._next:
            self._next = now + _PROGRESS_EVERY_S
            print(f"\r{printable(line)}\x1b[K", end="", file=sys.stderr, flush=True)

    def end(self) -> None:
        if self._is_shown:
            print("\r\x1b[K", end="", file=sys.stderr, flush=True)


def _width(text: str) -> int:
    """Say how many columns a terminal gives the text: two for the characters of Chinese."""
    if text.isascii():
        return len(text)
    import unicodedata

    return sum(0 if unicodedata.combining(c) else 2 if unicodedata.east_asian_width(c) in "WF" else 1 for c in text)
