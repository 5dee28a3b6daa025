"""Every clock of the two agreements: CLAUSES §6, AL-2.1, 2.2, 6.3, 7.1; TX-4.4.1 to 4.4.4, 5.2, 8.2.4, 8.2.7, 8.2.8."""

from __future__ import annotations

import random
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from functools import cache
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from filterd.agreement import clocks, deletion, free_mx, termination
from filterd.agreement.calendar import Calendar
from filterd.agreement.clock_table import CLOCKS
from filterd.agreement.due import RELOOK, of_account
from filterd.agreement.due_service import of_deletion, of_service
from filterd.agreement.due_tenant import of_tenant_steps
from filterd.agreement.fold import fold
from filterd.agreement.lifecycle import lifecycle_at, service_at
from filterd.agreement.load import load
from filterd.agreement.maintenance import Window, window_at, windows, working_end
from filterd.agreement.sections_lifecycle import HolidaysSection, LifecycleSection
from filterd.agreement.shutdown import closes_at
from filterd.agreement.standing import standing_at
from filterd.agreement.terms import Agreement
from filterd.checks import ALL_CODES
from filterd.errors import UsageError
from filterd.model import records as r
from filterd.model.evidence import Freeze, frozen
from filterd.model.lifecycle import Service
from filterd.model.sanction import Conduct, Feature, Rung
from filterd.model.standing import History, IncidentFile, Surroundings
from filterd.share import path

pytestmark = pytest.mark.slow

LAST = date(2026, 6, 30)
# Of Shanghai: the instant at which the 30th of June is over.
OVER = datetime(2026, 6, 30, 16, 0, tzinfo=UTC)
T, A = "n_1", "a_1"
DAY = timedelta(days=1)


@cache
def agreement(name: str) -> Agreement:
    file = path(f"policies/agreements/{name}.toml")
    return load(file.read_bytes(), str(file), ALL_CODES)


AL, TX = agreement("aliyun-mail"), agreement("tencent-exmail")


def at(text: str) -> datetime:
    return datetime.fromisoformat(text)


def tenant(*records: r.Record) -> History:
    return fold(T, records)


def asked(when: datetime, last: date = LAST) -> r.ClockStruck:
    return r.ClockStruck(
        at=when, clock="renewal.due", subject_id=T, object_id=f"renewal:{last.isoformat()}", due_at=when
    )


def told(when: datetime, *, deemed: bool = True, notice_id: str = "m_1") -> r.NoticeSent:
    return r.NoticeSent(
        at=when,
        notice_id=notice_id,
        account_id="",
        incident_ids=(),
        template="renewal_due",
        languages=("zh-Hans",),
        channel="tenant" if deemed else "none",
        outcome="accepted" if deemed else "failed",
        deemed_at=when if deemed else None,
        body_digest="",
    )


def ended(when: datetime, because: str = "mx", effective_at: datetime | None = None) -> r.ServiceEnded:
    return r.ServiceEnded(
        at=when, tenant_id=T, because=because, by="mei", reason="-", effective_at=effective_at
    )


# --- AL-2.2: notice, stop, keep, deletion -----------------------------------------------------------------------------


def test_t_al_2_2_the_renewal_is_asked_for_a_week_before_the_last_day() -> None:
    notice_at = clocks.renewal_notice_at(LAST, AL)
    assert notice_at == at("2026-06-23T00:00:00+08:00")
    before = service_at(tenant(), LAST, AL, notice_at - timedelta(seconds=1))
    assert before.state is Service.ACTIVE
    assert service_at(tenant(), LAST, AL, notice_at).state is Service.RENEWAL_DUE


def test_t_al_2_2_the_service_stops_at_midnight_of_the_last_day_and_not_before() -> None:
    assert clocks.stops_at(LAST, AL) == OVER
    assert service_at(tenant(), LAST, AL, OVER - timedelta(seconds=1)).state is Service.RENEWAL_DUE
    stopped = service_at(tenant(), LAST, AL, OVER)
    assert (stopped.state, stopped.because, stopped.is_over) == (Service.STOPPED, "expiry", True)


def test_t_al_2_2_with_a_provable_notice_in_time_data_is_kept_for_thirty_days() -> None:
    history = tenant(asked(at("2026-06-23T01:00:00+08:00")), told(at("2026-06-23T02:00:00+08:00")))
    end = at("2026-07-31T00:00:00+08:00")
    assert service_at(history, LAST, AL, end - timedelta(seconds=1)).state is Service.STOPPED
    eligible = service_at(history, LAST, AL, end)
    assert (eligible.state, eligible.keep_until) == (Service.DELETION_ELIGIBLE, end)


@pytest.mark.parametrize(
    ("notice", "kept_until"),
    [
        # Two days late: 37 days from it.
        ("2026-06-25T09:00:00+08:00", "2026-08-02T00:00:00+08:00"),
        # Only after the stop.
        ("2026-07-20T09:00:00+08:00", "2026-08-27T00:00:00+08:00"),
        # In time, and earlier than it had to be.
        ("2026-06-23T00:10:00+08:00", "2026-07-31T00:00:00+08:00"),
    ],
)
def test_t_al_2_2_without_a_notice_in_time_data_is_kept_for_37_days_from_a_provable_one(
    notice: str, kept_until: str
) -> None:
    history = tenant(asked(at("2026-06-23T00:00:00+08:00")), told(at(notice)))
    assert service_at(history, LAST, AL, OVER + 400 * DAY).keep_until == at(kept_until)


