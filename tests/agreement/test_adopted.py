"""What runs only once two people have let it: lists of terms, lists of locked categories, raised categories.

STANDING 5.5, CLAUSES §1. Pure: what is on record says all.
"""

from __future__ import annotations

from datetime import timedelta

import pytest

from filterd.agreement.adopted import adopted_lists, as_adopted, locked_lists, locked_lists_are_enabled, unraised
from filterd.agreement.terms import Agreement
from filterd.model import records as r
from filterd.model.decision import Disposition
from filterd.model.standing import History
from tests.agreement.contract import shipped
from tests.agreement.rows import DAY, HOUR, SECOND, T0

INSULT, HARASS = "abuse.insult", "abuse.harass"
ENABLED = r.LockedListsEnabled(at=T0, entry_id="g_on", legal_basis="order 7", by="dana", approver="erin")


def terms_list(digest: str, entry_id: str, list_id: str = "drugs") -> r.TermListAdopted:
    return r.TermListAdopted(
        at=T0,
        entry_id=entry_id,
        list_id=list_id,
        digest=digest,
        label="drugs",
        until=T0 + 30 * DAY,
        by="dana",
        approver="erin",
    )


def locked_list(digest: str, entry_id: str) -> r.LockedListAdopted:
    return r.LockedListAdopted(
        at=T0,
        entry_id=entry_id,
        list_id="terror",
        digest=digest,
        category="illegal.terror",
        until=T0 + 30 * DAY,
        by="dana",
        approver="erin",
    )


def ended(entry_id: str) -> r.EntryEnded:
    return r.EntryEnded(at=T0 + HOUR, entry_id=entry_id, by="dana", reason="over")


def site(*rows: r.Record) -> History:
    return History(account_id="site", further=rows)


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        ((), {}),
        ((terms_list("a", "g_1"), terms_list("x", "g_2", "arms")), {"drugs": "a", "arms": "x"}),
        # An edit is another content: the last one that two people have seen counts.
        ((terms_list("a", "g_1"), terms_list("b", "g_2")), {"drugs": "b"}),
        # Taken back, it is off: nobody has said that what was there before comes back.
        ((terms_list("a", "g_1"), terms_list("b", "g_2"), ended("g_2")), {}),
        ((terms_list("a", "g_1"), terms_list("b", "g_2"), ended("g_1")), {"drugs": "b"}),
    ],
)
def test_of_a_term_list_the_last_content_that_two_people_approved_runs(
    rows: tuple[r.Record, ...], expected: dict[str, str]
) -> None:
    assert adopted_lists(site(*rows)) == expected


def test_where_nobody_can_be_asked_nothing_was_approved() -> None:
    assert adopted_lists(None) == {}
    assert locked_lists(None) == {}
    assert not locked_lists_are_enabled(None)


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        ((ENABLED, locked_list("a", "g_1")), {"terror": "a"}),
        # Each alone is nothing.
        ((locked_list("a", "g_1"),), {}),
        ((ENABLED,), {}),
        ((ENABLED, locked_list("a", "g_1"), ended("g_on")), {}),
        ((ENABLED, locked_list("a", "g_1"), ended("g_1")), {}),
        ((ENABLED, locked_list("a", "g_1"), locked_list("b", "g_2"), ended("g_2")), {}),
        # Enabled anew after an end.
        (
            (
                ENABLED,
                locked_list("a", "g_1"),
                ended("g_on"),
                r.LockedListsEnabled(at=T0, entry_id="g_2", legal_basis="order 8", by="dana", approver="erin"),
            ),
            {"terror": "a"},
        ),
    ],
)
def test_a_locked_list_runs_while_both_it_and_such_lists_are_let(
    rows: tuple[r.Record, ...], expected: dict[str, str]
) -> None:
    assert {name: row.digest for name, row in locked_lists(site(*rows)).items()} == expected


def text_that_raises(*names: str) -> Agreement:
    terms = shipped()
    categories = (
        x.model_copy(update={"raised": True, "disposition": Disposition.QUARANTINE}) if x.id in names else x
        for x in terms.category
    )
    return terms.model_copy(update={"category": tuple(categories), "digest": "d" * 64})


def let(category: str, digest: str = "d" * 64, entry_id: str = "g_1") -> r.CategoryRaised:
    return r.CategoryRaised(
        at=T0,
        entry_id=entry_id,
        agreement=shipped().id,
        policy_digest=digest,
        category=category,
        by="dana",
        approver="erin",
    )


@pytest.mark.parametrize(
    ("rows", "after", "expected"),
    [
        ((), HOUR, (HARASS, INSULT)),
        ((let(INSULT),), HOUR, (HARASS,)),
        ((let(INSULT), let(HARASS, entry_id="g_2")), HOUR, ()),
        # In the instant it was let it is, before it is not.
        ((let(INSULT),), timedelta(), (HARASS,)),
        ((let(INSULT),), -SECOND, (HARASS, INSULT)),
        # Another text of the agreement is another question.
        ((let(INSULT, "e" * 64),), HOUR, (HARASS, INSULT)),
        ((let(INSULT), ended("g_1")), 2 * HOUR, (HARASS, INSULT)),
    ],
)
def test_a_category_is_raised_for_this_text_by_two_people(
    rows: tuple[r.Record, ...], after: timedelta, expected: tuple[str, ...]
) -> None:
    terms = text_that_raises(INSULT, HARASS)
    assert set(unraised(terms, site(*rows), T0 + after)) == set(expected)
    acting = as_adopted(terms, site(*rows), T0 + after)
    lowered = {x.id for x in acting.category if x.id in (INSULT, HARASS) and not x.raised}
    assert lowered == set(expected)
    assert {x.disposition for x in acting.category if x.id in lowered} <= {Disposition.ACCEPT}
    # Nothing else of the text is touched, and it bears the same digest.
    assert [x for x in acting.category if x.id not in lowered] == [x for x in terms.category if x.id not in lowered]
    assert acting.digest == terms.digest


def test_without_a_record_of_the_site_nothing_is_raised() -> None:
    assert unraised(text_that_raises(INSULT), None, T0) == (INSULT,)
    assert unraised(shipped(), None, T0) == ()
    assert as_adopted(shipped(), None, T0) is shipped()
