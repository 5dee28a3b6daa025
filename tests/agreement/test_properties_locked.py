"""prop_c1_locked and prop_c2_ceiling.  STANDING 7.1, HOUSE rule 9, CLAUSES §1.

C1: from what any check finds there is no way to a disposition, a standing, a notice, a log or a metric, and no file
that opens one loads. C2: nothing without a person; raised by two people it may hold mail and warn, with no points.
"""

from __future__ import annotations

import os
import re
from dataclasses import replace
from datetime import timedelta
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from filterd import metrics
from filterd.agreement.category import C1_FAMILIES, RAISED_CEILING, Category, Rule
from filterd.agreement.crosswalk import rung_reach
from filterd.agreement.decide import decide
from filterd.agreement.fold import apply
from filterd.agreement.load import load
from filterd.agreement.standing import standing_at
from filterd.agreement.terms import Agreement
from filterd.agreement.violations import advisory, touched, violations
from filterd.agreement.when import Mail
from filterd.errors import ConfigError
from filterd.log.facts import decision_facts
from filterd.metrics import REGISTRY
from filterd.model import records as r
from filterd.model.decision import Decision, Disposition
from filterd.model.sanction import Mode, Preset, Rung
from filterd.model.session import Direction
from filterd.model.standing import History
from tests.agreement.cases import MEDIUM, NOON, STRANGER, STRONG, assessed, case
from tests.agreement.contract import CODES, shipped
from tests.agreement.test_load import KNOWN, TEXT, category_text

pytestmark = pytest.mark.slow

EXAMPLES = int(os.environ.get("FILTERD_ORACLE_EXAMPLES", "30"))
C1 = tuple(c.id for c in shipped().category if c.mode is Mode.C1)
C2 = tuple(c.id for c in shipped().category if c.mode is Mode.C2)
# Those a check can find, and that may wait for a person.
RAISABLE = tuple(c.id for c in shipped().category if c.mode is Mode.C2 and not c.people_only and not c.is_urgent)

codes = st.lists(st.sampled_from(sorted(CODES)), min_size=1, max_size=8, unique=True)
mails = st.lists(
    st.tuples(codes, st.sampled_from([STRONG, MEDIUM]), st.sampled_from(list(Direction)), st.integers(0, 60)),
    min_size=1,
    max_size=5,
)


def reached_by_all(terms: Agreement, category_id: str, *, alone: str = "refuse") -> Agreement:
    """The agreement with a rule from every finding to this category, as no loader would let it pass; nor that agreeing
    groups are said to raise it."""
    rules = tuple(Rule.model_construct(finding=code, category=category_id, alone=alone) for code in sorted(CODES))
    categories = (c.model_copy(update={"agreeing_groups": 2}) if c.id == category_id else c for c in terms.category)
    return terms.model_copy(update={"rule": (*terms.rule, *rules), "category": tuple(categories)})


def changed(terms: Agreement, category_id: str, **changes: Any) -> Agreement:
    """The agreement with one category changed, and checked as the loader checks it."""
    found = terms.category_of(category_id)
    made = Category.model_validate({**found.model_dump(), **changes})
    return terms.model_copy(update={"category": tuple(made if c is found else c for c in terms.category)})


def walk(terms: Agreement, sent: list[Any], preset: Preset) -> tuple[list[Decision], History]:
    """Decide on one mail after the other, each noticed, the history growing."""
    history, out, at = History(account_id="a_1"), [], NOON
    for number, (found, principal, direction, hours) in enumerate(sent):
        at += timedelta(hours=hours)
        item = case(
            found,
            at=at,
            principal=principal,
            direction=direction,
            evidence_key=f"e_{number}",
            text_fp=f"x_{number}",
            transaction_id=f"t_{number}",
        )
        decision = decide(item, terms, preset, history, (f"k_{number}",))
        for record in decision.records:
            history = apply(history, record)
        if decision.incident_id is not None and decision.records:
            history = apply(history, noticed(decision.incident_id, number, at))
        out.append(decision)
    return out, history


def noticed(incident_id: str, number: int, at: Any) -> r.NoticeSent:
    return r.NoticeSent(
        at=at,
        notice_id=f"m_{number}",
        account_id="a_1",
        incident_ids=(incident_id,),
        template="warning",
        languages=("en",),
        channel="mail",
        outcome="accepted",
        deemed_at=at + timedelta(minutes=1),
        body_digest="",
    )


# --- prop_c1_locked ---------------------------------------------------------------------------------------------------


@settings(max_examples=EXAMPLES, deadline=None)
@given(sent=mails, locked=st.sampled_from(C1), preset=st.sampled_from(list(Preset)))
def test_a_c1_verdict_changes_no_disposition_no_standing_and_no_notice(
    sent: list[Any], locked: str, preset: Preset
) -> None:
    """Every finding leads to it, as no loader lets pass: all is as if it were not there, to the last field."""
    ruled, plain = walk(reached_by_all(shipped(), locked), sent, preset), walk(shipped(), sent, preset)
    assert ruled == plain


