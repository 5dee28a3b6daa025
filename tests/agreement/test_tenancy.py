"""What counts against an enterprise and what follows.  STANDING 5.4 row 11, 5.7-15; TX-2.2.2, TX-3.6, AL-3.2.

Tables of numbers, and a second, naive recomputation that shares no code with the first.
"""

from __future__ import annotations

import math
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from filterd.agreement.fold import apply, fold
from filterd.agreement.sections_tenant import TenantScore, TenantSection
from filterd.agreement.standing import standing_at
from filterd.agreement.tenancy import Act, charge, is_about_tenant, settle
from filterd.agreement.tenant_score import Counted, score_of, tenant_score
from filterd.agreement.tenant_steps import is_idle, open_proposals, running_locks, running_steps, tenant_limits
from filterd.agreement.terms import Agreement
from filterd.model import records as r
from filterd.model.sanction import Ground, Mode, Rung, Violation
from filterd.model.standing import History, Surroundings
from tests.agreement.mutants import refusal, shipped, text_of

pytestmark = pytest.mark.slow

NOON = datetime(2026, 11, 2, 12, 0, tzinfo=UTC)
DAY, HOUR = timedelta(days=1), timedelta(hours=1)
TENANT = "n_1"


def terms(name: str = "tencent-exmail") -> Agreement:
    return shipped(name)


def section() -> TenantSection:
    found = terms().tenant
    assert found is not None
    return found


def rules() -> TenantScore:
    found = section().score
    assert found is not None
    return found


def charged(
    incident: str, account: str = "a_1", half: int = 4, a_half: int | None = None, at: datetime = NOON, **more: object
) -> r.TenantCharged:
    row = r.TenantCharged(
        at=at,
        tenant_id=TENANT,
        account_id=account,
        incident_id=incident,
        half_points=half,
        a_half_points=half if a_half is None else a_half,
    )
    return replace(row, **more)  # type: ignore[arg-type]


def discharged(incident: str, because: str = "annulled", at: datetime = NOON) -> r.TenantDischarged:
    return r.TenantDischarged(at=at, tenant_id=TENANT, incident_id=incident, because=because)


def custody(incident: str, half: int = 8, days: int = 90) -> r.CustodyCharged:
    return r.CustodyCharged(
        at=NOON,
        tenant_id=TENANT,
        account_id="a_1",
        incident_id=incident,
        half_points=half,
        expires_at=NOON + days * DAY,
    )


def points(*rows: r.Record, seats: int | None = 4, at: datetime = NOON) -> float:
    return tenant_score(fold(TENANT, rows), seats, seats, rules(), at).points


# --- an account's history, with an incident for each letter -----------------------------------------------------------


def incident(
    name: str,
    account: str = "a_1",
    *,
    half: int = 4,
    b_half: int = 0,
    at: datetime = NOON,
    provisional: timedelta | None = None,
    is_sanctioned: bool = True,
    text_fp: str = "",
) -> tuple[r.Record, ...]:
    incident_id = f"i_{name}"
    opened = r.IncidentOpened(
        at=at,
        incident_id=incident_id,
        account_id=account,
        tenant_id=TENANT,
        family="spam",
        evidence_key=f"e_{name}",
        is_after_notice=False,
        is_first=False,
    )
    mode = Mode.A if half else Mode.B
    violation = Violation(
        category="spam.outbound",
        family="spam",
        mode=mode,
        severity=None,
        ground=Ground(kind="clause", ids=("3.3.2 tail-a",)),
        finding_codes=("content.spam.model",),
    )
    recorded = r.ViolationRecorded(
        at=at,
        incident_id=incident_id,
        decision_id=f"d_{name}",
        transaction_id=f"t_{name}",
        evidence_key=f"e_{name}",
        text_fp=text_fp or f"x_{name}",
        violations=(violation,),
        delivery_keys=(f"dl_{name}",),
        policy_digest="",
    )
    strike = r.StrikeIssued(
        at=at,
        strike_id=f"k_{name}",
        incident_id=incident_id,
        decision_id=f"d_{name}",
        category="spam.outbound",
        severity=2,
        a_half_points=half,
        b_half_points=b_half,
        provisional_until=at + provisional if provisional is not None else None,
        provisional_cap=4,
        expires_at=at + 180 * DAY,
    )
    warned = r.SanctionImposed(
        at=at,
        sanction_id=f"s_{name}",
        incident_id=incident_id,
        decision_id=f"d_{name}",
        account_id=account,
        rung=Rung.WARN,
        step=0,
        features=(),
        category="spam.outbound",
        clauses=("3.6",),
        starts_at=at,
        ends_at=at + 180 * DAY,
        lapses_at=None,
        step_down_features=(),
        is_automatic=True,
        by="system",
        warranted=Rung.WARN,
    )
    return (opened, recorded, strike, *((warned,) if is_sanctioned else ()))


