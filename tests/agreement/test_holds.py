"""Holds to the second: when one is in force, when it trickles, and what watches after it.  STANDING 5.6, 5.7-14."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from filterd.agreement.security import covers, due, security_at, trickle_at, unanswered_at, watches
from filterd.model import records as r
from filterd.model.sanction import Feature
from filterd.model.security import CLEAR, Protection
from filterd.model.standing import History
from tests.agreement.contract import shipped
from tests.agreement.rows import BULK, DAY, HOUR, LINKS, SECOND, SENDING, T0, history, hold, objection

TERMS = shipped()
CAP = Feature(name="recipients_per_message", limit=10)
TRICKLE = T0 + 72 * HOUR


def files(*rows: tuple[r.HoldPlaced, datetime | None], further: tuple[r.Record, ...] = ()) -> History:
    return replace(history(further=further), holds=rows)


def attested(at: datetime, hold_id: str = "h_1", until: datetime = T0 + 9 * DAY) -> r.HoldAttested:
    return r.HoldAttested(
        at=at,
        attestation_id=f"t_{hold_id}",
        hold_id=hold_id,
        account_id="a_1",
        incident_ids=("i_1",),
        by="chief",
        number=1,
        is_verified=True,
        watch_until=until,
        watch_features=(CAP,),
    )


def released(at: datetime, hold_id: str = "h_1", watch_until: datetime | None = None) -> r.HoldReleased:
    return r.HoldReleased(
        at=at, hold_id=hold_id, by="mei", reason="seen", watch_until=watch_until, watch_features=(CAP,)
    )


def answered(at: datetime, about: str = "h_1") -> r.ObjectionAnswered:
    return r.ObjectionAnswered(at=at, appeal_id=f"p_{about}", sanction_id=about, by="mei")


# --- in force ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("ends_at", "ended_at", "expected"),
    [
        (None, None, [False, True, True, True]),
        (T0 + DAY, None, [False, True, True, False]),
        (None, T0 + DAY, [False, True, True, False]),
        (T0 + 2 * DAY, T0 + DAY, [False, True, True, False]),
        (T0 + DAY, T0 + 2 * DAY, [False, True, True, False]),
    ],
)
def test_a_hold_is_in_force_until_the_earlier_of_its_term_and_a_person_s_act(
    ends_at: datetime | None, ended_at: datetime | None, expected: list[bool]
) -> None:
    instants = (T0 - SECOND, T0, T0 + DAY - SECOND, T0 + DAY)
    assert [covers(hold(ends_at=ends_at), ended_at, at) for at in instants] == expected


def test_case_5_1_of_several_holds_the_one_that_stops_sending_speaks() -> None:
    scope = hold("h_1", features=(LINKS,), because="zero_tolerance", indicators=(), ends_at=T0 + DAY)
    lock = hold("h_2", because="compromise", starts_at=T0 + HOUR)
    said = security_at(history(scope, lock), TERMS, T0 + 2 * HOUR)
    assert (said.kind, said.reason, said.since, said.until) == (Protection.HOLD, "compromise", T0, None)
    assert said.scope == (LINKS, SENDING)
    assert [h.hold_id for h in said.holds] == ["h_1", "h_2"]
    assert said.is_trickle is False


def test_until_is_the_latest_end_where_all_have_one() -> None:
    rows = (hold("h_1", ends_at=T0 + DAY), hold("h_2", ends_at=T0 + 3 * DAY))
    said = security_at(history(*rows), TERMS, T0)
    assert (said.until, said.scope) == (T0 + 3 * DAY, (SENDING,))
    assert security_at(history(*rows), TERMS, T0 + 3 * DAY) == CLEAR
    assert security_at(history(*rows), TERMS, T0 + 3 * DAY - SECOND).since == T0


# --- trickle ----------------------------------------------------------------------------------------------------------


def test_case_unattested_final_two_an_open_hold_of_sending_trickles_after_three_days() -> None:
    before, then = (security_at(history(hold()), TERMS, at) for at in (TRICKLE - SECOND, TRICKLE))
    assert (before.is_trickle, before.scope) == (False, (SENDING,))
    assert then.is_trickle is True
    assert then.scope == (Feature(name="messages_per_day", limit=20), Feature(name="strangers"))
    # What else it holds goes on beside the trickle.
    wide = security_at(history(hold(features=(BULK, SENDING))), TERMS, TRICKLE)
    assert [f.name for f in wide.scope] == ["bulk", "messages_per_day", "strangers"]


@pytest.mark.parametrize(
    "other",
    [hold(indicators=()), hold(features=(LINKS,)), hold(ends_at=T0 + 30 * DAY)],
    ids=["no indicator", "not sending", "ends by itself"],
)
def test_no_other_hold_trickles(other: r.HoldPlaced) -> None:
    assert trickle_at(other, history(other), TERMS) is None
    assert security_at(history(other), TERMS, TRICKLE).scope == other.features


@pytest.mark.parametrize(
    ("filed", "more", "since"),
    [
        ((HOUR,), (), 25 * HOUR),
        # The first of two objections counts, in whatever order they were written down.
        ((9 * HOUR, HOUR), (), 25 * HOUR),
        # Never later than it would be without one.
        ((60 * HOUR,), (), 72 * HOUR),
        ((HOUR,), (answered(T0 + 25 * HOUR - SECOND),), 72 * HOUR),
        ((HOUR,), (answered(T0 + 25 * HOUR),), 25 * HOUR),
        ((HOUR,), (answered(T0 + 2 * HOUR, "h_2"),), 25 * HOUR),
    ],
    ids=["unanswered", "the first", "late", "answered", "answered as it was due", "another's answer"],
)
def test_case_5_6_an_unanswered_objection_to_a_hold_brings_the_trickle_forward(
    filed: tuple[timedelta, ...], more: tuple[r.Record, ...], since: timedelta
) -> None:
    rows = tuple(objection(T0 + x, "h_1") for x in filed)
    found = trickle_at(hold(), history(hold(), further=(*rows, *more)), TERMS)
    assert found == T0 + since


def test_an_objection_to_something_else_says_nothing_of_a_hold() -> None:
    assert unanswered_at(hold(), history(hold(), further=(objection(T0 + HOUR, "s_1"),)), TERMS) is None


# --- watch ------------------------------------------------------------------------------------------------------------


def test_after_an_attestation_low_caps_watch_until_their_end() -> None:
    end, until = T0 + DAY, T0 + 4 * DAY
    file = files((hold(), end), further=(attested(end, until=until),))
    held, watched, over = (security_at(file, TERMS, at) for at in (end - SECOND, end, until))
    assert (held.kind, held.scope) == (Protection.HOLD, (SENDING,))
    assert (watched.kind, watched.scope, watched.since, watched.until) == (Protection.WATCH, (CAP,), end, until)
    assert (watched.reason, watched.holds[0].by) == ("watch", "chief")
    assert over == CLEAR
    assert security_at(file, TERMS, until - SECOND).kind is Protection.WATCH


def test_a_release_without_a_watch_is_clear_at_once() -> None:
    assert security_at(files((hold(), T0 + DAY), further=(released(T0 + DAY),)), TERMS, T0 + DAY) == CLEAR


def test_releasing_once_more_ends_a_watch_and_never_makes_it_longer() -> None:
    end, until = T0 + DAY, T0 + 4 * DAY
    for again, ends in ((T0 + 2 * DAY, T0 + 2 * DAY), (T0 + 6 * DAY, until)):
        (watch,) = watches(files((hold(), end), further=(attested(end, until=until), released(again))))
        assert (watch.starts_at, watch.ends_at, watch.features) == (end, ends, (CAP,))


def test_a_watch_is_of_its_own_hold() -> None:
    assert watches(files((hold(), T0 + DAY), further=(attested(T0 + DAY, "h_9"),))) == ()
    both = files(
        (hold("h_1"), T0 + DAY),
        (hold("h_2"), T0 + 2 * DAY),
        further=(attested(T0 + DAY, "h_1"), objection(T0 + DAY, "h_1"), attested(T0 + 2 * DAY, "h_2")),
    )
    assert [(w.hold_id, w.starts_at) for w in watches(both)] == [("h_1", T0 + DAY), ("h_2", T0 + 2 * DAY)]


def test_a_hold_beside_a_watch_speaks_first_and_both_are_in_force() -> None:
    file = files((hold("h_1"), T0 + DAY), (hold("h_2", features=(LINKS,), starts_at=T0 + 2 * DAY), None))
    file = replace(file, further=(attested(T0 + DAY, "h_1"),))
    said = security_at(file, TERMS, T0 + 2 * DAY)
    assert (said.kind, said.since, said.until) == (Protection.HOLD, T0 + 2 * DAY, None)
    assert said.scope == (LINKS, CAP)


# --- what somebody has to hear ----------------------------------------------------------------------------------------


def heard(file: History, at: datetime, told: dict[str, datetime] | None = None) -> list[tuple[str, str, datetime]]:
    return [(x.hold.hold_id, x.what, x.at) for x in due(file, TERMS, at, told or {})]


def test_an_open_hold_is_told_of_again_a_week_after_the_last_time() -> None:
    file = history(hold())
    assert heard(file, T0 + 7 * DAY - SECOND) == []
    assert heard(file, T0 + 7 * DAY) == [("h_1", "remind", T0 + 7 * DAY)]
    told = {"h_1": T0 + 8 * DAY}
    assert heard(file, T0 + 15 * DAY - SECOND, told) == []
    assert heard(file, T0 + 15 * DAY, told) == [("h_1", "remind", T0 + 15 * DAY)]


def test_nobody_hears_of_a_hold_that_ends_by_itself_or_was_ended() -> None:
    assert heard(history(hold(ends_at=T0 + 30 * DAY)), T0 + 20 * DAY) == []
    assert heard(files((hold(), T0 + 3 * DAY)), T0 + 20 * DAY) == []
    # One that is over does not hide the next.
    two = files((hold("h_1"), T0 + 3 * DAY), (hold("h_2"), None))
    assert heard(two, T0 + 7 * DAY) == [("h_2", "remind", T0 + 7 * DAY)]


def test_an_objection_without_an_answer_is_heard_of_when_it_was_due() -> None:
    file = history(hold(), further=(objection(T0 + HOUR, "h_1"),))
    assert heard(file, T0 + 25 * HOUR - SECOND) == []
    assert heard(file, T0 + 25 * HOUR) == [("h_1", "objection", T0 + 25 * HOUR)]
