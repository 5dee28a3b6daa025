"""C1 and C2 have no path to any effect.  HOUSE rule 9, CLAUSES §1 and T-TX-3.3.2 (3).

Over random mail: whatever else is found, leaving the locked categories out of the agreement changes nothing but what
people are shown.
"""

from __future__ import annotations

import os
from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from filterd.agreement.category import Rule
from filterd.agreement.decide import decide
from filterd.agreement.fold import apply
from filterd.agreement.offence import Offence, commit_offence
from filterd.agreement.standing import standing_at
from filterd.agreement.terms import Agreement
from filterd.model import records as r
from filterd.model.decision import Decision
from filterd.model.sanction import Ground, Mode, Preset, Violation
from filterd.model.session import Direction
from filterd.model.standing import History
from filterd.model.verdict import Finding
from tests.agreement.cases import MEDIUM, NOON, STRONG, case, finding
from tests.agreement.contract import CODES, LABELS, shipped

pytestmark = pytest.mark.slow

# More in the nightly run, as for the ladder.
EXAMPLES = int(os.environ.get("FILTERD_ORACLE_EXAMPLES", "30"))
C1_ID, C2_IDS = "pol.security", {c.id for c in shipped().category if c.mode is Mode.C2}
SINGLE = {c.id for c in shipped().category if c.single is not None}


def only(terms: Agreement, left_out: set[str]) -> Agreement:
    """The agreement without these categories."""
    return terms.model_copy(
        update={
            "category": tuple(c for c in terms.category if c.id not in left_out),
            "rule": tuple(rule for rule in terms.rule if rule.category not in left_out),
        }
    )


def with_c1_rules() -> Agreement:
    """What the loader refuses: rules that lead to a locked category."""
    rules = tuple(Rule.model_construct(**_rule(f"content.{label}.model")) for label in LABELS)
    return shipped().model_copy(update={"rule": (*shipped().rule, *rules)})


def _rule(code: str) -> dict[str, object]:
    return {
        "finding": code,
        "category": C1_ID,
        "alone": "refuse",
        "min_confidence": 0.0,
        "below_confidence": None,
        "group": None,
    }


WITHOUT_LOCKED = only(shipped(), {c.id for c in shipped().category if c.mode in (Mode.C1, Mode.C2)})
WITHOUT_SINGLE = only(shipped(), SINGLE)
LOCKED_RULES = with_c1_rules()

findings = st.lists(
    st.builds(
        finding,
        st.sampled_from(sorted(CODES)),
        st.sampled_from([0.0, 0.3, 0.89, 0.9, 1.0]),
        st.sampled_from([(), (("gate", "B"),)]),
    ),
    max_size=8,
)
mails = st.lists(st.tuples(findings, st.sampled_from([STRONG, MEDIUM]), st.sampled_from(list(Direction))), max_size=4)


def walk(terms: Agreement, sent: list, preset: Preset) -> list[Decision]:
    """Decide on one mail after the other, a day apart at most, the history growing."""
    history, out = History(account_id="a_1"), []
    for number, (found, principal, direction) in enumerate(sent):
        item = case(
            found, principal=principal, direction=direction, evidence_key=f"e_{number}", transaction_id=f"t_{number}"
        )
        decision = decide(item, terms, preset, history, (f"k_{number}",))
        for record in decision.records:
            history = apply(history, record)
        out.append(decision)
    return out


def effects(decisions: list[Decision]) -> list[Decision]:
    return [replace(decision, advisory=()) for decision in decisions]


@pytest.mark.parametrize("preset", list(Preset))
@settings(max_examples=EXAMPLES, deadline=None)
@given(sent=mails)
def test_locked_categories_change_nothing(preset: Preset, sent: list) -> None:
    assert effects(walk(shipped(), sent, preset)) == effects(walk(WITHOUT_LOCKED, sent, preset))


@settings(max_examples=EXAMPLES, deadline=None)
@given(sent=mails)
def test_a_locked_category_has_no_effect_and_no_trace_even_with_rules(sent: list) -> None:
    plain, ruled = walk(shipped(), sent, Preset.STANDING_ORDER), walk(LOCKED_RULES, sent, Preset.STANDING_ORDER)
    assert ruled == plain
    assert all(C1_ID not in decision.advisory for decision in ruled)


@settings(max_examples=EXAMPLES, deadline=None)
@given(sent=mails)
def test_a_single_letter_of_a_bulk_category_changes_nothing(sent: list) -> None:
    """Without a sign of bulk, mode B of those categories is as if they were not there."""
    letters = [([f for f in found if f.code not in shipped().bulk], who, way) for found, who, way in sent]
    with_them = walk(shipped(), letters, Preset.SUPERVISED)
    assert effects(with_them) == effects(walk(WITHOUT_SINGLE, letters, Preset.SUPERVISED))


@settings(max_examples=EXAMPLES, deadline=None)
@given(sent=mails)
def test_only_a_and_b_are_ever_violations(sent: list) -> None:
    for decision in walk(shipped(), sent, Preset.STANDING_ORDER):
        assert {v.mode for v in decision.violations} <= {Mode.A, Mode.B}
        assert not {v.category for v in decision.violations} & C2_IDS
        assert not set(decision.advisory) & {v.category for v in decision.violations}


@pytest.mark.parametrize("mode", [Mode.C1, Mode.C2])
@pytest.mark.parametrize("category", ["pol.security", "abuse.insult", "malware", "spam.outbound", "illegal.terror"])
def test_the_ladder_gives_a_locked_mode_nothing(mode: Mode, category: str) -> None:
    """Even if one came through: no strike, no sanction, no hold, no task for it, under the boldest preset."""
    history = History(account_id="a_1")
    for number in range(6):
        act = Violation(
            category=category,
            family="any",
            mode=mode,
            severity=3,
            ground=Ground(kind="clause", ids=("3.3.2 (2)",)),
            finding_codes=(),
            is_burst=True,
        )
        offence = Offence(
            at=NOON + timedelta(days=2 * number),
            tenant_id="n_1",
            transaction_id=f"t_{number}",
            decision_id=f"d_{number}",
            evidence_key=f"e_{number}",
            text_fp=f"x_{number}",
            violations=(act,),
            delivery_keys=(f"k_{number}",),
            policy_digest="",
        )
        outcome = commit_offence(history, offence, shipped(), Preset.STANDING_ORDER)
        assert {type(record) for record in outcome.records} <= {r.IncidentOpened, r.ViolationRecorded}
        history = outcome.history
    assert standing_at(history, shipped(), NOON + timedelta(days=12)).half_points == 0


def test_the_walks_do_find_something() -> None:
    """The properties above are empty if nothing ever acts: a raised C2 category is noticed by the first of them."""
    terms = shipped()
    raised = tuple(
        c.model_copy(update={"mode": Mode.B}) if c.id == "abuse.insult" else c for c in terms.category
    )
    mutant = terms.model_copy(update={"category": raised})
    sent: list[tuple[list[Finding], object, Direction]] = [
        ([finding("content.insult.model")], STRONG, Direction.OUTBOUND)
    ]
    assert effects(walk(mutant, sent, Preset.SUPERVISED)) != effects(walk(WITHOUT_LOCKED, sent, Preset.SUPERVISED))
    (decision,) = walk(terms, sent, Preset.SUPERVISED)
    assert (decision.records, decision.notices, decision.advisory) == ((), (), ("abuse.insult",))