class Enterprise:
    """A tenant with its accounts, as the ledger would write them down."""

    def __init__(self, seats: int | None, active: int | None = None, agreement: str = "tencent-exmail"):
        self.seats, self.active, self.terms = seats, active if active is not None else seats, terms(agreement)
        self.tenant = History(account_id=TENANT)
        self.accounts: dict[str, History] = {}

    def around(self, **more: object) -> Surroundings:
        base = Surroundings(tenant=self.tenant, seats=self.seats, active_seats=self.active)
        return replace(base, **more)  # type: ignore[arg-type]

    def write(self, account: str, *rows: r.Record) -> None:
        for row in rows:
            self.accounts[account] = apply(self.accounts.get(account, History(account_id=account)), row)

    def act(
        self,
        name: str,
        account: str = "a_1",
        *,
        at: datetime = NOON,
        more: dict[str, object] | None = None,
        **how: object,
    ) -> list[r.Record]:
        """An incident happens and is charged; says the rows about the tenant."""
        self.write(account, *incident(name, account, at=at, **how))  # type: ignore[arg-type]
        return self.recharge(name, account, at=at, more=more, text_fp=str(how.get("text_fp") or f"x_{name}"))

    def recharge(
        self, name: str, account: str, *, at: datetime, more: dict[str, object] | None = None, text_fp: str = ""
    ) -> list[r.Record]:
        act = Act(at=at, tenant_id=TENANT, incident_id=f"i_{name}", decision_id=f"d_{name}", text_fp=text_fp)
        rows = charge(self.accounts[account], self.around(**(more or {})), self.terms, act)
        assert all(is_about_tenant(row) for row in rows)
        self.take(rows)
        return list(rows)

    def annul(self, name: str, account: str = "a_1", at: datetime = NOON) -> list[r.Record]:
        row = r.StrikeAnnulled(at=at, strike_id=f"k_{name}", incident_id=f"i_{name}", by="eva", reason="wrong")
        self.write(account, row)
        return self.settle(account, at)

    def settle(self, account: str, at: datetime = NOON) -> list[r.Record]:
        rows = settle(self.accounts[account], self.around(), self.terms, TENANT, at)
        self.take(rows)
        return list(rows)

    def take(self, rows: object) -> None:
        for row in rows:  # type: ignore[attr-defined]
            self.tenant = apply(self.tenant, row)

    def points(self, at: datetime = NOON) -> float:
        return tenant_score(self.tenant, self.seats, self.active, rules(), at).points

    def steps(self, at: datetime = NOON) -> list[str]:
        return [x.step for x in running_steps(self.tenant, self.terms, at)]


def taken(rows: list[r.Record]) -> list[str]:
    return [x.proposes or x.step for x in rows if isinstance(x, r.TenantStepTaken)]


# --- the score --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("seats", "expected"), [(1, 6.0), (4, 6.0), (5, 5.367), (50, 1.697), (5000, 0.17)])
def test_case_tenant_score_seats_1_5_50_5000(seats: int, expected: float) -> None:
    rows = [charged(f"i_{n}", f"a_{n}", half=8) for n in range(3)]
    assert points(*rows, seats=seats) == pytest.approx(expected, abs=0.001)


