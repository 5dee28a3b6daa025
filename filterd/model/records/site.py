"""What concerns the whole node or site: bypass, red button, breakers, effectors."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class BypassOpened:
    """All mail passes unjudged from `since` to `until`. `by`: a person's name, or "root" where the ledger was away."""

    at: datetime
    order_id: str
    since: datetime
    until: datetime
    by: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class BypassClosed:
    """The order is over: taken back by a person, or "clock" when its time had come."""

    at: datetime
    order_id: str
    by: str


@dataclass(frozen=True, slots=True, kw_only=True)
class AutomationFrozen:
    """The red button: automatic sanctions stop, for the site or one tenant (None: the site), until then at most."""

    at: datetime
    freeze_id: str
    tenant_id: str | None
    until: datetime
    by: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class AutomationThawed:
    at: datetime
    freeze_id: str
    by: str


@dataclass(frozen=True, slots=True, kw_only=True)
class BreakerTripped:
    """A rule, or one signal of it, wanted to sanction too many at once: it is advisory until a person resets it
    (STANDING 5.7-21)."""

    at: datetime
    breaker_id: str
    finding: str
    signal: str | None
    subjects: int


@dataclass(frozen=True, slots=True, kw_only=True)
class BreakerReset:
    at: datetime
    breaker_id: str
    by: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class EffectReported:
    """What an effector outside did: `mta_queue`, `credentials`, `mailbox` (letters about campaign copies), `claw_back`.

    Args:
        owner_id: the sanction or hold it was done for; empty where a person asked for it.
        outcome: applied, failed, nothing (there was nothing to do), unavailable (nobody could be asked).
        count: how many mails; `ids` are theirs in the queue, at most 500 a row. Of delivered copies they are
            transactions, for `claw_back` ids made of transaction and mailbox (pipeline.copies.mark_of).
        detail: `verified`, or what went wrong, in our own words.
        by: "system" or a person's name.
    """

    at: datetime
    effect_id: str
    account_id: str
    owner_id: str
    effector: str
    act: str
    outcome: str
    count: int
    detail: str = ""
    ids: tuple[str, ...] = ()
    by: str = "system"


SiteRecord = (
    BypassOpened
    | BypassClosed
    | AutomationFrozen
    | AutomationThawed
    | BreakerTripped
    | BreakerReset
    | EffectReported
)

KINDS: dict[str, type[SiteRecord]] = {
    "bypass.opened": BypassOpened,
    "bypass.closed": BypassClosed,
    "automation.frozen": AutomationFrozen,
    "automation.thawed": AutomationThawed,
    "breaker.tripped": BreakerTripped,
    "breaker.reset": BreakerReset,
    "effect.reported": EffectReported,
}
