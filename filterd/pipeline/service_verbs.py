"""What people do about the contract: terms renewed, services ended and resumed, maintenance, clocks.  CLAUSES §6.

None of it is a sanction, and no row of it counts against anybody.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import date, datetime
from typing import Any

from filterd.agreement.clock_table import CLOCKS
from filterd.agreement.clocks import law_change_end
from filterd.agreement.deletion import readings, run_out
from filterd.agreement.lifecycle import lifecycle_at, service_at
from filterd.agreement.maintenance import windows
from filterd.errors import RefusedError, UsageError
from filterd.mail.names import canonical_domain
from filterd.model import records as r
from filterd.model.entry import SITE
from filterd.model.ids import random_id
from filterd.model.principal import Account, Tenant
from filterd.model.standing import Surroundings
from filterd.pipeline.changes import announced_stop
from filterd.pipeline.clockwork import Struck, began_at, begin, strike_account, strike_tenant
from filterd.pipeline.desk import iso, reason_in
from filterd.pipeline.directory_rows import write_account, write_tenant
from filterd.pipeline.held_clocks import strike_held
from filterd.pipeline.notice_events import Facts, announce_event, announce_to_all
from filterd.pipeline.people import Arguments, PlainVerb
from filterd.pipeline.purge import fate
from filterd.pipeline.registration_files import erase_undone
from filterd.pipeline.roles import permitted, refuse_unless_reached
from filterd.pipeline.site_clock import strike_site
from filterd.pipeline.verbs import DeskRules, surroundings
from filterd.ports import LedgerTxn

# Why a person ends a service; `mx` is the clock's, `shutdown` takes two people for the whole site.
REASONS = ("refused_terms", "insolvency", "law_change", "policy", "other")


class ServiceVerbs:
    """One instance a ledger process. `is_settable`: the clock is one that people set, for trying things."""

    def __init__(self, rules: DeskRules, *, is_settable: bool = False):
        self._rules, self._is_settable = rules, is_settable

    def table(self) -> dict[str, PlainVerb]:
        """Say every verb by name."""
        return {
            "service.facts": self.facts,
            "service.show": self.show,
            "service.end": self.end,
            "service.resume": self.resume,
            "service.renew": self.renew,
            "service.mx": self.declare_mx,
            "maintenance.announce": self.announce,
            "maintenance.list": self.announced,
            "maintenance.end": self.end_maintenance,
            "clock.list": self.clocks,
            "clock.run": self.run_clocks,
        }

    # --- one service --------------------------------------------------------------------------------------------------

    def facts(self, txn: LedgerTxn, arguments: Arguments) -> Any:
        """Say what the mail path must know of a tenant's term; None for one the directory does not have."""
        tenant = txn.tenant(str(arguments.get("tenant_id") or ""))
        if tenant is None:
            return None
        return {
            "agreement": self._rules.terms_for(tenant, txn.now).id,
            "expires_on": tenant.expires_on.isoformat() if tenant.expires_on is not None else None,
            "domains": list(tenant.domains),
        }

    def show(self, txn: LedgerTxn, arguments: Arguments) -> Any:
        """Say how the service of an account or a tenant stands, and what stands between it and a deletion."""
        account, tenant = self._subject(txn, arguments)
        terms = self._rules.terms_for(tenant, txn.now)
        if account is not None:
            around = surroundings(txn, account.account_id, account.tenant_id)
            subject_id, expires_on = account.account_id, account.expires_on
            life = lifecycle_at(txn.history(subject_id), terms, txn.now, around)
        else:
            subject_id, expires_on = tenant.tenant_id, tenant.expires_on
            life = service_at(txn.history(subject_id), expires_on, terms, txn.now)
        kept = run_out(txn.history(subject_id), terms, txn.now, Surroundings(expires_on=expires_on))
        seen = readings(txn.history(subject_id), kept) if kept is not None else ()
        return {
            "subject_id": subject_id,
            "agreement": terms.id,
            "state": life.state.value,
            "since": iso(life.since),
            "because": life.because,
            "expires_on": _day(life.expires_on),
            "over_at": iso(life.over_at),
            "kept_until": iso(life.keep_until),
            "is_held": life.is_held,
            "readings": [iso(at) for at in seen],
            "why_not_deleted": fate(txn, subject_id, self._rules).why_not,
        }

    def end(self, txn: LedgerTxn, arguments: Arguments) -> Any:
        """End a tenant's service for a reason that is no misconduct; after a change of law not before its notice has
        run (TX-8.2.1, 8.2.3, 8.2.5, 8.2.7)."""
        tenant, by = self._acted_on(txn, arguments, "service.end")
        because = str(arguments.get("because") or "")
        if because not in REASONS:
            raise RefusedError(f"because is one of {', '.join(REASONS)}")
        terms = self._rules.terms_for(tenant, txn.now)
        effective_at = None
        if because == "law_change":
            effective_at = law_change_end(txn.now, terms)
            if effective_at is None:
                raise RefusedError(f"{terms.id} has no clock for a change of law ([lifecycle] law_change_days)")
        if because == "policy":
            # TX-5.1: no service stops for reasons of policy that nobody was told of.
            stop = announced_stop(txn, tenant)
            if stop is None:
                raise RefusedError("announce it first: filterd change announce stop --on DAY")
            effective_at = max(stop.effective_at, txn.now)
        record = r.ServiceEnded(
            at=txn.now,
            tenant_id=tenant.tenant_id,
            because=because,
            by=by,
            reason=reason_in(arguments),
            effective_at=effective_at,
        )
        txn.append(record, account_id=None, tenant_id=tenant.tenant_id)
        if because == "law_change" and effective_at is not None:
            facts = {"ends_on": terms.calendar.day_of(effective_at)}
            announce_event(txn, "law_change", tenant.tenant_id, facts)
        return {"tenant_id": tenant.tenant_id, "because": because, "ends_at": iso(record.ends_at), "by": by}

    def resume(self, txn: LedgerTxn, arguments: Arguments) -> Any:
        """Take up again what had ended; everything is back at once."""
        tenant, by = self._acted_on(txn, arguments, "service.resume")
        record = r.ServiceResumed(at=txn.now, tenant_id=tenant.tenant_id, by=by, reason=reason_in(arguments))
        txn.append(record, account_id=None, tenant_id=tenant.tenant_id)
        return self.show(txn, {"tenant": tenant.tenant_id}) | {"by": by}

    def renew(self, txn: LedgerTxn, arguments: Arguments) -> Any:
        """Set the last day of a tenant, or of an account (`until`; empty: no end). What had stopped works at once."""
        account, tenant = self._subject(txn, arguments)
        actor = permitted(txn, arguments, "service.renew")
        terms = self._rules.terms_for(tenant, txn.now)
        refuse_unless_reached(txn, actor, "service.renew", tenant, account, enforcing_party=terms.enforcing_party)
        until = _read_day(arguments.get("until"))
        if account is not None:
            after = replace(account, expires_on=until)
            write_account(txn, account, after, by=actor.name, source=actor.name)
            subject_id = account.account_id
        else:
            write_tenant(txn, tenant, replace(tenant, expires_on=until), by=actor.name, source=actor.name)
            subject_id = tenant.tenant_id
        if until is not None:
            announce_event(txn, "service_renewed", subject_id, {"at": txn.now, "expires_on": until})
        said = {"account": account.account_id} if account is not None else {"tenant": tenant.tenant_id}
        return self.show(txn, said) | {"by": actor.name}

    def declare_mx(self, txn: LedgerTxn, arguments: Arguments) -> Any:
        """Write down to which hosts a tenant's mail comes directly; none: any MX is good (TX-4.4.4)."""
        tenant, by = self._acted_on(txn, arguments, "service.mx")
        hosts = tuple(sorted({canonical_domain(str(x)) for x in arguments.get("hosts") or ()}))
        record = r.MxDeclared(at=txn.now, tenant_id=tenant.tenant_id, hosts=hosts, by=by)
        txn.append(record, account_id=None, tenant_id=tenant.tenant_id)
        return {"tenant_id": tenant.tenant_id, "hosts": list(hosts), "by": by}

    # --- maintenance --------------------------------------------------------------------------------------------------

    def announce(self, txn: LedgerTxn, arguments: Arguments) -> Any:
        """Announce a window: mail waits in it, and clocks of people stand still (AL-6.3, TX-5.2)."""
        actor = permitted(txn, arguments, "maintenance.announce")
        since, until = _instant(arguments, "since") or txn.now, _instant(arguments, "until")
        is_emergency = bool(arguments.get("is_emergency"))
        if until is None or until <= max(since, txn.now):
            raise RefusedError("until is an instant after the beginning, and still to come")
        if since < txn.now:
            raise RefusedError("a window begins now or later; what is over cannot be announced")
        if since <= txn.now and not is_emergency and (who := self._must_announce(txn)):
            raise RefusedError(f"{who} promises to tell beforehand: give a later beginning, or --emergency")
        record = r.MaintenanceAnnounced(
            at=txn.now,
            window_id=random_id("mw", txn.now),
            since=since,
            until=until,
            announced_at=txn.now,
            is_emergency=is_emergency,
            by=actor.name,
        )
        txn.append(record, account_id=None, tenant_id=None)
        facts: Facts = {"window_id": record.window_id, "since": since, "until": until, "is_emergency": is_emergency}
        told = announce_to_all(txn, "maintenance", facts)
        return {"window_id": record.window_id, "since": iso(since), "until": iso(until), "told": told}

    def announced(self, txn: LedgerTxn, arguments: Arguments) -> Any:
        """Say the windows that are open or to come, or `all` of them."""
        return [
            {
                "window_id": w.window_id,
                "since": iso(w.since),
                "until": iso(w.until),
                "announced_at": iso(w.announced_at),
                "is_emergency": w.is_emergency,
                "is_open": w.covers(txn.now),
                "by": w.by,
            }
            for w in windows(txn.history(SITE))
            if arguments.get("all") or w.until > txn.now
        ]

    def end_maintenance(self, txn: LedgerTxn, arguments: Arguments) -> Any:
        """End a window now; one to come does not happen."""
        actor = permitted(txn, arguments, "maintenance.end")
        wanted = str(arguments.get("window") or "")
        found = next((w for w in windows(txn.history(SITE)) if w.window_id == wanted and w.until > txn.now), None)
        if found is None:
            raise UsageError(f"no window {wanted} is open or to come")
        record = r.MaintenanceEnded(at=txn.now, window_id=wanted, by=actor.name)
        txn.append(record, account_id=None, tenant_id=None)
        if found.since > txn.now:
            announce_to_all(txn, "maintenance_cancelled", {"window_id": wanted, "at": txn.now})
        return {"window_id": wanted, "by": actor.name}

    def _must_announce(self, txn: LedgerTxn) -> str | None:
        """Say which agreement in use promises to tell beforehand, None when none does."""
        bound = {self._rules.terms_for(tenant, txn.now).id for tenant in txn.tenants()}
        for name in sorted(bound or {self._rules.default_agreement}):
            found = self._rules.terms[name].lifecycle
            if found is not None and found.maintenance_is_announced:
                return name
        return None

    # --- clocks -------------------------------------------------------------------------------------------------------

    def clocks(self, txn: LedgerTxn, arguments: Arguments) -> Any:
        """Say every clock there is."""
        return [
            {
                "name": c.name,
                "clause": c.clause,
                "start": c.start,
                "length": c.length,
                "end": c.end,
                "pause": c.pause,
            }
            for c in CLOCKS
        ]

    def run_clocks(self, txn: LedgerTxn, arguments: Arguments) -> Any:
        """Say what strikes `at` an instant; unless `dry_run` carry it out, for a person and never ahead of time."""
        at = _instant(arguments, "at") or txn.now
        is_dry = bool(arguments.get("dry_run"))
        if not is_dry:
            if not self._is_settable:
                permitted(txn, arguments, "clock.run")
            if at > txn.now:
                raise RefusedError("nothing strikes ahead of its time; with --dry-run it is only said")
        since = began_at(txn) if is_dry else begin(txn)
        # A person sees the clock; the job that does not waits for it to settle (STANDING 5.7-16).
        struck: list[Struck] = []
        for tenant in txn.tenants():
            struck += strike_tenant(txn, tenant.tenant_id, self._rules, at, since=since, is_dry=is_dry)
        for account_id in txn.clocked():
            struck += strike_account(txn, account_id, self._rules, at, since=since, is_dry=is_dry)
        for account_id in txn.holders():
            struck += strike_held(txn, account_id, self._rules, at, since=since, is_dry=is_dry)
        struck += erase_undone(txn, self._rules, at, is_dry=is_dry)
        # What is shredded for good takes the job, whose clock is watched (STANDING 5.7-16).
        struck += strike_site(txn, at, is_dry=is_dry, may_erase=is_dry)
        return {"at": iso(at), "dry_run": is_dry, "struck": _rows(struck)}

    # --- finding ------------------------------------------------------------------------------------------------------

    def _acted_on(self, txn: LedgerTxn, arguments: Arguments, verb: str) -> tuple[Tenant, str]:
        """Say the tenant an act is about, and who acts. Raises RefusedError."""
        _, tenant = self._subject(txn, {"tenant": arguments.get("tenant")})
        actor = permitted(txn, arguments, verb)
        party = self._rules.terms_for(tenant, txn.now).enforcing_party
        refuse_unless_reached(txn, actor, verb, tenant, enforcing_party=party)
        return tenant, actor.name

    def _subject(self, txn: LedgerTxn, arguments: Arguments) -> tuple[Account | None, Tenant]:
        """Find an `account` by login or id, or a `tenant` by name, id or domain. Raises UsageError."""
        if said := str(arguments.get("account") or ""):
            ref = txn.find_account(said)
            account = txn.account(ref.account_id if ref is not None else said)
            tenant = txn.tenant(account.tenant_id) if account is not None else None
            if account is None or tenant is None:
                raise UsageError(f"no account {said}")
            return account, tenant
        said = str(arguments.get("tenant") or "")
        found = [t for t in txn.tenants() if said in (t.name, t.tenant_id) or said.lower() in t.domains]
        if not said or len(found) != 1:
            number = len(found) if said else "no"
            raise UsageError(f"{number} tenants are called {said!r}; give an id, a name or a domain")
        return None, found[0]


def _rows(struck: Iterable[Struck]) -> list[dict[str, Any]]:
    return [
        {
            "clock": x.clock,
            "subject_id": x.subject_id,
            "object_id": x.object_id,
            "due_at": iso(x.due_at),
            "event": x.event,
            "is_alarm": x.is_alarm,
        }
        for x in struck
    ]


def _instant(arguments: Arguments, key: str) -> datetime | None:
    said = arguments.get(key)
    if not said:
        return None
    try:
        at = datetime.fromisoformat(str(said))
    except ValueError:
        raise RefusedError(f"{key} is an instant such as 2026-12-01T22:00:00+08:00") from None
    if at.tzinfo is None:
        raise RefusedError(f"{key} needs its zone: 2026-12-01T22:00:00+08:00")
    return at


def _read_day(said: object) -> date | None:
    if not said:
        return None
    try:
        return date.fromisoformat(str(said))
    except ValueError:
        raise RefusedError("until is a day, YYYY-MM-DD") from None


def _day(day: date | None) -> str | None:
    return day.isoformat() if day is not None else None
