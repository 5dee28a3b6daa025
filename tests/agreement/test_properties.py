"""What must hold of the ladder whatever happens, over random histories.  STANDING 7.1: prop_lapse_consumes_nothing,
prop_points_max_not_sum, prop_order_independent, prop_auto_needs_a_points, prop_incident_never_silent."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from filterd.agreement.fold import apply, fold
from filterd.agreement.ladder import climb
from filterd.agreement.offence import Offence, Outcome, commit_offence
from filterd.agreement.standing import standing_at
from filterd.model import records as r
from filterd.model.sanction import Ground, Mode, Preset, Rung, Violation
from filterd.model.standing import History
from tests.agreement.contract import shipped

pytestmark = pytest.mark.slow

# More in the nightly run.
EXAMPLES = int(os.environ.get("FILTERD_ORACLE_EXAMPLES", "15"))
START = datetime(2026, 3, 2, tzinfo=UTC)
TERMS = shipped()
MAX_NUMBER = 1200
# (category, mode): what a message may breach, with the severity of those that have one.
BREACHES = (
    ("spam.outbound", Mode.A),
    ("spam.outbound", Mode.B),
    ("spam.advert", Mode.B),
    ("malware", Mode.A),
    ("phishing.known", Mode.A),
    ("fraud.scam", Mode.B),
    ("illegal.gambling", Mode.B),
)
HALF_POINTS = {1: 2, 2: 4, 3: 8}
AFTER_NOTICE = 2


@dataclass(frozen=True, kw_only=True)
class Letter:
    """One message: when, to whom, and what it breaches."""

    at: datetime
    name: str
    breaches: tuple[tuple[str, Mode], ...]
    recipients: tuple[str, ...]


def violation(category: str, mode: Mode) -> Violation:
    found = TERMS.category_of(category)
    return Violation(
        category=category,
        family=found.family,
        mode=mode,
        severity=found.fixed_severity,
        ground=Ground(kind="clause", ids=found.ground),
        finding_codes=(),
    )


def send(history: History, letter: Letter, preset: Preset = Preset.SUPERVISED) -> Outcome:
    offence = Offence(
        at=letter.at,
        tenant_id="n_1",
        transaction_id=f"t_{letter.name}",
        decision_id=f"d_{letter.name}",
        evidence_key=f"e_{letter.name}",
        text_fp=f"x_{letter.name}",
        violations=tuple(violation(*x) for x in letter.breaches),
        delivery_keys=letter.recipients,
        policy_digest="",
    )
    return commit_offence(history, offence, TERMS, preset)


def told(incident_id: str, at: datetime) -> r.NoticeSent:
    return r.NoticeSent(
        at=at,
        notice_id=f"m_{incident_id}_{at}",
        account_id="a_1",
        incident_ids=(incident_id,),
        template="warning",
        languages=("en",),
        channel="mail",
        outcome="accepted",
        deemed_at=at,
        body_digest="",
    )


def one_of_each(*names: str) -> tuple[str, ...]:
    return tuple(f"{n}@x.example" for n in names)


def runs() -> st.SearchStrategy[list[tuple[float, tuple[tuple[str, Mode], ...], int]]]:
    """Acts far enough apart to be incidents of their own: hours since the one before, what, to how many."""
    return st.lists(
        st.tuples(
            st.sampled_from([26.0, 50.0, 80.0, 200.0]),
            st.sets(st.sampled_from(BREACHES), min_size=1, max_size=3).map(lambda x: tuple(sorted(x))),
            st.sampled_from([1, 60, 120, MAX_NUMBER]),
        ),
        min_size=1,
        max_size=5,
    )


def only_a(runs: Sequence[tuple[float, tuple[tuple[str, Mode], ...], int]]) -> bool:
    return all(mode is Mode.A for _, breaches, _ in runs for _, mode in breaches)


def naive_points(breaches: Sequence[tuple[str, Mode]], recipients: int, *, is_after_notice: bool) -> tuple[int, int]:
    """What an incident weighs by STANDING 5.3 alone, with mode B at half: (all, its mode-A part)."""
    by_number = 3 if recipients >= 1000 else 2 if recipients >= 100 else 1
    severities = {"spam.outbound": by_number, "spam.advert": 1, "malware": 3, "phishing.known": 3}
    extra = AFTER_NOTICE if is_after_notice else 0
    in_a = [HALF_POINTS[severities.get(c, 2)] + extra for c, mode in breaches if mode is Mode.A]
    in_b = [(HALF_POINTS[severities.get(c, 2)] + extra) // 2 for c, mode in breaches if mode is Mode.B]
    return max([0, *in_a, *in_b]), max([0, *in_a])


# --- points -----------------------------------------------------------------------------------------------------------


@settings(max_examples=EXAMPLES, deadline=None)
@given(
    breaches=st.sets(st.sampled_from(BREACHES), min_size=1, max_size=4),
    recipients=st.sampled_from([1, 60, 120, MAX_NUMBER]),
    parts=st.integers(2, 9),
    order=st.randoms(use_true_random=False),
)
def test_prop_points_max_not_sum(
    breaches: set[tuple[str, Mode]], recipients: int, parts: int, order: object
) -> None:
    """However a run is cut up, into messages, texts, categories or workers, it weighs as much as its worst category."""
    if len({mode for category, mode in breaches if category == "spam.outbound"}) > 1:
        # One message is spam in one mode; two of them would count recipients apart.
        breaches = {x for x in breaches if x != ("spam.outbound", Mode.B)}
    kinds = tuple(sorted(breaches))
    people = one_of_each(*(str(n) for n in range(recipients)))
    whole = send(History(account_id="a_1"), Letter(at=START, name="all", breaches=kinds, recipients=people))
    history = History(account_id="a_1")
    # Each part reaches its share; every worker sees its own text, and they record in any order of the clock.
    shares = [people[n::parts] for n in range(parts)]
    letters = [
        Letter(at=START + timedelta(seconds=n), name=f"p{n}", breaches=kinds, recipients=share)
        for n, share in enumerate(shares)
        if share
    ]
    order.shuffle(letters)  # type: ignore[attr-defined]
    for letter in letters:
        history = send(history, letter).history
    assert len(history.incidents) == 1
    left, right = whole.history.incidents[0].strike, history.incidents[0].strike
    assert left is not None and right is not None  # noqa: PT018
    weigh = lambda x: (x.a_half_points, x.b_half_points, x.severity)  # noqa: E731
    assert weigh(right) == weigh(left)
    total, in_a = naive_points(kinds, recipients, is_after_notice=False)
    now = standing_at(whole.history, TERMS, START)
    assert (now.half_points, left.a_half_points) == (total, in_a)


@settings(max_examples=EXAMPLES, deadline=None)
@given(
    letters=st.lists(
        st.tuples(
            st.integers(0, 120),
            st.sampled_from(BREACHES),
            st.sampled_from([1, 40, 400]),
        ),
        min_size=2,
        max_size=6,
    ),
    order=st.randoms(use_true_random=False),
)
def test_prop_order_independent(letters: list[tuple[int, tuple[str, Mode], int]], order: object) -> None:
    """In the window of an incident the order of arrival changes no points, whatever the acts' own times are."""
    # One run, so that every letter belongs to it: the same family, or the same text.
    known = [
        Letter(
            at=START + timedelta(minutes=minutes),
            name=f"l{n}",
            breaches=(breach, ("spam.advert", Mode.B)),
            recipients=one_of_each(*(f"{n}.{x}" for x in range(number))),
        )
        for n, (minutes, breach, number) in enumerate(letters)
    ]
    weights = set()
    for _ in range(3):
        history = History(account_id="a_1")
        for letter in known:
            history = send(history, letter).history
        (incident,) = history.incidents
        assert incident.strike is not None
        weights.add((incident.strike.a_half_points, incident.strike.b_half_points, incident.strike.severity))
        order.shuffle(known)  # type: ignore[attr-defined]
    assert len(weights) == 1


