"""Who may do what?  One table: a row a verb, a column a role.  STANDING 5.5, CLAUSES 0.15.

    x   may           o   for their own tenants only           .   may not

The table is about roles; two more things are about people. Scope: a tenant's administrator and a reseller reach the
tenants of their scope and no other. Recusal: nobody decides about their own mailbox, or the tenant they belong to.
Where the agreement is enforced by a reseller, what punishes is the reseller's to decide: directly, or by the platform's
people under a mandate on record.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from filterd.errors import RefusedError
from filterd.model import records as r
from filterd.model.entry import SITE
from filterd.model.principal import Account, Tenant
from filterd.pipeline.people import (
    RESELLER,
    ROLES,
    ROOT,
    SERVICE,
    TENANT_ADMIN,
    Actor,
    Arguments,
    acting,
)
from filterd.ports import LedgerTxn

# vie viewer, rev reviewer, mod moderator, app approver, ape appeals_reviewer, pol policy_editor, aud auditor, adm
# admin, ten tenant_admin, res reseller, ser service; root: the system's administrator without a name, alarmed each
# time.
_TABLE = """
verb                 vie rev mod app ape pol aud adm ten res ser root
look                  x   x   x   x   x   x   x   x   o   o   x   x
sanction.impose       .   .   x   x   x   .   .   .   .   o   .   x
sanction.confirm      .   .   x   x   x   .   .   .   .   o   .   x
sanction.lift         .   .   x   x   x   .   .   .   .   o   .   x
sanction.annul        .   .   x   x   x   .   .   .   .   o   .   x
hold.place            .   .   x   x   x   .   .   x   o   o   .   x
hold.release          .   .   x   x   x   .   .   .   o   o   .   x
hold.answer           .   .   x   x   x   .   .   .   .   o   .   x
hold.attest           .   .   x   x   x   .   .   .   o   o   .   .
indicator.report      .   x   x   x   x   .   .   x   o   o   x   x
hypothesis.settle     .   .   x   x   x   .   .   .   .   o   .   x
review.claim          .   x   x   x   x   .   .   .   .   o   .   x
review.hand_back      .   x   x   x   x   .   .   .   .   o   .   x
review.decide         .   .   x   x   x   .   .   .   .   o   .   x
review.close          .   .   x   x   x   .   .   .   .   o   .   x
proposal.make         .   .   x   x   x   .   .   .   .   o   .   .
proposal.approve      .   .   x   x   x   .   .   .   .   o   .   .
proposal.withdraw     .   .   x   x   x   .   .   .   .   o   .   .
proposal.refuse       .   .   x   x   x   .   .   .   .   o   .   .
proposal.veto         .   .   x   x   x   .   .   .   .   o   .   x
cure.file             .   .   x   x   x   .   .   .   o   o   .   x
cure.answer           .   .   x   x   x   .   .   .   .   o   .   x
appeal.file           .   .   x   x   x   .   .   .   o   o   .   x
appeal.decide         .   .   x   x   x   .   .   .   .   o   .   .
tenant.lock           .   .   x   x   x   .   .   x   .   o   .   x
tenant.lock_confirm   .   .   x   x   x   .   .   x   .   o   .   .
tenant.unlock         .   .   x   x   x   .   .   x   .   o   .   x
tenant.quota          .   .   x   x   x   .   .   .   .   o   .   x
tenant.step_lift      .   .   x   x   x   .   .   .   .   o   .   x
tenant.decide         .   .   x   x   x   .   .   .   .   o   .   x
mandate.give          .   .   .   .   .   .   .   x   .   o   .   x
mandate.end           .   .   .   .   .   .   .   x   .   o   .   x
person.add            .   .   .   .   .   .   .   x   .   .   .   x
person.vouch          .   .   x   x   x   .   .   .   .   .   .   .
tenant.import         .   .   x   .   .   .   .   x   .   .   .   x
account.import        .   .   x   .   .   .   .   x   .   .   .   x
register.declare      .   .   x   x   x   .   .   .   o   o   .   .
register.migrate      .   .   x   x   .   .   .   x   .   o   .   .
register.listing      .   .   x   x   .   .   .   x   .   .   .   .
register.end          .   .   x   x   x   .   .   .   o   o   .   .
service.end           .   .   x   .   .   .   .   x   .   o   .   x
service.resume        .   .   x   .   .   .   .   x   .   o   .   x
service.renew         .   .   x   .   .   .   .   x   .   o   .   x
service.mx            .   .   x   .   .   .   .   x   o   o   .   x
maintenance.announce  .   .   x   .   .   .   .   x   .   .   .   x
maintenance.end       .   .   x   .   .   .   .   x   .   .   .   x
change.announce       .   .   x   .   .   .   .   x   .   .   .   x
request.open          .   x   x   x   x   .   .   x   o   o   .   x
tenant.verify         .   x   x   x   x   .   .   x   .   o   .   .
rights.file           .   x   x   x   x   .   .   x   .   o   .   .
report.open           .   x   x   x   x   .   x   x   .   .   .   .
report.settle         .   .   x   x   x   .   .   .   .   .   .   .
urgent.open           .   x   x   x   x   .   .   .   .   o   .   .
complaint.file        .   x   x   x   x   .   .   x   o   o   .   .
complaint.import      .   x   x   x   x   .   .   x   .   .   .   .
complaint.close       .   .   x   x   x   .   .   .   .   .   .   .
complaint.contest     .   x   x   x   x   .   .   x   .   .   .   .
optout.file           .   x   x   x   x   .   .   x   o   o   .   .
optout.end            .   .   x   x   x   .   .   .   .   .   .   .
clock.run             .   .   x   x   .   .   .   x   .   .   .   x
automation.freeze     .   .   x   x   .   .   .   x   .   o   .   x
automation.thaw       .   .   x   x   .   .   .   x   .   .   .   x
breaker.reset         .   .   x   x   .   .   .   x   .   .   .   x
bypass.on             .   .   x   x   .   .   .   x   .   .   .   x
bypass.off            .   .   x   x   .   .   .   x   .   .   .   x
quarantine.delete     .   .   x   x   x   .   .   .   o   o   .   .
quarantine.read       .   x   x   .   x   .   .   .   .   .   .   .
quarantine.release    .   .   x   x   x   .   .   .   .   o   .   .
quarantine.return     .   .   x   x   x   .   .   .   .   o   .   .
quarantine.confirm    .   .   x   x   x   .   .   .   .   o   .   .
effect.queue          .   .   x   x   x   .   .   .   .   .   .   .
evidence.show         .   x   x   .   x   .   .   .   .   .   .   .
evidence.read         .   x   x   .   x   .   .   .   .   .   .   .
evidence.hold         .   .   x   x   x   .   .   .   .   .   .   .
evidence.release      .   .   x   x   x   .   .   .   .   .   .   .
evidence.take         .   .   x   x   x   .   .   .   .   o   .   .
evidence.reads        .   .   .   .   x   .   x   x   .   .   .   x
locked.open           .   .   x   x   x   .   .   .   .   .   .   .
locked.close          .   .   x   x   x   .   .   .   .   .   .   .
"""

LOOK = "look"
# What only the enforcing party may do to a tenant's people.
PUNITIVE = frozenset(
    {
        "sanction.impose",
        "sanction.confirm",
        "proposal.make",
        "proposal.approve",
        "review.decide",
        "tenant.decide",
    }
)
# What takes somebody who is a person of their own, because it is the second word on another one's.
SECOND = frozenset(
    {
        "proposal.approve",
        "appeal.decide",
        "tenant.lock_confirm",
        "evidence.release",
        "person.vouch",
    }
)
# Agreements of this enforcing party are the reseller's to enforce.
BY_RESELLER = "reseller"

# What a reseller looks after also where somebody else enforces: the contract's own dates (TX-2.1.1). Of the rest a
# reseller may there what the tenant's administrator may.
_DEALING = frozenset({"service.end", "service.resume", "service.renew"})

_YES, _OWN, _NO = "x", "o", "."


def _read(table: str) -> Mapping[str, Mapping[str, str]]:
    head, *lines = [line.split() for line in table.strip().splitlines()]
    roles = (*ROLES, ROOT)
    if len(head) != len(roles) + 1 or any(len(line) != len(head) or {*line[1:]} - {_YES, _OWN, _NO} for line in lines):
        raise ValueError("the table of roles has a row of another length")
    return MappingProxyType({line[0]: MappingProxyType(dict(zip(roles, line[1:], strict=True))) for line in lines})


MATRIX: Mapping[str, Mapping[str, str]] = _read(_TABLE)


def roles_for(verb: str) -> tuple[str, ...]:
    """Say which roles may use a verb, for their own tenants at least."""
    return tuple(role for role, mark in MATRIX[verb].items() if mark != _NO)


SECONDING = frozenset(role for verb in SECOND for role in roles_for(verb)) - {ROOT}


def permitted(txn: LedgerTxn, arguments: Arguments, verb: str) -> Actor:
    """Say who acts. Raises RefusedError for nobody, and for a role that may not."""
    actor = acting(txn, arguments)
    if MATRIX[verb][actor.role] == _NO:
        what = "deciding about accounts" if verb in PUNITIVE else verb
        known = ", ".join(role for role in roles_for(verb) if role != ROOT)
        raise RefusedError(f"{actor.name} has role {actor.role}; {what} takes one of {known}")
    if verb in SECOND and not actor.is_root and not is_second(txn, actor.name):
        raise RefusedError(
            f"{actor.name} was added by one person: nobody's second until another one who decides has vouched"
            " (filterd person vouch), or a day has passed where nobody could; see filterd person list"
        )
    return actor


def is_second(txn: LedgerTxn, name: str) -> bool:
    """Say whether somebody counts as a person of their own where an act takes two (STANDING 5.5)."""
    site = txn.history(SITE)
    added = next((x for x in reversed(site.of(r.PersonAdded)) if x.person == name), None)
    if added is None or not added.needs_second:
        return True
    if added.second_from is not None and added.second_from <= txn.now:
        return True
    return any(x.person == name and x.at >= added.at for x in site.of(r.PersonVouched))


def refuse_unless_reached(
    txn: LedgerTxn,
    actor: Actor,
    verb: str,
    tenant: Tenant | None,
    account: Account | None = None,
    *,
    enforcing_party: str,
) -> None:
    """Refuse what is outside somebody's scope, their own case, or another party's to decide.

    Args:
        tenant: None where the directory has none any more: then nobody of a tenant's reaches it.
        enforcing_party: of the terms in force for the tenant.
    """
    if actor.is_root:
        return
    if is_scoped(actor):
        if not reaches(txn, actor, tenant):
            raise RefusedError(f"{actor.name} may only act for the tenants of {actor.scope or 'no scope'}")
        if is_tenants_side(actor, enforcing_party) and MATRIX[verb][TENANT_ADMIN] == _NO and verb not in _DEALING:
            raise RefusedError(f"the agreement of {actor.scope} is not enforced by a reseller; they only look")
    elif tenant is not None and actor.scope == f"tenant:{tenant.tenant_id}":
        raise RefusedError(f"{actor.name} belongs to {tenant.tenant_id} and is recused; another person decides")
    if account is not None and actor.account_id == account.account_id and verb in PUNITIVE | _FAVOURS:
        raise RefusedError(f"{account.account_id} is {actor.name}'s own mailbox; another person decides")
    if verb not in PUNITIVE or tenant is None:
        return
    if enforcing_party == BY_RESELLER and actor.role != RESELLER and mandate_for(txn, tenant) is None:
        raise RefusedError(
            f"{tenant.tenant_id} is its reseller's to decide about: by a person of role {RESELLER}, or with a"
            " mandate on record (filterd mandate give)"
        )


# What undoes or eases a measure, and what is kept of one's own mail: nobody does it for themselves either.
_FAVOURS = frozenset(
    {
        "sanction.lift",
        "sanction.annul",
        "appeal.decide",
        "cure.answer",
        "hold.release",
        "hold.attest",
        "hold.answer",
        "hypothesis.settle",
        "proposal.veto",
        "proposal.refuse",
        "review.close",
        "quarantine.release",
        "effect.queue",
        "evidence.show",
        "evidence.read",
        "evidence.hold",
        "evidence.release",
        "evidence.take",
        "complaint.close",
        "optout.end",
        "locked.open",
        "locked.close",
    }
)


def is_tenants_side(actor: Actor, enforcing_party: str) -> bool:
    """Say whether somebody stands on the tenant's side of its agreement: its administrator, and a reseller who has sold
    it and does not enforce it, whose word binds nobody but the reseller (TX-2.1.5)."""
    return actor.role == TENANT_ADMIN or (actor.role == RESELLER and enforcing_party != BY_RESELLER)


def is_scoped(actor: Actor) -> bool:
    """Say whether somebody is a tenant's or a reseller's, not the platform's; a program of theirs, too (TX-7.2)."""
    return actor.role in (TENANT_ADMIN, RESELLER) or (actor.role == SERVICE and actor.scope is not None)


