"""The red button and the breakers, as people use them.  STANDING 5.7-21.

A freeze stops automatic sanctions of the site or one tenant, for a day at most; then somebody has to say it again. An
open breaker is reset by a person who has looked, and by nothing else.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from filterd.agreement.breaker import freezes, tripped
from filterd.errors import RefusedError, UsageError
from filterd.model import records as r
from filterd.model.entry import SITE
from filterd.model.ids import random_id
from filterd.pipeline.desk import Desk, iso, reason_in
from filterd.pipeline.people import Arguments, PlainVerb, find_tenant
from filterd.pipeline.roles import LOOK, is_scoped, permitted, reaches, refuse_unless_reached
from filterd.ports import LedgerTxn


class AutomationVerbs:
    """The verbs about automation as a whole. One instance a ledger process."""

    def __init__(self, desk: Desk):
        self._desk = desk

    def table(self) -> dict[str, PlainVerb]:
        """Say every verb by name."""
        return {
            "automation.freeze": self.freeze,
            "automation.thaw": self.thaw,
            "automation.show": self.show,
            "breaker.list": self.breaker_list,
            "breaker.reset": self.breaker_reset,
        }

    def freeze(self, txn: LedgerTxn, arguments: Arguments) -> Any:
        """Stop automatic sanctions for `hours`, of the site or of one `tenant`, with a `reason`.

        Mail is judged as ever, and what protects goes on.
        """
        actor = permitted(txn, arguments, "automation.freeze")
        said = str(arguments.get("tenant") or "")
        tenant = find_tenant(txn, said) if said else None
        terms = self._desk.rules.terms_for(tenant, txn.now)
        if tenant is not None:
            refuse_unless_reached(txn, actor, "automation.freeze", tenant, enforcing_party=terms.enforcing_party)
        elif actor.scope is not None:
            raise RefusedError(f"{actor.name} may only act for {actor.scope}: --tenant")
        longest = terms.breaker.freeze_max_hours
        hours = int(arguments.get("hours") or longest)
        if not 1 <= hours <= longest:
            raise RefusedError(f"automation is stopped for 1 to {longest} hours at a time")
        frozen = r.AutomationFrozen(
            at=txn.now,
            freeze_id=random_id("z", txn.now),
            tenant_id=tenant.tenant_id if tenant is not None else None,
            until=txn.now + timedelta(hours=hours),
            by=actor.name,
            reason=reason_in(arguments),
        )
        txn.append(frozen, account_id=None, tenant_id=frozen.tenant_id)
        return _frozen(frozen)

    def thaw(self, txn: LedgerTxn, arguments: Arguments) -> Any:
        """End a freeze before its time; without its id all of the site, or of one `tenant`."""
        actor = permitted(txn, arguments, "automation.thaw")
        if actor.scope is not None:
            raise RefusedError(f"{actor.name} may only act for {actor.scope}; whoever froze it ends it")
        wanted = str(arguments.get("freeze") or "")
        said = str(arguments.get("tenant") or "")
        owner = txn.account_of(wanted) if wanted else find_tenant(txn, said).tenant_id if said else SITE
        found = [] if owner is None else [
            x for x in freezes(txn.history(owner), txn.now) if not wanted or x.freeze_id == wanted
        ]
        if not found:
            raise UsageError(f"no freeze {wanted} is in force" if wanted else "automation is not frozen there")
        for frozen in found:
            thawed = r.AutomationThawed(at=txn.now, freeze_id=frozen.freeze_id, by=actor.name)
            txn.append(thawed, account_id=None, tenant_id=frozen.tenant_id)
        return {"thawed": [x.freeze_id for x in found], "by": actor.name}

    def show(self, txn: LedgerTxn, arguments: Arguments) -> Any:
        """Say what stops automation now: freezes and open breakers."""
        actor = permitted(txn, arguments, LOOK) if arguments.get("token") else None
        tenants = txn.tenants() if actor is None else (x for x in txn.tenants() if reaches(txn, actor, x))
        # What stops all of the site concerns everybody.
        everybody = (SITE, *(tenant.tenant_id for tenant in tenants))
        found = [x for owner in everybody for x in freezes(txn.history(owner), txn.now)]
        breakers = self.breaker_list(txn, arguments)
        return {"frozen": [_frozen(x) for x in found], "breakers": breakers}

    def breaker_list(self, txn: LedgerTxn, arguments: Arguments) -> Any:
        """Say the breakers that are open, or `all` there were; to a tenant's or a reseller's person none: they tell of
        rules and of others."""
        if arguments.get("token") and is_scoped(permitted(txn, arguments, LOOK)):
            return []
        site = txn.history(SITE)
        reset = {x.breaker_id: x for x in site.of(r.BreakerReset)}
        known = site.of(r.BreakerTripped) if arguments.get("all") else tripped(site, txn.now)
        return [
            {
                "breaker_id": x.breaker_id,
                "finding": x.finding,
                "signal": x.signal,
                "subjects": x.subjects,
                "at": iso(x.at),
                "reset_at": iso(reset[x.breaker_id].at) if x.breaker_id in reset else None,
                "reset_by": reset[x.breaker_id].by if x.breaker_id in reset else None,
            }
            for x in known
        ]

    def breaker_reset(self, txn: LedgerTxn, arguments: Arguments) -> Any:
        """Let a rule or signal count again: a person has looked, and it is right (or was repaired)."""
        actor = permitted(txn, arguments, "breaker.reset")
        breaker_id = str(arguments.get("breaker") or "")
        if all(x.breaker_id != breaker_id for x in tripped(txn.history(SITE), txn.now)):
            raise UsageError(f"no open breaker {breaker_id}")
        reset = r.BreakerReset(at=txn.now, breaker_id=breaker_id, by=actor.name, reason=reason_in(arguments))
        txn.append(reset, account_id=None, tenant_id=None)
        return {"breaker_id": breaker_id, "by": actor.name}


def _frozen(frozen: r.AutomationFrozen) -> dict[str, Any]:
    return {
        "freeze_id": frozen.freeze_id,
        "tenant_id": frozen.tenant_id,
        "since": iso(frozen.at),
        "until": iso(frozen.until),
        "by": frozen.by,
        "reason": frozen.reason,
    }
