"""Who looks at what is kept of a mail, and who keeps it from being erased.  STANDING 5.5, 5.7-16; HOUSE rules 11, 13.

Whatever is shown, a row says first who saw it and why: the answer goes out when that row is on disk. A legal hold is
for everything that is kept of an account; to end it takes two people, within three days.
"""

from __future__ import annotations

import base64
from datetime import datetime, timedelta
from typing import Any

from filterd.errors import RefusedError, UsageError
from filterd.model import records as r
from filterd.model.evidence import Evidence, frozen
from filterd.model.ids import random_id
from filterd.pipeline.people import Actor, Arguments, PlainVerb
from filterd.pipeline.roles import permitted, refuse_unless_reached
from filterd.ports import LedgerTxn

HOLDING = ("moderator", "approver", "appeals_reviewer")

# A frame of the link takes 64 MB, and base64 makes four octets of three.
CHUNK_BYTES = 24 * 1024 * 1024
MAX_REASON_CHARS = 1000

# STANDING 5.5: an approval expires after 72 h; whoever is alone looks again after 24 h.
APPROVAL_STANDS = timedelta(hours=72)
SECOND_LOOK_AFTER = timedelta(hours=24)


def table() -> dict[str, PlainVerb]:
    """Say every verb by name."""
    return {
        "evidence.show": evidence_show,
        "evidence.read": evidence_read,
        "evidence.hold": evidence_hold,
        "evidence.release": evidence_release,
    }


def evidence_show(txn: LedgerTxn, arguments: Arguments) -> Any:
    """Say what is kept of the mails of a case, or of one mail; of their content nothing."""
    actor, reason = permitted(txn, arguments, "evidence.show"), reason_of(arguments)
    account_id, mails = mails_of(txn, arguments["target"])
    person = named(txn, actor, "evidence.show", account_id)
    kept = {item.transaction_id: item for item in txn.evidence_of(account_id)}
    viewed(txn, account_id, mails, by=person, reason=reason, has_content=False)
    freeze = frozen(txn.records(account_id))
    return {
        "account_id": account_id,
        "appeals": list(freeze.appeals),
        "holds": [{"hold_id": hold.hold_id, "case": hold.case, "by": hold.by} for hold in freeze.holds],
        "mails": [_shown(mail, kept.get(mail.transaction_id)) for mail in mails],
    }


def evidence_read(txn: LedgerTxn, arguments: Arguments) -> Any:
    """Hand out octets of what is kept of one mail, from `offset` on; `next` is where more begin, None at the end."""
    actor, reason = permitted(txn, arguments, "evidence.read"), reason_of(arguments)
    account_id, mails = mails_of(txn, arguments["target"])
    person = named(txn, actor, "evidence.read", account_id)
    if len(mails) != 1:
        raise UsageError(f"{arguments['target']} has {len(mails)} mails; name one transaction")
    offset = int(arguments.get("offset") or 0)
    content = txn.read_evidence(mails[0].transaction_id)
    if content is None:
        raise UsageError(f"of {mails[0].transaction_id} no content is kept")
    viewed(txn, account_id, mails, by=person, reason=reason, has_content=True)
    end = offset + CHUNK_BYTES
    return {
        "transaction_id": mails[0].transaction_id,
        "size_bytes": len(content),
        "octets": base64.b64encode(content[max(offset, 0) : end]).decode("ascii"),
        "next": end if end < len(content) else None,
    }


def evidence_hold(txn: LedgerTxn, arguments: Arguments) -> Any:
    """Keep everything of an account from being erased, until the hold is released."""
    actor, reason = permitted(txn, arguments, "evidence.hold"), reason_of(arguments)
    account_id = _account_id(txn, arguments["case"])
    person = named(txn, actor, "evidence.hold", account_id)
    hold = r.EvidenceHeld(
        at=txn.now,
        hold_id=random_id("l", txn.now),
        account_id=account_id,
        # Never an address: the row is in the clear.
        case=account_id if txn.account_of(arguments["case"]) is None else str(arguments["case"]),
        by=person,
        reason=reason,
    )
    _append(txn, account_id, hold)
    return {"hold_id": hold.hold_id, "account_id": account_id, "by": person}


