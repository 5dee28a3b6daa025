"""The words between the family and a child: JSON objects, one a line, over a socket pair.

To a child      {"do": "prepare", "number", "fingerprint"}   {"do": "take", "number"}   {"do": "drop"}
                {"do": "refused", "file", "line", "key"}     {"do": "failing", "names"}
From a child    {"say": "ready"}   {"say": "beat"}           {"say": "done", "number"}
                {"say": "refused", "number", "fault"}
"""

from __future__ import annotations

import socket
from dataclasses import asdict, dataclass
from typing import Any

import orjson

from filterd.errors import ConfigError

Word = dict[str, Any]
# Nothing we say comes near this; who says more is broken.
LINE_BYTES = 1 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """Why a reload was refused: the whole line, and where."""

    text: str
    file: str | None = None
    line: int | None = None
    key: str | None = None

    @classmethod
    def of(cls, err: BaseException) -> Fault:
        """Say what went wrong. The text of what nobody raised on purpose is kept back."""
        match err:
            case ConfigError():
                file = str(err.file) if err.file is not None else None
                return cls(text=str(err), file=file, line=err.line, key=err.key)
            case _ if type(err).__module__ == "filterd.errors":
                return cls(text=str(err))
            case OSError():
                return cls(text=f"{err.filename}: {err.strerror}" if err.filename else str(err.strerror))
            case _:
                return cls(text=f"internal error: {type(err).__name__}")

    def plain(self) -> Word:
        return asdict(self)


def written(word: Word) -> bytes:
    return orjson.dumps(word) + b"\n"


class Channel:
    """The family's end. Never waits."""

    def __init__(self, end: socket.socket):
        end.setblocking(False)
        self.socket = end
        self._begun = b""

    def send(self, word: Word) -> bool:
        """Say something; False when the child is gone, or so far behind that it takes no more."""
        octets = written(word)
        try:
            return self.socket.send(octets) == len(octets)
        except OSError:
            return False

    def read(self) -> list[Word] | None:
        """Say what has come, None when the other end is closed."""
        found: list[Word] = []
        while True:
            try:
                octets = self.socket.recv(65536)
            except BlockingIOError:
                return found
            except OSError:
                return None
            if not octets:
                return found or None
            *lines, self._begun = (self._begun + octets).split(b"\n")
            if len(self._begun) > LINE_BYTES:
                return None
            found += [orjson.loads(line) for line in lines]

    def close(self) -> None:
        self.socket.close()
