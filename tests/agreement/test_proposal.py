"""What is proposed is its content; who may be the second person, having read which.  STANDING 5.5, 5.7-18."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from filterd.agreement.proposal import (
    ProposalFile,
    canonical,
    differences,
    digest_of,
    proposals,
    second,
    staffing_of,
    unkept,
)
from filterd.model import records as r
from filterd.model.staffing import Staffing, StaffingRules

START = datetime(2026, 3, 2, tzinfo=UTC)
RULES = StaffingRules()
AGAIN = timedelta(hours=RULES.second_look_hours)
DIGEST = digest_of("account.terminate", "a_1", "{}", ("i_1",), "again")


def proposed(**changes: Any) -> r.Proposed:
    row = r.Proposed(
        at=START,
        proposal_id="g_1",
        act="account.terminate",
        subject_id="a_1",
        terms="{}",
        digest=DIGEST,
        by="ana",
        reason="again",
        expires_at=START + timedelta(days=7),
        incident_ids=("i_1",),
    )
    return replace(row, **changes)


def ended(because: str, hours: float = 1) -> r.ProposalEnded:
    return r.ProposalEnded(at=START + timedelta(hours=hours), proposal_id="g_1", because=because, by="bo", reason="x")


def approved(by: str = "bo") -> r.Approved:
    return r.Approved(at=START, proposal_id="g_1", digest=DIGEST, by=by)


def asked(
    person: str = "bo",
    hours: float = 1,
    staffing: Staffing = Staffing.TEAM,
    said: str = DIGEST[:12],
    alone: bool = True,
    file: ProposalFile | None = None,
) -> tuple[str | None, bool]:
    at = START + timedelta(hours=hours)
    known = file or ProposalFile(proposed=proposed())
    found = second(known, person, at, RULES, staffing, said_digest=said, can_be_alone=alone)
    return found.refusal, found.is_self_review


def refused(**changes: Any) -> str:
    refusal, is_self_review = asked(**changes)
    assert refusal is not None
    assert not is_self_review
    return refusal


def test_another_person_approves_in_any_staffing() -> None:
    for staffing in Staffing:
        assert asked(staffing=staffing) == (None, False)


@pytest.mark.parametrize("said", [DIGEST[:11], "", "0" * 12, DIGEST[1:13]])
def test_who_approves_says_which_one_they_have_read(said: str) -> None:
    assert refused(said=said).startswith("say what you have read")


def test_a_digest_is_read_in_capitals_too() -> None:
    assert asked(said=DIGEST.upper()) == (None, False)


@pytest.mark.parametrize("staffing", [Staffing.TEAM, Staffing.PAIR])
def test_where_there_are_two_nobody_approves_their_own(staffing: Staffing) -> None:
    assert refused(person="ana", staffing=staffing, hours=48).endswith("another person approves")


def test_alone_the_second_look_is_a_day_later_and_marked_so() -> None:
    hours = AGAIN / timedelta(hours=1)
    early = refused(person="ana", staffing=Staffing.SOLO, hours=hours - 0.01)
    assert early.endswith(f"look again from {(START + AGAIN).isoformat()} on")
    assert asked(person="ana", staffing=Staffing.SOLO, hours=hours) == (None, True)


def test_some_acts_take_two_people_also_where_there_is_one() -> None:
    said = refused(person="ana", staffing=Staffing.SOLO, hours=48, alone=False)
    assert said.startswith("account.terminate takes two people")


@pytest.mark.parametrize("because", ["withdrawn", "refused", "vetoed", "void", "carried_out"])
def test_what_is_over_cannot_be_approved(because: str) -> None:
    file = ProposalFile(proposed=proposed(), ended=ended(because))
    assert refused(file=file) == f"this proposal is over: {because.replace('_', ' ')}"


def test_it_expires_at_its_instant() -> None:
    file = ProposalFile(proposed=proposed())
    assert file.state(file.proposed.expires_at - timedelta(microseconds=1)) == "open"
    assert refused(hours=7 * 24) == "this proposal is over: expired"


@pytest.mark.parametrize(
    ("mode", "deciders", "expected"),
    [
        (None, 0, Staffing.SOLO),
        (None, 1, Staffing.SOLO),
        (None, 2, Staffing.PAIR),
        (None, 3, Staffing.TEAM),
        (None, 9, Staffing.TEAM),
        (Staffing.SOLO, 9, Staffing.SOLO),
        (Staffing.TEAM, 1, Staffing.TEAM),
    ],
)
def test_the_operator_s_word_goes_before_the_number(mode: Staffing | None, deciders: int, expected: Staffing) -> None:
    assert staffing_of(replace(RULES, mode=mode), deciders) is expected


def test_the_fewer_they_are_the_more_promises_are_named() -> None:
    assert [len(unkept(x)) for x in (Staffing.TEAM, Staffing.PAIR, Staffing.SOLO)] == [0, 1, 3]


def test_rows_make_files_in_which_the_first_approval_and_the_last_end_count() -> None:
    other = proposed(proposal_id="g_2")
    stray = replace(approved(), proposal_id="g_9"), replace(ended("void"), proposal_id="g_9")
    rows = (
        *stray,
        proposed(),
        other,
        approved("bo"),
        approved("cy"),
        ended("carried_out"),
        ended("vetoed", 2),
        proposed(reason="twice"),
    )
    first, second_file = proposals(rows)
    assert first.proposed.reason == "again"
    assert first.approved is not None
    assert first.approved.by == "bo"
    assert first.state(START) == "vetoed"
    assert (second_file.approved, second_file.ended, second_file.terms) == (None, None, {})


def test_any_edit_makes_another_proposal() -> None:
    content: list[Any] = ["account.terminate", "a_1", "{}", ("i_1",), "again"]
    others = ["account.purge", "a_2", '{"x":1}', ("i_2",), "other"]
    digests = {digest_of(*content)}
    for place, other in enumerate(others):
        digests.add(digest_of(*content[:place], other, *content[place + 1 :]))
    assert len(digests) == 6
    assert all(len(digest) == 64 for digest in digests)


def test_the_same_terms_are_the_same_text() -> None:
    assert canonical({"b": [1, "二"], "a": None}) == canonical({"a": None, "b": [1, "二"]}) == '{"a":null,"b":[1,"二"]}'


@pytest.mark.parametrize("value", [0.5, [1, 0.5], {"x": {"y": (0.5,)}}])
def test_terms_count_in_whole_numbers(value: Any) -> None:
    with pytest.raises(TypeError, match="whole numbers"):
        canonical({"points": value})


def test_what_has_no_one_spelling_is_refused() -> None:
    with pytest.raises(TypeError, match="is no code, id, number or instant"):
        canonical({"at": START})


def test_what_has_changed_is_said_key_by_key() -> None:
    before = {"points": 24, "incidents": ["i_1", "i_2"], "hold": None, "same": 1}
    now = {"points": 16, "incidents": [], "hold": "h_1", "same": 1, "new": 0}
    assert differences(before, now) == (
        "hold: none -> h_1",
        "incidents: i_1, i_2 -> none",
        "new: none -> 0",
        "points: 24 -> 16",
    )
    assert differences(before, dict(before)) == ()
