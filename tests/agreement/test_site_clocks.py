"""What strikes for the site and for requests, and what acts only once two people let it.  STANDING 5.5; AL-2.1."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, datetime
from typing import Any

import pytest

from filterd.agreement.adopted import adopted_lists, as_adopted, unraised
from filterd.agreement.calendar import months_after, years_after
from filterd.agreement.due_site import of_site
from filterd.agreement.maintenance import Window
from filterd.agreement.requests import QUESTION, TROUBLE, answer_of, of_requests
from filterd.agreement.sale import term_of
from filterd.agreement.shutdown import closes_at, decommission
from filterd.agreement.terms import Agreement
from filterd.model import records as r
from filterd.model.decision import Disposition
from filterd.model.standing import History
from tests.agreement.contract import shipped
from tests.agreement.rows import DAY, HOUR, SECOND, T0, history

TERMS = shipped()


def ended(entry_id: str = "g_1") -> r.EntryEnded:
    return r.EntryEnded(at=T0 + DAY, entry_id=entry_id, by="ann", reason="x")


# --- the site ---------------------------------------------------------------------------------------------------------


def report(report_id: str = "rp_1") -> r.ReportOpened:
    return r.ReportOpened(
        at=T0, report_id=report_id, account_id=None, authority="x", ground="x", due_at=T0 + DAY, by="ann"
    )


def settled(report_id: str = "rp_1") -> r.ReportSettled:
    return r.ReportSettled(at=T0, report_id=report_id, account_id=None, outcome="not_required", by="ann", reason="x")


def strikes(*rows: r.Record, at: datetime = T0 + DAY) -> list[tuple[str, str, bool]]:
    return [(x.clock, x.object_id, x.is_alarm) for x in of_site(history(further=rows), at)]


def test_t_tx_4_3_2_a_report_that_nobody_settled_alarms_when_it_is_due() -> None:
    assert strikes(report()) == [("report.overdue", "rp_1", True)]
    assert strikes(report(), at=T0 + DAY - SECOND) == []
    assert strikes(report(), settled()) == []
    assert strikes(report(), report("rp_2"), settled()) == [("report.overdue", "rp_2", True)]


CLOSED = r.SiteDecommissioned(
    at=T0, proposal_id="pr_1", closes_at=T0 + DAY, erased_by=T0 + 2 * DAY, by="ann", approver="bo"
)


def test_t_tx_8_2_8_an_installation_closes_and_is_erased_and_may_be_taken_back() -> None:
    first = ("site.closed", f"pr_1@{(T0 + DAY).isoformat()}", False)
    second = ("site.erased", f"pr_1@{(T0 + 2 * DAY).isoformat()}", True)
    assert strikes(CLOSED, at=T0 + DAY - SECOND) == []
    assert strikes(CLOSED) == [first]
    assert strikes(CLOSED, at=T0 + 2 * DAY) == [first, second]
    off = replace(CLOSED, is_off=True)
    assert strikes(CLOSED, off, at=T0 + 9 * DAY) == []
    assert decommission(None) is None
    assert closes_at(history(further=(CLOSED,))) == T0 + DAY
    assert closes_at(history(further=(CLOSED, off))) is None
    # The newest row counts.
    again = replace(CLOSED, closes_at=T0 + 5 * DAY)
    assert closes_at(history(further=(CLOSED, off, again))) == T0 + 5 * DAY


def test_t_tx_4_1_4_a_change_begins_on_the_day_it_was_announced_for() -> None:
    change = r.ChangeAnnounced(
        at=T0, change_id="ch_1", what="price", tenant_id=None, effective_at=T0 + DAY, document="D-1", by="ann"
    )
    assert strikes(change, at=T0 + DAY - SECOND) == []
    assert strikes(change)[0] == ("change.effective", "ch_1", False)


# --- requests ---------------------------------------------------------------------------------------------------------


def window(since: float, until: float, announced_at: datetime = T0 - DAY) -> Window:
    return Window(
        window_id="w_1",
        since=T0 + since * HOUR,
        until=T0 + until * HOUR,
        announced_at=announced_at,
        is_emergency=False,
        by="mei",
    )


def with_hours(**hours: int | None) -> Agreement:
    assert TERMS.lifecycle is not None
    return TERMS.model_copy(update={"lifecycle": TERMS.lifecycle.model_copy(update=hours)})


def test_t_al_2_1_a_request_is_answered_in_its_hours_and_the_desk_told_at_three_quarters() -> None:
    terms = with_hours(complaint_hours=2, question_hours=8)

    def hours(kind: str, *pauses: Window, **more: Any) -> tuple[float, float]:
        found = answer_of(kind, T0, terms, pauses, **more)
        return (found.alert_at - T0) / HOUR, (found.due_at - T0) / HOUR

    assert hours(TROUBLE) == (1.5, 2)
    assert hours(QUESTION) == (6, 8)
    assert hours(TROUBLE, window(0, 3)) == (4.5, 5)
    assert hours(TROUBLE, window(1.6, 3)) == (1.5, 3.4)
    # For our own hold the time runs from the hold, and a later one gives no more.
    assert hours(TROUBLE, held_at=T0 - HOUR) == (0.5, 1)
    assert hours(TROUBLE, held_at=T0 + HOUR) == (1.5, 2)
    # Where nobody promised hours for a question it has those of any task.
    plain = answer_of(QUESTION, T0, with_hours(question_hours=None))
    assert plain.due_at == T0 + DAY


def request(alert_at: datetime | None = T0 + 6 * HOUR) -> r.TaskOpened:
    return r.TaskOpened(
        at=T0,
        task_id="w_1",
        incident_id="",
        account_id="",
        what="question",
        warranted="none",
        imposed="none",
        due_at=T0 + 8 * HOUR,
        alert_at=alert_at,
    )


def closed(outcome: str, task_id: str = "w_1") -> r.TaskClosed:
    return r.TaskClosed(at=T0, task_id=task_id, by="mei", outcome=outcome, reason="x")


def test_t_al_2_1_a_request_strikes_twice_until_somebody_answers_it() -> None:
    def struck(*rows: r.Record, pauses: tuple[Window, ...] = ()) -> list[tuple[str, float]]:
        found = of_requests(History(account_id="n_1", further=rows), pauses)
        return [(x.clock, (x.due_at - T0) / HOUR) for x in found]

    both = [("request.three_quarters", 6.0), ("request.overdue", 8.0)]
    assert struck(request()) == both
    assert struck(request(), closed("done")) == []
    assert struck(request(), closed("handed_back")) == both
    assert struck(request(), closed("done", "w_2")) == both
    # Any other task has no clock here, and hides none.
    assert struck(replace(request(None), task_id="w_0"), request()) == both
    # What was announced before it came is in its instants already, what came since stops the rest.
    assert struck(request(), pauses=(window(1, 3, T0),)) == both
    later = window(7, 9, T0 + SECOND)
    assert struck(request(), pauses=(later,)) == [("request.three_quarters", 6.0), ("request.overdue", 10.0)]


# --- what two people let ----------------------------------------------------------------------------------------------


def adopted(digest: str, entry_id: str = "g_1", list_id: str = "l_1") -> r.TermListAdopted:
    return r.TermListAdopted(
        at=T0,
        entry_id=entry_id,
        list_id=list_id,
        digest=digest,
        label="x",
        until=T0 + 90 * DAY,
        by="ann",
        approver="bo",
    )


def test_case_5_5_the_last_content_of_a_list_that_two_people_approved_counts() -> None:
    def lists(*rows: r.Record) -> dict[str, str]:
        return dict(adopted_lists(history(further=rows)))

    assert dict(adopted_lists(None)) == {}
    assert lists(adopted("aa")) == {"l_1": "aa"}
    assert lists(adopted("aa"), adopted("bb", "g_2")) == {"l_1": "bb"}
    assert lists(adopted("aa"), adopted("bb", "g_2", "l_2")) == {"l_1": "aa", "l_2": "bb"}
    # Whose last content was taken back is off; the one before it does not come back by itself.
    assert lists(adopted("aa"), adopted("bb", "g_2"), ended("g_2")) == {}
    assert lists(adopted("aa"), adopted("bb", "g_2"), ended("g_1")) == {"l_1": "bb"}


def let(category: str = "abuse.insult", digest: str = "t_1") -> r.CategoryRaised:
    return r.CategoryRaised(
        at=T0,
        entry_id="g_1",
        agreement="tencent-exmail",
        policy_digest=digest,
        category=category,
        by="ann",
        approver="bo",
    )


def with_raised(*names: str) -> Agreement:
    update: dict[str, Any] = {"raised": True, "disposition": Disposition.QUARANTINE}
    categories = tuple(x.model_copy(update=update) if x.id in names else x for x in TERMS.category)
    return TERMS.model_copy(update={"category": categories, "digest": "t_1"})


RAISED = with_raised("abuse.insult")


@pytest.mark.parametrize(
    ("rows", "at", "names"),
    [
        ((), T0, ("abuse.insult",)),
        ((let(),), T0, ()),
        ((let(),), T0 - SECOND, ("abuse.insult",)),
        ((let("abuse.harass"),), T0, ("abuse.insult",)),
        ((let(digest="t_0"),), T0, ("abuse.insult",)),
        ((let(), ended()), T0 + DAY, ("abuse.insult",)),
        ((let(), ended("g_2")), T0 + DAY, ()),
    ],
    ids=["nobody", "two people", "before", "another", "another text", "ended", "another ended"],
)
def test_prop_c2_ceiling_a_category_is_raised_only_where_two_people_let_this_very_text(
    rows: tuple[r.Record, ...], at: datetime, names: tuple[str, ...]
) -> None:
    site = history(further=rows)
    assert unraised(RAISED, site, at) == names
    terms = as_adopted(RAISED, site, at)
    found = terms.category_of("abuse.insult")
    assert (found.raised, found.disposition) == (
        (False, Disposition.ACCEPT) if names else (True, Disposition.QUARANTINE)
    )
    # The text is still the same, and the other categories are as they were.
    assert terms.digest == "t_1"
    assert [x for x in terms.category if x.id != "abuse.insult"] == [
        x for x in RAISED.category if x.id != "abuse.insult"
    ]


def test_without_a_site_nothing_is_raised_and_without_the_key_nobody_is_asked() -> None:
    assert unraised(RAISED, None, T0) == ("abuse.insult",)
    assert unraised(TERMS, None, T0) == ()
    assert as_adopted(TERMS, None, T0) is TERMS


# --- dates ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("channel", "agreed", "months", "first", "by", "last"),
    [
        ("dealer", date(2026, 3, 5), 12, date(2026, 3, 5), "contract", date(2027, 3, 4)),
        ("dealer", None, 12, date(2026, 3, 1), "record", date(2027, 2, 28)),
        ("direct", date(2026, 3, 5), 1, date(2026, 3, 1), "record", date(2026, 3, 31)),
        (None, date(2026, 3, 5), None, date(2026, 3, 1), "record", None),
    ],
)
def test_t_tx_2_2_3_a_term_begins_as_agreed_with_the_dealer_else_as_on_record(
    channel: str | None, agreed: date | None, months: int | None, first: date, by: str, last: date | None
) -> None:
    found = term_of(channel, agreed, date(2026, 3, 1), months)
    assert (found.first_day, found.by, found.last_day) == (first, by, last)


def test_months_and_years_end_on_the_last_day_where_there_is_none() -> None:
    assert [months_after(date(2026, 1, 31), n) for n in (0, 1, 2, 11, 12, 13)] == [
        date(2026, 1, 31),
        date(2026, 2, 28),
        date(2026, 3, 31),
        date(2026, 12, 31),
        date(2027, 1, 31),
        date(2027, 2, 28),
    ]
    assert months_after(date(2026, 12, 15), 1) == date(2027, 1, 15)
    assert [years_after(date(2028, 2, 29), n) for n in (1, 4)] == [date(2029, 2, 28), date(2032, 2, 29)]
    assert years_after(date(2026, 3, 1), 3) == date(2029, 3, 1)
