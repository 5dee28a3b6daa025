"""Once a minute: make known what time has done, on the one node that has the timers.  STANDING 5.4 row 5, 5.7-16.

Nothing waits for this: what ends by itself ends without it. Accounts and tenants are looked at a page at a time, each
strike in a transaction of its own, so that no decision waits long. While the wall clock has jumped by more than five
minutes nothing strikes until the new time has stood for ten, and nothing is read before a deletion until it has stood
for a day. Once a day the MX of free tenants is asked (TX-4.4.4), by as many resolvers as there are.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from functools import partial
from typing import Any

from filterd.model.about import EVERYTHING, NOTHING, About, about
from filterd.model.steady import ClockWatch, since_boot
from filterd.pipeline.clockwork import BY_CLOCK, Struck, begin, strike_account, strike_tenant, take_probe, wants_probe
from filterd.pipeline.held_clocks import digest_of, promise_digest, strike_held
from filterd.pipeline.locked_hold import release_due
from filterd.pipeline.mx import probe_domain
from filterd.pipeline.registration_files import erase_undone
from filterd.pipeline.site_clock import is_shredding, strike_site
from filterd.pipeline.verbs import DeskRules
from filterd.ports import LedgerTxn, Resolver

# A page of look-ups takes some milliseconds of the ledger.
PAGE = 200
# So many pages of a site that is shredded in one run; the next run goes on.
PAGES = 1000
# So long a new time has to stand before anything is told by it, and before anything is read for a deletion.
TOLD_AFTER_S, READ_AFTER_S = 600.0, 24 * 3600.0

Submit = Callable[[Callable[[LedgerTxn], Any], About], Awaitable[Any]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Ran:
    """One run. `frozen_s`: by how much the clock was away, and nothing struck; 0 when all went on."""

    struck: tuple[Struck, ...] = ()
    frozen_s: float = 0.0
    is_reading: bool = True
    subjects: int = 0


class ClockWorker:
    """One a ledger process.

    Args:
        rules: says the rules in force, which a reload changes.
        has_timers: whether this is the node that acts by the clock.
        resolvers: asked for the MX of free tenants; none: that clock stands still.
        steady: a clock that nobody sets. With a settable wall clock, that one: there jumps are meant.
    """

    def __init__(
        self,
        submit: Submit,
        rules: Callable[[], DeskRules],
        has_timers: Callable[[], bool],
        *,
        resolvers: Sequence[Resolver] = (),
        steady: Callable[[], float] = since_boot,
    ):
        self._submit, self._rules, self._has_timers = submit, rules, has_timers
        self._resolvers = tuple(resolvers)
        self._told = ClockWatch(settle_s=TOLD_AFTER_S, steady=steady)
        self._read = ClockWatch(settle_s=READ_AFTER_S, steady=steady)
        self._since: datetime | None = None
        # By account: for which day which items are in a digest that was promised.
        self._told_of: dict[str, tuple[date, tuple[str, ...]]] = {}

    async def run_once(self, now: datetime) -> Ran:
        """Strike what is due at `now`. Raises LedgerUnavailable; nothing is lost by that."""
        frozen_s, unread_s = self._told.jumped_s(now), self._read.jumped_s(now)
        if not self._has_timers():
            return Ran()
        # Whatever the clock does: what nobody has decided about goes on.
        await self._let_go(now)
        if frozen_s:
            return Ran(frozen_s=frozen_s, is_reading=False)
        if self._since is None:
            self._since = await self._submit(begin, EVERYTHING)
        struck: list[Struck] = []
        subjects, rules = 0, self._rules()
        tenants, accounts = await self._submit(_everybody_first, NOTHING)
        for tenant_id in tenants:
            struck += await self._strike(strike_tenant, tenant_id, rules, now, may_read=not unread_s)
        # What is erased stays erased: not by a clock that has just jumped.
        struck += await self._erase(rules, now) if not unread_s else ()
        struck += await self._site(now, may_erase=not unread_s)
        while accounts:
            for account_id in accounts:
                struck += await self._strike(strike_account, account_id, rules, now, may_read=not unread_s)
            subjects += len(accounts)
            accounts = await self._submit(partial(_page, accounts[-1]), NOTHING)
        struck += await self._strike_held(rules, now, may_read=not unread_s)
        return Ran(struck=tuple(struck), is_reading=not unread_s, subjects=subjects + len(tenants))

    async def _let_go(self, now: datetime) -> None:
        """Let mail go on that locked lists hold for a person, when its time is over; it is said nowhere."""
        let_go = partial(release_due, at=now, by=BY_CLOCK)
        if await self._submit(partial(let_go, is_dry=True), NOTHING):
            await self._submit(let_go, EVERYTHING)

    async def _strike_held(self, rules: DeskRules, now: datetime, *, may_read: bool) -> list[Struck]:
        """Strike for whoever has mail held, and see to the day's digests."""
        struck: list[Struck] = []
        told: dict[str, tuple[date, tuple[str, ...]]] = {}
        holders = await self._submit(partial(_holders, ""), NOTHING)
        while holders:
            for account_id in holders:
                struck += await self._strike(strike_held, account_id, rules, now, may_read=may_read)
                ask = partial(digest_of, account_id=account_id, rules=rules, at=now)
                # What a digest has is said again when it has more; until it goes out, that is one mail.
                if items := await self._submit(ask, NOTHING):
                    told[account_id] = (now.date(), items)
                    if self._told_of.get(account_id) != told[account_id]:
                        promise = partial(promise_digest, account_id=account_id, rules=rules, at=now)
                        await self._submit(promise, NOTHING)
            holders = await self._submit(partial(_holders, holders[-1]), NOTHING)
        self._told_of = told
        return struck

    async def _erase(self, rules: DeskRules, now: datetime) -> tuple[Struck, ...]:
        """Erase fingerprints of terminated registrations whose years are over (TX-8.2.4); mostly there is nothing."""
        erase = partial(erase_undone, rules=rules, at=now)
        if not await self._submit(partial(erase, is_dry=True), NOTHING):
            return ()
        found: tuple[Struck, ...] = await self._submit(erase, EVERYTHING)
        return found

    async def _site(self, now: datetime, *, may_erase: bool) -> tuple[Struck, ...]:
        """Strike what is due for the whole site; what is shredded on its last day, a page at a time (TX-8.2.8)."""
        run = partial(strike_site, at=now, may_erase=may_erase)
        if not await self._submit(partial(run, is_dry=True), NOTHING):
            return ()
        found: tuple[Struck, ...] = await self._submit(run, EVERYTHING)
        for _ in range(PAGES):
            if not (may_erase and await self._submit(partial(is_shredding, at=now), NOTHING)):
                break
            found += await self._submit(run, EVERYTHING)
        return found

    async def _strike(
        self,
        strike: Callable[..., tuple[Struck, ...]],
        subject_id: str,
        rules: DeskRules,
        now: datetime,
        *,
        may_read: bool,
    ) -> tuple[Struck, ...]:
        """Look first, which locks nothing; almost always there is nothing to do."""
        run = partial(strike, rules=rules, at=now, since=self._since, may_read=may_read)

        def look(txn: LedgerTxn) -> tuple[Struck, ...]:
            return run(txn, subject_id, is_dry=True)

        if not await self._submit(look, NOTHING):
            return ()
        is_tenant = strike is strike_tenant
        whose = about(tenants=(subject_id,)) if is_tenant else about(accounts=(subject_id,))
        found: tuple[Struck, ...] = await self._submit(lambda txn: run(txn, subject_id), whose)
        return found

    # --- the MX of free tenants ---------------------------------------------------------------------------------------

    async def probe_once(self, now: datetime) -> tuple[Struck, ...]:
        """Look at the MX of every free tenant that was not looked at today."""
        if not (self._resolvers and self._has_timers()) or self._told.jumped_s(now):
            return ()
        rules = self._rules()
        struck: list[Struck] = []
        for tenant_id, domains, declared in await self._submit(partial(_free, rules=rules, at=now), NOTHING):
            verdicts = dict(
                zip(
                    domains,
                    await asyncio.gather(*(probe_domain(self._resolvers, d, declared) for d in domains)),
                    strict=True,
                )
            )
            take = partial(
                take_probe,
                tenant_id=tenant_id,
                verdicts=verdicts,
                resolvers=len(self._resolvers),
                rules=rules,
                at=now,
            )
            struck += await self._submit(take, about(tenants=(tenant_id,)))
        return tuple(struck)


def _everybody_first(txn: LedgerTxn) -> tuple[tuple[str, ...], tuple[str, ...]]:
    return tuple(tenant.tenant_id for tenant in txn.tenants()), txn.clocked("", PAGE)


def _page(after: str, txn: LedgerTxn) -> tuple[str, ...]:
    return txn.clocked(after, PAGE)


def _holders(after: str, txn: LedgerTxn) -> tuple[str, ...]:
    return txn.holders(after, PAGE)


def _free(
    txn: LedgerTxn, rules: DeskRules, at: datetime
) -> list[tuple[str, tuple[str, ...], tuple[str, ...]]]:
    out = []
    for tenant in txn.tenants():
        declared = wants_probe(txn, tenant, rules, at)
        if declared is not None:
            out.append((tenant.tenant_id, tenant.domains, declared))
    return out