@settings(max_examples=EXAMPLES, deadline=None)
@given(sent=mails, locked=st.sampled_from(C1))
def test_a_c1_verdict_is_in_no_event_and_in_no_metric(sent: list[Any], locked: str) -> None:
    terms = reached_by_all(shipped(), locked)
    metrics.allow({x for c in shipped().category for x in (c.id, c.family)})
    for decision in walk(terms, sent, Preset.STANDING_ORDER)[0]:
        # As a word of its own: findings may be called alike.
        assert not re.search(rf'["./]{re.escape(locked)}"', text_of(decision))
        for record in decision.records:
            metrics.observe_record(record)
    assert labels() & set(C1) == set()


@settings(max_examples=EXAMPLES, deadline=None)
@given(found=codes, locked=st.sampled_from(C1), who=st.sampled_from([STRONG, MEDIUM, STRANGER]))
def test_strangers_mail_and_mail_between_colleagues_never_meets_a_c1_category(
    found: list[str], locked: str, who: Any
) -> None:
    terms, heard = reached_by_all(shipped(), locked), assessed(*found)
    for direction in (Direction.INBOUND, Direction.INTERNAL):
        mail = Mail(facts=case(found).facts, direction=direction, strength=who.strength)
        acts = violations(terms, heard, direction, is_attributed=True, mail=mail)
        shown = advisory(terms, heard, direction, has_account=True, is_attributed=False, mail=mail)
        assert locked not in {*(v.category for v in acts), *shown}
    # What the categories themselves say of the mail: locked, and nothing else.
    assert {item.mode for item in touched(terms, heard) if item.category.id == locked} <= {Mode.C1}


raising = st.one_of(
    st.fixed_dictionaries({"mode": st.sampled_from(["A", "B", "C2"]), "severity": st.sampled_from([1, 2, 3])}),
    st.fixed_dictionaries({"disposition": st.sampled_from(["tag", "defer", "reject", "discard"])}),
    st.fixed_dictionaries({"scope": st.sampled_from([["links"], ["sending"], ["messages_per_hour:20"]])}),
    st.just({"zero_tolerance": True}),
    st.just({"people_only": False}),
    st.just({"raised": True}),
    st.just({"single": "C2"}),
)


LOCKED_BY_TYPE = tuple(c for c in C1 if shipped().category_of(c).is_locked_by_type)


@settings(max_examples=EXAMPLES * 3, deadline=None)
@given(locked=st.sampled_from(LOCKED_BY_TYPE), change=raising, also=raising)
def test_no_file_that_raises_a_c1_category_loads(locked: str, change: dict[str, Any], also: dict[str, Any]) -> None:
    for said in (change, {**also, **change}):
        with pytest.raises(ValidationError):
            changed(shipped(), locked, **said)


def test_politics_religion_reputation_and_rights_are_locked_by_type() -> None:
    assert set(C1) - set(LOCKED_BY_TYPE) == {"illegal.other", "other"}
    assert {shipped().category_of(c).family for c in LOCKED_BY_TYPE} == C1_FAMILIES
    # Nor under another name of the same family, nor under the name in another family.
    for change in ({"id": "other.thing"}, {"family": "abuse"}):
        with pytest.raises(ValidationError, match="is C1 and cannot be raised"):
            changed(shipped(), "rights.ip", mode="C2", **change)


def test_the_loader_names_the_line_of_a_c1_category_that_was_raised() -> None:
    old = category_text("rights.ip")
    text = TEXT.replace(old, old.replace('mode = "C1"', 'mode = "B"'))
    with pytest.raises(ConfigError, match="is C1 and cannot be raised") as caught:
        load(text.encode(), "terms.toml", KNOWN)
    assert caught.value.line is not None
    assert (caught.value.key or "").startswith("category.")


# --- prop_c2_ceiling --------------------------------------------------------------------------------------------------


@settings(max_examples=EXAMPLES, deadline=None)
@given(sent=mails, name=st.sampled_from(C2), preset=st.sampled_from(list(Preset)))
def test_an_unraised_c2_category_has_no_effect_without_a_person(
    sent: list[Any], name: str, preset: Preset
) -> None:
    terms = shipped().model_copy(update={"rule": tuple(x for x in shipped().rule if x.category != name)})
    ruled = reached_by_all(terms, name, alone="B")
    said, plain = walk(ruled, sent, preset), walk(terms, sent, preset)
    assert [replace(x, advisory=()) for x in said[0]] == [replace(x, advisory=()) for x in plain[0]]
    assert said[1] == plain[1]


@settings(max_examples=EXAMPLES, deadline=None)
@given(sent=mails, name=st.sampled_from(RAISABLE), preset=st.sampled_from(list(Preset)))
def test_a_raised_c2_category_warns_and_never_more(sent: list[Any], name: str, preset: Preset) -> None:
    """It is the only category there is: whatever comes, a warning is all, and no point counts."""
    alone = changed(shipped(), name, raised=True)
    alone = reached_by_all(alone.model_copy(update={"rule": (), "protection": ()}), name, alone="B")
    decisions, history = walk(alone, sent, preset)
    for decision in decisions:
        kinds = {type(record) for record in decision.records}
        assert kinds <= {r.IncidentOpened, r.ViolationRecorded, r.SanctionImposed, r.TaskOpened}
        assert {x.rung for x in decision.records if isinstance(x, r.SanctionImposed)} <= {Rung.WARN}
        assert decision.disposition.value in RAISED_CEILING
    standing = standing_at(history, alone, NOON + timedelta(days=400))
    assert (standing.half_points, standing.features, history.holds) == (0, (), ())
    assert all(s.imposed.rung is Rung.WARN for s in history.sanctions)
    assert all(i.strike is None for i in history.incidents)


