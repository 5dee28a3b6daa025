"""What a clock tells of an enterprise's termination and of its side's appeals.  STANDING 5.4 rows 4 and 11, 5.6."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from typing import Any

from filterd.agreement.due_tenant import of_tenant_steps
from filterd.model import records as r
from tests.agreement.contract import shipped
from tests.agreement.rows import DAY, HOUR, SECOND, T0, history, notice, objection

TERMS = shipped()


def step(name: str = "terminate", **changes: Any) -> r.TenantStepTaken:
    said: dict[str, Any] = {
        "at": T0,
        "step_id": "ts_1",
        "decision_id": "d_1",
        "tenant_id": "n_1",
        "step": name,
        "quota": None,
        "starts_at": T0 + 7 * DAY,
        "ends_at": None,
        "score_milli": 0,
        "incident_ids": (),
        "clauses": ("4.3.1", "9.9.9"),
        "is_automatic": False,
        "by": "dana",
    }
    return r.TenantStepTaken(**(said | changes))


TOLD = tuple(notice(T0, template="tenant_termination_proposed", channel=x, notice_id=f"m_{x}") for x in ("mail", "sms"))


def struck(*rows: r.Record, at: datetime = T0 + 7 * DAY) -> list[tuple[str, datetime, bool]]:
    found = of_tenant_steps(history(further=rows), TERMS, at, since=T0)
    return [(x.clock, x.due_at, x.is_alarm) for x in found]


def test_case_5_4_11_the_instant_at_which_a_termination_takes_effect_is_told_with_its_clauses() -> None:
    begun = [("tenant_termination.begun", T0 + 7 * DAY, False)]
    assert struck(step(), *TOLD) == begun
    assert struck(step(), *TOLD, at=T0 + 7 * DAY - SECOND) == []
    assert struck(step(), *TOLD[:1], at=T0 + 90 * DAY) == []
    (found,) = of_tenant_steps(history(further=(step(), *TOLD)), TERMS, T0 + 7 * DAY, since=T0)
    # A clause that the agreement has no more is left out.
    assert found.facts == {"step_id": "ts_1", "at": T0 + 7 * DAY, "clauses": ("4.3.1",)}
    assert (found.object_id, found.event) == ("ts_1", "tenant_terminated")
    over = r.TenantStepEnded(at=T0 + DAY, step_id="ts_1", tenant_id="n_1", because="vetoed", by="mei", reason="x")
    assert struck(step(), *TOLD, over) == []
    # What is no termination has no such instant.
    assert struck(step("suspend"), *TOLD) == []


def decided(at: datetime, appeal_id: str = "p_ts_1") -> r.AppealDecided:
    return r.AppealDecided(at=at, appeal_id=appeal_id, incident_id="", outcome="denied", by="ann", reason="x")


def test_case_5_6_an_appeal_against_a_step_alarms_when_nobody_decides_it_in_time() -> None:
    filed = objection(T0, "ts_1")
    quota = step("quota", starts_at=T0, ends_at=T0 + 3 * DAY)
    # Half of the three days that are left; of one without an end a week.
    due = T0 + 36 * HOUR

    def overdue(*rows: r.Record, at: datetime = T0 + 2 * DAY) -> list[datetime]:
        return [when for clock, when, is_alarm in struck(*rows, at=at) if clock == "appeal.overdue" and is_alarm]

    assert [overdue(quota, filed, at=at) for at in (due - SECOND, due)] == [[], [due]]
    assert overdue(quota, filed, decided(due - SECOND)) == []
    assert overdue(quota, filed, decided(due)) == [due]
    assert overdue(quota, filed, decided(T0, "p_other")) == [due]
    endless = replace(quota, ends_at=None)
    assert [overdue(endless, filed, at=at) for at in (T0 + 7 * DAY - SECOND, T0 + 7 * DAY)] == [[], [T0 + 7 * DAY]]
    assert overdue(filed, at=T0 + 7 * DAY) == [T0 + 7 * DAY]
    # Opened again it is due anew, and an old decision does not answer it.
    again = r.AppealReopened(at=T0 + DAY, appeal_id="p_ts_1", incident_id="", by="ann", reason="new")
    later = T0 + 2 * DAY
    assert overdue(quota, filed, decided(T0 + HOUR), again, at=later) == [later]
    # One that is answered hides none that is not.
    other = objection(T0, "ts_2")
    assert overdue(quota, filed, decided(T0), other, at=T0 + 7 * DAY) == [T0 + 7 * DAY]