@pytest.mark.parametrize(
    "records",
    [
        (),
        # Asked for, and every channel failed.
        (asked(OVER - 8 * DAY), told(OVER - 7 * DAY, deemed=False)),
        # It came back by our own fault.
        (
            asked(OVER - 8 * DAY),
            told(OVER - 8 * DAY),
            r.NoticeBounced(
                at=OVER - 7 * DAY, notice_id="m_1", account_id="", audience="tenant", status="4.4.7", is_theirs=False
            ),
        ),
        # That of the year before.
        (asked(OVER - 372 * DAY, date(2025, 6, 30)), told(OVER - 372 * DAY), asked(OVER - 8 * DAY)),
    ],
)
def test_t_al_2_2_while_no_notice_can_be_proved_nothing_may_be_deleted(records: tuple[r.Record, ...]) -> None:
    life = service_at(tenant(*records), LAST, AL, OVER + 1000 * DAY)
    assert (life.state, life.keep_until) == (Service.STOPPED, None)
    assert deletion.run_out(tenant(*records), AL, OVER + 1000 * DAY, Surroundings(expires_on=LAST)) is None


def test_t_al_2_2_a_notice_that_came_back_by_the_customers_own_fault_still_counts() -> None:
    bounced = r.NoticeBounced(
        at=OVER - 7 * DAY, notice_id="m_1", account_id="", audience="tenant", status="5.1.1", is_theirs=True
    )
    history = tenant(asked(OVER - 8 * DAY), told(OVER - 8 * DAY), bounced)
    assert service_at(history, LAST, AL, OVER + 40 * DAY).state is Service.DELETION_ELIGIBLE


def test_t_al_2_2_a_renewal_restores_everything_at_once() -> None:
    history = tenant(asked(OVER - 8 * DAY), told(OVER - 8 * DAY))
    now = OVER + 40 * DAY
    assert service_at(history, LAST, AL, now).state is Service.DELETION_ELIGIBLE
    assert service_at(history, date(2027, 6, 30), AL, now).state is Service.ACTIVE
    assert service_at(history, None, AL, now).state is Service.ACTIVE


def test_t_al_2_2_the_notice_strikes_once_a_term_and_again_only_when_it_failed() -> None:
    struck_at = at("2026-06-23T00:01:00+08:00")
    first = of_service(tenant(), LAST, AL, struck_at)
    assert [(x.clock, x.event) for x in first] == [("renewal.due", "renewal_due")]
    assert first[0].facts == {"expires_on": LAST, "kept_until": date(2026, 7, 30)}
    assert of_service(tenant(), LAST, AL, at("2026-06-22T23:59:00+08:00")) == ()
    after = tenant(asked(struck_at))
    assert of_service(after, LAST, AL, struck_at + DAY) == ()
    sent = tenant(asked(struck_at), told(struck_at))
    assert of_service(sent, LAST, AL, struck_at + 5 * DAY) == ()
    failed = tenant(asked(struck_at), told(struck_at + 3 * DAY, deemed=False))
    again = of_service(failed, LAST, AL, struck_at + 5 * DAY)
    assert [(x.clock, x.event, x.is_alarm) for x in again] == [("renewal.again", "renewal_due", True)]
    other = of_service(sent, date(2027, 6, 30), AL, at("2027-06-23T00:01:00+08:00"))
    assert [x.clock for x in other] == ["renewal.due"]


def test_t_tx_4_4_2_no_notice_is_owed_and_none_is_sent_once_the_term_is_over() -> None:
    assert [x.clock for x in of_service(tenant(), LAST, TX, OVER + DAY)] == ["service.ended"]
    assert [x.clock for x in of_service(tenant(), LAST, AL, OVER + DAY)] == ["renewal.due", "service.stopped"]


# --- TX-4.4.1 to 4.4.3 ------------------------------------------------------------------------------------------------


def test_t_tx_4_4_1_an_expired_term_ends_the_service_and_says_nothing_of_conduct() -> None:
    around = Surroundings(tenant=tenant(), tenant_expires_on=LAST)
    good = standing_at(History(account_id=A), TX, OVER, around)
    assert good.lifecycle.state is Service.ENDED
    assert (good.conduct, good.rung, good.half_points, good.features) == (Conduct.GOOD, Rung.NONE, 0, ())
    assert good.may_send


def test_t_tx_4_4_3_data_is_kept_for_the_operators_grace() -> None:
    assert service_at(tenant(), LAST, TX, OVER + 30 * DAY - timedelta(seconds=1)).state is Service.ENDED
    assert service_at(tenant(), LAST, TX, OVER + 30 * DAY).state is Service.DELETION_ELIGIBLE


def test_an_account_is_over_with_its_own_term_or_its_tenants_whichever_is_first() -> None:
    def life(own: date | None, its: date | None, *records: r.Record) -> Service:
        around = Surroundings(tenant=tenant(*records), tenant_expires_on=its, expires_on=own)
        return lifecycle_at(History(account_id=A), TX, OVER, around).state

    assert life(None, None) is Service.ACTIVE
    assert life(LAST, date(2027, 1, 1)) is Service.ENDED
    assert life(date(2027, 1, 1), LAST) is Service.ENDED
    assert life(None, date(2026, 7, 2)) is Service.RENEWAL_DUE
    assert life(date(2027, 1, 1), None, ended(OVER - DAY)) is Service.ENDED


def test_an_agreement_without_clocks_ends_nobodys_service() -> None:
    bare = TX.model_copy(update={"lifecycle": None})
    assert service_at(tenant(), LAST, bare, OVER + 1000 * DAY).state is Service.ACTIVE
    with pytest.raises(UsageError, match="no \\[lifecycle\\]"):
        clocks.keep_until(LAST, None, bare)


def test_a_last_day_of_keeping_that_is_a_holiday_moves() -> None:
    closed = AL.model_copy(update={"holidays": HolidaysSection.model_validate(["2026-07-30", "2026-07-31"])})
    notice = at("2026-06-01T00:00:00+08:00")
    assert clocks.keep_until(LAST, notice, AL) == at("2026-07-31T00:00:00+08:00")
    # The 1st of August 2026 is a Saturday.
    assert clocks.keep_until(LAST, notice, closed) == at("2026-08-04T00:00:00+08:00")
    assert clocks.stops_at(date(2026, 7, 30), closed) == at("2026-07-31T00:00:00+08:00")


