"""The one open transaction, as a plain function sees it.  ports.LedgerTxn, and a few queries more.

`now` is the injected clock, read once a function; when that was set back, `now` goes back with it, while `written_at`
of a row is never before the row before it: order is the chain's, and no sanction waits for a clock that ran ahead.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from datetime import date, datetime
from typing import Any

from sqlalchemy import Connection

from filterd.errors import RefusedError, UsageError
from filterd.ledger import acquaintances, deliveries, entries, evidence, people, quarantine, references, volumes
from filterd.ledger.appending import Appending
from filterd.ledger.chain import Head
from filterd.ledger.directory import Directory
from filterd.ledger.equipment import Equipment
from filterd.ledger.outbox import Outbox
from filterd.ledger.vault import Staged
from filterd.model.about import EVERYTHING, About
from filterd.model.entry import Entry
from filterd.model.evidence import WHOLE, Evidence, Portion
from filterd.model.held import NO_FACTS, HeldMail, HeldState, HoldFacts, HoldRequest, QueueCopy
from filterd.model.ids import keyed_hash
from filterd.model.principal import Account, Tenant
from filterd.model.records import Record, SubjectErased
from filterd.model.session import Envelope
from filterd.model.standing import History
from filterd.ports import AccountRef


class Txn:
    """One function's view of the store; good only while that function runs."""

    def __init__(
        self, equipment: Equipment, connection: Connection, now: datetime, head: Head, about: About = EVERYTHING
    ):
        self.now = now
        self.equipment = equipment
        self.appending = Appending(equipment, connection, head)
        self._directory = Directory(connection, equipment.subjects, equipment.keys.pseudonym)
        self.staged: list[Staged] = []
        self.after_commit: list[Callable[[], None]] = []
        self._connection: Connection | None = connection
        self._about = about
        self.is_directory_old = False
        self.is_uncounted = False
        # Subjects that this function has brought into being: nobody else can know them yet.
        self._own: set[str] = set()

    @property
    def connection(self) -> Connection:
        """The connection, with every row added so far written. Raises UsageError when the function has ended."""
        connection = self._open()
        self.appending.write()
        return connection

    @property
    def outbox(self) -> Outbox:
        return Outbox(self._open(), self.equipment.outbox_key)

    @property
    def directory(self) -> Directory:
        self._open()
        return self._directory

    @property
    def has_directory_changed(self) -> bool:
        return self._directory.has_changed

    def _open(self) -> Connection:
        """The connection for what does not look at rows."""
        if self._connection is None:
            raise UsageError("this ledger transaction is over")
        return self._connection

    def end(self) -> None:
        self._connection = None

    def stay_uncounted(self) -> None:
        """Have no metric count this transaction."""
        self.is_uncounted = True

    # --- records ----------------------------------------------------------------------------------------------------

    def history(self, account_id: str) -> History:
        connection = self._open()
        self.equipment.freshen(connection, (account_id,))
        return self.equipment.histories.find(connection, account_id)

    def reread(self, account_ids: Iterable[str], *, directory: bool) -> None:
        """Take in what another node has said it changed; who follows these accounts is told when this is over."""
        for account_id in account_ids:
            if self.equipment.histories.is_followed(account_id):
                self.equipment.freshen(self._open(), (account_id,))
                self.equipment.histories.tell_anew(self._open(), account_id)
        self.is_directory_old |= directory

    def append(
        self,
        record: Record,
        *,
        account_id: str | None,
        tenant_id: str | None,
        personal: Mapping[str, str] | None = None,
    ) -> Entry:
        """Add a row. `personal` is sealed under the account's key, or the tenant's where there is no account.

        Personal fields of an erased subject are not kept. Raises UsageError for personal fields about nobody, and for a
        subject that this function has not said it is about.
        """
        self._open()
        self._must_cover(account_id or tenant_id)
        entry = self.appending.add(record, self.now, account_id=account_id, tenant_id=tenant_id, personal=personal)
        for work in self.equipment.follow_up(record, account_id, tenant_id):
            self.post(work.topic, work.payload, due_at=work.due_at or self.now, merge_key=work.merge_key)
        return entry

    def records(self, account_id: str) -> tuple[Record, ...]:
        return tuple(self.equipment.histories.records(self.connection, account_id))

    def account_of(self, id_prefix: str) -> str | None:
        return references.quoted_owner(self.connection, id_prefix)

    def auto_created_since(self, at: datetime) -> int:
        return references.auto_created_since(self.connection, at)

    def accounts_in_use(self, tenant_id: str) -> tuple[int, int]:
        return references.accounts_in_use(self.connection, tenant_id)

    def opened_at(self, account_id: str) -> datetime | None:
        return references.opened_at(self.connection, account_id)

    def daily_external(self, subject_id: str, days: int) -> tuple[int, ...]:
        return volumes.daily_recipients(self._open(), volumes.outside(subject_id), self.now, days)

    def note_senders(self, rows: Iterable[tuple[str, str, date]]) -> None:
        acquaintances.note(self._open(), rows, self.now.date())

    def known_senders(self, tenant_id: str, senders: Collection[str], since: date) -> frozenset[str]:
        return acquaintances.known(self._open(), tenant_id, senders, since)

    def opened_entries(self, account_id: str) -> tuple[entries.OpenedEntry, ...]:
        """Say all rows of an account, oldest first, decoded, with personal fields in clear."""
        return self._opened(entries.of_account(self.connection, account_id))

    def recent_entries(self, limit: int) -> tuple[entries.OpenedEntry, ...]:
        """Say the latest rows of anybody, newest first, decoded, with personal fields in clear."""
        return self._opened(entries.recent(self.connection, limit))

    def _opened(self, found: Iterable[Entry]) -> tuple[entries.OpenedEntry, ...]:
        return tuple(entries.opened(self.connection, self.equipment.subjects, entry) for entry in found)

    # --- what has been counted, and what is promised ----------------------------------------------------------------

    def new_deliveries(self, account_id: str, incident_id: str | None, keys: Iterable[str]) -> tuple[str, ...]:
        """Say which keys were never marked for this account, in any incident; `incident_id` changes nothing."""
        return deliveries.unseen(self._open(), account_id, keys)

    def mark_deliveries(self, account_id: str, incident_id: str, keys: Iterable[str], at: datetime) -> None:
        deliveries.mark(self._open(), account_id, incident_id, keys, at)

    def post(self, topic: str, payload: Mapping[str, Any], *, due_at: datetime, merge_key: str | None = None) -> str:
        return self.outbox.post(topic, payload, now=self.now, due_at=due_at, merge_key=merge_key)

    def count_posted(self, topic: str, merge_prefix: str) -> int:
        """Say how many items of a topic are not done yet whose `merge_key` begins so."""
        return self.outbox.count(topic, merge_prefix)

    # --- evidence ---------------------------------------------------------------------------------------------------

    def promote_evidence(
        self, transaction_id: str, account_id: str, retention_until: datetime, portion: Portion = WHOLE
    ) -> str | None:
        """Move a portion of a spooled mail into the vault, on disk before this transaction is; say the mail's SHA-256.

        None when there is no spool, nothing is to be kept, or the account is erased. Doing it twice keeps it for the
        longer of both times.
        """
        return evidence.promote(self, transaction_id, account_id, retention_until, portion)

    def evidence_of(self, account_id: str) -> tuple[Evidence, ...]:
        """Say what is kept of an account's mail, the oldest first."""
        return evidence.of_account(self._open(), account_id)

    def locked_cases(self, limit: int | None = None, offset: int = 0) -> tuple[Evidence, ...]:
        """Say the sealed cases of locked categories, of all accounts, the oldest first."""
        return evidence.locked_cases(self._open(), limit, offset)

    def locked_case(self, case_id: str) -> Evidence | None:
        """Say one sealed case by its id."""
        return evidence.locked_case(self._open(), case_id)

    def count_locked_cases(self, account_id: str, since: datetime) -> int:
        """Say how many cases of an account were sealed since then."""
        return evidence.count_locked_cases(self._open(), account_id, since)

    def keep_until(self, kept_as: str, at: datetime) -> None:
        """Keep what is kept under a name until then, be that later or sooner than before."""
        evidence.end(self._open(), kept_as, at)

    def read_evidence(self, transaction_id: str) -> bytes | None:
        """Say the octets that are kept of a transaction, None where there are none. Raises PortError when altered."""
        return evidence.read(self, transaction_id)

    def hold_mail(
        self,
        transaction_id: str,
        account_id: str,
        tenant_id: str | None,
        reason: str,
        envelope: Envelope,
        due_at: datetime,
        facts: HoldFacts = NO_FACTS,
        request: HoldRequest | None = None,
        part: int = 0,
    ) -> str:
        """Take a spooled mail into quarantine, whole, on disk before this transaction is; say the item's id.

        Doing it twice is harmless. `part`: which of several items of one mail this is.

        Raises PortError when there is no spool, UsageError for an erased account.
        """
        return quarantine.hold(
            self,
            transaction_id=transaction_id,
            account_id=account_id,
            tenant_id=tenant_id,
            reason=reason,
            envelope=envelope,
            due_at=due_at,
            facts=facts,
            request=request,
            part=part,
        )

    def move_held(self, item_id: str, before: HeldState, after: HeldState, *, by: str, reason: str) -> HeldMail:
        """Take a held mail from one state to the next, with its row; say what it was. Released, it is in the outbox.

        Raises RefusedError when it is not in `before` any more, UsageError when there is no such item or step.
        """
        return quarantine.move(self, item_id, before, after, by=by, reason=reason)

    def held_mail(self, item_id: str) -> HeldMail | None:
        return quarantine.find(self._open(), item_id)

    def held_mails(
        self,
        states: Collection[HeldState],
        *,
        due_before: datetime | None = None,
        limit: int | None = None,
        account_id: str | None = None,
        is_for_person: bool = False,
    ) -> tuple[HeldMail, ...]:
        """Say the held mails in these states, the first due first."""
        wanted: dict[str, Any] = {"due_before": due_before, "limit": limit, "account_id": account_id}
        return quarantine.items(self._open(), states, **wanted, is_for_person=is_for_person)

    def held_alike(
        self,
        account_id: str,
        *,
        message_key: str = "",
        campaign: str = "",
        incident_id: str = "",
        is_for_person: bool = False,
    ) -> tuple[HeldMail, ...]:
        """Say an account's held mails of the same message, campaign or incident, the oldest first."""
        wanted = {"message_key": message_key, "campaign": campaign, "incident_id": incident_id}
        return quarantine.alike(self._open(), account_id, wanted, is_for_person=is_for_person)

    def holders(self, after: str = "", limit: int = 1000) -> tuple[str, ...]:
        """Say the accounts, by id and after `after`, that have something held."""
        return quarantine.holders(self._open(), after, limit)

    def oldest_held(self) -> datetime | None:
        return quarantine.oldest(self._open())

    def held_request(self, item_id: str) -> HoldRequest | None:
        """Say how a held mail came, None when it or its subject is gone. Raises PortError when altered."""
        return quarantine.read_request(self, item_id)

    def note_copies(self, item_id: str, copies: tuple[QueueCopy, ...], *, is_letting_go: bool = False) -> None:
        """Say anew which copies of a held mail the MTA has; nothing for one whose subject is erased."""
        quarantine.note_copies(self, item_id, copies, is_letting_go=is_letting_go)

    def held_counts(self) -> dict[HeldState, int]:
        """Say how many held mails are in each state."""
        return quarantine.counts(self._open())

    def read_held(self, item_id: str) -> tuple[Envelope, bytes] | None:
        """Say the envelope and the octets of a held mail, None when it or its subject is gone. Raises PortError."""
        return quarantine.read(self, item_id)

    def erase_subject(self, account_id: str, *, is_last: bool = False) -> bool:
        """Destroy what can be read of an account (or tenant), and put that on record; say whether it had a key.

        What it has in quarantine is on record as deleted. Raises RefusedError under a legal hold, unless `is_last`: the
        last day of a site that was closed down.
        """
        if not is_last and evidence.freeze_of(self.connection, account_id).holds:
            raise RefusedError(f"{account_id} is under legal hold; end that first: filterd evidence release")
        quarantine.close_all(self, account_id)
        had_key = self.destroy_subject(account_id, is_last=is_last)
        self.append(SubjectErased(at=self.now, subject_id=account_id), account_id=None, tenant_id=None)
        return had_key

    def destroy_subject(self, account_id: str, *, is_last: bool = False) -> bool:
        """Destroy an account's (or tenant's) key and its line in the directory; say whether it had a key.

        Its rows stay and verify; what was personal in them, and its evidence, can never be read again. Whom it wrote to
        and how much is forgotten, except what the counters still hold in memory.
        """
        quarantine.forget(self._open(), account_id)
        evidence.forget(self._open(), account_id)
        volumes.forget(self._open(), account_id)
        acquaintances.forget(self._open(), account_id)
        self.directory.forget(account_id, is_last=is_last)
        self._must_cover(account_id)
        self.equipment.heads.touch(self._open(), account_id, self.now)
        return self.equipment.subjects.destroy(self._open(), account_id, self.now)

    # --- the directory ----------------------------------------------------------------------------------------------

    def find_account(self, login: str) -> AccountRef | None:
        return self.directory.find_account(login)

    def account(self, account_id: str) -> Account | None:
        return self.directory.account(account_id)

    def account_with_login(self, login: str) -> Account | None:
        return self.directory.account_with_login(login)

    def account_by_external(self, external_id: str) -> Account | None:
        return self.directory.account_by_external(external_id)

    def note_refreshed(self, account_id: str) -> None:
        self.directory.note_refreshed(account_id, self.now)

    def tenant_by_external(self, external_id: str) -> Tenant | None:
        return self.directory.tenant_by_external(external_id)

    def accounts(self, after: str = "", limit: int | None = None) -> tuple[Account, ...]:
        """Say the accounts whose ids come after `after`, by id; `limit` None: all."""
        return self.directory.accounts(after, limit)

    def bearing(self, *prefixes: str) -> tuple[str, ...]:
        """Say the subjects, by id, that ever had anything whose id begins so."""
        return references.bearing(self._open(), prefixes)

    def clocked(self, after: str = "", limit: int | None = None) -> tuple[str, ...]:
        """Say the accounts for which time may do something, by id."""
        return references.clocked(self.connection, after, limit)

    def tenant(self, tenant_id: str) -> Tenant | None:
        return self.directory.tenant(tenant_id)

    def tenants(self) -> tuple[Tenant, ...]:
        return self.directory.tenants()

    def tenant_of_domain(self, domain: str) -> Tenant | None:
        return self.directory.tenant_of_domain(domain)

    def put_tenant(self, tenant: Tenant) -> bool:
        self._adopt(tenant.tenant_id, is_new=self.directory.tenant(tenant.tenant_id) is None)
        return self.directory.put_tenant(tenant)

    def put_account(self, account: Account) -> bool:
        self._adopt(account.account_id, is_new=self.directory.account(account.account_id) is None)
        return self.directory.put_account(account)

    def _adopt(self, subject_id: str, *, is_new: bool) -> None:
        # Only who has locked names may bring something into being under one.
        if is_new and self._about.names:
            self._own.add(subject_id)
        self._must_cover(subject_id)

    def _must_cover(self, subject_id: str | None) -> None:
        if self._about.is_everything or subject_id in self._own:
            return
        if subject_id is None or not self._about.covers(subject_id):
            raise UsageError(f"a ledger function writes about {subject_id or 'everybody'} and has not locked that")

    def pseudonym(self, address: str) -> str:
        return keyed_hash(self.equipment.keys.pseudonym, address.lower())

    def person(self, token: str) -> tuple[str, str] | None:
        return people.person(self._open(), self.equipment.keys.token, token)

    def put_person(self, name: str, role: str, token: str) -> None:
        people.put_person(self._open(), self.equipment.keys.token, name, role, token)

    def people(self) -> tuple[tuple[str, str], ...]:
        """Say (name, role) of everybody who may act."""
        return people.people(self._open())
