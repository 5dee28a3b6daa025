"""Which incident an act joins, at the borders of its window, and what is probation.  STANDING 5.3, 5.7-10, 5.7-11."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from filterd.agreement.category import RAISED_FAMILY
from filterd.agreement.incident import closes_at, find_open, grace_cap, is_after_notice, is_in_probation
from filterd.model import records as r
from filterd.model.sanction import Feature, Ground, Mode, Rung, Violation
from filterd.model.standing import History, IncidentFile, SanctionFile
from tests.agreement.mutants import shipped
from tests.agreement.test_walks import START, TERMS

SUPPLEMENT = shipped("aliyun-supplement")
INSTANT = timedelta(microseconds=1)


def hour(number: float) -> datetime:
    return START + timedelta(hours=number)


def incident(name: str = "i_1", at: datetime = START, family: str = "spam", **changes: object) -> IncidentFile:
    opened = r.IncidentOpened(
        at=at,
        incident_id=name,
        account_id="a_1",
        tenant_id="n_1",
        family=family,
        evidence_key="e_1",
        is_after_notice=False,
        is_first=True,
        is_in_probation=False,
    )
    file = IncidentFile(opened=opened, families=frozenset({family}), links=frozenset({"e_1", "x_1"}))
    return replace(file, **changes)


def violation(family: str = "spam", mode: Mode = Mode.A) -> Violation:
    return Violation(
        category="spam.outbound",
        family=family,
        mode=mode,
        severity=1,
        ground=Ground(kind="clause", ids=("3.3.2 tail-a",)),
        finding_codes=(),
    )


def joined(*files: IncidentFile, at: datetime, family: str = "spam", links: tuple[str, ...] = ()) -> str | None:
    history = History(account_id="a_1", incidents=files)
    found = find_open(history, TERMS, at, (violation(family),), frozenset(links))
    return found.opened.incident_id if found is not None else None


@pytest.mark.parametrize(
    ("at", "is_joined"),
    [
        (hour(24), True),
        (hour(24) + INSTANT, False),
        (hour(-24), True),
        (hour(-24) - INSTANT, False),
        (START, True),
    ],
)
def test_case_5_7_11_the_window_is_a_day_either_way_and_its_ends_belong_to_it(at: datetime, is_joined: bool) -> None:
    assert (joined(incident(), at=at) == "i_1") is is_joined


@pytest.mark.parametrize(
    ("noticed", "closes"), [((), 24), ((hour(2),), 3), ((hour(2), hour(9)), 3), ((hour(23),), 24), ((hour(23.5),), 24)]
)
def test_it_closes_an_hour_after_the_first_notice_and_never_later_than_its_window(
    noticed: tuple[datetime, ...], closes: float
) -> None:
    file = incident(notices=noticed)
    assert closes_at(file, TERMS) == hour(closes)
    assert joined(file, at=hour(closes)) == "i_1"
    assert joined(file, at=hour(closes) + INSTANT) is None


def test_it_is_joined_by_family_or_by_link_and_by_nothing_else() -> None:
    assert joined(incident(), at=START, family="malware") is None
    assert joined(incident(), at=START, family="malware", links=("e_9", "x_1")) == "i_1"
    assert joined(incident(), at=START, links=("e_9",)) == "i_1"


def test_of_two_the_older_is_joined() -> None:
    older, newer = incident("i_1"), incident("i_2", at=hour(5))
    assert joined(newer, older, at=hour(6)) == "i_1"
    assert joined(newer, older, at=hour(24.5)) == "i_2"


def test_an_annulled_one_still_takes_in_and_an_excused_one_only_what_was_before() -> None:
    assert joined(incident(is_annulled=True), at=hour(1)) == "i_1"
    excused = incident(excused_at=hour(2))
    assert joined(excused, at=hour(2) - INSTANT) == "i_1"
    assert joined(excused, at=hour(2)) is None


# --- probation --------------------------------------------------------------------------------------------------------

DAYS = timedelta(days=TERMS.probation_days)
ENDED = hour(168)


def suspension(**changes: object) -> SanctionFile:
    imposed = r.SanctionImposed(
        at=START,
        sanction_id="s_1",
        incident_id="i_1",
        decision_id="d_1",
        account_id="a_1",
        rung=Rung.SUSPEND,
        step=3,
        features=(),
        category="malware",
        clauses=(),
        starts_at=START,
        ends_at=ENDED,
        lapses_at=None,
        step_down_features=(Feature(name="attachments"),),
        is_automatic=True,
        by="system",
        warranted=Rung.SUSPEND,
    )
    return SanctionFile(imposed=replace(imposed, **changes))


def probation(file: SanctionFile, at: datetime, *further: r.Record) -> bool:
    return is_in_probation(History(account_id="a_1", sanctions=(file,), further=further), TERMS, at)


@pytest.mark.parametrize(
    ("at", "expected"),
    [(ENDED - INSTANT, False), (ENDED, True), (ENDED + DAYS - INSTANT, True), (ENDED + DAYS, False)],
)
def test_probation_begins_with_the_end_of_a_suspension_and_lasts_its_days(at: datetime, expected: bool) -> None:
    assert probation(suspension(), at) is expected


def test_a_lapse_is_an_end_too_and_a_restriction_or_an_open_end_is_none() -> None:
    assert probation(suspension(lapses_at=hour(72)), hour(72))
    assert not probation(suspension(lapses_at=hour(72)), hour(72) + DAYS)
    assert not probation(suspension(rung=Rung.RESTRICT), ENDED)
    assert not probation(suspension(ends_at=None), ENDED)


def test_what_people_ended_or_undid_leaves_none() -> None:
    file = suspension()
    assert not probation(replace(file, lifted_at=hour(100)), hour(101))
    assert not probation(replace(file, annulled_at=hour(100)), hour(101))
    stepped_down = replace(file, objected_at=hour(1), appeal_id="p_1")
    assert not probation(stepped_down, ENDED)


def cure(**changes: object) -> r.CureFiled:
    filed = r.CureFiled(
        at=hour(10),
        cure_id="c_1",
        sanction_id="s_1",
        has_stopped=True,
        has_measures=True,
        has_compensation=False,
        has_waiver=True,
        by="ann",
        due_at=hour(50),
    )
    return replace(filed, **changes)


def answer(outcome: str, at: float) -> r.CureAnswered:
    return r.CureAnswered(at=hour(at), cure_id="c_1", sanction_id="s_1", outcome=outcome, by="ana", reason="x")


ACCEPTED = (cure(), answer("accepted", 20))


@pytest.mark.parametrize(
    ("records", "at", "expected"),
    [
        (ACCEPTED, hour(20) - INSTANT, False),
        (ACCEPTED, hour(20), True),
        (ACCEPTED, hour(20) + DAYS - INSTANT, True),
        ((cure(), answer("refused", 20)), hour(60), False),
        ((cure(),), hour(50), True),
        ((cure(),), hour(50) - INSTANT, False),
        # An answer after its time is none.
        ((cure(), answer("refused", 50)), hour(50), True),
        ((cure(has_waiver=False),), hour(50), False),
        ((cure(has_stopped=False),), hour(50), False),
        ((cure(sanction_id="s_9"),), hour(50), False),
    ],
)
def test_case_al_7_1_what_was_mended_is_on_probation_all_the_same(
    records: tuple[r.Record, ...], at: datetime, expected: bool
) -> None:
    assert probation(suspension(ends_at=None), at, *records) is expected


def test_the_probation_of_a_cure_ends_too() -> None:
    assert not probation(suspension(ends_at=None), hour(20) + DAYS, *ACCEPTED)
    assert not probation(suspension(rung=Rung.WARN, ends_at=None), hour(20), *ACCEPTED)
    undone = replace(suspension(ends_at=None), annulled_at=hour(30))
    assert not probation(undone, hour(31), *ACCEPTED)


# --- grace ------------------------------------------------------------------------------------------------------------


def struck(name: str, at: float, *noticed: float, severity: int = 2) -> IncidentFile:
    strike = r.StrikeIssued(
        at=hour(at),
        strike_id=f"k_{name}",
        incident_id=name,
        decision_id="d_1",
        category="spam.outbound",
        severity=severity,
        a_half_points=4,
        b_half_points=0,
        provisional_until=None,
        provisional_cap=4,
        expires_at=hour(at) + timedelta(days=180),
    )
    return incident(name, at=hour(at), strike=strike, notices=tuple(hour(n) for n in noticed))


# The grace of S2 is four hours (STANDING 5.3 step 3).
@pytest.mark.parametrize(
    ("began", "noticed", "cap"),
    [
        (6, (2,), 0),
        (6.01, (2,), None),
        (3, (), 0),
        # A notice yet to come when it began counts as one just received.
        (3, (9,), 0),
        (6.01, (2, 5), 0),
        (2, (2,), 0),
    ],
)
def test_who_could_not_have_heeded_a_notice_is_capped_by_what_it_told(
    began: float, noticed: tuple[float, ...], cap: int | None
) -> None:
    earlier, later = struck("i_1", 0, *noticed), struck("i_2", began)
    history = History(account_id="a_1", incidents=(earlier, later))
    assert grace_cap(history, TERMS, later) == cap


def test_the_cap_is_the_step_the_notice_told_of() -> None:
    earlier, later = struck("i_1", 0, 2), struck("i_2", 3)
    told, not_told = suspension(step=2, starts_at=hour(1)), suspension(step=4, starts_at=hour(2.5), sanction_id="s_2")
    another = suspension(step=3, incident_id="i_9", starts_at=hour(1), sanction_id="s_3")
    history = History(account_id="a_1", incidents=(earlier, later), sanctions=(told, not_told, another))
    assert grace_cap(history, TERMS, later) == 2


def test_of_several_notices_the_latest_says_what_was_told() -> None:
    earlier, later = struck("i_1", 0, 1, 3), struck("i_2", 4)
    between = suspension(step=2, starts_at=hour(2))
    history = History(account_id="a_1", incidents=(earlier, later), sanctions=(between,))
    assert grace_cap(history, TERMS, later) == 2


def test_of_several_graces_the_mildest_binds() -> None:
    first, second, later = struck("i_1", 0, 2), struck("i_2", 1, 2), struck("i_3", 3)
    sanctions = (suspension(step=2), suspension(step=1, incident_id="i_2", sanction_id="s_2"))
    history = History(account_id="a_1", incidents=(first, second, later), sanctions=sanctions)
    assert grace_cap(history, TERMS, later) == 1


# --- after notice -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("began", "noticed", "families", "expected"),
    [
        (3, (2,), {"spam"}, True),
        (2, (2,), {"spam"}, False),
        (3, (), {"spam"}, False),
        (3, (2,), {"malware"}, False),
        (3, (2,), {"malware", "spam"}, True),
        # A warning without points makes nothing dearer that has points (STANDING 7.1, prop_c2_ceiling).
        (3, (2,), {"malware", f"{RAISED_FAMILY}privacy"}, False),
    ],
)
def test_an_act_is_dearer_only_after_its_author_was_told_of_one_like_it(
    began: float, noticed: tuple[float, ...], families: set[str], expected: bool
) -> None:
    earlier = replace(struck("i_1", 0, *noticed), families=frozenset({"spam", f"{RAISED_FAMILY}privacy"}))
    later = replace(struck("i_2", began), families=frozenset(families))
    assert is_after_notice(History(account_id="a_1", incidents=(earlier, later)), later) is expected
