"""Which tenants does a list create or change?

A tenant is known by its name, which no two share, or by its external id, where the list has one: then the name may
change. One that first mail made goes by the name of its domain until a list that has this domain gives it another; no
other tenant's domain can be taken by a list.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import date, datetime
from typing import Protocol, cast

from filterd.agreement.supplement import misbound, ordinary
from filterd.errors import PeerError
from filterd.mail.names import canonical_domain
from filterd.model.ids import random_id
from filterd.model.principal import Tenant
from filterd.pipeline import import_sale, import_supplement
from filterd.pipeline.directory_plan import MAX_PLAN_CHARS
from filterd.pipeline.import_rows import Plan, Row, contact, day, external_id, kept, language, text, words
from filterd.pipeline.import_sale import read_sale
from filterd.pipeline.import_supplement import read_supplement, why_not_in_force
from filterd.pipeline.registration import read_key
from filterd.pipeline.verbs import DeskRules
from filterd.ports import LedgerTxn

COLUMNS = (
    "name",
    "agreement",
    "domains",
    "language",
    "contact",
    "second_contact",
    "seats",
    "reseller",
    "dealer",
    "plan",
    "expires_on",
    "external_id",
    "registration_keys",
    *import_sale.COLUMNS,
    *import_supplement.COLUMNS,
)


# Never part of a tenant: what it says is kept as keyed hashes alone (pipeline/registration).
REGISTRATION_KEYS = "registration_keys"


class _KnowsTenants(Protocol):
    def tenants(self) -> tuple[Tenant, ...]: ...


def every_tenant(txn: LedgerTxn) -> tuple[Tenant, ...]:
    """Say every tenant of the directory."""
    # The transaction has it, the port does not name it yet.
    return cast(_KnowsTenants, txn).tenants()


def plan_tenants(
    rows: Sequence[Row],
    known: Sequence[Tenant],
    rules: DeskRules,
    now: datetime,
    recorded_on: Callable[[Tenant | None], date],
) -> Plan[Tenant]:
    """Say what the rows come to.

    Args:
        known: every tenant there is.
        now: goes into the ids of new ones.
        recorded_on: says on which day a tenant came into our record, a new one for None.
    """
    plan: Plan[Tenant] = Plan()
    by_name: dict[str, list[Tenant]] = {}
    for tenant in known:
        by_name.setdefault(tenant.name, []).append(tenant)
    # An erased tenant has no name any more; its domains are free.
    owners = {domain: tenant for tenant in known if tenant.name for domain in tenant.domains}
    by_external = {tenant.external_id: tenant for tenant in known if tenant.external_id is not None}
    names: dict[str, int] = {}
    claimed: dict[str, int] = {}
    said: dict[str, int] = {}
    for row in rows:
        read = _read(plan, row, by_name, by_external, owners, rules, now, recorded_on)
        if read is None:
            continue
        before, after = read
        if after.external_id is not None and (line := said.setdefault(after.external_id, row.line)) != row.line:
            plan.fault(row, "external_id", f"stands on line {line} already")
            continue
        if after.name in names:
            plan.fault(row, "name", f"{after.name!r} stands on line {names[after.name]} already")
            continue
        names[after.name] = row.line
        for domain in after.domains:
            owner = owners.get(domain)
            if owner is not None and owner.tenant_id != after.tenant_id:
                plan.fault(row, "domains", f"{domain} belongs to tenant {owner.name!r}")
            elif domain in claimed:
                plan.fault(row, "domains", f"{domain} stands on line {claimed[domain]} already")
            claimed.setdefault(domain, row.line)
        if why_not := why_not_in_force(after, rules.terms, now):
            plan.note(row, import_supplement.NAME, f"{after.name}: {why_not}")
        if before is not None and before.supplement is not None and after.supplement is None:
            plan.note(row, import_supplement.NAME, f"{after.name}: {import_supplement.WITHDRAWN}")
        plan.add(row, before, after)
    return plan


def _read(
    plan: Plan[Tenant],
    row: Row,
    by_name: dict[str, list[Tenant]],
    by_external: dict[str, Tenant],
    owners: dict[str, Tenant],
    rules: DeskRules,
    now: datetime,
    recorded_on: Callable[[Tenant | None], date],
) -> tuple[Tenant | None, Tenant] | None:
    """Say the tenant before (None: new) and after, or note what is wrong with the row."""
    key = "name"
    try:
        name = text(row, key)
        if name is None:
            raise PeerError("is empty")
        if len(by_name.get(name, ())) > 1:
            raise PeerError(f"{len(by_name[name])} tenants are called {name!r}; this list cannot tell them apart")
        key = "domains"
        domains = words(row, key, _domain) if key in row.values else None
        key = "external_id"
        external = external_id(row, key) if key in row.values else None
        named = next(iter(by_name.get(name, ())), None)
        before = _same(external, by_external, named) or named or _made_by_mail(domains or (), owners)
        base = before or Tenant(tenant_id=random_id("n", now), name=name, agreement=rules.default_agreement)
        key = "agreement"
        agreement = text(row, key) or base.agreement
        if agreement not in rules.terms:
            raise PeerError(f"{agreement!r} is none of {', '.join(sorted(ordinary(rules.terms)))}")
        if wrong := misbound(rules.terms, agreement, None):
            raise PeerError(f"this tenant {wrong}")
        after = replace(base, name=name, agreement=agreement)
        key = "external_id"
        after = replace(after, external_id=kept(row, key, base.external_id, lambda *_: external))
        if domains is not None:
            # Somebody has written down what there is; what first mail shows is never known to be all.
            after = replace(after, domains=domains, domains_declared=bool(domains))
        key = "language"
        after = replace(after, language=kept(row, key, base.language, language))
        key = "contact"
        after = replace(after, contact=kept(row, key, base.contact, contact))
        key = "second_contact"
        after = replace(after, second_contact=kept(row, key, base.second_contact, contact))
        key = "seats"
        after = replace(after, seats=kept(row, key, base.seats, _seats))
        key = "dealer" if "dealer" in row.values else "reseller"
        if {"dealer", "reseller"} <= row.values.keys():
            raise PeerError("is the reseller; one of the two is enough")
        after = replace(after, reseller=kept(row, key, base.reseller, text))
        key = "plan"
        after = replace(after, plan=kept(row, key, base.plan, _plan))
        key = "expires_on"
        after = replace(after, expires_on=kept(row, key, base.expires_on, day))
        after = read_sale(row, base, after, recorded_on(before))
        key = REGISTRATION_KEYS
        registration_of(row)
        after = replace(after, supplement=read_supplement(row, base.supplement, rules.terms, agreement))
    except import_supplement.WrongCell as err:
        plan.fault(row, err.key, str(err))
        return None
    except PeerError as err:
        plan.fault(row, key, str(err))
        return None
    return before, after


def registration_of(row: Row) -> tuple[tuple[str, str], ...]:
    """Say what a row says of a registration: kind and value, one after the other. Raises PeerError."""

    def checked(word: str) -> str:
        read_key(word)
        return word

    return tuple(read_key(word) for word in words(row, REGISTRATION_KEYS, checked))


def _made_by_mail(domains: tuple[str, ...], owners: dict[str, Tenant]) -> Tenant | None:
    """Find the tenant that first mail from one of these domains made, which nobody has named yet."""
    return next((owners[d] for d in domains if d in owners and owners[d].name == d), None)


def _same(external: str | None, by_external: dict[str, Tenant], named: Tenant | None) -> Tenant | None:
    """Find the tenant with an external id. Raises PeerError where the name is another tenant's."""
    if external is None:
        return None
    same = by_external.get(external)
    if named is not None and named.external_id not in (None, external):
        raise PeerError(f"the tenant called {named.name!r} has another one")
    if named is not None and same is not None and named.tenant_id != same.tenant_id:
        raise PeerError(f"is that of {same.name!r}, and {named.name!r} is there, too")
    return same


def _domain(word: str) -> str:
    domain = canonical_domain(word)
    if "." not in domain or domain.startswith("["):
        raise PeerError("not a domain name")
    return domain


def _plan(row: Row, key: str) -> str | None:
    said = text(row, key)
    if said is not None and len(said) > MAX_PLAN_CHARS:
        raise PeerError(f"has more than {MAX_PLAN_CHARS} characters")
    return said


def _seats(row: Row, key: str) -> int | None:
    value = row.values.get(key)
    if value is None or (isinstance(value, str) and not value.strip()):
        return None
    try:
        # A boolean is an int to Python, and no number of seats.
        seats = int(value) if isinstance(value, (str, int)) and not isinstance(value, bool) else 0
    except ValueError:
        seats = 0
    if not 0 < seats < 2**31:
        raise PeerError("must be a whole number from 1 on")
    return seats
