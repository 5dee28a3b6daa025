"""What a category and a rule of an agreement file may say, and what they mean for a finding.  CLAUSES §1."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from filterd.agreement.category import FEATURES, Category, Protection, Rule, misleads
from filterd.agreement.crosswalk import Reach, Staff, crosswalk, label_of, severity_text, staff_reach
from filterd.agreement.sections_lifecycle import HolidaysSection, LifecycleSection
from filterd.agreement.sections_security import SecuritySection
from filterd.agreement.sections_tenant import TenantScore, TenantSection
from filterd.agreement.terms import Agreement
from filterd.errors import UsageError
from filterd.model.decision import Disposition
from filterd.model.sanction import Mode, Preset, Rung
from tests.agreement.contract import shipped
from tests.agreement.mutants import shipped as agreement

TERMS = shipped()
PLAIN: dict[str, Any] = {
    "id": "spam.test",
    "en": "test",
    "zh": "测试",
    "family": "spam",
    "ground": ("1",),
    "mode": "B",
    "severity": 2,
    "disposition": "tag",
}


def category(**changes: Any) -> Category:
    said = {key: value for key, value in (PLAIN | changes).items() if value is not ...}
    return Category.model_validate(said)


def wrong(**changes: Any) -> str | None:
    try:
        category(**changes)
    except ValidationError as err:
        return str(err.errors()[0]["msg"])
    return None


LOCKED: dict[str, Any] = {"mode": "C2", "disposition": "accept"}
RAISED: dict[str, Any] = {"mode": "C2", "disposition": "quarantine", "raised": True}
C1: dict[str, Any] = {"mode": "C1", "disposition": "accept", "people_only": True, "severity": "decider"}


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({}, None),
        ({"severity": ...}, "either severity or"),
        ({"severity_by_recipients": ({"recipients": 1, "severity": 1},)}, "either severity or"),
        ({"severity": ..., "severity_by_recipients": ({"recipients": 1, "severity": 1},)}, None),
        ({"severity": ..., "severity_by_recipients": ({"recipients": 2, "severity": 1},)}, "starts at 1 and rises"),
        *[
            (
                {
                    "severity": ...,
                    "severity_by_recipients": tuple({"recipients": n, "severity": 1} for n in steps),
                },
                says,
            )
            for steps, says in (
                ((1, 5, 9), None),
                ((1, 5, 5), "starts at 1 and rises"),
                ((1, 9, 5), "starts at 1 and rises"),
            )
        ],
        ({"severity": 4}, "must be C1 or C2"),
        ({"severity": "decider"}, "must be C1 or C2"),
        ({"severity": 4, **LOCKED}, None),
        ({"severity": "decider", **LOCKED}, None),
        ({"disposition": "discard"}, "what 'reject' becomes"),
        ({"single": "C2"}, None),
        ({"single": "C2", "mode": "A"}, "single is for mode B"),
        # Politics, religion, reputation and rights are C1, whatever a file says of them.
        ({"family": "pol"}, "cannot be raised"),
        ({"family": "rights"}, "cannot be raised"),
        ({"id": "rep.x"}, "cannot be raised"),
        ({"id": "hate.ethnic"}, "cannot be raised"),
        ({"id": "hate.slur"}, None),
        ({"family": "pol", **C1}, None),
        # What two people may raise.
        (RAISED, None),
        (RAISED | {"mode": "B"}, "raised is for a C2"),
        (RAISED | {"people_only": True}, "raised is for a C2"),
        (RAISED | {"severity": 4}, "raised is for a C2"),
        (RAISED | {"disposition": "reject"}, "holds mail and warns"),
        (RAISED | {"disposition": "tag"}, None),
        (RAISED | {"disposition": "accept"}, None),
        (RAISED | {"raised": False}, "cannot touch mail"),
        # What is locked.
        (LOCKED | {"disposition": "tag"}, "cannot touch mail"),
        (LOCKED | {"scope": ("links",)}, "cannot restrict anything"),
        (LOCKED | {"zero_tolerance": True}, "cannot restrict anything"),
        (RAISED | {"scope": ("links",)}, "cannot restrict anything"),
        (C1, None),
        (C1 | {"people_only": False}, "people_only = true"),
        (C1 | {"disposition": "tag"}, "cannot touch mail"),
        (LOCKED | {"people_only": True}, None),
        # Features.
        ({"scope": ("links", "messages_per_hour:20")}, None),
        ({"scope": ("messages_per_hour",)}, "needs limit"),
        ({"scope": ("links:3",)}, "takes no limit"),
        ({"scope": ("lynx",)}, "unknown feature 'lynx'"),
        ({"scope": ("recipient:x",)}, "for a person to say"),
    ],
)
def test_what_a_category_may_be(changes: dict[str, Any], says: str | None) -> None:
    found = wrong(**changes)
    assert (found is None) if says is None else (says in (found or ""))


def test_every_feature_is_known_and_takes_a_limit_or_none() -> None:
    for name, has_limit in FEATURES.items():
        if name == "recipient":
            continue
        assert wrong(scope=(f"{name}:5" if has_limit else name,)) is None
        assert wrong(scope=(name if has_limit else f"{name}:5",)) is not None


BY_SIZE = tuple({"recipients": n, "severity": s} for n, s in ((1, 1), (100, 2), (1000, 3)))


@pytest.mark.parametrize(
    ("recipients", "severity"), [(0, 1), (1, 1), (99, 1), (100, 2), (999, 2), (1000, 3), (10**6, 3)]
)
def test_severity_by_recipients_at_each_step(recipients: int, severity: int) -> None:
    found = category(severity=..., severity_by_recipients=BY_SIZE)
    assert found.severity_of(recipients) == severity
    assert (found.fixed_severity, severity_text(found)) == (None, "S1-S3")


@pytest.mark.parametrize(
    ("severity", "weighs", "fixed", "is_urgent", "text"),
    [(1, 1, 1, False, "S1"), (3, 3, 3, False, "S3"), (4, 0, 4, True, "S4"), ("decider", 0, None, False, "decider")],
)
def test_what_only_people_weigh_gives_no_automatic_points(
    severity: object, weighs: int, fixed: int | None, is_urgent: bool, text: str
) -> None:
    found = category(severity=severity, **LOCKED)
    assert (found.severity_of(5), found.fixed_severity, found.is_urgent) == (weighs, fixed, is_urgent)
    assert severity_text(found) == text


def test_contestable_mail_of_a_mode_a_category_may_be_held_instead() -> None:
    both = category(mode="A", disposition="reject", contestable="quarantine")
    assert [both.effect(x) for x in (Mode.A, Mode.B)] == [Disposition.REJECT, Disposition.QUARANTINE]
    plain = category(mode="A", disposition="reject")
    assert [plain.effect(x) for x in (Mode.A, Mode.B)] == [Disposition.REJECT, Disposition.REJECT]
    assert [x.may_hold for x in (both, plain, category(disposition="quarantine"))] == [True, False, True]
    assert "contestable is for mode A" in (wrong(contestable="quarantine") or "")


# --- rules ------------------------------------------------------------------------------------------------------------


def rule(**changes: Any) -> Rule:
    said: dict[str, Any] = {"finding": "content.spam.model", "category": "spam.test"}
    return Rule.model_validate(said | changes)


def test_a_rule_speaks_of_its_finding_from_the_first_confidence_to_before_the_second() -> None:
    band = rule(min_confidence=0.5, below_confidence=0.9)
    assert [band.means("content.spam.model", x) for x in (0.49, 0.5, 0.89, 0.9)] == [False, True, True, False]
    assert not band.means("content.spam.terms", 0.6)
    assert rule(min_confidence=0.5).means("content.spam.model", 1.0)
    assert [rule().means("content.spam.model", x) for x in (0.0, 1.0)] == [True, True]


@pytest.mark.parametrize(
    ("of_rule", "of_category", "says"),
    [
        ({}, {}, None),
        ({}, {"people_only": True}, "for people only"),
        ({"alone": "refuse"}, LOCKED, "is C2 and cannot refuse"),
        ({"alone": "refuse"}, {"single": "C2"}, "is C2 and cannot refuse"),
        ({"alone": "refuse"}, {}, None),
        ({}, {"mode": "A"}, "alone is never mode A"),
        ({}, {"mode": "A", "agreeing_groups": 2}, None),
        ({"finding": "virus.signature.match"}, {"mode": "A"}, None),
        ({"group": "other"}, {}, "always of the group content"),
        ({"group": "other", "finding": "virus.signature.match"}, {}, None),
        ({"min_confidence": 0.5, "below_confidence": 0.5}, {}, "must be above"),
        ({"min_confidence": 0.5, "below_confidence": 0.6}, {}, None),
    ],
)
def test_what_a_rule_may_lead_to(of_rule: dict[str, Any], of_category: dict[str, Any], says: str | None) -> None:
    found = misleads(rule(**of_rule), category(**of_category))
    assert (found is None) if says is None else (says in (found or ""))


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"outbound": "reject"}, None),
        ({"internal": "reject"}, None),
        ({}, "accepts everything"),
        ({"outbound": "discard"}, "never discards"),
        ({"outbound": "reject", "internal": "discard"}, "never discards"),
    ],
)
def test_what_a_protection_may_do(given: dict[str, str], says: str | None) -> None:
    item = {"finding": "attachment.type.blocked"} | given
    if says is None:
        assert Protection.model_validate(item).finding == "attachment.type.blocked"
        return
    with pytest.raises(ValidationError, match=says):
        Protection.model_validate(item)


# --- tables -----------------------------------------------------------------------------------------------------------


def test_a_tenant_score_rises_and_needs_a_ground() -> None:
    assert TERMS.tenant is not None
    assert TERMS.tenant.score is not None
    given = TERMS.tenant.score.model_dump()
    for steps, is_good in (
        ((3, 5, 8), True),
        ((3, 3, 3), True),
        ((0, 5, 8), False),
        ((5, 3, 8), False),
        ((3, 8, 5), False),
    ):
        said = given | dict(zip(("warn_at", "quota_at", "propose_at"), steps, strict=True))
        if is_good:
            TenantScore.model_validate(said)
        else:
            with pytest.raises(ValidationError, match="start above 0 and rise"):
                TenantScore.model_validate(said)
    whole = TERMS.tenant.model_dump()
    with pytest.raises(ValidationError, match="a score needs a ground"):
        TenantSection.model_validate(whole | {"ground": ()})
    assert TenantSection.model_validate(whole | {"ground": (), "score": None}).score is None


def test_the_quota_is_rounded_and_never_below_the_floor() -> None:
    assert TERMS.tenant is not None
    assert [TERMS.tenant.quota(x) for x in (0, 99.9, 100, 100.3, 1000)] == [200, 200, 200, 201, 2000]


def test_tables_that_contradict_themselves() -> None:
    assert TERMS.lifecycle is not None
    given = TERMS.lifecycle.model_dump() | {"free_plans": (), "mx_bad_days": None}
    for change, says in (
        ({"inbound_digest_days": 30, "inbound_hold_days": 30}, "lie within"),
        ({"free_plans": ("free",)}, "free_plans need mx_bad_days"),
        ({"owes_renewal_notice": True, "renewal_notice_days": None, "keep_after_notice_days": 37}, "who owes"),
        ({"owes_renewal_notice": True, "renewal_notice_days": 7, "keep_after_notice_days": None}, "who owes"),
    ):
        with pytest.raises(ValidationError, match=says):
            LifecycleSection.model_validate(given | change)
    for fine in (
        {"inbound_digest_days": 29, "inbound_hold_days": 30},
        {"free_plans": ("free",), "mx_bad_days": 30},
        {"owes_renewal_notice": True, "renewal_notice_days": 7, "keep_after_notice_days": 37},
    ):
        LifecycleSection.model_validate(given | fine)
    with pytest.raises(ValidationError, match="is a holiday and a working day"):
        HolidaysSection.model_validate({"days": ["2026-10-01"], "working": ["2026-10-01"]})
    with pytest.raises(ValidationError, match="is not below watch_hours"):
        SecuritySection(watch_hours=73, watch_unverified_hours=72)
    assert SecuritySection(watch_hours=72, watch_unverified_hours=72).watch_hours == 72
    with pytest.raises(ValidationError, match=r"never_alone names 'x\.y'"):
        SecuritySection(never_alone=("client.country", "x.y"))


def test_indicators_speak_unless_the_only_one_never_does_alone() -> None:
    rules = SecuritySection()
    said = [rules.speaks(x) for x in ((), ("client.country",), ("client.new",), ("client.country", "client.new"))]
    assert said == [False, False, True, True]
    both = SecuritySection(never_alone=("client.country", "client.new"))
    assert both.speaks(("client.country", "client.new"))
    assert not both.speaks(("client.new", "client.new"))
    assert [str(x) for x in (*rules.trickle, *rules.watch)] == [
        "messages_per_day:20",
        "strangers",
        "external_recipients_per_day:50",
        "recipients_per_message:10",
    ]


# --- the whole agreement ----------------------------------------------------------------------------------------------


def test_points_of_a_severity_at_full_weight() -> None:
    said = {s: [TERMS.half_points(s, is_after_notice=x) for x in (False, True)] for s in range(4)}
    assert said == {0: [0, 0], 1: [2, 4], 2: [4, 6], 3: [8, 10]}
    assert [TERMS.counts_for(s).days for s in (1, 2, 3)] == [90, 180, 365]
    assert [TERMS.grace(s).total_seconds() / 3600 for s in (1, 2, 3)] == [24, 4, 1]


def test_a_category_is_found_by_its_name() -> None:
    assert TERMS.category_of("malware").id == "malware"
    assert TERMS.find_category("malware") is TERMS.category_of("malware")
    assert TERMS.find_category("gone") is None
    with pytest.raises(UsageError, match="has no category 'gone'"):
        TERMS.category_of("gone")


# --- the crosswalk ----------------------------------------------------------------------------------------------------


def test_an_agreement_without_a_registration_table_has_no_row_for_it() -> None:
    assert TERMS.tenant is not None
    names = {row.category for row in crosswalk(TERMS)}
    for tenant in (None, TERMS.tenant.model_copy(update={"registration": None})):
        less = {row.category for row in crosswalk(TERMS.model_copy(update={"tenant": tenant}))}
        assert names - less == {"reg.evasion"}


@pytest.mark.parametrize(
    ("of_rule", "of_category", "mode"),
    [
        ({}, {}, "B"),
        ({}, {"people_only": True}, "B (people)"),
        ({}, {"single": "C2"}, "B bulk, else C2"),
        ({}, {"agreeing_groups": 2}, "B"),
        ({"alone": "none"}, {"agreeing_groups": 2}, "B agreeing, else nothing"),
        ({}, {"mode": "A", "agreeing_groups": 2}, "A agreeing, else B"),
        ({"alone": "refuse"}, {"mode": "A", "agreeing_groups": 2}, "A agreeing, else nothing"),
        ({"alone": "none"}, {"mode": "A"}, "A"),
        (None, {"mode": "A", "agreeing_groups": 2}, "A"),
    ],
)
def test_a_row_says_how_far_it_may_act(of_rule: dict[str, Any] | None, of_category: dict[str, Any], mode: str) -> None:
    rules = () if of_rule is None else (rule(**of_rule),)
    update: dict[str, Any] = {"category": (category(**of_category),), "rule": rules, "tenant": None}
    (row, *_) = crosswalk(TERMS.model_copy(update=update))
    assert (row.category, row.mode, row.severity, row.clauses) == ("spam.test", mode, "S2", ("1",))
    is_refused = of_rule is not None and of_rule.get("alone") == "refuse"
    assert row.mail == ("reject" if is_refused else "tag")
    assert (row.finding, row.label) == ((None, None) if of_rule is None else ("content.spam.model", "spam"))


def test_a_protection_that_is_the_same_both_ways_is_said_once() -> None:
    def mail(**given: str) -> str:
        item = Protection.model_validate({"finding": "attachment.type.blocked"} | given)
        update: dict[str, Any] = {"category": (), "rule": (), "tenant": None, "protection": (item,)}
        return crosswalk(TERMS.model_copy(update=update))[0].mail

    assert mail(outbound="reject", internal="reject") == "reject"
    assert mail(outbound="reject") == "outbound reject, internal accept"


def test_labels_are_those_of_classifiers() -> None:
    assert [label_of(x) for x in ("content.spam.model", "pii.card.bulk", "virus.signature.match")] == [
        "spam",
        "pii",
        None,
    ]


@pytest.mark.parametrize(
    ("reach", "text"),
    [
        ({"rung": Rung.NONE}, "nothing"),
        ({"rung": Rung.WARN, "hours": 24}, "warn"),
        ({"rung": Rung.RESTRICT, "hours": 24}, "restrict 24 h"),
        ({"rung": Rung.SUSPEND, "hours": 7.5}, "suspend 7.5 h"),
        ({"rung": Rung.SUSPEND}, "suspend open-ended"),
        ({"rung": Rung.TERMINATE}, "terminate"),
    ],
)
def test_how_far_it_goes_in_words(reach: dict[str, Any], text: str) -> None:
    found = Reach(category="x", preset=Preset.SUPERVISED, **reach)
    assert (found.text, found.by_order, found.staff) == (text, False, Staff.NOBODY)


def test_what_people_add_where_the_agreement_lets_them_terminate_and_where_not() -> None:
    def top(terms: Agreement) -> list[tuple[Staff, str]]:
        return [(x.staff, x.text) for x in staff_reach(terms)[:2]]

    assert top(TERMS) == [(Staff.ONE, "suspend open-ended"), (Staff.TEAM, "terminate")]
    without = TERMS.model_copy(update={"termination": None})
    assert top(without) == [(Staff.ONE, "suspend open-ended"), (Staff.TEAM, "suspend open-ended")]
    assert top(agreement("aliyun-supplement"))[1][1] != "terminate"