def test_an_incident_counts_once_and_its_newest_row_says_how_much() -> None:
    assert points(charged("i_1", half=4), charged("i_1", half=8)) == 2.0
    assert points(charged("i_1", half=8), charged("i_1", half=4)) == 1.0


@pytest.mark.parametrize("because", ["annulled", "not_attributable"])
def test_what_was_annulled_or_is_nobody_s_doing_never_counts(because: str) -> None:
    assert points(charged("i_1", half=8), discharged("i_1", because)) == 0.0
    # Not even when a late row names it again.
    assert points(discharged("i_1", because), charged("i_1", half=8)) == 0.0


def test_an_incident_fades_from_the_tenant_after_its_window() -> None:
    row = charged("i_1", half=8)
    assert points(row, at=NOON + 90 * DAY - HOUR) == 2.0
    assert points(row, at=NOON + 90 * DAY) == 0.0


def test_points_in_doubt_count_for_a_warning_alone_and_then_up_to_their_cap() -> None:
    row = charged("i_1", half=8, provisional_until=NOON + 72 * HOUR, provisional_cap=4)
    before = tenant_score(fold(TENANT, [row]), 4, 4, rules(), NOON)
    assert (before.points, before.final, before.a_points) == (2.0, 0.0, 0.0)
    after = tenant_score(fold(TENANT, [row]), 4, 4, rules(), NOON + 72 * HOUR)
    assert (after.points, after.final, after.a_points) == (1.0, 1.0, 1.0)


def test_custody_points_count_in_place_of_the_incident_until_they_expire() -> None:
    rows = (charged("i_1", half=8), discharged("i_1", "not_attributable"), custody("i_1", half=8, days=60))
    assert points(*rows) == 2.0
    assert points(*rows, at=NOON + 60 * DAY) == 0.0
    assert points(custody("i_1", half=8), charged("i_1", half=8)) == 2.0
    assert points(*rows, discharged("i_1", "annulled")) == 0.0
    # Careless custody is nobody's conduct: no quota follows by itself.
    assert tenant_score(fold(TENANT, rows), 4, 4, rules(), NOON).a_points == 0.0


@pytest.mark.parametrize(
    ("active", "needed"), [(None, 3), (1, 1), (2, 1), (3, 2), (4, 2), (5, 3), (6, 3), (50, 3), (5000, 3)]
)
def test_how_many_accounts_it_takes_follows_the_seats_in_use(active: int | None, needed: int) -> None:
    assert score_of((), None, active, rules()).accounts_needed == needed


Row = tuple[int, int, int, int, bool]


@given(
    st.lists(
        st.tuples(
            st.integers(0, 5),
            st.integers(0, 3),
            st.integers(0, 12),
            st.integers(0, 120),
            st.sampled_from(["charged", "annulled", "not_attributable", "custody"]),
        ),
        max_size=12,
    ),
    st.integers(1, 60),
    st.integers(0, 150),
    st.randoms(use_true_random=False),
)
def test_prop_the_score_is_what_a_naive_sum_says_in_any_order(
    drawn: list[tuple[int, int, int, int, str]], seats: int, day: int, random: object
) -> None:
    at = NOON + day * DAY
    rows: list[r.Record] = []
    newest: dict[str, tuple[int, datetime]] = {}
    custodies: dict[str, tuple[int, datetime]] = {}
    gone, gone_for_good = set(), set()
    for number, account, half, since, what in drawn:
        key, begun = f"i_{number}", NOON + since * DAY
        if what == "charged":
            rows.append(charged(key, f"a_{account}", half=half, at=begun))
            newest[key] = (half, begun)
        elif what == "custody":
            rows.append(replace(custody(key, half=half), at=begun, expires_at=begun + 30 * DAY))
            custodies[key] = (half, begun)
        else:
            rows.append(discharged(key, what))
            gone.add(key)
            gone_for_good |= {key} if what == "annulled" else set()
    total = 0
    for key in {*newest, *custodies}:
        if key in custodies and key not in gone_for_good and custodies[key][1] <= at < custodies[key][1] + 30 * DAY:
            total += custodies[key][0]
        elif key in newest and key not in gone and newest[key][1] <= at < newest[key][1] + 90 * DAY:
            total += newest[key][0]
    expected = total / 2 / math.sqrt(max(seats, 4))
    assert points(*rows, seats=seats, at=at) == pytest.approx(expected)
    # Rows of different incidents in another order; those of one incident keep theirs.
    incidents = sorted({x.incident_id for x in rows})  # type: ignore[union-attr]
    random.shuffle(incidents)  # type: ignore[attr-defined]
    shuffled = [x for key in incidents for x in rows if x.incident_id == key]  # type: ignore[union-attr]
    assert points(*shuffled, seats=seats, at=at) == pytest.approx(expected)


