"""What an operator's lists of locked (C1) categories find: sealed, for a person, and of no effect.  HOUSE rule 9.

CLAUSES §1, STANDING 5.8. A mail is looked at once it has been decided about, recorded and let go on, beside the answer
and not before it: nothing that a list finds can reach the decision, the reply, the fields we add, an event or a metric.
Only where a list wants mail held for a person (locked_hold) it is looked at before the answer, which is the same.
Outbound mail of an account that strong attribution names is looked at; mail of strangers, mail that stays with its
tenant, mail to our own desks, and what a bypass lets through is not.

Two halves. `LockedDesk` is the worker's: it looks, and hands a hit over through the sealed spool. `note` is the
ledger's: it asks once more whether two people have let just these lists run, and moves the hit into the vault. No row
is written. That the ledger is away is said by everybody else: hits wait in silence, some in memory, and a crash loses
them; whoever reads the log cannot tell that there were any.
"""

from __future__ import annotations

import asyncio
import json
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from filterd.agreement.adopted import HOLD_FOR_PERSON, locked_lists
from filterd.agreement.clocks import locked_hit_kept_until
from filterd.agreement.proposal import staffing_of
from filterd.agreement.terms import Agreement
from filterd.checks.locked import LockedHit, LockedReader
from filterd.errors import FilterdError, LedgerUnavailable, PortError
from filterd.mail.excerpt import excerpt, header_block
from filterd.mail.fingerprint import evidence_key
from filterd.model.decision import NO_TEXT
from filterd.model.entry import SITE
from filterd.model.evidence import EXCERPT_BYTES, LOCKED_CASE, Kept
from filterd.model.held import HoldRequest
from filterd.model.ids import derived_id
from filterd.model.principal import Account, Strength
from filterd.model.sanction import Mode
from filterd.model.session import Direction
from filterd.model.staffing import Staffing
from filterd.pipeline.author import Author
from filterd.pipeline.intake import Read
from filterd.pipeline.people import Arguments
from filterd.pipeline.roles import deciders
from filterd.pipeline.verbs import DeskRules
from filterd.ports import EvidenceSpool, Ledger, LedgerTxn

VERB, HOLD = "locked.note", "locked.hold"
# CLAUSES §1: so long, unless a person opened the case, where the agreement has no `locked_hit_days` of its own.
KEPT_FOR = timedelta(days=30)
# Of one account: more hits within a day make no more cases, so that a flood fills neither the vault nor the queue.
CASES_AT_MOST = 20
CASES_WITHIN = timedelta(days=1)
# Of a larger mail the beginning: as much as the lists read of attachments.
MAX_MAIL_BYTES = 1 << 20
# While the ledger is away.
_RETRY_S = 5.0
_WAITING_BYTES = 32 << 20
# Mails looked at at the same time; others are not looked at, so that a burst costs lists and never mail.
_AT_ONCE = 200
_KEPT_IN_MIND = 1_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Keeping:
    """How much of a mail goes with a hit: the operator's ceiling (`evidence`)."""

    at_most: Kept = Kept.FULL
    excerpt_bytes: int = EXCERPT_BYTES


@dataclass(frozen=True, slots=True, kw_only=True)
class _Sealed:
    """A hit on its way. `content` is what the spool seals."""

    case_id: str
    arguments: Mapping[str, Any]
    content: bytes


