"""What does the event stream say?  Reading it: forwards for people and replay, backwards for the writer's start.

A broken line (torn by a crash or a full disk) is skipped and reported, never an error: the lines around it are whole.
Rotation may rename, pack and remove files at any time; `steadily` reads again what was moved while it was read.
"""

from __future__ import annotations

import contextlib
import gzip
import os
import zlib
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, BinaryIO, TypeVar

import orjson

T = TypeVar("T")

BLOCK_BYTES = 64 * 1024
# Rotation takes moments, once a day; whoever meets it more often is given what was read.
_TRIES = 4

# Takes the file, the line's number from 1, and why: `not_json`, `not_an_event`, `torn` (the last line has no end).
OnBroken = Callable[[Path, int, str], None]


def stream_files(directory: Path, writer: str | None = None) -> list[Path]:
    """Say which files hold the stream, oldest first, rotated ones too (`.1`, `-20261122`, `.gz`).

    A packed file is left out as long as the one it is made of is there: it may be half written.

    Args:
        writer: only this writer's; None for everybody's.
    """
    aged = []
    for path in directory.glob(f"{writer or '*'}.jsonl*"):
        # Rotation may take a file away while we look.
        with contextlib.suppress(FileNotFoundError):
            aged.append((path.suffix == ".jsonl", path.stat().st_mtime_ns, path))
    # `gzip` on the current file itself is no rotation that keeps its source.
    sources = {path for is_current, _, path in aged if not is_current}
    return [path for _, _, path in sorted(aged) if path.suffix != ".gz" or path.with_suffix("") not in sources]


def steadily(directory: Path, read: Callable[[list[Path]], T]) -> T:
    """Read all files of a folder; once more when rotation moved one meanwhile. Raises what `read` raises."""
    for _ in range(_TRIES - 1):
        before = _names(directory)
        with contextlib.suppress(FileNotFoundError, EOFError, zlib.error):
            said = read(stream_files(directory))
            if _names(directory) == before:
                return said
    return read(stream_files(directory))


def writer_of(path: Path) -> str:
    """Say whose stream a file holds, by its name."""
    return path.name.partition(".jsonl")[0]


def order_of(event: dict[str, Any]) -> tuple[str, str, int]:
    """Say by what events of several writers are put in order: time, then writer, then number."""
    at = str(event["at"])
    # An instant without a fraction must not sort behind its own second.
    return (f"{at[:-1]}.000000Z" if len(at) == len("2026-11-02T12:00:00Z") else at, event["writer"], event["seq"])


def read_events(
    paths: Iterable[Path],
    on_broken: OnBroken | None = None,
    is_wanted: Callable[[bytes], bool] | None = None,
) -> Iterator[dict[str, Any]]:
    """Read events in the order of the files. Raises OSError for a file that cannot be read.

    Args:
        is_wanted: says by a line's octets whether it is worth reading; broken lines are asked for, too.
    """
    for path, number, line in _lines(paths):
        if is_wanted is not None and not is_wanted(line):
            continue
        event, why = _parse(line)
        if event is not None:
            yield event
        elif on_broken is not None and why is not None:
            on_broken(path, number, why)


def events_about(paths: Iterable[Path], ident: str) -> list[dict[str, Any]]:
    """Say which events name an id (transaction, incident, sanction, account, entry…), in the order they happened."""
    quoted = orjson.dumps(ident)
    found = (event for _, _, line in _lines(paths) if quoted in line and (event := _parse(line)[0]) is not None)
    return sorted(found, key=order_of)


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


def _names(directory: Path) -> list[tuple[str, int]]:
    with os.scandir(directory) as found:
        return sorted((item.name, item.inode()) for item in found if ".jsonl" in item.name)


def _open(path: Path) -> BinaryIO | gzip.GzipFile:
    return gzip.open(path, "rb") if path.suffix == ".gz" else path.open("rb")