# --- steps ------------------------------------------------------------------------------------------------------------


def test_the_steps_follow_the_score_and_distinct_accounts() -> None:
    house = Enterprise(4)
    assert taken(house.act("a", "a_1", half=8)) == []
    # Two of four: 4 points by 2.
    assert taken(house.act("b", "a_2", half=4)) == ["warn"]
    assert house.points() == 3.0
    # The quota says all that a warning says; nobody is warned twice while a warning is in force.
    assert taken(house.act("c", "a_2", half=8)) == ["quota"]
    assert taken(house.act("d", "a_1", half=12)) == ["quota", "suspend"]
    assert house.points() == 8.0
    assert [x.proposes for x in open_proposals(house.tenant)] == ["suspend"]


def test_the_same_incident_takes_each_step_once() -> None:
    house = Enterprise(4)
    house.act("a", "a_1", half=16)
    assert taken(house.act("b", "a_2", half=8)) == ["quota"]
    again = replace(house.accounts["a_2"].incidents[0].strike, a_half_points=9)  # type: ignore[type-var]
    house.write("a_2", again)  # type: ignore[arg-type]
    rows = house.recharge("b", "a_2", at=NOON, text_fp="x_b")
    assert [type(x) for x in rows] == [r.TenantCharged]


def test_a_message_that_changes_nothing_of_its_incident_adds_no_row() -> None:
    house = Enterprise(4)
    house.act("a")
    assert house.recharge("a", "a_1", at=NOON + HOUR, text_fp="x_a") == []


def test_a_warning_lasts_as_long_as_the_points_and_a_quota_its_hours() -> None:
    house = Enterprise(4)
    house.act("a", "a_1", half=8)
    house.act("b", "a_2", half=8, at=NOON + 10 * DAY)
    assert house.steps(NOON + 90 * DAY - HOUR) == ["warn"]
    assert house.steps(NOON + 90 * DAY) == []
    house.act("c", "a_2", half=8, at=NOON + 20 * DAY)
    assert house.steps(NOON + 20 * DAY + 72 * HOUR - HOUR) == ["warn", "quota"]
    assert house.steps(NOON + 20 * DAY + 72 * HOUR) == ["warn"]


def test_a_further_incident_goes_on_with_the_quota_of_its_own() -> None:
    house = Enterprise(4)
    house.act("a", "a_1", half=16)
    house.act("b", "a_2", half=8)
    assert taken(house.act("c", "a_2", half=1, at=NOON + 48 * HOUR)) == ["quota"]
    assert house.steps(NOON + 100 * HOUR) == ["quota"]


def test_one_member_of_fifty_never_moves_the_tenant() -> None:
    house = Enterprise(50)
    rows = [row for n in range(10) for row in house.act(f"a{n}", half=10, at=NOON + n * DAY)]
    assert house.points(NOON + 10 * DAY) > 5
    assert taken(rows) == []


