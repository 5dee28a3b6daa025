"""What does the event stream say?  Reading it: forwards for people and replay, backwards for the writer's start.

A broken line (torn by a crash or a full disk) is skipped and reported, never an error: the lines around it are whole.
"""

from __future__ import annotations

import contextlib
import gzip
import os
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, BinaryIO

import orjson

BLOCK_BYTES = 64 * 1024

# Takes the file, the line's number from 1, and why: `not_json`, `not_an_event`, `torn` (the last line has no end).
OnBroken = Callable[[Path, int, str], None]


def stream_files(directory: Path, writer: str | None = None) -> list[Path]:
    """Say which files hold the stream, oldest first, rotated ones too (`.1`, `-20261122`, `.gz`).

    Args:
        writer: only this writer's; None for everybody's.
    """
    aged = []
    for path in directory.glob(f"{writer or '*'}.jsonl*"):
        # Rotation may take a file away while we look.
        with contextlib.suppress(FileNotFoundError):
            aged.append((path.suffix == ".jsonl", path.stat().st_mtime_ns, path))
    return [path for _, _, path in sorted(aged)]


def read_events(paths: Iterable[Path], on_broken: OnBroken | None = None) -> Iterator[dict[str, Any]]:
    """Read events in the order of the files. Raises OSError for a file that cannot be read."""
    for path, number, line in _lines(paths):
        event, why = _parse(line)
        if event is not None:
            yield event
        elif on_broken is not None and why is not None:
            on_broken(path, number, why)


def events_about(paths: Iterable[Path], ident: str) -> list[dict[str, Any]]:
    """Say which events name an id (transaction, incident, sanction, account, entry…), in the order they happened."""
    quoted = orjson.dumps(ident)
    found = (event for _, _, line in _lines(paths) if quoted in line and (event := _parse(line)[0]) is not None)
    return sorted(found, key=lambda e: (e["at"], e["writer"], e["seq"]))


def pieces_backwards(path: Path) -> Iterator[bytes]:
    """Split a file at its line ends, the last piece first: empty when the last line is whole, else the torn line."""
    if path.suffix == ".gz":
        with _open(path) as packed:
            yield from reversed(packed.read().split(b"\n"))
        return
    with path.open("rb") as file:
        position = file.seek(0, os.SEEK_END)
        rest = b""
        while position > 0:
            start = max(0, position - BLOCK_BYTES)
            file.seek(start)
            first, *others = (file.read(position - start) + rest).split(b"\n")
            yield from reversed(others)
            position, rest = start, first
        yield rest


def event_of(line: bytes) -> dict[str, Any] | None:
    """Read one line without its end, or None when it is no event."""
    try:
        event = orjson.loads(line)
    except orjson.JSONDecodeError:
        return None
    if isinstance(event, dict) and isinstance(event.get("seq"), int) and {"v", "event", "writer", "at"} <= event.keys():
        return event
    return None


def _parse(line: bytes) -> tuple[dict[str, Any] | None, str | None]:
    if line == b"\n":
        return None, None
    if not line.endswith(b"\n"):
        return None, "torn"
    if (event := event_of(line)) is not None:
        return event, None
    try:
        orjson.loads(line)
    except orjson.JSONDecodeError:
        return None, "not_json"
    return None, "not_an_event"


def _lines(paths: Iterable[Path]) -> Iterator[tuple[Path, int, bytes]]:
    for path in paths:
        with _open(path) as file:
            for number, line in enumerate(file, start=1):
                yield path, number, line


def _open(path: Path) -> BinaryIO | gzip.GzipFile:
    return gzip.open(path, "rb") if path.suffix == ".gz" else path.open("rb")