def test_a_run_in_both_modes_weighs_the_same_in_either_order() -> None:
    """Sixty in mode A and sixty in mode B are one run of 120, whichever came first."""
    letters = [
        Letter(
            at=START,
            name=mode.value,
            breaches=(("spam.outbound", mode),),
            recipients=one_of_each(*(f"{mode.value}{n}" for n in range(60))),
        )
        for mode in (Mode.A, Mode.B)
    ]
    for order in (letters, letters[::-1]):
        history = History(account_id="a_1")
        for letter in order:
            history = send(history, letter).history
        strike = history.incidents[0].strike
        assert strike is not None
        assert (strike.a_half_points, strike.b_half_points, strike.severity) == (2, 4, 2)


# --- what an incident leads to ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("preset", list(Preset))
@settings(max_examples=EXAMPLES, deadline=None)
@given(history=runs())
def test_prop_incident_never_silent_and_automation_needs_a_points(
    preset: Preset, history: list[tuple[float, tuple[tuple[str, Mode], ...], int]]
) -> None:
    """Every incident leads to what it warrants, or to less with a reason and a task; above a warning only by mode-A
    points that are final, or by the rule for a chain in mode B."""
    known, at = History(account_id="a_1"), START
    for number, (hours, breaches, recipients) in enumerate(history):
        at += timedelta(hours=hours)
        people = one_of_each(*(f"{number}.{n}" for n in range(recipients)))
        done = send(known, Letter(at=at, name=str(number), breaches=breaches, recipients=people), preset)
        evaluation = done.evaluation
        assert evaluation is not None
        imposed = [x for x in done.records if isinstance(x, r.SanctionImposed)]
        tasks = [x for x in done.records if isinstance(x, r.TaskOpened)]
        warranted = climb(
            TERMS, standing_at(done.history, TERMS, at).half_points,
            is_in_probation=done.history.incidents[-1].opened.is_in_probation,
        )  # fmt: skip
        assert evaluation.warranted == warranted
        assert imposed
        if imposed[-1].step < warranted.index:
            assert evaluation.held_back is not None
            assert any(x.what.startswith("held back") for x in tasks)
        if imposed[-1].rung > Rung.WARN:
            in_a = sum(s.a_half_points for s in standing_at(done.history, TERMS, at).strikes)
            is_mode_a = any(mode is Mode.A for _, mode in breaches)
            limit = TERMS.preset[preset].b_restrict_hours
            assert climb(TERMS, in_a).index >= imposed[-1].step if is_mode_a else limit is not None
            if not is_mode_a:
                length = (imposed[-1].ends_at or at) - at
                assert (imposed[-1].rung, len(imposed[-1].features)) == (Rung.RESTRICT, 1)
                assert timedelta(0) < length <= timedelta(hours=limit or 0)
        known = apply(done.history, told(done.incident_id, at + timedelta(minutes=30)))


