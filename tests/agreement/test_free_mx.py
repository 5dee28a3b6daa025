"""The MX clock of free tenants, day by day.  TX-4.4.4."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import pytest

from filterd.agreement.free_mx import MxSeen, MxState, ends_on, mx_state, of_domains, verdict
from filterd.model.records import MxProbed
from tests.agreement.contract import shipped

TERMS = shipped()
FIRST = date(2026, 3, 1)


def day(number: int) -> date:
    return FIRST + timedelta(days=number)


def probes(pattern: str, first: int = 0) -> list[MxProbed]:
    """g good, b bad, u unknown, a blank for no probe at all."""
    answers = {"g": "good", "b": "bad", "u": "unknown"}
    return [
        MxProbed(
            at=datetime(2026, 3, 1, tzinfo=UTC), tenant_id="n_1", day=day(first + n), answer=answers[x], resolvers=3
        )
        for n, x in enumerate(pattern)
        if x != " "
    ]


def state(pattern: str, **more: date) -> MxState:
    return mx_state(probes(pattern), TERMS, **more)


# --- one day ----------------------------------------------------------------------------------------------------------

OURS = ("mx.filterd.example",)
HERE, ELSEWHERE, NOWHERE = MxSeen(hosts=OURS), MxSeen(hosts=("mx.other.example",)), MxSeen()


@pytest.mark.parametrize(
    ("seen", "declared", "expected"),
    [
        ((HERE,), OURS, "good"),
        ((ELSEWHERE,), OURS, "bad"),
        # Behind another filter any MX is good.
        ((ELSEWHERE,), (), "good"),
        ((NOWHERE,), (), "bad"),
        # The implicit MX is the domain itself.
        ((MxSeen(has_address=True),), (), "good"),
        ((MxSeen(has_address=True),), ("own.example",), "good"),
        ((MxSeen(has_address=True),), OURS, "bad"),
        # An MX record leaves no implicit one.
        ((MxSeen(hosts=("mx.other.example",), has_address=True),), ("own.example",), "bad"),
        # A null MX takes no mail, whatever stands beside it.
        ((MxSeen(hosts=("",)),), (), "bad"),
        ((MxSeen(hosts=("", *OURS)),), OURS, "bad"),
        ((MxSeen(exists=False, hosts=OURS),), OURS, "bad"),
        # One resolver that saw it right is enough; one that could not say keeps the others from saying bad.
        ((ELSEWHERE, HERE), OURS, "good"),
        ((None, HERE), OURS, "good"),
        ((None, ELSEWHERE), OURS, "unknown"),
        ((ELSEWHERE, ELSEWHERE), OURS, "bad"),
        ((None,), OURS, "unknown"),
        ((), OURS, "unknown"),
    ],
)
def test_what_the_resolvers_saw_of_one_domain(
    seen: tuple[MxSeen | None, ...], declared: tuple[str, ...], expected: str
) -> None:
    assert verdict("own.example", seen, declared) == expected


@pytest.mark.parametrize(
    ("verdicts", "expected"),
    [("b", "bad"), ("bb", "bad"), ("bg", "good"), ("gu", "good"), ("bu", "unknown"), ("u", "unknown"), ("", "unknown")],
)
def test_a_tenant_is_bad_only_when_all_its_domains_are(verdicts: str, expected: str) -> None:
    words = {"b": "bad", "g": "good", "u": "unknown"}
    assert of_domains([words[x] for x in verdicts]) == expected


# --- many days --------------------------------------------------------------------------------------------------------


def test_it_is_over_on_the_thirty_first_bad_day_and_not_before() -> None:
    assert [state("b" * n).is_over for n in (30, 31, 32)] == [False, True, True]
    over = state("b" * 40)
    # What comes after the end changes nothing of it.
    assert (over.bad_days, over.first_bad, over.known_on) == (31, FIRST, day(30))
    assert state("b" * 31 + "g").is_over
    assert ends_on(state("b"), TERMS) == day(30)
    assert ends_on(state("gb"), TERMS) == day(31)
    assert ends_on(state("g"), TERMS) is None
    assert ends_on(state(""), TERMS) is None


def test_a_good_day_begins_anew_and_an_unknown_one_neither_counts_nor_resets() -> None:
    assert (state("bbg").bad_days, state("bbg").first_bad) == (0, None)
    assert (state("bbgb").bad_days, state("bbgb").first_bad) == (1, day(3))
    assert (state("bub").bad_days, state("bub").first_bad) == (2, FIRST)
    assert (state("b b").bad_days, state("b b").first_bad) == (2, FIRST)
    assert not state("b" * 30 + "u").is_over
    assert state("b" * 30 + "ub").is_over


def test_of_several_answers_of_a_day_the_best_counts_in_any_order() -> None:
    for rows in (probes("b") + probes("g"), probes("g") + probes("b")):
        assert mx_state(rows, TERMS).bad_days == 0
    for rows in (probes("b") + probes("u"), probes("u") + probes("b")):
        assert mx_state(rows, TERMS).bad_days == 1


@pytest.mark.parametrize(
    ("pattern", "today", "unknown_days", "known_on"),
    [
        ("g", None, 0, 0),
        ("gu", None, 1, 0),
        ("gub", None, 0, 2),
        # The first day on which nobody could say is one of them.
        ("u", None, 1, 0),
        ("uuu", None, 3, 0),
        ("g", 5, 5, 0),
        ("b", 5, 5, 0),
        ("u", 5, 6, 0),
        # A day that is over already does not make it less.
        ("guu", 1, 2, 0),
    ],
)
def test_how_long_nobody_could_say(pattern: str, today: int | None, unknown_days: int, known_on: int) -> None:
    found = mx_state(probes(pattern), TERMS, today=day(today) if today is not None else None)
    assert (found.unknown_days, found.known_on) == (unknown_days, day(known_on))


def test_of_no_probe_nothing_is_known() -> None:
    assert state("") == MxState()
    assert state("", today=FIRST) == MxState()


def test_what_was_seen_before_the_service_was_resumed_does_not_count() -> None:
    assert [state("bbb", since=day(n)).bad_days for n in (0, 1, 2, 3)] == [3, 2, 1, 0]
    assert state("bbb", since=day(1)).first_bad == day(1)


def test_an_agreement_without_the_clock_ends_nobody() -> None:
    assert TERMS.lifecycle is not None
    section = TERMS.lifecycle.model_copy(update={"mx_bad_days": None})
    terms = TERMS.model_copy(update={"lifecycle": section})
    found = mx_state(probes("b" * 90), terms)
    assert (found.is_over, found.bad_days, ends_on(found, terms)) == (False, 90, None)
