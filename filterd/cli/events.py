"""Everything the event stream says about an id that somebody quotes.  HOUSE rule 15, ops/docs/EVENTS.md.

A transaction, incident, decision, sanction, account or tenant id is looked for as it is. A case id, the first digits of
an incident's, and a next hop's queue id are first traced to the ids they stand for. Offline: reads files only.
"""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from filterd.log.read import event_of, events_about, order_of, pieces_backwards, read_events, stream_files

Event = dict[str, Any]

# What people quote from a refusal (pipeline.replies.case_id): from 12 digits on.
_CASE = re.compile(r"(?:i_)?([0-9a-f]{12,40})")


def everything_about(directory: Path, quoted: str) -> list[Event]:
    """Say all events about what was quoted, and about what it leads to, in the order they happened.

    A mail brings the entries of its decision; a queue id brings its mail; a case id its incident.

    Raises:
        OSError: a file of the stream cannot be read.
    """
    files = stream_files(directory)
    found: dict[tuple[str, int], Event] = {}
    seen: set[str] = set()
    waiting = list(_meant(files, quoted.strip()))
    while waiting:
        ident = waiting.pop()
        if ident in seen:
            continue
        seen.add(ident)
        events = events_about(files, ident)
        found |= {(event["writer"], event["seq"]): event for event in events}
        waiting += [leads for event in events for leads in _leads_to(event, ident)]
    return _in_order(found.values())


def latest(directory: Path, number: int) -> list[Event]:
    """Say the last events of all writers together, in the order they happened."""
    last: list[Event] = []
    for writer in {path.name.partition(".jsonl")[0] for path in stream_files(directory)}:
        last += _latest_of(directory, writer, number)
    return _in_order(last)[-number:]


def ends(directory: Path) -> dict[int, int]:
    """Say where the files end now, by inode, for `follow`."""
    found = {}
    for path in _plain(directory):
        with contextlib.suppress(FileNotFoundError):
            status = path.stat()
            found[status.st_ino] = status.st_size
    return found


def follow(directory: Path, positions: dict[int, int]) -> list[Event]:
    """Say what was written since `positions`, and move them on. A file that was renamed is read to its end."""
    fresh: list[Event] = []
    for path in _plain(directory):
        # Rotation may take a file away while we look.
        with contextlib.suppress(FileNotFoundError), path.open("rb") as file:
            status = os.fstat(file.fileno())
            if path.suffix != ".jsonl" and status.st_ino not in positions:
                continue
            start = positions.get(status.st_ino, 0)
            # A shorter one is new, in the place of one that was removed.
            file.seek(start if start <= status.st_size else 0)
            octets = file.read()
            whole = octets.rfind(b"\n") + 1
            positions[status.st_ino] = file.tell() - len(octets) + whole
            fresh += [event for line in octets[:whole].split(b"\n") if (event := event_of(line)) is not None]
    return _in_order(fresh)


def _plain(directory: Path) -> list[Path]:
    return [path for path in stream_files(directory) if path.suffix != ".gz"]


def _meant(files: list[Path], quoted: str) -> Iterator[str]:
    """Say the ids that a quoted one stands for."""
    case = _CASE.fullmatch(quoted.lower())
    if case is None:
        yield quoted
        return
    prefix = f"i_{case[1]}"
    full = re.compile(re.escape(prefix) + r"[0-9a-f]*")
    incidents = {
        found[0]
        for event in read_events(files)
        for value in (event.get("body", {}).get("incident_id"), event.get("decision", {}).get("incident_id"))
        if isinstance(value, str) and (found := full.fullmatch(value))
    }
    # Twelve hex digits can be a queue id too.
    yield from sorted(incidents) or [quoted]


def _leads_to(event: Event, ident: str) -> Iterator[str]:
    """Say what else has to be looked at: never more than the mail itself and its decision."""
    if event["event"] in ("delivered", "refused") and event.get("queue_id") == ident and event["tx"]:
        yield event["tx"]
    if event["event"] == "decided" and event["tx"] == ident and event["decision"]["violations"]:
        yield event["decision"]["id"]


def _latest_of(directory: Path, writer: str, number: int) -> list[Event]:
    found: list[Event] = []
    for path in reversed(stream_files(directory, writer)):
        for line in pieces_backwards(path):
            if (event := event_of(line)) is not None:
                found.append(event)
            if len(found) >= number:
                return found
    return found


def _in_order(events: Iterable[Event]) -> list[Event]:
    """Put events in order; a ledger entry that was written again after a crash is said once."""
    ordered = sorted(events, key=order_of)
    said: set[tuple[str, int]] = set()
    out = []
    for event in ordered:
        if event["event"] == "entry":
            row = (event["ledger"]["writer"], event["ledger"]["seq"])
            if row in said:
                continue
            said.add(row)
        out.append(event)
    return out
