"""Fingerprints of an enterprise all of whose accounts were terminated: from when, until when, when not.  TX-8.2.4."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from typing import Any

import pytest

from filterd.agreement.clocks import registration_kept_until
from filterd.agreement.registration import (
    EXPIRED,
    UNDONE,
    ended_at,
    is_evasion,
    is_kept,
    kinds_of,
    open_matches,
    why_erase,
)
from filterd.model import records as r
from filterd.model.sanction import Rung
from filterd.model.standing import History, SanctionFile
from tests.agreement.contract import shipped
from tests.agreement.rows import DAY, SECOND, T0, history, imposed, notice

TERMS = shipped()
FIRST, SECOND_ONE = T0 + 7 * DAY, T0 + 9 * DAY
MARK = r.RegistrationMarked(
    at=T0,
    file_id="f_1",
    tenant_id="n_old",
    agreement=TERMS.id,
    kinds=("domain",),
    by="dana",
    sanction_ids=("a_1", "s_1", "a_2", "s_2"),
)
TOLD = tuple(
    notice(T0, template="termination_proposed", channel=name, notice_id=f"m_{name}") for name in ("mail", "sms")
)


def points(_: History, __: datetime) -> int:
    return 0


def terminated(name: str, begins: datetime, **changes: Any) -> SanctionFile:
    row = imposed(Rung.TERMINATE, sanction_id=name, starts_at=begins, ends_at=None, is_automatic=False, by="dana")
    return SanctionFile(imposed=row, **changes)


def known(first: SanctionFile, second: SanctionFile, *more: r.Record) -> dict[str, History]:
    return {"a_1": history(first, further=(*TOLD, *more)), "a_2": history(second, further=TOLD)}


STANDING = known(terminated("s_1", FIRST), terminated("s_2", SECOND_ONE))


def since(files: dict[str, History], at: datetime) -> datetime | None:
    return ended_at(MARK, files.__getitem__, TERMS, at, points)


def erased(files: dict[str, History], at: datetime) -> str | None:
    return why_erase(MARK, files.__getitem__, TERMS, at, points)


def test_the_service_has_ended_when_the_last_of_its_accounts_has() -> None:
    assert [since(STANDING, at) for at in (FIRST, SECOND_ONE - SECOND, SECOND_ONE)] == [None, None, SECOND_ONE]
    assert erased(STANDING, SECOND_ONE - SECOND) is None
    last = registration_kept_until(SECOND_ONE, TERMS)
    assert [erased(STANDING, at) for at in (SECOND_ONE, last - SECOND, last)] == [None, None, EXPIRED]
    assert [is_kept(MARK, STANDING.__getitem__, TERMS, at, points) for at in (SECOND_ONE, last - SECOND, last)] == [
        True,
        True,
        False,
    ]


BACK = r.AccountReinstated(at=T0 + 20 * DAY, account_id="a_1", sanction_id="s_1", proposal_id="pr_1", by="dana")


@pytest.mark.parametrize(
    "files",
    [
        known(terminated("s_1", FIRST, lifted_at=T0 + 20 * DAY), terminated("s_2", SECOND_ONE)),
        known(terminated("s_1", FIRST, annulled_at=T0 + 20 * DAY), terminated("s_2", SECOND_ONE)),
        known(terminated("s_1", FIRST), terminated("s_2", SECOND_ONE, annulled_at=T0 + 20 * DAY)),
        known(terminated("s_1", FIRST), terminated("s_2", SECOND_ONE), BACK),
    ],
    ids=["lifted", "annulled", "the second annulled", "reinstated"],
)
def test_one_that_is_undone_undoes_it_for_the_enterprise(files: dict[str, History]) -> None:
    at = T0 + 20 * DAY
    assert since(files, at - SECOND) == SECOND_ONE
    assert since(files, at) is None
    assert erased(files, at) == UNDONE


def test_one_that_is_not_there_is_undone() -> None:
    files = known(terminated("s_9", FIRST), terminated("s_2", SECOND_ONE))
    assert (since(files, SECOND_ONE), erased(files, SECOND_ONE)) == (None, UNDONE)


def test_one_of_which_nobody_was_told_has_not_begun_and_is_not_undone() -> None:
    files = STANDING | {"a_1": replace(STANDING["a_1"], further=())}
    assert (since(files, T0 + 90 * DAY), erased(files, T0 + 90 * DAY)) == (None, None)


def test_a_suspension_under_that_name_is_no_termination() -> None:
    row = imposed(Rung.SUSPEND, sanction_id="s_1", ends_at=None)
    files = STANDING | {"a_1": history(SanctionFile(imposed=row), further=TOLD)}
    assert since(files, SECOND_ONE) is None


# --- the enterprise itself --------------------------------------------------------------------------------------------

STEP = r.TenantStepTaken(
    at=T0,
    step_id="ts_1",
    decision_id="d_1",
    tenant_id="n_old",
    step="terminate",
    quota=None,
    starts_at=FIRST,
    ends_at=None,
    score_milli=0,
    incident_ids=(),
    clauses=("4.3.1",),
    is_automatic=False,
    by="dana",
)
TOLD_IT = tuple(
    notice(T0, template="tenant_termination_proposed", channel=name, notice_id=f"m_{name}") for name in ("mail", "sms")
)


def test_a_step_against_the_enterprise_counts_from_when_it_takes_effect_until_it_is_ended() -> None:
    mark = replace(MARK, step_id="ts_1", sanction_ids=())
    end = r.TenantStepEnded(
        at=T0 + 20 * DAY, step_id="ts_1", tenant_id="n_old", because="annulled", by="erin", reason="our error"
    )

    def seen(at: datetime, *rows: r.Record) -> tuple[datetime | None, str | None]:
        files = {"n_old": history(further=(*TOLD_IT, *rows))}
        find = files.__getitem__
        return ended_at(mark, find, TERMS, at, points), why_erase(mark, find, TERMS, at, points)

    assert seen(FIRST - SECOND, STEP) == (None, None)
    assert seen(FIRST, STEP) == (FIRST, None)
    assert seen(end.at - SECOND, STEP, end) == (FIRST, None)
    assert seen(end.at, STEP, end) == (None, UNDONE)
    # Another step's end is none of its own, and a step that is not there has never begun.
    assert seen(end.at, STEP, replace(end, step_id="ts_9")) == (FIRST, None)
    assert seen(end.at) == (None, None)


# --- matches ----------------------------------------------------------------------------------------------------------

MATCH = r.RegistrationMatched(
    at=T0,
    match_id="rm_1",
    tenant_id="n_new",
    file_ids=("f_1",),
    matched_tenant_ids=("n_old",),
    kinds=("domain",),
    clauses=("8.2.4",),
)


def settled(outcome: str, match_id: str = "rm_1") -> r.RegistrationSettled:
    return r.RegistrationSettled(
        at=T0 + DAY, match_id=match_id, tenant_id="n_new", outcome=outcome, by="dana", reason="looked"
    )


def test_case_5_4_13_a_match_is_open_from_its_instant_until_a_person_has_looked() -> None:
    def seen(at: datetime, *more: r.Record) -> tuple[bool, bool]:
        file = history(further=(MATCH, *more))
        return bool(open_matches(file, at)), is_evasion(file, at)

    assert [seen(T0 - SECOND), seen(T0), seen(T0 + 90 * DAY)] == [(False, False), (True, True), (True, True)]
    assert [seen(T0 + DAY - SECOND, settled("dismissed")), seen(T0 + DAY, settled("dismissed"))] == [
        (True, True),
        (False, False),
    ]
    assert seen(T0 + DAY, settled("confirmed")) == (False, True)
    # Another one's answer is none.
    assert seen(T0 + DAY, settled("dismissed", "rm_2")) == (True, True)


def test_kinds_are_said_once_and_in_order() -> None:
    assert kinds_of(("payment:b", "domain:a", "payment:c")) == ("domain", "payment")