def test_case_one_seat_tenant() -> None:
    house = Enterprise(1)
    assert taken(house.act("a", half=6)) == []
    assert taken(house.act("b", half=6)) == ["warn"]


def test_the_administrator_s_own_account_takes_no_others() -> None:
    house = Enterprise(50)
    assert taken(house.act("a", half=44)) == []
    house = Enterprise(50)
    assert taken(house.act("a", half=44, more={"is_admin": True})) == ["warn"]


@pytest.mark.parametrize(
    ("days", "campaign", "is_one"),
    [(0, "x_1", True), (14, "x_1", True), (15, "x_1", False), (-1, "x_1", False), (3, "x_2", False)],
)
def test_case_hydra_successor_mailbox(days: int, campaign: str, is_one: bool) -> None:
    house = Enterprise(50)
    house.act("a", "a_1", half=24, text_fp="x_1")
    opened_at = NOON + days * DAY
    at = NOON + 20 * DAY
    rows = house.act("b", "a_2", half=24, at=at, text_fp=campaign, more={"opened_at": opened_at})
    assert taken(rows) == (["warn"] if is_one else [])


def test_a_sibling_that_was_never_sanctioned_has_no_successor() -> None:
    house = Enterprise(50)
    house.act("a", "a_1", half=24, text_fp="x_1", is_sanctioned=False)
    rows = house.act("b", "a_2", half=24, at=NOON + DAY, text_fp="x_1", more={"opened_at": NOON + HOUR})
    assert taken(rows) == []


def test_contestable_points_ask_people_for_the_quota() -> None:
    house = Enterprise(4)
    house.act("a", "a_1", half=0, b_half=24)
    rows = house.act("b", "a_2", half=0, b_half=24)
    assert house.points() == 6.0
    assert taken(rows) == ["warn", "quota"]
    assert [(x.what, x.account_id) for x in rows if isinstance(x, r.TaskOpened)] == [("tenant.quota", "")]
    assert tenant_limits(house.tenant, house.terms, NOON) == ()


def test_points_in_doubt_never_lead_beyond_a_warning() -> None:
    house = Enterprise(4)
    house.act("a", "a_1", half=20, provisional=72 * HOUR)
    rows = house.act("b", "a_2", half=20, provisional=72 * HOUR)
    assert house.points() == 10.0
    assert taken(rows) == ["warn"]


def test_a_proposal_is_made_once_until_people_have_answered_it() -> None:
    house = Enterprise(4)
    house.act("a", "a_1", half=0, b_half=48)
    assert "suspend" in taken(house.act("b", "a_2", half=0, b_half=48))
    assert "suspend" not in taken(house.act("c", "a_2", half=0, b_half=8))
    (proposal,) = open_proposals(house.tenant)
    ended = r.TenantStepEnded(
        at=NOON, step_id=proposal.step_id, tenant_id=TENANT, because="lifted", by="eva", reason="looked"
    )
    house.take([ended])
    assert "suspend" in taken(house.act("d", "a_2", half=0, b_half=8))


@pytest.mark.parametrize("agreement", ["tencent-exmail", "aliyun-supplement", "house-aup"])
def test_story_s4_the_numbers_of_the_reseller(agreement: str) -> None:
    house = Enterprise(50, agreement=agreement)
    # Sums of 7, 14, 22, 29, 36, 47 and 57 points: scores of 1.0, 2.0, 3.1, 4.1, 5.1, 6.6 and 8.1.
    steps = [taken(house.act(f"i{n}", f"a_{n % 3}", half=x)) for n, x in enumerate((14, 14, 16, 14, 14, 22, 20))]
    assert steps == [[], [], ["warn"], [], ["quota"], ["quota"], ["quota", "suspend"]]
    assert house.points() == pytest.approx(57 / math.sqrt(50))


def test_without_a_ground_nothing_is_charged() -> None:
    house = Enterprise(4, agreement="aliyun-mail")
    assert house.act("a", half=48) == []
    assert house.act("b", "a_2", half=48) == []
    assert house.settle("a_1") == []


