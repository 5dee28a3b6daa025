"""Rows that came after a backup, put back: in their places, or once more under new numbers.  ops/docs/BACKUP.md.

With a row goes what the ledger makes of rows when they are written: which ids there are, which deliveries were counted,
the directory as far as rows tell it, who is erased, which promises are kept. What rows do not tell is reported.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from sqlalchemy import Connection, select, update

from filterd.ledger import entries, evidence
from filterd.ledger.appending import Appending
from filterd.ledger.chain import Column, Head, Row
from filterd.ledger.codec import instant
from filterd.ledger.equipment import Equipment
from filterd.ledger.references import Brought
from filterd.ledger.schema import ENTRY, QUARANTINE, SUBJECT_KEY
from filterd.ledger.traces import Plan, Told
from filterd.ledger.txn import Txn
from filterd.ledger.vault import address_of
from filterd.model import records as r
from filterd.model.entry import Entry
from filterd.model.evidence import Kept
from filterd.model.held import HeldState
from filterd.model.ids import derived_id
from filterd.model.principal import Account, Tenant
from filterd.ports import LedgerTxn, OutboxItem

# Numbers go on at the next full million: nobody knows for sure how many the lost rows had.
_EPOCH = 1_000_000
_MARGIN = 10_000
_REVIEW_WITHIN = timedelta(days=3)
# What the directory knows of an account and rows only say in their sealed part.
_SEALED_FIELDS = frozenset({"login", "aliases", "send_as", "contact", "external_id"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Customs:
    """What the rest of the house knows and the ledger does not.

    Args:
        notice_of: which notice an outbox item would send: its id; None for other work.
        promise: promises the notice that a record about an account (and its tenant) calls for; says whether there is
            one.
        evidence_after: how much longer than its strike a mail is kept.
    """

    notice_of: Callable[[OutboxItem], str | None]
    promise: Callable[[LedgerTxn, r.Record, str, str | None], bool]
    evidence_after: timedelta


@dataclass(slots=True, kw_only=True)
class Recovered:
    """What was done, and what could not be.

    Args:
        in_place, again: how many rows.
        missing: rows nobody has.
        affected: accounts, and why a person must look at them.
        lost_evidence: transactions whose mail the vault no longer has.
        people: who was added since, and needs a new token.
        erased: whose key was destroyed again.
        sent: notices that had gone out and are not sent again; `promised`: those that are to go out now.
        unsure: incidents of which nobody knows whether their notice went out.
        is_accepted: the rows `ledger.restored` are written, or none was needed.
    """

    in_place: int = 0
    again: int = 0
    missing: tuple[r.RowRange, ...] = ()
    affected: dict[str, list[str]] = field(default_factory=dict)
    lost_evidence: list[str] = field(default_factory=list)
    people: list[str] = field(default_factory=list)
    erased: list[str] = field(default_factory=list)
    sent: int = 0
    promised: int = 0
    unsure: list[str] = field(default_factory=list)
    is_accepted: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Acceptance:
    """Who answers for a loss. `taken_at`: of the backup, None when the store was found older than its anchors."""

    by: str
    reason: str
    taken_at: datetime | None


def heads_of(connection: Connection) -> dict[str, Head]:
    """Say where each writer's chain ends."""
    writers = connection.execute(select(ENTRY.c.writer).distinct()).scalars().all()
    return {writer: entries.head(connection, writer) for writer in writers}


def name_what_rows_hide(txn: Txn, plan: Plan) -> None:
    """Add to a plan the accounts about which rows tell less than the directory knew."""
    known = {account.account_id for account in txn.accounts()}
    for told in (*plan.in_place, *plan.again):
        why: str | None = None
        match told.record:
            case r.AccountOpened(account_id=account_id) if account_id not in known:
                why = "opened after the backup: its login is not known"
            case r.AccountChanged(fields=changed) if hidden := _SEALED_FIELDS.intersection(changed):
                why = f"changed after the backup: {', '.join(sorted(hidden))}"
            case r.MailHeld(transaction_id=transaction_id):
                why = f"mail held after the backup is lost: {transaction_id}"
            case _:
                pass
        # Of mail that locked lists held the row is the site's, and names its account.
        whose = told.row.account_id or getattr(told.record, "account_id", None)
        if why is not None and whose is not None:
            plan.affected.setdefault(str(whose), set()).add(why)