class LockedDesk:
    """One a process. `on_error` hears why a mail could not be looked at, never what was found."""

    def __init__(self, ledger: Ledger, spool: EvidenceSpool, on_error: Callable[[BaseException], None]):
        self._ledger, self._spool, self._on_error = ledger, spool, on_error
        self._looking: set[asyncio.Task[None]] = set()
        self._waiting: deque[_Sealed] = deque()
        # Keys of the mails this process has had held of late.
        self._kept: deque[str] = deque(maxlen=_KEPT_IN_MIND)
        self._later: asyncio.Task[None] | None = None
        self._lock = asyncio.Lock()

    def note(
        self, reader: LockedReader | None, item: Read, author: Author, direction: Direction, keep: Keeping
    ) -> None:
        """Look at a mail that goes on, in a while."""
        known = author.known
        if reader is None or known is None or direction is not Direction.OUTBOUND:
            return
        if author.principal.strength is not Strength.STRONG or len(self._looking) >= _AT_ONCE:
            return
        account_id, terms = known.account.account_id, known.terms
        task = asyncio.get_running_loop().create_task(self._look(reader, item, account_id, terms, keep))
        self._looking.add(task)
        task.add_done_callback(self._looking.discard)

    async def hold(
        self,
        reader: LockedReader | None,
        item: Read,
        author: Author,
        direction: Direction,
        keep: Keeping,
        request: HoldRequest,
    ) -> bool:
        """Have a mail that goes on held for a person, where a list wants that; say whether it is, and durable.

        Whatever else is in the way, the mail goes on. Raises LedgerUnavailable: nobody knows whether it is held.
        """
        known = author.known
        if reader is None or known is None or direction is not Direction.OUTBOUND:
            return False
        if author.principal.strength is not Strength.STRONG:
            return False
        terms, transaction = known.terms, item.transaction
        given: dict[str, Any] = {
            "case_id": "",
            "account_id": known.account.account_id,
            "transaction_id": transaction.id,
            "evidence_key": _mail_key(item, known.account.account_id, direction),
            "lists": [],
            "request": request,
        }
        is_found, spooled = False, list[str]()
        try:
            found: tuple[LockedHit, ...] = ()
            if await reader.wants(HOLD_FOR_PERSON, lambda x: is_locked(terms, x)):
                found = await reader.read(item.message, transaction.received_at, lambda x: is_locked(terms, x))
            if not any(x.on_hit == HOLD_FOR_PERSON for x in found):
                # Switched off since it was held here: tried again, it must not go twice.
                is_found = given["evidence_key"] in self._kept
                return is_found and bool(await self._ledger.call(HOLD, given))
            is_found = True
            one = await asyncio.to_thread(_sealed, item, known.account.account_id, found, keep)
            spooled += (one.case_id, transaction.id)
            await asyncio.to_thread(self._spool.put, one.case_id, one.content)
            await asyncio.to_thread(self._spool.put, transaction.id, item.message.raw)
            given |= {"case_id": one.case_id, "lists": [[x.list_id, x.digest, x.category] for x in found]}
            self._kept.append(given["evidence_key"])
            is_held = bool(await self._ledger.call(HOLD, given))
            # What the ledger wanted of it lies in the vault by now; of a mail it knew, everything is left.
            await self._discard(spooled)
            return is_held
        except LedgerUnavailable:
            # The ledger may be about to read it. If not, the sweep erases it.
            raise
        except Exception as err:
            await self._discard(spooled)
            if not is_found:
                # Else an error line would tell of a hit.
                self._on_error(err)
        return False

    async def _discard(self, names: Sequence[str]) -> None:
        for name in names:
            with suppress(PortError):
                await asyncio.to_thread(self._spool.discard, name)

    async def flush(self) -> None:
        """Look at everything that waits, and hand over what was found."""
        while self._looking:
            await asyncio.gather(*self._looking, return_exceptions=True)
        await self._hand_over()

    async def _look(self, reader: LockedReader, item: Read, account_id: str, terms: Agreement, keep: Keeping) -> None:
        try:
            found = await reader.read(item.message, item.transaction.received_at, lambda x: is_locked(terms, x))
        except Exception as err:
            # Whatever it is, it has nothing to do with the mail, which is on its way.
            self._on_error(err)
            return
        if not found:
            return
        self._waiting.append(await asyncio.to_thread(_sealed, item, account_id, found, keep))
        while sum(len(one.content) for one in self._waiting) > _WAITING_BYTES:
            self._waiting.popleft()
        await self._hand_over()

    async def _hand_over(self) -> None:
        async with self._lock:
            while self._waiting:
                one = self._waiting[0]
                try:
                    await asyncio.to_thread(self._spool.put, one.case_id, one.content)
                    if not await self._ledger.call(VERB, one.arguments):
                        # Nobody will ask for it; left to the sweep, a flood of hits would fill the spool.
                        await asyncio.to_thread(self._spool.discard, one.case_id)
                except (LedgerUnavailable, PortError):
                    if self._later is None:
                        self._later = asyncio.get_running_loop().create_task(self._again())
                    return
                except FilterdError:
                    # It is refused, and would be again. An error line would tell of a hit.
                    pass
                if self._waiting and self._waiting[0] is one:
                    self._waiting.popleft()

    async def _again(self) -> None:
        await asyncio.sleep(_RETRY_S)
        self._later = None
        await self._hand_over()


