"""What an opt-out that was not honoured weighs, and how long.  STANDING 5.7-13, CLAUSES tail-d."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest

from filterd.agreement.complaints import LIST, PERSON, complained, ignored, opted_out
from filterd.model import records as r
from filterd.model.standing import History
from tests.agreement.cases import NOON
from tests.kit.terms import tencent

TERMS = tencent()
DAYS = timedelta(days=TERMS.complaints.days)
SECOND = timedelta(seconds=1)


def missed(at: datetime, kind: str = LIST, number: int = 1) -> r.OptOutIgnored:
    return r.OptOutIgnored(at=at, optout_id=f"oo_{number}", account_id="a_1", recipient=f"h{number}", kind=kind)


def complainants(*rows: r.Record, at: datetime = NOON) -> int:
    return complained(History(account_id="a_1", further=rows), at, 40_000, TERMS).complainants


@pytest.mark.parametrize(
    ("at", "expected"),
    [
        (NOON - DAYS - SECOND, 0),
        (NOON - DAYS, 1),
        (NOON, 1),
        # What is yet to come has not been complained of.
        (NOON + SECOND, 0),
    ],
)
def test_it_counts_as_long_as_a_complaint_does(at: datetime, expected: int) -> None:
    assert complainants(missed(at)) == expected


def test_it_counts_once_a_recipient_however_often_and_is_no_private_quarrel() -> None:
    assert complainants(missed(NOON), missed(NOON - SECOND), missed(NOON, number=2)) == 2
    assert complainants(missed(NOON, PERSON)) == 0


def test_an_end_of_the_request_takes_it_back_from_that_instant_on() -> None:
    over = r.OptOutEnded(at=NOON, optout_id="oo_1", account_id="a_1", by="dana", reason="asked for it again")
    rows = missed(NOON - 2 * SECOND), over
    assert [complainants(*rows, at=at) for at in (NOON - SECOND, NOON)] == [1, 0]
    told = History(account_id="a_1", further=rows)
    since = NOON - 5 * SECOND
    assert [ignored(told, since, at) for at in (NOON - SECOND, NOON)] == [True, False]


def test_whoever_nobody_asked_to_stop_may_write() -> None:
    assert opted_out(History(account_id="a_1"), "h1", NOON) is None