# --- TX-4.4.4: free users ---------------------------------------------------------------------------------------------


def probes(pattern: str, start: date = date(2026, 1, 1)) -> list[r.MxProbed]:
    """One probe a day: b bad, g good, u unknown, a dot for a day without any."""
    answers = {"b": "bad", "g": "good", "u": "unknown"}
    return [
        r.MxProbed(
            at=datetime(2026, 1, 1, tzinfo=UTC) + n * DAY,
            tenant_id=T,
            day=start + n * DAY,
            answer=answers[letter],
            resolvers=2,
        )
        for n, letter in enumerate(pattern)
        if letter != "."
    ]


@pytest.mark.parametrize(
    ("pattern", "is_over", "bad_days"),
    [
        ("b" * 29 + "g" + "b" * 29, False, 29),
        ("b" * 30, False, 30),
        ("b" * 31, True, 31),
        ("b" * 20 + "u" * 5 + "b" * 10, False, 30),
        ("b" * 20 + "u" * 5 + "b" * 11, True, 31),
        ("b" * 20 + "." * 5 + "b" * 11, True, 31),
        ("u" * 60, False, 0),
        ("g" * 60, False, 0),
        ("b" * 30 + "g", False, 0),
    ],
)
def test_t_tx_4_4_4_ended_on_the_31st_bad_day_in_a_row(pattern: str, is_over: bool, bad_days: int) -> None:
    state = free_mx.mx_state(probes(pattern), TX)
    assert (state.is_over, state.bad_days) == (is_over, bad_days)
    shuffled = probes(pattern)
    random.Random(5).shuffle(shuffled)
    assert free_mx.mx_state(shuffled, TX) == state


@given(pattern=st.text(alphabet="bgu.", min_size=1, max_size=90))
def test_prop_natural_days_the_mx_clock_counts_bad_days_since_the_last_good_one(pattern: str) -> None:
    """Against a count by hand; days nobody could say are neither bad nor good."""
    tail = pattern[: next((n for n in range(1, len(pattern) + 1) if _bad(pattern[:n]) == 31), len(pattern))]
    assert free_mx.mx_state(probes(pattern), TX).bad_days == _bad(tail)
    assert free_mx.mx_state(probes(pattern), TX).is_over == any(
        _bad(pattern[:n]) == 31 for n in range(1, len(pattern) + 1)
    )


def _bad(pattern: str) -> int:
    return pattern.rpartition("g")[2].count("b")


def test_t_tx_4_4_4_of_several_looks_on_one_day_the_best_counts() -> None:
    twice = [*probes("b" * 31), replace(probes("b" * 31)[15], answer="good")]
    assert free_mx.mx_state(twice, TX).bad_days == 15


def test_t_tx_4_4_4_days_without_an_answer_are_counted_for_the_alarm() -> None:
    assert free_mx.mx_state(probes("guuu"), TX).unknown_days == 3
    assert free_mx.mx_state(probes("guuuu"), TX).unknown_days == 4
    assert free_mx.mx_state(probes("g"), TX, today=date(2026, 1, 6)).unknown_days == 5
    assert free_mx.mx_state(probes("uuuu"), TX).unknown_days == 4
    assert free_mx.mx_state((), TX, today=date(2026, 1, 6)).unknown_days == 0


def test_t_tx_4_4_4_what_was_seen_before_the_service_was_resumed_does_not_count() -> None:
    state = free_mx.mx_state(probes("b" * 40), TX, since=date(2026, 2, 1))
    assert (state.bad_days, state.first_bad, state.is_over) == (9, date(2026, 2, 1), False)
    assert free_mx.ends_on(state, TX) == date(2026, 3, 3)


@pytest.mark.parametrize(
    ("seen", "declared", "expected"),
    [
        ([free_mx.MxSeen(hosts=("mx.here.example",))] * 2, (), "good"),
        ([free_mx.MxSeen(hosts=("filter.example",))] * 2, (), "good"),
        # Mail comes elsewhere, and the tenant has said that it comes here.
        ([free_mx.MxSeen(hosts=("filter.example",))] * 2, ("mx.here.example",), "bad"),
        ([free_mx.MxSeen(hosts=("mx.here.example", "x.example"))] * 2, ("mx.here.example",), "good"),
        ([free_mx.MxSeen(exists=False)] * 2, (), "bad"),
        # A null MX (RFC 7505).
        ([free_mx.MxSeen(hosts=("",))] * 2, (), "bad"),
        ([free_mx.MxSeen()] * 2, (), "bad"),
        ([free_mx.MxSeen(has_address=True)] * 2, (), "good"),
        # SERVFAIL at one, a bad answer at the other.
        ([None, free_mx.MxSeen(exists=False)], (), "unknown"),
        ([None, free_mx.MxSeen(hosts=("mx.here.example",))], (), "good"),
        # One resolver has an old zone.
        ([free_mx.MxSeen(exists=False), free_mx.MxSeen(hosts=("mx.here.example",))], (), "good"),
        ([None, None], (), "unknown"),
        ([], (), "unknown"),
    ],
)
def test_t_tx_4_4_4_what_the_resolvers_saw(
    seen: list[free_mx.MxSeen | None], declared: tuple[str, ...], expected: str
) -> None:
    assert free_mx.verdict("cust.example", seen, declared) == expected


