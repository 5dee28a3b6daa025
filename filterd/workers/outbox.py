"""Carry out what the ledger promised: notices by mail, and what carriers do.  HOUSE §4 (later), STANDING 5.7-17, TX-6.

At least once: the mail goes out first and is ticked off second, so a crash in between sends it again, under the same
Message-ID. Otherwise a channel that accepted is not used twice: what was sent is remembered until the ledger has it,
and what other channels still owe becomes an item of its own. A notice counts as received when the first channel
accepted it. Who cannot be reached by any is told through others of the tenant's side, at last its dealer's desk.
Temporary: the mailer, the ledger, anything unexpected, for three days. Final: a 5xx, an address that is none. What is
no notice is given up by its carrier alone.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum
from typing import Any, Protocol, TypeVar

from filterd.errors import FilterdError, PeerError, PortError
from filterd.markers import reach
from filterd.model.about import EVERYTHING, NOTHING, About, about
from filterd.model.records import NoticeSent
from filterd.pipeline.notice_mail import Delayed, Facts, Letter, NoticeDesk, spread
from filterd.pipeline.notice_requests import EventRequest, Request, fallback, read_request
from filterd.pipeline.notices import Audience
from filterd.ports import Clock, LedgerTxn, Mailer, OutboxItem

T = TypeVar("T")

TOPICS = ("notice", "annulled")

# By attempts made, the last one for all that follow.
BACKOFF = (timedelta(seconds=30), timedelta(minutes=2), timedelta(minutes=10), timedelta(hours=1))
GIVE_UP_AFTER = timedelta(days=3)
NOT_OURS_AGAIN_AFTER = timedelta(hours=1)

# Below the time a lease runs, with room for the ledger's part.
SEND_TIMEOUT_S = 90.0


class OutboxPort(Protocol):
    """The ledger's outbox, each call one transaction. Raises LedgerUnavailable."""

    async def lease(self, now: datetime, limit: int) -> Sequence[OutboxItem]:
        """Take due items nobody holds; `attempts` counts this one. A lease not ended in time runs out."""
        ...

    async def done(self, item_id: str, function: Callable[[LedgerTxn], object], about: About) -> bool:
        """Remove the item and run `function` in the same transaction; False, and nothing run, when it was gone."""
        ...

    async def retry(self, item_id: str, due_at: datetime, error: str) -> bool:
        """Give the item back until `due_at`."""
        ...


class Submit(Protocol):
    """Runs a plain function in one ledger transaction."""

    def __call__(self, function: Callable[[LedgerTxn], T], about: About, /) -> Awaitable[T]: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Done:
    """Carried out for good; `finish` writes down what came of it, about the subjects of `about`."""

    finish: Callable[[LedgerTxn], object]
    about: About = NOTHING


@dataclass(frozen=True, slots=True, kw_only=True)
class Again:
    """Not yet. `error` names no address. `due_at` None: after the usual time."""

    error: str
    due_at: datetime | None = None


class Carrier(Protocol):
    """Does the work of one topic. It may be asked for the same item twice."""

    async def carry(self, item: OutboxItem, now: datetime) -> Done | Again: ...


class Herald(Protocol):
    """Tells other systems what became of a notice, by promises of its own in the same transaction."""

    def herald(self, txn: LedgerTxn, record: NoticeSent, request: Request) -> None: ...


class _Fate(Enum):
    ACCEPTED = "accepted"
    WAITING = "waiting"
    REFUSED = "refused"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Sent:
    """What became of one letter. `answer` is a reply code or the name of an error, never text of the other side."""

    letter: Letter
    fate: _Fate
    at: datetime
    answer: str


@dataclass(frozen=True, slots=True, kw_only=True)
class _Untold:
    """An outcome the ledger does not have yet, and the payload it is of."""

    payload: dict[str, Any]
    record: NoticeSent
    finish: Callable[[LedgerTxn], None]


def _ignore(*_: object) -> None:
    return None


