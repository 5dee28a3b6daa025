"""A person looks at a tenant that answers to a terminated one.  TX-8.2.4, STANDING 5.4 row 13.

Dismissed by one person the hold is over, and the same keys do not match again. Confirmed by two, for it is a whole
tenant, its sending is suspended on the clause: an entry rung, and no points. Kinds of keys are told, never their
values; whom it matched, the tenant's own side does not learn.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from filterd.agreement.registration import CONFIRMED, DISMISSED, open_matches
from filterd.agreement.tenant_steps import SUSPEND, running_steps
from filterd.agreement.terms import Agreement
from filterd.errors import RefusedError, UsageError
from filterd.model import records as r
from filterd.model.ids import derived_id
from filterd.model.principal import Tenant
from filterd.pipeline.desk import Desk, iso, reason_in
from filterd.pipeline.notice_events import Facts, announce_event
from filterd.pipeline.people import Arguments, PlainVerb, find_tenant
from filterd.pipeline.proposals import Act, Decided, Subject
from filterd.pipeline.registration import settle
from filterd.pipeline.roles import LOOK, is_tenants_side, permitted, reaches, refuse_unless_reached
from filterd.pipeline.tenant_acts import suspend_tenant
from filterd.ports import LedgerTxn


class RegistrationVerbs:
    """One instance a ledger process."""

    def __init__(self, desk: Desk):
        self._desk = desk

    def table(self) -> dict[str, PlainVerb]:
        """Say every verb by name."""
        return {
            "registration.list": self.registration_list,
            "registration.show": self.registration_show,
            "registration.dismiss": self.registration_dismiss,
        }

    def registration_list(self, txn: LedgerTxn, arguments: Arguments) -> Any:
        """Say the tenants whose registration waits for a person, or that ever did (`all`)."""
        actor = permitted(txn, arguments, LOOK)
        seen = [t for t in txn.tenants() if reaches(txn, actor, t)]
        rows = [self._shown(txn, tenant, is_theirs=self._is_theirs(txn, arguments, tenant)) for tenant in seen]
        return [x for x in rows if x["is_held"] or (arguments.get("all") and x["matches"])]

    def registration_show(self, txn: LedgerTxn, arguments: Arguments) -> Any:
        """Say what of a `tenant`'s registration is kept, what it matched, and what people made of it."""
        tenant = find_tenant(txn, str(arguments.get("tenant") or ""))
        if not reaches(txn, permitted(txn, arguments, LOOK), tenant):
            raise RefusedError(f"{tenant.tenant_id} is not yours to look at")
        return self._shown(txn, tenant, is_theirs=self._is_theirs(txn, arguments, tenant))

    def registration_dismiss(self, txn: LedgerTxn, arguments: Arguments) -> Any:
        """Say that a match means nothing: the hold of the `tenant` is over, and the same keys do not match again."""
        tenant = find_tenant(txn, str(arguments.get("tenant") or ""))
        actor = permitted(txn, arguments, "tenant.decide")
        party = self._desk.rules.terms_for(tenant, txn.now).enforcing_party
        refuse_unless_reached(txn, actor, "tenant.decide", tenant, enforcing_party=party)
        reason = reason_in(arguments)
        found = open_matches(txn.history(tenant.tenant_id), txn.now)
        if not found:
            raise RefusedError(f"no match of {tenant.tenant_id} waits for anybody")
        for matched in found:
            settle(txn, matched, DISMISSED, by=actor.name, reason=reason)
            facts: Facts = {"lock_id": matched.match_id, "at": txn.now}
            announce_event(txn, "tenant_unlocked", tenant.tenant_id, facts)
        return self._shown(txn, tenant, is_theirs=False)

    def _is_theirs(self, txn: LedgerTxn, arguments: Arguments, tenant: Tenant) -> bool:
        party = self._desk.rules.terms_for(tenant, txn.now).enforcing_party
        return is_tenants_side(permitted(txn, arguments, LOOK), party)

    def _shown(self, txn: LedgerTxn, tenant: Tenant, *, is_theirs: bool) -> dict[str, Any]:
        history = txn.history(tenant.tenant_id)
        settled = {x.match_id: x for x in history.of(r.RegistrationSettled)}
        noted = [x for x in txn.records(tenant.tenant_id) if isinstance(x, r.RegistrationNoted)]
        matches = []
        for matched in history.of(r.RegistrationMatched):
            outcome = settled.get(matched.match_id)
            row: dict[str, Any] = {
                "match_id": matched.match_id,
                "at": iso(matched.at),
                "kinds": list(matched.kinds),
                "clauses": list(matched.clauses),
                "state": outcome.outcome if outcome is not None else "open",
                "settled_at": iso(outcome.at) if outcome is not None else None,
            }
            if not is_theirs:
                row["matched_tenant_ids"] = list(matched.matched_tenant_ids)
                row |= {"by": outcome.by, "reason": outcome.reason} if outcome is not None else {}
            matches.append(row)
        return {
            "tenant_id": tenant.tenant_id,
            "name": tenant.name,
            "is_held": bool(open_matches(history, txn.now)),
            "kept_kinds": sorted({kind for x in noted for kind in x.kinds}),
            "matches": matches,
        }


# --- confirming, by two people ----------------------------------------------------------------------------------------


def _prepare(desk: Desk, txn: LedgerTxn, subject: Subject, arguments: Arguments) -> Mapping[str, Any]:
    tenant, terms = _known(subject)
    found = open_matches(txn.history(tenant.tenant_id), txn.now)
    if not found:
        raise RefusedError(f"no match of {tenant.tenant_id} waits for anybody")
    clauses = [key for key in found[-1].clauses if key in terms.clause]
    if not clauses:
        raise RefusedError(f"agreement {terms.id} gives no ground for this; dismiss the match")
    return {"match_id": found[-1].match_id, "kinds": list(found[-1].kinds), "clauses": clauses}


def _rests_on(desk: Desk, txn: LedgerTxn, subject: Subject, terms: Mapping[str, Any]) -> Mapping[str, Any]:
    tenant, agreement = _known(subject)
    history = txn.history(tenant.tenant_id)
    return {
        "agreement": agreement.digest,
        "matches": sorted(x.match_id for x in open_matches(history, txn.now)),
        "suspensions": sorted(x.step_id for x in running_steps(history, agreement, txn.now) if x.step == SUSPEND),
    }


def _carry_out(desk: Desk, txn: LedgerTxn, decided: Decided) -> Mapping[str, Any]:
    tenant, terms = _known(decided.subject)
    matched = next(
        x for x in txn.history(tenant.tenant_id).of(r.RegistrationMatched) if x.match_id == decided.terms["match_id"]
    )
    settle(txn, matched, CONFIRMED, by=decided.approved.by, reason=decided.proposal.reason)
    step = suspend_tenant(
        txn,
        tenant,
        terms,
        decision_id=derived_id("d", decided.proposal.proposal_id),
        by=decided.proposal.by,
        clauses=tuple(map(str, decided.terms["clauses"])),
        hours=None,
        reason=decided.proposal.reason,
    )
    return {"tenant_id": tenant.tenant_id, "step_id": step.step_id, "match_id": matched.match_id}


def _known(subject: Subject) -> tuple[Tenant, Agreement]:
    if subject.tenant is None or subject.terms is None:
        raise UsageError(f"no tenant {subject.subject_id}")
    return subject.tenant, subject.terms


CONFIRM_REGISTRATION = Act(
    name="tenant.registration",
    about="tenant",
    prepare=_prepare,
    rests_on=_rests_on,
    carry_out=_carry_out,
)
