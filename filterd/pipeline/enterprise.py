"""Rows about an enterprise, inside a transaction: what they need to know, and whom they are told to.  STANDING 5.7-15.

Used by the verbs of the mail path and of people alike. The ladder of tenants is in agreement/tenancy; here are only the
numbers it asks of the directory and the counters, and the notices that follow a row.
"""

from __future__ import annotations

from collections.abc import Container, Iterable
from dataclasses import replace
from datetime import datetime
from statistics import median

from filterd.agreement.due_tenant import numbers
from filterd.agreement.tenancy import settle
from filterd.agreement.tenant_score import charges, custodies
from filterd.agreement.tenant_steps import PROPOSE, QUOTA, SUSPEND
from filterd.agreement.tenant_termination import TERMINATE
from filterd.agreement.terms import Agreement
from filterd.model import records as r
from filterd.model.principal import Account, Tenant
from filterd.model.standing import History, Surroundings
from filterd.pipeline.notice_events import Facts, announce_event
from filterd.ports import LedgerTxn


def with_enterprise(txn: LedgerTxn, around: Surroundings, account_id: str, tenant_id: str | None) -> Surroundings:
    """Add what is asked only when an incident is about to be charged to the tenant."""
    account, tenant = txn.account(account_id), txn.tenant(tenant_id) if tenant_id else None
    if tenant is None:
        return around
    return replace(
        around,
        active_seats=seats_in_use(txn, tenant),
        is_admin=account is not None and is_administrator(account, tenant),
        opened_at=txn.opened_at(account_id),
    )


def tenant_surroundings(txn: LedgerTxn, tenant: Tenant) -> Surroundings:
    """Gather what the tenant's own score depends on."""
    return Surroundings(
        tenant=txn.history(tenant.tenant_id), seats=tenant.seats, active_seats=seats_in_use(txn, tenant)
    )


def seats_in_use(txn: LedgerTxn, tenant: Tenant) -> int | None:
    """Say how many seats are in use: the accounts, where a list has told them; where only mail and look-ups have, those
    that never sent are unknown, and all that were bought count. None where nobody has said how many there are."""
    known, listed = txn.accounts_in_use(tenant.tenant_id)
    if listed:
        return known
    return max(known, tenant.seats) if tenant.seats is not None else None


def is_administrator(account: Account, tenant: Tenant) -> bool:
    """Say whether the account is the tenant's administrator's: the tenant's contact is one of its addresses."""
    contact = (tenant.contact or "").lower()
    return bool(contact) and contact in (account.login.lower(), *(alias.lower() for alias in account.aliases))


def daily_quota(txn: LedgerTxn, tenant_id: str, terms: Agreement) -> int:
    """Say the quota of external recipients a day: a multiple of the tenant's own median day, never below the floor."""
    section = terms.tenant
    if section is None:
        raise ValueError(f"agreement {terms.id} says nothing of tenants")
    days = txn.daily_external(tenant_id, section.quota_median_days)
    return section.quota(median(days) if days else 0.0)


def write_tenant_rows(
    txn: LedgerTxn, rows: Iterable[r.Record], tenant_id: str, terms: Agreement
) -> tuple[r.Record, ...]:
    """Append rows about a tenant, a quota with its number, and promise the notices; says the rows as written."""
    written = []
    for row in rows:
        if isinstance(row, r.TenantStepTaken) and row.step == QUOTA and row.quota is None:
            row = replace(row, quota=daily_quota(txn, tenant_id, terms))
        txn.append(row, account_id=None, tenant_id=tenant_id)
        written.append(row)
    for row in written:
        _tell(txn, row, tenant_id, terms)
    return tuple(written)


def note_appeal(
    txn: LedgerTxn, account: Account, tenant_id: str | None, *, appeal_id: str, incident_id: str, is_open: bool
) -> None:
    """Have the tenant that answers for an incident know that an appeal about it is open, or is not any more: its
    termination waits for one that could change its score (STANDING 5.4 row 4).

    Args:
        tenant_id: whom rows may be added about; None: nobody.
    """
    if not tenant_id or txn.tenant(tenant_id) is None:
        return
    history = txn.history(tenant_id)
    if incident_id not in {*charges(history.further), *custodies(history.further)}:
        return
    known = [x for x in history.of(r.TenantAppealNoted) if x.appeal_id == appeal_id]
    if (known[-1].is_open if known else False) is is_open:
        return
    noted = r.TenantAppealNoted(
        at=txn.now,
        tenant_id=tenant_id,
        account_id=account.account_id,
        appeal_id=appeal_id,
        incident_id=incident_id,
        is_open=is_open,
    )
    txn.append(noted, account_id=None, tenant_id=tenant_id)


