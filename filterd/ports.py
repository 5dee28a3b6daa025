"""What the rooms need from outside, as small Protocols. `app` plugs real ones in, tests those of tests/kit."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, Protocol

from filterd.model.decision import Case, Counts, Decision
from filterd.model.directory import DirectoryFacts
from filterd.model.entry import Entry
from filterd.model.evidence import WHOLE, Evidence, Portion
from filterd.model.found import FoundMail, IndexStatus, JudgedMail, MailAnswer, MailQuery, StreamPosition
from filterd.model.held import NO_FACTS, HeldMail, HeldState, HoldFacts, HoldRequest, InboundHold, QueueCopy
from filterd.model.principal import Account, Supplement, Tenant
from filterd.model.records import Record
from filterd.model.reply import Reply
from filterd.model.session import Envelope, ForwardPath, Path, Session
from filterd.model.standing import History


class Clock(Protocol):
    """The wall clock. Durations inside a process are measured on the monotonic clock, not here."""

    def now(self) -> datetime:
        """Say the instant, aware, UTC."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class ScanAnswer:
    """What a virus scanner said. `signature` None: nothing found. `version`: engine and signature database."""

    signature: str | None
    version: str


class Scanner(Protocol):
    """A virus scanner. Anything but a clear answer raises PortError: silence is never clean (FAULTS 7-10)."""

    async def scan(self, data: bytes) -> ScanAnswer: ...

    async def ping(self) -> str:
        """Say the scanner's version, or raise PortError."""
        ...


# --- DNS --------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class DnsAnswer:
    """What DNS says of one name and type.

    Args:
        records: A, AAAA, PTR, CNAME, NS: text without a trailing dot. MX: (preference, host). TXT: the character
            strings of one record as octets, not yet joined. Empty: there are none.
        exists: False for NXDOMAIN; True with no records is NODATA.
    """

    records: tuple[Any, ...] = ()
    exists: bool = True


# Name, type, and what came: the records as text, or a word for why there are none (`nodata`, `nxdomain`, `servfail` …).
# Of TXT the strings of a record joined, its octets as Latin-1, what is not printable ASCII escaped as in Python; of MX
# preference, blank, host.
Asked = tuple[str, str, str | tuple[str, ...]]


class Lookups(Protocol):
    """The DNS questions of one message: they share a budget and a deadline, and the resolver's cache."""

    async def query(self, name: str, rdtype: str) -> DnsAnswer:
        """Ask. Raises PortError(temporary=True) when there is no answer in time, and DnsBudgetSpent when this message
        has asked too much."""
        ...

    def known(self, name: str, rdtype: str) -> DnsAnswer | None:
        """Say the answer if it takes no waiting, else None; it counts as asked. Raises what `query` raises."""
        ...

    @property
    def asked(self) -> tuple[Asked, ...]:
        """Say what was asked and what came, for the log (HOUSE rule 15)."""
        ...


class Resolver(Protocol):
    """The one DNS resolver, with a positive and a negative cache."""

    def for_message(self) -> Lookups: ...


# --- the next hop -----------------------------------------------------------------------------------------------------


class RelaySession(Protocol):
    """One transaction with the next hop over a leased connection (RFC 5321). A broken connection raises PortError.

    Every method returns the next hop's own reply, untouched; but MAIL with REQUIRETLS is refused with 550 5.7.30 where
    the next hop cannot keep that promise (RFC 8689). `close` hands the connection back (after RSET when a
    transaction is open) or drops it when `is_broken`.
    """

    @property
    def extensions(self) -> Mapping[str, str]:
        """EHLO keywords in upper case with their arguments."""
        ...

    async def speak_for(self, attributes: Mapping[str, str]) -> None:
        """Hand on the client's attributes the next hop offers to take, by XCLIENT where it is configured, else by
        XFORWARD; names in upper case, values not yet xtext. None: the mail is our own."""
        ...

    async def mail(self, reverse_path: Path | None, parameters: tuple[bytes, ...]) -> Reply: ...

    async def rcpt(self, forward: ForwardPath) -> Reply: ...

    async def data(self, raw: bytes, *, within_s: float | None = None) -> tuple[Reply, ...]:
        """Send DATA and the octets (canonical; dot-stuffed here); say the reply after the dot, or to DATA when that is
        a refusal, once for each recipient that was accepted, in their order: in LMTP they may differ.

        Args:
            within_s: whoever asks does not wait longer for it; None: as long as the configuration says.
        """
        ...

    def taken(self, raw: bytes) -> tuple[Reply, ...]:
        """Say what `data` would have said of mail that is taken in the next hop's place: in its words, with an id of
        chance. Nothing is sent."""
        ...

    async def close(self) -> None: ...


