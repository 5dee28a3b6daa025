"""Which accounts does a list create, change or retire?

An account is known by its login in the canonical spelling or, where the list has one, by its external id, which decides
(`identity`): the same id under another login is a rename, another id under the same login is another person. Its tenant
is named by name, by id, or by one of its domains; a row that names none belongs to the tenant of the login's domain.
Rows are taken in their order: each finds what the rows above it have left.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from filterd.errors import PeerError
from filterd.mail.names import canonical_domain, canonical_login
from filterd.model.ids import random_id
from filterd.model.principal import Account, Tenant
from filterd.pipeline.identity import find_person
from filterd.pipeline.import_known import KnownSoFar
from filterd.pipeline.import_rows import Plan, Row, contact, day, external_id, kept, language, text, words
from filterd.ports import LedgerTxn

COLUMNS = ("login", "tenant", "language", "contact", "external_id", "aliases", "send_as", "expires_on")


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
    accounts = KnownSoFar(txn, len(rows))
    seen: dict[tuple[str, str], int] = {}
    for row in rows:
        try:
            _take(plan, row, txn, tenants, accounts, seen)
        except _WrongCell as err:
            plan.fault(row, err.key, str(err))
    return plan


class _WrongCell(PeerError):
    def __init__(self, key: str, message: str):
        super().__init__(message)
        self.key = key


def _take(
    plan: Plan[Account],
    row: Row,
    txn: LedgerTxn,
    tenants: _Tenants,
    accounts: KnownSoFar,
    seen: dict[tuple[str, str], int],
) -> None:
    """Plan one row. Raises _WrongCell."""
    key = "login"
    try:
        said = text(row, key)
        if said is None:
            raise PeerError("is empty")
        login = canonical_login(said)
        _once(seen, row, key, login)
        key = "external_id"
        external = external_id(row, key) if key in row.values else None
        if external is not None:
            _once(seen, row, key, external)
        key = "tenant"
        same = accounts.account_by_external(external) if external is not None else None
        tenant = _tenant(row, key, login, same or accounts.account_with_login(login), tenants)
        person = find_person(accounts, login=login, external_id=external, tenant_id=tenant.tenant_id, now=txn.now)
        before = person.account
        base = before or Account(account_id=random_id("a", txn.now), tenant_id=tenant.tenant_id, login=login)
        after = replace(base, login=login, tenant_id=tenant.tenant_id, retired_at=None)
        key = "login"
        if (other := accounts.account_with_alias(login)) is not None and other.account_id != base.account_id:
            raise PeerError(f"{login} is an alias of {other.login}; take it away there first")
        key = "external_id"
        after = replace(after, external_id=kept(row, key, base.external_id, lambda *_: external))
        key = "language"
        after = replace(after, language=kept(row, key, base.language, language))
        key = "contact"
        after = replace(after, contact=kept(row, key, base.contact, contact))
        key = "expires_on"
        after = replace(after, expires_on=kept(row, key, base.expires_on, day))
        key = "aliases"
        leaving = {item.before.account_id for item in person.leaving}
        wanted = words(row, key, canonical_login) if key in row.values else base.aliases
        after = replace(after, aliases=_aliases(wanted, after, accounts, leaving))
        key = "send_as"
        granted = words(row, key, canonical_login) if key in row.values else base.send_as
        after = replace(after, send_as=tuple(sorted(set(granted) - {after.login, *after.aliases})))
    except PeerError as err:
        raise _WrongCell(key, str(err)) from err
    for item in person.leaving:
        plan.retire(row, item)
        accounts.put(item.before, item.after)
    plan.add(row, before, after)
    accounts.put(before, after)


def _once(seen: dict[tuple[str, str], int], row: Row, key: str, value: str) -> None:
    if (key, value) in seen:
        raise PeerError(f"{value} stands on line {seen[key, value]} already")
    seen[key, value] = row.line


def _aliases(
    wanted: Sequence[str], account: Account, accounts: KnownSoFar, leaving: set[str]
) -> tuple[str, ...]:
    """Say the aliases of an account. Raises PeerError for one that is somebody else's login or alias."""
    found = set(wanted) - {account.login}
    for alias in sorted(found):
        holder = accounts.account_with_login(alias)
        if holder is not None and holder.account_id not in {account.account_id, *leaving}:
            raise PeerError(f"{alias} is the login of another account")
        other = accounts.account_with_alias(alias)
        if other is not None and other.account_id not in {account.account_id, *leaving}:
            raise PeerError(f"{alias} is an alias of {other.login}; take it away there first")
    return tuple(sorted(found))


def _tenant(row: Row, key: str, login: str, before: Account | None, tenants: _Tenants) -> Tenant:
    """Say whose account it is. Raises PeerError."""
    said = text(row, key)
    if said is None:
        domain = login.rpartition("@")[2] if "@" in login else ""
        if before is not None and (before.login == login or domain not in tenants.by_domain):
            return tenants.by_id[before.tenant_id]
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