def settle_tenant(txn: LedgerTxn, account: Account, terms: Agreement) -> tuple[r.Record, ...]:
    """Have the tenant follow when strikes of an account were annulled, excused or made milder (STANDING 5.4 row 7); and
    any other that the account belonged to before, and that answers for what was done there."""
    history = txn.history(account.account_id)
    written: list[r.Record] = []
    for tenant_id in dict.fromkeys((account.tenant_id, *(i.opened.tenant_id for i in history.incidents))):
        tenant = txn.tenant(tenant_id) if tenant_id else None
        if tenant is not None:
            rows = settle(history, tenant_surroundings(txn, tenant), terms, tenant_id, txn.now)
            written += write_tenant_rows(txn, rows, tenant_id, terms)
    return tuple(written)


# --- whom it is told to -----------------------------------------------------------------------------------------------


def _tell(txn: LedgerTxn, row: r.Record, tenant_id: str, terms: Agreement) -> None:
    facts: Facts
    match row:
        case r.TenantStepTaken(step="warn"):
            _tell_warning(txn, row, terms)
        case r.TenantStepTaken(step="quota"):
            facts = {
                "step_id": row.step_id,
                "starts_at": row.starts_at,
                "ends_at": row.ends_at,
                "quota": row.quota,
                "score_milli": row.score_milli or None,
                "is_technical": row.is_technical,
                "clauses": numbers(row.clauses, terms),
            }
            announce_event(txn, "tenant_quota", tenant_id, facts)
            tell_co_users(txn, tenant_id, QUOTA, row.starts_at, row.ends_at, quota=row.quota)
        case r.TenantStepTaken(step="suspend"):
            facts = {
                "step_id": row.step_id,
                "starts_at": row.starts_at,
                "ends_at": row.ends_at,
                "clauses": numbers(row.clauses, terms),
            }
            announce_event(txn, "tenant_suspended", tenant_id, facts)
            tell_co_users(txn, tenant_id, SUSPEND, row.starts_at, row.ends_at)
        case r.TenantStepEnded() if step := _step_of(txn, row):
            facts = {"step_id": row.step_id, "step": step.step, "at": row.at, "because": row.because}
            announce_event(txn, "tenant_step_ended", tenant_id, facts)
        case r.TenantLocked():
            announce_event(
                txn, "tenant_locked", tenant_id, {"lock_id": row.lock_id, "at": row.at, "until": row.until}
            )
        case r.TenantUnlocked():
            announce_event(txn, "tenant_unlocked", tenant_id, {"lock_id": row.lock_id, "at": row.at})
        case r.TaskOpened():
            facts = {"task_id": row.task_id, "what": row.what, "due_at": row.due_at}
            announce_event(txn, "desk_task", tenant_id, facts)
        case _:
            pass


def _tell_warning(txn: LedgerTxn, row: r.TenantStepTaken, terms: Agreement) -> None:
    rules = terms.tenant.score if terms.tenant is not None else None
    mine, history = set(row.incident_ids), txn.history(row.tenant_id)
    facts: Facts = {
        "step_id": row.step_id,
        "at": row.at,
        "score_milli": row.score_milli,
        "next_milli": round(rules.quota_at * 1000) if rules is not None else None,
        "accounts": len(_charged_accounts(history, mine)),
        "incidents": len(mine),
        "clauses": numbers(row.clauses, terms),
    }
    announce_event(txn, "tenant_warning", row.tenant_id, facts)


def tell_co_users(
    txn: LedgerTxn,
    tenant_id: str,
    step: str,
    starts_at: datetime,
    ends_at: datetime | None,
    *,
    quota: int | None = None,
) -> None:
    """Tell everybody else of the tenant that its sending is limited and their own standing is good. Whoever has
    something charged gets notices of their own."""
    facts: Facts = {
        "step": step,
        "starts_at": starts_at,
        "ends_at": ends_at,
        "quota": quota,
        "except_ids": tuple(sorted(_charged_accounts(txn.history(tenant_id)))),
    }
    announce_event(txn, "co_user", tenant_id, facts)


def _charged_accounts(history: History, incident_ids: Container[str] | None = None) -> set[str]:
    """Say whose incidents stand charged; only of these incidents, where some are given."""
    found = {key: row.account_id for key, row in charges(history.further).items()}
    found |= {key: row.account_id for key, row in custodies(history.further).items()}
    return {account_id for key, account_id in found.items() if incident_ids is None or key in incident_ids}


def _step_of(txn: LedgerTxn, row: r.TenantStepEnded) -> r.TenantStepTaken | None:
    """Say the step that has ended; None for a proposal, of which only the desk has heard, and for a termination, of
    which whoever ends it tells (pipeline/tenant_end)."""
    taken = txn.history(row.tenant_id).of(r.TenantStepTaken)
    return next((x for x in taken if x.step_id == row.step_id and x.step not in (PROPOSE, TERMINATE)), None)

