"""The punitive axis: incidents, strikes, sanctions, and what people and replay did to them.  STANDING 5.2, 5.3."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from filterd.model.sanction import Feature, Rung, Violation


@dataclass(frozen=True, slots=True, kw_only=True)
class IncidentOpened:
    """One account, one act. `is_after_notice`: an earlier strike of the family counts and its notice was received."""

    at: datetime
    incident_id: str
    account_id: str
    tenant_id: str
    family: str
    evidence_key: str
    is_after_notice: bool
    is_first: bool
    is_in_probation: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ViolationRecorded:
    """One message that breached something, inside its incident.

    `delivery_keys` are the recipients not counted before for this account; a message without any adds nothing.
    """

    at: datetime
    incident_id: str
    decision_id: str
    transaction_id: str
    evidence_key: str
    text_fp: str
    violations: tuple[Violation, ...]
    delivery_keys: tuple[str, ...]
    policy_digest: str
    evidence_digest: str | None = None
    is_strong: bool = True
    # How much of the mail was kept (model.evidence.Kept), None where nobody said, as before there were classes.
    evidence_kept: str | None = None
    # What spoke for a stolen account then, and whose doing it was taken for (STANDING 5.7-14).
    indicators: tuple[str, ...] = ()
    hypothesis: str = "unknown"
    # What was behind the findings (agreement/signals), and of the recipients enough to know the same ones again
    # (agreement/exculpation).
    signals: tuple[str, ...] = ()
    recipient_marks: tuple[str, ...] = ()
    # `policy_digest` is the version decided by; these were in force at the act and at the decision (STANDING 5.7-7).
    # None where nobody said, as before there were versions.
    policy_digest_act: str | None = None
    policy_digest_decision: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class StrikeIssued:
    """The strike of an incident; issued again under the same id when the incident's points rise (maximum, never sum).

    The newest row counts. After an annulment elsewhere a replay may issue it again with fewer points, never with more.

    `a_half_points` comes from mode-A categories with strong attribution, at full weight.
    `b_half_points` comes from mode-B categories at full weight; it counts half until confirmed.
    `provisional_until`: the points count for a warning only until then, afterwards min(points, `provisional_cap`).
    """

    at: datetime
    strike_id: str
    incident_id: str
    decision_id: str
    category: str
    severity: int
    a_half_points: int
    b_half_points: int
    provisional_until: datetime | None
    provisional_cap: int
    expires_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class SanctionImposed:
    """A rung in force from `starts_at` to `ends_at` (None: open-ended), owned by one decision.

    `step` is its place on the ladder, from 0; a step is imposed once an incident.

    `lapses_at`: unless a person confirms before then it lapses (preset attended). `step_down_features` are what
    a suspension becomes when an objection stays unanswered (STANDING 5.6). `by` is "system" or a person's name.
    """

    at: datetime
    sanction_id: str
    incident_id: str
    decision_id: str
    account_id: str
    rung: Rung
    step: int
    features: tuple[Feature, ...]
    category: str
    clauses: tuple[str, ...]
    starts_at: datetime
    ends_at: datetime | None
    lapses_at: datetime | None
    step_down_features: tuple[Feature, ...]
    is_automatic: bool
    by: str
    warranted: Rung
    # The written notice it rests on (AL-7.1), and the law where it rests on no clause.
    notice_id: str | None = None
    statute: str | None = None
    # What the clause asks a person to give besides (agreement/category, Clause.needs): the ground in the decider's own
    # words, which are in the sealed part of the row; the rights holder's notice, or the verification, it rests on.
    has_words: bool = False
    rests_on: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SanctionConfirmed:
    at: datetime
    sanction_id: str
    incident_id: str
    by: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SanctionLifted:
    """Clemency: this sanction ends now, the strike stays."""

    at: datetime
    sanction_id: str
    incident_id: str
    by: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class StrikeAnnulled:
    """Our error: the strike never counted, and the sanctions its incident owns end now (STANDING 5.7-3)."""

    at: datetime
    strike_id: str
    incident_id: str
    by: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SanctionReplayed:
    """A later automatic sanction after replay without an annulled strike: min(old, replayed), never more.

    `rung` NONE ends it now; otherwise it goes on as `rung` with `features` until `ends_at`. `step` is the ladder step
    it should have been, -1 for none; it is written for a sanction that is over, too, so that history is right.
    """

    at: datetime
    sanction_id: str
    incident_id: str
    because: str
    rung: Rung
    step: int
    features: tuple[Feature, ...]
    ends_at: datetime | None


ConductRecord = (
    IncidentOpened
    | ViolationRecorded
    | StrikeIssued
    | SanctionImposed
    | SanctionConfirmed
    | SanctionLifted
    | StrikeAnnulled
    | SanctionReplayed
)

KINDS: dict[str, type[ConductRecord]] = {
    "incident.opened": IncidentOpened,
    "violation.recorded": ViolationRecorded,
    "strike.issued": StrikeIssued,
    "sanction.imposed": SanctionImposed,
    "sanction.confirmed": SanctionConfirmed,
    "sanction.lifted": SanctionLifted,
    "strike.annulled": StrikeAnnulled,
    "sanction.replayed": SanctionReplayed,
}
