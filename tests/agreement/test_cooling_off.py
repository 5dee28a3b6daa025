"""A cooling-off that stands still now and then, to the second, and its notice on two channels.  STANDING 5.4 row 4."""

from __future__ import annotations

from datetime import datetime

import pytest

from filterd.agreement.cooling_off import Span, accepted_on, cooling_off, look_out, open_spans
from filterd.model import records as r
from tests.agreement.contract import shipped
from tests.agreement.rows import DAY, HOUR, SECOND, T0, history, notice

TERMS = shipped()
END = T0 + 7 * DAY
TOLD = [("mail", T0 + HOUR), ("sms", T0 + 2 * HOUR)]


def day(number: float | None) -> datetime | None:
    return None if number is None else T0 + number * DAY


def begins(*spans: tuple[float, float | None], told: list[tuple[str, datetime]] | None = None) -> float | None:
    """On which day it begins, if these stop it."""
    stops: list[tuple[str, Span]] = [("hold", (T0 + since * DAY, day(until))) for since, until in spans]
    found = look_out(TERMS, T0, END, stops, TOLD if told is None else told, T0)
    return None if found.begins_at is None else (found.begins_at - T0) / DAY


@pytest.mark.parametrize(
    ("spans", "expected"),
    [
        ((), 7),
        (((1, 3),), 9),
        # What began before the decision counts from the decision on.
        (((-5, 2),), 9),
        (((-5, -1),), 7),
        # Two at a time stop it once, one inside the other, too.
        (((1, 3), (2, 4)), 10),
        (((1, 5), (2, 3)), 11),
        (((1, 3), (3, 4)), 10),
        (((1, 2), (4, 6)), 10),
        (((1, 2), (4, 6), (5, 7)), 11),
        # The order in which they were written down does not matter.
        (((4, 6), (1, 2)), 10),
        # What comes within the time it was put off stops it again.
        (((1, 3), (8, 9)), 10),
        # What begins when it is over does not; a second before, it does.
        (((7 + 1 / 86400, 9),), 7),
        (((7 - 1 / 86400, 9),), 9 + 1 / 86400),
        # Stopped in the very instant of its end it waits until that is over.
        (((7, 9),), 9),
        # One without an end leaves nobody able to say.
        (((1, None),), None),
        (((1, 3), (2, None)), None),
        (((2, None), (3, 4)), None),
        (((7, None),), None),
        (((8, None),), 7),
    ],
)
def test_case_5_4_04_the_cooling_off_stands_still_while_something_stops_it(
    spans: tuple[tuple[float, float | None], ...], expected: float | None
) -> None:
    found = begins(*spans)
    assert found == (pytest.approx(expected) if expected is not None else None)


@pytest.mark.parametrize(
    ("told", "expected"),
    [
        ([], None),
        (TOLD[:1], None),
        (TOLD, 7),
        ([("mail", T0 + HOUR), ("sms", END + 2 * DAY)], 9),
        ([("mail", T0 + HOUR), ("sms", T0 + DAY), ("letter", END + 2 * DAY)], 7),
    ],
    ids=["nobody", "one channel", "two", "the second late", "a third late"],
)
def test_case_5_4_04_it_begins_once_two_channels_have_accepted_its_notice(
    told: list[tuple[str, datetime]], expected: float | None
) -> None:
    assert begins(told=told) == expected


def test_case_5_4_04_the_second_channel_s_answer_does_not_begin_it_while_it_is_stopped() -> None:
    late = [("mail", T0 + HOUR), ("sms", END + 2 * DAY)]
    assert begins((8, 10), told=late) == 10
    assert begins((8, 9), told=late) == 9
    assert begins((10, 12), told=late) == 9
    assert begins((8, None), told=late) is None


def test_what_holds_it_up_is_named_once_and_only_while_it_does() -> None:
    stops: list[tuple[str, Span]] = [
        ("hold", (T0 + DAY, T0 + 2 * DAY)),
        ("hold", (T0 + DAY, None)),
        ("appeal", (T0 + 3 * DAY, None)),
    ]
    said = [look_out(TERMS, T0, END, stops, TOLD, T0 + at).held_up_by for at in (DAY - SECOND, DAY, 3 * DAY)]
    assert said == [(), ("hold",), ("hold", "appeal")]
    one = look_out(TERMS, T0, END, stops[:1], TOLD[:1], T0 + 2 * DAY)
    assert (one.held_up_by, one.channels) == (("notice",), ("mail",))


