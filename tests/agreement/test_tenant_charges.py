"""What is charged to an enterprise, when a row is written again, and what undoing takes back.  STANDING 5.7-15."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from typing import Any

import pytest

from filterd.agreement.tenancy import MAX_CAMPAIGNS, Act, charge, settle
from filterd.agreement.terms import Agreement
from filterd.model import records as r
from filterd.model.decision import NO_TEXT
from filterd.model.standing import History, IncidentFile, SanctionFile, Surroundings
from tests.agreement.contract import shipped
from tests.agreement.rows import DAY, HOUR, SECOND, T0, history, incident, opened, sanction, strike

TERMS = shipped()


def around(*rows: r.Record, **more: Any) -> Surroundings:
    return Surroundings(tenant=History(account_id="n_1", further=rows), **({"seats": 50, "active_seats": 50} | more))


def act(incident_id: str = "i_1", text_fp: str = "x_1", at: datetime = T0) -> Act:
    return Act(at=at, tenant_id="n_1", incident_id=incident_id, decision_id="d_1", text_fp=text_fp)


def charges(
    *files: IncidentFile | SanctionFile, where: Surroundings | None = None, what: Act | None = None
) -> list[r.TenantCharged]:
    rows = charge(history(*files), where or around(), TERMS, what or act())
    return [x for x in rows if isinstance(x, r.TenantCharged)]


def row(**changes: Any) -> r.TenantCharged:
    said: dict[str, Any] = {
        "at": T0,
        "tenant_id": "n_1",
        "account_id": "a_1",
        "incident_id": "i_1",
        "half_points": 4,
        "a_half_points": 4,
        "campaigns": ("x_1",),
    }
    return r.TenantCharged(**(said | changes))


# --- what is charged --------------------------------------------------------------------------------------------------


def test_an_incident_is_charged_with_what_it_weighs_for_its_account() -> None:
    assert charges(incident()) == [row()]
    half = strike(a_half_points=0, b_half_points=4)
    assert charges(incident(strike=half)) == [row(half_points=2, a_half_points=0)]
    assert charges(incident(is_annulled=True)) == []
    assert charges(incident(strike=None)) == []


def test_points_in_doubt_are_charged_as_such() -> None:
    until = T0 + 72 * HOUR
    doubtful = strike(a_half_points=8, provisional_until=until, provisional_cap=4)
    assert charges(incident(strike=doubtful)) == [
        row(half_points=8, a_half_points=8, provisional_until=until, provisional_cap=4)
    ]
    late = charges(incident(strike=doubtful), what=act(at=until))
    assert late == [row(half_points=4, a_half_points=4)]


def test_when_it_was_first_sanctioned_is_on_the_row() -> None:
    files = (incident(), sanction(at=T0 + HOUR), sanction(at=T0 + SECOND, sanction_id="s_b"))
    assert charges(*files)[0].sanctioned_at == T0 + SECOND
    assert charges(incident(), sanction(incident_id="i_2"))[0].sanctioned_at is None


@pytest.mark.parametrize(
    ("known", "what", "campaigns"),
    [
        ((), act(), ("x_1",)),
        ((), act(text_fp=NO_TEXT), ()),
        ((), act(text_fp=""), ()),
        (("x_0",), act(), ("x_0", "x_1")),
        (("x_1",), act(), None),
        # What another incident's message says is no text of this one.
        (("x_0",), act("i_2"), None),
        (
            tuple(f"y_{n}" for n in range(MAX_CAMPAIGNS - 1)),
            act(),
            (*(f"y_{n}" for n in range(MAX_CAMPAIGNS - 1)), "x_1"),
        ),
        (tuple(f"y_{n}" for n in range(MAX_CAMPAIGNS)), act(), None),
    ],
    ids=["new", "no letters", "no text", "a second", "the same", "another's", "the eighth", "the ninth"],
)
def test_the_texts_of_an_incident_are_kept_up_to_eight(
    known: tuple[str, ...], what: Act, campaigns: tuple[str, ...] | None
) -> None:
    where = around(row(campaigns=known)) if known else around()
    found = charges(incident(), where=where, what=what)
    assert [x.campaigns for x in found] == ([campaigns] if campaigns is not None else [])


@pytest.mark.parametrize(
    ("known", "files", "is_written"),
    [
        (row(), (incident(),), False),
        (row(half_points=2), (incident(),), True),
        (row(a_half_points=2), (incident(),), True),
        (row(), (incident(), sanction()), True),
        (row(sanctioned_at=T0), (incident(), sanction()), False),
        # A later sanction of an incident that had one says nothing new, nor does one that is gone.
        (row(sanctioned_at=T0 - DAY), (incident(), sanction()), False),
        (row(sanctioned_at=T0), (incident(),), False),
        (row(provisional_until=T0 + DAY), (incident(),), True),
        (row(is_successor=True), (incident(),), False),
    ],
)
def test_a_row_is_written_again_only_where_it_says_something_new(
    known: r.TenantCharged, files: tuple[IncidentFile | SanctionFile, ...], is_written: bool
) -> None:
    assert bool(charges(*files, where=around(known))) is is_written


def test_an_administrator_s_account_stays_one_and_so_does_a_successor() -> None:
    assert charges(incident(), where=around(is_admin=True)) == [row(is_admin=True)]
    assert charges(incident(), where=around(row(), is_admin=True)) == [row(is_admin=True)]
    assert charges(incident(), where=around(row(is_admin=True))) == []
    grown = incident(strike=strike(a_half_points=8))
    (again,) = charges(grown, where=around(row(is_admin=True, is_successor=True)))
    assert (again.is_admin, again.is_successor, again.half_points) == (True, True, 8)


def test_what_is_from_before_the_account_came_is_another_tenant_s() -> None:
    foreign = replace(incident(), opened=opened(tenant_id="n_0"))
    unknown = replace(incident(), opened=opened(tenant_id=""))
    assert charges(foreign, incident("i_2")) == charges(incident("i_2"))
    assert charges(unknown) == [row()]


def test_a_discharged_incident_is_never_charged_again_and_hides_no_other() -> None:
    gone = r.TenantDischarged(at=T0, tenant_id="n_1", incident_id="i_1", because="annulled")
    assert [x.incident_id for x in charges(incident(), incident("i_2"), where=around(gone))] == ["i_2"]


# --- successors -------------------------------------------------------------------------------------------------------


def sibling(**changes: Any) -> r.TenantCharged:
    said: dict[str, Any] = {"account_id": "a_0", "incident_id": "i_0", "sanctioned_at": T0, "campaigns": ("x_9",)}
    return row(**(said | changes))


@pytest.mark.parametrize(
    ("known", "opened_at", "links", "expected"),
    [
        (sibling(), T0, "x_9", True),
        (sibling(), T0 + 14 * DAY, "x_9", True),
        (sibling(), T0 + 14 * DAY + SECOND, "x_9", False),
        (sibling(), T0 - SECOND, "x_9", False),
        (sibling(), None, "x_9", False),
        (sibling(), T0, "x_8", False),
        (sibling(account_id="a_1"), T0, "x_9", False),
        (sibling(sanctioned_at=None), T0, "x_9", False),
    ],
    ids=["at once", "on the last day", "later", "before", "nobody knows", "another text", "itself", "unsanctioned"],
)
def test_case_hydra_successor_mailbox_to_the_second(
    known: r.TenantCharged, opened_at: datetime | None, links: str, expected: bool
) -> None:
    later = T0 + 20 * DAY
    file = incident(at=later, links=frozenset({links}))
    (found,) = charges(file, where=around(known, opened_at=opened_at), what=act(at=later))
    assert found.is_successor is expected


# --- undoing ----------------------------------------------------------------------------------------------------------


def settled(account: History, *rows: r.Record, terms: Agreement = TERMS) -> list[str]:
    found = settle(account, around(*rows), terms, "n_1", T0 + DAY)
    return [type(x).__name__ for x in found]


def step(**changes: Any) -> r.TenantStepTaken:
    said: dict[str, Any] = {
        "at": T0,
        "step_id": "ts_1",
        "decision_id": "d_1",
        "tenant_id": "n_1",
        "step": "quota",
        "quota": None,
        "starts_at": T0,
        "ends_at": None,
        "score_milli": 0,
        "incident_ids": ("i_1",),
        "clauses": ("3.6",),
        "is_automatic": True,
        "by": "system",
    }
    return r.TenantStepTaken(**(said | changes))


UNDONE = history(incident(is_annulled=True))


def test_undoing_an_incident_takes_its_charge_and_the_steps_that_rested_on_it() -> None:
    assert settled(UNDONE) == []
    assert settled(UNDONE, row()) == ["TenantDischarged"]
    assert settled(UNDONE, row(), step()) == ["TenantDischarged", "TenantStepEnded"]
    assert settled(UNDONE, row(), step(incident_ids=("i_2",))) == ["TenantDischarged"]
    assert settled(UNDONE, row(), step(is_automatic=False)) == ["TenantDischarged", "TaskOpened"]
    # A proposal's task is over with it.
    proposal = step(step="propose", proposes="quota")
    assert settled(UNDONE, row(), proposal) == ["TenantDischarged", "TenantStepEnded", "TaskClosed"]
    assert settled(history(incident()), row(), step()) == []
    assert settle(UNDONE, Surroundings(), TERMS, "n_1", T0) == ()
    assert settled(UNDONE, row(), terms=TERMS.model_copy(update={"tenant": None})) == []


def test_a_step_of_an_agreement_that_knows_no_score_any_more_goes_with_what_it_rested_on() -> None:
    assert TERMS.tenant is not None
    terms = TERMS.model_copy(update={"tenant": TERMS.tenant.model_copy(update={"score": None})})
    assert settled(UNDONE, row(), step(), terms=terms) == ["TenantDischarged", "TenantStepEnded"]


def test_an_excuse_discharges_a_charge_and_leaves_custody_that_an_annulment_takes() -> None:
    kept = r.CustodyCharged(
        at=T0, tenant_id="n_1", account_id="a_1", incident_id="i_1", half_points=8, expires_at=T0 + 90 * DAY
    )
    excused = history(incident(excused_at=T0))
    assert settled(excused, row()) == ["TenantDischarged"]
    assert settled(excused, kept) == []
    assert settled(UNDONE, kept) == ["TenantDischarged"]
    # Of another account it is nobody's here.
    assert settled(UNDONE, replace(kept, account_id="a_2")) == []
    assert settled(UNDONE, row(account_id="a_2")) == []
    gone = r.TenantDischarged(at=T0, tenant_id="n_1", incident_id="i_1", because="annulled")
    assert settled(UNDONE, kept, gone) == []


def test_what_weighs_less_is_charged_less_and_never_more() -> None:
    def milder(file: IncidentFile, known: r.TenantCharged) -> list[r.Record]:
        return list(settle(history(file), around(known), TERMS, "n_1", T0 + DAY))

    half = incident(strike=strike(a_half_points=2))
    assert milder(half, row()) == [row(half_points=2, a_half_points=2)]
    assert milder(incident(strike=strike(a_half_points=8)), row()) == []
    # Points in doubt are milder than final ones.
    until = T0 + 72 * HOUR
    doubtful = incident(strike=strike(a_half_points=4, provisional_until=until, provisional_cap=4))
    assert milder(doubtful, row()) == [row(provisional_until=until, provisional_cap=4)]
    assert milder(incident(strike=None), row()) == []


def steps_left(*known: r.TenantCharged, gone: str, quota: r.TenantStepTaken, seats: int = 4) -> bool:
    """Whether a step stays once one incident is annulled."""
    files = [incident(x.incident_id, is_annulled=x.incident_id == gone) for x in known if x.account_id == "a_1"]
    rows: tuple[r.Record, ...] = (*known, quota)
    found = settle(history(*files), around(*rows, seats=seats, active_seats=seats), TERMS, "n_1", T0 + DAY)
    return not any(isinstance(x, r.TenantStepEnded) for x in found)


@pytest.mark.parametrize(
    ("name", "proposes", "needed"),
    [("warn", "", 12), ("quota", "", 20), ("propose", "quota", 20), ("propose", "suspend", 32)],
)
def test_a_step_stays_where_the_rest_still_warrants_it_to_the_half_point(name: str, proposes: str, needed: int) -> None:
    # Two accounts of four seats; the score is half-points by four.
    taken = step(step=name, proposes=proposes, incident_ids=("i_1", "i_2", "i_3"))
    for points, is_left in ((needed, True), (needed - 1, False)):
        rest = (row(incident_id="i_2", half_points=1, a_half_points=1),)
        other = row(incident_id="i_3", account_id="a_2", half_points=points - 1, a_half_points=points - 1)
        assert steps_left(row(), *rest, other, gone="i_1", quota=taken) is is_left
    # One account alone is not the enterprise, whatever its points.
    alone = row(incident_id="i_3", half_points=99, a_half_points=99)
    assert not steps_left(row(), alone, gone="i_1", quota=taken)


def test_custody_points_hold_up_a_step_too() -> None:
    kept = r.CustodyCharged(
        at=T0, tenant_id="n_1", account_id="a_2", incident_id="i_3", half_points=12, expires_at=T0 + 90 * DAY
    )
    taken = step(step="warn", incident_ids=("i_1", "i_3"))
    for half, is_left in ((12, True), (11, False)):
        rows = (row(), replace(kept, half_points=half), taken)
        found = settle(
            history(incident(is_annulled=True)), around(*rows, seats=1, active_seats=1), TERMS, "n_1", T0 + DAY
        )
        assert (not any(isinstance(x, r.TenantStepEnded) for x in found)) is is_left
