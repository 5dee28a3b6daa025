"""Termination by standing order: walk_3, and each of the nine conditions dropped.  STANDING 5.9, 7.2, 7.3."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

import pytest

from filterd.agreement.fold import apply, fold
from filterd.agreement.orders import by_order
from filterd.agreement.standing import standing_at
from filterd.model import records as r
from filterd.model.sanction import Conduct, Mode, Preset
from filterd.model.standing import COMPROMISED, History, Surroundings
from tests.agreement.test_walks import START, TERMS, Account, day

ORDER = r.StandingOrderSigned(
    at=START,
    entry_id="g_order",
    policy_digest=TERMS.digest,
    categories=("malware", "phishing.known", "spam.outbound"),
    until=START + timedelta(days=180),
    by="Ana",
    approver="Bo",
)


def site(*records: r.Record) -> Surroundings:
    history = History(account_id="site")
    for record in (ORDER, *records):
        history = apply(history, record)
    return Surroundings(site=history)


def walk_3() -> Account:
    account = Account(Preset.STANDING_ORDER)
    for number in (0, 1, 8):
        account.breach(number, "malware")
    return account


def history_of(account: Account) -> History:
    return fold("a_1", account.records)


def accepted(at_day: float, channel: str) -> r.NoticeSent:
    return r.NoticeSent(
        at=day(at_day),
        notice_id=f"m_{channel}",
        account_id="a_1",
        incident_ids=(),
        template="termination_proposed",
        languages=("en",),
        channel=channel,
        outcome="accepted",
        deemed_at=day(at_day),
        body_digest="",
    )


def test_walk_3_standing_order_terminates_on_day_22() -> None:
    account = walk_3()
    assert account.at(8.1).conduct is Conduct.SUSPENDED
    assert account.at(8.1).until is None
    # Before the admin can be told seven days ahead of day 22, nothing is due.
    assert by_order(history_of(account), site(), TERMS, day(14)).missing == ("suspension",)
    due = by_order(history_of(account), site(), TERMS, day(15))
    assert due.missing == ()
    assert due.imposed is not None
    account.records += [due.imposed, accepted(15, "tenant"), accepted(15.1, "second")]
    assert due.imposed.starts_at >= day(22)
    begins = due.imposed.starts_at
    at = lambda when: standing_at(history_of(account), TERMS, when).conduct  # noqa: E731
    assert at(begins - timedelta(seconds=1)) is Conduct.SUSPENDED
    assert at(begins) is Conduct.TERMINATED
    # Once is enough.
    assert by_order(history_of(account), site(), TERMS, day(16)).imposed is None


def test_walk_3_one_objection_without_an_answer_and_nothing_is_terminated() -> None:
    account = walk_3()
    due = by_order(history_of(account), site(), TERMS, day(15)).imposed
    assert due is not None
    account.records += [due, accepted(15, "tenant"), accepted(15.1, "second")]
    suspension = next(s for s in history_of(account).sanctions if s.imposed.rung.word == "suspend").imposed
    account.records.append(
        r.ObjectionFiled(
            at=day(20),
            appeal_id="p_1",
            sanction_id=suspension.sanction_id,
            incident_id=suspension.incident_id,
            account_id="a_1",
            channel="link",
        )
    )
    assert account.at(21.1).conduct is Conduct.RESTRICTED
    assert account.at(60).conduct is not Conduct.TERMINATED


def test_one_channel_is_not_enough() -> None:
    account = walk_3()
    due = by_order(history_of(account), site(), TERMS, day(15)).imposed
    assert due is not None
    account.records += [due, accepted(15, "tenant")]
    assert account.at(60).conduct is Conduct.SUSPENDED


def _in_mode_b(account: Account) -> None:
    account.breach(9, "spam.advert", Mode.B, recipients=60)


def _without_notice(account: Account) -> None:
    # The notice of the second incident never went out.
    second = account.incidents[1]
    account.records = [
        x for x in account.records if not (isinstance(x, r.NoticeSent) and x.incident_ids == (second,))
    ]


def _stolen(account: Account) -> None:
    account.records.append(
        r.HypothesisSettled(
            at=day(9), account_id="a_1", incident_id=account.incidents[2], hypothesis=COMPROMISED, by="Ana", reason="x"
        )
    )


def _contested(account: Account) -> None:
    imposed = history_of(account).sanctions[0].imposed
    account.records.append(
        r.ObjectionFiled(
            at=day(9),
            appeal_id="p_1",
            sanction_id=imposed.sanction_id,
            incident_id=imposed.incident_id,
            account_id="a_1",
            channel="link",
        )
    )


def _held(account: Account) -> None:
    account.records.append(
        r.HoldPlaced(
            at=day(9),
            hold_id="h_1",
            incident_id="",
            account_id="a_1",
            features=(),
            starts_at=day(9),
            ends_at=None,
            because="person",
            by="Ana",
        )
    )


def _annulled(account: Account) -> None:
    account.annul(0, 9)


@pytest.mark.parametrize(
    ("spoil", "missing"),
    [
        (_in_mode_b, "mode_a"),
        (_without_notice, "after_notice"),
        (_stolen, "not_compromised"),
        (_contested, "no_objection"),
        (_held, "no_hold"),
        (_annulled, "incidents"),
    ],
)
def test_case_standing_order_each_condition(spoil: Callable[[Account], None], missing: str) -> None:
    account = walk_3()
    spoil(account)
    due = by_order(history_of(account), site(), TERMS, day(15))
    assert missing in due.missing
    assert due.imposed is None


FROZEN = r.AutomationFrozen(at=day(15), freeze_id="z_1", tenant_id=None, until=day(16), by="Ana", reason="x")
TRIPPED = r.BreakerTripped(at=day(15), breaker_id="b_1", finding="virus.signature.match", signal=None, subjects=11)


@pytest.mark.parametrize(
    ("around", "missing"),
    [
        (Surroundings(site=History(account_id="site")), "order"),
        (site(r.EntryEnded(at=day(2), entry_id="g_order", by="Ana", reason="x")), "order"),
        (site(FROZEN), "no_breaker"),
        (site(TRIPPED), "no_breaker"),
    ],
    ids=["no order", "ended order", "red button", "breaker"],
)
def test_case_standing_order_each_condition_of_the_site(around: Surroundings, missing: str) -> None:
    due = by_order(history_of(walk_3()), around, TERMS, day(15))
    assert missing in due.missing
    assert due.imposed is None


def test_an_order_is_for_one_text_and_the_categories_it_names() -> None:
    other = replace(ORDER, policy_digest="another")
    around = Surroundings(site=apply(History(account_id="site"), other))
    assert "order" in by_order(history_of(walk_3()), around, TERMS, day(15)).missing
    around = Surroundings(site=apply(History(account_id="site"), replace(ORDER, categories=("spam.outbound",))))
    assert "mode_a" in by_order(history_of(walk_3()), around, TERMS, day(15)).missing


def test_case_standing_order_veto() -> None:
    account = walk_3()
    due = by_order(history_of(account), site(), TERMS, day(15)).imposed
    assert due is not None
    veto = r.SanctionLifted(
        at=day(16), sanction_id=due.sanction_id, incident_id=due.incident_id, by="Cem", reason="look first"
    )
    account.records += [due, accepted(15, "tenant"), accepted(15.1, "second"), veto]
    assert account.at(60).conduct is Conduct.SUSPENDED
    # And it is not made again.
    assert by_order(history_of(account), site(), TERMS, day(17)).imposed is None
