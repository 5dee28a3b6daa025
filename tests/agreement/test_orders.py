"""Termination by standing order: walk_3, and each of the nine conditions dropped.  STANDING 5.9, 7.2, 7.3."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from filterd.agreement.cooling_off import cooling_off
from filterd.agreement.fold import apply, fold
from filterd.agreement.orders import by_order, fallen
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
    conducts = [standing_at(history_of(account), TERMS, x).conduct for x in (begins - timedelta(seconds=1), begins)]
    assert conducts == [Conduct.SUSPENDED, Conduct.TERMINATED]
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


def test_case_standing_order_holds_from_its_signature_to_its_end_and_for_this_text() -> None:
    account = walk_3()

    def missing(order: r.StandingOrderSigned, *more: r.Record) -> bool:
        around = Surroundings(site=History(account_id="site", further=(order, *more)))
        return "order" in by_order(history_of(account), around, TERMS, day(15)).missing

    second = timedelta(seconds=1)
    assert not missing(replace(ORDER, at=day(15)))
    assert missing(replace(ORDER, at=day(15) + second))
    assert not missing(replace(ORDER, until=day(15) + second))
    assert missing(replace(ORDER, until=day(15)))
    over = r.EntryEnded(at=day(15), entry_id="g_order", by="Ana", reason="x")
    assert missing(ORDER, over)
    assert not missing(ORDER, replace(over, at=day(15) + second))
    assert not missing(ORDER, replace(over, entry_id="g_other"))
    # One for another text hides none for this one.
    assert not missing(replace(ORDER, entry_id="g_0", policy_digest="another"), ORDER)


@pytest.mark.parametrize("table", ["termination", "days"])
def test_case_standing_order_needs_an_agreement_that_knows_it(table: str) -> None:
    section = None
    if table == "days" and TERMS.termination is not None:
        section = TERMS.termination.model_copy(update={"order_after_days": None})
    terms = TERMS.model_copy(update={"termination": section})
    due = by_order(history_of(walk_3()), site(), terms, day(15))
    assert (due.missing, due.imposed) == (("order", "mode_a", "suspension"), None)


def test_case_standing_order_what_it_makes() -> None:
    history = history_of(walk_3())
    suspension = next(s.imposed for s in history.sanctions if s.imposed.ends_at is None)
    due = by_order(history, site(), TERMS, day(15)).imposed
    assert due is not None
    assert (due.incident_id, due.step, due.category) == (suspension.incident_id, suspension.step, suspension.category)
    assert (due.is_automatic, due.by, due.ends_at, due.lapses_at) == (True, "order:g_order", None, None)
    assert [f.name for f in due.features] == ["sending"]
    assert due.starts_at == cooling_off(TERMS, day(15))


def test_case_standing_order_the_suspension_has_run_fourteen_days_when_it_takes_effect() -> None:
    history = history_of(walk_3())
    assert by_order(history, site(), TERMS, day(14)).missing == ("suspension",)
    first = next(s for s in range(14 * 24, 16 * 24) if not by_order(history, site(), TERMS, day(s / 24)).missing)
    began = next(s.imposed.starts_at for s in history.sanctions if s.imposed.ends_at is None)
    assert cooling_off(TERMS, day(first / 24)) >= began + timedelta(days=14)
    assert cooling_off(TERMS, day((first - 1) / 24)) < began + timedelta(days=14)


def test_case_standing_order_takes_three_incidents_each_with_all_its_recipients_in_mode_a() -> None:
    history = history_of(walk_3())
    last = history.incidents[-1]

    def missing(*recipients: tuple[str, int, int]) -> tuple[str, ...]:
        changed = (*history.incidents[:-1], replace(last, recipients=recipients))
        return by_order(replace(history, incidents=changed), site(), TERMS, day(15)).missing

    assert missing(("malware", 3, 3)) == ()
    assert missing(("malware", 3, 2)) == ("mode_a",)
    assert missing(("malware", 3, 3), ("spam.advert", 1, 1)) == ("mode_a",)
    assert missing(("malware", 0, 0)) == ("mode_a",)
    assert missing() == ("mode_a",)
    seen = replace(history, incidents=(*history.incidents[:-1], replace(last, indicators=frozenset({"client.new"}))))
    assert by_order(seen, site(), TERMS, day(15)).missing == ("not_compromised",)
    # A field of one's own mail, or what one's client calls itself, puts nobody out of reach.
    script = frozenset({"client.automated", "rate.client.automated"})
    dressed = replace(history, incidents=(*history.incidents[:-1], replace(last, indicators=script)))
    assert by_order(dressed, site(), TERMS, day(15)).missing == ()


def test_case_standing_order_each_began_after_the_notice_of_the_one_before() -> None:
    history = history_of(walk_3())
    second = history.incidents[1]

    def missing(*notices: datetime) -> tuple[str, ...]:
        first = replace(history.incidents[0], notices=notices)
        return by_order(replace(history, incidents=(first, *history.incidents[1:])), site(), TERMS, day(15)).missing

    assert missing(second.opened.at - timedelta(seconds=1)) == ()
    assert missing(second.opened.at) == ("after_notice",)
    assert missing() == ("after_notice",)


def test_case_standing_order_an_appeal_that_was_decided_is_none_until_it_is_reopened() -> None:
    account = walk_3()
    _contested(account)
    decided = r.AppealDecided(at=day(10), appeal_id="p_1", incident_id="i", outcome="denied", by="Ana", reason="x")
    reopened = r.AppealReopened(at=day(11), appeal_id="p_1", incident_id="i", by="Ana", reason="new")
    history = history_of(account)
    for more, is_open in (((), True), ((decided,), False), ((decided, reopened), True)):
        rows = (*history.further, *more)
        missing = by_order(replace(history, further=rows), site(), TERMS, day(15)).missing
        assert ("no_objection" in missing) is is_open
    annulled = replace(history.sanctions[0], annulled_at=day(10))
    files = replace(history, sanctions=(annulled, *history.sanctions[1:]))
    assert "no_objection" not in by_order(files, site(), TERMS, day(15)).missing


# --- what it rests on ends --------------------------------------------------------------------------------------------


def ordered() -> tuple[Account, r.SanctionImposed, r.SanctionImposed]:
    """Say an account whose termination was told of on day 15, with the suspension it rests on and the termination."""
    account = walk_3()
    due = by_order(history_of(account), site(), TERMS, day(15)).imposed
    assert due is not None
    suspension = next(s.imposed for s in history_of(account).sanctions if s.imposed.ends_at is None)
    account.records += [due, accepted(15, "tenant"), accepted(15.1, "second")]
    return account, suspension, due


def lifted_at(suspension: r.SanctionImposed, at: datetime) -> r.SanctionLifted:
    return r.SanctionLifted(
        at=at, sanction_id=suspension.sanction_id, incident_id=suspension.incident_id, by="Cem", reason="mercy"
    )


def fallen_ids(account: Account, at_day: float) -> list[str]:
    return [file.imposed.sanction_id for file in fallen(history_of(account), TERMS, day(at_day))]


def test_a_person_who_lifts_the_suspension_before_it_begins_stops_the_termination() -> None:
    account, suspension, due = ordered()
    assert fallen_ids(account, 16) == []
    account.records.append(lifted_at(suspension, due.starts_at))
    assert Conduct.TERMINATED not in {account.at(x).conduct for x in (23, 60, 300)}
    assert fallen_ids(account, 23) == [due.sanction_id]
    # And it is not made again for that suspension.
    assert by_order(history_of(account), site(), TERMS, day(60)).imposed is None


def test_what_is_in_effect_no_lift_of_the_suspension_ends() -> None:
    account, suspension, due = ordered()
    account.records.append(lifted_at(suspension, due.starts_at + timedelta(seconds=1)))
    assert {account.at(x).conduct for x in (23, 60, 300)} == {Conduct.TERMINATED}
    assert fallen_ids(account, 60) == []


@pytest.mark.parametrize("number", [0, 1, 2])
def test_an_error_of_ours_gives_the_account_back_also_from_a_termination_in_effect(number: int) -> None:
    account, _, due = ordered()
    assert account.at(24).conduct is Conduct.TERMINATED
    account.annul(number, 25)
    assert account.at(26).conduct is Conduct.WARNED
    assert fallen_ids(account, 26) == []
    assert due.starts_at < day(25)


def test_an_unanswered_objection_and_an_annulment_let_it_fall_too() -> None:
    account, suspension, due = ordered()
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
    assert (fallen_ids(account, 20.9), fallen_ids(account, 21.1)) == ([], [due.sanction_id])
    account, _, due = ordered()
    account.annul(2, 17)
    assert due.sanction_id not in fallen_ids(account, 16)
    assert account.at(60).conduct is not Conduct.TERMINATED


def test_what_two_people_decided_falls_with_no_lift() -> None:
    account, suspension, due = ordered()
    by_people = replace(due, sanction_id="s_people", is_automatic=False, by="Ana")
    account.records = [by_people if x is due else x for x in account.records]
    account.records.append(lifted_at(suspension, day(16)))
    assert fallen_ids(account, 17) == []
    assert account.at(60).conduct is Conduct.TERMINATED


def test_what_a_person_vetoed_by_name_is_not_taken_back_a_second_time() -> None:
    account, suspension, due = ordered()
    account.records += [lifted_at(suspension, day(16)), lifted_at(due, day(16))]
    assert fallen_ids(account, 17) == []
