"""Which tenants does a list create or change?

A tenant is known by its name, which no two share. One that first mail made goes by the name of its domain until a list
that has this domain gives it another; no other tenant's domain can be taken by a list.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from typing import Protocol, cast

from filterd.agreement.supplement import misbound, ordinary
from filterd.errors import PeerError
from filterd.mail.names import canonical_domain
from filterd.model.ids import random_id
from filterd.model.principal import Tenant
from filterd.pipeline import import_supplement
from filterd.pipeline.import_rows import Plan, Row, contact, kept, language, text
from filterd.pipeline.import_supplement import read_supplement, why_not_in_force
from filterd.pipeline.verbs import DeskRules
from filterd.ports import LedgerTxn

COLUMNS = ("name", "agreement", "domains", "language", "contact", "seats", "reseller", *import_supplement.COLUMNS)


class _KnowsTenants(Protocol):
    def tenants(self) -> tuple[Tenant, ...]: ...


def every_tenant(txn: LedgerTxn) -> tuple[Tenant, ...]:
    """Say every tenant of the directory."""
    # The transaction has it, the port does not name it yet.
    return cast(_KnowsTenants, txn).tenants()


def plan_tenants(rows: Sequence[Row], known: Sequence[Tenant], rules: DeskRules, now: datetime) -> Plan[Tenant]:
    """Say what the rows come to.

    Args:
        known: every tenant there is.
        now: goes into the ids of new ones.
    """
    plan: Plan[Tenant] = Plan()
    by_name: dict[str, list[Tenant]] = {}
    for tenant in known:
        by_name.setdefault(tenant.name, []).append(tenant)
    owners = {domain: tenant for tenant in known for domain in tenant.domains}
    names: dict[str, int] = {}
    claimed: dict[str, int] = {}
    for row in rows:
        read = _read(plan, row, by_name, owners, rules, now)
        if read is None:
            continue
        before, after = read
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
    owners: dict[str, Tenant],
    rules: DeskRules,
    now: datetime,
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
        domains = _domains(row, key) if key in row.values else None
        before = next(iter(by_name.get(name, ())), None) or _made_by_mail(domains or (), owners)
        base = before or Tenant(tenant_id=random_id("n", now), name=name, agreement=rules.default_agreement)
        key = "agreement"
        agreement = text(row, key) or base.agreement
        if agreement not in rules.terms:
            raise PeerError(f"{agreement!r} is none of {', '.join(sorted(ordinary(rules.terms)))}")
        if wrong := misbound(rules.terms, agreement, None):
            raise PeerError(f"this tenant {wrong}")
        after = replace(base, name=name, agreement=agreement)
        if domains is not None:
            # Somebody has written down what there is; what first mail shows is never known to be all.
            after = replace(after, domains=domains, domains_declared=bool(domains))
        key = "language"
        after = replace(after, language=kept(row, key, base.language, language))
        key = "contact"
        after = replace(after, contact=kept(row, key, base.contact, contact))
        key = "seats"
        after = replace(after, seats=kept(row, key, base.seats, _seats))
        key = "reseller"
        after = replace(after, reseller=kept(row, key, base.reseller, text))
        after = replace(after, supplement=read_supplement(row, base.supplement, rules.terms, agreement))
    except import_supplement.WrongCell as err:
        plan.fault(row, err.key, str(err))
        return None
    except PeerError as err:
        plan.fault(row, key, str(err))
        return None
    return before, after


def _made_by_mail(domains: tuple[str, ...], owners: dict[str, Tenant]) -> Tenant | None:
    """Find the tenant that first mail from one of these domains made, which nobody has named yet."""
    return next((owners[d] for d in domains if d in owners and owners[d].name == d), None)


def _domains(row: Row, key: str) -> tuple[str, ...]:
    """Read domains parted by blanks, commas or semicolons, or a list of them. Raises PeerError."""
    value = row.values.get(key)
    if isinstance(value, list):
        if not all(isinstance(item, str) for item in value):
            raise PeerError("must be a list of text")
        words = list(value)
    else:
        words = (text(row, key) or "").replace(";", " ").replace(",", " ").split()
    out = []
    for word in words:
        try:
            domain = canonical_domain(word)
        except PeerError as err:
            raise PeerError(f"{word!r}: {err}") from err
        if "." not in domain or domain.startswith("["):
            raise PeerError(f"{word!r}: not a domain name")
        out.append(domain)
    return tuple(dict.fromkeys(out))


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
