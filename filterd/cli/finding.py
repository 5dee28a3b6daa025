"""Which mails of the past have this in common?  From the search index where there is one, else from the files.

Both give the same mails: what the index has not read yet is read from the files. They reach back differently far: the
index as long as it is told to, the files until rotation takes them away; the answer says which was asked.
"""

from __future__ import annotations

import re
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from filterd.cli.say import printable
from filterd.errors import PortError, UsageError
from filterd.log.follow import Follower
from filterd.log.read import read_events, steadily, stream_files, writer_of
from filterd.log.search import Search, instant, look_of
from filterd.model.found import FoundMail, MailQuery, StreamPosition

if TYPE_CHECKING:
    from filterd.ports import VerdictIndex

_AT_ONCE = 5_000
_AGO = re.compile(r"(\d{1,6})\s*([smhdw])")
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """Mails in the order they came, and where they were found, in words."""

    mails: list[FoundMail]
    source: str
    is_indexed: bool


def find(directory: Path, index: VerdictIndex | None, query: MailQuery) -> Found:
    """Ask the index, or the files when there is none, or it is away.

    Raises:
        OSError: a file of the stream cannot be read.
    """
    why = "the index is switched off"
    if index is not None:
        try:
            return _in_index(directory, index, query)
        except PortError as err:
            why = str(err)
    return Found(mails=in_files(directory, query), source=f"read from the files: {why}", is_indexed=False)


def in_files(directory: Path, query: MailQuery) -> list[FoundMail]:
    """Read all files."""

    def read(files: list[Path]) -> list[FoundMail]:
        search = Search(query)
        for event in read_events(files, is_wanted=look_of(query)):
            search.take(event)
        return search.found()

    return steadily(directory, read)


def in_index(directory: Path, index: VerdictIndex, query: MailQuery) -> list[FoundMail]:
    """Ask the index, and read what it has not read yet. Raises PortError."""
    tail = Search(query, is_tail=True)
    for writer in sorted({writer_of(path) for path in stream_files(directory)}):
        follower = Follower(directory, writer, index.position(writer) or StreamPosition())
        try:
            while (batch := follower.read(_AT_ONCE)).events:
                for event in batch.events:
                    tail.take(event)
        finally:
            follower.close()
        if batch.is_cut:
            raise PortError(f"the index knows another stream of {writer}; it is being read again")
    mails = index.find(query)
    if tail.queued:
        # Mails it has, with an answer it has not.
        mails += index.find(replace(query, queue_id=None), tail.queued)
    return tail.found(mails)


def _in_index(directory: Path, index: VerdictIndex, query: MailQuery) -> Found:
    mails = in_index(directory, index, query)
    kept_us = index.kept_since_us()
    since = "" if kept_us is None else f", which goes back to {_time(instant(kept_us))}"
    return Found(mails=mails, source=f"from the index{since}", is_indexed=True)


# --- what is asked ----------------------------------------------------------------------------------------------------


def moment(text: str, now: datetime) -> datetime:
    """Read an instant: `2h` or `7d` ago, a day, or RFC 3339; UTC where it says no offset. Raises UsageError."""
    said = text.strip()
    if ago := _AGO.fullmatch(said.lower()):
        return now - timedelta(**{_UNITS[ago[2]]: int(ago[1])})
    try:
        at = datetime.fromisoformat(said)
    except ValueError:
        raise UsageError(f"{text!r} is no time: say 2h, 7d, 2026-11-02 or 2026-11-02T12:00:00Z") from None
    return at if at.tzinfo is not None else at.replace(tzinfo=UTC)


# --- what is said -----------------------------------------------------------------------------------------------------


def as_json(mail: FoundMail) -> dict[str, Any]:
    """Say a mail as an object: the ids to go on with, the disposition, the reasons, and the answer."""
    judged, answer = mail.judged, mail.answer
    reply: dict[str, Any] | None = None
    if answer is not None:
        reply = {"code": answer.reply_code, "enhanced": answer.reply_enhanced}
    elif judged.reply_code is not None:
        reply = {"code": judged.reply_code, "enhanced": judged.reply_enhanced}
    return {
        "tx": judged.tx,
        "at": instant(judged.at_us),
        "writer": judged.writer,
        "event": judged.event,
        "direction": judged.direction,
        "listener": judged.listener,
        "account_id": judged.account_id,
        "tenant_id": judged.tenant_id,
        "sender_domain": judged.sender_domain,
        "disposition": judged.disposition,
        "codes": judged.codes,
        "reasons": judged.reasons,
        "incident_id": judged.incident_id,
        "policy_digest": judged.policy_digest,
        "checks": {name: outcome for name, outcome, _ in judged.checks},
        "skipped": {name: why for name, outcome, why in judged.checks if outcome == "skipped"},
        "outcome": answer.event if answer is not None else ("refused" if judged.event == "denied" else None),
        "by": answer.by if answer is not None else ("standing" if judged.event == "denied" else None),
        "reply": reply if reply is not None and reply["code"] is not None else None,
        "queue_id": answer.queue_id if answer is not None else None,
    }


def line(mail: FoundMail) -> str:
    """Say a mail on one line."""
    said = as_json(mail)
    reply = said["reply"]
    is_judged = said["event"] == "decided"
    words = (
        _time(said["at"]),
        said["tx"] or "before its data",
        said["direction"] or ("unjudged" if said["event"] == "bypassed" else "turned away"),
        said["account_id"] or ("nobody of ours" if is_judged else "login not read"),
        said["disposition"],
        ",".join(said["reasons"]),
        said["outcome"] or "no answer on record",
        f"{reply['code']} {reply['enhanced'] or ''}".strip() if reply else "",
        f"queued as {said['queue_id']}" if said["queue_id"] else "",
        f"incident {said['incident_id']}" if said["incident_id"] else "",
    )
    return printable("  ".join(word for word in words if word))


def status_json(status: Any, lag: dict[str, int]) -> dict[str, Any]:
    """Say what an index holds; `lag`: writer → events it has not read."""
    said = asdict(status)
    for name in ("oldest", "newest", "kept_since"):
        at_us = said.pop(f"{name}_us")
        said[name] = None if at_us is None else instant(at_us)
    said["writers"] = {
        writer: {"seq": said["positions"].get(writer, {}).get("seq", 0), "behind": lag.get(writer)}
        for writer in sorted({*said["positions"], *lag})
    }
    del said["positions"]
    return said


def _time(at: datetime) -> str:
    return f"{at:%Y-%m-%d %H:%M:%S}Z"
