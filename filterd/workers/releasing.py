"""Carry released mail to the next hop.  MAIL-PATH §4, FAULTS §2; the outbox's topic `release`.

At least once: the next hop's 250 comes first and the row second, so that a crash in between sends the mail again, with
the same id and fingerprint in X-Filterd-Id; while this process lives, what was answered is remembered and not sent
twice. The octets are those that came, below our trace field. Recipients are settled one by one: taken, refused for
good, or tried again, for three days. What is refused comes back to its sender and is a task for a person; a stranger's
mail is held again.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from filterd.errors import FilterdError, PortError
from filterd.mail import authres
from filterd.mail.edit import prepend_fields
from filterd.mail.parse import parse
from filterd.markers import reach
from filterd.model import records as r
from filterd.model.about import EVERYTHING, NOTHING, about
from filterd.model.held import FOR_PERSON, HeldMail, HeldState, HoldRequest
from filterd.model.ids import derived_id
from filterd.model.reply import Reply
from filterd.pipeline.headers import TRACE, without_claims
from filterd.pipeline.quarantine_acts import promise_return
from filterd.pipeline.signing import Fields, Signer
from filterd.ports import LedgerTxn, MtaQueue, OutboxItem, Relay, RelaySession
from filterd.workers.mta_held import MtaHeld
from filterd.workers.outbox import GIVE_UP_AFTER, SEND_TIMEOUT_S, Again, Done, Submit, backoff

RELEASE_TOPIC = "release"
BY = "system"
TASK = "released mail: the next hop refuses it"
# The enhanced code of what nobody took in time (RFC 3463 §3.5).
EXPIRED = "4.4.7"

_REMEMBERED = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class _Work:
    """A released mail that is still to be delivered, and the domains of the tenant whose it is."""

    held: HeldMail
    request: HoldRequest
    raw: bytes
    own_domains: tuple[str, ...] = ()


@dataclass(slots=True, kw_only=True)
class _Progress:
    """What has become of each recipient, by its place in the envelope: taken, or refused with a status."""

    taken: set[int] = field(default_factory=set)
    refused: dict[int, str] = field(default_factory=dict)
    since: datetime
    tries: int = 0

    @classmethod
    def read(cls, item: OutboxItem) -> _Progress:
        given: Mapping[str, Any] = item.payload
        since = given.get("since")
        return cls(
            taken={int(x) for x in given.get("taken") or ()},
            refused={int(place): str(status) for place, status in given.get("refused") or ()},
            since=datetime.fromisoformat(since) if since else item.created_at,
            tries=int(given.get("tries") or 0),
        )

    def payload(self, item: OutboxItem) -> dict[str, Any]:
        return {
            **item.payload,
            "taken": sorted(self.taken),
            "refused": [[place, self.refused[place]] for place in sorted(self.refused)],
            "since": self.since.isoformat(),
            "tries": self.tries + 1,
        }


class Releases:
    """Fulfils workers.outbox.Carrier for RELEASE_TOPIC."""

    def __init__(
        self,
        submit: Submit,
        relay: Relay,
        queue: MtaQueue | None = None,
        signer: Callable[[], Signer] = Signer,
    ):
        """
        Args:
            signer: says the keys of today; your accounts' mail goes on signed, as it would have.
        """
        self._submit, self._relay, self._mta = submit, relay, MtaHeld(submit, queue)
        self._signer = signer
        # What the next hop has answered and the ledger may not have, by the outbox item.
        self._answered: OrderedDict[str, Done] = OrderedDict()

    async def carry(self, item: OutboxItem, now: datetime) -> Done | Again:
        known = self._answered.get(item.item_id)
        if known is not None:
            return known
        try:
            return await self._carry(item, now)
        except Exception as err:
            # Whatever it is, the promise stands: nothing that was released is ever given up in silence.
            return Again(error=f"{type(err).__name__}: {err}" if isinstance(err, FilterdError) else type(err).__name__)

    async def _carry(self, item: OutboxItem, now: datetime) -> Done | Again:
        item_id = str(item.payload["item_id"])
        work = await self._submit(lambda txn: _read(txn, item_id), NOTHING)
        if work is None:
            # Erased with its account, or settled already.
            return Done(finish=lambda _: None)
        if work.request.copies:
            # The mail server has it: it goes on from there, and we send nothing.
            return self._remember(item, await self._mta.release(work.held, work.request))
        progress = _Progress.read(item)
        places = range(len(work.request.envelope.forward_paths))
        left = [x for x in places if x not in progress.taken and x not in progress.refused]
        answers, trouble = await self._offer(work, left, now) if left else ({}, None)
        for place, reply in answers.items():
            if reply.is_positive:
                progress.taken.add(place)
            elif reply.code >= 500:
                progress.refused[place] = reply.enhanced or "5.0.0"
        left = [x for x in left if x not in progress.taken and x not in progress.refused]
        if left and now - progress.since >= GIVE_UP_AFTER:
            progress.refused |= dict.fromkeys(left, EXPIRED)
            left = []
        if left and not any(answers[x].is_positive or answers[x].code >= 500 for x in answers):
            codes = sorted({reply.code for reply in answers.values()})
            return Again(error=trouble or f"the next hop answers {codes}")
        return self._remember(item, self._rest(item, progress, now) if left else self._end(progress, work))

    def _remember(self, item: OutboxItem, done: Done | Again) -> Done | Again:
        """The mail is out: whatever becomes of the row, this process does not send it again."""
        if isinstance(done, Done):
            self._answered[item.item_id] = done
            while len(self._answered) > _REMEMBERED:
                self._answered.popitem(last=False)
        return done

    async def _offer(
        self, work: _Work, places: Collection[int], now: datetime
    ) -> tuple[dict[int, Reply], str | None]:
        """Offer the mail; say the answer about each of these recipients, or what broke: then it is sent again, also
        where nobody knows whether the next hop has taken it."""
        try:
            return await self._send(work, places, await self._signed(work, now)), None
        except (PortError, TimeoutError) as err:
            return {}, type(err).__name__

    async def _owner_of(self, domain: str) -> str | None:
        tenant = await self._submit(lambda txn: txn.tenant_of_domain(domain), NOTHING)
        return tenant.tenant_id if tenant is not None else None

    async def _signed(self, work: _Work, now: datetime) -> bytes:
        if work.held.is_inbound:
            return _octets(work)
        return _octets(work, await self._signer().signatures(parse(work.raw), work.own_domains, now, self._owner_of))

    async def _send(self, work: _Work, places: Collection[int], raw: bytes) -> dict[int, Reply]:
        envelope, answers = work.request.envelope, dict[int, Reply]()
        async with asyncio.timeout(SEND_TIMEOUT_S):
            lease = await self._relay.lease()
            try:
                reply = await lease.mail(envelope.reverse_path, envelope.parameters)
                if not reply.is_positive:
                    return dict.fromkeys(places, reply)
                for place in places:
                    answers[place] = await lease.rcpt(envelope.forward_paths[place])
                accepted = [place for place in places if answers[place].is_positive]
                if accepted:
                    said = await self._content(lease, raw)
                    reach("release.sent")
                    for place in accepted[len(said) :]:
                        del answers[place]
                    answers |= dict(zip(accepted, said, strict=False))
            finally:
                await lease.close()
        return answers

    async def _content(self, lease: RelaySession, raw: bytes) -> tuple[Reply, ...]:
        """Send the message; says the answers, of which only the first are there when it broke among them (LMTP)."""
        try:
            return await lease.data(raw)
        except PortError as err:
            known: tuple[Reply, ...] = tuple(getattr(err, "replies", ()))
            if not known:
                raise
            return known

    def _rest(self, item: OutboxItem, progress: _Progress, now: datetime) -> Done:
        """Some are settled: the others are a promise of their own."""
        payload, due_at = progress.payload(item), now + backoff(progress.tries + 1)

        def finish(txn: LedgerTxn) -> None:
            txn.post(RELEASE_TOPIC, payload, due_at=due_at)

        return Done(finish=finish, about=NOTHING)

    def _end(self, progress: _Progress, work: _Work) -> Done:
        held = work.held

        def finish(txn: LedgerTxn) -> None:
            now = txn.held_mail(held.item_id)
            if now is None or now.state is not HeldState.RELEASED:
                return
            _settle(txn, held, progress)

        # Of what waited for a person the rows are the site's.
        whose = EVERYTHING if held.reason == FOR_PERSON else about(accounts=(held.account_id,))
        return Done(finish=finish, about=whose)


def _settle(txn: LedgerTxn, held: HeldMail, progress: _Progress) -> None:
    """Write what has become of it, in one transaction with everything that follows."""
    if not progress.refused:
        txn.move_held(held.item_id, HeldState.RELEASED, HeldState.DELIVERED, by=BY, reason="next_hop")
        return
    if held.reason != FOR_PERSON:
        _ask_a_person(txn, held)
    status = next(iter(progress.refused.values()))
    if held.is_inbound:
        after = HeldState.DELIVERED if progress.taken else HeldState.HELD
        txn.move_held(held.item_id, HeldState.RELEASED, after, by=BY, reason=f"refused {status}")
    elif progress.taken:
        # It stays whole until its sender has the report about the others.
        promise_return(txn, (held,), because="refused", status=status, places=tuple(sorted(progress.refused)))
    else:
        txn.move_held(held.item_id, HeldState.RELEASED, HeldState.RETURNING, by=BY, reason=f"refused {status}")
        promise_return(txn, (held,), because="refused", status=status)


def _read(txn: LedgerTxn, item_id: str) -> _Work | None:
    held, request, found = txn.held_mail(item_id), txn.held_request(item_id), txn.read_held(item_id)
    if held is None or request is None or found is None or held.state is not HeldState.RELEASED:
        return None
    tenant = txn.tenant(held.tenant_id) if held.tenant_id is not None else None
    return _Work(held=held, request=request, raw=found[1], own_domains=tenant.domains if tenant is not None else ())


def _octets(work: _Work, signed: Fields | None = None) -> bytes:
    """Say what the next hop gets: the mail as it came, without what the listener takes out, below our fields."""
    held, request = work.held, work.request
    bare = without_claims(work.raw, (TRACE, *request.remove), request.authserv_id, is_inbound=held.is_inbound)
    trace = f"{held.transaction_id} fp={request.message_fp}"
    # Mail that waited for a person looks like any other.
    trace += f" held={held.item_id}" if held.reason != FOR_PERSON else ""
    above = [x for x in request.fields if x[0] == authres.FIELD]
    below = [x for x in request.fields if x[0] != authres.FIELD]
    return prepend_fields(bare, [*(signed or ()), *above, (TRACE, trace), *below])


def _ask_a_person(txn: LedgerTxn, held: HeldMail) -> None:
    task = r.TaskOpened(
        at=txn.now,
        task_id=derived_id("w", held.item_id, "refused"),
        incident_id="",
        account_id=held.account_id,
        what=TASK,
        warranted="none",
        imposed="none",
        due_at=txn.now + timedelta(days=1),
    )
    known = {x.task_id for x in txn.records(held.account_id) if isinstance(x, r.TaskOpened)}
    if task.task_id not in known:
        txn.append(task, account_id=held.account_id, tenant_id=held.tenant_id)
