"""What was done to an enterprise and what was deleted of it, by which side, for years to come.  AL-1.2, AL-6.1.

Both read rows alone, so that they tell the same of a subject that was erased, of which the directory knows nothing.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from filterd.errors import RefusedError, UsageError
from filterd.model import records as r
from filterd.model.entry import SITE
from filterd.model.held import HeldState
from filterd.pipeline.accounts import for_tenants_people
from filterd.pipeline.actors import Sides
from filterd.pipeline.desk import iso, plain
from filterd.pipeline.people import Arguments, PlainVerb
from filterd.pipeline.roles import LOOK, is_scoped, permitted, reaches
from filterd.ports import LedgerTxn

# What became of held mail that nobody can read any more.
_GONE = (HeldState.DELETED.value,)


def table() -> dict[str, PlainVerb]:
    """Say every verb by name."""
    return {"tenant.history": tenant_history, "tenant.deletions": tenant_deletions}


def tenant_history(txn: LedgerTxn, arguments: Arguments) -> Any:
    """Say every row about a `tenant` itself, each with the side whose act it was."""
    tenant_id, is_theirs = _reached(txn, arguments)
    sides = Sides(txn.records(SITE))
    rows = txn.records(tenant_id)
    shown = [{"kind": r.KIND_OF[type(x)], **plain(x), "actor": sides.of_row(x)} for x in rows]
    return for_tenants_people(shown, rows) if is_theirs else shown


def tenant_deletions(txn: LedgerTxn, arguments: Arguments) -> Any:
    """Say what was deleted of a `tenant`, or of one `account` by its id: who, on which side, when, and how much."""
    subject_id, is_theirs = _reached(txn, arguments)
    sides = Sides(txn.records(SITE))
    subjects = [subject_id, *(a.account_id for a in txn.accounts() if a.tenant_id == subject_id)]
    rows = [row for subject in subjects for row in _deletions(txn.records(subject), sides)]
    if is_theirs:
        rows = [{key: value for key, value in row.items() if key != "by"} for row in rows]
    return sorted(rows, key=lambda row: str(row["at"]))


def _deletions(records: Iterable[r.Record], sides: Sides) -> Iterable[dict[str, Any]]:
    for row in records:
        match row:
            case r.HeldMailMoved() if row.state in _GONE:
                what, subject_id, count = "held_mail", row.account_id, {"mails": 1, "item_id": row.item_id}
            case r.SubjectPurged():
                what, subject_id = "everything", row.subject_id
                count = {"mails": row.held_mails, "evidence": row.evidence, "approver": row.approver}
            case r.AccountRetired():
                what, subject_id, count = "mailbox", row.account_id, {"because": row.because}
            case _:
                continue
        yield {
            "at": iso(row.at),
            "what": what,
            "subject_id": subject_id,
            "actor": sides.of(row.by, row.at),
            "by": row.by,
            **count,
        }


def _reached(txn: LedgerTxn, arguments: Arguments) -> tuple[str, bool]:
    """Say the subject meant, and whether who asks is a tenant's or a reseller's. An id is enough: the directory may
    not have it any more."""
    said = str(arguments.get("tenant") or "")
    found = [t for t in txn.tenants() if said in (t.name, t.tenant_id) or said.lower() in t.domains]
    subject_id = found[0].tenant_id if len(found) == 1 else said
    if not said or not txn.records(subject_id):
        raise UsageError(f"no tenant {said}; of one that was erased give the id")
    if not arguments.get("token"):
        return subject_id, False
    actor = permitted(txn, arguments, LOOK)
    account = txn.account(subject_id)
    tenant = txn.tenant(account.tenant_id if account is not None else subject_id)
    if not reaches(txn, actor, tenant):
        raise RefusedError(f"{subject_id} is not yours to look at")
    return subject_id, is_scoped(actor)
