"""The red button and the breakers: what stops, and what goes on.  STANDING 5.7-21."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from filterd.agreement.breaker import Hit, keys_of, tripping
from filterd.agreement.decide import decide
from filterd.agreement.fold import fold
from filterd.agreement.sections_breaker import BreakerSection
from filterd.agreement.standing import standing_at
from filterd.model import records as r
from filterd.model.decision import Case, Decision, Disposition
from filterd.model.entry import SITE
from filterd.model.sanction import Preset, Rung
from filterd.model.standing import Surroundings
from filterd.model.verdict import Finding
from tests.agreement.cases import NOON, case, finding
from tests.agreement.contract import shipped

TERMS = shipped()
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
RULES = BreakerSection()
VIRUS = "virus.signature.match"


def virus(name: str = "Win.Test.X") -> Finding:
    return finding(VIRUS, why=(("signature", name),))


def mail(*found: Finding | str, n: int = 1, hours: float = 0) -> Case:
    return case(
        found,
        transaction_id=f"t_{n}",
        evidence_key=f"e_{n}",
        text_fp=f"x_{n}",
        at=NOON + hours * HOUR,
        delivery_keys=(f"k_{n}",),
    )


def around(*rows: r.Record, tenant: tuple[r.Record, ...] = ()) -> Surroundings:
    return Surroundings(site=fold(SITE, rows), tenant=fold("n_1", tenant))


def sent(one: Case, where: Surroundings, records: tuple[r.Record, ...] = ()) -> Decision:
    return decide(one, TERMS, Preset.SUPERVISED, fold("a_1", records), one.delivery_keys, where)


def frozen(tenant_id: str | None = None, *, freeze_id: str = "z_1", hours: float = 24) -> r.AutomationFrozen:
    until = NOON + hours * HOUR
    return r.AutomationFrozen(at=NOON, freeze_id=freeze_id, tenant_id=tenant_id, until=until, by="ann", reason="x")


def tripped(signal: str | None = None, finding_code: str = VIRUS) -> r.BreakerTripped:
    return r.BreakerTripped(at=NOON, breaker_id="g_1", finding=finding_code, signal=signal, subjects=11)


def kinds(decision: Decision) -> list[str]:
    return [type(x).__name__ for x in decision.records]


# --- the red button ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("where", "is_frozen"),
    [
        (around(), False),
        (around(frozen()), True),
        (around(tenant=(frozen("n_1"),)), True),
        (around(frozen(), r.AutomationThawed(at=NOON, freeze_id="z_1", by="ann")), False),
        (around(frozen(hours=1)), False),
        (around(frozen(), frozen(freeze_id="z_2"), r.AutomationThawed(at=NOON, freeze_id="z_1", by="ann")), True),
    ],
    ids=["nothing", "site", "tenant", "thawed", "over", "another goes on"],
)
def test_frozen_nothing_is_imposed_and_a_person_is_asked(where: Surroundings, is_frozen: bool) -> None:
    decision = sent(mail(virus(), hours=2), where)
    assert ("SanctionImposed" in kinds(decision)) is not is_frozen
    assert decision.disposition is Disposition.REJECT
    tasks = [x.what for x in decision.records if isinstance(x, r.TaskOpened)]
    assert any("frozen" in what for what in tasks) is is_frozen
    assert "StrikeIssued" in kinds(decision)


def test_another_tenants_freeze_changes_nothing() -> None:
    """A tenant's freeze stands in its own history, which is the one that surrounds its accounts."""
    assert "SanctionImposed" in kinds(sent(mail(virus()), around(tenant=())))


def test_frozen_protection_goes_on() -> None:
    first = sent(mail(virus()), around(frozen()))
    second = sent(mail(virus("Win.Other.Y"), n=2, hours=0.1), around(frozen()), first.records)
    assert "HoldPlaced" in kinds(second)
    assert "SanctionImposed" not in kinds(second)


# --- the breakers -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("row", [tripped(), tripped("signature:Win.Test.X")], ids=["rule", "signal"])
def test_case_5_7_21(row: r.BreakerTripped) -> None:
    """Tripped, it gives no points; the message is refused as before, and a person is asked."""
    decision = sent(mail(virus()), around(row))
    assert (decision.disposition, decision.incident_id is not None) == (Disposition.REJECT, True)
    assert not {"StrikeIssued", "SanctionImposed"} & set(kinds(decision))
    assert [x.what for x in decision.records if isinstance(x, r.TaskOpened)] == ["held back: breaker"]
    history = fold("a_1", decision.records)
    assert standing_at(history, TERMS, NOON + HOUR).half_points == 0


