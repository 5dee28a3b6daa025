"""The one open transaction, as a plain function sees it.  ports.LedgerTxn, and a few queries more.

`now` is the injected clock, read once a function; when that was set back, `now` goes back with it, while `written_at`
of a row is never before the row before it: order is the chain's, and no sanction waits for a clock that ran ahead.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import Connection

from filterd.errors import UsageError
from filterd.ledger import deliveries, entries, evidence, people, references, volumes
from filterd.ledger.appending import Appending
from filterd.ledger.chain import Head
from filterd.ledger.directory import Directory
from filterd.ledger.equipment import Equipment
from filterd.ledger.outbox import Outbox
from filterd.ledger.vault import Staged
from filterd.model.entry import Entry
from filterd.model.ids import keyed_hash
from filterd.model.principal import Account, Tenant
from filterd.model.records import Record
from filterd.model.standing import History
from filterd.ports import AccountRef


class Txn:
    """One function's view of the store; good only while that function runs."""

    def __init__(self, equipment: Equipment, connection: Connection, now: datetime, head: Head):
        self.now = now
        self.equipment = equipment
        self.appending = Appending(equipment, connection, head)
        self._directory = Directory(connection, equipment.subjects, equipment.keys.pseudonym)
        self.staged: list[Staged] = []
        self.after_commit: list[Callable[[], None]] = []
        self._connection: Connection | None = connection

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

    # --- records ----------------------------------------------------------------------------------------------------

    def history(self, account_id: str) -> History:
        return self.equipment.histories.find(self._open(), account_id)

    def append(
        self,
        record: Record,
        *,
        account_id: str | None,
        tenant_id: str | None,
        personal: Mapping[str, str] | None = None,
    ) -> Entry:
        """Add a row. `personal` is sealed under the account's key, or the tenant's where there is no account.

        Personal fields of an erased subject are not kept. Raises UsageError for personal fields about nobody.
        """
        self._open()
        return self.appending.add(record, self.now, account_id=account_id, tenant_id=tenant_id, personal=personal)

    def records(self, account_id: str) -> tuple[Record, ...]:
        return tuple(self.equipment.histories.records(self.connection, account_id))

    def account_of(self, id_prefix: str) -> str | None:
        return references.quoted_owner(self.connection, id_prefix)

    def auto_created_since(self, at: datetime) -> int:
        return references.auto_created_since(self.connection, at)

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

    # --- evidence ---------------------------------------------------------------------------------------------------

    def promote_evidence(self, transaction_id: str, account_id: str, retention_until: datetime) -> str | None:
        """Move a spooled mail into the vault, on disk before this transaction is; say its SHA-256.

        None when there is no spool, or the account is erased. Doing it twice keeps it for the longer of both times.
        """
        known = evidence.kept_digest(self._open(), transaction_id)
        if known is not None:
            evidence.extend(self._open(), transaction_id, retention_until)
            return known
        raw = self.equipment.spool.read(transaction_id)
        key = None if raw is None else self.equipment.subjects.find_or_make(self._open(), account_id)
        if raw is None or key is None:
            return None
        vault = self.equipment.vault
        digest, staged = vault.stage(raw, account_id, key)
        if staged is not None:
            self.staged.append(staged)
        evidence.note(
            self._open(),
            transaction_id=transaction_id,
            account_id=account_id,
            digest=digest,
            address=vault.address(digest, account_id),
            now=self.now,
            retention_until=retention_until,
        )
        self.after_commit.append(lambda: self.equipment.spool.discard(transaction_id))
        return digest

    def erase_subject(self, account_id: str) -> bool:
        """Destroy an account's (or tenant's) key and its line in the directory; say whether it had a key.

        Its rows stay and verify; what was personal in them, and its evidence, can never be read again. Whom it wrote to
        and how much is forgotten, except what the counters still hold in memory.
        """
        evidence.forget(self._open(), account_id)
        volumes.forget(self._open(), account_id)
        self.directory.forget(account_id)
        return self.equipment.subjects.destroy(self._open(), account_id, self.now)

    # --- the directory ----------------------------------------------------------------------------------------------

    def find_account(self, login: str) -> AccountRef | None:
        return self.directory.find_account(login)

    def account(self, account_id: str) -> Account | None:
        return self.directory.account(account_id)

    def accounts(self, after: str = "", limit: int | None = None) -> tuple[Account, ...]:
        """Say the accounts whose ids come after `after`, by id; `limit` None: all."""
        return self.directory.accounts(after, limit)

    def tenant(self, tenant_id: str) -> Tenant | None:
        return self.directory.tenant(tenant_id)

    def tenants(self) -> tuple[Tenant, ...]:
        return self.directory.tenants()

    def tenant_of_domain(self, domain: str) -> Tenant | None:
        return self.directory.tenant_of_domain(domain)

    def put_tenant(self, tenant: Tenant) -> bool:
        return self.directory.put_tenant(tenant)

    def put_account(self, account: Account) -> bool:
        return self.directory.put_account(account)

    def pseudonym(self, address: str) -> str:
        return keyed_hash(self.equipment.keys.pseudonym, address.lower())

    def person(self, token: str) -> tuple[str, str] | None:
        return people.person(self._open(), self.equipment.keys.token, token)

    def put_person(self, name: str, role: str, token: str) -> None:
        people.put_person(self._open(), self.equipment.keys.token, name, role, token)

    def people(self) -> tuple[tuple[str, str], ...]:
        """Say (name, role) of everybody who may act."""
        return people.people(self._open())
