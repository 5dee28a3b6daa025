"""Objections and appeals as functions of records and an instant.  STANDING 5.5, 5.6, 5.7-3; TX-4.1.3, TX-6.1."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from filterd.agreement.annul import annul
from filterd.agreement.appeal import AppealFile, State, alike, appeals, contestable, is_alarm, targets, window
from filterd.agreement.appeal_clock import decide_by
from filterd.agreement.appeal_review import may_review
from filterd.agreement.due import of_account
from filterd.agreement.fold import fold
from filterd.agreement.restitution import restitution
from filterd.agreement.standing import standing_at, strike_at
from filterd.model import records as r
from filterd.model.evidence import frozen
from filterd.model.sanction import Preset, Rung
from filterd.model.staffing import Staffing, StaffingRules
from filterd.model.standing import SanctionFile
from tests.agreement.test_walks import START, TERMS, Account

pytestmark = pytest.mark.slow

HOUR, DAY = timedelta(hours=1), timedelta(days=1)


def suspended() -> tuple[Account, r.SanctionImposed, datetime]:
    """An account whose third act suspended it for 7 days; says when."""
    account = Account()
    for day in (0, 2, 10):
        account.breach(day, "spam.outbound", recipients=1000)
    imposed = [x for x in account.records if isinstance(x, r.SanctionImposed)][-1]
    assert imposed.rung is Rung.SUSPEND
    return account, imposed, imposed.at


def filed(imposed: r.SanctionImposed, at: datetime, appeal_id: str = "p_1") -> r.ObjectionFiled:
    return r.ObjectionFiled(
        at=at,
        appeal_id=appeal_id,
        sanction_id=imposed.sanction_id,
        incident_id=imposed.incident_id,
        account_id="a_1",
        channel="mail",
    )


def looked(at: datetime, reviewer: str = "ann", by: str = "ann") -> r.AppealAssigned:
    return r.AppealAssigned(at=at, appeal_id="p_1", incident_id="i_1", reviewer=reviewer, by=by)


def decided(at: datetime, outcome: str, by: str = "ann") -> r.AppealDecided:
    return r.AppealDecided(at=at, appeal_id="p_1", incident_id="i_1", outcome=outcome, by=by, reason="x")


def rung(account: Account, at: datetime) -> Rung:
    standing = standing_at(fold("a_1", account.records), TERMS, at)
    return max((s.rung for s in standing.sanctions), default=Rung.NONE)


def file_of(account: Account, imposed: r.SanctionImposed) -> SanctionFile:
    history = fold("a_1", account.records)
    return next(s for s in history.sanctions if s.imposed.sanction_id == imposed.sanction_id)


# --- objections -------------------------------------------------------------------------------------------------------


def test_case_objection_unanswered_steps_down() -> None:
    account, imposed, at = suspended()
    account.records.append(filed(imposed, at + HOUR))
    assert rung(account, at + 25 * HOUR - timedelta(seconds=1)) is Rung.SUSPEND
    assert rung(account, at + 25 * HOUR) is Rung.RESTRICT


def test_case_objection_once_per_sanction() -> None:
    account, imposed, at = suspended()
    account.records += [filed(imposed, at + HOUR), filed(imposed, at + 100 * HOUR, "p_2")]
    sanction = file_of(account, imposed)
    assert (sanction.objected_at, sanction.appeal_id) == (at + HOUR, "p_1")


def test_taking_it_up_keeps_the_first_target_and_leaves_the_second() -> None:
    account, imposed, at = suspended()
    account.records += [filed(imposed, at + HOUR), looked(at + 2 * HOUR)]
    due = decide_by(at + HOUR, imposed.ends_at, TERMS)
    assert rung(account, due - HOUR) is Rung.SUSPEND
    assert rung(account, due) is Rung.RESTRICT


def test_giving_it_to_somebody_is_no_look() -> None:
    account, imposed, at = suspended()
    account.records += [filed(imposed, at + HOUR), looked(at + 2 * HOUR, "ann", "ben")]
    assert rung(account, at + 25 * HOUR) is Rung.RESTRICT


def test_a_look_after_the_first_target_does_not_bring_the_rung_back() -> None:
    account, imposed, at = suspended()
    account.records += [filed(imposed, at + HOUR), looked(at + 30 * HOUR)]
    assert rung(account, at + 31 * HOUR) is Rung.RESTRICT


def test_case_holiday_eight_days_no_staff() -> None:
    """Nobody on duty for eight days: the objection brings the account back to what people can work with, a person's
    confirmation alone would have kept it."""
    account, imposed, at = suspended()
    account.records.append(filed(imposed, at + HOUR))
    assert [rung(account, at + day * DAY) for day in (0, 1, 2, 6, 8)] == [
        Rung.SUSPEND,
        Rung.SUSPEND,
        Rung.RESTRICT,
        Rung.RESTRICT,
        Rung.WARN,
    ]
    standing = standing_at(fold("a_1", account.records), TERMS, at + 2 * DAY)
    assert standing.may_send


@pytest.mark.parametrize("preset", Preset)
def test_nobody_stays_suspended_after_an_objection_without_people(preset: Preset) -> None:
    account = Account(preset)
    day = 0.0
    for _ in range(12):
        account.breach(day, "phishing.known")
        imposed = [x for x in account.records if isinstance(x, r.SanctionImposed)][-1]
        if imposed.rung is Rung.SUSPEND:
            account.records.append(filed(imposed, imposed.at + HOUR, f"p_{day}"))
            assert rung(account, imposed.at + 25 * HOUR) <= Rung.RESTRICT
        day += 9


# --- states -----------------------------------------------------------------------------------------------------------


Step = (
    r.AppealAssigned | r.AppealQuestioned | r.AppealAdded | r.AppealDecided | r.AppealReopened | r.StrikeAnnulled
)


def states(*more: Step | r.NoticeSent) -> list[State]:
    account, imposed, at = suspended()
    rows: list[r.Record] = [filed(imposed, at)]
    out = [appeals(account.records + rows)[0].state]
    for row in more:
        rows.append(row if isinstance(row, r.NoticeSent) else replace(row, incident_id=imposed.incident_id))
        out.append(appeals(account.records + rows)[0].state)
    return out


def test_an_appeal_goes_through_its_states() -> None:
    at = START + 30 * DAY
    ack = r.NoticeSent(
        at=at,
        notice_id="m_1",
        account_id="a_1",
        incident_ids=(suspended()[1].incident_id,),
        template="objection_received",
        languages=("en",),
        channel="mail",
        outcome="accepted",
        deemed_at=at,
        body_digest="",
    )
    asked = r.AppealQuestioned(at=at, appeal_id="p_1", incident_id="i_1", by="ann")
    added = r.AppealAdded(at=at, appeal_id="p_1", incident_id="i_1", channel="link")
    assert states(ack, looked(at), asked, added, decided(at, "denied")) == [
        State.FILED,
        State.ACKNOWLEDGED,
        State.ASSIGNED,
        State.INFO_REQUESTED,
        State.ASSIGNED,
        State.DECIDED,
    ]


def test_what_was_asked_and_added_is_counted() -> None:
    account, imposed, at = suspended()
    asked = r.AppealQuestioned(at=at, appeal_id="p_1", incident_id=imposed.incident_id, by="ann")
    added = r.AppealAdded(at=at, appeal_id="p_1", incident_id=imposed.incident_id, channel="link")
    rows = [*account.records, filed(imposed, at)]
    counts = [
        (file.questions, file.additions)
        for more in ([], [asked], [asked, added, added])
        for file in appeals([*rows, *more])
    ]
    assert counts == [(0, 0), (1, 0), (1, 2)]


@pytest.mark.parametrize(
    ("outcome", "state"),
    [
        ("granted", State.DECIDED),
        ("partially_granted", State.DECIDED),
        ("denied", State.DECIDED),
        ("inadmissible", State.INADMISSIBLE),
        ("withdrawn", State.WITHDRAWN),
    ],
)
def test_every_outcome_ends_it(outcome: str, state: State) -> None:
    assert states(decided(START + 30 * DAY, outcome))[-1] is state


def test_it_is_opened_again_once_and_not_after_a_grant() -> None:
    at = START + 30 * DAY
    again = r.AppealReopened(at=at, appeal_id="p_1", incident_id="i_1", by="ann", reason="new")
    denied = decided(at, "denied")
    assert states(denied, again, denied, again)[1:] == [
        State.DECIDED,
        State.FILED,
        State.DECIDED,
        State.DECIDED,
    ]
    assert states(decided(at, "granted"), again)[-1] is State.DECIDED


def test_what_was_annulled_without_it_is_moot() -> None:
    annulled = r.StrikeAnnulled(at=START + 30 * DAY, strike_id="k", incident_id="i", by="ann", reason="x")
    assert states(annulled)[-1] is State.MOOT


def test_a_reopened_appeal_keeps_the_evidence_again() -> None:
    account, imposed, at = suspended()
    rows = [*account.records, filed(imposed, at), replace(decided(at, "denied"), incident_id=imposed.incident_id)]
    assert not frozen(rows).appeals
    rows.append(r.AppealReopened(at=at, appeal_id="p_1", incident_id=imposed.incident_id, by="ann", reason="new"))
    assert frozen(rows).appeals == ("p_1",)


# --- targets ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("left", "hours"),
    [(None, 168), (timedelta(days=30), 168), (timedelta(days=7), 84), (timedelta(hours=30), 24), (timedelta(), 168)],
)
def test_a_decision_is_due_in_a_week_or_half_the_time_left_but_never_within_a_day(
    left: timedelta | None, hours: int
) -> None:
    ends_at = START + left if left is not None else None
    assert decide_by(START, ends_at, TERMS) == START + hours * HOUR


def test_a_missed_target_of_a_persons_sanction_is_an_alarm_and_of_an_automatic_one_a_step_down() -> None:
    account, imposed, at = suspended()
    appeal = AppealFile(filed=filed(imposed, at))
    automatic = file_of(account, imposed)
    persons = replace(automatic, imposed=replace(imposed, is_automatic=False, by="dana"))
    late = at + 25 * HOUR
    assert targets(appeal, automatic, TERMS, late).missed == ("look",)
    assert targets(appeal, automatic, TERMS, at + 9 * DAY).missed == ("look", "decide")
    assert (is_alarm(appeal, automatic, TERMS, late), is_alarm(appeal, persons, TERMS, late)) == (False, True)
    assert is_alarm(appeal, None, TERMS, late)


def test_an_objection_to_a_persons_decision_rings_when_nobody_decides() -> None:
    account, imposed, at = suspended()
    confirmed = r.SanctionConfirmed(
        at=at, sanction_id=imposed.sanction_id, incident_id=imposed.incident_id, by="dana", reason="x"
    )

    def rings(*rows: r.Record, hours: float) -> bool:
        history = fold("a_1", [*account.records, *rows])
        found = of_account(history, TERMS, at + hours * HOUR, since=START)
        return any(x.clock == "appeal.overdue" and x.is_alarm for x in found)

    mine = replace(filed(imposed, at + HOUR), appeal_id="p_1")
    assert not rings(confirmed, mine, hours=24)
    assert rings(confirmed, mine, hours=26)
    # Taken up it is due later; an automatic one that nobody confirmed steps down instead.
    assert not rings(confirmed, mine, looked(at + 2 * HOUR), hours=26)
    assert rings(confirmed, mine, looked(at + 2 * HOUR), hours=24 * 6)
    assert not rings(mine, hours=24 * 6)


# --- the window -------------------------------------------------------------------------------------------------------


def test_a_strike_can_be_contested_as_long_as_it_counts_and_at_least_180_days() -> None:
    account, imposed, at = suspended()
    history = fold("a_1", account.records)
    incident = next(i for i in history.incidents if i.opened.incident_id == imposed.incident_id)
    closes_at = window(incident, history, TERMS).closes_at
    assert closes_at is not None
    assert incident.strike is not None
    assert closes_at >= incident.strike.expires_at
    short = replace(incident, strike=replace(incident.strike, expires_at=at + DAY))
    closes_at = window(short, history, TERMS).closes_at
    assert closes_at is not None
    assert closes_at - at >= 180 * DAY


def test_a_warning_is_contested_for_thirty_days_at_least_and_from_the_first_refusal_where_that_is_later() -> None:
    account = Account()
    account.breach(0, "spam.outbound")
    history = fold("a_1", account.records)
    (incident,) = history.incidents
    assert incident.strike is not None
    brief = replace(incident, strike=replace(incident.strike, expires_at=START + DAY))
    plain = window(brief, history, TERMS).closes_at
    shown = window(replace(brief, shown_at=START + 10 * DAY), history, TERMS).closes_at
    assert plain is not None
    assert shown is not None
    assert 30 * DAY <= plain - START <= 33 * DAY
    assert shown - plain >= 9 * DAY


def test_nothing_closes_before_anybody_was_told() -> None:
    account = Account()
    account.breach(0, "spam.outbound")
    history = fold("a_1", account.records[:-1])
    assert window(history.incidents[0], history, TERMS).closes_at is None


def test_prop_contestable_while_counting() -> None:
    """Whatever counts can be contested at every instant at which it counts."""
    account = Account()
    for day, category in enumerate(("spam.outbound", "phishing.known", "spam.outbound", "malware", "spam.outbound")):
        account.breach(day * 5, category, recipients=1 + 400 * day)
    history = fold("a_1", account.records)
    counted = 0
    for day in range(0, 420, 3):
        at = START + day * DAY + HOUR
        open_ones = {x.incident.opened.incident_id for x in contestable(history, TERMS, at)}
        for incident in history.incidents:
            if strike_at(incident, history, at) is not None:
                counted += 1
                assert incident.opened.incident_id in open_ones, (day, incident.opened.family)
    assert counted > 100


def test_a_strike_without_a_sanction_has_an_appeal_of_its_own() -> None:
    account = Account()
    account.breach(0, "spam.outbound")
    account.records = [x for x in account.records if not isinstance(x, r.SanctionImposed)]
    (target,) = contestable(fold("a_1", account.records), TERMS, START + DAY)
    assert (target.sanction, target.sanction_id) == (None, "")


def test_like_incidents_are_decided_together() -> None:
    account, imposed, at = suspended()
    first = [x for x in account.records if isinstance(x, r.SanctionImposed)]
    other = next(x for x in first if x.incident_id != imposed.incident_id)
    account.breach(11, "malware")
    strange = [x for x in account.records if isinstance(x, r.SanctionImposed)][-1]
    rows = [*account.records, *(filed(x, at, f"p_{n}") for n, x in enumerate((imposed, other, strange)))]
    known = appeals(rows)
    assert [x.appeal_id for x in alike(known, known[0], fold("a_1", rows))] == ["p_1"]


# --- who --------------------------------------------------------------------------------------------------------------


def review(
    staffing: Staffing, person: str, after: timedelta, *, is_automatic: bool, confirmed_by: str | None
) -> tuple[bool, bool]:
    _, imposed, at = suspended()
    imposed = replace(imposed, is_automatic=is_automatic, by="system" if is_automatic else "ann")
    rows: list[r.Record] = [imposed]
    if confirmed_by is not None:
        rows.append(
            r.SanctionConfirmed(
                at=at, sanction_id=imposed.sanction_id, incident_id=imposed.incident_id, by=confirmed_by, reason="x"
            )
        )
    said = may_review(AppealFile(filed=filed(imposed, at)), rows, person, at + after, staffing, StaffingRules())
    return said.refusal is None, said.is_self_review


@pytest.mark.parametrize(
    ("staffing", "is_automatic", "confirmed_by", "person", "hours", "may", "marked"),
    [
        # An automatic decision that nobody has confirmed: anybody.
        (Staffing.TEAM, True, None, "ann", 1, True, False),
        (Staffing.SOLO, True, None, "ann", 1, True, False),
        # Team: all differ.
        (Staffing.TEAM, False, None, "ann", 99, False, False),
        (Staffing.TEAM, False, "ben", "ben", 99, False, False),
        (Staffing.TEAM, False, "ben", "cas", 1, True, False),
        (Staffing.TEAM, True, "ben", "ben", 99, False, False),
        # Pair: of a termination the proposer is barred, the approver may, marked.
        (Staffing.PAIR, False, "ben", "ann", 99, False, False),
        (Staffing.PAIR, False, "ben", "ben", 1, True, True),
        (Staffing.PAIR, True, "ben", "ben", 99, False, False),
        (Staffing.PAIR, True, "ben", "ann", 1, True, False),
        # Solo: a day later, marked.
        (Staffing.SOLO, False, None, "ann", 23, False, False),
        (Staffing.SOLO, False, None, "ann", 24, True, True),
    ],
)
def test_who_may_decide(
    staffing: Staffing, is_automatic: bool, confirmed_by: str | None, person: str, hours: int, may: bool, marked: bool
) -> None:
    said = review(staffing, person, hours * HOUR, is_automatic=is_automatic, confirmed_by=confirmed_by)
    assert said == (may, marked)


def test_who_denied_it_does_not_decide_it_again_in_a_team() -> None:
    _, imposed, at = suspended()
    appeal = AppealFile(filed=filed(imposed, at), earlier=decided(at, "denied", "ann"))
    for person, may in (("ann", False), ("ben", True)):
        said = may_review(appeal, [imposed], person, at + DAY, Staffing.TEAM, StaffingRules())
        assert (said.refusal is None) is may


# --- what was served in error -----------------------------------------------------------------------------------------


def test_the_minutes_are_those_in_force_and_concurrent_ones_count_once() -> None:
    account, imposed, at = suspended()
    beside = replace(imposed, sanction_id="s_2", starts_at=at - HOUR)
    history = fold("a_1", [*account.records, beside])
    both = [imposed.sanction_id, "s_2"]
    alone = restitution(history, [imposed.sanction_id], TERMS, at + timedelta(minutes=90, seconds=1))
    assert (alone.minutes, alone.since) == (91, at)
    assert [x.sanction_id for x in alone.served] == [imposed.sanction_id]
    whole = restitution(history, both, TERMS, at + HOUR)
    assert (whole.minutes, sorted(x.minutes for x in whole.served)) == (120, [60, 120])
    assert restitution(history, [], TERMS, at + HOUR).minutes == 0


def test_after_it_ended_no_minute_is_added() -> None:
    account, imposed, at = suspended()
    history = fold("a_1", account.records)
    said = {restitution(history, [imposed.sanction_id], TERMS, at + days * DAY).minutes for days in (7, 8, 300)}
    assert said == {7 * 24 * 60}


# --- replay -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("number", range(5))
def test_prop_replay_never_raises(number: int) -> None:
    """Whichever incident is annulled, with an appeal under review beside it: nobody's rung is higher at any hour."""
    account = Account()
    for day in (0, 2, 4, 10, 12):
        account.breach(day, "spam.outbound", recipients=1000 if day % 4 == 0 else 1)
    imposed = [x for x in account.records if isinstance(x, r.SanctionImposed)]
    at = START + 13 * DAY
    account.records += [filed(imposed[-1], at), looked(at + HOUR)]
    undone = annul(
        "a_1",
        account.records,
        TERMS,
        Preset.SUPERVISED,
        incident_id=account.incidents[number],
        at=at + 2 * HOUR,
        by="ann",
        reason="x",
    )
    before, after = fold("a_1", account.records), fold("a_1", [*account.records, *undone.records])
    for hours in range(2, 24 * 30, 5):
        then = at + hours * HOUR
        old, new = standing_at(before, TERMS, then), standing_at(after, TERMS, then)
        assert new.rung <= old.rung
        assert new.half_points <= old.half_points
