"""Acts that take two people: what exactly is proposed, whether it still holds, and who may be the second.

STANDING 5.5, 5.7-18. A proposal is its content: act, subject, terms, what it rests on. The digest is of all of that, so
that any edit makes another proposal, and whoever approves says which one they have read. What it rests on is written
down when it is made and looked at again when it is approved; where the two differ the approval fails, with the
difference. Pure: instants and people are arguments.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from filterd.model import records as r
from filterd.model.staffing import Staffing, StaffingRules

# The part of a proposal's terms that is compared when it is approved.
RESTS_ON = "rests_on"
# So much of the digest has to be said to approve: what people can copy, and nobody meets by chance.
MIN_DIGEST_CHARS = 12

_TEAM, _PAIR = 3, 2


@dataclass(frozen=True, slots=True, kw_only=True)
class ProposalFile:
    """A proposal with what happened to it."""

    proposed: r.Proposed
    approved: r.Approved | None = None
    ended: r.ProposalEnded | None = None

    @property
    def terms(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.proposed.terms)
        return found

    def state(self, at: datetime) -> str:
        """Say `open`, `expired`, or why it ended: withdrawn, refused, vetoed, void, carried_out."""
        if self.ended is not None:
            return self.ended.because
        return "open" if at < self.proposed.expires_at else "expired"


def canonical(terms: Mapping[str, Any]) -> str:
    """Write terms so that the same ones are always the same text: sorted keys, no blanks, no floats."""

    def refuse(value: object) -> object:
        raise TypeError(f"{value!r} is no code, id, number or instant")

    if any(isinstance(x, float) for x in _leaves(terms)):
        raise TypeError("a proposal counts in whole numbers")
    return json.dumps(terms, sort_keys=True, separators=(",", ":"), ensure_ascii=False, default=refuse)


def digest_of(act: str, subject_id: str, terms: str, incident_ids: Collection[str], reason: str) -> str:
    """Say the SHA-256 of all that is proposed, hex."""
    content = json.dumps([act, subject_id, terms, list(incident_ids), reason], ensure_ascii=False)
    return hashlib.sha256(content.encode("utf-8", "surrogatepass")).hexdigest()


def proposals(records: Iterable[r.Record]) -> tuple[ProposalFile, ...]:
    """Put a subject's rows together, the oldest proposal first."""
    files: dict[str, ProposalFile] = {}
    for record in records:
        match record:
            case r.Proposed():
                files.setdefault(record.proposal_id, ProposalFile(proposed=record))
            case r.Approved() if record.proposal_id in files:
                known = files[record.proposal_id]
                files[record.proposal_id] = replace(known, approved=known.approved or record)
            case r.ProposalEnded() if record.proposal_id in files:
                known = files[record.proposal_id]
                # Carried out and then vetoed: the last word counts.
                files[record.proposal_id] = replace(known, ended=record)
            case _:
                continue
    return tuple(files.values())


def staffing_of(rules: StaffingRules, deciders: int) -> Staffing:
    """Say how many there are: as the operator says, else by the number of people who may decide."""
    if rules.mode is not None:
        return rules.mode
    if deciders >= _TEAM:
        return Staffing.TEAM
    return Staffing.PAIR if deciders == _PAIR else Staffing.SOLO


def unkept(staffing: Staffing) -> tuple[str, ...]:
    """Say which promises of ours so few people cannot keep (STANDING 5.5); none in a team."""
    match staffing:
        case Staffing.TEAM:
            return ()
        case Staffing.PAIR:
            return ("an appeal against a termination is decided by its approver, and marked so",)
        case Staffing.SOLO:
            return (
                "the second person of an act that takes two is the first one a day later, and marked so",
                "an appeal against what a person decided is decided by that person a day later, and marked so",
                "lists of locked categories, standing orders, evidence export and early purge cannot be had",
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class Second:
    """Whether somebody may be the second person now; `refusal` None: yes."""

    refusal: str | None = None
    is_self_review: bool = False


def second(
    file: ProposalFile,
    person: str,
    at: datetime,
    rules: StaffingRules,
    staffing: Staffing,
    *,
    said_digest: str,
    can_be_alone: bool,
) -> Second:
    """Say whether `person` may approve at `at`.

    Args:
        said_digest: what the person says they have read, at least MIN_DIGEST_CHARS of its digest.
        can_be_alone: whether the act may be one person's two looks where nobody else is.
    """
    proposed = file.proposed
    if (state := file.state(at)) != "open":
        return Second(refusal=f"this proposal is over: {state.replace('_', ' ')}")
    if len(said_digest) < MIN_DIGEST_CHARS or not proposed.digest.startswith(said_digest.lower()):
        return Second(refusal=f"say what you have read: --digest {proposed.digest[:MIN_DIGEST_CHARS]} is this proposal")
    if person != proposed.by:
        return Second()
    if staffing is not Staffing.SOLO:
        return Second(refusal=f"{person} has proposed it; another person approves")
    if not can_be_alone:
        return Second(refusal=f"{proposed.act} takes two people also where there is one; nobody else is there")
    again_at = proposed.at + timedelta(hours=rules.second_look_hours)
    if at < again_at:
        return Second(refusal=f"nobody else is there; look again from {again_at.isoformat()} on")
    return Second(is_self_review=True)


def differences(before: Mapping[str, Any], now: Mapping[str, Any]) -> tuple[str, ...]:
    """Say in lines what has changed of that which a proposal rests on; none: it holds."""
    keys = sorted({*before, *now})
    return tuple(
        f"{key}: {_shown(before.get(key))} -> {_shown(now.get(key))}"
        for key in keys
        if before.get(key) != now.get(key)
    )


def _shown(value: Any) -> str:
    if isinstance(value, list):
        return ", ".join(map(str, value)) or "none"
    return "none" if value is None else str(value)


def _leaves(value: Any) -> Iterable[Any]:
    if isinstance(value, Mapping):
        for item in value.values():
            yield from _leaves(item)
    elif isinstance(value, (list, tuple)):
        for item in value:
            yield from _leaves(item)
    else:
        yield value
