"""What one message adds to an account: its strike to the half-point, or nothing where nothing counts.  STANDING 5.3."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from filterd.agreement.annul import annul
from filterd.agreement.fold import apply, fold
from filterd.agreement.offence import Offence, Outcome, commit_hypothesis, commit_indicator, commit_offence
from filterd.model import records as r
from filterd.model.ids import derived_id
from filterd.model.sanction import Feature, Ground, Mode, Preset, Rung, Violation
from filterd.model.standing import COMPROMISED, MALICIOUS, History
from tests.agreement.test_walks import START, TERMS, Account, day

EMPTY = History(account_id="a_1")


def violation(category: str, mode: Mode = Mode.A, *, is_shadow: bool = False) -> Violation:
    found = TERMS.category_of(category)
    return Violation(
        category=category,
        family=found.family,
        mode=mode,
        severity=found.fixed_severity,
        ground=Ground(kind="clause", ids=found.ground),
        finding_codes=(),
        is_shadow=is_shadow,
    )


def offence(*violations: Violation, number: int = 1, recipients: int = 1, is_strong: bool = True) -> Offence:
    return Offence(
        at=START + timedelta(minutes=number),
        tenant_id="n_1",
        transaction_id=f"t_{number}",
        decision_id=f"d_{number}",
        evidence_key=f"e_{number}",
        text_fp=f"x_{number}",
        violations=violations,
        delivery_keys=tuple(f"{number}.{n}" for n in range(recipients)),
        policy_digest="",
        is_strong=is_strong,
    )


def committed(history: History, *offences: Offence) -> Outcome:
    outcome: Outcome | None = None
    for one in offences:
        outcome = commit_offence(outcome.history if outcome is not None else history, one, TERMS, Preset.SUPERVISED)
    assert outcome is not None
    return outcome


def strike(history: History) -> r.StrikeIssued:
    found = history.incidents[0].strike
    assert found is not None
    return found


def weighed(history: History) -> tuple[str, int, int, int]:
    found = strike(history)
    return found.category, found.severity, found.a_half_points, found.b_half_points


@pytest.mark.parametrize(
    ("violations", "is_strong", "expected"),
    [
        ((violation("malware"),), True, ("malware", 3, 8, 0)),
        ((violation("illegal.gambling", Mode.B),), True, ("illegal.gambling", 2, 0, 4)),
        # What is mode A of an unsure sender weighs as mode B.
        ((violation("malware"),), False, ("malware", 3, 0, 8)),
        ((violation("malware"), violation("illegal.gambling", Mode.B)), True, ("malware", 3, 8, 4)),
        ((violation("illegal.gambling", Mode.B), violation("malware")), True, ("malware", 3, 8, 4)),
        # Of two as grave the first gives its name.
        ((violation("malware"), violation("phishing.known")), True, ("malware", 3, 8, 0)),
        ((violation("phishing.known"), violation("malware")), True, ("phishing.known", 3, 8, 0)),
        ((violation("malware", is_shadow=True), violation("illegal.gambling", Mode.B)), True,
         ("illegal.gambling", 2, 0, 4)),
    ],
)
def test_a_strike_is_the_maximum_of_its_categories_apart_by_mode(
    violations: tuple[Violation, ...], is_strong: bool, expected: tuple[str, int, int, int]
) -> None:
    assert weighed(committed(EMPTY, offence(*violations, is_strong=is_strong)).history) == expected


def test_a_later_message_never_lowers_and_renames_only_what_it_raises() -> None:
    grave, light = offence(violation("malware"), number=1), offence(violation("spam.outbound"), number=2)
    both = replace(light, text_fp="x_1")
    assert weighed(committed(EMPTY, grave, both).history) == ("malware", 3, 8, 0)
    as_grave = replace(offence(violation("phishing.known"), number=2), text_fp="x_1")
    assert weighed(committed(EMPTY, grave, as_grave).history)[0] == "malware"
    first = replace(light, at=START)
    raised = replace(grave, text_fp="x_2")
    assert weighed(committed(EMPTY, first, raised).history) == ("malware", 3, 8, 0)


def test_a_strike_dates_from_the_first_message_and_a_second_like_it_writes_none() -> None:
    outcome = committed(EMPTY, offence(violation("malware"), number=1), offence(violation("malware"), number=9))
    assert strike(outcome.history).at == START + timedelta(minutes=1)
    assert not any(isinstance(x, r.StrikeIssued) for x in outcome.records)


def test_an_unknown_category_weighs_nothing() -> None:
    gone = replace(violation("malware"), category="gone")
    outcome = committed(EMPTY, offence(gone))
    assert outcome.history.incidents[0].strike is None
    assert weighed(committed(EMPTY, offence(gone, violation("malware"))).history) == ("malware", 3, 8, 0)


def test_case_5_7_10_an_incident_is_known_by_its_first_recipient_everywhere() -> None:
    one = offence(violation("malware"), recipients=3)
    expected = derived_id("i", "a_1", "malware", "e_1", "1.0")
    assert committed(EMPTY, one).incident_id == expected
    assert committed(EMPTY, replace(one, transaction_id="t_9", decision_id="d_9")).incident_id == expected
    elsewhere = replace(one, delivery_keys=one.delivery_keys[1:])
    assert committed(EMPTY, elsewhere).incident_id != expected


WEEK = timedelta(hours=168)


@pytest.mark.parametrize(
    ("lasts", "features", "is_imposed"),
    [
        (WEEK, ("attachments",), False),
        (None, ("attachments", "links"), False),
        (WEEK - timedelta(microseconds=1), ("attachments",), True),
        (WEEK, ("links",), True),
    ],
)
def test_what_a_person_imposed_stands_in_place_of_the_step_only_if_it_takes_as_much_for_as_long(
    lasts: timedelta | None, features: tuple[str, ...], is_imposed: bool
) -> None:
    account = Account()
    account.breach(0, "malware")
    at = day(1)
    begun = committed(
        fold("a_1", account.records), replace(offence(violation("malware", is_shadow=True), number=2), at=at)
    )
    by_person = r.SanctionImposed(
        at=at,
        sanction_id="s_person",
        incident_id=begun.incident_id,
        decision_id="d_person",
        account_id="a_1",
        rung=Rung.RESTRICT,
        step=2,
        features=tuple(Feature(name=name) for name in features),
        category="malware",
        clauses=(),
        starts_at=at,
        ends_at=at + lasts if lasts is not None else None,
        lapses_at=None,
        step_down_features=(),
        is_automatic=False,
        by="ana",
        warranted=Rung.RESTRICT,
    )
    outcome = committed(apply(begun.history, by_person), replace(offence(violation("malware"), number=3), at=at))
    imposed = [(x.step, x.ends_at) for x in outcome.records if isinstance(x, r.SanctionImposed)]
    assert imposed == ([(2, at + WEEK)] if is_imposed else [])


# --- what speaks for a stolen account ---------------------------------------------------------------------------------


def seen(incident_id: str | None) -> r.IndicatorSeen:
    return r.IndicatorSeen(
        at=day(0.1), account_id="a_1", indicator="rate.client.new", by="system", incident_id=incident_id
    )


def test_an_indicator_without_an_incident_is_written_down_and_no_more() -> None:
    history = committed(EMPTY, offence(violation("spam.outbound"))).history
    assert commit_indicator(history, seen(None), TERMS).records == (seen(None),)
    assert commit_indicator(EMPTY, seen("i_gone"), TERMS).records == (seen("i_gone"),)


def test_an_indicator_makes_points_provisional_and_locks_sending_once() -> None:
    begun = committed(EMPTY, offence(violation("spam.outbound")))
    assert strike(begun.history).provisional_until is None
    found = commit_indicator(begun.history, seen(begun.incident_id), TERMS)
    kinds = [type(x).__name__ for x in found.records]
    assert kinds == ["IndicatorSeen", "StrikeIssued", "HoldPlaced", "TaskOpened"]
    after = strike(found.history)
    assert after.provisional_until == after.at + timedelta(hours=TERMS.points.provisional_hours)
    again = commit_indicator(found.history, replace(seen(begun.incident_id), at=day(0.2)), TERMS)
    assert [type(x).__name__ for x in again.records] == ["IndicatorSeen"]


def _annulled(outcome: Outcome) -> History:
    undone = annul(
        "a_1",
        outcome.records,
        TERMS,
        Preset.SUPERVISED,
        incident_id=outcome.incident_id,
        at=day(0.05),
        by="ana",
        reason="error",
    )
    return fold("a_1", (*outcome.records, *undone.records))


def test_of_an_incident_that_counts_for_nothing_nothing_follows() -> None:
    begun = committed(EMPTY, offence(violation("malware")))
    history = _annulled(begun)
    assert commit_indicator(history, seen(begun.incident_id), TERMS).records == (seen(begun.incident_id),)
    settled = r.HypothesisSettled(
        at=day(0.1),
        account_id="a_1",
        incident_id=begun.incident_id,
        hypothesis=MALICIOUS,
        by="ana",
        reason="said so",
    )
    found = commit_hypothesis(history, settled, TERMS, Preset.SUPERVISED)
    assert (found.records, found.evaluation) == ((settled,), None)
    more = committed(history, replace(offence(violation("malware"), number=3), incident_id=begun.incident_id))
    assert [type(x).__name__ for x in more.records] == ["ViolationRecorded"]


@pytest.mark.parametrize(("hypothesis", "is_provisional"), [(MALICIOUS, False), (COMPROMISED, True)])
def test_what_a_person_says_of_whose_doing_it_was_makes_points_final_or_not(
    hypothesis: str, is_provisional: bool
) -> None:
    begun = committed(EMPTY, offence(violation("malware")))
    assert strike(begun.history).provisional_until is not None
    settled = r.HypothesisSettled(
        at=day(0.1),
        account_id="a_1",
        incident_id=begun.incident_id,
        hypothesis=hypothesis,
        by="ana",
        reason="said so",
    )
    found = commit_hypothesis(begun.history, settled, TERMS, Preset.SUPERVISED)
    assert (strike(found.history).provisional_until is not None) is is_provisional
    assert (found.evaluation is not None) is (hypothesis == MALICIOUS)