@settings(max_examples=EXAMPLES, deadline=None)
@given(history=runs().filter(only_a), last=st.sampled_from([("malware", Mode.A), ("spam.outbound", Mode.A)]))
def test_prop_lapse_consumes_nothing(
    history: list[tuple[float, tuple[tuple[str, Mode], ...], int]], last: tuple[str, Mode]
) -> None:
    """What the next incident gets is the same whether what came before lapsed, stepped down, was lifted, or did not."""
    known, at = History(account_id="a_1"), START
    records: list[r.Record] = []
    for number, (hours, breaches, recipients) in enumerate(history):
        at += timedelta(hours=hours)
        people = one_of_each(*(f"{number}.{n}" for n in range(recipients)))
        done = send(known, Letter(at=at, name=str(number), breaches=breaches, recipients=people))
        records += [*done.records, told(done.incident_id, at + timedelta(minutes=30))]
        known = fold("a_1", records)
    end = at + timedelta(hours=30)
    imposed = [x for x in records if isinstance(x, r.SanctionImposed) and x.rung > Rung.WARN]
    objected = [
        r.ObjectionFiled(
            at=x.at + timedelta(hours=1), appeal_id=f"p_{x.sanction_id}", sanction_id=x.sanction_id,
            incident_id=x.incident_id, account_id="a_1", channel="link",
        )
        for x in imposed
    ]  # fmt: skip
    lifted = [
        r.SanctionLifted(
            at=x.at + timedelta(hours=1), sanction_id=x.sanction_id, incident_id=x.incident_id, by="p", reason="x"
        )
        for x in imposed
    ]
    lapsing = [
        replace(x, lapses_at=x.starts_at + timedelta(hours=20))
        if isinstance(x, r.SanctionImposed) and x.rung > Rung.WARN
        else x
        for x in records
    ]
    got = []
    for rows in (records, [*records, *objected], [*records, *lifted], lapsing):
        letter = Letter(at=end, name="next", breaches=(last,), recipients=one_of_each(*map(str, range(MAX_NUMBER))))
        done = send(fold("a_1", rows), letter)
        got.append([x.step for x in done.records if isinstance(x, r.SanctionImposed)])
    assert got == [got[0]] * 4
    assert got[0]
