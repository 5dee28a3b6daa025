"""A virus scanner that says what the test wrote down."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable

from filterd.errors import PortError
from filterd.ports import ScanAnswer

VERSION = "ClamAV 1.4.6/27800"
CLEAN = ScanAnswer(signature=None, version=VERSION)
AWAY = PortError("scanner: away")
TOO_LARGE = PortError("scanner: beyond its limit", temporary=False)
# Never answers.
SILENT = "silent"

Line = ScanAnswer | PortError | str


def match(signature: str) -> ScanAnswer:
    """The answer that names `signature`."""
    return ScanAnswer(signature=signature, version=VERSION)


class ScriptedScanner:
    """Implements ports.Scanner. Says the lines in order, then the last one for ever; without lines everything is clean.

    Attributes:
        scanned: what was handed over, in order.
    """

    def __init__(self, lines: Iterable[Line] = ()):
        self._lines = list(lines) or [CLEAN]
        self.scanned: list[bytes] = []

    async def scan(self, data: bytes) -> ScanAnswer:
        self.scanned.append(data)
        return await self._next()

    async def ping(self) -> str:
        return (await self._next()).version

    async def _next(self) -> ScanAnswer:
        line = self._lines.pop(0) if len(self._lines) > 1 else self._lines[0]
        if isinstance(line, PortError):
            raise line
        if isinstance(line, str):
            await asyncio.Event().wait()
            raise AssertionError("unreachable")
        return line
