"""Which incident an act joins and what kind a new one is, to the second.  STANDING 5.3, AL-7.1."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from typing import Any

import pytest

from filterd.agreement.incident import (
    closes_at,
    find_open,
    grace_cap,
    is_after_notice,
    is_first,
    is_in_probation,
    is_long_noticed,
    is_raised_only,
    is_zero_tolerance,
    open_incident,
)
from filterd.model import records as r
from filterd.model.ids import derived_id
from filterd.model.sanction import Ground, Mode, Rung, Violation
from filterd.model.standing import History, IncidentFile, SanctionFile
from tests.agreement.contract import shipped
from tests.agreement.rows import DAY, HOUR, SECOND, T0, history, incident, replayed, sanction, strike

TERMS = shipped()
NONE: frozenset[str] = frozenset()


def violation(family: str = "spam", mode: Mode = Mode.A) -> Violation:
    return Violation(
        category="spam.outbound",
        family=family,
        mode=mode,
        severity=2,
        ground=Ground(kind="clause", ids=("3.3.2",)),
        finding_codes=(),
    )


def joins(
    *files: IncidentFile,
    at: datetime,
    family: str = "spam",
    mode: Mode = Mode.A,
    links: frozenset[str] = NONE,
) -> str | None:
    found = find_open(history(*files), TERMS, at, (violation(family, mode),), links)
    return None if found is None else found.opened.incident_id


# --- joining ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("notices", "end"),
    [
        ((), T0 + 24 * HOUR),
        ((T0 + 2 * HOUR,), T0 + 3 * HOUR),
        # A notice late in the window makes it no longer.
        ((T0 + 23 * HOUR + SECOND,), T0 + 24 * HOUR),
        # The first of several closes it.
        ((T0 + 2 * HOUR, T0 + 5 * HOUR), T0 + 3 * HOUR),
    ],
)
def test_case_5_3_an_incident_closes_after_a_day_or_an_hour_after_its_notice(
    notices: tuple[datetime, ...], end: datetime
) -> None:
    file = incident(notices=notices)
    assert closes_at(file, TERMS) == end
    assert [joins(file, at=at) for at in (T0, end, end + SECOND)] == ["i_1", "i_1", None]


def test_case_5_7_11_what_happened_a_little_before_joins_too() -> None:
    assert [joins(incident(), at=at) for at in (T0 - DAY, T0 - DAY - SECOND)] == ["i_1", None]


def test_case_5_3_a_family_or_a_shared_text_links_and_the_older_incident_takes_it() -> None:
    adult = incident("i_2", T0 + HOUR, families=frozenset({"adult"}), links=frozenset({"x_1"}))
    spam = incident("i_1")
    at = T0 + 2 * HOUR
    assert joins(spam, adult, at=at) == "i_1"
    assert joins(spam, adult, at=at, family="adult") == "i_2"
    assert joins(spam, adult, at=at, family="fraud") is None
    assert joins(spam, adult, at=at, family="fraud", links=frozenset({"x_1"})) == "i_2"
    assert joins(adult, spam, at=at, links=frozenset({"x_1"})) == "i_1"


def test_case_5_7_14_an_excused_incident_takes_in_what_was_done_before_and_an_annulled_one_all() -> None:
    excused = incident(excused_at=T0 + HOUR)
    assert [joins(excused, at=at) for at in (T0 + HOUR - SECOND, T0 + HOUR)] == ["i_1", None]
    assert joins(incident(is_annulled=True), at=T0 + 2 * HOUR) == "i_1"


RAISED = incident(families=frozenset({"raised.abuse"}), strike=None)


def test_what_gives_points_joins_no_incident_in_which_nothing_did() -> None:
    assert is_raised_only(RAISED)
    assert not is_raised_only(incident(families=frozenset({"raised.abuse", "spam"})))
    assert not is_raised_only(incident(families=NONE))
    for mode, found in ((Mode.A, None), (Mode.B, None), (Mode.C2, "i_1")):
        assert joins(RAISED, at=T0 + HOUR, family="raised.abuse", mode=mode) == found
    both = replace(RAISED, families=frozenset({"raised.abuse", "spam"}))
    assert joins(both, at=T0 + HOUR) == "i_1"


# --- opening ----------------------------------------------------------------------------------------------------------


def opens(files: History, at: datetime, **more: Any) -> r.IncidentOpened:
    said: dict[str, Any] = {"tenant_id": "n_1", "evidence_key": "e_9", "first_delivery_key": "k_9"}
    return open_incident(files, TERMS, at, (violation(), violation("adult")), **(said | more))


def test_case_5_7_10_the_name_of_an_incident_follows_from_what_it_is() -> None:
    row = opens(history(), T0)
    assert row.incident_id == derived_id("i", "a_1", "spam", "e_9", "k_9")
    assert (row.family, row.evidence_key, row.tenant_id, row.at) == ("spam", "e_9", "n_1", T0)
    assert (row.is_first, row.is_after_notice, row.is_in_probation) == (True, False, False)
    assert opens(history(), T0, incident_id="i_7").incident_id == "i_7"


def test_a_new_incident_knows_what_counted_when_it_began() -> None:
    noticed = incident(notices=(T0 + HOUR,))
    for at, is_told in ((T0 + HOUR, False), (T0 + HOUR + SECOND, True)):
        row = opens(history(noticed), at)
        assert (row.is_first, row.is_after_notice) == (False, is_told)
    faded = opens(history(noticed), T0 + 90 * DAY)
    assert (faded.is_first, faded.is_after_notice) == (True, False)
    # By its second family as well.
    other = replace(noticed, families=frozenset({"adult"}))
    assert opens(history(other), T0 + DAY).is_after_notice
    assert not opens(history(replace(noticed, families=frozenset({"fraud"}))), T0 + DAY).is_after_notice
    assert opens(history(sanction()), T0 + 8 * DAY).is_in_probation


def test_what_was_opened_later_is_no_earlier_one() -> None:
    first, second = incident("i_1", notices=(T0 + HOUR,)), incident("i_2", T0 + DAY)
    files = history(first, second)
    assert [is_first(files, x) for x in (first, second)] == [True, False]
    assert [is_after_notice(files, x) for x in (first, second)] == [False, True]
    # In the order written, whatever their instants: a late one is not made dearer by what it did not know.
    assert is_first(history(second, first), second)


def test_nobody_is_told_of_a_family_without_points() -> None:
    told = incident(families=frozenset({"raised.abuse"}), notices=(T0 + HOUR,))
    later = incident("i_2", T0 + DAY, families=frozenset({"raised.abuse"}))
    assert not is_after_notice(history(told, later), later)


# --- probation --------------------------------------------------------------------------------------------------------

OVER = T0 + 7 * DAY


def probation(file: SanctionFile, *further: r.Record) -> list[bool]:
    """Before its end, at it, in the last second of the thirty days, and after them."""
    files = history(file, further=further)
    return [
        is_in_probation(files, TERMS, at) for at in (OVER - SECOND, OVER, OVER + 30 * DAY - SECOND, OVER + 30 * DAY)
    ]


def test_case_probation_is_thirty_days_from_the_end_of_a_suspension() -> None:
    assert probation(sanction()) == [False, True, True, False]
    assert probation(sanction(ends_at=T0 + 60 * DAY, lapses_at=OVER)) == [False, True, True, False]
    nothing = [False] * 4
    assert probation(sanction(Rung.RESTRICT)) == nothing
    assert probation(sanction(ends_at=None)) == nothing
    assert probation(sanction(lifted_at=T0 + DAY)) == nothing
    assert probation(sanction(annulled_at=OVER)) == nothing
    assert probation(sanction(objected_at=T0)) == nothing
    assert probation(sanction(replayed=(replayed(T0 + DAY, Rung.SUSPEND, ends_at=OVER),))) == nothing
    # One that leaves none hides none that does.
    files = history(sanction(Rung.RESTRICT, incident_id="i_0"), sanction(lifted_at=T0, incident_id="i_2"), sanction())
    assert is_in_probation(files, TERMS, OVER)


def cure(at: datetime, due_at: datetime, sanction_id: str = "s_i_1") -> r.CureFiled:
    return r.CureFiled(
        at=at,
        cure_id="u_1",
        sanction_id=sanction_id,
        has_stopped=True,
        has_measures=True,
        has_compensation=True,
        has_waiver=False,
        by="Chief",
        due_at=due_at,
    )


def test_t_al_7_1_what_a_cure_lifted_is_on_probation_all_the_same() -> None:
    filed = cure(T0 + DAY, OVER)
    long = sanction(ends_at=T0 + 60 * DAY)
    assert probation(long, filed) == [False, True, True, False]
    assert probation(sanction(Rung.RESTRICT, ends_at=None), filed) == [False, True, True, False]
    # What was over before the answer, annulled, or a mere warning, is none.
    assert probation(sanction(ends_at=OVER - SECOND), filed) == [True, True, False, False]
    assert probation(sanction(Rung.RESTRICT, ends_at=OVER - SECOND), filed) == [False] * 4
    assert probation(replace(long, annulled_at=OVER), filed) == [False] * 4
    assert probation(sanction(Rung.WARN, ends_at=None), filed) == [False] * 4
    assert probation(long, cure(T0 + DAY, OVER, "s_9")) == [False] * 4


# --- grace ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("severity", "hours"), [(1, 24), (2, 4), (3, 1)])
def test_case_grace_s1_s2_s3_from_the_latest_notice(severity: int, hours: int) -> None:
    told = T0 + 2 * HOUR
    earlier = incident(strike=strike(severity=severity), notices=(T0 + HOUR, told))
    end = told + hours * HOUR

    def cap(at: datetime) -> int | None:
        later = incident("i_2", at)
        return grace_cap(history(earlier, later, sanction(Rung.RESTRICT, step=2)), TERMS, later)

    assert [cap(at) for at in (told, end, end + SECOND)] == [2, 2, None]


def test_case_grace_caps_at_what_the_notice_told_of_and_the_mildest_binds() -> None:
    at = T0 + 2 * HOUR
    later = incident("i_9", at)
    first = incident("i_1", notices=(T0 + HOUR,))
    steps = [sanction(Rung.RESTRICT, step=step, starts_at=T0 + n * HOUR) for n, step in enumerate((0, 1, 2))]
    # What was imposed after the notice it did not tell of.
    assert grace_cap(history(first, later, *steps), TERMS, later) == 1
    assert grace_cap(history(first, later), TERMS, later) == 0
    # A notice that has not gone out is one just received.
    assert grace_cap(history(incident("i_1"), later, *steps), TERMS, later) == 2
    assert grace_cap(history(incident("i_1", notices=(at + SECOND,)), later, *steps), TERMS, later) == 2
    other = incident("i_2", notices=(T0 + HOUR,))
    both = (*steps, sanction(Rung.WARN, incident_id="i_2", step=0))
    assert grace_cap(history(first, other, later, *both), TERMS, later) == 0
    assert grace_cap(history(later), TERMS, later) is None
    # One whose grace is over binds nobody, and hides none that does.
    old = incident("i_0", T0 - 9 * DAY, notices=(T0 - 8 * DAY,))
    assert grace_cap(history(old, first, later, *steps), TERMS, later) == 1


def test_from_the_second_zero_tolerance_incident_on_there_is_no_grace() -> None:
    virus: dict[str, Any] = {"recipients": (("malware", 1, 1),)}
    first, later = incident(notices=(T0 + HOUR,), **virus), incident("i_2", T0 + HOUR, **virus)
    assert grace_cap(history(first, later), TERMS, later) is None
    assert grace_cap(history(replace(first, recipients=(("spam.outbound", 1, 1),)), later), TERMS, later) == 0
    plain = incident("i_2", T0 + HOUR)
    assert grace_cap(history(first, plain), TERMS, plain) == 0


def test_zero_tolerance_is_malware_and_its_like_in_mode_a_or_a_burst() -> None:
    assert is_zero_tolerance(incident(recipients=(("malware", 1, 1),)), TERMS)
    assert is_zero_tolerance(incident(recipients=(("spam.outbound", 1, 1), ("phishing.known", 2, 1))), TERMS)
    assert not is_zero_tolerance(incident(recipients=(("malware", 3, 0),)), TERMS)
    assert not is_zero_tolerance(incident(), TERMS)
    assert is_zero_tolerance(incident(has_burst=True), TERMS)


# --- written notice ---------------------------------------------------------------------------------------------------


def test_t_al_7_1_a_suspension_takes_a_notice_received_24_hours_before_to_the_second() -> None:
    section = TERMS.incident.model_copy(update={"suspension_notice_hours": 24})
    terms = TERMS.model_copy(update={"incident": section})
    later = incident("i_2", T0 + 2 * DAY)

    def noticed(*notices: datetime) -> bool:
        return is_long_noticed(history(incident(notices=notices), later), terms, later)

    day_before = T0 + DAY
    assert [noticed(day_before), noticed(day_before + SECOND), noticed()] == [True, False, False]
    # The first counts: what was told a week ago is not told anew by a second warning.
    assert noticed(T0 + HOUR, day_before + SECOND)
    assert not is_long_noticed(history(later), terms, later)
    assert is_long_noticed(history(later), TERMS, later)
