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

from collections.abc import Callable, Collection, Iterable, Mapping
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Copy:
    """A delivered copy. `recipients`: keyed hashes; `queue_id`: the next hop's, None where its reply named none."""

    tx: str
    at: datetime
    recipients: frozenset[str]
    queue_id: str | None = None


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

    def warn(self, txn: LedgerTxn, account_id: str, hold_id: str, got: Collection[Copy]) -> Told:
        """Promise a warning to each user of ours who got a copy and was not told of it, and that each copy in their
        mailboxes is asked back."""
        records = txn.records(account_id)
        told = _ids(records, WARN)
        new = [copy for copy in got if copy.tx not in told]
        if not new or _is_cleared(records, hold_id):
            return Told()
        is_able = CLAW_BACK in self._effectors()
        count = 0
        for reader, mine in self._readers(txn, new):
            if reader.account_id == account_id:
                continue
            facts: Facts = {"received_at": min(x.at for x in mine), "kind": "phishing", "is_taken_back": is_able}
            announce_event(txn, "recipient_warning", reader.account_id, facts)
            count += len(mine)
            for copy in mine if is_able else ():
                _ask_back(txn, account_id, hold_id, reader, copy)
        return Told(copies=tuple(sorted(x.tx for x in new)), in_mailboxes=count, is_asked=is_able and count > 0)

    def request(self, txn: LedgerTxn, payload: Mapping[str, str]) -> dict[str, str] | None:
        """Say what the mail store is asked; None when the mailbox is gone, or nothing was stolen after all."""
        reader = txn.account(payload["account_id"])
        if reader is None or _is_cleared(txn.records(payload["sender_id"]), payload["hold_id"]):
            return None
        return {
            "version": "1",
            "act": CLAW_BACK,
            "effect_id": derived_id("e", payload["hold_id"], CLAW_BACK, mark_of(payload)),
            "hold_id": payload["hold_id"],
            "account_id": reader.account_id,
            "login": reader.login,
            "transaction_id": payload["tx"],
            "field": TRACE,
            "queue_id": payload["queue_id"],
            "delivered_at": payload["delivered_at"],
        }

    def delivered(self, txn: LedgerTxn, account_id: str, hold_id: str, got: Collection[Copy]) -> Delivered:
        """Say what of these the tenant's contact has not been told of, and how it stands by now."""
        records = txn.records(account_id)
        is_over = _is_cleared(records, hold_id)
        wanted = frozenset[str]() if is_over else _ids(records, WARN) - _ids(records, REPORT)
        copies = sorted((x for x in got if x.tx in wanted), key=lambda x: x.at)
        readers = self._readers(txn, copies)
        own = {self.hash_of(address) for reader, _ in readers for address in addresses_of(reader)}
        others = [(reader, mine) for reader, mine in readers if reader.account_id != account_id]
        fates = _fates(records)
        mine = [fates.get(f"{x.tx}/{reader.account_id}") for reader, found in others for x in found]
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


def mark_of(payload: Mapping[str, str]) -> str:
    """Say by what a copy in a mailbox is known in rows."""
    return f"{payload['tx']}/{payload['account_id']}"


def addresses_of(account: Account) -> frozenset[str]:
    """Say an account's own addresses, in the spelling of look-ups."""
    return frozenset(login for text in (account.login, *account.aliases) if (login := login_of(text)) is not None)


def login_of(text: str) -> str | None:
    """Say an address in the spelling of look-ups, None where it is none."""
    try:
        return canonical_login(text)
    except PeerError:
        return None


def _ask_back(txn: LedgerTxn, sender_id: str, hold_id: str, reader: Account, copy: Copy) -> None:
    payload = {
        "account_id": reader.account_id,
        "tenant_id": reader.tenant_id,
        "sender_id": sender_id,
        "hold_id": hold_id,
        "tx": copy.tx,
        "queue_id": copy.queue_id or "",
        "delivered_at": copy.at.isoformat(),
    }
    txn.post(CLAW_BACK, payload, due_at=txn.now, merge_key=f"{CLAW_BACK}:{mark_of(payload)}")


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
    return {
        mark: x.outcome
        for x in records
        if isinstance(x, r.EffectReported) and x.effector == CLAW_BACK and x.outcome in (APPLIED, NOTHING_DONE)
        for mark in x.ids
    }


def _is_cleared(records: Iterable[r.Record], hold_id: str) -> bool:
    """Say whether a moderator has released this hold and said that nothing was stolen."""
    return any(isinstance(x, r.HoldReleased) and x.hold_id == hold_id and x.watch_until is None for x in records)
