"""What counts against an enterprise, to the half-point and the second.  STANDING 5.4 row 11, 5.7-15, 5.11."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from typing import Any

import pytest

from filterd.agreement.tenant_score import (
    Counted,
    charges,
    counted_at,
    custodies,
    falls_below,
    score_of,
    tenant_score,
    weigh,
)
from filterd.agreement.tenant_steps import is_idle, open_proposals, running_locks, running_steps, task_of, tenant_limits
from filterd.model import records as r
from filterd.model.sanction import Feature
from tests.agreement.contract import shipped
from tests.agreement.rows import DAY, HOUR, SECOND, SENDING, T0, history

TERMS = shipped()
assert TERMS.tenant is not None
assert TERMS.tenant.score is not None
RULES = TERMS.tenant.score
END = T0 + 90 * DAY


def charged(incident: str = "i_1", account: str = "a_1", half: int = 4, **changes: Any) -> r.TenantCharged:
    said: dict[str, Any] = {
        "at": T0,
        "tenant_id": "n_1",
        "account_id": account,
        "incident_id": incident,
        "half_points": half,
        "a_half_points": half,
    }
    return r.TenantCharged(**(said | changes))


def discharged(incident: str = "i_1", because: str = "annulled") -> r.TenantDischarged:
    return r.TenantDischarged(at=T0, tenant_id="n_1", incident_id=incident, because=because)


def custody(incident: str = "i_1", half: int = 8, expires_at: datetime = T0 + 30 * DAY) -> r.CustodyCharged:
    return r.CustodyCharged(
        at=T0, tenant_id="n_1", account_id="a_1", incident_id=incident, half_points=half, expires_at=expires_at
    )


def counted(*rows: r.Record, at: datetime = T0) -> list[tuple[str, int, int, int]]:
    found = counted_at(history(further=rows), RULES, at)
    return [(c.incident_id, c.half_points, c.final_half_points, c.a_half_points) for c in found]


# --- what counts ------------------------------------------------------------------------------------------------------


def test_an_incident_counts_for_ninety_days_from_its_strike() -> None:
    assert [bool(counted(charged(), at=at)) for at in (T0 - SECOND, T0, END - SECOND, END)] == [
        False,
        True,
        True,
        False,
    ]


def test_each_incident_counts_once_by_its_newest_row_and_never_again_once_discharged() -> None:
    assert counted(charged(half=4), charged(half=2)) == [("i_1", 2, 2, 2)]
    assert counted(charged("i_2"), charged("i_1")) == [("i_1", 4, 4, 4), ("i_2", 4, 4, 4)]
    assert counted(discharged(), charged(), charged("i_2")) == [("i_2", 4, 4, 4)]
    assert counted(charged(half=0), charged("i_2")) == [("i_2", 4, 4, 4)]
    assert list(charges((charged(), discharged("i_2"), charged("i_3")))) == ["i_1", "i_3"]


def test_points_in_doubt_count_in_the_sum_and_not_in_the_final_one() -> None:
    until = T0 + 72 * HOUR
    row = charged(half=8, a_half_points=6, provisional_until=until, provisional_cap=4)
    assert counted(row, at=until - SECOND) == [("i_1", 8, 0, 0)]
    assert counted(row, at=until) == [("i_1", 4, 4, 4)]
    small = replace(row, half_points=3, a_half_points=1)
    assert counted(small, at=until) == [("i_1", 3, 3, 1)]
    # What was never in doubt has no cap.
    assert counted(charged(half=8, provisional_cap=4)) == [("i_1", 8, 8, 8)]
    kept = weigh(replace(row, is_admin=True, is_successor=True), T0)
    assert (kept.is_admin, kept.is_successor, kept.account_id) == (True, True, "a_1")


def test_custody_counts_in_place_of_the_charge_until_it_expires_and_never_for_automation() -> None:
    both = (charged(half=6), custody())
    assert counted(*both) == [("i_1", 8, 8, 0)]
    assert counted(*both, at=T0 + 30 * DAY - SECOND) == [("i_1", 8, 8, 0)]
    assert counted(*both, at=T0 + 30 * DAY) == [("i_1", 6, 6, 6)]
    assert counted(custody(), at=T0 - SECOND) == []
    # An attestation that excused the user leaves it, an annulment does not.
    assert counted(custody(), discharged(because="not_attributable")) == [("i_1", 8, 8, 0)]
    assert counted(custody(), discharged()) == []
    assert list(custodies((discharged("i_2"), custody(), custody("i_2"), custody("i_3")))) == ["i_1", "i_3"]


# --- the score --------------------------------------------------------------------------------------------------------


def one(account: str = "a_1", **changes: Any) -> Counted:
    said: dict[str, Any] = {"incident_id": f"i_{account}", "account_id": account}
    points: dict[str, Any] = {"half_points": 12, "final_half_points": 8, "a_half_points": 4}
    return Counted(**(said | points | changes))


@pytest.mark.parametrize(
    ("seats", "active", "expected"),
    [(4, 4, 3.0), (1, 1, 3.0), (None, None, 3.0), (16, 2, 1.5), (None, 16, 1.5), (9, None, 2.0), (5, 4, 6 / 5**0.5)],
)
def test_case_tenant_score_is_points_by_the_root_of_seats_of_four_at_least(
    seats: int | None, active: int | None, expected: float
) -> None:
    score = score_of((one(),), seats, active, RULES)
    assert score.points == pytest.approx(expected)
    assert score.final == pytest.approx(expected * 2 / 3)
    assert score.a_points == pytest.approx(expected / 3)
    assert score.milli == round(expected * 1000)


@pytest.mark.parametrize(
    ("seats", "active", "needed"),
    [(1, 1, 1), (2, 2, 1), (3, 3, 2), (4, 4, 2), (5, 5, 3), (50, 4, 2), (50, None, 3), (None, None, 3), (2, 50, 3)],
)
def test_it_takes_three_accounts_or_half_of_the_seats_in_use(
    seats: int | None, active: int | None, needed: int
) -> None:
    assert score_of((), seats, active, RULES).accounts_needed == needed


def test_it_is_the_enterprise_s_matter_by_accounts_by_its_admin_or_by_a_successor() -> None:
    three = tuple(one(f"a_{n}") for n in range(3))
    assert score_of(three, 50, 50, RULES).is_wide
    assert not score_of(three[:2], 50, 50, RULES).is_wide
    # Two incidents of one account are one account.
    assert not score_of((*three[:2], one("a_1", incident_id="i_9")), 50, 50, RULES).is_wide
    assert score_of((one(is_admin=True),), 50, 50, RULES).is_wide
    assert score_of((one(is_successor=True),), 50, 50, RULES).is_wide
    assert score_of(three, 50, 50, RULES).incident_ids == ("i_a_0", "i_a_1", "i_a_2")


def test_a_warning_lasts_until_the_score_falls_below_its_limit() -> None:
    def until(*rows: r.Record, limit: float = 3.0, seats: int = 1) -> datetime:
        return falls_below(history(further=rows), seats, seats, RULES, limit, T0 + DAY)

    # One seat counts as four: six points are a score of three.
    assert until(charged(half=12)) == END
    later = charged("i_2", half=12, at=T0 + DAY)
    assert until(charged(half=12), later) == END + DAY
    assert until(charged(half=2), charged("i_2", half=10, at=T0 + DAY)) == END
    doubtful = charged(half=12, provisional_until=T0 + 72 * HOUR, provisional_cap=4)
    assert until(doubtful) == T0 + 72 * HOUR
    assert until(custody(half=12)) == T0 + 30 * DAY
    # Where it is no more the whole enterprise's matter, it is over too.
    three = tuple(charged(f"i_{n}", f"a_{n}", 40, at=T0 + n * HOUR) for n in range(3))
    assert until(*three, seats=50) == END
    # With nothing to come it is over now.
    assert until() == T0 + DAY


def test_the_score_of_a_tenant_is_that_of_what_counts_at_the_instant() -> None:
    file = history(further=(charged(half=12), charged("i_2", "a_2", half=12, at=T0 + DAY)))
    assert [tenant_score(file, 4, 4, RULES, at).points for at in (T0, T0 + DAY, END, END + DAY)] == [3, 6, 3, 0]


# --- steps and locks --------------------------------------------------------------------------------------------------


def step(name: str = "quota", step_id: str = "ts_1", **changes: Any) -> r.TenantStepTaken:
    said: dict[str, Any] = {
        "at": T0,
        "step_id": step_id,
        "decision_id": "d_1",
        "tenant_id": "n_1",
        "step": name,
        "quota": None,
        "starts_at": T0,
        "ends_at": T0 + 3 * DAY,
        "score_milli": 0,
        "incident_ids": ("i_1",),
        "clauses": ("3.6",),
        "is_automatic": True,
        "by": "system",
    }
    return r.TenantStepTaken(**(said | changes))


def ended(at: datetime, step_id: str = "ts_1") -> r.TenantStepEnded:
    return r.TenantStepEnded(at=at, step_id=step_id, tenant_id="n_1", because="lifted", by="mei", reason="x")


def test_a_step_is_in_force_from_its_start_to_its_end_or_a_person_s_word() -> None:
    def runs(at: datetime, *rows: r.Record) -> bool:
        return bool(running_steps(history(further=rows), TERMS, at))

    end = T0 + 3 * DAY
    assert [runs(at, step()) for at in (T0 - SECOND, T0, end - SECOND, end)] == [False, True, True, False]
    assert [runs(at, step(), ended(T0 + DAY)) for at in (T0 + DAY - SECOND, T0 + DAY)] == [True, False]
    assert runs(T0, step(), ended(T0, "ts_2"))
    assert runs(END, step(ends_at=None))
    assert not runs(T0, step("propose"))
    # One that is over hides none behind it.
    assert runs(T0, step("propose", "ts_0"), step("warn", "ts_2"), ended(T0, "ts_2"), step())


def test_a_quota_is_what_was_said_or_the_floor_and_protection_stands_under_no_clause() -> None:
    def limits(*rows: r.Record, terms: Any = TERMS) -> list[tuple[str, tuple[Feature, ...], tuple[str, ...]]]:
        return [(x.kind, x.features, x.clauses) for x in tenant_limits(history(further=rows), terms, T0)]

    def external(limit: int) -> tuple[Feature, ...]:
        return (Feature(name="tenant_external_per_day", limit=limit),)

    assert limits(step(quota=500)) == [("quota", external(500), ("3.6",))]
    assert limits(step()) == [("quota", external(200), ("3.6",))]
    assert limits(step(is_technical=True)) == [("quota", external(200), ())]
    assert limits(step(), terms=TERMS.model_copy(update={"tenant": None})) == [("quota", (), ("3.6",))]
    assert limits(step("suspend")) == [("suspend", (SENDING,), ("3.6",))]
    # A warning takes nothing away, and hides nothing behind it.
    assert limits(step("warn"), step("suspend", "ts_2")) == [("suspend", (SENDING,), ("3.6",))]


def lock(lock_id: str = "tl_1") -> r.TenantLocked:
    return r.TenantLocked(at=T0, lock_id=lock_id, tenant_id="n_1", until=T0 + 4 * HOUR, by="mei", reason="x")


def test_case_emergency_lock_opens_after_4h_to_the_second() -> None:
    def locked(at: datetime, *more: r.Record) -> list[datetime | None]:
        return [end for _, end in running_locks(history(further=(lock(), *more)), at)]

    def confirmed(at: datetime, until: datetime | None, lock_id: str = "tl_1") -> r.TenantLockConfirmed:
        return r.TenantLockConfirmed(at=at, lock_id=lock_id, tenant_id="n_1", by="bo", until=until)

    def opened(at: datetime, lock_id: str = "tl_1") -> r.TenantUnlocked:
        return r.TenantUnlocked(at=at, lock_id=lock_id, tenant_id="n_1", by="bo", reason="x")

    end = T0 + 4 * HOUR
    assert [locked(at) for at in (T0 - SECOND, T0, end - SECOND, end)] == [[], [end], [end], []]
    assert locked(end, confirmed(end - SECOND, None)) == [None]
    assert locked(end, confirmed(end, None)) == []
    assert [locked(at, confirmed(T0, T0 + DAY)) for at in (T0 + DAY - SECOND, T0 + DAY)] == [[T0 + DAY], []]
    assert locked(end, confirmed(T0, None, "tl_2")) == []
    assert [locked(at, opened(T0 + HOUR)) for at in (T0 + HOUR - SECOND, T0 + HOUR)] == [[end], []]
    assert locked(T0 + HOUR, opened(T0, "tl_2")) == [end]
    # The first word that opened it counts.
    assert locked(T0 + HOUR, opened(T0 + HOUR), opened(T0 + 2 * HOUR)) == []


# --- proposals --------------------------------------------------------------------------------------------------------

PROPOSAL = step("propose", "ts_p", proposes="quota", ends_at=None)


def test_a_proposal_is_open_until_somebody_answers_it() -> None:
    def opened(*more: r.Record) -> list[str]:
        return [x.step_id for x in open_proposals(history(further=(PROPOSAL, *more)))]

    def closed(task_id: str, outcome: str) -> r.TaskClosed:
        return r.TaskClosed(at=T0, task_id=task_id, by="mei", outcome=outcome, reason="x")

    other = replace(PROPOSAL, step_id="ts_q")
    assert opened() == ["ts_p"]
    assert opened(other) == ["ts_p", "ts_q"]
    assert opened(other, ended(T0, "ts_p")) == ["ts_q"]
    assert opened(other, closed(task_of(PROPOSAL), "done")) == ["ts_q"]
    # Given back to everybody, it is no answer; nor is what the machine or the platform did meanwhile.
    assert opened(closed(task_of(PROPOSAL), "handed_back")) == ["ts_p"]
    assert opened(step("quota")) == ["ts_p"]
    assert opened(step("quota", is_automatic=False, is_technical=True)) == ["ts_p"]
    # What a person of the enforcing party did answers all that was asked until then.
    assert opened(other, step("quota", is_automatic=False)) == []
    assert opened(step("quota", is_automatic=False), other) == ["ts_q"]


def test_case_5_7_15_the_enforcing_party_is_idle_after_a_day() -> None:
    file = history(further=(PROPOSAL,))
    assert [is_idle(file, TERMS, T0 + DAY - SECOND), is_idle(file, TERMS, T0 + DAY)] == [False, True]
    assert not is_idle(history(further=(PROPOSAL, ended(T0, "ts_p"))), TERMS, T0 + DAY)
    assert not is_idle(file, TERMS.model_copy(update={"tenant": None}), T0 + DAY)