def test_a_raised_c2_category_does_warn_once_an_incident_and_asks_a_person() -> None:
    terms = changed(shipped(), "abuse.insult", raised=True, disposition="tag")
    sent = [(["content.insult.model"], STRONG, Direction.OUTBOUND, hours) for hours in (0, 0, 30)]
    decisions, history = walk(terms, sent, Preset.SUPERVISED)
    assert [[x.template for x in d.notices] for d in decisions] == [["warning"], [], ["warning"]]
    assert [len([x for x in d.records if isinstance(x, r.TaskOpened)]) for d in decisions] == [1, 0, 1]
    assert {d.disposition for d in decisions} == {Disposition.TAG}
    (warning,) = [x for x in decisions[0].records if isinstance(x, r.SanctionImposed)]
    assert (warning.rung, warning.category) == (Rung.WARN, "abuse.insult")
    assert warning.clauses == (*terms.category_of("abuse.insult").ground, *terms.sanction_ground)
    assert [v.mode for v in decisions[0].violations] == [Mode.C2]
    assert decisions[0].advisory == ()
    standing = standing_at(history, terms, NOON + timedelta(hours=31))
    assert (standing.rung, standing.half_points) == (Rung.WARN, 0)
    # The last row of the rung-reach table (STANDING 5.9): raised, a warning; else nothing.
    assert {x.text for x in rung_reach(terms) if x.category == "abuse.insult"} == {"warn"}
    assert {x.text for x in rung_reach(shipped()) if x.category == "abuse.insult"} == {"nothing"}


@settings(max_examples=EXAMPLES, deadline=None)
@given(sent=mails, name=st.sampled_from(RAISABLE), preset=st.sampled_from(list(Preset)))
def test_raising_a_c2_category_adds_no_point_to_what_else_is_found(
    sent: list[Any], name: str, preset: Preset
) -> None:
    terms = changed(shipped(), name, raised=True)
    raised, plain = walk(terms, sent, preset)[1], walk(shipped(), sent, preset)[1]
    for hours in (0, 100, 2000):
        at = NOON + timedelta(hours=hours)
        assert standing_at(raised, terms, at).half_points <= standing_at(plain, shipped(), at).half_points
    assert [x.imposed.rung for x in raised.sanctions if x.imposed.rung > Rung.WARN] == [
        x.imposed.rung for x in plain.sanctions if x.imposed.rung > Rung.WARN
    ]


GAMBLING = ["content.gambling.model", "rate.message.bulk"]


@pytest.mark.parametrize("text", [None, "x_same"])
def test_a_warning_without_points_does_not_decide_when_another_act_begins(text: str | None) -> None:
    """Of the same family, then of the same text: the acts that count join and part as if it had never been."""
    terms = changed(shipped(), "illegal.violence", raised=True)
    points = []
    for agreement in (terms, shipped()):
        history = History(account_id="a_1")
        for number, minutes in enumerate((0, 40, 90)):
            at = NOON + timedelta(minutes=minutes)
            found = ["content.violence.model"] if number == 0 else GAMBLING
            said = {"at": at, "text_fp": text or f"x_{number}", "evidence_key": f"e_{number}"}
            decision = decide(case(found, **said), agreement, Preset.SUPERVISED, history, (f"k_{number}",))
            for record in decision.records:
                history = apply(history, record)
            if decision.notices and decision.incident_id is not None:
                history = apply(history, noticed(decision.incident_id, number, at))
        points.append(standing_at(history, agreement, NOON + timedelta(minutes=91)).half_points)
    assert points == [2, 2]


@pytest.mark.parametrize(
    ("name", "change"),
    [
        *(("abuse.insult", {"disposition": x}) for x in ("defer", "reject", "discard")),
        ("abuse.insult", {"scope": ["links"]}),
        ("abuse.insult", {"zero_tolerance": True}),
        ("illegal.abet", {}),
        ("illegal.terror", {}),
        ("illegal.gambling", {}),
        ("malware", {}),
        ("pol.honour", {}),
    ],
)
def test_what_goes_beyond_hold_and_warn_does_not_load(name: str, change: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        changed(shipped(), name, raised=True, **change)


# --- what is looked at ------------------------------------------------------------------------------------------------


def text_of(decision: Decision) -> str:
    """What the event stream has of it."""
    return orjson.dumps(decision_facts(decision), default=str).decode()


def labels() -> set[str]:
    return {value for metric in REGISTRY.collect() for sample in metric.samples for value in sample.labels.values()}
