"""When does automation stop?  The red button, and a breaker a rule and signal.  STANDING 5.7-21.

Frozen (a person's act, for the site or one tenant, a day at most), no automatic sanction is imposed: what was warranted
becomes a task. Tripped, a rule or one signal of it gives no points until a person has looked. Neither touches what
happens to a message, nor a hold for protection: whoever makes rules run wild does not thereby open stolen accounts.

`tripping` is the count itself: how many different accounts a rule or signal brought strikes in the window, against how
many send and how many there usually are.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import TypeVar

from filterd.agreement.sections_breaker import BreakerSection
from filterd.agreement.signals import signals, split
from filterd.model import records as r
from filterd.model.sanction import Violation
from filterd.model.standing import History, Surroundings
from filterd.model.verdict import Finding

R = TypeVar("R")

FROZEN, TRIPPED = "frozen", "breaker"


def freeze(around: Surroundings, at: datetime) -> r.AutomationFrozen | None:
    """Say what keeps automation from sanctioning an account at `at`, the longest of all; None when nothing does."""
    found = [x for history in (around.site, around.tenant) if history is not None for x in freezes(history, at)]
    return max(found, key=lambda x: x.until, default=None)


def freezes(history: History, at: datetime) -> tuple[r.AutomationFrozen, ...]:
    """Say which freezes on the site's or a tenant's own record are in force."""
    ended = {x.freeze_id for x in history.of(r.AutomationThawed) if x.at <= at}
    return tuple(
        x for x in history.of(r.AutomationFrozen) if x.freeze_id not in ended and x.at <= at < x.until
    )


def tripped(site: History | None, at: datetime) -> tuple[r.BreakerTripped, ...]:
    """Say which breakers are open, the oldest first."""
    if site is None:
        return ()
    reset = {x.breaker_id for x in site.of(r.BreakerReset) if x.at <= at}
    return tuple(x for x in site.of(r.BreakerTripped) if x.breaker_id not in reset and x.at <= at)


def is_shadowed(site: History | None, at: datetime) -> Callable[[Finding], bool]:
    """Say which findings give no points now."""
    open_ones = tripped(site, at)
    rules = {x.finding for x in open_ones if x.signal is None}
    named = {(x.finding, x.signal) for x in open_ones if x.signal is not None}
    if not open_ones:
        return lambda finding: False
    return lambda finding: finding.code in rules or any((finding.code, x) in named for x in signals(finding))


def shadowed(found: tuple[Violation, ...], left: tuple[Violation, ...]) -> tuple[Violation, ...]:
    """Say a mail's violations where some findings give no points: what is `left` without them counts, and what `found`
    says beyond that is there to see and to protect."""
    out = list(left)
    for violation in found:
        same = next((x for x in left if x.category == violation.category), None)
        if same is None or same.mode is not violation.mode or (violation.is_burst and not same.is_burst):
            out.append(replace(violation, is_shadow=True))
    return tuple(out)


# --- the count --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Hit:
    """One incident that a rule or signal brought a strike: `key` is a code, or `code=signal`."""

    at: datetime
    key: str
    account_id: str


def tripping(
    hits: Iterable[Hit],
    rules: BreakerSection,
    at: datetime,
    *,
    active_senders: int | None,
    since: datetime,
    first_seen: datetime | None,
) -> int | None:
    """Say how many accounts one key hit within the window, when that is too many; None when it is not.

    Args:
        hits: of one key, of the last `mean_days`.
        active_senders: accounts that sent within `senders_days`; None: nobody counts them, and only the mean decides.
        since: from when on hits are known; a younger record has no mean worth the name.
        first_seen: when the key brought its first strike ever, as far as known; None: now.
    """
    known = list(hits)
    window = timedelta(hours=rules.window_hours)
    recent = {x.account_id for x in known if at - window < x.at <= at}
    if len(recent) <= rules.subjects:
        return None
    factor = 0.5 if at - (first_seen or at) < timedelta(days=rules.young_days) else 1.0
    if active_senders is not None and len(recent) > factor * rules.share_percent / 100 * active_senders:
        return len(recent)
    mean = _mean(known, rules, at, since)
    return len(recent) if len(recent) > factor * rules.mean_factor * mean else None


def _mean(known: list[Hit], rules: BreakerSection, at: datetime, since: datetime) -> float:
    """The mean of different accounts a window, over the days before the window that is looked at."""
    window = timedelta(hours=rules.window_hours)
    start = max(at - timedelta(days=rules.mean_days), since)
    end = at - window
    windows = (end - start) / window
    if windows < 1:
        return 0.0
    seen = {(int((x.at - start) / window), x.account_id) for x in known if start <= x.at <= end}
    return len(seen) / windows


def keys_of(record: r.ViolationRecorded) -> tuple[str, ...]:
    """Say what a violation is counted under: its findings' codes, and each signal behind them. What is there to see
    only counts for nothing."""
    codes = dict.fromkeys(code for v in record.violations if not v.is_shadow for code in v.finding_codes)
    return (*codes, *(x for x in record.signals if split(x)[0] in codes))