@pytest.mark.parametrize(
    ("verdicts", "expected"),
    [(("bad", "good"), "good"), (("bad", "bad"), "bad"), (("bad", "unknown"), "unknown"), ((), "unknown")],
)
def test_t_tx_4_4_4_a_tenant_is_bad_only_when_all_its_domains_are(verdicts: tuple[str, ...], expected: str) -> None:
    assert free_mx.of_domains(verdicts) == expected


def test_t_tx_4_4_4_the_end_is_kept_like_any_other_and_can_be_taken_back() -> None:
    history = tenant(ended(OVER))
    life = service_at(history, None, TX, OVER + 29 * DAY)
    assert (life.state, life.because) == (Service.ENDED, "mx")
    assert service_at(history, None, TX, OVER + 32 * DAY).state is Service.DELETION_ELIGIBLE
    back = tenant(ended(OVER), r.ServiceResumed(at=OVER + DAY, tenant_id=T, by="mei", reason="MX is right"))
    assert service_at(back, None, TX, OVER + 32 * DAY).state is Service.ACTIVE
    assert service_at(history, None, TX, OVER).is_over


# --- TX-8.2 -----------------------------------------------------------------------------------------------------------


def test_t_tx_8_2_7_the_agreement_may_end_fifteen_natural_days_after_the_notice() -> None:
    assert clocks.law_change_end(at("2026-06-30T23:00:00+08:00"), TX) == at("2026-07-16T00:00:00+08:00")
    assert clocks.law_change_end(at("2026-07-01T00:00:00+08:00"), TX) == at("2026-07-17T00:00:00+08:00")
    assert clocks.law_change_end(OVER, AL) is None
    history = tenant(ended(OVER, "law_change", OVER + 15 * DAY))
    assert service_at(history, None, TX, OVER + 14 * DAY).state is Service.ACTIVE
    assert service_at(history, None, TX, OVER + 15 * DAY).state is Service.ENDED


@pytest.mark.parametrize("because", ["refused_terms", "insolvency", "other"])
def test_t_tx_8_2_1_8_2_3_8_2_5_other_ends_are_a_persons_act_with_a_reason(because: str) -> None:
    life = service_at(tenant(ended(OVER, because)), date(2027, 1, 1), TX, OVER)
    assert (life.state, life.because) == (Service.ENDED, because)


def test_t_tx_8_2_8_thirty_days_of_notice_before_mail_ends() -> None:
    assert clocks.shutdown_end(at("2026-06-30T10:00:00+08:00"), TX) == at("2026-07-31T00:00:00+08:00")
    order = r.SiteDecommissioned(
        at=OVER, proposal_id="q_1", closes_at=OVER + 31 * DAY, erased_by=OVER + 90 * DAY, by="mei", approver="bo"
    )
    assert closes_at(fold("site", [order])) == OVER + 31 * DAY
    assert closes_at(fold("site", [order, replace(order, is_off=True)])) is None
    assert closes_at(None) is None


def test_t_tx_8_2_4_a_fingerprint_is_kept_for_three_years() -> None:
    assert clocks.registration_kept_until(at("2028-02-29T10:00:00+08:00"), TX) == at("2031-03-01T00:00:00+08:00")


def test_finding_14_after_a_termination_data_is_kept_for_thirty_days_and_until_no_appeal_is_possible() -> None:
    start = at("2026-06-30T10:00:00+08:00")
    assert clocks.termination_keep_until(start, None, TX) == at("2026-07-31T00:00:00+08:00")
    assert clocks.termination_keep_until(start, start + 200 * DAY, TX) == start + 200 * DAY
    assert clocks.termination_keep_until(start, start + DAY, TX) == at("2026-07-31T00:00:00+08:00")


def terminated(*more: r.Record) -> History:
    """An account that two people terminated, told of it on two channels, with nothing in the way."""
    opened = incident(noticed_at=None, expires_at=None).opened
    rows = [
        opened,
        sanction(Rung.TERMINATE, None, is_automatic=False, by="mei", starts_at=OVER + 8 * DAY),
        *(replace(told(OVER, notice_id=f"m_{n}"), template="termination_proposed", channel=name, incident_ids=("i_1",))
          for n, name in enumerate(("account", "tenant"))),
        replace(told(OVER, notice_id="m_9"), template="suspension", incident_ids=("i_1",)),
        *more,
    ]
    return fold(A, rows)


def test_finding_14_a_terminated_account_is_kept_until_its_appeal_is_closed() -> None:
    history = terminated()
    assert standing_at(history, TX, OVER + 20 * DAY).conduct is Conduct.TERMINATED
    # 30 days after it took effect it can still be appealed, for 180 days from the notice.
    assert deletion.run_out(history, TX, OVER + 60 * DAY) is None
    assert deletion.run_out(history, TX, OVER + 181 * DAY - timedelta(seconds=1)) is None
    kept = deletion.run_out(history, TX, OVER + 181 * DAY)
    assert kept == deletion.Kept(clock="termination.kept", due_at=OVER + 181 * DAY)
    # It is conduct, and the service itself is not over.
    assert standing_at(history, TX, OVER + 181 * DAY).lifecycle.state is Service.ACTIVE


def test_finding_14_a_termination_that_nobody_was_told_of_or_that_was_undone_deletes_nothing() -> None:
    untold = fold(A, [sanction(Rung.TERMINATE, None)])
    assert deletion.run_out(untold, TX, OVER + 900 * DAY) is None
    lifted = terminated(
        r.SanctionLifted(at=OVER + 20 * DAY, sanction_id="s_1", incident_id="i_1", by="mei", reason="-")
    )
    assert deletion.run_out(lifted, TX, OVER + 900 * DAY) is None
    back = terminated(
        r.AccountReinstated(at=OVER + 20 * DAY, account_id=A, sanction_id="s_1", proposal_id="q_1", by="mei")
    )
    assert deletion.run_out(back, TX, OVER + 900 * DAY) is None


