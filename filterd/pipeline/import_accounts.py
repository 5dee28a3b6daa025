"""Which accounts does a list create or change?

An account is known by its login in the canonical spelling. Its tenant is named by name, by id, or by one of its
domains; a row that names none belongs to the tenant of the login's domain.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from filterd.errors import PeerError
from filterd.mail.names import canonical_domain, canonical_login
from filterd.model.ids import random_id
from filterd.model.principal import Account, Tenant
from filterd.pipeline.import_rows import Plan, Row, contact, kept, language, text
from filterd.ports import LedgerTxn

COLUMNS = ("login", "tenant", "language", "contact")
# From here on reading every account once is quicker than looking up each.
_MANY = 200


@dataclass(frozen=True, slots=True)
class _Tenants:
    """The tenants by everything they can be named by. A name that two share is None."""

    by_id: dict[str, Tenant]
    by_name: dict[str, Tenant | None]
    by_domain: dict[str, Tenant]

    @classmethod
    def of(cls, known: Sequence[Tenant]) -> _Tenants:
        by_name: dict[str, Tenant | None] = {}
        for tenant in known:
            by_name[tenant.name] = None if tenant.name in by_name else tenant
        return cls(
            {t.tenant_id: t for t in known},
            by_name,
            {domain: t for t in known for domain in t.domains},
        )


def plan_accounts(rows: Sequence[Row], txn: LedgerTxn, known: Sequence[Tenant]) -> Plan[Account]:
    """Say what the rows come to. Only looks.

    Args:
        known: every tenant there is.
    """
    plan: Plan[Account] = Plan()
    tenants = _Tenants.of(known)
    seen: dict[str, int] = {}
    find = _finder(txn, len(rows))
    for row in rows:
        key = "login"
        try:
            said = text(row, key)
            if said is None:
                raise PeerError("is empty")
            login = canonical_login(said)
            if login in seen:
                raise PeerError(f"{login} stands on line {seen[login]} already")
            seen[login] = row.line
            before = find(login)
            key = "tenant"
            tenant = _tenant(row, key, login, before, tenants)
            base = before or Account(account_id=random_id("a", txn.now), tenant_id=tenant.tenant_id, login=login)
            after = replace(base, tenant_id=tenant.tenant_id)
            key = "language"
            after = replace(after, language=kept(row, key, base.language, language))
            key = "contact"
            after = replace(after, contact=kept(row, key, base.contact, contact))
        except PeerError as err:
            plan.fault(row, key, str(err))
            continue
        plan.add(row, before, after)
    return plan


def _finder(txn: LedgerTxn, number: int) -> Callable[[str], Account | None]:
    """Say how to find accounts: one at a time, or for a long list out of all there are."""
    if number > _MANY:
        return {account.login: account for account in txn.accounts()}.get

    def find(login: str) -> Account | None:
        ref = txn.find_account(login)
        return txn.account(ref.account_id) if ref is not None else None

    return find


def _tenant(row: Row, key: str, login: str, before: Account | None, tenants: _Tenants) -> Tenant:
    """Say whose account it is. Raises PeerError."""
    said = text(row, key)
    if said is None:
        if before is not None:
            return tenants.by_id[before.tenant_id]
        domain = login.rpartition("@")[2] if "@" in login else ""
        if domain not in tenants.by_domain:
            raise PeerError(f"is empty, and no tenant has the domain {domain!r}")
        return tenants.by_domain[domain]
    found = tenants.by_id.get(said) or tenants.by_name.get(said) or tenants.by_domain.get(_domain(said))
    if found is not None:
        return found
    if said in tenants.by_name:
        raise PeerError(f"several tenants are called {said!r}; give the id")
    raise PeerError(f"no tenant has the name, id or domain {said!r}")


def _domain(said: str) -> str:
    try:
        return canonical_domain(said)
    except PeerError:
        return ""
