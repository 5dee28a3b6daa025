"""Entries of registers that take two people: authorisations, protected senders, orders, delays, legal requests.

STANDING 5.5, 5.9, CLAUSES §2.3, AL-4.2. Each is an act of pipeline/proposals: what it says is in the proposal's digest,
and carrying it out writes the entry with both names.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from filterd.agreement.crosswalk import ORDER_MAY_NAME
from filterd.agreement.sections_registers import RegistersSection
from filterd.errors import RefusedError, UsageError
from filterd.model import records as r
from filterd.model.ids import derived_id
from filterd.model.principal import Account, Tenant
from filterd.pipeline.desk import Desk, iso
from filterd.pipeline.people import Arguments
from filterd.pipeline.proposals import Act, Decided, Subject
from filterd.ports import LedgerTxn

# STANDING 5.11: standing orders and lists at most 180 days, delayed notices at most 90.
ORDER_DAYS, DELAY_DAYS = 180, 90
# STANDING 5.9: what an account may be terminated for without a decision a case.
ORDERABLE = ORDER_MAY_NAME
# AL-4.2: at whose demand content may be handed out at all.
AUTHORITIES = ("state_security", "public_security", "legal_process")
PROTECTED_KINDS = ("hospital", "payroll", "emergency")

Said = Mapping[str, Any]
_SHA256 = re.compile("[0-9a-f]{64}")


def _nothing(desk: Desk, txn: LedgerTxn, subject: Subject, said: Said) -> Said:
    return {}


def read_until(txn: LedgerTxn, arguments: Arguments, at_most_days: int, *, since: datetime | None = None) -> datetime:
    """Read `until` (RFC 3339, aware), or `days`. Raises RefusedError for what is past, unreadable or too long."""
    since = since or txn.now
    try:
        if arguments.get("days") is not None:
            until = since + timedelta(days=int(arguments["days"]))
        else:
            until = datetime.fromisoformat(str(arguments.get("until") or ""))
    except ValueError as err:
        raise RefusedError("say how long: --days N, or --until 2026-12-31T00:00:00+08:00") from err
    if until.tzinfo is None:
        raise RefusedError("--until needs a zone: 2026-12-31T00:00:00+08:00")
    if not txn.now < until <= since + timedelta(days=at_most_days):
        raise RefusedError(f"it ends in the future, at most {at_most_days} days after it begins")
    return until


def required(arguments: Arguments, name: str) -> str:
    """Read a text that has to be there. Raises RefusedError."""
    text = str(arguments.get(name) or "").strip()
    if not text:
        raise RefusedError(f"say --{name.replace('_', '-')}")
    return text


def names(arguments: Arguments, name: str) -> tuple[str, ...]:
    """Read a list of texts, given as a list or with commas."""
    given = arguments.get(name) or ()
    items = given.split(",") if isinstance(given, str) else given
    return tuple(dict.fromkeys(text for item in items if (text := str(item).strip())))


def _rules(subject: Subject) -> RegistersSection:
    if subject.terms is None or subject.terms.registers is None:
        raise RefusedError("the agreement of this tenant knows no registers")
    return subject.terms.registers


def _tenant(subject: Subject) -> Tenant:
    if subject.tenant is None:
        raise UsageError(f"the directory has no tenant {subject.subject_id}")
    return subject.tenant


def _account(subject: Subject) -> Account:
    if subject.account is None:
        raise UsageError(f"the directory has no account {subject.subject_id}")
    return subject.account


# --- authorisations ---------------------------------------------------------------------------------------------------


def _prepare_authorisation(desk: Desk, txn: LedgerTxn, subject: Subject, arguments: Arguments) -> Said:
    rules, tenant = _rules(subject), _tenant(subject)
    clauses = names(arguments, "clauses")
    if not clauses:
        raise RefusedError(f"say which clauses: --clause, of {', '.join(rules.authorisable) or 'none'}")
    if strange := [key for key in clauses if key not in rules.authorisable]:
        known = ", ".join(rules.authorisable) or "none"
        raise RefusedError(f"clause {strange[0]} cannot be authorised away here; those that can: {known}")
    account = desk.account(txn, str(arguments["account"])) if arguments.get("account") else None
    if account is not None and account.tenant_id != tenant.tenant_id:
        raise RefusedError(f"{account.account_id} is not of this tenant")
    limit = arguments.get("max_recipients_day")
    return {
        "clauses": list(clauses),
        "account_id": account.account_id if account is not None else None,
        "recipient_domains": [domain.lower() for domain in names(arguments, "recipient_domains")],
        "max_recipients_day": int(limit) if limit is not None else None,
        "until": iso(read_until(txn, arguments, rules.authorisation_days)),
        "document": required(arguments, "document"),
    }


def _authorise(desk: Desk, txn: LedgerTxn, decided: Decided) -> Said:
    said, tenant = decided.terms, _tenant(decided.subject)
    given = r.AuthorisationGiven(
        at=txn.now,
        entry_id=derived_id("g", decided.proposal.proposal_id),
        tenant_id=tenant.tenant_id,
        account_id=said["account_id"],
        clauses=tuple(said["clauses"]),
        recipient_domains=tuple(said["recipient_domains"]),
        max_recipients_day=said["max_recipients_day"],
        since=txn.now,
        until=datetime.fromisoformat(said["until"]),
        document=said["document"],
        by=decided.proposal.by,
        approver=decided.approved.by,
    )
    txn.append(given, account_id=None, tenant_id=tenant.tenant_id)
    return {"entry_id": given.entry_id}


# --- protected senders ------------------------------------------------------------------------------------------------


def _prepare_protection(desk: Desk, txn: LedgerTxn, subject: Subject, arguments: Arguments) -> Said:
    _rules(subject)
    kind = required(arguments, "kind")
    if kind not in PROTECTED_KINDS:
        raise RefusedError(f"kind is one of {', '.join(PROTECTED_KINDS)}")
    return {"kind": kind}


def _protect(desk: Desk, txn: LedgerTxn, decided: Decided) -> Said:
    account = _account(decided.subject)
    entry = r.SenderProtected(
        at=txn.now,
        entry_id=derived_id("g", decided.proposal.proposal_id),
        tenant_id=account.tenant_id,
        account_id=account.account_id,
        kind=decided.terms["kind"],
        by=decided.proposal.by,
        approver=decided.approved.by,
    )
    txn.append(entry, account_id=None, tenant_id=account.tenant_id)
    return {"entry_id": entry.entry_id}


# --- standing orders --------------------------------------------------------------------------------------------------


def _prepare_order(desk: Desk, txn: LedgerTxn, subject: Subject, arguments: Arguments) -> Said:
    categories = names(arguments, "categories")
    if not categories or set(categories) - set(ORDERABLE):
        raise RefusedError(f"categories are of {', '.join(sorted(ORDERABLE))}")
    agreement = required(arguments, "agreement")
    terms = desk.rules.terms.get(agreement)
    if terms is None:
        raise RefusedError(f"no agreement {agreement}")
    if terms.supplements is not None or terms.termination is None or "clause" not in terms.termination.grounds:
        raise RefusedError(f"{agreement} knows no termination by order")
    return {
        "agreement": agreement,
        "policy_digest": terms.digest,
        "categories": list(categories),
        "until": iso(read_until(txn, arguments, ORDER_DAYS)),
    }


def _order_rests_on(desk: Desk, txn: LedgerTxn, subject: Subject, said: Said) -> Said:
    terms = desk.rules.terms.get(said["agreement"])
    return {"policy_digest": terms.digest if terms is not None else ""}


def _order(desk: Desk, txn: LedgerTxn, decided: Decided) -> Said:
    said = decided.terms
    entry = r.StandingOrderSigned(
        at=txn.now,
        entry_id=derived_id("g", decided.proposal.proposal_id),
        policy_digest=said["policy_digest"],
        categories=tuple(said["categories"]),
        until=datetime.fromisoformat(said["until"]),
        by=decided.proposal.by,
        approver=decided.approved.by,
    )
    txn.append(entry, account_id=None, tenant_id=None)
    return {"entry_id": entry.entry_id}


# --- authorities ------------------------------------------------------------------------------------------------------


def _prepare_delay(desk: Desk, txn: LedgerTxn, subject: Subject, arguments: Arguments) -> Said:
    return {
        "ground": required(arguments, "ground"),
        "document": required(arguments, "document"),
        "until": iso(read_until(txn, arguments, DELAY_DAYS)),
    }


def _delay(desk: Desk, txn: LedgerTxn, decided: Decided) -> Said:
    said, account = decided.terms, _account(decided.subject)
    entry = r.NoticeDelayed(
        at=txn.now,
        entry_id=derived_id("g", decided.proposal.proposal_id),
        account_id=account.account_id,
        ground=said["ground"],
        document=said["document"],
        until=datetime.fromisoformat(said["until"]),
        by=decided.proposal.by,
        approver=decided.approved.by,
    )
    txn.append(entry, account_id=account.account_id, tenant_id=account.tenant_id)
    return {"entry_id": entry.entry_id}


def _prepare_request(desk: Desk, txn: LedgerTxn, subject: Subject, arguments: Arguments) -> Said:
    kind = required(arguments, "authority_kind")
    if kind not in AUTHORITIES:
        raise RefusedError(f"content goes to {', '.join(AUTHORITIES)} only (AL-4.2, TX-4.2.3), not to {kind!r}")
    digest = required(arguments, "document_digest").lower()
    if not _SHA256.fullmatch(digest):
        raise RefusedError("document_digest is the SHA-256 of the request's document, 64 hex digits: sha256sum FILE")
    return {
        "authority_kind": kind,
        "document": required(arguments, "document"),
        # What two people have read is this file and no other (TX-3.5.5).
        "document_digest": digest,
        "scope": required(arguments, "scope"),
    }


def _request(desk: Desk, txn: LedgerTxn, decided: Decided) -> Said:
    said, account = decided.terms, _account(decided.subject)
    entry = r.LegalRequestFiled(
        at=txn.now,
        entry_id=derived_id("g", decided.proposal.proposal_id),
        account_id=account.account_id,
        authority_kind=said["authority_kind"],
        document=said["document"],
        document_digest=said["document_digest"],
        scope=said["scope"],
        by=decided.proposal.by,
        approver=decided.approved.by,
    )
    txn.append(entry, account_id=account.account_id, tenant_id=account.tenant_id)
    return {"entry_id": entry.entry_id}


REGISTER_ACTS = (
    Act(
        name="register.authorise",
        about="tenant",
        prepare=_prepare_authorisation,
        rests_on=_nothing,
        carry_out=_authorise,
    ),
    Act(
        name="register.protect",
        about="account",
        prepare=_prepare_protection,
        rests_on=_nothing,
        carry_out=_protect,
    ),
    Act(
        name="register.order",
        about="site",
        prepare=_prepare_order,
        rests_on=_order_rests_on,
        carry_out=_order,
        can_be_alone=False,
    ),
    Act(
        name="register.delay_notice",
        about="account",
        prepare=_prepare_delay,
        rests_on=_nothing,
        carry_out=_delay,
        is_secret=True,
    ),
    Act(
        name="register.legal_request",
        about="account",
        prepare=_prepare_request,
        rests_on=_nothing,
        carry_out=_request,
        can_be_alone=False,
        is_secret=True,
    ),
)

