"""Erases what has been kept as long as was promised: evidence, settled quarantine, what belongs to erased subjects.

Once an hour, on the node that keeps the timers. Nothing is erased while the clock cannot be trusted: after a jump of
more than five minutes, until the new time has stood for a day (two readings 24 h apart before any deletion, STANDING
5.4-12 and 5.7-16), or while it is before the latest row of the ledger. What is on a node while another one keeps the
timers is only looked at: the clock.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol

from filterd.model.steady import JUMP_S, ClockWatch, since_boot

# STANDING 5.4-12.
STOOD_FOR_S = 24 * 3600.0

JUMPED, BEHIND = "clock.jumped", "clock.behind"


class Erased(Protocol):
    """Rows that went, and accounts whose rows stay because of an appeal or a legal hold."""

    @property
    def rows(self) -> int: ...

    @property
    def frozen_accounts(self) -> int: ...


class Swept(Protocol):
    @property
    def orphaned(self) -> int: ...


class Steps(Protocol):
    """What the ledger does of it (ledger.retention)."""

    async def last_written_at(self) -> datetime | None: ...

    async def expire(self, at: datetime) -> Erased: ...

    async def prune(self, settled_before: datetime) -> Erased: ...

    async def forget_destroyed(self) -> int: ...

    async def sweep(self) -> Swept: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Retained:
    """One run. `frozen`: why nothing was erased, None when it was; with `is_alarm` a person must look at the clock.

    `off_s`: how far the clock is from where it should be. Then how much evidence expired, how much was of erased
    subjects, how many settled items of the quarantine and how many objects went, and how many accounts keep theirs.
    """

    frozen: str | None = None
    is_alarm: bool = False
    off_s: float = 0.0
    expired: int = 0
    destroyed: int = 0
    pruned: int = 0
    objects: int = 0
    frozen_accounts: int = 0


class RetentionWorker:
    """One a ledger process.

    Args:
        has_timers: whether this is the node that acts by the clock.
        quarantine_keep: how long the line of a settled item is kept, with its sealed envelope. Its octets go at once.
        steady: a clock that nobody sets. With a settable wall clock, that one: there jumps are meant.
    """

    def __init__(
        self,
        steps: Steps,
        has_timers: Callable[[], bool],
        *,
        quarantine_keep: timedelta,
        steady: Callable[[], float] = since_boot,
    ):
        self._steps = steps
        self._has_timers = has_timers
        self._quarantine_keep = quarantine_keep
        self._clock = ClockWatch(settle_s=STOOD_FOR_S, steady=steady)

    async def run_once(self, now: datetime) -> Retained:
        """Erase what is due at `now`. Raises PortError when the ledger is away; nothing is lost by that."""
        jumped_s = self._clock.jumped_s(now)
        if not self._has_timers():
            return Retained()
        if jumped_s:
            return Retained(frozen=JUMPED, is_alarm=True, off_s=jumped_s)
        latest = await self._steps.last_written_at()
        if latest is not None and now < latest:
            # Nodes differ by some seconds, and somebody may have written just now: that is no reason to wake anybody.
            behind_s = (latest - now).total_seconds()
            return Retained(frozen=BEHIND, is_alarm=behind_s > JUMP_S, off_s=-behind_s)
        destroyed = await self._steps.forget_destroyed()
        evidence = await self._steps.expire(now)
        items = await self._steps.prune(now - self._quarantine_keep)
        swept = await self._steps.sweep()
        return Retained(
            expired=evidence.rows,
            destroyed=destroyed,
            pruned=items.rows,
            objects=swept.orphaned,
            frozen_accounts=max(evidence.frozen_accounts, items.frozen_accounts),
        )