class Recovery:
    """One recovery, inside one transaction of the store."""

    def __init__(self, equipment: Equipment, connection: Connection, now: datetime, customs: Customs):
        self._equipment, self._connection, self._now, self._customs = equipment, connection, now, customs
        self.done = Recovered()
        self._records: list[tuple[r.Record, Row]] = []
        self.entries: list[Entry] = []

    def txn(self, head: Head | None = None) -> Txn:
        own = entries.head(self._connection, self._equipment.writer)
        return Txn(self._equipment, self._connection, self._now, head or own)

    def put_in_place(self, rows: Iterable[Told]) -> None:
        """Continue the chains with the very rows that were lost."""
        txn = self.txn()
        for told in rows:
            row, record = told.row, told.record
            if record is None:
                continue
            entries.add(self._connection, [row])
            if row.account_id is not None:
                brought = Brought()
                brought.note(self._connection, record, str(row.account_id))
                brought.write(self._connection)
            subject_id = row.account_id or row.tenant_id
            if subject_id is not None:
                self._equipment.heads.next_at(self._connection, str(subject_id), instant(str(row.written_at)))
            self.entries.append(entries.entry_of(row, bytes(row.row_hash) if isinstance(row.row_hash, bytes) else b""))
            self._follow_up(txn, record, told)
            self.done.in_place += 1
        self._end(txn)

    def accept(self, plan: Plan, who: Acceptance, heads: dict[str, Head]) -> None:
        """Put the loss on record, write once more what streams had kept, and have people look at the rest."""
        own = self._equipment.writer
        again = _ranges(told.place for told in plan.again)
        lost = {item.writer for item in (*plan.missing, *again)}
        if not plan.is_known:
            lost |= set(heads) or {own}
        missing = tuple(plan.missing)
        if not plan.is_known:
            ends = {writer: plan.seen.get(writer, 0) for writer in lost}
            missing += tuple(r.RowRange(writer=name, first=ends[name] + 1, last=None) for name in sorted(lost))
        said = r.LedgerRestored(
            at=self._now,
            restore_id=derived_id("l", who.by, str(self._now), *sorted(str(item) for item in (*missing, *again))),
            taken_at=who.taken_at,
            by=who.by,
            reason=who.reason,
            after_seq=heads.get(own, Head()).seq,
            missing=missing,
            again=again,
            accounts=tuple(sorted(plan.affected)),
        )
        for writer in sorted(lost - {own}):
            head = heads.get(writer, Head())
            other = replace(self._equipment, writer=writer)
            adding = Appending(other, self._connection, _behind(head, plan.seen.get(writer, 0)))
            record = replace(said, after_seq=head.seq)
            adding.add(record, self._now, account_id=None, tenant_id=None, personal=None)
            adding.end()
        head = heads.get(own, Head())
        txn = self.txn(_behind(head, plan.seen.get(own, 0)) if own in lost else head)
        txn.append(said, account_id=None, tenant_id=None)
        for told in plan.again:
            self._again(txn, told)
        for account_id in sorted(plan.affected):
            self._have_looked_at(txn, account_id, said.restore_id)
        self._end(txn)
        self.done.missing = missing

    def erase(self, subject_ids: Iterable[str], *, on_record: bool) -> None:
        """Destroy again the keys of subjects that somebody names as erased."""
        txn = self.txn()
        for subject_id in subject_ids:
            txn.destroy_subject(subject_id)
            if on_record:
                erased = r.SubjectErased(at=self._now, subject_id=subject_id)
                txn.append(erased, account_id=None, tenant_id=None)
            self.done.erased.append(subject_id)
        self._end(txn)

    def settle_notices(self, *, is_complete: bool) -> None:
        """Take out of the outbox what had been sent, and promise what nobody has.

        Args:
            is_complete: no row is missing, so that a notice without its row did not go out.
        """
        txn = self.txn()
        sent = [record for record, _ in self._records if isinstance(record, r.NoticeSent)]
        gone = {record.notice_id for record in sent}
        for item, _, _ in txn.outbox.pending():
            if self._customs.notice_of(item) in gone:
                txn.outbox.remove(item.item_id)
                self.done.sent += 1
        told = {(incident_id, word) for x in sent for incident_id in x.incident_ids for word in _words(x)}
        for record, row in self._records:
            word = _calls_for(record)
            incident_id = str(getattr(record, "incident_id", ""))
            if word is None or row.account_id is None or (incident_id, word) in told:
                continue
            if not is_complete:
                self.done.unsure.append(incident_id)
            elif self._customs.promise(txn, record, str(row.account_id), _text(row.tenant_id)):
                self.done.promised += 1
        self._end(txn)

    def _end(self, txn: Txn) -> None:
        txn.appending.end()
        self.entries += txn.appending.entries
        self._equipment.keep()

    def _again(self, txn: Txn, told: Told) -> None:
        record = told.record
        if record is None:
            return
        txn.append(record, account_id=_text(told.row.account_id), tenant_id=_text(told.row.tenant_id))
        self._follow_up(txn, record, told)
        self.done.again += 1

    def _have_looked_at(self, txn: Txn, account_id: str, restore_id: str) -> None:
        """Open a task: somebody looks at the account. It is no incident of its own, and of no other one."""
        account = txn.account(account_id)
        task = r.TaskOpened(
            at=self._now,
            task_id=derived_id("w", restore_id, account_id),
            incident_id=derived_id("i", restore_id, account_id),
            account_id=account_id,
            what="restored: see what is missing (ops/docs/BACKUP.md)",
            warranted="none",
            imposed="none",
            due_at=self._now + _REVIEW_WITHIN,
        )
        txn.append(task, account_id=account_id, tenant_id=account.tenant_id if account is not None else None)

    def _follow_up(self, txn: Txn, record: r.Record, told: Told) -> None:
        """Do what was done beside the row when it was first written."""
        self._records.append((record, told.row))
        match record:
            case r.ViolationRecorded():
                account_id = str(told.row.account_id)
                txn.mark_deliveries(account_id, record.incident_id, record.delivery_keys, record.at)
                self._find_evidence(txn, account_id, record)
            case r.TenantOpened() | r.TenantChanged():
                _keep_tenant(txn, record)
            case r.AccountOpened() | r.AccountChanged() | r.AccountRetired():
                _keep_account(txn, record)
            case r.SubjectErased():
                txn.destroy_subject(record.subject_id)
                self.done.erased.append(record.subject_id)
            case r.PersonAdded():
                self.done.people.append(f"{record.person} ({record.role})")
            case r.HeldMailMoved() if HeldState(record.state).is_end:
                # What was on its way is held again: the promise to carry it is not in the backup.
                item = QUARANTINE.c.item_id == record.item_id
                moved = update(QUARANTINE).where(item).values(state=record.state, settled_at=record.at)
                self._connection.execute(moved)
            case _:
                pass

    def _find_evidence(self, txn: Txn, account_id: str, record: r.ViolationRecorded) -> None:
        if record.evidence_digest is None or evidence.row_of(self._connection, record.transaction_id) is not None:
            return
        keys = self._equipment.keys
        address = address_of(keys.pseudonym, record.evidence_digest, account_id)
        key = self._equipment.subjects.find(self._connection, account_id)
        if key is None or self._equipment.vault.sealed(self._connection, address) is None:
            self.done.lost_evidence.append(record.transaction_id)
            return
        # Its strike may have made it longer; the later row of a strike does so again.
        evidence.note(
            self._connection,
            transaction_id=record.transaction_id,
            account_id=account_id,
            digest=record.evidence_digest,
            address=address,
            kept=Kept.FULL,
            now=self._now,
            retention_until=self._until(txn, account_id, record),
        )

    def _until(self, txn: Txn, account_id: str, violation: r.ViolationRecorded) -> datetime:
        strikes = [x for x in txn.records(account_id) if isinstance(x, r.StrikeIssued)]
        strikes += [x for x, _ in self._records if isinstance(x, r.StrikeIssued)]
        mine = [x.expires_at for x in strikes if x.incident_id == violation.incident_id]
        return max(mine, default=violation.at + timedelta(days=365)) + self._customs.evidence_after


