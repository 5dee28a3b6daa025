"""What people do about a whole enterprise: the emergency lock, the quota, ending steps.  STANDING 5.4 rows 9 and 11.

A lock is protection: one person on duty stops a whole tenant's mail for some hours, and unless a second one confirms it
opens by itself. Steps are the enforcing party's; the platform may set the quota as protection when that party has left
a proposal unanswered for too long (5.7-15). What takes two people is in pipeline/tenant_acts.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from filterd.agreement.sections_tenant import TenantSection
from filterd.agreement.tenant_steps import is_idle, open_proposals, running_locks, running_steps
from filterd.agreement.tenant_termination import standing_ones
from filterd.agreement.terms import Agreement
from filterd.errors import RefusedError
from filterd.model import records as r
from filterd.model.ids import random_id
from filterd.model.principal import Tenant
from filterd.pipeline.desk import Desk, iso, reason_in
from filterd.pipeline.enterprise import tell_co_users, write_tenant_rows
from filterd.pipeline.impose import MAX_HOURS
from filterd.pipeline.people import Actor, Arguments, PlainVerb, find_tenant
from filterd.pipeline.roles import BY_RESELLER, is_scoped, permitted, refuse_unless_reached
from filterd.pipeline.tenancy_view import tenancy_facts
from filterd.pipeline.tenant_acts import end_tenant_step, set_quota
from filterd.ports import LedgerTxn

LOCKED = "lock"


class TenancyVerbs:
    """The verbs about tenants. One instance a ledger process."""

    def __init__(self, desk: Desk):
        self._desk = desk

    def table(self) -> dict[str, PlainVerb]:
        """Say every verb by name."""
        return {
            "tenant.lock": self.tenant_lock,
            "tenant.lock_confirm": self.tenant_lock_confirm,
            "tenant.unlock": self.tenant_unlock,
            "tenant.step_lift": self.tenant_step_lift,
            "tenant.quota": self.tenant_quota,
        }

    # --- the emergency lock -------------------------------------------------------------------------------------------

    def tenant_lock(self, txn: LedgerTxn, arguments: Arguments) -> Any:
        """Stop all outbound mail of a `tenant` for `hours`, alone; at most as long as its agreement lets one person."""
        tenant, terms, actor = self._acting(txn, arguments, "tenant.lock")
        at_most = _section(terms).lock_hours
        hours = arguments.get("hours") or at_most
        if not isinstance(hours, int) or not 1 <= hours <= at_most:
            raise RefusedError(f"one person alone locks a tenant for 1 to {at_most} hours")
        if running_locks(txn.history(tenant.tenant_id), txn.now):
            # Or one person could go on locking for ever, a few hours at a time.
            raise RefusedError(f"{tenant.tenant_id} is locked already; a second person may confirm that")
        lock = r.TenantLocked(
            at=txn.now,
            lock_id=random_id("tl", txn.now),
            tenant_id=tenant.tenant_id,
            until=txn.now + timedelta(hours=hours),
            by=actor.name,
            reason=reason_in(arguments),
        )
        self._refuse_again(txn, tenant, actor, at_most)
        write_tenant_rows(txn, [lock], tenant.tenant_id, terms)
        return self._result(txn, tenant, terms) | {"lock_id": lock.lock_id, "until": iso(lock.until)}

    def tenant_lock_confirm(self, txn: LedgerTxn, arguments: Arguments) -> Any:
        """Keep a lock beyond its hours as a second person: for `hours` from now, or until somebody unlocks it."""
        tenant, terms, actor = self._acting(txn, arguments, "tenant.lock_confirm")
        lock = self._lock(txn, tenant, arguments)
        if actor.name == lock.by:
            raise RefusedError(f"{actor.name} has locked it; another person confirms")
        hours = arguments.get("hours")
        if hours is not None and (not isinstance(hours, int) or not 1 <= hours <= MAX_HOURS):
            raise RefusedError(f"a confirmed lock lasts 1 to {MAX_HOURS} hours, or until it is unlocked")
        until = txn.now + timedelta(hours=hours) if hours is not None else None
        confirmed = r.TenantLockConfirmed(
            at=txn.now, lock_id=lock.lock_id, tenant_id=tenant.tenant_id, by=actor.name, until=until
        )
        write_tenant_rows(txn, [confirmed], tenant.tenant_id, terms)
        # What lasts is worth a letter to everybody; what may be over within hours is told by the replies alone.
        tell_co_users(txn, tenant.tenant_id, LOCKED, lock.at, until)
        return self._result(txn, tenant, terms) | {"lock_id": lock.lock_id, "until": iso(until)}

    def tenant_unlock(self, txn: LedgerTxn, arguments: Arguments) -> Any:
        """Open a lock now."""
        tenant, terms, actor = self._acting(txn, arguments, "tenant.unlock")
        lock = self._lock(txn, tenant, arguments)
        opened = r.TenantUnlocked(
            at=txn.now, lock_id=lock.lock_id, tenant_id=tenant.tenant_id, by=actor.name, reason=reason_in(arguments)
        )
        write_tenant_rows(txn, [opened], tenant.tenant_id, terms)
        return self._result(txn, tenant, terms) | {"lock_id": lock.lock_id}

    def _lock(self, txn: LedgerTxn, tenant: Tenant, arguments: Arguments) -> r.TenantLocked:
        wanted = str(arguments.get("lock") or "")
        found = [lock for lock, _ in running_locks(txn.history(tenant.tenant_id), txn.now)]
        found = [lock for lock in found if wanted in ("", lock.lock_id)]
        if not found:
            raise RefusedError(f"{tenant.tenant_id} has no lock in force{f' called {wanted}' if wanted else ''}")
        return found[0]

    def _refuse_again(self, txn: LedgerTxn, tenant: Tenant, actor: Actor, at_most: int) -> None:
        """Refuse a lock that goes on where one person's own has just run out."""
        history = txn.history(tenant.tenant_id)
        recent = txn.now - timedelta(hours=at_most)
        confirmed = {x.lock_id for x in history.of(r.TenantLockConfirmed)}
        if any(
            x.by == actor.name and x.lock_id not in confirmed and x.until > recent
            for x in history.of(r.TenantLocked)
        ):
            raise RefusedError(
                f"{actor.name} has locked {tenant.tenant_id} alone before, less than {at_most} hours ago; another"
                " person does it"
            )

    # --- steps --------------------------------------------------------------------------------------------------------

    def tenant_quota(self, txn: LedgerTxn, arguments: Arguments) -> Any:
        """Limit a tenant's external recipients a day, to what its agreement says or to `quota`, for `hours`.

        By the enforcing party, as a step that answers what was proposed; by the platform as protection, once that party
        has been idle.
        """
        tenant, terms, actor = self._acting(txn, arguments, "tenant.quota")
        section = _section(terms)
        is_technical = not self._decides(txn, actor, tenant, terms)
        history = txn.history(tenant.tenant_id)
        if is_technical and not is_idle(history, terms, txn.now):
            raise RefusedError(
                f"{tenant.tenant_id} is its {terms.enforcing_party}'s to decide about; as protection this is the"
                f" platform's once a proposal has been left unanswered for {section.idle_hours} hours"
            )
        if not is_technical and not section.ground:
            raise RefusedError(f"agreement {terms.id} gives no ground for a quota; no ground, no step")
        if not is_technical and not open_proposals(history):
            raise RefusedError("nothing was proposed here: a quota answers a proposal (filterd review list)")
        quota, hours = arguments.get("quota"), arguments.get("hours") or section.quota_hours
        if not isinstance(hours, int) or not 1 <= hours <= section.quota_hours:
            raise RefusedError(f"a quota lasts 1 to {section.quota_hours} hours")
        if quota is not None and (not isinstance(quota, int) or quota < section.quota_floor):
            raise RefusedError(f"a quota is at least {section.quota_floor} recipients a day")
        step = set_quota(
            txn,
            tenant,
            terms,
            by=actor.name,
            hours=hours,
            quota=quota,
            reason=reason_in(arguments),
            is_technical=is_technical,
        )
        return self._result(txn, tenant, terms) | {
            "step_id": step.step_id,
            "quota": step.quota,
            "until": iso(step.ends_at),
            "technical": is_technical,
        }

    def tenant_step_lift(self, txn: LedgerTxn, arguments: Arguments) -> Any:
        """End a `step` of a tenant now, or answer a proposal with no. What was charged stays charged."""
        tenant, terms, actor = self._acting(txn, arguments, "tenant.step_lift")
        history = txn.history(tenant.tenant_id)
        wanted = str(arguments.get("step") or "")
        if any(x.step_id == wanted for x in standing_ones(history, txn.now)):
            raise RefusedError(
                "giving an enterprise its service back takes two people: filterd proposal make tenant.reinstate; before"
                " it has ended, one person stops it: filterd proposal veto"
            )
        running = running_steps(history, terms, txn.now)
        found = [x for x in (*running, *open_proposals(history)) if wanted == x.step_id]
        if not found:
            raise RefusedError(f"{tenant.tenant_id} has no step {wanted} in force")
        if not found[0].is_technical:
            self._refuse_unless_enforcing(txn, actor, tenant, terms)
        elif is_scoped(actor):
            raise RefusedError("this quota is the platform's own protection; its people end it")
        end_tenant_step(
            txn, tenant, terms, found[0], because="lifted", by=actor.name, reason=reason_in(arguments)
        )
        return self._result(txn, tenant, terms) | {"step_id": wanted}

    # --- pieces -------------------------------------------------------------------------------------------------------

    def _acting(self, txn: LedgerTxn, arguments: Arguments, verb: str) -> tuple[Tenant, Agreement, Actor]:
        actor = permitted(txn, arguments, verb)
        tenant = find_tenant(txn, str(arguments.get("tenant") or ""))
        terms = self._desk.rules.terms_for(tenant, txn.now)
        refuse_unless_reached(txn, actor, verb, tenant, enforcing_party=terms.enforcing_party)
        return tenant, terms, actor

    def _decides(self, txn: LedgerTxn, actor: Actor, tenant: Tenant, terms: Agreement) -> bool:
        """Say whether somebody acts for the party that enforces the tenant's agreement, or has its mandate."""
        try:
            self._refuse_unless_enforcing(txn, actor, tenant, terms)
        except RefusedError:
            if is_scoped(actor) or terms.enforcing_party != BY_RESELLER:
                raise
            return False
        return True

    def _refuse_unless_enforcing(self, txn: LedgerTxn, actor: Actor, tenant: Tenant, terms: Agreement) -> None:
        refuse_unless_reached(txn, actor, "tenant.decide", tenant, enforcing_party=terms.enforcing_party)

    def _result(self, txn: LedgerTxn, tenant: Tenant, terms: Agreement) -> dict[str, Any]:
        return {"tenant_id": tenant.tenant_id, "name": tenant.name, **tenancy_facts(txn, tenant, terms)}


def _section(terms: Agreement) -> TenantSection:
    if terms.tenant is None:
        raise RefusedError(f"agreement {terms.id} has no [tenant] table: it says nothing of whole tenants")
    return terms.tenant