def test_an_agreement_that_does_not_say_wants_one_channel() -> None:
    terms = TERMS.model_copy(update={"termination": None})
    assert look_out(terms, T0, END, [], TOLD[:1], T0).begins_at == END
    assert look_out(terms, T0, END, [], [], T0).begins_at is None


def test_an_agreement_without_clocks_has_no_cooling_off() -> None:
    with pytest.raises(ValueError, match=r"has no \[lifecycle\]"):
        cooling_off(TERMS.model_copy(update={"lifecycle": None}), T0)


# --- the notice -------------------------------------------------------------------------------------------------------


def bounced(audience: str, *, is_theirs: bool, notice_id: str = "m_1") -> r.NoticeBounced:
    return r.NoticeBounced(
        at=T0 + DAY, notice_id=notice_id, account_id="a_1", audience=audience, status="5.1.1", is_theirs=is_theirs
    )


PROPOSED = {"template": "hold+termination_proposed", "channel": "mail+sms", "notice_id": "m_1"}


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        ((notice(T0, **PROPOSED),), ["mail", "sms"]),
        ((notice(T0 - SECOND, **PROPOSED),), []),
        ((notice(T0, **PROPOSED | {"outcome": "failed"}),), []),
        ((notice(T0, **PROPOSED | {"template": "warning"}),), []),
        ((notice(T0, **PROPOSED), bounced("sms", is_theirs=False)), ["mail"]),
        ((notice(T0, **PROPOSED), bounced("sms", is_theirs=True)), ["mail", "sms"]),
        ((notice(T0, **PROPOSED), bounced("sms", is_theirs=False, notice_id="m_2")), ["mail", "sms"]),
        # One that does not count hides none that does.
        ((notice(T0, template="warning"), notice(T0 + HOUR, **PROPOSED)), ["mail", "sms"]),
    ],
    ids=["accepted", "before", "failed", "another", "our fault", "their fault", "another one's", "after another"],
)
def test_t_tx_6_2_a_channel_counts_that_accepted_the_notice(rows: tuple[r.Record, ...], expected: list[str]) -> None:
    assert [name for name, _ in accepted_on(history(further=rows), "termination_proposed", T0)] == expected


def test_t_tx_6_1_a_channel_counts_from_when_the_notice_is_deemed_received_and_once() -> None:
    rows = (
        notice(T0, **PROPOSED | {"deemed_at": T0 + 5 * HOUR}),
        notice(T0 + HOUR, **PROPOSED | {"notice_id": "m_2", "channel": "letter+mail", "deemed_at": None}),
    )
    found = accepted_on(history(further=rows), "termination_proposed", T0)
    assert found == [("letter", T0 + HOUR), ("mail", T0 + 5 * HOUR), ("sms", T0 + 5 * HOUR)]


# --- appeals ----------------------------------------------------------------------------------------------------------


def decided(at: datetime, appeal_id: str = "p_1") -> r.AppealDecided:
    return r.AppealDecided(at=at, appeal_id=appeal_id, incident_id="i_1", outcome="denied", by="ann", reason="x")


def reopened(at: datetime, appeal_id: str = "p_1") -> r.AppealReopened:
    return r.AppealReopened(at=at, appeal_id=appeal_id, incident_id="i_1", by="ann", reason="new")


def test_an_appeal_is_open_from_its_filing_to_its_decision_and_again_once_reopened() -> None:
    rows = (decided(T0 + 3 * DAY), reopened(T0 + 5 * DAY), decided(T0 + 6 * DAY))
    file = history(further=(*rows, decided(T0 + 2 * DAY, "p_9"), reopened(T0 + 2 * DAY, "p_9")))
    filed = T0 + DAY

    def spans(at: float) -> list[Span]:
        return open_spans(file, "p_1", filed, T0 + at * DAY)

    assert spans(1 - 1 / 86400) == []
    assert spans(1) == [(filed, None)]
    assert spans(3 - 1 / 86400) == [(filed, None)]
    assert spans(3) == [(filed, T0 + 3 * DAY)]
    assert spans(5) == [(filed, T0 + 3 * DAY), (T0 + 5 * DAY, None)]
    assert spans(6) == [(filed, T0 + 3 * DAY), (T0 + 5 * DAY, T0 + 6 * DAY)]
    # Decided as it was filed, it was open for no time.
    assert open_spans(history(further=(decided(filed),)), "p_1", filed, filed) == [(filed, filed)]
