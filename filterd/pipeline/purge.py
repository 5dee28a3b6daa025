"""What is kept is erased: by two people for each batch, after two readings, never what is frozen.  TX-4.4.3, AL-2.2.

The proposal names the subjects and why each may go; what has changed until it is approved makes it void (STANDING
5.7-18). Carrying it out looks once more: a subject that is held, appealed or renewed meanwhile is left out and said.
Each erased subject leaves a certificate with counts and nothing personal.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from filterd.agreement.deletion import Kept, run_out, why_not
from filterd.errors import RefusedError
from filterd.model import records as r
from filterd.model.evidence import Freeze, frozen
from filterd.model.held import HeldState
from filterd.model.principal import Tenant
from filterd.model.standing import Surroundings
from filterd.pipeline.desk import Desk
from filterd.pipeline.notice_events import Facts, announce_event
from filterd.pipeline.people import Arguments
from filterd.pipeline.proposals import Act, Decided, Subject
from filterd.pipeline.verbs import DeskRules
from filterd.ports import LedgerTxn

# An approval is for what two people can have looked at.
MAX_SUBJECTS = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class Fate:
    """What may become of one subject. `why_not` None: it may go."""

    subject_id: str
    kept: Kept | None
    why_not: str | None


def fate(txn: LedgerTxn, subject_id: str, rules: DeskRules) -> Fate:
    """Say whether an account or a tenant may be erased now. A tenant may when none of its accounts is frozen."""
    account = txn.account(subject_id)
    tenant = txn.tenant(account.tenant_id if account is not None else subject_id)
    if tenant is None and account is None:
        return Fate(subject_id=subject_id, kept=None, why_not="unknown")
    terms = rules.terms_for(tenant, txn.now)
    history = txn.history(subject_id)
    expires_on = account.expires_on if account is not None else tenant.expires_on if tenant is not None else None
    kept = run_out(history, terms, txn.now, Surroundings(expires_on=expires_on))
    if terms.lifecycle is None:
        return Fate(subject_id=subject_id, kept=None, why_not="not_due")
    reason = why_not(history, kept, frozen(txn.records(subject_id)), terms)
    if reason is None and account is None and tenant is not None:
        freezes = (frozen(txn.records(x)) for x in accounts_of(txn, tenant))
        reason = next((_name(freeze) for freeze in freezes if freeze), None)
    return Fate(subject_id=subject_id, kept=kept, why_not=reason)


def purge(
    txn: LedgerTxn, batch: Iterable[str], rules: DeskRules, *, proposal_id: str, by: str, approver: str
) -> dict[str, Any]:
    """Erase what may be erased of a batch; say what was and what was not, and why."""
    purged: list[str] = []
    skipped: dict[str, str] = {}
    for subject_id in dict.fromkeys(batch):
        found = fate(txn, subject_id, rules)
        if found.why_not is not None or found.kept is None:
            skipped[subject_id] = found.why_not or "not_due"
            continue
        tenant = txn.tenant(subject_id)
        # Its users' mail goes with the enterprise: the accounts first, so that no half of it is left.
        for account_id in (*(accounts_of(txn, tenant) if tenant is not None else ()), subject_id):
            # Of an enterprise nobody is left to tell: its address goes with it, and the notice before was the last.
            erase_one(txn, account_id, found.kept.clock, proposal_id, by, approver, is_told=tenant is None)
            purged.append(account_id)
    return {"purged": purged, "skipped": skipped}


def accounts_of(txn: LedgerTxn, tenant: Tenant) -> tuple[str, ...]:
    """Say the accounts of a tenant that still have something to erase."""
    return tuple(x.account_id for x in txn.accounts() if x.tenant_id == tenant.tenant_id)


def erase_one(
    txn: LedgerTxn,
    subject_id: str,
    clock: str,
    proposal_id: str,
    by: str,
    approver: str,
    *,
    is_told: bool,
    is_last: bool = False,
) -> None:
    """Erase what is kept of one subject, with its certificate. `is_last`: on the last day of the site, when no hold
    keeps anything any more (TX-8.2.8)."""
    account = txn.account(subject_id)
    states = (HeldState.HELD, HeldState.RELEASED)
    certificate = r.SubjectPurged(
        at=txn.now,
        subject_id=subject_id,
        clock=clock,
        proposal_id=proposal_id,
        by=by,
        approver=approver,
        evidence=len(txn.evidence_of(subject_id)),
        held_mails=sum(x.account_id == subject_id for x in txn.held_mails(states)),
    )
    if is_told:
        facts: Facts = {
            "at": txn.now,
            "purge_id": proposal_id,
            "evidence": certificate.evidence,
            "held_mails": certificate.held_mails,
        }
        announce_event(txn, "deletion_complete", subject_id, facts)
    tenant_id = account.tenant_id if account is not None else subject_id
    txn.append(certificate, account_id=account.account_id if account is not None else None, tenant_id=tenant_id)
    txn.erase_subject(subject_id, is_last=is_last)


def _name(freeze: Freeze) -> str:
    return "legal_hold" if freeze.holds else "appeal"


# --- as an act of two people ------------------------------------------------------------------------------------------


def _prepare(desk: Desk, txn: LedgerTxn, subject: Subject, arguments: Arguments) -> Mapping[str, Any]:
    """`subjects`: their ids, in a list or parted by commas; left out, all that may be erased."""
    named = arguments.get("subjects") or eligible(txn, desk.rules)
    named = named.replace(",", " ").split() if isinstance(named, str) else named
    wanted = sorted({str(x) for x in named})
    if not wanted or len(wanted) > MAX_SUBJECTS:
        raise RefusedError(f"a batch has 1 to {MAX_SUBJECTS} subjects; this one has {len(wanted)}")
    return {"subjects": wanted}


def _rests_on(desk: Desk, txn: LedgerTxn, subject: Subject, terms: Mapping[str, Any]) -> Mapping[str, Any]:
    out: dict[str, Any] = {}
    for subject_id in terms["subjects"]:
        found = fate(txn, str(subject_id), desk.rules)
        if found.why_not is not None or found.kept is None:
            raise RefusedError(f"{subject_id} may not be erased now: {found.why_not or 'not_due'}")
        out[str(subject_id)] = f"{found.kept.clock}@{found.kept.due_at.isoformat()}"
    return out


def _carry_out(desk: Desk, txn: LedgerTxn, decided: Decided) -> Mapping[str, Any]:
    return purge(
        txn,
        map(str, decided.terms["subjects"]),
        desk.rules,
        proposal_id=decided.proposal.proposal_id,
        by=decided.proposal.by,
        approver=decided.approved.by,
    )


PURGE = Act(name="data.purge", about="site", prepare=_prepare, rests_on=_rests_on, carry_out=_carry_out)


def eligible(txn: LedgerTxn, rules: DeskRules) -> tuple[str, ...]:
    """Say every subject that may be erased now; an account whose tenant may goes with it."""
    tenants = tuple(x.tenant_id for x in txn.tenants() if fate(txn, x.tenant_id, rules).why_not is None)
    accounts = tuple(x for x in txn.clocked() if fate(txn, x, rules).why_not is None)
    gone = {x for t in tenants if (found := txn.tenant(t)) is not None for x in accounts_of(txn, found)}
    return (*tenants, *(x for x in accounts if x not in gone))
