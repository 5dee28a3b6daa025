"""What an agreement file says: typed fields, no numbers of its own (STANDING 5.11 says packs hold them, not code).

An agreement names its clauses, maps finding codes to categories, categories to ground, mode, severity and disposition,
and carries one ladder. Points are written as whole or half points in the file; code counts half-points.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Annotated, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from filterd.errors import UsageError
from filterd.model.decision import Disposition
from filterd.model.sanction import Feature, Mode, Preset, Rung, feature

Hours = Annotated[int, Field(ge=1, le=24 * 366)]
Points = Annotated[float, Field(ge=0, le=100, multiple_of=0.5)]
SeverityKey = Literal["S1", "S2", "S3"]

# What a feature can be is part of the code, because the mail path must know how to refuse it (STANDING 5.11).
FEATURES = {
    "sending": False,
    "bulk": False,
    "attachments": False,
    "links": False,
    "external_recipients": False,
    "messages_per_hour": True,
    "recipients_per_hour": True,
    "recipients_per_message": True,
}


class Section(BaseModel):
    """A table of the file: frozen, and closed against unknown keys."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Clause(Section):
    """A numbered clause, in our own words. `number` is what notices cite."""

    number: str
    en: str = Field(min_length=10)
    zh: str = Field(min_length=4)


class SeverityStep(Section):
    """From this many recipients in the incident on, the severity is this."""

    recipients: int = Field(ge=1)
    severity: Literal[1, 2, 3]