def test_t_tx_4_3_1_cooling_off_is_seven_natural_days() -> None:
    assert termination.cooling_off(TX, at("2026-06-03T10:00:00+08:00")) == at("2026-06-11T00:00:00+08:00")


# --- AL-7.1 and the desk ----------------------------------------------------------------------------------------------


def test_t_al_7_1_no_suspension_within_24_hours_of_the_written_notice() -> None:
    assert clocks.suspension_from(OVER, AL) == OVER + timedelta(hours=24)


def test_t_al_7_1_a_cure_is_answered_in_three_natural_days_and_no_holiday_gives_us_more() -> None:
    closed = AL.model_copy(update={"holidays": HolidaysSection.model_validate(["2026-07-03"])})
    for terms in (AL, closed):
        assert clocks.cure_answer_until(at("2026-06-30T10:00:00+08:00"), terms) == at("2026-07-04T00:00:00+08:00")


def test_a_review_is_due_in_a_day() -> None:
    assert clocks.review_until(OVER, TX) == OVER + DAY


def incident(*, noticed_at: datetime | None, expires_at: datetime | None) -> IncidentFile:
    opened = r.IncidentOpened(
        at=OVER,
        incident_id="i_1",
        account_id=A,
        tenant_id=T,
        family="spam",
        evidence_key="e",
        is_after_notice=False,
        is_first=True,
    )
    strike = r.StrikeIssued(
        at=OVER,
        strike_id="k_1",
        incident_id="i_1",
        decision_id="d_1",
        category="spam.outbound",
        severity=1,
        a_half_points=2,
        b_half_points=0,
        provisional_until=None,
        provisional_cap=0,
        expires_at=expires_at or OVER,
    )
    notices = (noticed_at,) if noticed_at is not None else ()
    return IncidentFile(opened=opened, strike=strike if expires_at is not None else None, notices=notices)


@pytest.mark.parametrize(
    ("rung", "expires_days", "days"),
    [(Rung.WARN, 20, 31), (Rung.WARN, 90, 90), (Rung.RESTRICT, 90, 181), (Rung.SUSPEND, 365, 365)],
)
def test_an_appeal_is_open_while_the_strike_counts_and_for_180_or_30_days_at_least(
    rung: Rung, expires_days: int, days: int
) -> None:
    # Noticed at midnight: that day is not counted, so that the term ends a day later.
    case = incident(noticed_at=OVER, expires_at=OVER + expires_days * DAY)
    assert clocks.appeal_until(case, rung, TX) == OVER + days * DAY


def test_t_tx_6_2_the_window_runs_from_the_later_of_notice_and_first_refusal_and_never_before() -> None:
    case = incident(noticed_at=OVER, expires_at=None)
    assert clocks.appeal_until(replace(case, shown_at=OVER + 10 * DAY), Rung.WARN, TX) == OVER + 41 * DAY
    assert clocks.appeal_until(incident(noticed_at=None, expires_at=None), Rung.WARN, TX) is None


# --- AL-2.1, AL-6.3, TX-5.2: held mail, complaints, maintenance -------------------------------------------------------


def window(since_h: float, until_h: float) -> Window:
    start = OVER + timedelta(hours=since_h)
    return Window(
        window_id="mw_1",
        since=start,
        until=OVER + timedelta(hours=until_h),
        announced_at=start - DAY,
        is_emergency=False,
        by="mei",
    )


@pytest.mark.parametrize(
    ("closed", "hours"),
    [
        ((), 2),
        # One hour of it falls into the two.
        ((window(1, 2),), 3),
        # It began before and goes on.
        ((window(-3, 5),), 7),
        # Two that overlap count once.
        ((window(1, 3), window(2, 4)), 5),
        # Afterwards.
        ((window(2, 9),), 2),
        # Over already.
        ((window(-5, -1),), 2),
    ],
)
def test_t_al_2_1_trouble_with_mail_is_solved_in_two_hours_that_maintenance_pauses(
    closed: tuple[Window, ...], hours: float
) -> None:
    assert clocks.complaint_until(OVER, AL, closed) == OVER + timedelta(hours=hours)
    assert clocks.hold_decision_until(OVER, AL, closed) == OVER + timedelta(hours=hours)


def test_t_al_2_1_for_our_own_hold_the_time_runs_from_the_hold_and_not_from_the_complaint() -> None:
    assert clocks.complaint_until(OVER, AL, held_at=OVER - timedelta(hours=1)) == OVER + timedelta(hours=1)


def test_a_held_mail_goes_back_after_a_day_and_maintenance_delays_no_return() -> None:
    assert clocks.hold_returned_at(OVER, AL) == OVER + DAY


def test_inbound_mail_is_held_for_thirty_days_and_told_of_three_days_before() -> None:
    held = at("2026-06-01T10:00:00+08:00")
    assert clocks.inbound_hold_until(held, TX) == at("2026-07-02T00:00:00+08:00")
    assert clocks.inbound_last_digest_at(held, TX) == at("2026-06-28T00:00:00+08:00")


def test_a_sealed_hit_is_kept_for_thirty_days_to_the_minute() -> None:
    held = at("2026-06-01T10:00:00+08:00")
    assert clocks.locked_hit_kept_until(held, TX) == at("2026-07-01T10:00:00+08:00")


@pytest.mark.parametrize(("said", "kept"), [(1, 1), (29, 29), (30, 30), (31, 30), (90, 30)])
def test_a_file_that_says_more_loads_and_a_sealed_hit_is_kept_for_thirty_days(said: int, kept: int) -> None:
    assert TX.lifecycle is not None
    lifecycle = LifecycleSection.model_validate({**TX.lifecycle.model_dump(), "locked_hit_days": said})
    longer = TX.model_copy(update={"lifecycle": lifecycle})
    assert clocks.locked_hit_kept_until(OVER, longer) == OVER + kept * DAY


