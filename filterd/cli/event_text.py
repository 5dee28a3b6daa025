"""Events and ledger records in words, for people.  The fields are those of ops/docs/EVENTS.md and model.records.

Reads what is there and passes over what it does not know: a stream may be older or newer than this program.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from filterd.cli.listed import lines_of
from filterd.cli.say import printable

# Said at the start of a line, or of no interest to a reader.
_HEAD = frozenset({"v", "event", "writer", "seq", "at", "tx"})
# The fields of a record that say most, in this order; the rest follows in its own.
_FIRST = ("account_id", "rung", "features", "category", "outcome", "starts_at", "ends_at", "by", "reason")
# What only programs ask for; --json has it.
_NOISE = frozenset(
    {
        "evidence_key",
        "evidence_digest",
        "delivery_keys",
        "text_fp",
        "policy_digest",
        "body_digest",
        "step",
        "step_down_features",
        "tenant_id",
        "row_hash",
    }
)
_INSTANT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?Z")
_RUNGS = ("none", "warn", "restrict", "suspend", "terminate")


def event_lines(event: dict[str, Any], *, is_brief: bool = False) -> Iterator[str]:
    """Say an event: one line, and for a decided mail what was found and why, unless `is_brief`."""
    head = f"{_time(event['at'])}  {event['event']:12}"
    if event["event"] == "decided":
        yield printable(f"{head} {event['tx']}  {_decided(event)}")
        if not is_brief:
            yield from (f"    {printable(line)}" for line in _details(event))
        return
    if event["event"] == "entry":
        ledger = event.get("ledger", {})
        row = f"{ledger.get('writer')}:{ledger.get('seq')}"
        yield printable(f"{head} {row}  {event.get('kind')}  {_pairs(event.get('body', {}))}")
        return
    tx = f"{event['tx']}  " if event.get("tx") else ""
    yield printable(f"{head} {tx}{_pairs({k: v for k, v in event.items() if k not in _HEAD and k != 'exceptions'})}")
    if not is_brief:
        yield from (f"    {line}" for line in lines_of(event))


def record_line(kind: str, record: dict[str, Any]) -> str:
    """Say a ledger record on one line."""
    return printable(f"{_time(record['at'])}  {kind:20} {_pairs({k: v for k, v in record.items() if k != 'kind'})}")


def _decided(event: dict[str, Any]) -> str:
    decision = event.get("decision", {})
    who = event.get("principal", {}).get("account_id") or "nobody of ours"
    incident = f", incident {decision['incident_id']}" if decision.get("incident_id") else ""
    count = event.get("recipients", {}).get("count")
    return f"{event.get('direction')} -> {decision.get('disposition')}  {who}, {count} recipient(s){incident}"


def _details(event: dict[str, Any]) -> Iterator[str]:
    skipped = [f"{check['check']} ({check['reason']})" for check in event.get("checks", ()) if _is_skipped(check)]
    for check in event.get("checks", ()):
        if _is_skipped(check):
            continue
        findings = "  ".join(f"{f['code']} {f['confidence']:.2f}" for f in check.get("findings", ()))
        scores = "  ".join(f"{label}={score:.3f}" for label, score in check.get("scores", {}).items())
        words = (check.get("reason"), findings, scores)
        yield f"{check['check']} {check['version']}: {check['outcome']}  {'  '.join(w for w in words if w)}".rstrip()
    if skipped:
        yield f"skipped: {', '.join(skipped)}"
    for asked in event.get("dns", ()):
        # A long record stands in pieces.
        said = asked.get("answer") or "; ".join("".join(record) for record in asked.get("records", ()))
        yield f"dns {asked['name']} {asked['type']}: {said}"
    decision = event.get("decision", {})
    for reason in decision.get("reasons", ()):
        ids = f" ({', '.join(reason['ids'])})" if reason.get("ids") else ""
        yield f"because {reason['code']}: {reason['disposition']}{ids}"
    yield from lines_of(event)
    for violation in decision.get("violations", ()):
        ground = f"{violation['ground']['kind']} {', '.join(violation['ground']['ids'])}"
        yield f"breach {violation['category']} (mode {violation['mode']}) of {ground}"
    if decision.get("rung_before") != decision.get("rung_after"):
        yield f"standing {decision['rung_before']} -> {decision['rung_after']}"
    yield f"policy {str(decision.get('policy_digest'))[:12]}  {event.get('elapsed_ms')} ms"


def _is_skipped(check: dict[str, Any]) -> bool:
    return check["outcome"] == "skipped" and not check.get("findings")


def _pairs(fields: dict[str, Any]) -> str:
    """Say fields as `name=value`; what is empty is left out."""
    names = [name for name in _FIRST if name in fields] + [n for n in fields if n not in _FIRST and n != "at"]
    said = (_pair(name, fields[name]) for name in names if name not in _NOISE)
    return "  ".join(pair for pair in said if pair)


def _pair(name: str, value: Any) -> str:
    if value is None or value is False or value in ("", [], {}):
        return ""
    if value is True:
        return name.removeprefix("is_")
    if name.endswith("half_points") and isinstance(value, int):
        return f"{name.removesuffix('half_points')}points={value / 2:g}" if value else ""
    if name in ("rung", "warranted") and isinstance(value, int) and 0 <= value < len(_RUNGS):
        return f"{name}={_RUNGS[value]}"
    return f"{name}={_value(value)}"


def _value(value: Any) -> str:
    if isinstance(value, dict):
        if set(value) == {"code", "enhanced"}:
            return f"{value['code']} {value['enhanced'] or ''}".strip()
        if set(value) == {"name", "limit"}:
            return value["name"] if value["limit"] is None else f"{value['name']}:{value['limit']}"
        return "{" + _pairs(value) + "}"
    if isinstance(value, list):
        return ",".join(_value(item) for item in value)
    return _time(value) if isinstance(value, str) and _INSTANT.match(value) else str(value)


def _time(at: Any) -> str:
    """Say an instant to the second."""
    text = str(at)
    return f"{text[:19].replace('T', ' ')}Z" if text[10:11] == "T" else text
