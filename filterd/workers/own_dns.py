"""Once a day: look at the DNS records of tenants' own domains, on the one node that has the timers.  TX-3.1.4.

Nothing follows from it but advice (pipeline/own_dns). Which tenants were looked at today is kept in memory: after a
restart they are looked at once more, which tells nobody anything again.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import date, datetime
from functools import partial
from typing import Any

from filterd.model.about import NOTHING, About, about
from filterd.pipeline.own_dns import OwnDns, look_at, take_look, wants_look
from filterd.pipeline.verbs import DeskRules
from filterd.ports import LedgerTxn, Resolver

Submit = Callable[[Callable[[LedgerTxn], Any], About], Awaitable[Any]]


class OwnDnsWorker:
    """One a ledger process. `resolver` None: nobody is looked at. `ours` is asked at each look: keys rotate."""

    def __init__(
        self,
        submit: Submit,
        rules: Callable[[], DeskRules],
        has_timers: Callable[[], bool],
        resolver: Resolver | None,
        ours: Callable[[datetime], OwnDns],
    ):
        self._submit, self._rules, self._has_timers = submit, rules, has_timers
        self._resolver, self._ours = resolver, ours
        self._looked: dict[str, date] = {}

    async def run_once(self, now: datetime) -> int:
        """Look at each tenant that was not looked at today; say how many codes somebody was advised about."""
        if self._resolver is None or not self._has_timers():
            return 0
        advised, ours = 0, self._ours(now)
        for tenant_id, domains, today in await self._submit(partial(_tenants, rules=self._rules(), at=now), NOTHING):
            if self._looked.get(tenant_id) == today:
                continue
            seen = {domain: await look_at(self._resolver, domain, ours) for domain in domains}
            take = partial(take_look, tenant_id=tenant_id, seen=seen, at=now)
            advised += len(await self._submit(take, about(tenants=(tenant_id,))))
            self._looked[tenant_id] = today
        return advised


def _tenants(txn: LedgerTxn, rules: DeskRules, at: datetime) -> list[tuple[str, tuple[str, ...], date]]:
    """Say whose domains are looked at, and which day it is there."""
    return [
        (x.tenant_id, x.domains, rules.terms_for(x, at).calendar.day_of(at)) for x in txn.tenants() if wants_look(x)
    ]
