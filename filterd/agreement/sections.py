"""The small tables of an agreement file: points, incident, ladder, presets, examples.  STANDING 5.3, 5.9, 5.11.

`terms` puts them together with the clauses, categories and rules.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from filterd.model.decision import Disposition
from filterd.model.sanction import Preset, Rung

Hours = Annotated[int, Field(ge=1, le=24 * 366)]
Points = Annotated[float, Field(ge=0, le=100, multiple_of=0.5)]
# S4 and what the decider weighs have no points of their own: a person gives them (STANDING 5.3).
SeverityKey = Literal["S1", "S2", "S3"]


class Section(BaseModel):
    """A table of the file: frozen, and closed against unknown keys."""

    model_config = ConfigDict(extra="forbid", frozen=True)


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
    """`[incident]`: one account, one act.

    `suspension_notice_hours`: no incident suspends anybody by itself unless a notice was received so long before it
    began; None: the grace alone decides.
    """

    window_hours: Hours
    close_after_notice_hours: Hours
    grace_hours: dict[SeverityKey, Hours]
    suspension_notice_hours: Hours | None = None
    hold_hours: Hours
    task_due_hours: Hours
    objection_hours: Hours


class PresetSection(Section):
    """`[preset.NAME]`: how much is automatic (STANDING 5.9). None: a person decides."""

    restrict_lapse_hours: Hours | None = None
    suspend_max_hours: Hours | None = None
    suspend_lapse_hours: Hours | None = None
    b_restrict_hours: Hours | None = None


class ExampleAct(Section):
    """One act of an example: which findings a message of the account had, when, to how many recipients.

    `burst` adds the finding of a running burst. `strength` is how well we know whose mail it is: "medium" mail (a
    client's network) is never a violation. `confidence` is that of every finding of the act. The rest is what a rule's
    `when` may ask of the mail; `external_recipients` None: all of them are.
    """

    hour: float = Field(ge=0)
    findings: tuple[str, ...]
    recipients: int = Field(1, ge=1)
    burst: bool = False
    noticed: bool = True
    confidence: float = Field(1.0, ge=0, le=1)
    direction: Literal["outbound", "internal"] = "outbound"
    strength: Literal["strong", "medium"] = "strong"
    external_recipients: int | None = Field(None, ge=0)
    has_attachments: bool = False
    has_links: bool = False
    size_bytes: int = Field(2000, ge=0)


class Example(Section):
    """`[[example]]`: run at load; a file whose example does not come out is refused.

    `disposition`, `violations` and `advisory` are those of the last act: the categories breached, and what people are
    shown without effect (categories first, then finding codes). None: the example does not say.
    """

    name: str
    preset: Preset = Preset.SUPERVISED
    acts: tuple[ExampleAct, ...]
    points: Points
    rung: Literal["none", "warn", "restrict", "suspend"]
    at_hour: float
    ends_hour: float | None = None
    disposition: Disposition
    incidents: int | None = None
    violations: tuple[str, ...] | None = None
    advisory: tuple[str, ...] | None = None