class OutboxWorker:
    """One a ledger. Callbacks: `on_notice` every outcome recorded, `on_oldest_age` seconds the oldest known item has
    waited (0 for none), `on_error` an item's id ("" for none in particular) and what went wrong, without addresses.
    `carriers` by topic do what is no notice."""

    def __init__(
        self,
        outbox: OutboxPort,
        submit: Submit,
        desk: NoticeDesk,
        mailer: Mailer,
        clock: Clock,
        *,
        carriers: Mapping[str, Carrier] | None = None,
        herald: Herald | None = None,
        on_notice: Callable[[NoticeSent], None] = _ignore,
        on_oldest_age: Callable[[float], None] = _ignore,
        on_error: Callable[[str, str], None] = _ignore,
        limit: int = 16,
        poll_s: float = 1.0,
    ):
        self._outbox, self._submit, self._desk, self._mailer, self._clock = outbox, submit, desk, mailer, clock
        self._carriers, self._herald = dict(carriers or {}), herald
        self._on_notice, self._on_oldest_age, self._on_error = on_notice, on_oldest_age, on_error
        self._limit, self._poll_s = limit, poll_s
        # By item: when it was promised, and what the ledger has not taken yet although it was sent.
        self._waiting: dict[str, datetime] = {}
        self._untold: dict[str, _Untold] = {}

    async def run(self, stop: asyncio.Event) -> None:
        """Work until `stop`; what is under way is finished first. No error ends it."""
        while not stop.is_set():
            handled = 0
            try:
                handled = await self.drain_once(self._clock.now())
            except Exception as err:
                self._on_error("", _named(err))
            if handled < self._limit:
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(stop.wait(), self._poll_s)

    async def drain_once(self, now: datetime) -> int:
        """Try what is due at `now`, at most `limit` items at once; say how many there were."""
        items = await self._outbox.lease(now, self._limit)
        self._waiting.update((item.item_id, item.created_at) for item in items)
        if items:
            reach("outbox.leased")
        await asyncio.gather(*(self._handle(item, now) for item in items))
        oldest = min(self._waiting.values(), default=now)
        self._on_oldest_age(max((now - oldest).total_seconds(), 0.0))
        return len(items)

    async def _handle(self, item: OutboxItem, now: datetime) -> None:
        try:
            untold = self._untold.get(item.item_id)
            # More may have been merged into it since: then all of it is told again, rather than some of it never.
            if untold is not None and untold.payload == item.payload:
                await self._tick_off(item.item_id)
            elif item.topic in TOPICS:
                await self._deliver(item, now)
            elif (carrier := self._carriers.get(item.topic)) is not None:
                await self._carry(item, carrier, now)
            else:
                await self._again(item, now + NOT_OURS_AGAIN_AFTER, f"nobody carries out {item.topic!r}")
        except Exception as err:
            await self._stumble(item, now, _named(err))

    async def _stumble(self, item: OutboxItem, now: datetime, error: str) -> None:
        """Something of ours failed. A notice is promised until its time is over, and then the failure is on record.
        What else is promised, and whatever nobody knows, stands: only who carries it out can say when it is over."""
        try:
            is_notice = item.topic in TOPICS
            if not is_notice or now - item.created_at < GIVE_UP_AFTER or item.item_id in self._untold:
                await self._again(item, now + backoff(item.attempts), error)
                return
            self._on_error(item.item_id, error)
            try:
                request = read_request(item)
            except FilterdError:
                await self._outbox.done(item.item_id, _ignore, NOTHING)
                self._waiting.pop(item.item_id, None)
            else:
                await self._record(item, request, (), "failed", ())
        except Exception as err:
            # The lease runs out by itself and the item comes again.
            self._on_error(item.item_id, _named(err))

    async def _carry(self, item: OutboxItem, carrier: Carrier, now: datetime) -> None:
        match await carrier.carry(item, now):
            case Done() as done:
                await self._outbox.done(item.item_id, done.finish, done.about)
                self._waiting.pop(item.item_id, None)
            case Again() as again:
                await self._again(item, again.due_at or now + backoff(item.attempts), again.error)

    async def _deliver(self, item: OutboxItem, now: datetime) -> None:
        request = read_request(item)
        if isinstance(request, EventRequest) and Audience.CO_USERS in request.audiences:
            await self._replace(item, lambda txn: spread(txn, request, request.after))
            return
        facts = await self._submit(lambda txn: self._desk.gather(txn, request), NOTHING)
        if facts is None:
            await self._record(item, request, (), "superseded", ())
            return
        if isinstance(facts, Delayed):
            # The time to give up begins when it may be told.
            later = request.rest(request.audiences, request.deemed_at, facts.until)
            until = facts.until
            await self._replace(item, lambda txn: txn.post(item.topic, later, due_at=until))
            return
        letters = self._desk.letters(facts, now)
        sent = await asyncio.gather(*(self._send(letter) for letter in letters))
        reach("outbox.sent")
        is_accepted = any(x.fate is _Fate.ACCEPTED for x in sent)
        waiting = [x for x in sent if x.fate is _Fate.WAITING] if now - request.since < GIVE_UP_AFTER else []
        troubles = "; ".join(f"{x.letter.audience}: {x.answer}" for x in sent if x.fate is not _Fate.ACCEPTED)
        if waiting and not is_accepted:
            await self._again(item, now + backoff(item.attempts), troubles)
            return
        if troubles or not letters:
            self._on_error(item.item_id, troubles or "the directory has no address to write to")
        finished = [x for x in sent if x not in waiting]
        outcome = "accepted" if is_accepted else "failed"
        await self._record(item, request, finished, outcome, [x.letter.audience for x in waiting], facts)

    async def _send(self, letter: Letter) -> _Sent:
        fate, answer = _Fate.WAITING, ""
        try:
            async with asyncio.timeout(SEND_TIMEOUT_S):
                reply = await self._mailer.send(letter.raw, letter.recipient, letter.reverse_path)
        except PeerError as err:
            fate, answer = _Fate.REFUSED, type(err).__name__
        except PortError as err:
            fate, answer = _Fate.WAITING if err.temporary else _Fate.REFUSED, type(err).__name__
        except Exception as err:
            answer = _named(err)
        else:
            answer = f"{reply.code} {reply.enhanced or ''}".strip()
            if reply.is_positive:
                fate = _Fate.ACCEPTED
            elif reply.code >= 500:
                fate = _Fate.REFUSED
        return _Sent(letter=letter, fate=fate, at=self._clock.now(), answer=answer)

    async def _replace(self, item: OutboxItem, work: Callable[[LedgerTxn], object]) -> None:
        """Put other promises in the place of this one, in one transaction."""
        await self._outbox.done(item.item_id, work, NOTHING)
        self._waiting.pop(item.item_id, None)

    async def _record(
        self,
        item: OutboxItem,
        request: Request,
        finished: Sequence[_Sent],
        outcome: str,
        waiting: Sequence[Audience],
        facts: Facts | None = None,
    ) -> None:
        """Tick the item off and write down its outcome in one transaction, with what other channels still owe."""
        accepted = [x for x in finished if x.fate is _Fate.ACCEPTED]
        deemed_at = request.deemed_at or min((x.at for x in accepted), default=None)
        notice = next((x.letter.notice for x in (*accepted, *finished)), None)
        record = NoticeSent(
            at=self._clock.now(),
            notice_id=request.notice_id,
            account_id=request.account_id or "",
            incident_ids=request.incident_ids,
            template=notice.template if notice is not None else request.told,
            languages=notice.languages if notice is not None else (),
            channel="+".join(x.letter.audience for x in (accepted or finished)) or "none",
            outcome=outcome,
            deemed_at=deemed_at,
            body_digest=notice.body_digest if notice is not None else "",
            template_version=notice.version if notice is not None else "",
            tenant_id=_tenant_of(request, facts) or "",
        )
        personal = self._personal(request, finished, facts)
        more = None
        if facts is not None and outcome == "failed":
            more = fallback(request, self._desk.known(facts), record.at)

        def finish(txn: LedgerTxn) -> None:
            account_id, tenant_id = record.account_id or None, record.tenant_id or None
            txn.append(record, account_id=account_id, tenant_id=tenant_id, personal=personal or None)
            if waiting and deemed_at is not None:
                txn.post(item.topic, request.rest(waiting, deemed_at), due_at=txn.now + BACKOFF[0])
            if more is not None:
                txn.post(item.topic, more, due_at=txn.now)
            if self._herald is not None:
                self._herald.herald(txn, record, request)

        self._untold[item.item_id] = _Untold(payload=item.payload, record=record, finish=finish)
        await self._tick_off(item.item_id)

    def _personal(self, request: Request, finished: Sequence[_Sent], facts: Facts | None) -> dict[str, str]:
        """Make the sealed part: to which recorded address, and what it answered (TX-6.1); the letters, for the console
        and as evidence; what it takes to tell again. Nothing where the subject is nobody of ours: whoever complained
        must not stand in the file of whoever was complained about."""
        if request.account_id is None and request.tenant_id is None:
            return {}
        personal = {x.letter.audience.value: f"{x.letter.recipient} {x.answer}" for x in finished}
        if facts is None:
            return personal
        wanted = (Audience.ACCOUNT, Audience.TENANT)
        for audience, copy in self._desk.copies(facts, self._clock.now(), wanted).items():
            personal[f"letter.{audience}"] = f"{copy.subject}\n\n{copy.text}"
        return personal | {"request": json.dumps(request.rest(request.audiences, None))}

    async def _tick_off(self, item_id: str) -> None:
        untold = self._untold[item_id]
        record = untold.record
        whose = about_record(record)
        if await self._outbox.done(item_id, untold.finish, whose):
            reach("outbox.recorded")
            self._on_notice(untold.record)
        del self._untold[item_id]
        self._waiting.pop(item_id, None)

    async def _again(self, item: OutboxItem, due_at: datetime, error: str) -> None:
        self._on_error(item.item_id, error)
        if not await self._outbox.retry(item.item_id, due_at, error):
            self._waiting.pop(item.item_id, None)


def about_record(record: NoticeSent) -> About:
    """Say whose matter the outcome of a notice is; nobody of ours is everybody's."""
    if not record.account_id and not record.tenant_id:
        return EVERYTHING
    return about(accounts=(record.account_id or None,), tenants=(record.tenant_id or None,))


def _tenant_of(request: Request, facts: Facts | None) -> str | None:
    return facts.tenant.tenant_id if facts is not None and facts.tenant is not None else request.tenant_id


def backoff(attempts: int) -> timedelta:
    """Say how long to wait after so many attempts."""
    return BACKOFF[min(max(attempts, 1), len(BACKOFF)) - 1]


def _named(err: BaseException) -> str:
    """Say what went wrong. Our own texts name ids and files; of others, which may quote an address, only the kind."""
    return f"{type(err).__name__}: {err}" if isinstance(err, FilterdError) else type(err).__name__