class Relay(Protocol):
    """The next hop, with kept-alive connections.

    `answers_each`: behind the dot each recipient is answered by itself (LMTP).
    """

    @property
    def answers_each(self) -> bool: ...

    async def lease(self) -> RelaySession:
        """Get a connection that has said EHLO. Raises PortError when none can be had in time."""
        ...


class Mailer(Protocol):
    """Sends a mail that filterd itself wrote."""

    async def send(self, raw: bytes, recipient: str, reverse_path: str | None = None) -> Reply:
        """Send it. `reverse_path` None is the null one: nothing comes back."""
        ...


# --- doors to pipeline ------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Intake:
    """What a door has read after the dot. `raw` is canonical (mail/lines); `is_normalised`: stray CR/LF were mended.

    `unknown_recipients`: how many RCPT of this transaction the next hop refused for good (5xx).
    `bad_addresses`: how many of these it said do not exist (mail/report.has_no_address).
    `queue_id`: under which the MTA that asks can keep the mail on hold; None: it cannot, or is not to.
    """

    session: Session
    envelope: Envelope
    raw: bytes
    is_normalised: bool = False
    unknown_recipients: int = 0
    bad_addresses: int = 0
    queue_id: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class HeaderEdits:
    """The same edits as `Answer.raw` bears, for a door whose MTA keeps the mail.

    Args:
        added: whole fields with their CRLF, for the top, the first one first.
        removed: name and which of the fields of that name, counted from 1, all as the mail came.
    """

    added: tuple[bytes, ...] = ()
    removed: tuple[tuple[bytes, int], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What the door must do: relay `raw` when `reply` is None, otherwise give `reply` and relay nothing.

    `is_plain`: the mail is taken in the next hop's place; the client is to be told, and the gate to hear, what the next
    hop would have said of it.
    A door that has the MTA edit its own copy (milter) finds `edits` in place of `raw`. `hold`: the MTA keeps that copy
    on hold, for this reason.
    """

    transaction_id: str
    reply: Reply | None
    raw: bytes = b""
    edits: HeaderEdits | None = None
    hold: str | None = None
    is_plain: bool = False


class Gate(Protocol):
    """The pipeline as the doors see it. None of these raises for anything mail can do."""

    async def admit_sender(self, session: Session, reverse_path: Path | None) -> Reply | None:
        """Say the refusal for a whole transaction at MAIL, by standing alone, or None when it may begin."""
        ...

    async def admit(
        self, session: Session, reverse_path: Path | None, forward: Path, accepted: int = 0
    ) -> Reply | None:
        """Say the refusal for one recipient by standing alone, or None when it may pass (HOUSE §4 step 0).

        Args:
            accepted: how many recipients of this transaction have passed before it.
        """
        ...

    async def screen(self, session: Session, reverse_path: Path | None, forward: Path) -> Reply | None:
        """Say the refusal for one recipient by the operator's lists, where no login is known that answers for it."""
        ...

    async def enforce(self, intake: Intake) -> Answer:
        """Walk one message through the house; durable work is done when this returns."""
        ...

    async def delivered(self, transaction_id: str, reply: Reply, refused_recipients: int) -> None:
        """Record what the next hop answered after the dot (event `delivered`, or `refused` for a negative reply)."""
        ...

    async def failed(self, transaction_id: str, reason: str, *, is_unknown: bool) -> None:
        """Record that the relay broke; `is_unknown`: after our dot, so that nobody knows who has the mail."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountState:
    """How an account stands, in a word (doors/socketmap), and what it is told when it may not send."""

    login: str
    state: str
    refusal: Reply | None = None


class AccountStates(Protocol):
    """Says how accounts stand, to whoever asks for no mail in particular."""

    async def account_state(self, login: str) -> AccountState | None:
        """Say the state of the account behind a canonical login or alias, None for nobody's. Raises PortError."""
        ...


# --- the bypass -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class BypassOrder:
    """All mail passes, marked and unjudged, from `since` to `until`. `is_recorded`: the ledger has its row."""

    order_id: str
    since: datetime
    until: datetime
    by: str
    reason: str
    is_recorded: bool


class Bypass(Protocol):
    """Whether such an order is in force."""

    def order(self, now: datetime) -> BypassOrder | None: ...


class BypassStore(Protocol):
    """Where the order lies for every worker to see. Raises ConfigError for what cannot be read or written."""

    def stored(self) -> BypassOrder | None:
        """Say the order, in force or over."""
        ...

    def write(self, order: BypassOrder) -> None: ...

    def end(self) -> None: ...


# --- the search index -------------------------------------------------------------------------------------------------


class VerdictIndex(Protocol):
    """Search over the event streams: made of them, to be thrown away at any time, never asked by the mail path.

    Every method blocks, and raises PortError when the index is away, damaged or of another version.
    """

    def position(self, writer: str) -> StreamPosition | None:
        """Say how far a writer's stream is in here, None for not at all."""
        ...

    def add(
        self,
        writer: str,
        before: StreamPosition | None,
        after: StreamPosition,
        first_seq: int,
        rows: Sequence[JudgedMail | MailAnswer],
    ) -> bool:
        """Put in the rows of the events from `first_seq` to `after.seq`, instead of any it has of these, and move the
        position, in one transaction; False, and nothing done, when the position is not `before`."""
        ...

    def rewind(self, writer: str, last_seq: int) -> None:
        """Forget what stands behind `last_seq`, and the position: the stream will be read again from its beginning."""
        ...

    def find(self, query: MailQuery, transactions: Collection[str] | None = None) -> list[FoundMail]:
        """Say the latest mails that are meant, oldest first; `transactions`: only of these, whatever their queue id."""
        ...

    def expire(self, before: datetime) -> int:
        """Take out what happened before, and say how many rows that were."""
        ...

    def kept_since_us(self) -> int | None:
        """Say before when things were taken out, in microseconds since 1970; None: nothing ever was."""
        ...

    def clear(self) -> None: ...

    def status(self) -> IndexStatus: ...

    def close(self) -> None: ...


# --- effectors --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class QueuedMail:
    """A mail in the MTA's queue. `is_held`: it stays there until somebody releases it."""

    queue_id: str
    is_held: bool
    arrived_at: datetime
    sender: str
    recipients: tuple[str, ...] = ()


class MtaQueue(Protocol):
    """The queue behind us. Raises PortError when it cannot be asked or told."""

    async def mails(self) -> tuple[QueuedMail, ...]:
        """Say all that is in it."""
        ...

    async def change(self, act: str, queue_ids: Iterable[str]) -> None:
        """`hold`, `release` or `delete` these; what is gone meanwhile is passed over."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Revoked:
    """The identity system has revoked what there was. `is_verified`: and says that nothing old works any more."""

    is_verified: bool


class Credentials(Protocol):
    """The operator's identity system."""

    async def revoke(self, request: Mapping[str, str]) -> Revoked:
        """Ask it to revoke all sessions of a login and force a new password; asking again is harmless.

        Raises PortError for anything but a clear yes.
        """
        ...


class MailStore(Protocol):
    """Where the mailboxes of our accounts are."""

    async def take_back(self, request: Mapping[str, str]) -> int:
        """Ask it to move one copy of a mail out of a mailbox into its quarantine; say how many it moved, 0 where there
        is none any more. Asking again is harmless. Raises PortError for anything but a clear yes."""
        ...


class DeliveryLog(Protocol):
    """The mail server's own log."""

    async def recipients(self, queue_ids: Collection[str]) -> Mapping[str, frozenset[str]]:
        """Say to whom each of these mails was delivered, as far as the log still knows. Raises PortError."""
        ...


# --- the operator's directory -----------------------------------------------------------------------------------------


class Pager(Protocol):
    """Calls whoever is on call."""

    async def page(self, request: Mapping[str, str]) -> None:
        """Send one page: ids, codes and instants. Raises PortError where nobody could be called."""
        ...


class DirectorySource(Protocol):
    """Where the operator keeps who has which mailbox. Asked outside every transaction, and never about an address that
    only a mail names."""

    @property
    def name(self) -> str:
        """Say what entries of the ledger call it: `ldap`, `sql`."""
        ...

    async def look_up(self, login: str) -> DirectoryFacts | None:
        """Say what is known of a canonical login; None when there is no such login.

        Raises PortError, temporary when it cannot say anything just now (away, too slow), not temporary when what it
        says of this login is unclear: two people, an id that cannot be read.
        """
        ...

    async def ping(self) -> str:
        """Say who answers. Raises PortError."""
        ...

    async def close(self) -> None: ...


# --- the ledger -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountRef:
    """What the directory says of a login, enough for the mail path.

    `domains_declared`: the tenant's domains were imported, so that they are known to be all. `supplement`: the tenant's
    record of a signed supplement, in force or not. `seats`, `plan`, `tenant_expires_on`: the tenant's; `expires_on`:
    the account's own. `refreshed_at`: when the operator's directory last said so, None: never. `keep_s`: for how long a
    copy is good; None: until the directory says that something changed.
    """

    account_id: str
    tenant_id: str
    login: str
    agreement: str
    language: str | None
    tenant_domains: tuple[str, ...]
    domains_declared: bool = False
    supplement: Supplement | None = None
    seats: int | None = None
    plan: str | None = None
    expires_on: date | None = None
    tenant_expires_on: date | None = None
    refreshed_at: datetime | None = None
    keep_s: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CountRequest:
    """One submission to count. Recipients counted before (same delivery key) in the window are not counted again.

    `is_external` says of each delivery key whether its recipient is outside the organisation (empty: none is);
    `keeps_external`: the account is kept to a number of those, so that its own are counted as well as its tenant's.
    `unknown` are recipients the next hop refused as not existing. Hashes are keyed pseudonyms, and so is `client_id`,
    the client's address; None: nobody says which that is, or it says nothing of who sends. `text` is the fingerprint of
    the text in 16 hex digits, veiled for the account; near-equal texts have near-equal bits; empty: it has none. Who
    wrote to the tenant since the day `wrote_since` is answered, no stranger to any text; None: nobody is asked.
    """

    account_id: str
    at: datetime
    evidence_key: str
    delivery_keys: tuple[str, ...]
    recipient_hashes: tuple[str, ...]
    unknown: int = 0
    tenant_id: str | None = None
    client_id: str | None = None
    is_external: tuple[bool, ...] = ()
    keeps_external: bool = False
    text: str = ""
    wrote_since: date | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class OutboxItem:
    """Work promised in a transaction and not yet done. `payload` is JSON-safe."""

    item_id: str
    topic: str
    payload: dict[str, Any]
    attempts: int
    created_at: datetime


class OpenedRow(Protocol):
    """A row of the ledger; `personal` None: its subject's key is destroyed."""

    @property
    def record(self) -> Record: ...

    @property
    def personal(self) -> Mapping[str, str] | None: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Promise:
    """Work for the outbox that follows from a record by itself. `due_at` None: at once."""

    topic: str
    payload: Mapping[str, Any]
    merge_key: str | None = None
    due_at: datetime | None = None


# Says what follows from a record about an account of a tenant: (record, account_id, tenant_id).
FollowUp = Callable[[Record, str | None, str | None], Iterable[Promise]]


class LedgerTxn(Protocol):
    """The one open transaction, inside the writer thread. No await, no other clock, nothing outside the store.

    Everything here is undone together when the function that uses it raises.
    """

    now: datetime

    def history(self, account_id: str) -> History: ...

    def records(self, account_id: str) -> tuple[Record, ...]:
        """Say every record about an account, in the order written: what a replay starts from."""
        ...

    def opened_entries(self, account_id: str) -> Iterable[OpenedRow]:
        """Say all rows of an account, oldest first, with their personal fields in clear."""
        ...

    def new_deliveries(self, account_id: str, incident_id: str | None, keys: Iterable[str]) -> tuple[str, ...]:
        """Say which delivery keys were never counted for this account, in order, without marking them."""
        ...

    def mark_deliveries(self, account_id: str, incident_id: str, keys: Iterable[str], at: datetime) -> None: ...

    def append(
        self,
        record: Record,
        *,
        account_id: str | None,
        tenant_id: str | None,
        personal: Mapping[str, str] | None = None,
    ) -> Entry:
        """Add a row. `personal` is sealed under the account's key."""
        ...

    def post(self, topic: str, payload: Mapping[str, Any], *, due_at: datetime, merge_key: str | None = None) -> str:
        """Put work into the outbox. With a `merge_key`, a pending item with the same key and topic takes the payload's
        lists in (union) instead and keeps its own due time; says the item's id."""
        ...

    def count_posted(self, topic: str, merge_prefix: str) -> int:
        """Say how many items of a topic are not done yet whose `merge_key` begins so."""
        ...

    def promote_evidence(
        self, transaction_id: str, account_id: str, retention_until: datetime, portion: Portion = WHOLE
    ) -> str | None:
        """Move a portion of the sealed spool of a transaction into the vault under the subject's key, fsynced; says the
        SHA-256 of the whole message, or None when there is no spool or nothing is to be kept. Doing it twice is
        harmless."""
        ...

    def evidence_of(self, account_id: str) -> tuple[Evidence, ...]:
        """Say what is kept of an account's mail, the oldest first."""
        ...

    def stay_uncounted(self) -> None:
        """Have no metric count this transaction: of what a locked list finds, not even that there was something."""
        ...

    def locked_cases(self, limit: int | None = None, offset: int = 0) -> tuple[Evidence, ...]:
        """Say the sealed cases of locked categories, of all accounts, the oldest first: so many, behind so many;
        `evidence_of` has none."""
        ...

    def locked_case(self, case_id: str) -> Evidence | None:
        """Say one sealed case by its id, None where there is none."""
        ...

    def count_locked_cases(self, account_id: str, since: datetime) -> int:
        """Say how many cases of an account were sealed since then."""
        ...

    def keep_until(self, kept_as: str, at: datetime) -> None:
        """Keep what is kept under a name until then, be that later or sooner than before."""
        ...

    def read_evidence(self, transaction_id: str) -> bytes | None:
        """Say the octets that are kept of a transaction, None where there are none. Raises PortError when altered."""
        ...

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
        """Move the sealed spool of a transaction into quarantine, whole and with its envelope, fsynced, with its row;
        says the item's id, which may be given with a 250 once this is committed. Doing it twice is harmless.

        Args:
            request: how it came, with the envelope; None: nothing but the envelope is known.
            part: which of several items of one mail this is, from 0.
        """
        ...

    def move_held(self, item_id: str, before: HeldState, after: HeldState, *, by: str, reason: str) -> HeldMail:
        """Take a held mail from one state to the next, with its row; say what it was. Released, it is in the outbox
        (topic `release`). Raises RefusedError when it is not in `before` any more."""
        ...

    def held_mail(self, item_id: str) -> HeldMail | None: ...

    def held_mails(
        self,
        states: Collection[HeldState],
        *,
        due_before: datetime | None = None,
        limit: int | None = None,
        account_id: str | None = None,
        is_for_person: bool = False,
    ) -> tuple[HeldMail, ...]:
        """Say the held mails in these states, the first due first; `is_for_person`: those that locked lists hold, which
        are among no others."""
        ...

    def held_alike(
        self,
        account_id: str,
        *,
        message_key: str = "",
        campaign: str = "",
        incident_id: str = "",
        is_for_person: bool = False,
    ) -> tuple[HeldMail, ...]:
        """Say an account's held mails, in whatever state, of the same message, campaign or incident, the oldest first;
        "" is none of these. `is_for_person`: as of `held_mails`; `incident_id` is then the case."""
        ...

    def holders(self, after: str = "", limit: int = 1000) -> tuple[str, ...]:
        """Say the accounts, by id and after `after`, that have something held."""
        ...

    def oldest_held(self) -> datetime | None:
        """Say since when the oldest mail is held that nobody has decided about, None where there is none."""
        ...

    def held_request(self, item_id: str) -> HoldRequest | None:
        """Say how a held mail came, None when it or its subject is gone."""
        ...

    def note_copies(self, item_id: str, copies: tuple[QueueCopy, ...], *, is_letting_go: bool = False) -> None:
        """Say anew which copies of a held mail the MTA has; nothing for one whose subject is erased."""
        ...

    def held_counts(self) -> dict[HeldState, int]:
        """Say how many held mails are in each state."""
        ...

    def read_held(self, item_id: str) -> tuple[Envelope, bytes] | None:
        """Say the envelope and the octets of a held mail, None when it or its subject is gone."""
        ...

    def find_account(self, login: str) -> AccountRef | None:
        """Find an account by its login or one of its aliases."""
        ...

    def account(self, account_id: str) -> Account | None: ...

    def account_with_login(self, login: str) -> Account | None:
        """Find an account by its login; its aliases do not count."""
        ...

    def account_by_external(self, external_id: str) -> Account | None:
        """Find an account by what the operator's directory calls it, retired or not."""
        ...

    def note_refreshed(self, account_id: str) -> None:
        """Remember that the operator's directory has just told of this account and its tenant."""
        ...

    def tenant(self, tenant_id: str) -> Tenant | None: ...

    def tenant_by_external(self, external_id: str) -> Tenant | None: ...

    def tenant_of_domain(self, domain: str) -> Tenant | None: ...

    def put_tenant(self, tenant: Tenant) -> bool:
        """Create or update; says whether anything changed."""
        ...

    def put_account(self, account: Account) -> bool: ...

    def auto_created_since(self, at: datetime) -> int:
        """Say how many accounts were created by first mail since `at`."""
        ...

    def accounts_in_use(self, tenant_id: str) -> tuple[int, int]:
        """Say how many accounts of a tenant have a login, and how many of these a list of the operator's has named."""
        ...

    def opened_at(self, account_id: str) -> datetime | None:
        """Say since when there is an account, None when no row says so."""
        ...

    def daily_external(self, subject_id: str, days: int) -> tuple[int, ...]:
        """Say to how many recipients outside a tenant or account wrote on each of so many days before today, from the
        first one on that has any."""
        ...

    def note_senders(self, rows: Iterable[tuple[str, str, date]]) -> None:
        """Remember (tenant id, keyed hash, day) of who wrote to a tenant from outside; kept for a month."""
        ...

    def known_senders(self, tenant_id: str, senders: Collection[str], since: date) -> frozenset[str]:
        """Say which of these hashes have written to a tenant since a day."""
        ...

    def pseudonym(self, address: str) -> str:
        """Say the keyed hash of an address, as counters and locked recipients know it."""
        ...

    def person(self, token: str) -> tuple[str, str] | None:
        """Say (name, role) of the person whose token this is, or None."""
        ...

    def put_person(self, name: str, role: str, token: str) -> None: ...

    def people(self) -> tuple[tuple[str, str], ...]:
        """Say (name, role) of everybody who may act."""
        ...

    def tenants(self) -> tuple[Tenant, ...]:
        """Say every tenant of the directory."""
        ...

    def accounts(self, after: str = "", limit: int | None = None) -> tuple[Account, ...]:
        """Say the accounts of the directory whose ids come after `after`, by id; `limit` None: all."""
        ...

    def bearing(self, *prefixes: str) -> tuple[str, ...]:
        """Say the ids of accounts, tenants and the site, in order, that ever had anything whose id begins with one of
        these (`w` a task, `q` a proposal: model.ids). What is listed is looked for here, not in everybody's rows."""
        ...

    def clocked(self, after: str = "", limit: int | None = None) -> tuple[str, ...]:
        """Say the ids, in order and after `after`, of accounts for which time may do something: those that ever had a
        sanction or a hold, and those with a last day of their own."""
        ...

    def erase_subject(self, account_id: str, *, is_last: bool = False) -> bool:
        """Destroy what can be read of an account or a tenant, with its row; say whether it had a key. Raises
        RefusedError under a legal hold."""
        ...

    def account_of(self, id_prefix: str) -> str | None:
        """Say which account a sanction, strike, incident, hold, task or appeal id belongs to, or None.

        Also takes what people quote: the first 12 or more hex digits of an incident id. None when it is ambiguous.
        """
        ...


class Ledger(Protocol):
    """The ledger as a worker sees it, in the same process or over the link. Raises LedgerUnavailable."""

    async def account_for(self, login: str, *, may_create: bool) -> AccountRef | None:
        """Find, or create with the default agreement, the account of a canonical login."""
        ...

    async def history(self, account_id: str) -> History:
        """Say the account's folded records; kept warm by pushes, so this is usually a dictionary look-up."""
        ...

    def last_word(self, login: str) -> tuple[AccountRef, History] | None:
        """Say what was last heard of a login, while the ledger is away; None when nothing was, or too long ago."""
        ...

    def last_history(self, subject_id: str) -> History | None:
        """Say what was last heard of a tenant, or of the site, while the ledger is away."""
        ...

    async def count(self, request: CountRequest) -> Counts: ...

    async def decide(self, case: Case) -> Decision:
        """Fold, decide and append in one transaction, evidence first; says the decision when all is durable."""
        ...

    async def hold_inbound(self, given: InboundHold) -> str | None:
        """Hold a stranger's mail from the spool for our accounts, in one transaction; say the first item's id when all
        is durable, None when it cannot be held for every recipient and nothing was."""
        ...

    async def domain_owner(self, domain: str) -> str | None:
        """Say which tenant a domain belongs to, or None."""
        ...

    async def object_by_mail(self, account_id: str, transaction_id: str, tenant_id: str | None = None) -> None:
        """File an objection of the account's user against every sanction in force; doing it twice adds nothing.

        `tenant_id`: the account's tenant, against whose steps its administrator objects with the same mail.
        """
        ...

    async def call(self, verb: str, arguments: Mapping[str, Any]) -> Any:
        """A person's act or a query, by name; JSON in, JSON out. Raises RefusedError with the reason."""
        ...


Subscriber = Callable[[History], Awaitable[None] | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Keys:
    """Keys derived from the node's master key, 32 octets each, one a purpose.

    fingerprint: message_fp. pseudonym: addresses in logs, counters and look-ups. chain: ledger rows. spool: evidence
    not yet promoted. wrap: wraps the subject keys. token: signs links and case ids. checkpoint: the seed of the Ed25519
    key that signs checkpoints.
    """

    fingerprint: bytes
    pseudonym: bytes
    chain: bytes
    spool: bytes
    wrap: bytes
    token: bytes
    checkpoint: bytes


class EvidenceSpool(Protocol):
    """Sealed, short-lived copies of mail that may become evidence, one a transaction."""

    def put(self, transaction_id: str, raw: bytes) -> None:
        """Write sealed and fsync. Raises PortError when the volume cannot take it (disk full is temporary)."""
        ...

    def discard(self, transaction_id: str) -> None: ...