def is_locked(terms: Agreement, category: str) -> bool:
    """Say whether a category is one of these terms that only people judge."""
    found = terms.find_category(category)
    return found is not None and found.mode is Mode.C1


def _sealed(item: Read, account_id: str, found: tuple[LockedHit, ...], keep: Keeping) -> _Sealed:
    """Put a hit together. The same text of the same account with the same hits is the same case, to how many people it
    goes and however often it is tried; of mail without a text, the same mail."""
    what = item.text_fp if item.text_fp not in ("", NO_TEXT) else item.transaction.message_fp
    hits = sorted(f"{x.list_id} {x.digest} {','.join(sorted(x.entries))}" for x in found)
    case_id = derived_id(LOCKED_CASE, account_id, what, *hits)
    head = {
        "transaction_id": item.transaction.id,
        "at": item.transaction.received_at.isoformat(),
        "kept": keep.at_most.word,
        "lists": [
            {"list": x.list_id, "digest": x.digest, "category": x.category, "entries": list(x.entries)} for x in found
        ],
    }
    arguments = {
        "case": case_id,
        "account": account_id,
        "lists": [[x.list_id, x.digest, x.category] for x in found],
    }
    content = json.dumps(head, ensure_ascii=False).encode() + b"\n" + _part(item.message.raw, keep)
    return _Sealed(case_id=case_id, arguments=arguments, content=content)


def opened(content: bytes) -> tuple[dict[str, Any], bytes]:
    """Say what a sealed case says of the hit, and what it has of the mail."""
    head, _, mail = content.partition(b"\n")
    return json.loads(head), mail


def _mail_key(item: Read, account_id: str, direction: Direction) -> str:
    """Name a mail for whoever tries to send it again. One without Message-ID and date is each time another: a
    programme that says the same each hour means it each hour, and a mail too many is better than one too few."""
    key = evidence_key(account_id, direction.value, item.transaction.message_fp)
    has_name = any((item.message.first(name) or "").strip() for name in ("message-id", "date"))
    return key if has_name else f"{key}/{item.transaction.id}"


def _part(raw: bytes, keep: Keeping) -> bytes:
    match keep.at_most:
        case Kept.FULL:
            return raw[:MAX_MAIL_BYTES]
        case Kept.EXCERPT:
            return excerpt(raw, ("text",), keep.excerpt_bytes)
        case Kept.HEADERS:
            return header_block(raw)
        case _:
            return b""


# --- the ledger's half ------------------------------------------------------------------------------------------------


class LockedNotes:
    """The verb of workers. One instance a ledger process."""

    def __init__(self, rules: DeskRules):
        self._rules = rules

    def note(self, txn: LedgerTxn, arguments: Arguments) -> bool:
        """Move a hit from the spool into the vault, if two people have let every list of it run; say whether."""
        txn.stay_uncounted()
        account = txn.account(str(arguments["account"]))
        if account is None or not approved(txn, self._rules, account, arguments["lists"]):
            return False
        case_id = str(arguments["case"])
        if txn.locked_case(case_id) is not None:
            # Known, and kept no longer because it came again.
            return False
        if txn.count_locked_cases(account.account_id, txn.now - CASES_WITHIN) >= CASES_AT_MOST:
            return False
        terms = self._rules.terms_for(txn.tenant(account.tenant_id), txn.now)
        return promote(txn, account, case_id, terms)


def promote(txn: LedgerTxn, account: Account, case_id: str, terms: Agreement) -> bool:
    """Move a hit from the spool into the vault; say whether it was there."""
    kept_until = txn.now + KEPT_FOR if terms.lifecycle is None else locked_hit_kept_until(txn.now, terms)
    return txn.promote_evidence(case_id, account.account_id, kept_until) is not None


def approved(txn: LedgerTxn, rules: DeskRules, account: Account, lists: Iterable[Sequence[str]]) -> bool:
    """Say whether two people, who are still two, have let just these lists run, each of a locked category of the
    account's agreement. `lists`: id, digest and category of each."""
    if staffing_of(rules.staffing, len(deciders(txn))) is Staffing.SOLO:
        return False
    terms = rules.terms_for(txn.tenant(account.tenant_id), txn.now)
    rows = locked_lists(txn.history(SITE))
    for list_id, digest, category in lists:
        row = rows.get(list_id)
        if row is None or (row.digest, row.category) != (digest, category) or row.until <= txn.now:
            return False
        if not is_locked(terms, category):
            return False
    return True