@pytest.mark.parametrize(
    "rows",
    [
        (tripped("signature:Win.Other.Y"),),
        (tripped(finding_code="link.feed.match"),),
        (tripped(), r.BreakerReset(at=NOON, breaker_id="g_1", by="ann", reason="right")),
    ],
    ids=["another signal", "another rule", "reset"],
)
def test_nothing_else_stops(rows: tuple[r.Record, ...]) -> None:
    assert "StrikeIssued" in kinds(sent(mail(virus()), around(*rows)))


def test_what_is_right_beside_it_counts() -> None:
    """A virus whose signature ran wild, in a mail that was found by another one, too."""
    decision = sent(mail(virus(), virus("Win.Other.Y")), around(tripped("signature:Win.Test.X")))
    (strike,) = [x for x in decision.records if isinstance(x, r.StrikeIssued)]
    assert strike.category == "malware"


def test_one_of_two_agreeing_signals_leaves_what_the_other_is_worth() -> None:
    both = ("content.spam.model", "rate.burst.running")
    whole = sent(mail(*both), around())
    (before,) = [x for x in whole.records if isinstance(x, r.StrikeIssued)]
    less = sent(mail(*both), around(tripped(finding_code="content.spam.model")))
    assert before.a_half_points > 0
    assert sum(x.a_half_points for x in less.records if isinstance(x, r.StrikeIssued)) == 0


def test_case_breaker_attacker_keeps_holds() -> None:
    """Whoever makes a rule run wild does not thereby open the accounts he has stolen."""
    where = around(tripped())
    first = sent(mail(virus()), where)
    second = sent(mail(virus(), n=2, hours=0.1), where, first.records)
    (hold,) = [x for x in second.records if isinstance(x, r.HoldPlaced)]
    assert hold.features
    assert standing_at(fold("a_1", (*first.records, *second.records)), TERMS, NOON + HOUR).features
    burst = sent(mail("content.spam.model", "rate.burst.running"), around(tripped(finding_code="rate.burst.running")))
    assert "HoldPlaced" in kinds(burst)


def test_a_row_behind_a_breaker_counts_for_no_breaker() -> None:
    act = next(x for x in sent(mail(virus()), around(tripped())).records if isinstance(x, r.ViolationRecorded))
    assert keys_of(act) == ()
    act = next(x for x in sent(mail(virus()), around()).records if isinstance(x, r.ViolationRecorded))
    assert keys_of(act) == (VIRUS, f"{VIRUS}=signature:Win.Test.X")


# --- the count --------------------------------------------------------------------------------------------------------


def hits(*groups: tuple[int, float]) -> list[Hit]:
    """So many different accounts, so many hours ago."""
    return [
        Hit(at=NOON - hours * HOUR, key=VIRUS, account_id=f"a_{g}_{n}")
        for g, (count, hours) in enumerate(groups)
        for n in range(count)
    ]


def trips(known: list[Hit], active: int | None, *, days: float = 30) -> bool:
    since = NOON - days * DAY
    return (
        tripping(known, RULES, NOON, active_senders=active, since=since, first_seen=NOON - days * DAY) is not None
    )


STEADY = tuple((10, float(hour)) for hour in range(2, 167))


@pytest.mark.parametrize(
    ("known", "active", "days", "expected"),
    [
        # More than 10, and more than 1 % of who sends.
        (hits((10, 0.5)), 100, 30, False),
        (hits((11, 0.5)), 1000, 30, True),
        (hits((11, 0.5), *STEADY), 2000, 30, False),
        (hits((21, 0.5), *STEADY), 2000, 30, True),
        # Or more than five times what is usual, whatever the share.
        (hits((49, 0.5), *STEADY), 100_000, 30, False),
        (hits((51, 0.5), *STEADY), 100_000, 30, True),
        # In its first week at half of either.
        (hits((11, 0.5), *STEADY), 2000, 6, True),
        (hits((26, 0.5), *STEADY), 100_000, 6, True),
        # What was before the window does not count as now.
        (hits((50, 1.5)), 1000, 30, False),
        # Nobody counts senders: the mean alone decides.
        (hits((11, 0.5)), None, 30, True),
        (hits((21, 0.5), *STEADY), None, 30, False),
    ],
)
def test_when_it_trips(known: list[Hit], active: int | None, days: float, expected: bool) -> None:
    assert trips(known, active, days=days) is expected


def test_one_account_counts_once() -> None:
    many = [replace(hit, account_id="a_1") for hit in hits((100, 0.5))]
    assert not trips(many, 1000)


def test_replay_after_a_breaker_raises_nobody() -> None:
    decision = sent(mail(virus()), around(tripped()))
    assert standing_at(fold("a_1", decision.records), TERMS, NOON).rung is Rung.NONE
