"""Campaign copies that were delivered before anything was noticed.  STANDING 5.7-14.

Users of ours who got one are told, and the mail store is asked to take each copy out of their mailboxes again
(`[effectors.claw_back]`). The request names the mailbox and the mail by our own id of it, which its trace field bears
(`X-Filterd-Id`); of the Message-ID only a keyed hash is known. Nothing is taken back once a moderator has said that
nothing was stolen.

The tenant's contact reads what was delivered (pipeline/copies_letter). Who got it elsewhere is nowhere kept in clear:
the event stream has keyed hashes of recipients. The mail server's own log knows addresses by queue id, and of what it
says only addresses with one of those hashes are believed, so that a queue id used twice names nobody else's reader.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from filterd.errors import PeerError
from filterd.mail.names import canonical_login
from filterd.model import records as r
from filterd.model.ids import derived_id
from filterd.model.principal import Account
from filterd.pipeline.headers import TRACE
from filterd.pipeline.notice_events import Facts, announce_event
from filterd.ports import LedgerTxn

# The effector, its act, and the outbox's topic: a mail store that hangs keeps neither the queue nor notices waiting.
CLAW_BACK = "claw_back"
MAILBOX, WARN, REPORT = "mailbox", "warn", "report"
APPLIED, FAILED, NOTHING_DONE, UNAVAILABLE = "applied", "failed", "nothing", "unavailable"

# Copies in mailboxes that one transaction promises something about: everybody else waits for a third of a second.
AT_ONCE = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Copy:
    """A delivered copy. `recipients`: keyed hashes; `queue_id`: the next hop's, None where its reply named none."""

    tx: str
    at: datetime
    recipients: frozenset[str]
    queue_id: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Portion:
    """What one transaction promises.

    Args:
        of: these copies, by transaction.
        is_last: it is all there is to promise of them.
        readers: accounts of ours to be told, each with those that reached it.
    """

    of: tuple[str, ...]
    is_last: bool
    readers: tuple[tuple[str, tuple[Copy, ...]], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """What came of telling. `copies` by transaction; `in_mailboxes`: copies in mailboxes of ours, one a mailbox."""

    copies: tuple[str, ...] = ()
    in_mailboxes: int = 0
    is_asked: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivered:
    """What the tenant's contact is told of.

    Args:
        copies: the earliest first; none: everything has been told.
        users: whom of ours they reached; `in_mailboxes` copies, one a mailbox.
        is_able: the mail store can be asked; of `in_mailboxes`, so many were `moved`, and so many were `gone` before.
        outside: by transaction, the keyed hashes of those who are no users of ours.
    """

    copies: tuple[Copy, ...]
    users: int
    in_mailboxes: int
    is_able: bool
    moved: int
    gone: int
    outside: Mapping[str, frozenset[str]]


class CopiesDesk:
    """The ledger's side: plain functions of one open transaction. `hash_of`: an address as the event stream has it;
    `effectors`: which there are now."""

    def __init__(self, hash_of: Callable[[str], str], effectors: Callable[[], Collection[str]]):
        self.hash_of, self._effectors = hash_of, effectors

    def portions(self, txn: LedgerTxn, account_id: str, hold_id: str, got: Collection[Copy]) -> tuple[Portion, ...]:
        """Say which users of ours got a copy and were not told of it, in portions for `warn`."""
        told = _ids(txn.records(account_id), WARN)
        new = sorted((copy for copy in got if copy.tx not in told), key=lambda x: x.tx)
        if not new or _is_cleared(txn, account_id, hold_id):
            return ()
        readers = ((reader.account_id, mine) for reader, mine in self._readers(txn, new))
        return tuple(_portions(new, [x for x in readers if x[0] != account_id]))

    def warn(self, txn: LedgerTxn, account_id: str, hold_id: str, portion: Portion) -> Told:
        """Promise a warning to each of these users, and that each copy in their mailboxes is asked back. A portion that
        another promise was about meanwhile is none."""
        if _is_cleared(txn, account_id, hold_id) or not _ids(txn.records(account_id), WARN).isdisjoint(portion.of):
            return Told()
        is_able = CLAW_BACK in self._effectors()
        for reader_id, mine in portion.readers:
            facts: Facts = {"received_at": min(x.at for x in mine), "kind": "phishing", "is_taken_back": is_able}
            announce_event(txn, "recipient_warning", reader_id, facts)
        copies = [_asked_back(reader_id, copy) for reader_id, mine in portion.readers for copy in mine]
        if is_able and copies:
            payload = {"sender_id": account_id, "hold_id": hold_id, "copies": copies}
            key = f"{CLAW_BACK}:{derived_id('cb', hold_id, *map(mark_of, copies))}"
            txn.post(CLAW_BACK, payload, due_at=txn.now, merge_key=key)
        done = portion.of if portion.is_last else ()
        return Told(copies=done, in_mailboxes=len(copies), is_asked=is_able and bool(copies))

    def request(self, txn: LedgerTxn, sender_id: str, hold_id: str, copy: Mapping[str, str]) -> dict[str, str] | None:
        """Say what the mail store is asked about one copy; None when the mailbox is gone, or nothing was stolen after
        all. It reads no row of the sender's, of which there may be very many."""
        reader = txn.account(copy["account_id"])
        if reader is None or _is_cleared(txn, sender_id, hold_id):
            return None
        return {
            "version": "1",
            "act": CLAW_BACK,
            "effect_id": derived_id("e", hold_id, CLAW_BACK, mark_of(copy)),
            "hold_id": hold_id,
            "account_id": reader.account_id,
            "login": reader.login,
            "transaction_id": copy["tx"],
            "field": TRACE,
            "queue_id": copy["queue_id"],
            "delivered_at": copy["delivered_at"],
        }

    def delivered(self, txn: LedgerTxn, account_id: str, hold_id: str, got: Collection[Copy]) -> Delivered:
        """Say what of these the tenant's contact has not been told of, and how it stands by now."""
        records = txn.records(account_id)
        is_over = _is_cleared(txn, account_id, hold_id)
        wanted = frozenset[str]() if is_over else _ids(records, WARN) - _ids(records, REPORT)
        copies = sorted((x for x in got if x.tx in wanted), key=lambda x: x.at)
        readers = self._readers(txn, copies)
        own = {self.hash_of(address) for reader, _ in readers for address in addresses_of(reader)}
        others = [(reader, mine) for reader, mine in readers if reader.account_id != account_id]
        fates = _fates(records)
        mine = [fates.get(_mark(x.tx, reader.account_id)) for reader, found in others for x in found]
        return Delivered(
            copies=tuple(copies),
            users=len(others),
            in_mailboxes=len(mine),
            is_able=CLAW_BACK in self._effectors(),
            moved=mine.count(APPLIED),
            gone=mine.count(NOTHING_DONE),
            outside={x.tx: x.recipients - own for x in copies},
        )

    def _readers(self, txn: LedgerTxn, copies: Iterable[Copy]) -> list[tuple[Account, list[Copy]]]:
        """Say which accounts of ours the copies went to, each with its own."""
        by_hash: dict[str, list[Copy]] = {}
        for copy in copies:
            for mark in copy.recipients:
                by_hash.setdefault(mark, []).append(copy)
        found = []
        for account in txn.accounts() if by_hash else ():
            mine = {x.tx: x for address in addresses_of(account) for x in by_hash.get(self.hash_of(address), ())}
            if mine:
                found.append((account, list(mine.values())))
        return found


def name_readers(
    given: Delivered, log: Mapping[str, frozenset[str]], hash_of: Callable[[str], str]
) -> tuple[dict[str, datetime], dict[str, int]]:
    """Say who is no user of ours and got a copy, and when first; and of each copy how many nobody could name.

    Args:
        log: to whom the mail server delivered, by queue id. Believed where the hash is one of the copy's recipients.
    """
    first: dict[str, datetime] = {}
    unnamed: dict[str, int] = {}
    for copy in given.copies:
        left = set(given.outside[copy.tx])
        for address in log.get(copy.queue_id or "", ()):
            if (mark := hash_of(address)) in given.outside[copy.tx]:
                first.setdefault(address, copy.at)
                left.discard(mark)
        unnamed[copy.tx] = len(left)
    return first, unnamed


def mark_of(copy: Mapping[str, str]) -> str:
    """Say by what a copy in a mailbox is known in rows. They are the sender's, and the mailbox may be another
    tenant's: whoever reads them learns of no account."""
    return _mark(copy["tx"], copy["account_id"])


def _mark(tx: str, account_id: str) -> str:
    return derived_id("cb", tx, account_id)


def addresses_of(account: Account) -> frozenset[str]:
    """Say an account's own addresses, in the spelling of look-ups."""
    return frozenset(login for text in (account.login, *account.aliases) if (login := login_of(text)) is not None)


def login_of(text: str) -> str | None:
    """Say an address in the spelling of look-ups, None where it is none."""
    try:
        return canonical_login(text)
    except PeerError:
        return None


def _portions(new: Iterable[Copy], readers: Iterable[tuple[str, Iterable[Copy]]]) -> Iterator[Portion]:
    """Take whole copies together while their readers are few enough."""
    reached: dict[str, list[str]] = {}
    for account_id, mine in readers:
        for copy in mine:
            reached.setdefault(copy.tx, []).append(account_id)
    group: list[Copy] = []
    size = 0
    for copy in new:
        weight = max(1, len(reached.get(copy.tx, ())))
        if group and size + weight > AT_ONCE:
            yield from _cut(group, reached)
            group, size = [], 0
        group.append(copy)
        size += weight
    yield from _cut(group, reached)


def _cut(group: Iterable[Copy], reached: Mapping[str, Sequence[str]]) -> Iterator[Portion]:
    """Cut once more by readers: one copy may have a thousand."""
    whose: dict[str, list[Copy]] = {}
    for copy in group:
        for account_id in reached.get(copy.tx, ()):
            whose.setdefault(account_id, []).append(copy)
    readers = [(account_id, tuple(mine)) for account_id, mine in sorted(whose.items())]
    of = tuple(copy.tx for copy in group)
    for at in range(0, max(1, len(readers)), AT_ONCE):
        end = at + AT_ONCE
        yield Portion(of=of, is_last=end >= len(readers), readers=tuple(readers[at:end]))


def _asked_back(account_id: str, copy: Copy) -> dict[str, str]:
    said = {"tx": copy.tx, "queue_id": copy.queue_id or "", "delivered_at": copy.at.isoformat()}
    return {"account_id": account_id} | said


def _ids(records: Iterable[r.Record], act: str) -> frozenset[str]:
    """Say of which copies there was this letter."""
    return frozenset(
        tx
        for x in records
        if isinstance(x, r.EffectReported) and (x.effector, x.act, x.outcome) == (MAILBOX, act, APPLIED)
        for tx in x.ids
    )


def _fates(records: Iterable[r.Record]) -> dict[str, str]:
    """Say what became of each copy that was asked back, as far as that is settled."""
    fates: dict[str, str] = {}
    for x in records:
        if isinstance(x, r.EffectReported) and x.effector == CLAW_BACK and x.outcome in (APPLIED, NOTHING_DONE):
            for mark in x.ids:
                # Whoever asks once more finds it gone.
                if fates.get(mark) != APPLIED:
                    fates[mark] = x.outcome
    return fates


def _is_cleared(txn: LedgerTxn, account_id: str, hold_id: str) -> bool:
    """Say whether a moderator has released this hold and said that nothing was stolen."""
    released = txn.history(account_id).of(r.HoldReleased)
    return any(x.hold_id == hold_id and x.watch_until is None for x in released)
