"""Writing tenants and accounts down: into the directory, and as rows of the ledger that say what changed and by whom.

Rows name what changed; in clear they say only what names nobody. A login, the one before it, too, is sealed.
"""

from __future__ import annotations

from dataclasses import fields
from datetime import date, datetime
from typing import Any, TypeVar

from filterd.model import records as r
from filterd.model.principal import Account, Tenant
from filterd.pipeline.identity import Leaving
from filterd.ports import LedgerTxn

Subject = TypeVar("Subject", Tenant, Account)

# What a row says of a change in clear.
_IN_CLEAR = frozenset(
    {"agreement", "domains", "domains_declared", "language", "seats", "supplement", "plan", "expires_on"}
    | {"channel", "starts_on", "term_months"}
)


def changed_fields(before: Subject, after: Subject) -> tuple[str, ...]:
    """Say what is different."""
    return tuple(f.name for f in fields(after) if getattr(before, f.name) != getattr(after, f.name))


def write_tenant(txn: LedgerTxn, before: Tenant | None, after: Tenant, *, by: str, source: str) -> None:
    """Create or change a tenant. `source` is what the row of a new one says, `by` what that of a change does."""
    if before == after:
        return
    txn.put_tenant(after)
    record: r.TenantOpened | r.TenantChanged
    if before is None:
        record = r.TenantOpened(
            at=txn.now,
            tenant_id=after.tenant_id,
            agreement=after.agreement,
            source=source,
            domains=after.domains,
            supplement=after.supplement,
        )
    else:
        record = _tenant_changed(after, changed_fields(before, after), by, txn.now)
    txn.append(record, account_id=None, tenant_id=after.tenant_id)


def write_account(txn: LedgerTxn, before: Account | None, after: Account, *, by: str, source: str) -> None:
    """Create or change an account."""
    if before == after:
        return
    txn.put_account(after)
    personal = {"login": after.login}
    record: r.AccountOpened | r.AccountChanged
    if before is None:
        record = r.AccountOpened(at=txn.now, account_id=after.account_id, tenant_id=after.tenant_id, source=source)
    else:
        names = changed_fields(before, after)
        record = r.AccountChanged(
            at=txn.now,
            account_id=after.account_id,
            tenant_id=after.tenant_id,
            by=by,
            fields=names,
            language=after.language if "language" in names else None,
            expires_on=after.expires_on if "expires_on" in names else None,
        )
        personal = {"login": after.login, "former_login": before.login} if "login" in names else {}
    txn.append(record, account_id=after.account_id, tenant_id=after.tenant_id, personal=personal or None)


def write_leaving(txn: LedgerTxn, leaving: Leaving, *, by: str) -> None:
    """Take an account's login away. Its record, and what is in force, stay with it."""
    if leaving.before == leaving.after:
        return
    account = leaving.after
    txn.put_account(account)
    if leaving.before.retired_at is None:
        record = r.AccountRetired(
            at=txn.now,
            account_id=account.account_id,
            tenant_id=account.tenant_id,
            by=by,
            because=leaving.because,
        )
        txn.append(record, account_id=account.account_id, tenant_id=account.tenant_id)


def account_facts(account: Account, tenant: Tenant | None) -> dict[str, Any]:
    """Say what the directory has of an account and its tenant, for whoever asks about the account."""
    return {
        "tenant": tenant.name if tenant is not None else None,
        "plan": tenant.plan if tenant is not None else None,
        "aliases": list(account.aliases),
        "send_as": list(account.send_as),
        "external_id": account.external_id,
        "language": account.language,
        "contact": account.contact,
        "expires_on": _day(account.expires_on),
        "tenant_expires_on": _day(tenant.expires_on) if tenant is not None else None,
    }


def _day(day: date | None) -> str | None:
    return day.isoformat() if day is not None else None


def _tenant_changed(tenant: Tenant, names: tuple[str, ...], by: str, at: datetime) -> r.TenantChanged:
    said: dict[str, Any] = {name: getattr(tenant, name) for name in names if name in _IN_CLEAR}
    return r.TenantChanged(at=at, tenant_id=tenant.tenant_id, by=by, fields=names, **said)
