"""Objections, appeals and what follows from winning one.  STANDING 5.6, 5.7-3 to 5.7-8."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class ObjectionFiled:
    """By the user or the tenant admin, one a sanction; opens an appeal. Unanswered for 24 h it steps an automatic
    sanction down one rung. `channel`: mail, cli.

    Of the tenant's side against a step: a row of the tenant's own, `sanction_id` and `incident_id` are the step's id.
    """

    at: datetime
    appeal_id: str
    sanction_id: str
    incident_id: str
    account_id: str
    channel: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ObjectionAnswered:
    at: datetime
    appeal_id: str
    sanction_id: str
    by: str


@dataclass(frozen=True, slots=True, kw_only=True)
class AppealDecided:
    """`outcome`: granted, partially_granted, denied, inadmissible, withdrawn.

    Args:
        is_self_review: whoever decided had a part in the decision, for want of another person (STANDING 5.5).
        minutes: how long was served in error, of what a grant annulled; for claims (STANDING 5.7-3).
        is_evidence_lost: granted for want of evidence that we lost (STANDING 5.7-22).
    """

    at: datetime
    appeal_id: str
    incident_id: str
    outcome: str
    by: str
    reason: str
    is_self_review: bool = False
    minutes: int = 0
    is_evidence_lost: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class AppealAssigned:
    """A reviewer has it. STANDING 5.6."""

    at: datetime
    appeal_id: str
    incident_id: str
    reviewer: str
    by: str


@dataclass(frozen=True, slots=True, kw_only=True)
class AppealQuestioned:
    """The reviewer asks for more; `info_requested` until somebody answers."""

    at: datetime
    appeal_id: str
    incident_id: str
    by: str


@dataclass(frozen=True, slots=True, kw_only=True)
class AppealAdded:
    """The account's side added something; its words are in the sealed part."""

    at: datetime
    appeal_id: str
    incident_id: str
    channel: str


@dataclass(frozen=True, slots=True, kw_only=True)
class AppealReopened:
    """Once, on new evidence."""

    at: datetime
    appeal_id: str
    incident_id: str
    by: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CaseShown:
    """A refusal has told the sending client the case for the first time: the time to appeal is counted from there where
    that was later than the notice (STANDING 5.6, TX-6.2). One row an incident; nothing of the mail is in it."""

    at: datetime
    account_id: str
    incident_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ExculpationGranted:
    """What was once decided to be no breach gives no points again (STANDING 5.7-5).

    Args:
        kind: `evidence` (same text or evidence, by fingerprints) or `pattern` (same recipients or declared stream).
        rules: finding codes it covers.
        fingerprints: evidence keys and text fingerprints, or recipient hashes for a pattern.
    """

    at: datetime
    exculpation_id: str
    account_id: str
    incident_id: str
    kind: str
    rules: tuple[str, ...]
    fingerprints: tuple[str, ...]
    until: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class RuleRecalled:
    """A rule, signature or model version was wrong in a window: all that rests on it alone is annulled."""

    at: datetime
    recall_id: str
    rule: str
    version: str | None
    since: datetime
    until: datetime
    incident_ids: tuple[str, ...]
    by: str
    approver: str
    reason: str


AppealRecord = (
    ObjectionFiled
    | ObjectionAnswered
    | AppealDecided
    | AppealAssigned
    | AppealQuestioned
    | AppealAdded
    | AppealReopened
    | CaseShown
    | ExculpationGranted
    | RuleRecalled
)

KINDS: dict[str, type[AppealRecord]] = {
    "objection.filed": ObjectionFiled,
    "objection.answered": ObjectionAnswered,
    "appeal.decided": AppealDecided,
    "appeal.assigned": AppealAssigned,
    "appeal.questioned": AppealQuestioned,
    "appeal.added": AppealAdded,
    "appeal.reopened": AppealReopened,
    "case.shown": CaseShown,
    "exculpation.granted": ExculpationGranted,
    "rule.recalled": RuleRecalled,
}
