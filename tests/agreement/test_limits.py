"""What an agreement file may ask for, to the last unit, and what it means when it says nothing.  STANDING 5.11.

A pack holds the numbers, so a slip of the pen in one must not become law: each has a least and a most. The table is
whole: a number without a line here fails.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from pydantic import TypeAdapter, ValidationError

from filterd.agreement.category import Category, Clause, Protection, Rule, SeverityStep
from filterd.agreement.clauses import ClauseEntry, Register
from filterd.agreement.sections import (
    Example,
    ExampleAct,
    IncidentSection,
    LadderStep,
    PointsSection,
    PresetSection,
    Section,
)
from filterd.agreement.sections_appeal import AppealSection
from filterd.agreement.sections_breaker import BreakerSection
from filterd.agreement.sections_complaints import ComplaintsSection
from filterd.agreement.sections_lifecycle import HolidaysSection, LifecycleSection
from filterd.agreement.sections_registers import RegistersSection
from filterd.agreement.sections_security import SecuritySection
from filterd.agreement.sections_tenant import TenantRegistration, TenantScore, TenantSection
from filterd.agreement.sections_termination import TerminationSection
from filterd.agreement.terms import Agreement
from filterd.model.decision import Disposition

Table = type[Section]
# Refused below, least, most, refused above; None: no limit on that side.
Limits = tuple[float | None, float, float, float | None]
HOURS: Limits = (0, 1, 24 * 366, 24 * 366 + 1)
DAYS: Limits = (0, 1, 3660, 3661)
DAYS_OF_A_YEAR: Limits = (0, 1, 366, 367)
MONTH_AT_LEAST: Limits = (29, 30, 3660, 3661)
COUNT: Limits = (0, 1, 1_000_000, 1_000_001)
POINTS: Limits = (-0.5, 0, 100, 100.5)
SHARE: Limits = (-0.01, 0, 1, 1.01)
PERCENT: Limits = (0, 0.01, 100, 100.01)
ANY: Limits = (None, -1, 1e9, None)

ROWS: list[tuple[Table, Limits, str]] = [
    (LadderStep, POINTS, "at"),
    (LadderStep, HOURS, "hours"),
    (PointsSection, POINTS, "after_notice unattested_cap"),
    (PointsSection, HOURS, "provisional_hours"),
    (
        IncidentSection,
        HOURS,
        "window_hours close_after_notice_hours suspension_notice_hours hold_hours task_due_hours objection_hours",
    ),
    (PresetSection, HOURS, "restrict_lapse_hours suspend_max_hours suspend_lapse_hours b_restrict_hours"),
    (ExampleAct, (-0.01, 0, 1e6, None), "hour"),
    (ExampleAct, (0, 1, 1e6, None), "recipients"),
    (ExampleAct, (-1, 0, 1e9, None), "external_recipients size_bytes"),
    (ExampleAct, SHARE, "confidence"),
    (Example, POINTS, "points"),
    (Example, ANY, "at_hour ends_hour incidents"),
    (SeverityStep, (0, 1, 1e6, None), "recipients"),
    (SeverityStep, (0, 1, 3, 4), "severity"),
    (Category, (0, 1, 3, 4), "agreeing_groups"),
    (Category, (0, 1, 4, 5), "severity"),
    (Rule, SHARE, "min_confidence below_confidence"),
    (AppealSection, HOURS, "decide_hours decide_min_hours"),
    (AppealSection, DAYS, "evidence_days exculpation_days"),
    (AppealSection, (0, 1, 100, 101), "similarity_percent"),
    (AppealSection, (1, 2, 100_000, 100_001), "pattern_recipients"),
    (BreakerSection, HOURS, "window_hours"),
    (BreakerSection, COUNT, "subjects"),
    (BreakerSection, PERCENT, "share_percent"),
    (BreakerSection, (0, 0.01, 1000, 1000.01), "mean_factor"),
    (BreakerSection, DAYS_OF_A_YEAR, "senders_days mean_days young_days"),
    (BreakerSection, (0, 1, 24, 25), "freeze_max_hours"),
    (ComplaintsSection, (0, 1, 30, 31), "days"),
    (ComplaintsSection, (0, 1, 1_000_000, 1_000_001), "delivered"),
    (ComplaintsSection, (1, 2, 1_000_000, 1_000_001), "complainants"),
    (ComplaintsSection, PERCENT, "percent"),
    (ComplaintsSection, HOURS, "answer_hours"),
    (LifecycleSection, DAYS, "renewal_notice_days keep_days keep_after_notice_days inbound_wait_days mx_bad_days"),
    (LifecycleSection, DAYS, "mx_unknown_days law_change_days inbound_hold_days inbound_digest_days relook_days"),
    (LifecycleSection, DAYS, "cure_answer_days cooling_off_days appeal_days appeal_warning_days"),
    # What nobody opened is gone in a month, whatever a file says (CLAUSES §1): the clock sees to it.
    (LifecycleSection, DAYS, "locked_hit_days"),
    (LifecycleSection, MONTH_AT_LEAST, "termination_keep_days shutdown_notice_days"),
    # Two readings a day apart, whatever a file says (STANDING 5.4 row 12).
    (LifecycleSection, (23, 24, 24 * 366, 24 * 366 + 1), "reading_hours"),
    (LifecycleSection, HOURS, "complaint_hours question_hours hold_decision_hours outbound_hold_hours"),
    (LifecycleSection, (0, 1, 10, 11), "registration_years"),
    (LifecycleSection, (0, 1, 1000, 1001), "hold_copies"),
    (LifecycleSection, (0, 1, 4, 5), "locked_hold_hours"),
    (RegistersSection, DAYS, "authorisation_days repair_days opt_out_days migration_days received_days"),
    (RegistersSection, PERCENT, "bounce_percent"),
    (RegistersSection, HOURS, "protected_due_hours"),
    (RegistersSection, (-1, 0, 100, 101), "received_recipients"),
    (RegistersSection, (-1, 0, 1000, 1001), "received_recipients_day"),
    (SecuritySection, HOURS, "indicator_hours watch_hours watch_unverified_hours"),
    (SecuritySection, COUNT, "indicator_repeat_minutes quiet_minutes trickle_messages_day"),
    (SecuritySection, COUNT, "watch_external_recipients_day watch_recipients_message"),
    (SecuritySection, DAYS, "remind_days attestation_days attestation_tenant_days young_tenant_days custody_days"),
    (SecuritySection, (0, 1, 30, 31), "wrote_first_days"),
    (TenantScore, DAYS, "window_days successor_days"),
    (TenantScore, POINTS, "warn_at quota_at propose_at"),
    (TenantScore, (0, 1, 10_000, 10_001), "seats_at_least"),
    (TenantScore, (0, 1, 1000, 1001), "distinct_accounts"),
    (TenantScore, (0, 0.01, 1, 1.01), "distinct_share"),
    (TenantRegistration, (1, 2, 7, 8), "together_at_least"),
    (TenantSection, HOURS, "lock_hours idle_hours quota_hours"),
    (TenantSection, PERCENT, "quota_times_median"),
    (TenantSection, DAYS, "quota_median_days"),
    (TenantSection, COUNT, "quota_floor"),
    (TerminationSection, (0, 1, 4, 5), "channels"),
    (TerminationSection, (6, 7, 366, 367), "order_after_days"),
    (Agreement, (-1, 0, 366, 367), "probation_days"),
]
NUMBERS = [(table, key, limits) for table, limits, keys in ROWS for key in keys.split()]
# Of a table by severity each entry has the limits.
BY_KEY: list[tuple[Table, str, str, Limits]] = [
    (PointsSection, "by_severity", "S1", POINTS),
    (PointsSection, "counts_days", "S2", DAYS),
    (IncidentSection, "grace_hours", "S3", HOURS),
    (RegistersSection, "advised", "impersonation", (0, 1, 100, 101)),
]


def accepts(table: Table, key: str, value: Any) -> bool:
    field = table.model_fields[key]
    adapter: TypeAdapter[Any] = TypeAdapter(field.rebuild_annotation())
    try:
        adapter.validate_python(value)
    except ValidationError:
        return False
    return True


def tables(kind: Table = Section) -> Iterator[Table]:
    for found in kind.__subclasses__():
        if found.__module__.startswith("filterd.agreement."):
            yield found
        yield from tables(found)


def holds(table: Table, key: str, limits: Limits, wrap: str | None = None) -> list[bool | None]:
    said = [None if x is None else accepts(table, key, x if wrap is None else {wrap: x}) for x in limits]
    return [None if limit is None else is_taken for limit, is_taken in zip(limits, said, strict=True)]


@pytest.mark.parametrize(("table", "key", "limits"), NUMBERS, ids=[f"{t.__name__}.{k}" for t, k, _ in NUMBERS])
def test_a_number_of_the_file_has_a_least_and_a_most(table: Table, key: str, limits: Limits) -> None:
    expected = [None if x is None else i in (1, 2) for i, x in enumerate(limits)]
    assert holds(table, key, limits) == expected


@pytest.mark.parametrize(("table", "key", "name", "limits"), BY_KEY, ids=[k for _, k, _, _ in BY_KEY])
def test_each_number_of_a_table_by_key_has_a_least_and_a_most(
    table: Table, key: str, name: str, limits: Limits
) -> None:
    assert holds(table, key, limits, name) == [False, True, True, False]


def test_no_number_is_left_out() -> None:
    def numeric(table: Table, key: str) -> bool:
        schema = TypeAdapter(table.model_fields[key].rebuild_annotation()).json_schema()
        kinds = [schema, *schema.get("anyOf", [])]
        return any(x.get("type") in ("integer", "number") or {1, 2} <= set(x.get("enum", [])) for x in kinds)

    found = {(table, key) for table in tables() for key in table.model_fields if numeric(table, key)}
    assert {(t.__name__, k) for t, k in found} == {(t.__name__, k) for t, k, _ in NUMBERS}


@pytest.mark.parametrize("value", [0.25, 1.75])
def test_points_are_whole_or_half(value: float) -> None:
    assert not accepts(LadderStep, "at", value)
    assert not accepts(PointsSection, "by_severity", {"S1": value})
    assert accepts(LadderStep, "at", 1.5)


# --- texts ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("table", "key", "taken", "refused"),
    [
        (Clause, "en", ["a" * 10], ["a" * 9]),
        (Clause, "zh", ["不得滥用"], ["不滥用"]),
        (ClauseEntry, "paraphrase_en", ["a" * 10], ["a" * 9]),
        (ClauseEntry, "paraphrase_zh", ["不得滥用"], ["不滥用"]),
        (ClauseEntry, "pending", ["a" * 10, None], ["a" * 9, "a line\nand another"]),
        (ClauseEntry, "mode", [["A"]], [[]]),
        (Agreement, "id", ["a", "a" * 64], ["", "a" * 65, "A", "a b"]),
        (Register, "agreement", ["a", "a" * 64], ["", "a" * 65, "A"]),
        (Register, "clause", [], [[]]),
        (Agreement, "languages", [["en"], ["en", "zh-Hans"]], [[], ["fr"]]),
        (Agreement, "sanction_ground", [["3.6"]], [[]]),
        (Agreement, "ladder", [[{"at": 1, "rung": "warn"}]], [[]]),
        (Agreement, "example", [], [[]]),
        (Category, "ground", [["3.6"]], [[]]),
        (Category, "dsa", [[], ["FRAUD"], ["FRAUD", "PHISHING"]], [["FRAUD", "PHISHING", "SPAM"], ["fraud"]]),
        (Category, "xarf", ["messaging/spam", None], ["messaging", "Messaging/spam"]),
        (Category, "single", ["C2", None], ["C1", "B"]),
        (Rule, "finding", ["content.spam.model"], ["content.spam", "content.spam.model.x", "Content.spam.model"]),
        (SecuritySection, "reported", [["client.new"], ["a.b.c"], ["a." + "b" * 78]], [["a"], ["a." + "b" * 79]]),
        (TenantRegistration, "ground", [["8.2.4"]], [[]]),
        (TerminationSection, "grounds", [["clause"]], [[], ["custom"]]),
    ],
    ids=lambda x: x if isinstance(x, str) else None,
)
def test_what_a_text_of_the_file_may_be(table: Table, key: str, taken: list[Any], refused: list[Any]) -> None:
    assert [accepts(table, key, x) for x in taken] == [True] * len(taken)
    assert [accepts(table, key, x) for x in refused] == [False] * len(refused)


# --- what is left out -------------------------------------------------------------------------------------------------

SAID_NOWHERE: list[tuple[Section, dict[str, Any]]] = [
    (
        AppealSection(),
        {
            "decide_hours": 7 * 24,
            "decide_min_hours": 24,
            "evidence_days": 30,
            "exculpation_days": 180,
            "similarity_percent": 70,
            "pattern_recipients": 50,
        },
    ),
    (
        BreakerSection(),
        {
            "window_hours": 1,
            "subjects": 10,
            "share_percent": 1.0,
            "senders_days": 30,
            "mean_factor": 5.0,
            "mean_days": 7,
            "young_days": 7,
            "freeze_max_hours": 24,
        },
    ),
    (
        ComplaintsSection(),
        {"days": 30, "delivered": 500, "complainants": 5, "percent": 0.1, "answer_hours": 24},
    ),
    (
        RegistersSection(),
        {
            "authorisable": (),
            "authorisation_days": 365,
            "streams": (),
            "advised_runs": (),
            "repair_days": 7,
            "bounce_percent": 3.0,
            "opt_out_days": 3,
            "advised": {},
            "migration_days": 30,
            "protected_due_hours": 1,
            "received_days": 30,
            "received_recipients": 5,
            "received_recipients_day": 20,
        },
    ),
    (
        SecuritySection(),
        {
            "indicators": (),
            "reported": ("auth.failures", "client.new", "client.country", "clients.many", "client.automated"),
            "never_alone": ("client.country",),
            "indicator_hours": 24,
            "indicator_repeat_minutes": 60,
            "quiet_minutes": 60,
            "trickle_messages_day": 20,
            "remind_days": 7,
            "watch_hours": 72,
            "watch_unverified_hours": 168,
            "watch_external_recipients_day": 50,
            "watch_recipients_message": 10,
            "attestation_days": 90,
            "attestation_tenant_days": 30,
            "young_tenant_days": 30,
            "custody_clauses": (),
            "custody_days": 90,
            "wrote_first_days": 30,
        },
    ),
    (HolidaysSection(), {"days": frozenset(), "working": frozenset(), "weekends_count": False}),
    (
        PresetSection(),
        {
            "restrict_lapse_hours": None,
            "suspend_max_hours": None,
            "suspend_lapse_hours": None,
            "b_restrict_hours": None,
        },
    ),
    (LadderStep(at=1, rung="warn"), {"at": 1, "rung": "warn", "hours": None, "propose_termination": False}),
    (
        Rule(finding="content.spam.model", category="spam.outbound"),
        {
            "finding": "content.spam.model",
            "category": "spam.outbound",
            "alone": "B",
            "min_confidence": 0.0,
            "below_confidence": None,
            "group": None,
            "when": None,
        },
    ),
    (
        ExampleAct(hour=0, findings=()),
        {
            "hour": 0,
            "findings": (),
            "recipients": 1,
            "burst": False,
            "noticed": True,
            "confidence": 1.0,
            "direction": "outbound",
            "strength": "strong",
            "external_recipients": None,
            "has_attachments": False,
            "has_links": False,
            "size_bytes": 2000,
        },
    ),
]


@pytest.mark.parametrize(("table", "expected"), SAID_NOWHERE, ids=[type(x).__name__ for x, _ in SAID_NOWHERE])
def test_what_a_file_leaves_out_is_as_the_defaults_have_it(table: Section, expected: dict[str, Any]) -> None:
    assert table.model_dump() == expected


def test_a_category_or_clause_that_says_no_more_has_the_usual() -> None:
    clause = Clause(number="1", en="nothing of this kind", zh="不得滥用")
    assert (clause.in_mail, clause.needs) == (True, None)
    given = {"id": "spam", "en": "spam", "zh": "垃圾", "family": "spam", "ground": ("1",), "mode": "A", "severity": 2}
    category = Category.model_validate(given | {"disposition": "reject"})
    said = {key: value for key, value in category.model_dump().items() if key not in given}
    assert said == {
        "single": None,
        "contestable": None,
        "severity_by_recipients": (),
        "disposition": Disposition.REJECT,
        "scope": (),
        "zero_tolerance": False,
        "agreeing_groups": 1,
        "requires": None,
        "people_only": False,
        "raised": False,
        "evidence": "full",
        "arf": None,
        "xarf": None,
        "dsa": (),
    }


@pytest.mark.parametrize("key", ["outbound", "internal"])
def test_a_protection_stops_only_where_the_file_says(key: str) -> None:
    found = Protection.model_validate({"finding": "attachment.type.blocked", key: "reject"})
    other = {"outbound": found.internal, "internal": found.outbound}[key]
    assert other is Disposition.ACCEPT


def test_a_lifecycle_that_says_no_more_owes_nothing_and_knows_no_free_plans() -> None:
    said = {key: field.default for key, field in LifecycleSection.model_fields.items() if not field.is_required()}
    flags = {"owes_renewal_notice": False, "maintenance_is_announced": False, "free_plans": (), "hold_copies": 25}
    flags |= {"locked_hold_hours": 4}
    assert said == flags | dict.fromkeys(said.keys() - flags.keys())


def test_a_table_is_closed_and_frozen() -> None:
    with pytest.raises(ValidationError, match="Extra inputs"):
        BreakerSection.model_validate({"window_hour": 1})
    section: Any = AppealSection()
    with pytest.raises(ValidationError, match="frozen"):
        section.decide_hours = 1
