"""Changes of the service, told before they take effect: function, price, use, terms, or that it stops.  TX-4.1.4, 5.1.

An announcement names the day, and every customer it concerns gets a notice. What stops the service for reasons of law
or policy is announced as long before as the agreement gives for a change of law; without that nobody can end a service
for such a reason (pipeline/service_verbs).
"""

from __future__ import annotations

import re
from datetime import date, datetime, timedelta
from typing import Any

from filterd.agreement.announced import TERMS
from filterd.agreement.clocks import law_change_end
from filterd.agreement.versions import in_force
from filterd.errors import RefusedError
from filterd.model import records as r
from filterd.model.entry import SITE
from filterd.model.ids import random_id
from filterd.model.principal import Tenant
from filterd.pipeline.desk import iso, plain
from filterd.pipeline.notice_events import Facts, announce_event
from filterd.pipeline.people import Arguments, PlainVerb, find_tenant
from filterd.pipeline.register_acts import required
from filterd.pipeline.roles import LOOK, is_scoped, permitted, reaches
from filterd.pipeline.verbs import DeskRules
from filterd.ports import LedgerTxn

STOP = "stop"
WHAT = ("function", "price", "use", TERMS, STOP)
EVENT = "service_change"
_DOCUMENT = re.compile(r"[a-z0-9][a-z0-9_.:-]{0,79}")


class ChangeVerbs:
    """One instance a ledger process."""

    def __init__(self, rules: DeskRules):
        self._rules = rules

    def table(self) -> dict[str, PlainVerb]:
        """Say every verb by name."""
        return {"change.announce": self.announce, "change.list": self.announced}

    def announce(self, txn: LedgerTxn, arguments: Arguments) -> Any:
        """Announce `what` changes from a day on (`effective_on`), to one `tenant` or to all; `document` says where it
        is published. New terms are one `agreement`'s, and told to whom that one binds."""
        actor = permitted(txn, arguments, "change.announce")
        what, document = required(arguments, "what"), required(arguments, "document")
        if what not in WHAT:
            raise RefusedError(f"what is one of {', '.join(WHAT)}")
        if not _DOCUMENT.fullmatch(document):
            raise RefusedError("document is a reference of lower-case letters, digits and _.:- such as news-2026-04")
        one = find_tenant(txn, str(arguments["tenant"])) if arguments.get("tenant") else None
        agreement = self._agreement(txn, what, one, str(arguments.get("agreement") or ""))
        tenants = tuple(t for t in ((one,) if one is not None else txn.tenants()) if agreement in ("", t.agreement))
        day = _day(required(arguments, "effective_on"))
        terms = in_force(self._rules.terms[agreement], txn.now) if agreement else self._rules.terms_for(one, txn.now)
        effective_at = terms.calendar.start_of(day)
        earliest = max(self._earliest(txn, what, t) for t in tenants or (None,))
        if effective_at < earliest:
            raise RefusedError(f"it is told beforehand: {iso(earliest)} at the earliest")
        change = r.ChangeAnnounced(
            at=txn.now,
            change_id=random_id("ch", txn.now),
            what=what,
            tenant_id=one.tenant_id if one is not None else None,
            effective_at=effective_at,
            document=document,
            by=actor.name,
            agreement=agreement,
        )
        txn.append(change, account_id=None, tenant_id=None)
        facts: Facts = {
            "change_id": change.change_id,
            "what": what,
            "effective_at": effective_at,
            "document": document,
        }
        told = sum(bool(announce_event(txn, EVENT, t.tenant_id, facts)) for t in tenants)
        return {"change_id": change.change_id, "effective_at": iso(effective_at), "told": told}

    def announced(self, txn: LedgerTxn, arguments: Arguments) -> Any:
        """Say the changes to come, or `all`, and how many customers have received a notice that was sent since."""
        actor = permitted(txn, arguments, LOOK) if arguments.get("token") else None
        rows = []
        for change in txn.history(SITE).of(r.ChangeAnnounced):
            tenants = [
                t
                for t in txn.tenants()
                if change.tenant_id in (None, t.tenant_id) and change.agreement in ("", t.agreement)
            ]
            seen = [t for t in tenants if actor is None or reaches(txn, actor, t)]
            if (actor is not None and is_scoped(actor) and not seen) or (
                change.effective_at <= txn.now and not arguments.get("all")
            ):
                continue
            received = sum(_has_received(txn, t, change) for t in seen)
            rows.append(plain(change) | {"in_effect": change.effective_at <= txn.now, "received": received})
        return rows

    def _agreement(self, txn: LedgerTxn, what: str, one: Tenant | None, named: str) -> str:
        """Say whose new terms are announced, by id: the one that is named, or the only one that binds a customer it
        concerns; "" for what is no change of terms. Raises RefusedError."""
        if what != TERMS:
            if named:
                raise RefusedError("an agreement is named for terms alone")
            return ""
        bound = sorted({t.agreement for t in ((one,) if one is not None else txn.tenants())})
        if not named and len(bound) > 1:
            raise RefusedError(f"say whose terms are new: --agreement {' or '.join(bound)}")
        agreement = named or next(iter(bound), self._rules.default_agreement)
        head = self._rules.terms.get(agreement)
        if head is None or head.supplements is not None:
            raise RefusedError(f"{agreement!r} is no agreement here, or a supplement, which both sides sign")
        if one is not None and one.agreement != agreement:
            raise RefusedError(f"{one.name} is bound by {one.agreement}, not by {agreement}")
        return agreement

    def _earliest(self, txn: LedgerTxn, what: str, tenant: Tenant | None) -> datetime:
        """Say when it can begin: for a stop after the days of a change of law, for anything else the day after."""
        terms = self._rules.terms_for(tenant, txn.now)
        end = law_change_end(txn.now, terms) if what == STOP and terms.lifecycle is not None else None
        return end or terms.calendar.start_of(terms.calendar.day_of(txn.now) + timedelta(days=1))


def announced_stop(txn: LedgerTxn, tenant: Tenant) -> r.ChangeAnnounced | None:
    """Say the announcement by which a tenant's service may stop for reasons of policy, None without one."""
    found = [
        x for x in txn.history(SITE).of(r.ChangeAnnounced) if x.what == STOP and x.tenant_id in (None, tenant.tenant_id)
    ]
    return found[-1] if found else None


def _has_received(txn: LedgerTxn, tenant: Tenant, change: r.ChangeAnnounced) -> bool:
    return any(
        isinstance(x, r.NoticeSent) and x.template == EVENT and x.at >= change.at and x.deemed_at is not None
        for x in txn.records(tenant.tenant_id)
    )


def _day(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise RefusedError("effective_on is a day, YYYY-MM-DD") from None