@given(
    hours=st.floats(min_value=0.5, max_value=48),
    spans=st.lists(st.tuples(st.floats(-30, 60), st.floats(0.1, 20)), max_size=5),
)
def test_working_time_is_what_lies_outside_of_all_windows(hours: float, spans: list[tuple[float, float]]) -> None:
    closed = [window(since, since + length) for since, length in spans]
    end = working_end(OVER, timedelta(hours=hours), closed)
    steps = 300
    step = (end - OVER) / steps
    outside = sum(not any(w.covers(OVER + n * step) for w in closed) for n in range(steps)) * step
    assert abs(outside - timedelta(hours=hours)) < step * 12
    assert end >= OVER + timedelta(hours=hours)


def announced(since: datetime, until: datetime) -> r.MaintenanceAnnounced:
    return r.MaintenanceAnnounced(
        at=since - DAY,
        window_id="mw_1",
        since=since,
        until=until,
        announced_at=since - DAY,
        is_emergency=False,
        by="mei",
    )


def test_t_al_6_3_a_window_ends_when_somebody_ends_it_and_one_called_off_is_none() -> None:
    row = announced(OVER, OVER + DAY)
    site = fold("site", [row])
    assert window_at(site, OVER) is not None
    assert window_at(site, OVER + DAY) is None
    early = fold("site", [row, r.MaintenanceEnded(at=OVER + timedelta(hours=1), window_id="mw_1", by="mei")])
    assert window_at(early, OVER + timedelta(hours=1)) is None
    assert window_at(early, OVER) is not None
    off = fold("site", [row, r.MaintenanceEnded(at=OVER - DAY, window_id="mw_1", by="mei")])
    assert windows(off) == ()


# --- deletion: two readings, frozen or not ----------------------------------------------------------------------------

FREE = Freeze(appeals=(), holds=())


def read(history: History, when: datetime, freeze: Freeze = FREE) -> tuple[tuple[str, ...], History]:
    """One look of the job: what strikes, and the history with the reading, if one was taken."""
    struck, reading = of_deletion(history, LAST, freeze, TX, when)
    rows: list[r.Record] = [
        r.ClockStruck(at=when, clock=x.clock, subject_id=T, object_id=x.object_id, due_at=x.due_at) for x in struck
    ]
    for row in (*rows, *([reading] if reading is not None else [])):
        history = fold_on(history, row)
    return tuple(x.clock for x in struck), history


def fold_on(history: History, row: r.Record) -> History:
    from filterd.agreement.fold import apply

    return apply(history, row)


def why_not(history: History, when: datetime, freeze: Freeze = FREE) -> str | None:
    kept = deletion.run_out(history, TX, when, Surroundings(expires_on=LAST))
    return deletion.why_not(history, kept, freeze, TX)


def test_case_5_4_12_nothing_is_deleted_before_two_readings_a_day_apart() -> None:
    due = OVER + 30 * DAY
    assert why_not(tenant(), due - timedelta(seconds=1)) == "not_due"
    assert read(tenant(), due - timedelta(seconds=1)) == ((), tenant())
    struck, history = read(tenant(), due)
    assert struck == ("deletion.imminent",)
    assert why_not(history, due) == "one_reading"
    # The job looks every minute; the second reading waits for its day.
    struck, same = read(history, due + timedelta(hours=23))
    assert (struck, same) == ((), history)
    struck, history = read(history, due + DAY)
    assert struck == ("deletion.eligible",)
    assert why_not(history, due + DAY) is None
    assert read(history, due + 9 * DAY) == ((), history)


def test_case_5_4_12_a_renewal_makes_the_readings_worthless() -> None:
    due = OVER + 30 * DAY
    history = read(read(tenant(), due)[1], due + DAY)[1]
    assert why_not(history, due + DAY) is None
    kept = deletion.run_out(history, TX, due + DAY, Surroundings(expires_on=date(2027, 6, 30)))
    assert deletion.why_not(history, kept, FREE, TX) == "not_due"
    much_later = OVER + 500 * DAY
    kept = deletion.run_out(history, TX, much_later, Surroundings(expires_on=date(2027, 6, 30)))
    assert deletion.why_not(history, kept, FREE, TX) == "one_reading"


def test_case_5_7_16_a_legal_hold_or_an_open_appeal_freezes_deletion_and_is_said_once() -> None:
    due = OVER + 30 * DAY
    held = r.EvidenceHeld(at=OVER, hold_id="l_1", account_id=A, case="c", by="mei", reason="-")
    freeze = frozen([held])
    struck, history = read(tenant(held), due, freeze)
    assert struck == ("deletion.held",)
    assert read(history, due + DAY, freeze)[0] == ()
    assert why_not(history, due + DAY, freeze) == "legal_hold"
    assert why_not(history, due + DAY, Freeze(appeals=("p_1",), holds=())) == "appeal"
    # It freezes deletion and nothing else.
    life = service_at(tenant(held), LAST, TX, due)
    assert (life.state, life.is_held) == (Service.DELETION_ELIGIBLE, True)


def test_case_5_7_16_readings_of_a_clock_that_jumped_back_are_not_a_day_apart() -> None:
    due = OVER + 30 * DAY
    first = read(tenant(), due + 2 * DAY)[1]
    struck, history = read(first, due + DAY)
    assert (struck, history) == ((), first)


def test_who_was_purged_is_deleted_whatever_the_dates_say() -> None:
    gone = r.SubjectPurged(
        at=OVER,
        subject_id=T,
        clock="service.over",
        proposal_id="q_1",
        by="mei",
        approver="bo",
        evidence=3,
        held_mails=0,
    )
    assert service_at(tenant(gone), date(2030, 1, 1), TX, OVER + DAY).state is Service.DELETED
    assert deletion.run_out(tenant(gone), TX, OVER + 90 * DAY, Surroundings(expires_on=LAST)) is None


