"""The ladder of tests/kit/naive_ladder over what a ledger holds: the standing that ought to be.

The acts are read off the rows that tell of acts (violations, notices, what people did); rows in which filterd drew its
conclusions (strikes, sanctions, holds) are left out.

The naive ladder takes cubic time, so like violations in a row are put together into one with all their recipients:
those among which filterd drew no conclusion. Had it overlooked one, the naive ladder still draws it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from tests.kit import naive_ladder as naive
from tests.kit.node import Node, Row

_RUNGS: dict[int, naive.Rung] = {1: "warn", 2: "restrict", 3: "suspend"}


def acts(rows: Sequence[Row]) -> list[naive.Act]:
    """Say the acts of one account; rows in the order written."""
    out: list[naive.Act] = []
    first: dict[str, str] = {}
    rung_of: dict[str, naive.Rung] = {}
    for number, row in enumerate(rows):
        body = row.body
        match row.kind:
            case "violation.recorded":
                found = _violations(row)
                first.setdefault(body["incident_id"], found[0].id)
                is_conclusive = number + 1 < len(rows) and rows[number + 1].kind in _CONCLUSIONS
                if is_conclusive or len(found) > 1 or not out or not _is_alike(out[-1], found[0], first.values()):
                    out += found
                else:
                    out[-1] = replace(found[0], recipients=found[0].recipients + out[-1].recipients)  # type: ignore
                if is_conclusive:
                    out.append(_STOP)
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
    return [act for act in out if act is not _STOP]


_CONCLUSIONS = ("strike.issued", "sanction.imposed", "hold.placed", "task.opened")
# Stands behind a violation that nothing is to be added to.
_STOP = naive.Noticed(at=datetime(1970, 1, 1, tzinfo=UTC), violation_id="")

# Mails that two workers have in hand at once may be written in another order than they came; the naive ladder goes by
# the instants, so the mail that reached a threshold may be another one for it.
_OVERTAKING = timedelta(seconds=5)

_HUMAN: dict[str, Any] = {
    "sanction.confirmed": naive.Confirmed,
    "sanction.lifted": naive.Lifted,
    "objection.filed": naive.Objected,
    "objection.answered": naive.Answered,
}


def _violations(row: Row) -> list[naive.Violation]:
    return [
        naive.Violation(
            at=row.at,
            id=f"{row.body['transaction_id']}.{number}",
            category=violation["category"],
            mode=violation["mode"],
            severity=violation["severity"],
            recipients=len(row.body["delivery_keys"]),
            message=row.body["evidence_key"],
            strong=row.body["is_strong"],
            burst=violation["is_burst"],
        )
        for number, violation in enumerate(row.body["violations"])
    ]


def _is_alike(before: naive.Act, now: naive.Violation, named: Iterable[str]) -> bool:
    """Say whether two violations differ in nothing but message and recipients, and no act names the earlier one."""
    if not isinstance(before, naive.Violation) or before.id in named:
        return False
    return replace(before, at=now.at, id=now.id, message=now.message, recipients=now.recipients) == now


def _incident(body: dict[str, Any], rows: Sequence[Row]) -> str:
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
    if expected.rung == "suspended":
        # For the naive ladder, what a suspension switches off is no feature.
        features.discard("sending")
    actual = (shown["standing"], shown["points"], shown["points"] - shown["provisional_points"], bool(shown["holds"]))
    assert actual == (expected.rung, expected.half_points / 2, expected.final_half_points / 2, expected.hold)
    if expected.rung in ("restricted", "suspended"):
        assert until is not None
        assert expected.until is not None
        assert abs(until - expected.until) <= _OVERTAKING
    assert features == expected.features
    return expected