def reaches(txn: LedgerTxn, actor: Actor, tenant: Tenant | None) -> bool:
    """Say whether a tenant lies in somebody's scope; everything does for the platform's people."""
    if not is_scoped(actor):
        return True
    if tenant is None or actor.scope is None:
        return False
    return actor.scope in (f"tenant:{tenant.tenant_id}", f"dealer:{dealer_of(txn, tenant)}")


def dealer_of(txn: LedgerTxn, tenant: Tenant) -> str | None:
    """Say the keyed hash of a tenant's reseller, None where it has none on record."""
    return dealer_hash(txn, tenant.reseller) if tenant.reseller else None


def dealer_hash(txn: LedgerTxn, name: str) -> str:
    """Say by which keyed hash rows know a reseller of that name."""
    return txn.pseudonym(" ".join(name.split()))


def mandate_for(txn: LedgerTxn, tenant: Tenant) -> r.MandateGiven | None:
    """Say the mandate by which the platform's people may decide about a tenant now, None without one."""
    dealer = dealer_of(txn, tenant)
    return next((m for m in mandates(txn) if m.dealer == dealer), None) if dealer is not None else None


def mandates(txn: LedgerTxn) -> tuple[r.MandateGiven, ...]:
    """Say the mandates in force."""
    site = txn.history(SITE)
    ended = {x.mandate_id for x in site.of(r.MandateEnded)}
    return tuple(
        m
        for m in site.of(r.MandateGiven)
        if m.mandate_id not in ended and (m.until is None or txn.now < m.until)
    )


def deciders(txn: LedgerTxn) -> tuple[str, ...]:
    """Say the people of the platform who may decide about accounts: the roster that staffing is computed from."""
    able = {role for role in roles_for("proposal.approve") if role not in (ROOT, RESELLER, SERVICE)}
    return tuple(name for name, role in txn.people() if role in able and is_second(txn, name))
