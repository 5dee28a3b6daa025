"""The security axis: holds, what speaks for a stolen account, attestations.  STANDING 5.7-14."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from filterd.model.sanction import Feature


@dataclass(frozen=True, slots=True, kw_only=True)
class HoldPlaced:
    """Protection without points on the security axis (STANDING 5.7-14).

    Args:
        incident_id: what set it off; empty where no incident did (an emergency, a registration match).
        ends_at: None: open until somebody attests or a moderator releases it.
        because: zero_tolerance, compromise, emergency, registration or person.
        indicators: codes of what speaks for a stolen account.
        by: "system" or a person's name.
    """

    at: datetime
    hold_id: str
    incident_id: str
    account_id: str
    features: tuple[Feature, ...]
    starts_at: datetime
    ends_at: datetime | None
    because: str = "zero_tolerance"
    indicators: tuple[str, ...] = ()
    by: str = "system"


@dataclass(frozen=True, slots=True, kw_only=True)
class HoldReleased:
    """A hold, or the watch after one, ends by a person's act. `watch_until`: the low caps that follow; None: none."""

    at: datetime
    hold_id: str
    by: str
    reason: str
    watch_until: datetime | None = None
    watch_features: tuple[Feature, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class IndicatorSeen:
    """Something that speaks for a stolen account: a code such as `client.new`, `auth.failures`, `clients.many`,
    `template.strange`. `by`: "system", a person's name or the operator's log watcher."""

    at: datetime
    account_id: str
    indicator: str
    by: str
    incident_id: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class HypothesisSettled:
    """Whose doing an incident was: compromised, malicious or unknown (STANDING 5.7-14). The newest row counts."""

    at: datetime
    account_id: str
    incident_id: str
    hypothesis: str
    by: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class HoldAttested:
    """Somebody answers for it that the password was reset and all sessions were revoked: hold becomes watch.

    Args:
        number: which attestation of the account this is within the agreement's term, from 1.
        is_verified: the operator's identity system says so, too.
        watch_until, watch_features: the low caps that follow.
    """

    at: datetime
    attestation_id: str
    hold_id: str
    account_id: str
    incident_ids: tuple[str, ...]
    by: str
    number: int
    is_verified: bool
    watch_until: datetime
    watch_features: tuple[Feature, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class StrikeExcused:
    """The strike is not attributable to the account's user: as if annulled for the ladder, the incident stays."""

    at: datetime
    strike_id: str
    incident_id: str
    by: str
    attestation_id: str


SecurityRecord = (
    HoldPlaced
    | HoldReleased
    | IndicatorSeen
    | HypothesisSettled
    | HoldAttested
    | StrikeExcused
)

KINDS: dict[str, type[SecurityRecord]] = {
    "hold.placed": HoldPlaced,
    "hold.released": HoldReleased,
    "indicator.seen": IndicatorSeen,
    "hypothesis.settled": HypothesisSettled,
    "hold.attested": HoldAttested,
    "strike.excused": StrikeExcused,
}
