"""What an agreement file says: typed fields, no numbers of its own (STANDING 5.11 says packs hold them, not code).

An agreement names its clauses, maps finding codes to categories, categories to ground, mode, severity and disposition,
and carries one ladder. Points are written as whole or half points in the file; code counts half-points. The
pieces are in `category` and `sections`; here is what only the whole can get wrong.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Annotated, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import Field, field_validator, model_validator

from filterd.agreement.calendar import Calendar
from filterd.agreement.category import FEATURES as FEATURES
from filterd.agreement.category import VERIFICATION, Clause, FindingCode, Protection, Rule, misleads
from filterd.agreement.category import Category as Category
from filterd.agreement.sections import (
    Example,
    IncidentSection,
    LadderStep,
    PointsSection,
    PresetSection,
    Section,
    SeverityKey,
)
from filterd.agreement.sections_appeal import AppealSection
from filterd.agreement.sections_breaker import BreakerSection
from filterd.agreement.sections_complaints import ComplaintsSection
from filterd.agreement.sections_lifecycle import HolidaysSection, LifecycleSection
from filterd.agreement.sections_registers import RegistersSection
from filterd.agreement.sections_security import SecuritySection
from filterd.agreement.sections_tenant import TenantSection
from filterd.agreement.sections_termination import CureSection, TerminationSection
from filterd.errors import UsageError
from filterd.model.decision import Disposition
from filterd.model.sanction import Preset


class Agreement(Section):
    """A whole agreement file. `digest` is the SHA-256 of its bytes; every decision pins it.

    `bulk` are the findings that say an act is bulk, for categories with `single`. `supplements` is the agreement that
    this one is a supplement to: then it binds nobody by itself, only who has signed it (agreement/supplement).
    `versions` are all of the same id, this one included, where there are several (agreement/versions).
    """

    id: str = Field(pattern=r"^[a-z0-9-]{1,64}$")
    version: str
    effective_from: datetime
    enforcing_party: str
    supplements: str | None = None
    timezone: str
    languages: tuple[Literal["zh-Hans", "en"], ...] = Field(min_length=1)
    title: dict[Literal["zh-Hans", "en"], str]
    sanction_ground: tuple[str, ...] = Field(min_length=1)
    points: PointsSection
    incident: IncidentSection
    probation_days: Annotated[int, Field(ge=0, le=366)]
    ladder: tuple[LadderStep, ...] = Field(min_length=1)
    preset: dict[Preset, PresetSection]
    tenant: TenantSection | None = None
    clause: dict[str, Clause]
    category: tuple[Category, ...]
    rule: tuple[Rule, ...]
    bulk: tuple[FindingCode, ...] = ()
    protection: tuple[Protection, ...] = ()
    advisory: tuple[str, ...] = ()
    lifecycle: LifecycleSection | None = None
    security: SecuritySection = SecuritySection()
    holidays: HolidaysSection = HolidaysSection()
    termination: TerminationSection | None = None
    registers: RegistersSection | None = None
    cure: CureSection | None = None
    appeal: AppealSection = AppealSection()
    breaker: BreakerSection = BreakerSection()
    complaints: ComplaintsSection = ComplaintsSection()
    example: tuple[Example, ...] = Field(min_length=1)
    digest: str = ""
    versions: tuple[Agreement, ...] = ()

    @field_validator("timezone")
    @classmethod
    def _known_zone(cls, value: str) -> str:
        try:
            ZoneInfo(value)
        except (ZoneInfoNotFoundError, ValueError, OSError) as err:
            raise ValueError(f"no time zone {value!r} on this machine") from err
        return value

    @model_validator(mode="after")
    def _grounds(self) -> Agreement:
        for key in self.sanction_ground:
            if key not in self.clause:
                raise ValueError(f"sanction_ground names clause {key!r}, which the file does not have")
        for key in self.tenant.ground if self.tenant is not None else ():
            if key not in self.clause:
                raise ValueError(f"tenant.ground names clause {key!r}, which the file does not have")
        registration = self.tenant.registration if self.tenant is not None else None
        for key in registration.ground if registration is not None else ():
            if key not in self.clause:
                raise ValueError(f"tenant.registration.ground names clause {key!r}, which the file does not have")
        if registration is not None and self.lifecycle is None:
            raise ValueError("[tenant.registration] takes its years from [lifecycle], which the file does not have")
        for key in self.termination.clauses if self.termination is not None else ():
            if key not in self.clause:
                raise ValueError(f"termination.clauses names clause {key!r}, which the file does not have")
        if self.cure is not None and self.cure.clause not in self.clause:
            raise ValueError(f"cure.clause names clause {self.cure.clause!r}, which the file does not have")
        if self.lifecycle is None and (self.termination is not None or self.cure is not None):
            raise ValueError("[termination] and [cure] take their days from [lifecycle], which the file does not have")
        ids = [item.id for item in self.category]
        if len(set(ids)) != len(ids):
            raise ValueError("two categories bear the same id")
        holds = [item.id for item in self.category if item.may_hold] + [
            item.finding for item in self.protection if Disposition.QUARANTINE in (item.outbound, item.internal)
        ]
        if holds and self.lifecycle is None:
            raise ValueError(f"{holds[0]!r} holds mail, whose clocks are in [lifecycle], which the file does not have")
        for item in self.category:
            for key in item.ground:
                if key not in self.clause:
                    raise ValueError(f"category {item.id!r} stands on clause {key!r}, which the file does not have")
                if not self.clause[key].in_mail:
                    raise ValueError(f"category {item.id!r} stands on clause {key!r}, which mail cannot breach")
                if self.clause[key].needs == VERIFICATION:
                    raise ValueError(f"category {item.id!r} stands on clause {key!r}, which only a person can cite")
            if item.single is not None and not self.bulk:
                raise ValueError(f"category {item.id!r} has a single mode, and bulk says of no finding that it is bulk")
        return self

    @model_validator(mode="after")
    def _rules(self) -> Agreement:
        for rule in self.rule:
            category = self.find_category(rule.category)
            if category is None:
                raise ValueError(
                    f"rule for {rule.finding!r} names category {rule.category!r}, which the file does not have"
                )
            if wrong := misleads(rule, category):
                raise ValueError(f"rule for {rule.finding!r}: {wrong}")
        pairs = [(rule.finding, rule.category) for rule in self.rule]
        if len(set(pairs)) != len(pairs):
            raise ValueError("two rules lead from the same finding to the same category")
        for item in self.category:
            if item.requires is not None and (item.requires, item.id) not in pairs:
                raise ValueError(f"category {item.id!r} requires {item.requires!r}, and no rule leads from it")
        protected = [item.finding for item in self.protection]
        if len(set(protected)) != len(protected):
            raise ValueError("two protections for the same finding")
        return self

    @model_validator(mode="after")
    def _ladder(self) -> Agreement:
        steps = [step.at for step in self.ladder]
        if steps != sorted(set(steps)) or steps[0] <= 0:
            raise ValueError("ladder steps start above 0 and rise")
        rungs = [step.as_rung for step in self.ladder]
        if rungs != sorted(rungs):
            raise ValueError("ladder rungs never fall")
        if self.supplements is not None and any(step.propose_termination for step in self.ladder):
            # STANDING 5.9: under a supplement, suspension until cure is the end of the ladder.
            raise ValueError("the ladder of a supplement ends with a suspension: take propose_termination away")
        missing = [p.value for p in Preset if p not in self.preset]
        if missing:
            raise ValueError(f"preset {missing[0]!r} is missing")
        return self

    @property
    def calendar(self) -> Calendar:
        """Say on which calendar its days are counted (TX-9.3)."""
        return self.holidays.calendar(self.timezone)

    @property
    def ground_kind(self) -> str:
        """Say what its clauses are to those it binds (CLAUSES 0.1): "clause" or "supplement"."""
        return "clause" if self.supplements is None else "supplement"

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
        """Say the half-points of one category at full weight; none for what only a person may weigh."""
        if severity == 0:
            return 0
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
