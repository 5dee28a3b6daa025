"""Tables of what happened, read back from the event stream, the ledger and the sink."""

from __future__ import annotations

import email
import email.policy
from datetime import datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from filterd.log import read_events, stream_files

_WIDTHS = (12, 9, 52, 38, 8, 20)
_HEAD = ("transaction", "direction", "verdicts", "ground", "mail", "standing")


def print_mails(folder: Path) -> None:
    """Print message → verdicts → ground → disposition → standing, one line a mail; runs of the same are cut short."""
    decided = [e for e in read_events(stream_files(folder / "events")) if e.get("event") == "decided"]
    print("\nWhat the event stream says of each mail")
    _row(_HEAD)
    _row(tuple("-" * w for w in _WIDTHS))
    cut = 0
    for index, event in enumerate(decided):
        inside = 0 < index < len(decided) - 1 and _kind(decided[index - 1]) == _kind(event) == _kind(decided[index + 1])
        if inside:
            cut += 1
            continue
        if cut:
            print(f"  … {cut} more like these")
            cut = 0
        _row(_mail(event))


def _kind(event: dict[str, Any]) -> tuple[Any, ...]:
    decision = event["decision"]
    modes = [v["mode"] for v in decision["violations"]]
    return (event["direction"], decision["disposition"], decision["rung_after"], modes)


def _mail(event: dict[str, Any]) -> tuple[str, ...]:
    decision = event["decision"]
    verdicts = " ".join(f"{v['check']}={v['outcome']}" for v in event["checks"])
    ground = " ".join(f"{v['category']}({v['mode']}) {','.join(v['ground']['ids'])}" for v in decision["violations"])
    return (
        event["tx"][-12:],
        event["direction"],
        verdicts,
        ground or "–",
        decision["disposition"],
        f"{decision['rung_before']} → {decision['rung_after']}",
    )


def _row(cells: tuple[str, ...]) -> None:
    print("  ".join(cell[:w].ljust(w) for cell, w in zip(cells, _WIDTHS, strict=True)).rstrip())


def print_account(login: str, account: dict[str, Any], history: list[dict[str, Any]], zone: ZoneInfo) -> None:
    """Print how an account climbed the ladder, from its ledger rows."""
    print(f"\nThe ladder of {login}, from the ledger")
    for row in history:
        at = datetime.fromisoformat(row["at"]).astimezone(zone)
        if text := _climb(row):
            print(f"  {at:%Y-%m-%d %H:%M}  {text}")
    print(
        f"  now: {account['standing']} until {account['until']}, {account['points']} points, off: "
        f"{', '.join(account['features_off']) or 'nothing'}"
    )


def _climb(row: dict[str, Any]) -> str | None:
    match row["kind"]:
        case "incident.opened":
            return f"incident {row['incident_id'][2:14]} ({row['family']})"
        case "strike.issued":
            provisional = ", provisional" if row["provisional_until"] else ""
            points = max(row["a_half_points"] / 2, row["b_half_points"] / 4)
            return f"  strike S{row['severity']}: {points:g} points{provisional}"
        case "hold.placed":
            return f"  hold without points: {', '.join(f['name'] for f in row['features'])}"
        case "sanction.imposed":
            return f"  sanction: {row['rung']} until {row['ends_at']} under {', '.join(row['clauses'])}"
        case "notice.sent":
            return f"  notice {row['template']} in {', '.join(row['languages'])}: {row['outcome']}"
        case "objection.filed":
            return f"  objection by {row['channel']}"
        case "task.opened":
            return f"  task for a person: {row['what']}"
        case _:
            return None


def print_notice(sink: Path, words: tuple[str, ...]) -> None:
    """Print the latest notice whose subject has one of the words, as it arrived at the next hop."""
    for file in sorted(sink.glob("*.eml"), reverse=True):
        mail = email.message_from_bytes(file.read_bytes(), policy=email.policy.default)
        if mail.get("Auto-Submitted") and any(word in str(mail["Subject"]) for word in words):
            print(f"\nThe notice it got ({file.name})\n  Subject: {mail['Subject']}\n")
            for line in mail.get_content().splitlines():
                print(f"  | {line}")
            return
    raise SystemExit("demo: no such notice arrived")
