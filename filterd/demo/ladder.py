"""How an account climbed the ladder, and the notices it got."""

from __future__ import annotations

import email.policy
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from email import message_from_bytes
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

Row = Mapping[str, Any]


def ladder(history: Sequence[Row], zone: ZoneInfo) -> Iterator[str]:
    """Say what happened to an account, one line an act. A strike that grew with its incident is said as it ended."""
    last = {row["strike_id"]: index for index, row in enumerate(history) if row["kind"] == "strike.issued"}
    objections = [row for row in history if row["kind"] == "objection.filed"]
    for index, row in enumerate(history):
        if row["kind"] == "strike.issued" and last[row["strike_id"]] != index:
            continue
        if row["kind"] == "objection.filed" and row is not objections[0]:
            continue
        if text := _text(row, zone, len(objections)):
            yield f"{_at(row['at'], zone)}  {text}"


def _text(row: Row, zone: ZoneInfo, objections: int) -> str | None:
    match row["kind"]:
        case "incident.opened":
            known = ", after a notice about the same" if row["is_after_notice"] else ""
            return f"incident {row['incident_id'][2:14]} ({row['family']}{known})"
        case "strike.issued":
            points = max(row["a_half_points"] / 2, row["b_half_points"] / 4)
            return f"  strike S{row['severity']}, {points:g} points" + (
                ", provisional" if row["provisional_until"] else ""
            )
        case "hold.placed":
            return f"  held for now, no penalty: {_features(row)} off until {_at(row['ends_at'], zone)}"
        case "sanction.imposed":
            off = f", {_features(row)} off" if row["features"] else ""
            return f"  {row['rung']} until {_at(row['ends_at'], zone)}{off}; {', '.join(row['clauses'])}"
        case "notice.sent":
            return f"  notice ({row['template']}) in {', '.join(row['languages'])}: {row['outcome']}"
        case "task.opened":
            return f"  a person is asked ({row['what']})"
        case "objection.filed":
            return f"objection by {row['channel']}, to {objections} sanctions"
        case "appeal.decided":
            return f"{row['by']} decides the objection: {row['outcome']}"
        case "strike.annulled":
            return f"  {row['by']} annuls the strike; the ladder is computed again without it"
        case _:
            return None


def _features(row: Row) -> str:
    return ", ".join(f["name"] + (f":{f['limit']}" if f["limit"] else "") for f in row["features"])


def _at(at: str | None, zone: ZoneInfo) -> str:
    return f"{datetime.fromisoformat(at).astimezone(zone):%Y-%m-%d %H:%M}" if at else "further notice"


def notice(sink: Path, to: str, words: str) -> Iterator[str]:
    """Say the latest notice to an account whose subject has these words, as it arrived; nothing if there is none."""
    for file in sorted(sink.glob("*.eml"), reverse=True):
        mail = message_from_bytes(file.read_bytes(), policy=email.policy.default)
        if mail.get("Auto-Submitted") and to in str(mail["To"]) and words in str(mail["Subject"]):
            yield f"Subject: {mail['Subject']}"
            yield from (line for line in mail.get_content().splitlines() if line.strip())
            return
