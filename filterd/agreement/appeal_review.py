"""Who may decide an appeal?  STANDING 5.5, 5.6.

Never whoever decided what it is about. An automatic decision that nobody has confirmed may be reviewed by anybody. In a
team the decider, the approver and the reviewer all differ. Of two people the proposer is barred and the approver may,
marked; alone, it is the same person a day later, marked. Pure.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from filterd.agreement.appeal import AppealFile
from filterd.model import records as r
from filterd.model.ids import derived_id
from filterd.model.staffing import Staffing, StaffingRules


@dataclass(frozen=True, slots=True, kw_only=True)
class Review:
    """Whether somebody may decide; `refusal` None: yes. `is_self_review`: they had a part in it before."""

    refusal: str | None = None
    is_self_review: bool = False


def may_review(
    appeal: AppealFile,
    records: Iterable[r.Record],
    person: str,
    at: datetime,
    staffing: Staffing,
    rules: StaffingRules,
) -> Review:
    """Say whether `person` may decide an appeal at `at`.

    Args:
        records: the account's, or the tenant's: who imposed what it is about, who confirmed or approved it.
    """
    mine, second = _parts(appeal, records, person)
    acts = mine + second
    if not acts:
        return Review()
    match staffing:
        case Staffing.TEAM:
            return Review(refusal=f"{person} had a part in this decision; another person decides the appeal")
        case Staffing.PAIR:
            if mine:
                return Review(refusal=f"{person} decided this; the other one of you decides the appeal")
            return Review(is_self_review=True)
        case Staffing.SOLO:
            again_at = max(acts) + timedelta(hours=rules.second_look_hours)
            if at < again_at:
                return Review(refusal=f"another person decides this, or {person} again from {again_at.isoformat()} on")
            return Review(is_self_review=True)


def _parts(
    appeal: AppealFile, records: Iterable[r.Record], person: str
) -> tuple[list[datetime], list[datetime]]:
    """Say when somebody decided what the appeal is about, and when they were only the second person of it, or decided
    the appeal itself before it was opened again."""
    about = appeal.filed
    mine: list[datetime] = []
    second: list[datetime] = []
    automatic = True
    step: r.TenantStepTaken | None = None
    approved: list[r.Approved] = []
    for record in records:
        match record:
            case r.SanctionImposed() if record.sanction_id == about.sanction_id:
                automatic = record.is_automatic
                if record.by == person and not record.is_automatic:
                    mine.append(record.at)
            case r.SanctionConfirmed() if record.sanction_id == about.sanction_id and record.by == person:
                # Who confirms what a machine did is its decider; who confirms what a person did is the second of two.
                (mine if automatic else second).append(record.at)
            case r.TenantStepTaken() if record.step_id == about.sanction_id:
                automatic, step = record.is_automatic, record
                if record.by == person and not record.is_automatic:
                    mine.append(record.at)
            case r.Approved() if record.by == person:
                approved.append(record)
            case _:
                continue
    # The act on which a step rests is named after its proposal (pipeline/proposals).
    second += [x.at for x in approved if step is not None and step.decision_id == derived_id("d", x.proposal_id)]
    if appeal.earlier is not None and appeal.earlier.by == person:
        second.append(appeal.earlier.at)
    return mine, second