# --- undoing ----------------------------------------------------------------------------------------------------------


def test_an_annulled_incident_takes_its_steps_with_it() -> None:
    house = Enterprise(4)
    house.act("a", "a_1", half=8)
    house.act("b", "a_2", half=16)
    assert house.steps() == ["quota"]
    rows = house.annul("b", "a_2", at=NOON + HOUR)
    assert [type(x) for x in rows] == [r.TenantDischarged, r.TenantStepEnded]
    assert house.steps(NOON + HOUR) == []
    # Time served is served.
    assert house.steps(NOON) == ["quota"]
    assert house.points(NOON + HOUR) == 2.0
    assert house.annul("b", "a_2", at=NOON + HOUR) == []


def test_a_step_the_rest_still_warrants_stays() -> None:
    house = Enterprise(4)
    house.act("a", "a_1", half=16)
    house.act("b", "a_2", half=1)
    house.act("c", "a_2", half=16)
    assert house.steps() == ["warn", "quota"]
    # The warning rested on one account alone, once b is gone; the quota came with c.
    assert [type(x) for x in house.annul("b", "a_2")] == [r.TenantDischarged, r.TenantStepEnded]
    assert house.steps() == ["quota"]


def test_what_an_incident_weighed_only_later_does_not_hold_up_an_earlier_step() -> None:
    house = Enterprise(4)
    house.act("a", "a_1", half=4)
    house.act("b", "a_2", half=16)
    assert house.steps() == ["quota"]
    raised = replace(house.accounts["a_1"].incidents[0].strike, a_half_points=20)  # type: ignore[type-var]
    house.write("a_1", raised)  # type: ignore[arg-type]
    house.recharge("a", "a_1", at=NOON, text_fp="x_a")
    house.annul("b", "a_2", at=NOON + HOUR)
    assert "quota" not in [
        x.step for x in running_steps(house.tenant, house.terms, NOON + HOUR) if x.incident_ids[0] == "i_b"
    ]


def test_an_excused_strike_leaves_the_tenant_as_it_was() -> None:
    house = Enterprise(4)
    house.act("a", "a_1", half=8)
    excused = r.StrikeExcused(at=NOON, strike_id="k_a", incident_id="i_a", by="eva", attestation_id="at_1")
    house.write("a_1", excused)
    rows = house.settle("a_1")
    assert [x.because for x in rows if isinstance(x, r.TenantDischarged)] == ["not_attributable"]
    assert house.points() == 0.0


def test_an_incident_with_custody_points_and_no_charge_is_annulled_once_too() -> None:
    house = Enterprise(4)
    house.act("a", "a_1", half=8)
    house.write("a_1", r.StrikeExcused(at=NOON, strike_id="k_a", incident_id="i_a", by="eva", attestation_id="at_1"))
    house.settle("a_1")
    house.take([custody("i_a")])
    rows = house.annul("a", "a_1", at=NOON + HOUR)
    assert [x.because for x in rows if isinstance(x, r.TenantDischarged)] == ["annulled"]
    assert house.settle("a_1", NOON + HOUR) == []


def test_an_act_of_no_tenant_is_charged_to_none() -> None:
    house = Enterprise(4)
    house.write("a_1", *incident("a", half=16))
    nobody = Act(at=NOON, tenant_id="", incident_id="i_a", decision_id="d_a", text_fp="x_a")
    assert charge(house.accounts["a_1"], house.around(), house.terms, nobody) == ()
    assert charge(house.accounts["a_1"], house.around(), house.terms, replace(nobody, tenant_id=TENANT)) != ()


