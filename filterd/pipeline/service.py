"""Does the contract let this mail pass?  STANDING 5.11: stopped, stopped inbound, maintenance, decommission.

Asked before anything is judged, and never about conduct. Who may send is in the standing; here is what needs no login:
whether the site takes mail at all, and whether the recipient's tenant is still in service. An answer that keeps mail
out rests on what the ledger says now; one that lets it in may be a minute old. While the ledger is away mail comes in.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from filterd.agreement.clocks import of
from filterd.agreement.lifecycle import service_at
from filterd.agreement.maintenance import window_at
from filterd.agreement.shutdown import closes_at
from filterd.agreement.terms import Agreement
from filterd.agreement.versions import in_force
from filterd.errors import LedgerUnavailable
from filterd.model.entry import SITE
from filterd.model.lifecycle import Lifecycle
from filterd.model.reply import Reply
from filterd.model.session import Path
from filterd.model.standing import History
from filterd.pipeline.reach import Reach
from filterd.pipeline.replies import CLOSED, MAINTENANCE, unserved_reply
from filterd.ports import Ledger

FACTS_VERB = "service.facts"
# A tenant in service is believed to be so for a minute; of one that is not the ledger is asked each time.
BELIEVED_S = 60.0
_AT_MOST = 50_000


@dataclass(frozen=True, slots=True, kw_only=True)
class _Facts:
    """What the directory says of a tenant, and until when (monotonic) that is believed."""

    agreement: str
    expires_on: date | None
    domains: tuple[str, ...]
    until_s: float


class ServiceDesk:
    """One a worker.

    Args:
        terms: the agreements by id.
        reach: whom anybody can always write to.
    """

    def __init__(self, ledger: Ledger, terms: Mapping[str, Agreement], reach: Reach):
        self._ledger, self._terms, self._reach = ledger, terms, reach
        self._facts: dict[str, _Facts] = {}

    async def of_site(self, at: datetime) -> Reply | None:
        """Say why no mail is taken at all just now, None when it is."""
        try:
            site: History | None = await self._ledger.history(SITE)
        except LedgerUnavailable:
            site = self._ledger.last_history(SITE)
        if site is None or not site.further:
            return None
        closed = closes_at(site)
        if closed is not None and closed <= at:
            return CLOSED
        return MAINTENANCE if window_at(site, at) is not None else None

    async def of_recipient(self, forward: Path, at: datetime) -> Reply | None:
        """Say why mail to this address is not taken, None when it is: for an address that is nobody's here, too."""
        if not forward.domain:
            return None
        try:
            tenant_id = await self._ledger.domain_owner(forward.domain)
            if tenant_id is None:
                return None
            history = await self._ledger.history(tenant_id)
            facts = await self._of_tenant(tenant_id, is_fresh=False)
            life, terms = self._life(history, facts, at)
            if facts is None or terms is None or not life.is_over or self._reach.covers(forward, facts.domains):
                return None
            # Only what is so now keeps mail out.
            life, terms = self._life(history, await self._of_tenant(tenant_id, is_fresh=True), at)
        except LedgerUnavailable:
            return None
        if terms is None or not life.is_over or life.over_at is None:
            return None
        until = terms.calendar.term_end(life.over_at, of(terms).inbound_wait_days)
        return unserved_reply(is_waiting=at < until)

    def _life(self, history: History, facts: _Facts | None, at: datetime) -> tuple[Lifecycle, Agreement | None]:
        found = self._terms.get(facts.agreement) if facts is not None else None
        if facts is None or found is None:
            return Lifecycle(), None
        terms = in_force(found, at)
        return service_at(history, facts.expires_on, terms, at), terms

    async def _of_tenant(self, tenant_id: str, *, is_fresh: bool) -> _Facts | None:
        known = self._facts.get(tenant_id)
        now = time.monotonic()
        if known is not None and not is_fresh and now < known.until_s:
            return known
        said: Mapping[str, Any] | None = await self._ledger.call(FACTS_VERB, {"tenant_id": tenant_id})
        if said is None:
            return None
        if len(self._facts) >= _AT_MOST:
            self._facts.clear()
        expires_on = said["expires_on"]
        facts = _Facts(
            agreement=str(said["agreement"]),
            expires_on=date.fromisoformat(expires_on) if expires_on else None,
            domains=tuple(said["domains"]),
            until_s=now + BELIEVED_S,
        )
        self._facts[tenant_id] = facts
        return facts
