"""What a replay does with what it brings no strike and no sanction for.  STANDING 5.3, 5.7-3."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from filterd.agreement.annul import annul, replay
from filterd.agreement.fold import apply, fold
from filterd.agreement.offence import commit_offence
from filterd.agreement.standing import is_b_whole
from filterd.model import records as r
from filterd.model.sanction import Mode, Preset, Rung
from filterd.model.standing import History
from tests.agreement.rows import DAY, HOUR, SECOND, imposed, notice, objection
from tests.agreement.test_offence import EMPTY, offence, violation
from tests.agreement.test_walks import START, TERMS

GAMBLING = violation("illegal.gambling", Mode.B)


def records(*, objects: bool) -> tuple[r.Record, ...]:
    """A virus; then an act of two messages, of which the second, with a virus again, restricts; then the like of the
    first one once more. Each is told of."""
    rows: list[r.Record] = []
    history = EMPTY
    first = offence(violation("malware"), number=1)
    light = replace(offence(GAMBLING, number=2), at=START + 2 * DAY, text_fp="y")
    grave = replace(offence(violation("malware"), number=3), at=START + 2 * DAY + HOUR, text_fp="y")
    again = replace(offence(GAMBLING, number=4), at=START + 6 * DAY, text_fp="z")
    for act in (first, light, grave, again):
        done = commit_offence(history, act, TERMS, Preset.SUPERVISED)
        told = notice(act.at + timedelta(minutes=1), *(i.opened.incident_id for i in done.history.incidents))
        rows += [*done.records, told]
        history = apply(done.history, told)
        restricted = [s.imposed for s in history.sanctions if s.imposed.rung is Rung.RESTRICT]
        if act is grave and objects:
            filed = objection(act.at + HOUR, restricted[0].sanction_id, incident_id=restricted[0].incident_id)
            rows.append(filed)
            history = apply(history, filed)
    return tuple(rows)


def replayed(rows: tuple[r.Record, ...]) -> History:
    opened = next(x for x in rows if isinstance(x, r.IncidentOpened))
    return replay("a_1", rows, TERMS, Preset.SUPERVISED, without={opened.incident_id})


@pytest.mark.parametrize("objects", [True, False])
def test_what_was_objected_to_is_not_confirmed_by_a_repetition_where_the_replay_imposes_nothing(objects: bool) -> None:
    """Without the first virus the act brings a warning alone: there is no restriction to hang the objection on, and the
    incident is under objection all the same."""
    history = replayed(records(objects=objects))
    second, third = history.incidents
    assert [s.imposed.rung for s in history.sanctions if s.imposed.is_automatic and s.imposed.rung > Rung.WARN] == []
    stands_in = [s for s in history.sanctions if s.imposed.rung is Rung.NONE]
    assert [(s.imposed.incident_id, s.objected_at is not None, s.imposed.features) for s in stands_in] == (
        [(second.opened.incident_id, True, ())] if objects else []
    )
    assert is_b_whole(second, history, third.opened.at) is not objects


def test_an_act_that_weighs_nothing_weighs_nothing_when_another_one_is_undone() -> None:
    """Its category is unknown to the agreement by now, or a breaker had made a shadow of it: it has no strike."""
    shadow = violation("malware", is_shadow=True)
    acts = offence(violation("malware"), number=1), replace(offence(shadow, number=2), at=START + 2 * DAY, text_fp="y")
    rows: list[r.Record] = []
    for act in acts:
        rows += commit_offence(fold("a_1", rows), act, TERMS, Preset.SUPERVISED).records
    grave, light = fold("a_1", rows).incidents
    assert light.strike is None
    undone = annul(
        "a_1",
        rows,
        TERMS,
        Preset.SUPERVISED,
        incident_id=grave.opened.incident_id,
        at=START + 3 * DAY,
        by="dana",
        reason="not a virus",
    )
    assert [type(x) for x in undone.records] == [r.StrikeAnnulled]
    left = fold("a_1", [*rows, *undone.records])
    assert left.incidents[1] == light


@pytest.mark.parametrize(
    ("changes", "after", "expected"),
    [
        ({}, SECOND, ["reassess: an earlier strike was annulled"]),
        # In the instant it ends there is nothing left to look at.
        ({}, timedelta(), []),
        ({"ends_at": None}, timedelta(), ["reassess: an earlier strike was annulled"]),
        # What the machine imposed is replayed, and what a person had imposed before does not rest on it.
        ({"is_automatic": True}, SECOND, []),
        ({"at": START - DAY, "starts_at": START - DAY}, SECOND, []),
    ],
    ids=["in force", "over", "without an end", "automatic", "earlier"],
)
def test_a_person_looks_again_at_what_people_imposed_since_and_is_in_force(
    changes: dict[str, Any], after: timedelta, expected: list[str]
) -> None:
    act = offence(violation("malware"), number=1)
    ends = START + 5 * DAY
    rows = [*commit_offence(EMPTY, act, TERMS, Preset.SUPERVISED).records]
    said = {"sanction_id": "s_9", "at": START + DAY, "starts_at": START + DAY, "ends_at": ends, "is_automatic": False}
    rows.append(imposed(Rung.RESTRICT, **(said | changes)))
    undone = annul(
        "a_1",
        rows,
        TERMS,
        Preset.SUPERVISED,
        incident_id=fold("a_1", rows).incidents[0].opened.incident_id,
        at=ends - after,
        by="dana",
        reason="not a virus",
    )
    assert [x.what for x in undone.records if isinstance(x, r.TaskOpened)] == expected