def test_what_people_decided_is_theirs_to_look_at_again() -> None:
    house = Enterprise(4)
    house.act("a", "a_1", half=16)
    house.act("b", "a_2", half=8)
    (quota,) = running_steps(house.tenant, house.terms, NOON)
    house.take([replace(quota, step_id="ts_human", step="suspend", ends_at=None, is_automatic=False, by="eva")])
    rows = house.annul("b", "a_2", at=NOON + HOUR)
    assert [x.what for x in rows if isinstance(x, r.TaskOpened)] == ["tenant.reassess"]
    assert house.steps(NOON + HOUR) == ["suspend"]


@given(
    st.lists(st.tuples(st.integers(0, 2), st.integers(0, 16), st.integers(0, 24)), min_size=1, max_size=8),
    st.data(),
)
def test_prop_annulment_never_raises_a_tenant(drawn: list[tuple[int, int, int]], data: st.DataObject) -> None:
    house = Enterprise(4)
    for n, (account, half, b_half) in enumerate(drawn):
        house.act(f"i{n}", f"a_{account}", half=half, b_half=b_half, at=NOON + n * HOUR)
    now = NOON + 10 * HOUR
    wrong = data.draw(st.integers(0, len(drawn) - 1))
    before, steps = house.points(now), {x.step_id for x in running_steps(house.tenant, house.terms, now)}
    proposals = {x.step_id for x in open_proposals(house.tenant)}
    rows = house.annul(f"i{wrong}", f"a_{drawn[wrong][0]}", at=now)
    assert not [x for x in rows if isinstance(x, (r.TenantStepTaken, r.CustodyCharged))]
    assert house.points(now) <= before + 1e-9
    assert {x.step_id for x in running_steps(house.tenant, house.terms, now)} <= steps
    assert {x.step_id for x in open_proposals(house.tenant)} <= proposals
    # Without the error nothing more would have happened than is left.
    other = Enterprise(4)
    for n, (account, half, b_half) in enumerate(drawn):
        if n != wrong:
            other.act(f"i{n}", f"a_{account}", half=half, b_half=b_half, at=NOON + n * HOUR)
    assert house.points(now) == pytest.approx(other.points(now))


# --- what is in force -------------------------------------------------------------------------------------------------


def lock(at: datetime = NOON, hours: int = 4, lock_id: str = "tl_1") -> r.TenantLocked:
    return r.TenantLocked(
        at=at, lock_id=lock_id, tenant_id=TENANT, until=at + hours * HOUR, by="eva", reason="outbreak"
    )


def confirmed(at: datetime, until: datetime | None) -> r.TenantLockConfirmed:
    return r.TenantLockConfirmed(at=at, lock_id="tl_1", tenant_id=TENANT, by="ben", until=until)


def may_send(*rows: r.Record, at: datetime) -> bool:
    around = Surroundings(tenant=fold(TENANT, rows))
    return standing_at(History(account_id="a_9"), terms(), at, around).may_send


def test_case_emergency_lock_opens_after_4h() -> None:
    assert not may_send(lock(), at=NOON)
    assert not may_send(lock(), at=NOON + 4 * HOUR - timedelta(seconds=1))
    assert may_send(lock(), at=NOON + 4 * HOUR)
    assert may_send(lock(), at=NOON - HOUR)


def test_a_second_person_keeps_the_lock_and_only_while_it_is_there() -> None:
    kept = (lock(), confirmed(NOON + 3 * HOUR, NOON + 20 * HOUR))
    assert not may_send(*kept, at=NOON + 19 * HOUR)
    assert may_send(*kept, at=NOON + 20 * HOUR)
    assert may_send(lock(), confirmed(NOON + 4 * HOUR, None), at=NOON + 5 * HOUR)
    unlocked = r.TenantUnlocked(at=NOON + 6 * HOUR, lock_id="tl_1", tenant_id=TENANT, by="eva", reason="over")
    assert not may_send(lock(), confirmed(NOON, None), unlocked, at=NOON + 5 * HOUR)
    assert may_send(lock(), confirmed(NOON, None), unlocked, at=NOON + 6 * HOUR)