# --- what time brings to conduct --------------------------------------------------------------------------------------


def sanction(rung: Rung = Rung.SUSPEND, hours: float | None = 168, **changes: Any) -> r.SanctionImposed:
    row = r.SanctionImposed(
        at=OVER,
        sanction_id="s_1",
        incident_id="i_1",
        decision_id="d_1",
        account_id=A,
        rung=rung,
        step=3,
        features=(Feature(name="bulk"),),
        category="spam.outbound",
        clauses=("4.3.1",),
        starts_at=OVER,
        ends_at=OVER + timedelta(hours=hours) if hours is not None else None,
        lapses_at=None,
        step_down_features=(Feature(name="bulk"),),
        is_automatic=True,
        by="system",
        warranted=rung,
    )
    return replace(row, **changes)


def strikes(when: datetime, *records: r.Record, since: datetime = OVER) -> list[str]:
    return [x.clock for x in of_account(fold(A, records), TX, when, since=since)]


CONFIRMED = r.SanctionConfirmed(at=OVER, sanction_id="s_1", incident_id="i_1", by="mei", reason="-")


def test_case_5_4_05_the_end_of_a_sanction_strikes_once_when_it_is_over() -> None:
    rows = (sanction(), CONFIRMED)
    assert strikes(OVER + 7 * DAY - timedelta(seconds=1), *rows) == []
    found = of_account(fold(A, rows), TX, OVER + 7 * DAY, since=OVER)
    assert [(x.clock, x.event) for x in found] == [("sanction.expired", "sanction_expired")]
    assert found[0].facts["probation_until"] == OVER + 37 * DAY
    struck = r.ClockStruck(
        at=OVER + 7 * DAY,
        clock="sanction.expired",
        subject_id=A,
        object_id=found[0].object_id,
        due_at=OVER + 7 * DAY,
    )
    assert strikes(OVER + 90 * DAY, *rows, struck) == []
    # Late by three days, it still strikes; before clocks were kept, it does not.
    assert strikes(OVER + 10 * DAY, *rows) == ["sanction.expired"]
    assert strikes(OVER + 10 * DAY, *rows, since=OVER + 8 * DAY) == []


def test_case_5_4_05_an_attended_sanction_lapses() -> None:
    assert strikes(OVER + 3 * DAY, sanction(lapses_at=OVER + 3 * DAY))[-1] == "sanction.lapsed"
    assert strikes(OVER + 3 * DAY, sanction(lapses_at=OVER + 3 * DAY), CONFIRMED) == []


def test_case_5_4_05_an_unanswered_objection_steps_down_and_the_rest_of_it_expires() -> None:
    filed = r.ObjectionFiled(
        at=OVER + DAY, appeal_id="p_1", sanction_id="s_1", incident_id="i_1", account_id=A, channel="mail"
    )
    rows = (sanction(), filed)
    found = [x for x in of_account(fold(A, rows), TX, OVER + 2 * DAY, since=OVER) if x.event]
    assert [(x.clock, x.facts["from_rung"], x.facts["to_rung"]) for x in found] == [
        ("sanction.stepped_down", "suspend", "restrict")
    ]
    assert found[0].facts["features"] == ("bulk",)
    later = [x.clock for x in of_account(fold(A, rows), TX, OVER + 8 * DAY, since=OVER) if x.event]
    assert later == ["sanction.stepped_down", "sanction.expired"]


def test_what_people_ended_is_not_told_by_the_clock() -> None:
    lifted = r.SanctionLifted(at=OVER + DAY, sanction_id="s_1", incident_id="i_1", by="mei", reason="-")
    assert strikes(OVER + 30 * DAY, sanction(), CONFIRMED, lifted) == []


def test_a_review_is_overdue_after_a_day_while_nobody_confirmed_and_maintenance_gives_time() -> None:
    assert strikes(OVER + DAY - timedelta(seconds=1), sanction()) == []
    assert strikes(OVER + DAY, sanction()) == ["review.overdue"]
    assert strikes(OVER + DAY, sanction(), CONFIRMED) == []
    assert strikes(OVER + DAY, sanction(is_automatic=False, by="mei")) == []
    pause = (window(1, 5),)
    history = fold(A, [sanction()])
    assert of_account(history, TX, OVER + timedelta(hours=27), since=OVER, windows=pause) == ()
    assert of_account(history, TX, OVER + timedelta(hours=28), since=OVER, windows=pause) != ()


def test_an_open_ended_suspension_is_looked_at_again_every_thirty_days() -> None:
    rows = (sanction(hours=None), CONFIRMED)
    assert strikes(OVER + 30 * DAY, *rows) == []
    found = of_account(fold(A, rows), TX, OVER + 31 * DAY, since=OVER)
    assert [(x.clock, x.task.what if x.task else None) for x in found] == [("suspension.relook", RELOOK)]
    struck = r.ClockStruck(
        at=OVER, clock="suspension.relook", subject_id=A, object_id=found[0].object_id, due_at=OVER
    )
    assert strikes(OVER + 40 * DAY, *rows, struck) == []
    assert strikes(OVER + 61 * DAY, *rows, struck) == ["suspension.relook"]


def hold(ends_at: datetime | None) -> r.HoldPlaced:
    return r.HoldPlaced(
        at=OVER,
        hold_id="h_1",
        incident_id="i_1",
        account_id=A,
        features=(Feature(name="sending"),),
        starts_at=OVER,
        ends_at=ends_at,
    )


