"""Of a declared stream, how much comes back, and what follows.  CLAUSES §2.2, STANDING 5.11."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from filterd.agreement.complaints import bounced
from filterd.agreement.fold import apply, fold
from filterd.model import records as r
from filterd.model.complaints import Bounced, Complained, lower_bound
from filterd.model.decision import Counts, MailFacts
from tests.agreement.cases import NOON
from tests.agreement.test_registers import ADVERT, DAY, STREAM, TERMS, Account, declared


def back(number: int, **changes: object) -> r.BounceCounted:
    row = r.BounceCounted(at=NOON, account_id="a_1", transaction_id="t_1", unit=f"bu_{number}", stream=("stream-key",))
    return replace(row, **changes)  # type: ignore[arg-type]


def found(*rows: r.BounceCounted, delivered: int = 1_000, at: object = NOON) -> Bounced:
    return bounced(fold("a_1", rows), at, delivered, TERMS, STREAM, 3.0)  # type: ignore[arg-type]


def of(number: int) -> MailFacts:
    return declared(counts=Counts(recipients_month=number))


def came_back(account: Account, number: int) -> None:
    for n in range(number):
        account.history = apply(account.history, back(n))


def test_each_address_is_one_of_however_many_mails_and_the_same_report_twice_is_one() -> None:
    assert found(back(1), back(1), back(2)).bounced == 2
    assert found(*(back(1, transaction_id=f"t_{n}") for n in range(500))).bounced == 1


def test_recipients_refused_at_once_are_counted_once_a_mail_and_were_tried_too() -> None:
    first, again = back(1, recipients=3, is_refused=True), back(1, recipients=4, is_refused=True)
    said = found(first, again, back(2))
    assert (said.bounced, said.tried) == (5, 1_004)


def test_only_this_streams_mail_since_it_was_declared_and_for_so_many_days() -> None:
    assert found(back(1, stream=("another-key",))).bounced == 0
    assert found(back(1, at=STREAM.at - timedelta(seconds=1))).bounced == 0
    days = timedelta(days=TERMS.complaints.days)
    assert found(back(1), at=NOON + days).bounced == 1
    assert found(back(1), at=NOON + days + timedelta(seconds=1)).bounced == 0


def test_the_bound_is_the_lower_end_of_the_interval_and_needs_numbers() -> None:
    rules = TERMS.complaints
    few = Bounced(bounced=499, tried=499, least_tried=rules.delivered, least_bounced=5, percent=3.0)
    assert not few.is_above
    assert replace(few, tried=500).is_above
    assert not Bounced(bounced=4, tried=500, least_tried=500, least_bounced=5, percent=0.01).is_above
    # 3.5 % of 1,000 may be 3 % by chance; of 10,000 it is not.
    assert not Bounced(bounced=35, tried=1_000, least_tried=500, least_bounced=5, percent=3.0).is_above
    assert Bounced(bounced=350, tried=10_000, least_tried=500, least_bounced=5, percent=3.0).is_above


def test_complaints_and_bounces_are_measured_alike() -> None:
    said = Complained(complainants=72, delivered=40_000, least_delivered=500, least_complainants=5, percent=0.1)
    assert said.lower_bound == lower_bound(72, 40_000)
    assert (lower_bound(0, 0), lower_bound(5, 5) <= 1.0) == (0.0, True)


def test_case_declared_stream_each_condition_bounces() -> None:
    account = Account(STREAM)
    came_back(account, 500)
    assert account.sends(ADVERT, facts=of(10_000)).violations == ()
    account.sends(ADVERT, NOON + DAY, facts=of(10_000))
    # On notice once, with figures and a week.
    (noticed,) = account.tenant.of(r.StreamNoticed)
    assert (noticed.condition, noticed.repair_by) == ("bounces", NOON + 7 * DAY)
    assert (noticed.bounced, noticed.delivered, noticed.complainants) == (500, 10_000, None)
    # Not mended: it counts as undeclared, and that begins with advice.
    assert account.sends(ADVERT, NOON + 8 * DAY, facts=of(10_000)).advice == ("spam.advert",)
    assert account.sends(ADVERT, NOON + 10 * DAY, facts=of(10_000)).violations


def test_ordinary_bounces_put_no_stream_on_notice() -> None:
    account = Account(STREAM)
    came_back(account, 300)
    account.sends(ADVERT, facts=of(10_000))
    assert account.tenant.of(r.StreamNoticed) == ()


def test_a_stream_declared_anew_is_not_judged_by_what_came_back_before() -> None:
    again = replace(STREAM, entry_id="g_9", at=NOON + 8 * DAY)
    account = Account(STREAM, r.EntryEnded(at=NOON + 8 * DAY, entry_id="g_2", by="Chief", reason="mended"), again)
    came_back(account, 500)
    account.sends(ADVERT, NOON + 9 * DAY, facts=of(10_000))
    assert account.tenant.of(r.StreamNoticed) == ()


def test_how_much_may_come_back_is_the_agreements() -> None:
    rules = TERMS.registers
    assert rules is not None
    assert rules.bounce_percent == 3.0
