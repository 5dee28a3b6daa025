"""Who may decide an appeal, also of a tenant against a step.  STANDING 5.5, 5.6."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from typing import Any

import pytest

from filterd.agreement.appeal import AppealFile
from filterd.agreement.appeal_review import Review, may_review
from filterd.model import records as r
from filterd.model.ids import derived_id
from filterd.model.staffing import Staffing, StaffingRules
from tests.agreement.rows import DAY, HOUR, SECOND, T0, imposed, objection

APPEAL = AppealFile(filed=objection(T0 + HOUR))
OF_STEP = AppealFile(filed=objection(T0 + HOUR, "ts_1"))


def confirmed(by: str, at: datetime = T0, sanction_id: str = "s_i_1") -> r.SanctionConfirmed:
    return r.SanctionConfirmed(at=at, sanction_id=sanction_id, incident_id="i_1", by=by, reason="x")


def step(**changes: Any) -> r.TenantStepTaken:
    said: dict[str, Any] = {
        "at": T0,
        "step_id": "ts_1",
        "decision_id": derived_id("d", "pr_1"),
        "tenant_id": "n_1",
        "step": "suspend",
        "quota": None,
        "starts_at": T0,
        "ends_at": None,
        "score_milli": 0,
        "incident_ids": (),
        "clauses": ("3.6",),
        "is_automatic": False,
        "by": "ann",
    }
    return r.TenantStepTaken(**(said | changes))


def approved(by: str, proposal_id: str = "pr_1", at: datetime = T0 + HOUR) -> r.Approved:
    return r.Approved(at=at, proposal_id=proposal_id, digest="x", by=by)


def part(person: str, *rows: r.Record, appeal: AppealFile = APPEAL) -> str:
    """Which part somebody had, as a pair of people sees it: none, second, or decided it."""
    said = may_review(appeal, rows, person, T0 + 9 * DAY, Staffing.PAIR, StaffingRules())
    if said.refusal is not None:
        return "decided"
    return "second" if said.is_self_review else "none"


BY_ANN = imposed(is_automatic=False, by="ann")


@pytest.mark.parametrize(
    ("rows", "person", "expected"),
    [
        ((imposed(),), "ann", "none"),
        ((BY_ANN,), "ann", "decided"),
        ((BY_ANN,), "ben", "none"),
        ((replace(BY_ANN, sanction_id="s_9"),), "ann", "none"),
        # A machine's decision is by nobody, whatever its name.
        ((imposed(by="ann"),), "ann", "none"),
        # Who confirms what a machine did is its decider; what a person did, the second of two.
        ((imposed(), confirmed("ann")), "ann", "decided"),
        ((BY_ANN, confirmed("ben")), "ben", "second"),
        ((BY_ANN, confirmed("ben")), "ann", "decided"),
        ((BY_ANN, confirmed("ben", sanction_id="s_9")), "ben", "none"),
    ],
)
def test_who_had_which_part_in_a_sanction(rows: tuple[r.Record, ...], person: str, expected: str) -> None:
    assert part(person, *rows) == expected


@pytest.mark.parametrize(
    ("rows", "person", "expected"),
    [
        ((step(),), "ann", "decided"),
        ((step(),), "ben", "none"),
        ((step(is_automatic=True, by="ann"),), "ann", "none"),
        ((step(step_id="ts_9"),), "ann", "none"),
        # Who approved the proposal it rests on, before or after it stands in the book.
        ((approved("ben"), step()), "ben", "second"),
        ((step(), approved("ben")), "ben", "second"),
        ((step(), approved("ben", "pr_2")), "ben", "none"),
        ((step(), approved("cas")), "ben", "none"),
        ((approved("ben"), step(step_id="ts_9")), "ben", "none"),
    ],
)
def test_who_had_which_part_in_a_step_against_a_tenant(rows: tuple[r.Record, ...], person: str, expected: str) -> None:
    assert part(person, *rows, appeal=OF_STEP) == expected


def test_who_decided_it_before_it_was_opened_again_is_the_second() -> None:
    earlier = r.AppealDecided(at=T0 + DAY, appeal_id="p_1", incident_id="i_1", outcome="denied", by="ann", reason="x")
    again = replace(APPEAL, earlier=earlier)
    assert [part(x, imposed(), appeal=again) for x in ("ann", "ben")] == ["second", "none"]


def test_in_a_team_all_differ() -> None:
    def may(person: str) -> bool:
        said = may_review(APPEAL, (BY_ANN, confirmed("ben")), person, T0 + 90 * DAY, Staffing.TEAM, StaffingRules())
        assert said.is_self_review is False
        return said.refusal is None

    assert [may(x) for x in ("ann", "ben", "cas")] == [False, False, True]


def test_alone_it_is_the_same_person_a_day_after_the_last_act_and_marked() -> None:
    rows = (BY_ANN, confirmed("ann", T0 + HOUR))

    def at(when: datetime) -> Review:
        return may_review(APPEAL, rows, "ann", when, Staffing.SOLO, StaffingRules())

    early = at(T0 + 25 * HOUR - SECOND)
    assert early.refusal is not None
    assert (T0 + 25 * HOUR).isoformat() in early.refusal
    assert at(T0 + 25 * HOUR) == Review(is_self_review=True)
