"""The ladder of tests/kit/naive_ladder over what a ledger holds: the standing that ought to be.

The acts are read off the rows that tell of acts (violations, notices, what people did); rows in which filterd drew its
conclusions (strikes, sanctions, holds) are left out.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from tests.kit import naive_ladder as naive
from tests.kit.node import Node, Row

_RUNGS: dict[int, naive.Rung] = {1: "warn", 2: "restrict", 3: "suspend"}


def acts(rows: Iterable[Row]) -> list[naive.Act]:
    """Say the acts of one account."""
    out: list[naive.Act] = []
    first: dict[str, str] = {}
    rung_of: dict[str, naive.Rung] = {}
    for row in rows:
        body = row.body
        match row.kind:
            case "violation.recorded":
                for number, violation in enumerate(body["violations"]):
                    ident = f"{body['transaction_id']}.{number}"
                    first.setdefault(body["incident_id"], ident)
                    out.append(_violation(row, ident, violation))
            case "sanction.imposed":
                rung_of[body["sanction_id"]] = _RUNGS[body["rung"]]
            case "notice.sent" if body["deemed_at"]:
                at = datetime.fromisoformat(body["deemed_at"])
                out += [naive.Noticed(at=at, violation_id=first[incident]) for incident in body["incident_ids"]]
            case "strike.annulled":
                out.append(naive.Annulled(at=row.at, violation_id=first[body["incident_id"]]))
            case "sanction.confirmed" | "sanction.lifted" | "objection.filed" | "objection.answered":
                act = _HUMAN[row.kind]
                rung = rung_of[body["sanction_id"]]
                violation_id = first[_incident(body, rows)]
                out.append(act(at=row.at, violation_id=violation_id, rung=rung))
    return out


_HUMAN: dict[str, Any] = {
    "sanction.confirmed": naive.Confirmed,
    "sanction.lifted": naive.Lifted,
    "objection.filed": naive.Objected,
    "objection.answered": naive.Answered,
}


def _violation(row: Row, ident: str, violation: dict[str, Any]) -> naive.Violation:
    return naive.Violation(
        at=row.at,
        id=ident,
        category=violation["category"],
        mode=violation["mode"],
        severity=violation["severity"],
        recipients=len(row.body["delivery_keys"]),
        message=row.body["evidence_key"],
        strong=row.body["is_strong"],
        burst=violation["is_burst"],
    )


def _incident(body: dict[str, Any], rows: Iterable[Row]) -> str:
    if "incident_id" in body:
        return body["incident_id"]
    sanction = body["sanction_id"]
    return next(
        r.body["incident_id"] for r in rows if r.body.get("sanction_id") == sanction and "incident_id" in r.body
    )


def assert_standing_is_naive(node: Node, login: str, at: datetime) -> naive.NaiveStanding:
    """Compare what the node says of an account with what the naive ladder makes of its rows; says the latter.

    Args:
        at: the instant by the node's clock; the comparison must not straddle a change.
    """
    rows = node.rows(login=login)
    expected = naive.standing(acts(rows), at)
    shown = node.standing(login)
    until = shown["until"] and datetime.fromisoformat(shown["until"])
    features = set(shown["features_off"]) | {f for hold in shown["holds"] for f in hold["features"]}
    actual = (shown["standing"], shown["points"], shown["points"] - shown["provisional_points"], bool(shown["holds"]))
    assert actual == (expected.rung, expected.half_points / 2, expected.final_half_points / 2, expected.hold)
    if expected.rung in ("restricted", "suspended"):
        assert until == expected.until
    assert features == expected.features
    return expected