def test_case_5_7_14_an_open_hold_is_told_of_again_weekly_and_its_end_once() -> None:
    assert strikes(OVER + 6 * DAY, hold(None)) == []
    assert strikes(OVER + 7 * DAY, hold(None)) == ["hold.reminder"]
    # After three weeks of a job that did not run, one letter and not three.
    assert strikes(OVER + 22 * DAY, hold(None)) == ["hold.reminder"]
    assert strikes(OVER + DAY, hold(OVER + DAY)) == ["hold.ended"]
    released = r.HoldReleased(at=OVER + timedelta(hours=1), hold_id="h_1", by="mei", reason="-")
    assert strikes(OVER + 30 * DAY, hold(OVER + DAY), released) == []
    assert strikes(OVER + 30 * DAY, hold(None), released) == []


def test_a_step_against_a_tenant_ends_and_a_lock_that_nobody_confirmed_opens() -> None:
    step = r.TenantStepTaken(
        at=OVER,
        step_id="ts_1",
        decision_id="d_1",
        tenant_id=T,
        step="quota",
        quota=200,
        starts_at=OVER,
        ends_at=OVER + 3 * DAY,
        score_milli=5000,
        incident_ids=(),
        clauses=("3.6",),
        is_automatic=True,
        by="system",
    )
    lock = r.TenantLocked(
        at=OVER, lock_id="tl_1", tenant_id=T, until=OVER + timedelta(hours=4), by="mei", reason="-"
    )
    history = tenant(step, lock)
    assert [x.clock for x in of_tenant_steps(history, TX, OVER + 3 * DAY, since=OVER)] == [
        "tenant_lock.opened",
        "tenant_step.ended",
    ]
    undone = tenant(
        step,
        lock,
        r.TenantStepEnded(at=OVER + DAY, step_id="ts_1", tenant_id=T, because="lifted", by="mei", reason="-"),
        r.TenantLockConfirmed(at=OVER, lock_id="tl_1", tenant_id=T, by="bo", until=None),
    )
    assert of_tenant_steps(undone, TX, OVER + 9 * DAY, since=OVER) == ()


# --- whenever the job runs --------------------------------------------------------------------------------------------


@given(
    hours=st.lists(st.integers(min_value=1, max_value=240), min_size=1, max_size=12),
    name=st.sampled_from(["AL", "TX"]),
)
def test_prop_natural_days_a_job_that_runs_whenever_leaves_out_nothing_and_doubles_nothing(
    hours: list[int], name: str
) -> None:
    """Runs at any hours, with gaps of up to ten days, say the same as one run a minute, no earlier than it is due."""
    terms = {"AL": AL, "TX": TX}[name]
    history, when, struck = tenant(), OVER - 10 * DAY, []
    for step in (*hours, 24 * 60):
        when += timedelta(hours=step)
        for item in of_service(history, LAST, terms, when):
            assert item.due_at <= when
            struck.append(item.clock)
            row = r.ClockStruck(
                at=when, clock=item.clock, subject_id=T, object_id=item.object_id, due_at=item.due_at
            )
            history = fold_on(history, row)
    over = "service.stopped" if name == "AL" else "service.ended"
    was_asked_in_time = any(
        # From the beginning of the day a week before the last one.
        OVER - 8 * DAY <= OVER - 10 * DAY + timedelta(hours=sum(hours[:n])) < OVER for n in range(1, len(hours) + 1)
    )
    # Afterwards a courtesy is of no use; a notice that is owed is.
    expected = ["renewal.due", over] if name == "AL" or was_asked_in_time else [over]
    assert sorted(struck) == sorted(expected)


@given(days=st.integers(min_value=-400, max_value=400), has_ended=st.booleans())
def test_the_contract_never_touches_conduct_or_security(days: int, has_ended: bool) -> None:
    history = fold(A, [sanction(), hold(None)])
    rows = [ended(OVER - DAY)] if has_ended else []
    around = Surroundings(tenant=tenant(*rows), tenant_expires_on=LAST + days * DAY)
    plain, bound = standing_at(history, TX, OVER + DAY), standing_at(history, TX, OVER + DAY, around)
    assert replace(bound, lifecycle=plain.lifecycle) == plain


# --- the files --------------------------------------------------------------------------------------------------------


def test_a_supplement_has_the_clocks_of_the_agreement_it_supplements() -> None:
    assert agreement("aliyun-supplement").lifecycle == AL.lifecycle


def test_the_table_of_clocks_has_each_once_with_its_clause() -> None:
    assert len({c.name for c in CLOCKS}) == len(CLOCKS)
    assert all(c.clause and c.start and c.length and c.end for c in CLOCKS)


@pytest.mark.parametrize(
    ("change", "wrong"),
    [
        ({"owes_renewal_notice": True}, "keep_after_notice_days"),
        ({"mx_bad_days": None}, "free_plans need mx_bad_days"),
        ({"inbound_digest_days": 30}, "inbound_digest_days"),
        ({"reading_hours": 1}, "reading_hours"),
        ({"termination_keep_days": 7}, "termination_keep_days"),
    ],
)
def test_a_table_that_promises_less_than_the_rules_is_refused(change: dict[str, Any], wrong: str) -> None:
    assert TX.lifecycle is not None
    given_ = TX.lifecycle.model_dump() | change
    with pytest.raises(ValueError, match=wrong):
        type(TX.lifecycle).model_validate(given_)


def test_the_calendar_of_an_agreement_is_its_zone_and_its_holidays() -> None:
    assert TX.calendar == Calendar(zone="Asia/Shanghai")


def test_an_agreement_without_clocks_leaves_a_decision_open_while_its_strike_counts() -> None:
    bare = TX.model_copy(update={"lifecycle": None})
    struck = incident(noticed_at=OVER, expires_at=OVER + 90 * DAY)
    assert struck.strike is not None
    assert clocks.appeal_until(struck, Rung.SUSPEND, bare) == struck.strike.expires_at
    assert clocks.appeal_until(replace(struck, strike=None), Rung.SUSPEND, bare) is None
