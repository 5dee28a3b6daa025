"""The grammar of main.cf and master.cf: logical lines, lists, times.  postconf(5), master(5)."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

_TIME = re.compile(r"(\d+)\s*([smhdw]?)")
_SECONDS = {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}


@dataclass(frozen=True, slots=True)
class Token:
    """A word, or a whole `{ … }`, and the 1-based line on which it begins."""

    text: str
    line: int


@dataclass(frozen=True, slots=True)
class Logical:
    """A logical line: its own first and last line, and the pieces with their numbers."""

    first: int
    last: int
    pieces: tuple[tuple[int, str], ...]

    @property
    def text(self) -> str:
        return " ".join(piece.strip() for _, piece in self.pieces)


def logical_lines(text: str) -> Iterator[Logical]:
    """A line that begins with white space goes on; comments and empty lines in between do not end it."""
    pieces: list[tuple[int, str]] = []
    for number, line in enumerate(text.splitlines(), start=1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        if not line[0].isspace() and pieces:
            yield Logical(pieces[0][0], pieces[-1][0], tuple(pieces))
            pieces = []
        pieces.append((number, line))
    if pieces:
        yield Logical(pieces[0][0], pieces[-1][0], tuple(pieces))


def tokens(pieces: tuple[tuple[int, str], ...], between: str = r"\s") -> list[Token]:
    """Split at white space, or what `between` says, but never inside braces."""
    found: list[Token] = []
    text, start, depth = "", 0, 0
    for number, piece in pieces:
        for sign in piece + "\n":
            if depth == 0 and re.match(f"[{between}]", sign):
                if text:
                    found.append(Token(text, start))
                text = ""
                continue
            depth += (sign == "{") - (sign == "}" and depth > 0)
            start = start if text else number
            text += " " if sign == "\n" else sign
    if text:
        found.append(Token(text, start))
    return found


def items(value: str) -> list[str]:
    """Split a list of Postfix's, at commas and white space."""
    return [token.text for token in tokens(((1, value),), r"\s,")]


def braced(item: str) -> tuple[str, dict[str, str]]:
    """Read `{ address, name=value, … }`, or an address alone; says address and attributes."""
    if not item.startswith("{"):
        return item, {}
    first, *rest = items(item[1:].rpartition("}")[0]) or [""]
    joined = re.findall(r"(\w+)\s*=\s*([^,\s{}]+)", " ".join(rest))
    return first, dict(joined)


def seconds(value: str) -> int | None:
    """Read a time. None for what is none."""
    found = _TIME.fullmatch(value.strip())
    return int(found[1]) * _SECONDS[found[2]] if found else None