def test_unlocking_one_of_two_locks_leaves_the_other() -> None:
    unlocked = r.TenantUnlocked(at=NOON, lock_id="tl_1", tenant_id=TENANT, by="eva", reason="over")
    assert not may_send(lock(), lock(lock_id="tl_2"), unlocked, at=NOON)
    assert [x.lock_id for x, _ in running_locks(fold(TENANT, [lock(), lock(lock_id="tl_2"), unlocked]), NOON)] == [
        "tl_2"
    ]


def test_what_is_against_the_tenant_says_nothing_about_the_account() -> None:
    around = Surroundings(tenant=fold(TENANT, [lock()]))
    standing = standing_at(History(account_id="a_9"), terms(), NOON, around)
    assert (standing.conduct.value, standing.sanctions, standing.holds) == ("good", (), ())
    assert [x.kind for x in standing.tenant_limits] == ["lock"]


def test_a_quota_is_a_feature_of_every_account() -> None:
    house = Enterprise(4)
    house.act("a", "a_1", half=16)
    house.act("b", "a_2", half=8)
    (step,) = running_steps(house.tenant, house.terms, NOON)
    house.tenant = fold(TENANT, [replace(step, quota=420)])
    standing = standing_at(History(account_id="a_9"), terms(), NOON, house.around())
    assert [str(f) for f in standing.features] == ["tenant_external_per_day:420"]
    assert standing.may_send
    assert standing_at(History(account_id="a_9"), terms(), NOON + 72 * HOUR, house.around()).features == ()


@pytest.mark.parametrize(
    ("before", "after", "said"),
    [
        ("warn_at = 3\nquota_at = 5", "warn_at = 6\nquota_at = 5", "start above 0 and rise"),
        ('[tenant]\nground = ["3.6", "4.3.1"]', '[tenant]\nground = ["3.6", "9.9"]', "names clause '9.9'"),
        ('[tenant]\nground = ["3.6", "4.3.1"]', "[tenant]", "a score needs a ground"),
        ("quota_floor = 200", "quota_floor = 0", "tenant.quota_floor"),
        ("seats_at_least = 4", "seats_at_most = 4", "tenant.score"),
    ],
)
def test_a_tenant_table_that_is_wrong_is_refused_by_name(before: str, after: str, said: str) -> None:
    text = text_of("tencent-exmail")
    assert text.count(before) == 1
    assert said in refusal(text.replace(before, after))


@pytest.mark.parametrize(("median", "quota"), [(0, 200), (100, 200), (100.5, 201), (5000, 10000)])
def test_the_quota_is_twice_the_median_and_never_below_the_floor(median: float, quota: int) -> None:
    assert section().quota(median) == quota


def test_a_proposal_unanswered_for_24_hours_makes_the_enforcing_party_idle() -> None:
    house = Enterprise(4, agreement="aliyun-supplement")
    house.act("a", "a_1", half=0, b_half=48)
    house.act("b", "a_2", half=0, b_half=48)
    assert not is_idle(house.tenant, house.terms, NOON + 24 * HOUR - timedelta(seconds=1))
    assert is_idle(house.tenant, house.terms, NOON + 24 * HOUR)
    (proposal,) = open_proposals(house.tenant)
    technical = replace(proposal, step_id="ts_t", step="quota", proposes="", is_automatic=False, is_technical=True)
    house.take([technical])
    # What the platform did for its own protection is no answer.
    assert is_idle(house.tenant, house.terms, NOON + 24 * HOUR)
    house.take([replace(technical, step_id="ts_h", is_technical=False)])
    assert not is_idle(house.tenant, house.terms, NOON + 24 * HOUR)


def test_one_known_sender_of_a_tenant_nobody_counted_is_not_the_enterprise() -> None:
    counted = (Counted(incident_id="i", account_id="a_1", half_points=40, final_half_points=40, a_half_points=40),)
    assert not score_of(counted, None, None, rules()).is_wide
    # One seat is known to be all there is (case_one_seat_tenant).
    assert score_of(counted, 1, None, rules()).is_wide