class Category(Section):
    """One kind of breach: what it is called, under which clauses, and how far it may act by itself.

    `alone` says what one signal group by itself is worth when `agreeing_groups` is above 1: "B" a violation in mode B,
    "refuse" a refusal of the message without points, "none" nothing. `requires` is a finding without which the category
    is not touched, however many other groups agree.
    """

    id: str = Field(pattern=r"^[a-z]+(\.[a-z_]+)*$")
    en: str
    zh: str
    family: str
    ground: tuple[str, ...] = Field(min_length=1)
    mode: Mode
    severity: Literal[1, 2, 3] | None = None
    severity_by_recipients: tuple[SeverityStep, ...] = ()
    disposition: Disposition
    scope: tuple[str, ...] = ()
    zero_tolerance: bool = False
    agreeing_groups: int = Field(1, ge=1, le=3)
    requires: str | None = None

    @field_validator("scope")
    @classmethod
    def _known_features(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for text in value:
            item = feature(text)
            if item.name not in FEATURES:
                raise ValueError(f"unknown feature {item.name!r}; known: {', '.join(sorted(FEATURES))}")
            if FEATURES[item.name] != (item.limit is not None):
                raise ValueError(f"feature {item.name!r} {'needs' if FEATURES[item.name] else 'takes no'} limit")
        return value

    @model_validator(mode="after")
    def _one_severity(self) -> Category:
        if (self.severity is None) == (not self.severity_by_recipients):
            raise ValueError("give either severity or severity_by_recipients")
        steps = [step.recipients for step in self.severity_by_recipients]
        if steps and (steps[0] != 1 or steps != sorted(set(steps))):
            raise ValueError("severity_by_recipients starts at 1 and rises")
        if self.disposition is Disposition.DISCARD:
            raise ValueError("disposition 'discard' is what 'reject' becomes behind the queue; write 'reject'")
        # CLAUSES §1: C1 is locked by type, C2 acts on nothing without a person.
        if self.mode in (Mode.C1, Mode.C2) and self.disposition is not Disposition.ACCEPT:
            raise ValueError(f"a {self.mode.value} category cannot touch mail: disposition must be accept")
        if self.mode in (Mode.C1, Mode.C2) and (self.scope or self.zero_tolerance):
            raise ValueError(f"a {self.mode.value} category cannot restrict anything")
        return self

    def severity_of(self, recipients: int) -> int:
        """Say S1..S3 for an incident that reached so many recipients."""
        if self.severity is not None:
            return self.severity
        return max(step.severity for step in self.severity_by_recipients if step.recipients <= max(recipients, 1))

    @property
    def features(self) -> tuple[Feature, ...]:
        return tuple(feature(text) for text in self.scope)


class Rule(Section):
    """Which finding means which category. `alone`: what the finding's signal group is worth without another group."""

    finding: str = Field(pattern=r"^[a-z_]+\.[a-z_]+\.[a-z_]+$")
    category: str
    alone: Literal["B", "refuse", "none"] = "B"
    min_confidence: float = Field(0.0, ge=0, le=1)


class LadderStep(Section):
    """From `at` points on: this rung, for `hours` (None: open-ended; a warning lasts as long as a strike counts)."""

    at: Points
    rung: Literal["warn", "restrict", "suspend"]
    hours: Hours | None = None
    propose_termination: bool = False

    @property
    def as_rung(self) -> Rung:
        return Rung[self.rung.upper()]


class PointsSection(Section):
    """`[points]`: what an incident costs and how long it counts."""

    by_severity: dict[SeverityKey, Points]
    after_notice: Points
    unattested_cap: Points
    provisional_hours: Hours
    counts_days: dict[SeverityKey, Annotated[int, Field(ge=1, le=3660)]]


class IncidentSection(Section):
    """`[incident]`: one account, one act."""

    window_hours: Hours
    close_after_notice_hours: Hours
    grace_hours: dict[SeverityKey, Hours]
    hold_hours: Hours
    task_due_hours: Hours
    objection_hours: Hours


class PresetSection(Section):
    """`[preset.NAME]`: how much is automatic (STANDING 5.9). None: a person decides."""

    restrict_lapse_hours: Hours | None = None
    suspend_max_hours: Hours | None = None
    suspend_lapse_hours: Hours | None = None
    b_restrict_hours: Hours | None = None


class ExampleViolation(Section):
    """One act of an example: which findings an attributed message had, when, to how many recipients."""

    hour: float = Field(ge=0)
    findings: tuple[str, ...]
    recipients: int = Field(1, ge=1)
    burst: bool = False
    noticed: bool = True


class Example(Section):
    """`[[example]]`: run at load; a file whose example does not come out is refused."""

    name: str
    preset: Preset = Preset.SUPERVISED
    acts: tuple[ExampleViolation, ...]
    points: Points
    rung: Literal["none", "warn", "restrict", "suspend"]
    at_hour: float
    ends_hour: float | None = None
    disposition: Disposition
    incidents: int | None = None


class Agreement(Section):
    """A whole agreement file. `digest` is the SHA-256 of its bytes; every decision pins it."""

    id: str = Field(pattern=r"^[a-z0-9-]{1,64}$")
    version: str
    effective_from: datetime
    enforcing_party: str
    timezone: str
    languages: tuple[Literal["zh-Hans", "en"], ...] = Field(min_length=1)
    title: dict[Literal["zh-Hans", "en"], str]
    sanction_ground: tuple[str, ...] = Field(min_length=1)
    points: PointsSection
    incident: IncidentSection
    probation_days: Annotated[int, Field(ge=0, le=366)]
    ladder: tuple[LadderStep, ...] = Field(min_length=1)
    preset: dict[Preset, PresetSection]
    clause: dict[str, Clause]
    category: tuple[Category, ...]
    rule: tuple[Rule, ...]
    advisory: tuple[str, ...] = ()
    example: tuple[Example, ...] = Field(min_length=1)
    digest: str = ""

    @field_validator("timezone")
    @classmethod
    def _known_zone(cls, value: str) -> str:
        try:
            ZoneInfo(value)
        except (ZoneInfoNotFoundError, ValueError, OSError) as err:
            raise ValueError(f"no time zone {value!r} on this machine") from err
        return value

    @model_validator(mode="after")
    def _whole(self) -> Agreement:
        for key in self.sanction_ground:
            if key not in self.clause:
                raise ValueError(f"sanction_ground names clause {key!r}, which the file does not have")
        ids = [item.id for item in self.category]
        if len(set(ids)) != len(ids):
            raise ValueError("two categories bear the same id")
        for item in self.category:
            for key in item.ground:
                if key not in self.clause:
                    raise ValueError(f"category {item.id!r} stands on clause {key!r}, which the file does not have")
        for rule in self.rule:
            if rule.category not in ids:
                raise ValueError(
                    f"rule for {rule.finding!r} names category {rule.category!r}, which the file does not have"
                )
        steps = [step.at for step in self.ladder]
        if steps != sorted(set(steps)) or steps[0] <= 0:
            raise ValueError("ladder steps start above 0 and rise")
        rungs = [step.as_rung for step in self.ladder]
        if rungs != sorted(rungs):
            raise ValueError("ladder rungs never fall")
        missing = [p.value for p in Preset if p not in self.preset]
        if missing:
            raise ValueError(f"preset {missing[0]!r} is missing")
        return self

    def category_of(self, category_id: str) -> Category:
        """Say the category of that id. Raises UsageError when the agreement has none."""
        found = self.find_category(category_id)
        if found is None:
            raise UsageError(f"agreement {self.id} has no category {category_id!r}")
        return found

    def find_category(self, category_id: str) -> Category | None:
        """Say the category, or None: history may name one that a newer version of the agreement has dropped."""
        return next((item for item in self.category if item.id == category_id), None)

    def half_points(self, severity: int, *, is_after_notice: bool) -> int:
        """Say the half-points of one category at full weight."""
        points = self.points.by_severity[_key(severity)] + (self.points.after_notice if is_after_notice else 0)
        return round(points * 2)

    def counts_for(self, severity: int) -> timedelta:
        return timedelta(days=self.points.counts_days[_key(severity)])

    def grace(self, severity: int) -> timedelta:
        return timedelta(hours=self.incident.grace_hours[_key(severity)])


def _key(severity: int) -> SeverityKey:
    match severity:
        case 1:
            return "S1"
        case 2:
            return "S2"
        case _:
            return "S3"
