"""The state of a service to the second, and which notice proves what.  CLAUSES §6, STANDING 5.1; AL-2.2, TX-4.4."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, datetime, timedelta
from typing import Any

import pytest

from filterd.agreement.clocks import of
from filterd.agreement.deletion import Kept, is_confirmed, readings, wants_reading, why_not
from filterd.agreement.due_service import of_deletion, of_service
from filterd.agreement.lifecycle import (
    end_of_service,
    lifecycle_at,
    notice_received,
    renewal_id,
    renewal_notices,
    service_at,
)
from filterd.errors import UsageError
from filterd.model import records as r
from filterd.model.evidence import Freeze
from filterd.model.lifecycle import IN_SERVICE, Service
from filterd.model.standing import Surroundings
from tests.agreement.contract import shipped
from tests.agreement.mutants import shipped as agreement
from tests.agreement.rows import DAY, HOUR, SECOND, T0, history, notice

TX, AL = shipped(), agreement("aliyun-mail")
LAST = date(2026, 4, 10)
OVER = TX.calendar.end_of(LAST)
FREE = Freeze(appeals=(), holds=())


def struck(at: datetime, last: date = LAST, clock: str = "renewal.due") -> r.ClockStruck:
    return r.ClockStruck(at=at, clock=clock, subject_id="a_1", object_id=renewal_id(last), due_at=at)


def told(at: datetime, notice_id: str = "m_1", **changes: Any) -> r.NoticeSent:
    return notice(at, template="renewal_due", notice_id=notice_id, **changes)


def bounced(notice_id: str = "m_1", *, is_theirs: bool = False) -> r.NoticeBounced:
    return r.NoticeBounced(
        at=T0, notice_id=notice_id, account_id="a_1", audience="mail", status="5.1.1", is_theirs=is_theirs
    )


def ended(at: datetime, because: str = "mx", effective_at: datetime | None = None) -> r.ServiceEnded:
    return r.ServiceEnded(at=at, tenant_id="n_1", because=because, by="mei", reason="x", effective_at=effective_at)


def resumed(at: datetime) -> r.ServiceResumed:
    return r.ServiceResumed(at=at, tenant_id="n_1", by="mei", reason="x")


# --- which notice counts ----------------------------------------------------------------------------------------------


def test_t_al_2_2_a_notice_belongs_to_the_term_whose_clock_struck_before_it() -> None:
    first, second = date(2026, 4, 10), date(2027, 4, 10)
    rows = (
        told(T0 - SECOND, "m_0"),
        struck(T0, first),
        told(T0, "m_1"),
        told(T0 + 300 * DAY - SECOND, "m_2"),
        struck(T0 + 300 * DAY, second),
        told(T0 + 300 * DAY, "m_3"),
    )
    file = history(further=rows)
    assert [x.notice_id for x in renewal_notices(file, T0)] == ["m_1", "m_2"]
    assert [x.notice_id for x in renewal_notices(file, T0 + 300 * DAY)] == ["m_3"]
    assert (notice_received(file, first), notice_received(file, second)) == (T0, T0 + 300 * DAY)
    assert notice_received(file, date(2030, 1, 1)) is None
    assert notice_received(history(further=(told(T0),)), first) is None
    # Another clock with that name, and another letter, are none.
    assert notice_received(history(further=(struck(T0, clock="service.stopped"), told(T0))), first) is None
    assert notice_received(history(further=(struck(T0), notice(T0, template="warning"))), first) is None
    both = notice(T0, template="hold+renewal_due")
    assert notice_received(history(further=(struck(T0), both)), first) == T0


def test_t_tx_6_2_the_first_notice_that_can_be_proved_counts() -> None:
    rows = (struck(T0), told(T0, "m_1"), told(T0 + DAY, "m_2"))

    def received(*more: r.Record) -> datetime | None:
        return notice_received(history(further=(*rows, *more)), LAST)

    assert received() == T0
    assert received(bounced("m_1")) == T0 + DAY
    assert received(bounced("m_1"), bounced("m_2")) is None
    assert received(bounced("m_1", is_theirs=True)) == T0
    late = (struck(T0), told(T0, "m_1", deemed_at=T0 + 9 * DAY), told(T0 + DAY, "m_2"))
    assert notice_received(history(further=late), LAST) == T0 + DAY


def test_t_al_2_2_a_failed_notice_is_sent_again_a_day_after_the_last_one() -> None:
    at = AL.calendar.start_of(LAST)
    failed = [told(at - 5 * DAY, "m_1", deemed_at=None), told(at - 3 * DAY, "m_2", deemed_at=None)]
    rows: tuple[r.Record, ...] = (struck(at - 6 * DAY), *failed)

    def again(now: datetime, *more: r.Record) -> list[tuple[str, datetime]]:
        found = of_service(history(further=(*rows, *more)), LAST, AL, now)
        return [(x.object_id, x.due_at) for x in found if x.clock == "renewal.again"]

    due = at - 2 * DAY
    assert [again(due - SECOND), again(due)] == [[], [(f"{renewal_id(LAST)}/m_2", due)]]
    assert again(due, told(at - 3 * DAY, "m_3")) == []
    # Where nobody owes it, nothing is sent again.
    assert of_service(history(further=rows), LAST, TX, at) == ()


# --- when a service is over -------------------------------------------------------------------------------------------


def test_the_earlier_of_the_term_and_a_person_s_act_ends_it() -> None:
    def end(*rows: r.Record, last: date | None = LAST) -> tuple[datetime | None, str | None]:
        return end_of_service(history(further=rows), last, TX)

    assert end() == (OVER, "expiry")
    assert end(last=None) == (None, None)
    assert end(ended(T0)) == (T0, "mx")
    assert end(ended(OVER + DAY)) == (OVER, "expiry")
    assert end(ended(T0, effective_at=T0 + DAY)) == (T0 + DAY, "mx")
    # What has ended does not end again; a later act may bring the end forward.
    assert end(ended(T0), ended(T0 + DAY, "other")) == (T0, "mx")
    assert end(ended(T0, effective_at=T0 + 9 * DAY), ended(T0 + DAY, "other")) == (T0 + DAY, "other")
    assert end(ended(T0), resumed(T0 + DAY)) == (OVER, "expiry")
    assert end(ended(T0), resumed(T0 + DAY), ended(T0 + 2 * DAY, "other")) == (T0 + 2 * DAY, "other")


@pytest.mark.parametrize("terms", [TX, AL], ids=["tx", "al"])
def test_a_term_asks_for_its_renewal_ends_and_may_be_cleared(terms: Any) -> None:
    rules = of(terms)
    told_at = OVER - 8 * DAY
    rows = (struck(told_at), told(told_at)) if rules.owes_renewal_notice else ()
    asked = terms.calendar.start_of(LAST - timedelta(days=rules.renewal_notice_days or 0))
    kept = terms.calendar.term_end(LAST, rules.keep_days, moves=True)
    if rules.owes_renewal_notice:
        kept = max(kept, terms.calendar.term_end(told_at, rules.keep_after_notice_days or 0, moves=True))

    def state(at: datetime) -> tuple[Service, datetime | None]:
        life = service_at(history(further=rows), LAST, terms, at)
        assert (life.expires_on, life.over_at) == (LAST, OVER)
        return life.state, life.since

    over = Service(rules.at_expiry)
    assert state(asked - SECOND) == (Service.ACTIVE, None)
    assert state(asked) == state(OVER - SECOND) == (Service.RENEWAL_DUE, asked)
    assert state(OVER) == state(kept - SECOND) == (over, OVER)
    assert state(kept) == (Service.DELETION_ELIGIBLE, kept)
    life = service_at(history(further=rows), LAST, terms, OVER)
    assert (life.because, life.keep_until, life.is_over) == ("expiry", kept, True)


def test_whoever_is_ended_before_the_term_is_asked_for_no_renewal() -> None:
    over = AL.calendar.end_of(LAST)
    at = over - 3 * DAY
    assert service_at(history(), LAST, AL, at).state is Service.RENEWAL_DUE
    ends = history(further=(ended(T0, "mx", over - DAY),))
    found = service_at(ends, LAST, AL, at)
    assert (found.state, found.since, found.over_at) == (Service.ACTIVE, None, over - DAY)


def test_t_al_2_2_without_a_provable_notice_nothing_may_ever_be_cleared() -> None:
    life = service_at(history(), LAST, AL, OVER + 900 * DAY)
    assert (life.state, life.keep_until) == (Service.STOPPED, None)
    # After any other end no renewal notice was owed.
    life = service_at(history(further=(ended(T0),)), None, AL, T0 + 900 * DAY)
    assert (life.state, life.because) == (Service.DELETION_ELIGIBLE, "mx")
    assert service_at(history(further=(ended(T0),)), None, AL, T0).state is Service.ENDED
    before = service_at(history(further=(ended(T0),)), None, AL, T0 - SECOND)
    assert (before.state, before.since, before.because) == (Service.ACTIVE, None, None)


def test_who_has_no_term_and_no_record_is_in_service() -> None:
    assert service_at(history(), None, TX, T0) == IN_SERVICE
    assert service_at(history(further=(resumed(T0),)), None, TX, T0) == IN_SERVICE
    assert service_at(history(further=(ended(T0),)), LAST, TX.model_copy(update={"lifecycle": None}), T0) == IN_SERVICE
    with pytest.raises(UsageError, match=r"has no \[lifecycle\]"):
        of(TX.model_copy(update={"lifecycle": None}))


HELD = r.EvidenceHeld(at=T0, hold_id="eh_1", account_id="a_1", case="K-1", by="ann", reason="x")


def test_a_legal_hold_is_said_whatever_the_state_and_freezes_deletion_only() -> None:
    for last, at in ((None, T0), (LAST, T0), (LAST, OVER), (LAST, OVER + 90 * DAY)):
        assert service_at(history(further=(HELD,)), last, TX, at).is_held
        assert not service_at(history(), last, TX, at).is_held
    plain = service_at(history(), LAST, TX, OVER)
    assert replace(service_at(history(further=(HELD,)), LAST, TX, OVER), is_held=False) == plain


def test_of_its_own_term_and_its_tenant_s_the_one_that_is_over_first_counts() -> None:
    tenant = replace(history(), account_id="n_1")

    def seen(at: datetime, own: date | None, its: date | None, **more: Any) -> tuple[Service, date | None]:
        around = Surroundings(**({"tenant": tenant, "expires_on": own, "tenant_expires_on": its} | more))
        life = lifecycle_at(history(), TX, at, around)
        return life.state, life.expires_on

    later = date(2026, 5, 10)
    assert seen(OVER, LAST, later) == seen(OVER, later, LAST) == (Service.ENDED, LAST)
    assert seen(OVER - SECOND, LAST, later) == seen(OVER - SECOND, later, LAST) == (Service.RENEWAL_DUE, LAST)
    assert seen(T0, None, LAST) == (Service.ACTIVE, LAST)
    assert seen(OVER, None, LAST, tenant=None) == (Service.ENDED, LAST)
    assert seen(OVER, LAST, None, tenant=None) == (Service.ENDED, LAST)
    # Both over: the one that was over first.
    assert seen(OVER + 90 * DAY, later, LAST) == seen(OVER + 90 * DAY, LAST, later)
    held = replace(tenant, further=(HELD,))
    around = Surroundings(tenant=held, expires_on=later, tenant_expires_on=LAST)
    assert lifecycle_at(history(), TX, OVER, around).is_held
    around = Surroundings(tenant=tenant, expires_on=later, tenant_expires_on=LAST)
    assert lifecycle_at(history(further=(HELD,)), TX, OVER, around).is_held
    assert not lifecycle_at(history(), TX, OVER, around).is_held


# --- readings ---------------------------------------------------------------------------------------------------------

KEPT = Kept(clock="service.over", due_at=OVER)


def read(at: datetime, clock: str = "service.over", due_at: datetime = OVER) -> r.DeletionRead:
    return r.DeletionRead(at=at, subject_id="a_1", clock=clock, due_at=due_at)


def test_case_5_4_12_two_readings_of_the_same_clock_a_day_apart_to_the_second() -> None:
    first = OVER + HOUR

    def state(at: datetime, *rows: r.Record) -> tuple[bool, bool]:
        file = history(further=rows)
        return wants_reading(file, KEPT, TX, at), is_confirmed(file, KEPT, TX)

    assert state(first) == (True, False)
    assert state(first + DAY - SECOND, read(first)) == (False, False)
    assert state(first + DAY, read(first)) == (True, False)
    assert state(first + 2 * DAY, read(first), read(first + DAY - SECOND)) == (True, False)
    assert state(first + 2 * DAY, read(first), read(first + DAY)) == (False, True)
    assert state(first + 2 * DAY, read(first + DAY), read(first)) == (False, True)
    # Of another clock, or of another end of it, they are none.
    assert state(first + DAY, read(first, "termination.kept")) == (True, False)
    assert state(first, read(first - 2 * DAY, due_at=OVER - DAY), read(first)) == (False, False)
    assert readings(history(further=(read(first + DAY), read(first))), KEPT) == (first, first + DAY)


def test_case_5_4_12_why_something_may_not_be_deleted_yet() -> None:
    twice = history(further=(read(OVER), read(OVER + DAY)))
    once = history(further=(read(OVER),))
    assert why_not(twice, None, FREE, TX) == "not_due"
    assert why_not(twice, KEPT, Freeze(appeals=("p_1",), holds=(HELD,)), TX) == "legal_hold"
    assert why_not(twice, KEPT, Freeze(appeals=("p_1",), holds=()), TX) == "appeal"
    assert why_not(once, KEPT, FREE, TX) == "one_reading"
    assert why_not(twice, KEPT, FREE, TX) is None


def test_case_5_4_12_what_strikes_before_a_deletion() -> None:
    end = TX.calendar.term_end(LAST, of(TX).keep_days, moves=True)

    def seen(at: datetime, *rows: r.Record, freeze: Freeze = FREE) -> tuple[list[str], bool]:
        found, reading = of_deletion(history(further=rows), LAST, freeze, TX, at)
        return [x.clock for x in found], reading is not None

    first = read(end, due_at=end)
    assert seen(end - SECOND) == ([], False)
    assert seen(end) == (["deletion.imminent"], True)
    assert seen(end + HOUR, first) == ([], False)
    assert seen(end + DAY, first) == (["deletion.eligible"], True)
    frozen = Freeze(appeals=(), holds=(HELD,))
    assert seen(end, freeze=frozen) == (["deletion.held"], False)
    (imminent,), reading = of_deletion(history(), LAST, FREE, TX, end)
    assert imminent.facts == {"because": "service.over", "delete_on": TX.calendar.day_of(end + DAY) + timedelta(days=1)}
    assert reading == read(end, due_at=end)
