"""Whoever registers again after a termination for breach: what matches, and for how long.  TX-8.2.4, TX-2.1.4."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from pydantic import ValidationError

from filterd.agreement.crosswalk import crosswalk
from filterd.agreement.fold import fold
from filterd.agreement.registration import (
    EXPIRED,
    UNDONE,
    Fingerprints,
    ended_at,
    in_common,
    is_evasion,
    is_kept,
    marks,
    open_matches,
    why_erase,
)
from filterd.agreement.sections_tenant import TenantRegistration
from filterd.agreement.tenant_steps import REGISTRATION, tenant_limits
from filterd.model import records as r
from filterd.model.standing import History
from tests.agreement.test_tenant_termination import told
from tests.kit.terms import tencent

TERMS = tencent()
AT = datetime(2026, 3, 2, 1, 0, tzinfo=UTC)
OLD, NEW, OTHER = "n_old", "n_new", "n_other"
MARK = r.RegistrationMarked(
    at=AT,
    file_id="f_1",
    tenant_id=OLD,
    agreement=TERMS.id,
    kinds=("domain",),
    by="dana",
    step_id="ts_1",
)
STEP = r.TenantStepTaken(
    at=AT,
    step_id="ts_1",
    decision_id="d_1",
    tenant_id=OLD,
    step="terminate",
    quota=None,
    starts_at=AT + timedelta(days=7),
    ends_at=None,
    score_milli=0,
    incident_ids=(),
    clauses=("4.3.1",),
    is_automatic=False,
    by="dana",
)
# Its notice was accepted on two channels: before that none takes effect.
TOLD = tuple(replace(told(0, channel), at=AT, deemed_at=AT) for channel in ("tenant", "second"))
ENDED = r.TenantStepEnded(
    at=AT + timedelta(days=20), step_id="ts_1", tenant_id=OLD, because="annulled", by="erin", reason="our error"
)
MATCH = r.RegistrationMatched(
    at=AT,
    match_id="rm_1",
    tenant_id=NEW,
    file_ids=("f_1",),
    matched_tenant_ids=(OLD,),
    kinds=("domain",),
    clauses=("8.2.4",),
)


def rules() -> TenantRegistration:
    assert TERMS.tenant is not None
    assert TERMS.tenant.registration is not None
    return TERMS.tenant.registration


def points(_: History, __: datetime) -> int:
    return 0


def on_file(*keys: str, **dismissed: str) -> Fingerprints:
    return Fingerprints(
        mark=MARK, keys=frozenset(keys), dismissed={k: frozenset(v.split()) for k, v in dismissed.items()}
    )


@pytest.mark.parametrize(
    ("shared", "is_match"),
    [
        ("domain:a", True),
        ("payment:a", True),
        ("organisation:a", True),
        # A contact person at a new employer, an office with one address for many.
        ("contact:a", False),
        ("client_net:a", False),
        ("template:a", False),
        ("dkim_key:a", False),
        # Two of one kind are one: a telephone and an address are the same person's.
        ("contact:a contact:b", False),
        ("client_net:a client_net:b", False),
        ("contact:a organisation:a", True),
        ("contact:a dkim_key:a", True),
        ("contact:a client_net:a", True),
        ("", False),
    ],
)
def test_case_reg_evasion_contact_alone(shared: str, is_match: bool) -> None:
    keys = frozenset(shared.split())
    found = in_common(keys | {"domain:own"}, on_file(*keys, "payment:theirs"), NEW, rules())
    assert found == (keys if is_match else frozenset())


def test_a_terminated_tenant_never_matches_itself() -> None:
    assert in_common(frozenset({"domain:a"}), on_file("domain:a"), OLD, rules()) == frozenset()


def test_a_domain_that_a_person_let_pass_matches_nobody_and_another_key_passes_for_that_tenant_alone() -> None:
    both = frozenset({"domain:a", "payment:a"})
    passed = on_file(*both, n_new="domain:a payment:a")
    assert in_common(both, passed, NEW, rules()) == frozenset()
    assert in_common(both, passed, OTHER, rules()) == {"payment:a"}
    assert in_common(frozenset({"domain:a"}), passed, OTHER, rules()) == frozenset()
    # What was not looked at then is a reason of its own.
    more = replace(passed, keys=passed.keys | {"organisation:a"})
    assert in_common(both | {"organisation:a"}, more, NEW, rules()) == {"organisation:a"}


def test_no_agreement_can_let_one_weak_key_say_it_alone() -> None:
    for weak in ("contact", "client_net", "template"):
        with pytest.raises(ValidationError, match=weak):
            TenantRegistration(ground=("8.2.4",), alone=(weak,))
    with pytest.raises(ValidationError):
        TenantRegistration(ground=("8.2.4",), alone=("domain",), together=("contact",), together_at_least=1)


# --- how long ---------------------------------------------------------------------------------------------------------


def histories(*rows: r.Record, **more: History) -> Mapping[str, History]:
    return {OLD: fold(OLD, rows), **more}


def test_it_counts_from_the_end_of_the_cooling_off_and_for_three_years() -> None:
    known = histories(STEP, *TOLD)
    begins = STEP.starts_at

    def kept(at: datetime) -> bool:
        return is_kept(MARK, known.__getitem__, TERMS, at, points)

    assert ended_at(MARK, known.__getitem__, TERMS, begins - timedelta(seconds=1), points) is None
    assert [kept(begins - timedelta(seconds=1)), kept(begins)] == [False, True]
    # To the end of that day in Shanghai, three years on.
    last = datetime(2029, 3, 9, 16, 0, tzinfo=UTC)
    assert [kept(last - timedelta(seconds=1)), kept(last)] == [True, False]
    assert why_erase(MARK, known.__getitem__, TERMS, last - timedelta(seconds=1), points) is None
    assert why_erase(MARK, known.__getitem__, TERMS, last, points) == EXPIRED


def test_an_annulled_termination_keeps_and_matches_nothing() -> None:
    known = histories(STEP, *TOLD, ENDED)
    at = ENDED.at
    assert is_kept(MARK, known.__getitem__, TERMS, at - timedelta(seconds=1), points)
    assert not is_kept(MARK, known.__getitem__, TERMS, at, points)
    assert why_erase(MARK, known.__getitem__, TERMS, at, points) == UNDONE


def test_a_file_that_is_erased_is_none() -> None:
    gone = r.RegistrationErased(at=AT, file_id="f_1", tenant_id=OLD, because=EXPIRED)
    assert marks(fold("site", [MARK])) == (MARK,)
    assert marks(fold("site", [MARK, gone])) == ()


# --- the hold ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("outcome", "is_ours"), [("confirmed", True), ("dismissed", False)])
def test_a_match_locks_sending_under_no_clause_until_a_person_has_looked(outcome: str, is_ours: bool) -> None:
    history = fold(NEW, [MATCH])
    (limit,) = tenant_limits(history, TERMS, AT)
    assert (limit.kind, [str(f) for f in limit.features], limit.ends_at, limit.clauses) == (
        REGISTRATION, ["sending"], None, (),
    )  # fmt: skip
    assert open_matches(history, AT) == (MATCH,)
    settled = r.RegistrationSettled(
        at=AT + timedelta(hours=1), match_id="rm_1", tenant_id=NEW, outcome=outcome, by="dana", reason="looked"
    )
    history = fold(NEW, [MATCH, settled])
    assert tenant_limits(history, TERMS, settled.at) == ()
    assert is_evasion(history, AT)
    assert is_evasion(history, settled.at) is is_ours


def test_a_terminated_enterprise_is_suspended_for_good_from_the_end_of_its_cooling_off() -> None:
    history = fold(OLD, [STEP, *TOLD])
    assert tenant_limits(history, TERMS, STEP.starts_at - timedelta(seconds=1)) == ()
    (limit,) = tenant_limits(history, TERMS, STEP.starts_at)
    assert (limit.kind, limit.ends_at, limit.clauses) == ("suspend", None, ("4.3.1",))


def test_the_crosswalk_says_that_it_is_held_for_a_person_and_gives_no_points() -> None:
    (row,) = [x for x in crosswalk(TERMS) if x.category == "reg.evasion"]
    assert (row.finding, row.clauses, row.mode, row.severity, row.mail) == (
        None, ("8.2.4",), "B hold, person", "no points", "defer",
    )  # fmt: skip
