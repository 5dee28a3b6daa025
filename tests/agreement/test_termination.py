"""When does a termination take effect, and what holds it up?  STANDING 5.4 rows 4 and 8, 5.9.

tests/pipeline/test_terminate.py has the same from outside; here stands every order in which the stops can come.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import date, datetime

import pytest

from filterd.agreement.due import TERMINATED, of_account
from filterd.agreement.fold import apply
from filterd.agreement.standing import half_points_at, in_effect, standing_at
from filterd.agreement.termination import cooling_off, outlook, threshold
from filterd.model import records as r
from filterd.model.sanction import Conduct, Rung
from filterd.model.standing import History, SanctionFile
from tests.agreement.test_walks import TERMS, day

DECIDED, ENDS = day(0), day(7)
IMPOSED = r.SanctionImposed(
    at=DECIDED,
    sanction_id="s_end",
    incident_id="i_1",
    decision_id="d_1",
    account_id="a_1",
    rung=Rung.TERMINATE,
    step=5,
    features=(),
    category="malware",
    clauses=("4.3.1",),
    starts_at=ENDS,
    ends_at=None,
    lapses_at=None,
    step_down_features=(),
    is_automatic=False,
    by="ana",
    warranted=Rung.TERMINATE,
)


def told(at: float, channel: str, **changes: object) -> r.NoticeSent:
    notice = r.NoticeSent(
        at=day(at),
        notice_id=f"m_{channel}",
        account_id="a_1",
        incident_ids=(),
        template="termination_proposed",
        languages=("en",),
        channel=channel,
        outcome="accepted",
        deemed_at=day(at),
        body_digest="",
    )
    return replace(notice, **changes)


TOLD = (told(0, "mail"), told(0, "console"))


def bounced(channel: str, *, is_theirs: bool = False) -> r.NoticeBounced:
    return r.NoticeBounced(
        at=day(1),
        notice_id=f"m_{channel}",
        account_id="a_1",
        audience=channel,
        status="5.1.1",
        is_theirs=is_theirs,
    )


def filed(at: float) -> r.ObjectionFiled:
    return r.ObjectionFiled(
        at=day(at), appeal_id="p_1", sanction_id="s_end", incident_id="i_1", account_id="a_1", channel="mail"
    )


def denied(at: float, appeal_id: str = "p_1") -> r.AppealDecided:
    return r.AppealDecided(
        at=day(at), appeal_id=appeal_id, incident_id="i_1", outcome="denied", by="bo", reason="stands"
    )


def reopened(at: float, appeal_id: str = "p_1") -> r.AppealReopened:
    return r.AppealReopened(at=day(at), appeal_id=appeal_id, incident_id="i_1", by="bo", reason="new evidence")


def hold(since: float, until: float | None, name: str = "h_1") -> r.HoldPlaced:
    return r.HoldPlaced(
        at=day(since),
        hold_id=name,
        incident_id="",
        account_id="a_1",
        features=(),
        starts_at=day(since),
        ends_at=None if until is None else day(until),
        because="person",
        by="ana",
    )


def released(at: float) -> r.HoldReleased:
    return r.HoldReleased(at=day(at), hold_id="h_1", by="bo", reason="attested")


def history(*records: r.Record) -> History:
    found = History(account_id="a_1")
    for record in (IMPOSED, *records):
        found = apply(found, record)
    return found


def seen(found: History, at: float) -> tuple[datetime | None, tuple[str, ...]]:
    (sanction,) = found.sanctions
    what = outlook(found, sanction, TERMS, day(at), half_points_at)
    return what.begins_at, what.held_up_by


# (what is on record, seen on which day, when it begins, what holds it up then)
STOPS: list[tuple[str, tuple[r.Record, ...], float, float | None, tuple[str, ...]]] = [
    ("nothing", TOLD, 1, 7, ()),
    ("one channel", (told(0, "mail"),), 8, None, ("notice",)),
    ("one notice over both", (told(0, "mail+console"),), 1, 7, ()),
    ("one channel twice", (told(0, "mail"), told(1, "mail")), 8, None, ("notice",)),
    ("a second channel late", (told(0, "mail"), told(9, "console")), 9, 9, ()),
    ("an earlier notice", (told(0, "mail"), told(-1, "console")), 8, None, ("notice",)),
    ("not accepted", (told(0, "mail"), told(0, "console", outcome="failed", deemed_at=None)), 8, None, ("notice",)),
    ("of something else", (told(0, "mail"), told(0, "console", template="warning")), 8, None, ("notice",)),
    ("merged with another", (told(0, "mail"), told(0, "console", template="warning+termination_proposed")), 1, 7, ()),
    ("came back by our fault", (*TOLD, bounced("mail")), 8, None, ("notice",)),
    ("came back by theirs", (*TOLD, bounced("mail", is_theirs=True)), 8, 7, ()),
    ("an appeal", (*TOLD, filed(2)), 3, None, ("appeal",)),
    ("an appeal, before it", (*TOLD, filed(2)), 1, 7, ()),
    ("an appeal of three days", (*TOLD, filed(2), denied(5)), 6, 10, ()),
    ("an appeal decided at the same instant", (*TOLD, filed(2), denied(2)), 6, 7, ()),
    ("an appeal after it began", (*TOLD, filed(7), denied(9)), 9, 9, ()),
    ("another one's decision", (*TOLD, filed(2), denied(5, "p_9")), 6, None, ("appeal",)),
    ("an appeal opened again", (*TOLD, filed(2), denied(3), reopened(4)), 5, None, ("appeal",)),
    ("an appeal opened again and denied", (*TOLD, filed(2), denied(3), reopened(4), denied(6)), 6, 10, ()),
    ("another one opened again", (*TOLD, filed(2), denied(3), reopened(4, "p_9")), 5, 8, ()),
    ("a hold", (*TOLD, hold(1, None)), 2, None, ("hold",)),
    ("a hold of a day", (*TOLD, hold(1, 2)), 3, 8, ()),
    ("a hold that was there before", (*TOLD, hold(-3, 2)), 3, 9, ()),
    ("a hold that was over before", (*TOLD, hold(-3, -1)), 3, 7, ()),
    ("a hold released", (*TOLD, hold(1, None), released(3)), 4, 9, ()),
    ("a hold released before its end", (*TOLD, hold(1, 5), released(3)), 4, 9, ()),
    ("two that overlap count once", (*TOLD, hold(1, 3), hold(2, 4, "h_2")), 5, 10, ()),
    ("one inside another", (*TOLD, hold(1, 4), hold(2, 3, "h_2")), 5, 10, ()),
    ("two apart", (*TOLD, hold(1, 2), hold(3, 4, "h_2")), 5, 9, ()),
    ("one open over another", (*TOLD, hold(1, None), hold(2, 3, "h_2")), 5, None, ("hold",)),
    ("both at once", (*TOLD, filed(2), hold(1, None)), 3, None, ("appeal", "hold")),
    ("a hold on the day the second channel comes", (told(0, "mail"), told(9, "console"), hold(8, 11)), 12, 11, ()),
    ("a hold without an end on that day", (told(0, "mail"), told(9, "console"), hold(8, None)), 12, None, ("hold",)),
]


@pytest.mark.parametrize(("records", "at", "begins", "held_up"), [s[1:] for s in STOPS], ids=[s[0] for s in STOPS])
def test_case_5_4_04_a_term_stands_still_as_long_as_something_stops_it(
    records: tuple[r.Record, ...], at: float, begins: float | None, held_up: tuple[str, ...]
) -> None:
    assert seen(history(*records), at) == (None if begins is None else day(begins), held_up)


def test_it_is_not_there_until_the_instant_it_begins() -> None:
    found = history(*TOLD)
    almost = ENDS - (day(1) - day(0)) / 86_400
    assert standing_at(found, TERMS, almost).conduct is Conduct.GOOD
    assert standing_at(found, TERMS, ENDS).conduct is Conduct.TERMINATED


def test_its_beginning_is_told_once_when_what_held_it_up_is_over() -> None:
    """The day stands in it until which data is kept: thirty whole ones after the day it began, 9 March."""

    def struck(at: float, *records: r.Record) -> list[tuple[datetime, dict[str, object]]]:
        found = of_account(history(*TOLD, *records), TERMS, day(at), since=DECIDED)
        return [(x.due_at, dict(x.facts)) for x in found if x.clock == TERMINATED]

    said = {"incident_id": "i_1", "sanction_id": "s_end", "at": ENDS}
    assert struck(6.9) == []
    assert struck(7) == [(ENDS, said | {"kept_until": date(2026, 4, 8)})]
    # An appeal of two days stops it for two days.
    assert struck(8.9, filed(2), denied(4)) == []
    assert [due for due, _ in struck(9, filed(2), denied(4))] == [day(9)]
    assert struck(20, filed(2)) == []
    clock = r.ClockStruck(at=ENDS, clock=TERMINATED, subject_id="a_1", object_id="s_end", due_at=ENDS)
    assert struck(8, clock) == []


def test_a_termination_without_clocks_says_no_day() -> None:
    bare = TERMS.model_copy(update={"lifecycle": None})
    found = [x for x in of_account(history(*TOLD), bare, day(8), since=DECIDED) if x.clock == TERMINATED]
    assert [x.facts["kept_until"] for x in found] == [None]


def test_one_that_has_yet_to_begin_hides_nothing_that_is_in_force() -> None:
    running = replace(IMPOSED, sanction_id="s_now", rung=Rung.SUSPEND, starts_at=DECIDED, is_automatic=True)
    found = history(filed(2), running, *TOLD)
    assert [file.imposed.sanction_id for file in in_effect(found, TERMS, day(8))] == ["s_now"]
    assert standing_at(found, TERMS, day(8)).conduct is Conduct.SUSPENDED


def test_case_5_4_08_a_reinstatement_ends_the_one_it_names() -> None:
    back = r.AccountReinstated(at=day(9), account_id="a_1", sanction_id="s_end", proposal_id="g_1", by="bo")
    other = replace(back, sanction_id="s_other")
    assert standing_at(history(*TOLD, other), TERMS, day(9)).conduct is Conduct.TERMINATED
    assert standing_at(history(*TOLD, back), TERMS, day(8.9)).conduct is Conduct.TERMINATED
    assert standing_at(history(*TOLD, back), TERMS, day(9)).conduct is Conduct.GOOD


def test_of_a_lift_and_a_reinstatement_the_earlier_ends_it() -> None:
    back = r.AccountReinstated(at=day(9), account_id="a_1", sanction_id="s_end", proposal_id="g_1", by="bo")
    lifted = r.SanctionLifted(at=day(8), sanction_id="s_end", incident_id="i_1", by="bo", reason="veto")

    def file(*records: r.Record) -> SanctionFile:
        (found,) = in_effect(history(*TOLD, *records), TERMS, day(10))
        return found

    assert file(back).lifted_at == day(9)
    assert file(lifted).lifted_at == day(8)
    assert file(lifted, back).lifted_at == day(8)


def test_what_warrants_it_is_the_lowest_step_that_proposes_it() -> None:
    assert threshold(TERMS) == round(TERMS.ladder[-1].at * 2)
    proposing = [step.model_copy(update={"propose_termination": step.at >= 8}) for step in TERMS.ladder]
    assert threshold(TERMS.model_copy(update={"ladder": tuple(proposing)})) == 16


def test_an_agreement_without_a_lifecycle_has_no_cooling_off() -> None:
    with pytest.raises(ValueError, match="no cooling-off"):
        cooling_off(TERMS.model_copy(update={"lifecycle": None}), DECIDED)