def evidence_release(txn: LedgerTxn, arguments: Arguments) -> Any:
    """Ask that a hold ends, or agree to it; it ends with the second person."""
    actor, reason = permitted(txn, arguments, "evidence.release"), reason_of(arguments)
    account_id = _account_id(txn, arguments["case"])
    person = named(txn, actor, "evidence.release", account_id)
    hold = _hold(txn, account_id, arguments.get("hold"))
    standing = [
        record
        for record in txn.records(account_id)
        if isinstance(record, r.EvidenceReleased)
        and record.hold_id == hold.hold_id
        and txn.now - record.at <= APPROVAL_STANDS
    ]
    is_second = any(record.by != person for record in standing)
    is_alone = sum(role in HOLDING for _, role in txn.people()) == 1
    is_self_review = not is_second and is_alone and any(txn.now - x.at >= SECOND_LOOK_AFTER for x in standing)
    if standing and not is_second and not is_self_review:
        raise RefusedError(_who_is_missing(standing[0].at, is_alone=is_alone))
    released = r.EvidenceReleased(
        at=txn.now,
        hold_id=hold.hold_id,
        account_id=account_id,
        by=person,
        reason=reason,
        is_final=is_second or is_self_review,
        is_self_review=is_self_review,
    )
    _append(txn, account_id, released)
    return {"hold_id": hold.hold_id, "account_id": account_id, "by": person, "is_over": released.is_final}


def viewed(
    txn: LedgerTxn, account_id: str, mails: list[r.ViolationRecorded], *, by: str, reason: str, has_content: bool
) -> None:
    """Write down who sees what, and why."""
    record = r.EvidenceViewed(
        at=txn.now,
        account_id=account_id,
        transaction_ids=tuple(mail.transaction_id for mail in mails),
        digests=tuple(mail.evidence_digest for mail in mails if mail.evidence_digest is not None),
        by=by,
        reason=reason,
        has_content=has_content,
    )
    _append(txn, account_id, record)


def named(txn: LedgerTxn, actor: Actor, verb: str, account_id: str) -> str:
    """Say the actor's name. Raises RefusedError about their own mailbox, and the tenant they belong to."""
    account = txn.account(account_id)
    tenant = txn.tenant(account.tenant_id) if account is not None else None
    refuse_unless_reached(txn, actor, verb, tenant, account, enforcing_party="")
    return actor.name


def reason_of(arguments: Arguments) -> str:
    """Say the reason as it will stand in the ledger. Raises RefusedError when there is none."""
    reason = str(arguments.get("reason") or "").strip()
    if not reason or len(reason) > MAX_REASON_CHARS:
        raise RefusedError(f"say why, in 1 to {MAX_REASON_CHARS} characters: --reason")
    return reason


def mails_of(txn: LedgerTxn, target: str) -> tuple[str, list[r.ViolationRecorded]]:
    """Find the mail of a transaction, or those of a case, by the ids people quote."""
    account_id = txn.account_of(target)
    digits = target.strip().lower().rpartition("_")[2]
    records = txn.records(account_id) if account_id is not None else ()
    owned = {x.incident_id for x in records if isinstance(x, r.SanctionImposed) and x.sanction_id == target}
    mails = [x for x in records if isinstance(x, r.ViolationRecorded)]
    found = [x for x in mails if x.transaction_id == target]
    found = found or [
        x for x in mails if x.incident_id in owned or x.incident_id.rpartition("_")[2].startswith(digits)
    ]
    if account_id is None or not found:
        raise UsageError(f"no case or transaction {target} with a violation")
    return account_id, found


def _shown(mail: r.ViolationRecorded, kept: Evidence | None) -> dict[str, Any]:
    return {
        "transaction_id": mail.transaction_id,
        "incident_id": mail.incident_id,
        "at": _iso(mail.at),
        "categories": sorted({violation.category for violation in mail.violations}),
        "digest": mail.evidence_digest,
        "kept": kept.kept.word if kept is not None else "none",
        "until": _iso(kept.retention_until) if kept is not None else None,
    }


def _account_id(txn: LedgerTxn, target: str) -> str:
    """Find an account by its own id or login, or by that of anything about it."""
    known = txn.account(target) if target.startswith("a_") else txn.find_account(target)
    account_id = known.account_id if known is not None else txn.account_of(target)
    if account_id is None:
        raise UsageError(f"no case, transaction or account {target}")
    return account_id


def _hold(txn: LedgerTxn, account_id: str, hold_id: str | None) -> r.EvidenceHeld:
    holds = [hold for hold in frozen(txn.records(account_id)).holds if hold_id in (None, hold.hold_id)]
    if not holds:
        raise RefusedError(f"no such legal hold is in force on {account_id}")
    if len(holds) > 1:
        raise RefusedError(f"{len(holds)} legal holds are in force; name one: " + ", ".join(x.hold_id for x in holds))
    return holds[0]


def _who_is_missing(asked_at: datetime, *, is_alone: bool) -> str:
    if is_alone:
        return f"you asked at {_iso(asked_at)}; nobody else may, so look again 24 h after that"
    return "you have asked for it already; it ends when another person agrees"


def _append(txn: LedgerTxn, account_id: str, record: r.Record) -> None:
    account = txn.account(account_id)
    txn.append(record, account_id=account_id, tenant_id=account.tenant_id if account is not None else None)


def _iso(at: datetime) -> str:
    return at.isoformat().replace("+00:00", "Z")
