"""Evidence for an authority, as an act of two people.  STANDING 5.5, AL-4.2, TX-4.2.3, TX-3.5.5.

It rests on a legal request that two people have entered in the register, with the digest of its document. Approving it
hands nothing out: one of the two then takes the mails, within the time an approval stands, and each that goes out is a
row with the digest of just those octets. What is kept stays as it is, and so does a legal hold.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from filterd.errors import RefusedError, UsageError
from filterd.model import records as r
from filterd.model.evidence import Evidence, Kept
from filterd.pipeline.desk import Desk, iso
from filterd.pipeline.evidence import CHUNK_BYTES, mails_of
from filterd.pipeline.people import Actor, Arguments, PlainVerb
from filterd.pipeline.proposals import Act, Decided, Subject
from filterd.pipeline.register_acts import required
from filterd.ports import LedgerTxn

# A request for more is more than one case: several exports.
MAX_MAILS = 200

Said = Mapping[str, Any]


def _prepare(desk: Desk, txn: LedgerTxn, subject: Subject, arguments: Arguments) -> Said:
    account_id = subject.subject_id
    owner, found = mails_of(txn, required(arguments, "case"))
    if owner != account_id:
        raise RefusedError(f"{arguments['case']} is not of {account_id}")
    order = _order(txn, account_id, required(arguments, "order"))
    if order is None:
        raise RefusedError(
            f"{arguments['order']} is no legal request in force about {account_id}: filterd register list"
        )
    if not order.document_digest:
        raise RefusedError(f"{order.entry_id} bears no digest of its document; enter the request again")
    kept = _kept(txn, account_id)
    mails = [mail.transaction_id for mail in found if mail.transaction_id in kept]
    if not mails:
        raise RefusedError(f"of {arguments['case']} no content is kept")
    if len(mails) > MAX_MAILS:
        raise RefusedError(f"{len(mails)} mails; name transactions, or a case of at most {MAX_MAILS}")
    return {
        "order": order.entry_id,
        "order_digest": order.document_digest,
        "to": required(arguments, "to"),
        "transaction_ids": mails,
    }


def _rests_on(desk: Desk, txn: LedgerTxn, subject: Subject, said: Said) -> Said:
    order = _order(txn, subject.subject_id, said["order"])
    kept = _kept(txn, subject.subject_id)
    mails = (kept[name] for name in said["transaction_ids"] if name in kept)
    return {
        "order": order.entry_id if order is not None else None,
        "mails": [f"{mail.transaction_id} {mail.kept.word} {mail.digest}" for mail in mails],
    }


def _carry_out(desk: Desk, txn: LedgerTxn, decided: Decided) -> Said:
    said, account = decided.terms, decided.subject.account
    if account is None:
        raise UsageError(f"the directory has no account {decided.subject.subject_id}")
    kept = _kept(txn, account.account_id)
    exported = r.EvidenceExported(
        at=txn.now,
        proposal_id=decided.proposal.proposal_id,
        account_id=account.account_id,
        order_id=said["order"],
        order_digest=said["order_digest"],
        recipient=said["to"],
        transaction_ids=tuple(said["transaction_ids"]),
        digests=tuple(kept[name].digest for name in said["transaction_ids"]),
        until=txn.now + timedelta(hours=desk.rules.staffing.approval_hours),
        by=decided.proposal.by,
        approver=decided.approved.by,
    )
    desk.append(txn, account, exported)
    return {"export": exported.proposal_id, "until": iso(exported.until)}


EXPORT_EVIDENCE = Act(
    name="evidence.export",
    about="account",
    prepare=_prepare,
    rests_on=_rests_on,
    carry_out=_carry_out,
    can_be_alone=False,
    is_secret=True,
)


class ExportVerbs:
    """One instance a ledger process."""

    def __init__(self, desk: Desk):
        self._desk = desk

    def table(self) -> dict[str, PlainVerb]:
        """Say every verb by name."""
        return {"evidence.take": self.take}

    def take(self, txn: LedgerTxn, arguments: Arguments) -> Any:
        """Hand out octets of one mail of an export, from `offset` on, to one of its two people; `next` is where more
        begin, None at the end. Without `transaction`: what the export consists of, and no row."""
        exported, actor = self._permitted(txn, arguments)
        wanted = str(arguments.get("transaction") or "")
        if not wanted:
            return self._shown(txn, exported)
        if wanted not in exported.transaction_ids:
            raise UsageError(f"{wanted} is not of this export")
        content = txn.read_evidence(wanted)
        if content is None:
            raise UsageError(f"of {wanted} no content is kept any more")
        digest, offset = hashlib.sha256(content).hexdigest(), max(int(arguments.get("offset") or 0), 0)
        taken = r.EvidenceTaken(
            at=txn.now,
            proposal_id=exported.proposal_id,
            account_id=exported.account_id,
            transaction_id=wanted,
            digest=digest,
            size_bytes=len(content),
            by=actor.name,
        )
        self._desk.append(txn, self._desk.account(txn, exported.account_id), taken)
        end = offset + CHUNK_BYTES
        return {
            "transaction_id": wanted,
            "digest": digest,
            "size_bytes": len(content),
            "octets": base64.b64encode(content[offset:end]).decode("ascii"),
            "next": end if end < len(content) else None,
        }

    def _permitted(self, txn: LedgerTxn, arguments: Arguments) -> tuple[r.EvidenceExported, Actor]:
        """Find the export, and say who takes it. Raises RefusedError for anybody but its two people, in time."""
        proposal_id = required(arguments, "export")
        owner = txn.account_of(proposal_id)
        account = txn.account(owner) if owner is not None else None
        rows = txn.records(account.account_id) if account is not None else ()
        found = next((x for x in rows if isinstance(x, r.EvidenceExported) and x.proposal_id == proposal_id), None)
        if account is None or found is None:
            raise UsageError(f"no export {proposal_id}")
        actor = self._desk.permit(txn, arguments, "evidence.take", account)
        if actor.name not in (found.by, found.approver):
            raise RefusedError(f"{found.by} and {found.approver} stand behind this export; one of them takes it")
        if txn.now >= found.until:
            raise RefusedError(f"this export could be taken until {iso(found.until)}; propose it again")
        if _order(txn, found.account_id, found.order_id) is None:
            raise RefusedError(f"the legal request {found.order_id} has ended")
        return found, actor

    def _shown(self, txn: LedgerTxn, exported: r.EvidenceExported) -> dict[str, Any]:
        order = _order(txn, exported.account_id, exported.order_id)
        kept = _kept(txn, exported.account_id)
        return {
            "export": exported.proposal_id,
            "account_id": exported.account_id,
            "order": exported.order_id,
            "document": order.document if order is not None else "",
            "document_digest": exported.order_digest,
            "to": exported.recipient,
            "by": exported.by,
            "approver": exported.approver,
            "approved_at": iso(exported.at),
            "until": iso(exported.until),
            "mails": [
                {
                    "transaction_id": name,
                    "mail_digest": digest,
                    "kept": kept[name].kept.word if name in kept else "none",
                }
                for name, digest in zip(exported.transaction_ids, exported.digests, strict=True)
            ],
        }


def _order(txn: LedgerTxn, account_id: str, entry_id: str) -> r.LegalRequestFiled | None:
    """Say the legal request about an account, None where there is none in force."""
    history = txn.history(account_id)
    if any(x.entry_id == entry_id for x in history.of(r.EntryEnded)):
        return None
    return next((x for x in history.of(r.LegalRequestFiled) if x.entry_id == entry_id), None)


def _kept(txn: LedgerTxn, account_id: str) -> dict[str, Evidence]:
    """Say of which mails more than a digest is kept, by transaction."""
    return {x.transaction_id: x for x in txn.evidence_of(account_id) if x.kept > Kept.HASH}
