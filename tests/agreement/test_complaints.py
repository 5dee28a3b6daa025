"""How many complained, whom an account may not write to, until when a case is closed.  STANDING 5.7-13, T-TX-4.1.3."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from filterd.agreement.complaints import (
    FALSE_ALARM,
    LIST,
    PERSON,
    SERVICE,
    SPAM,
    answer_until,
    complained,
    ignored,
    opted_out,
    unit_of,
)
from filterd.agreement.decide import decide
from filterd.agreement.due_site import of_site
from filterd.agreement.fold import apply, fold
from filterd.agreement.maintenance import Window
from filterd.model import records as r
from filterd.model.decision import Counts, Disposition, MailFacts
from filterd.model.entry import SITE
from filterd.model.sanction import Mode, Preset
from filterd.model.standing import History
from tests.agreement.cases import NOON, case
from tests.agreement.contract import shipped
from tests.agreement.test_registers import ADVERT, Account, declared
from tests.agreement.test_registers import STREAM as DECLARED
from tests.kit.terms import tencent

TERMS = tencent()
DAY = timedelta(days=1)
KEY, OTHER_KEY = "stream1", "stream2"
STREAM = r.StreamDeclared(
    at=NOON - 10 * DAY, entry_id="g_1", tenant_id="n_1", account_id="a_1", key=KEY, key_kind="list_id",
    consent="signup", by="dana",
)  # fmt: skip


def counted(number: int, **changes: Any) -> r.ComplaintCounted:
    said: dict[str, Any] = {
        "at": NOON - DAY,
        "complaint_id": "cp_1",
        "account_id": "a_1",
        "transaction_id": f"t_{number}",
        "unit": unit_of("a_1", f"h{number}"),
    }
    return r.ComplaintCounted(**(said | changes))


def missed(number: int, at: datetime = NOON - DAY, kind: str = LIST) -> r.OptOutIgnored:
    return r.OptOutIgnored(at=at, optout_id=f"oo_{number}", account_id="a_1", recipient=f"h{number}", kind=kind)


def number(records: Iterable[r.Record], at: datetime = NOON, stream: r.StreamDeclared | None = None) -> int:
    return complained(fold("a_1", records), at, 40_000, TERMS, stream).complainants


# --- who counts -------------------------------------------------------------------------------------------------------


def test_one_complainant_is_one_unit() -> None:
    assert number([counted(1), counted(1, transaction_id="t_9"), counted(2)]) == 2


def test_those_that_came_together_are_one_unit() -> None:
    together = [counted(n, group="cg_1") for n in range(50)]
    assert number(together) == 1
    assert number([*together, counted(60, group="cg_2"), counted(61)]) == 3


def test_who_says_that_it_was_no_spam_takes_theirs_back() -> None:
    assert number([counted(1), counted(2), counted(1, is_withdrawn=True)]) == 1
    # Whichever was read first, and of that mail alone, of any stream.
    back = counted(1, is_withdrawn=True, complaint_id="")
    assert number([back, counted(1, stream=(KEY,))]) == 0
    assert number([back, counted(1, stream=(KEY,))], stream=STREAM) == 0
    assert number([back, counted(1), counted(1, transaction_id="t_9")]) == 1
    assert number([counted(1, is_withdrawn=True, at=NOON - 40 * DAY), counted(1)]) == 0


def test_what_one_person_took_in_by_hand_is_never_enough() -> None:
    def taken(first: int, number: int, by: str) -> list[r.ComplaintCounted]:
        return [counted(n, by=by, channel="person") for n in range(first, first + number)]

    least = TERMS.complaints.complainants
    assert number(taken(0, 3 * least, "rita")) == least - 1
    assert number([*taken(0, least, "rita"), *taken(50, least, "dana")]) == 2 * (least - 1)
    # What came by mail is nobody's word here, though somebody read it in.
    read = [counted(n, by="rita", channel="arf") for n in range(least)]
    assert number(read) == least
    assert number([*taken(0, 3 * least, "rita"), *read]) == 2 * least - 1


def test_what_a_person_found_unfounded_counts_no_more() -> None:
    off = r.ComplaintDiscounted(at=NOON, complaint_id="cp_1", account_id="a_1", by="dana")
    assert number([counted(1), counted(2, complaint_id="cp_2"), off]) == 1


def test_complaints_fade_by_themselves() -> None:
    old = counted(1, at=NOON - 30 * DAY)
    assert number([old]) == 1
    assert number([old], NOON + timedelta(seconds=1)) == 0


def test_an_opt_out_that_was_not_honoured_is_a_complaint_and_the_same_person_s() -> None:
    assert number([missed(1), missed(1, NOON), missed(2)]) == 2
    assert number([missed(1), counted(1)]) == 1
    # Who asked a person to stop is no reader of a list: that is an act of its own (tail-d).
    assert number([missed(1, kind=PERSON)]) == 0


def test_an_opt_out_that_was_ended_is_no_complaint_any_more() -> None:
    end = r.OptOutEnded(at=NOON, optout_id="oo_1", account_id="a_1", by="dana", reason="our error")
    rows = [missed(1), missed(2), end]
    assert (number(rows), number(rows, NOON - timedelta(seconds=1))) == (1, 2)
    history = fold("a_1", [missed(1), end])
    assert not ignored(history, NOON - 2 * DAY, NOON)
    assert ignored(history, NOON - 2 * DAY, NOON - timedelta(seconds=1))


def test_a_stream_has_what_its_own_mail_was_complained_of_since_it_was_declared() -> None:
    rows = [counted(1, stream=(KEY,)), counted(2, stream=(OTHER_KEY,)), counted(3)]
    assert (number(rows, stream=STREAM), number(rows)) == (1, 3)
    before = counted(4, stream=(KEY,), at=STREAM.at - timedelta(seconds=1))
    assert (number([before], stream=STREAM), number([before])) == (0, 1)


def test_the_numbers_are_the_agreement_s() -> None:
    said = complained(History(account_id="a_1"), NOON, 7, shipped())
    assert (said.least_delivered, said.least_complainants, said.percent, said.delivered) == (500, 5, 0.1, 7)
    stricter = TERMS.model_copy(update={"complaints": TERMS.complaints.model_copy(update={"complainants": 9})})
    assert complained(History(account_id="a_1"), NOON, 7, stricter).least_complainants == 9


# --- what follows -----------------------------------------------------------------------------------------------------


def decided(*codes: str) -> Any:
    return decide(
        case(codes, policy_digest=TERMS.digest), TERMS, Preset.SUPERVISED, History(account_id="a_1"), ("k_1",)
    )


def test_complaints_alone_are_nothing_and_never_both_groups() -> None:
    for codes in (("complaint.rate.high",), ("complaint.rate.high", "complaint.rate.high")):
        alone = decided(*codes)
        assert (alone.violations, alone.disposition, alone.records) == ((), Disposition.ACCEPT, ())


@pytest.mark.parametrize("other", ["content.spam.model", "rate.messages.high"])
def test_complaints_are_one_signal_group_of_their_own(other: str) -> None:
    (violation,) = decided("complaint.rate.high", other).violations
    assert (violation.category, violation.mode) == ("spam.outbound", Mode.A)
    assert [v.mode for v in decided(other).violations] in ([], [Mode.B])


def test_mail_to_somebody_who_asked_for_it_to_stop_is_mode_b() -> None:
    said = decided("complaint.stop.ignored")
    assert [(v.category, v.mode, v.ground.ids) for v in said.violations] == [
        ("abuse.repeated", Mode.B, ("3.3.2 tail-d",))
    ]
    (strike,) = [x for x in said.records if isinstance(x, r.StrikeIssued)]
    # In half-points, at full weight; mode B counts half of them.
    assert (strike.a_half_points, strike.b_half_points) == (0, 2)
    assert [x.rung.word for x in said.records if isinstance(x, r.SanctionImposed)] == ["warn"]


# --- declared streams -------------------------------------------------------------------------------------------------


def complained_of(account: Account, people: int, stream: str = "stream-key") -> None:
    for n in range(people):
        account.history = apply(account.history, counted(n, at=NOON, stream=(stream,)))


def bulk(**more: Any) -> MailFacts:
    return declared(counts=Counts(recipients_month=40_000), **more)


def test_case_declared_stream_each_condition_complaints() -> None:
    account = Account(DECLARED)
    complained_of(account, 72)
    assert account.sends(ADVERT, facts=bulk()).violations == ()
    account.sends(ADVERT, NOON + DAY, facts=bulk())
    # On notice once: the sender sees figures, no names, and has a week.
    (noticed,) = account.tenant.of(r.StreamNoticed)
    assert (noticed.condition, noticed.repair_by) == ("complaints", NOON + 7 * DAY)
    assert (noticed.complainants, noticed.delivered) == (72, 40_000)
    # Not mended: it counts as undeclared, and that begins with advice.
    assert account.sends(ADVERT, NOON + 8 * DAY, facts=bulk()).advice == ("spam.advert",)
    assert account.sends(ADVERT, NOON + 10 * DAY, facts=bulk()).violations


def test_a_stream_declared_anew_is_not_judged_by_what_came_before() -> None:
    again = replace(DECLARED, entry_id="g_9", at=NOON + 8 * DAY)
    account = Account(DECLARED, r.EntryEnded(at=NOON + 8 * DAY, entry_id="g_2", by="Chief", reason="mended"), again)
    complained_of(account, 72)
    account.sends(ADVERT, NOON + 9 * DAY, facts=bulk())
    assert account.tenant.of(r.StreamNoticed) == ()


def test_complaints_below_the_bound_or_about_other_mail_put_no_stream_on_notice() -> None:
    for people, stream in ((49, "stream-key"), (72, "another-key")):
        account = Account(DECLARED)
        complained_of(account, people, stream)
        account.sends(ADVERT, facts=bulk())
        assert account.tenant.of(r.StreamNoticed) == ()


def test_case_declared_stream_each_condition_opt_outs() -> None:
    account = Account(DECLARED)
    account.history = apply(account.history, missed(1, NOON))
    account.sends(ADVERT, NOON, facts=bulk())
    (noticed,) = account.tenant.of(r.StreamNoticed)
    assert (noticed.condition, noticed.complainants) == ("opt_outs", None)
    assert account.sends(ADVERT, NOON + 7 * DAY, facts=bulk()).advice == ("spam.advert",)


def test_each_condition_that_fails_is_told() -> None:
    account = Account(DECLARED)
    complained_of(account, 72)
    account.history = apply(account.history, missed(1, NOON))
    account.sends(ADVERT, facts=bulk(has_one_click=False))
    account.sends(ADVERT, facts=bulk(has_one_click=False))
    assert [x.condition for x in account.tenant.of(r.StreamNoticed)] == ["missing_header", "complaints", "opt_outs"]


# --- opt-outs ---------------------------------------------------------------------------------------------------------


def asked(at: datetime = NOON, **changes: Any) -> r.OptOutFiled:
    said: dict[str, Any] = {
        "at": at, "optout_id": "oo_1", "account_id": "a_1", "recipient": "h1", "kind": PERSON, "since": at,
        "by": "dana",
    }  # fmt: skip
    return r.OptOutFiled(**(said | changes))


def test_a_request_is_about_one_recipient_and_from_its_day_on() -> None:
    history = fold("a_1", [asked(kind=LIST, since=NOON + 3 * DAY)])
    assert opted_out(history, "h1", NOON + 3 * DAY) is not None
    assert opted_out(history, "h2", NOON + 3 * DAY) is None
    assert opted_out(history, "h1", NOON + 3 * DAY - timedelta(seconds=1)) is None


def test_a_request_that_was_ended_is_over_and_a_second_one_is_not() -> None:
    end = r.OptOutEnded(at=NOON + DAY, optout_id="oo_1", account_id="a_1", by="dana", reason="they said so")
    history = fold("a_1", [asked(), end])
    assert opted_out(history, "h1", NOON) is not None
    assert opted_out(history, "h1", NOON + DAY) is None
    again = fold("a_1", [asked(), end, asked(NOON + 2 * DAY, optout_id="oo_2")])
    assert opted_out(again, "h1", NOON + 2 * DAY) is not None


def test_bulk_mail_to_who_opted_out_is_seen_between_two_instants() -> None:
    history = fold("a_1", [missed(1, NOON)])
    assert ignored(history, NOON, NOON)
    assert not ignored(history, NOON + DAY, NOON + 2 * DAY)
    assert not ignored(history, NOON - DAY, NOON - timedelta(seconds=1))
    assert not ignored(fold("a_1", [missed(1, NOON, PERSON)]), NOON, NOON)


# --- the clock of a case ----------------------------------------------------------------------------------------------


def test_a_case_has_the_hours_of_the_agreement_and_trouble_with_mail_its_own() -> None:
    hour = timedelta(hours=1)
    assert answer_until(SPAM, NOON, TERMS) == NOON + 24 * hour
    assert {answer_until(kind, NOON, TERMS) for kind in (FALSE_ALARM, SERVICE)} == {NOON + 2 * hour}
    bare = TERMS.model_copy(update={"lifecycle": None})
    assert answer_until(FALSE_ALARM, NOON, bare) == NOON + 24 * hour
    closed = Window(
        window_id="mw_1", since=NOON + hour, until=NOON + 2 * hour, announced_at=NOON, is_emergency=False, by="dana"
    )
    assert answer_until(SPAM, NOON, TERMS, [closed]) == NOON + 25 * hour


def filed(complaint_id: str = "cp_1") -> r.ComplaintFiled:
    return r.ComplaintFiled(
        at=NOON, complaint_id=complaint_id, kind=SPAM, channel="arf", account_id=None, transaction_id="",
        due_at=NOON + DAY, by="dana",
    )  # fmt: skip


def test_an_overdue_case_alarms_and_asks_a_person_once() -> None:
    site = fold(SITE, [filed()])
    assert of_site(site, NOON + DAY - timedelta(seconds=1)) == ()
    (due,) = of_site(site, NOON + DAY)
    assert (due.clock, due.object_id, due.is_alarm) == ("complaint.overdue", "cp_1", True)
    assert due.task is not None
    assert "cp_1" in due.task.what
    struck = r.ClockStruck(at=NOON + DAY, clock=due.clock, subject_id=SITE, object_id="cp_1", due_at=due.due_at)
    assert of_site(fold(SITE, [filed(), struck]), NOON + 9 * DAY) == ()


def test_a_closed_case_is_over_and_kept_in_no_process() -> None:
    end = r.ComplaintClosed(at=NOON, complaint_id="cp_1", account_id=None, outcome="reviewed", by="dana", reason="x")
    site = fold(SITE, [filed(), filed("cp_2"), end])
    assert [x.object_id for x in of_site(site, NOON + DAY)] == ["cp_2"]
    assert [x.complaint_id for x in site.of(r.ComplaintFiled)] == ["cp_2"]