def _text(column: Column) -> str | None:
    return None if column is None else str(column)


def _behind(head: Head, seen_seq: int) -> Head:
    """Say the end of a chain as if all numbers that may have been in use were."""
    last = max(head.seq, seen_seq) + _MARGIN
    return replace(head, seq=last // _EPOCH * _EPOCH + _EPOCH - 1)


def _ranges(places: Iterable[tuple[str, int]]) -> tuple[r.RowRange, ...]:
    found: list[r.RowRange] = []
    for writer, seq in sorted(places):
        if found and found[-1].writer == writer and found[-1].last == seq - 1:
            found[-1] = replace(found[-1], last=seq)
        else:
            found.append(r.RowRange(writer=writer, first=seq, last=seq))
    return tuple(found)


def _words(record: r.NoticeSent) -> set[str]:
    """Say which of our kinds of notice one was: its templates say so, joined."""
    kinds = set()
    for template in record.template.split("+"):
        match template:
            case "warning" | "restriction" | "suspension":
                kinds.add("sanction")
            case _:
                kinds.add(template)
    return kinds


def _calls_for(record: r.Record) -> str | None:
    """Say which kind of notice a record calls for, None for none."""
    match record:
        case r.SanctionImposed():
            return "sanction"
        case r.HoldPlaced():
            return "hold"
        case r.StrikeAnnulled():
            return "annulled"
        case r.ObjectionFiled():
            return "objection_received"
        case _:
            return None


def _keep_tenant(txn: Txn, record: r.TenantOpened | r.TenantChanged) -> None:
    """Have the directory know of a tenant what a row says. Names and contacts are not among it."""
    tenant = txn.tenant(record.tenant_id)
    match record:
        case r.TenantOpened() if tenant is None:
            tenant = Tenant(
                tenant_id=record.tenant_id,
                name="",
                agreement=record.agreement,
                domains=_free(txn, record.domains, record.tenant_id),
                supplement=record.supplement,
            )
            txn.put_tenant(tenant)
        case r.TenantChanged() if tenant is not None:
            said = {name: getattr(record, name) for name in record.fields if hasattr(record, name)}
            if "agreement" in said and said["agreement"] is None:
                del said["agreement"]
            if "domains" in said:
                said["domains"] = _free(txn, record.domains, record.tenant_id)
            txn.put_tenant(replace(tenant, **said))
        case _:
            pass


def _free(txn: Txn, domains: tuple[str, ...], tenant_id: str) -> tuple[str, ...]:
    """Leave out domains that the restored directory knows to be another tenant's."""
    owners = {domain: txn.tenant_of_domain(domain) for domain in domains}
    return tuple(x for x in domains if (owner := owners[x]) is None or owner.tenant_id == tenant_id)


def _is_destroyed(txn: Txn, subject_id: str) -> bool:
    gone = SUBJECT_KEY.c.wrapped.is_(None) & (SUBJECT_KEY.c.subject_id == subject_id)
    return txn.connection.execute(select(SUBJECT_KEY.c.subject_id).where(gone)).first() is not None


def _keep_account(txn: Txn, record: r.AccountOpened | r.AccountChanged | r.AccountRetired) -> None:
    """Have the directory know of an account what a row says. Of a new one it is not the login: its id stands there."""
    account = txn.account(record.account_id)
    if account is None:
        is_new = isinstance(record, r.AccountOpened) and txn.tenant(record.tenant_id) is not None
        if is_new and not _is_destroyed(txn, record.account_id):
            account = Account(account_id=record.account_id, tenant_id=record.tenant_id, login=record.account_id)
            txn.put_account(account)
        return
    match record:
        case r.AccountChanged():
            said = {name: getattr(record, name) for name in record.fields if name in ("language", "expires_on")}
            txn.put_account(replace(account, tenant_id=record.tenant_id, **said))
        case r.AccountRetired():
            txn.put_account(replace(account, retired_at=record.at))
        case _:
            pass
