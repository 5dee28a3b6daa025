"""Send held mail back to who sent it: one report a campaign, with one sample and all recipients.  STANDING 5.7-23.

To the authenticated sender's own mailbox, with the null reverse-path; never to whom the envelope names. At least once,
under the same Message-ID. Whoever cannot be reached is told by other channels, without the content, and a person is
asked. Mail that would harm whoever opens it comes back as its header. The outbox's topic `return`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from email.utils import parseaddr
from typing import Any

from filterd.errors import FilterdError, PeerError, PortError
from filterd.mail.bounce import Undelivered, compose_report, parameter
from filterd.mail.excerpt import header_block
from filterd.markers import reach
from filterd.model import records as r
from filterd.model.about import EVERYTHING, NOTHING, about
from filterd.model.held import FOR_PERSON, HeldMail, HeldState, HoldRequest
from filterd.model.ids import derived_id
from filterd.model.reply import Reply
from filterd.pipeline.notice_events import Fact, announce_event, check_facts
from filterd.pipeline.notice_letters import EventFacts
from filterd.pipeline.notice_mail import Delayed, NoticeDesk
from filterd.pipeline.notice_requests import read_request
from filterd.pipeline.notice_table import Audience
from filterd.pipeline.quarantine_acts import RETURN_TOPIC as RETURN_TOPIC
from filterd.ports import LedgerTxn, Mailer, OutboxItem
from filterd.workers.outbox import GIVE_UP_AFTER, SEND_TIMEOUT_S, Again, Done, Submit

BY = "system"
TASK = "held mail: its sender cannot be reached"
EVENT = "message_returned"
# Why it comes back: the next hop did not take it (quarantine_acts.promise_return).
REFUSED = "refused"
PLAIN_SUBJECT = "Your mail was not delivered / 您的邮件未能投递"
PLAIN_TEXT = """\
The next mail server did not take this mail for the recipients named below. It is attached.

下一台邮件服务器未接收发往下列收件人的这封邮件。原邮件见附件。
"""
# RFC 3463: the message, or the mailbox for it, is too large.
_TOO_LARGE = frozenset({"5.2.3", "5.3.4"})


@dataclass(frozen=True, slots=True, kw_only=True)
class _Item:
    held: HeldMail
    request: HoldRequest
    # The places of the recipients the report is about.
    places: tuple[int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Work:
    """A report to be written. `raw`: of the sample, which is the first item's."""

    items: tuple[_Item, ...]
    raw: bytes
    facts: EventFacts
    told: Mapping[str, Any]


class Returns:
    """Fulfils workers.outbox.Carrier for RETURN_TOPIC.

    Args:
        desk: words the part for people.
        hostname: how the report calls this host.
    """

    def __init__(
        self,
        submit: Submit,
        desk: Callable[[], NoticeDesk],
        mailer: Mailer,
        *,
        hostname: str,
    ):
        self._submit, self._desk, self._mailer = submit, desk, mailer
        self._hostname = hostname
        self._answered: dict[str, Done] = {}

    async def carry(self, item: OutboxItem, now: datetime) -> Done | Again:
        known = self._answered.get(item.item_id)
        if known is not None:
            return known
        try:
            return await self._carry(item, now)
        except Exception as err:
            # As with what is released: the promise stands.
            return Again(error=f"{type(err).__name__}: {err}" if isinstance(err, FilterdError) else type(err).__name__)

    async def _carry(self, item: OutboxItem, now: datetime) -> Done | Again:
        desk = self._desk()
        work = await self._submit(lambda txn: _read(txn, desk, item), NOTHING)
        if work is None:
            return Done(finish=lambda _: None)
        if isinstance(work, Delayed):
            return Again(error="an authority forbids telling", due_at=work.until)
        to = work.facts.account.login if work.facts.account is not None else None
        answer, reply = "no address", None
        if to is not None and "@" in to:
            try:
                async with asyncio.timeout(SEND_TIMEOUT_S):
                    reply = await self._offer(desk, item, work, to, now)
                answer = str(reply.code)
            except PeerError as err:
                answer = type(err).__name__
            except (PortError, TimeoutError) as err:
                if now - item.created_at < GIVE_UP_AFTER:
                    return Again(error=type(err).__name__)
                answer = type(err).__name__
        if reply is not None and 400 <= reply.code < 500 and now - item.created_at < GIVE_UP_AFTER:
            return Again(error=f"the next hop answers {reply.code}")
        is_sent = reply is not None and reply.is_positive
        is_refused = item.payload.get("because") == REFUSED
        done = self._end(work, is_sent=is_sent, answer=answer, is_refused=is_refused)
        if is_sent:
            self._answered = {**dict(list(self._answered.items())[-500:]), item.item_id: done}
        return done

    async def _offer(self, desk: NoticeDesk, item: OutboxItem, work: _Work, to: str, now: datetime) -> Reply:
        """Send the report; without the content where that is too large, or asked for, or harmful."""
        first = work.items[0]
        wants_header = (parameter(first.request.envelope.parameters, b"RET") or b"").upper() == b"HDRS"
        is_whole = not wants_header and not first.held.facts.is_harmful
        reply = await self._mailer.send(self._report(desk, item, work, to, now, is_whole=is_whole), to)
        if is_whole and (reply.code == 552 or reply.enhanced in _TOO_LARGE):
            reply = await self._mailer.send(self._report(desk, item, work, to, now, is_whole=False), to)
        reach("return.sent")
        return reply

    def _report(
        self, desk: NoticeDesk, item: OutboxItem, work: _Work, to: str, now: datetime, *, is_whole: bool
    ) -> bytes:
        notice = desk.copies(work.facts, now, (Audience.ACCOUNT,))[Audience.ACCOUNT]
        name, sender = parseaddr(desk.sender_of(work.facts))
        first, status = work.items[0], str(item.payload.get("status") or "5.7.1")
        subject, text = notice.subject, notice.text
        if item.payload.get("because") == REFUSED:
            # It was the next hop. Why a mail waited before is not said of any, so that the words tell of none.
            subject, text = PLAIN_SUBJECT, PLAIN_TEXT
        parameters = first.request.envelope.parameters
        return compose_report(
            sender=sender,
            sender_name=name or None,
            to=to,
            subject=subject,
            text=text,
            message_id=f"<{derived_id('m', item.item_id)}.return@{sender.rpartition('@')[2]}>",
            date=now,
            reporting_mta=self._hostname,
            arrived_at=first.held.held_at,
            recipients=tuple(
                Undelivered(
                    address=x.request.envelope.forward_paths[place].path.address,
                    status=status,
                    original=parameter(x.request.envelope.forward_paths[place].parameters, b"ORCPT"),
                )
                for x in work.items
                for place in x.places
            ),
            envelope_id=parameter(parameters, b"ENVID"),
            original=work.raw if is_whole else header_block(work.raw),
            is_whole=is_whole,
            is_utf8=any(x.upper() == b"SMTPUTF8" for x in parameters),
        )

    def _end(self, work: _Work, *, is_sent: bool, answer: str, is_refused: bool) -> Done:
        account_id = work.items[0].held.account_id
        is_site = any(x.held.reason == FOR_PERSON for x in work.items)

        def finish(txn: LedgerTxn) -> None:
            for item in work.items:
                held = txn.held_mail(item.held.item_id)
                after = _AFTER.get(held.state) if held is not None else None
                if held is None or after is None:
                    continue
                reason = "sender" if is_sent else f"sender unreachable: {answer}"
                txn.move_held(held.item_id, held.state, after, by=BY, reason=reason)
            if not is_sent and not (is_site and is_refused):
                # By whatever other way there is; the content goes to nobody else.
                announce_event(txn, EVENT, account_id, work.told)
                _ask_a_person(txn, work.items[0].held)

        # Of what waited for a person the rows are the site's, and where nobody decided against it there are no others:
        # a task or a notice of the account would tell of a hit.
        return Done(finish=finish, about=EVERYTHING if is_site else about(accounts=(account_id,)))


# What each mail of a report becomes: one of which others had it is delivered, all others are returned.
_AFTER = {HeldState.RETURNING: HeldState.RETURNED, HeldState.RELEASED: HeldState.DELIVERED}


def _read(txn: LedgerTxn, desk: NoticeDesk, item: OutboxItem) -> _Work | Delayed | None:
    """Gather what a report says. None: nothing of it is on its way back any more."""
    given = item.payload
    wanted = given.get("places")
    items: list[_Item] = []
    for item_id in given["item_ids"]:
        held, request = txn.held_mail(str(item_id)), txn.held_request(str(item_id))
        if held is None or request is None or held.state not in _AFTER:
            continue
        places = tuple(wanted) if wanted else tuple(range(len(request.envelope.forward_paths)))
        items.append(_Item(held=held, request=request, places=places))
    sample = txn.read_held(items[0].held.item_id) if items else None
    if sample is None:
        return None
    told: dict[str, Fact] = {
        "held_id": items[0].held.item_id,
        "held_at": items[0].held.held_at,
        "returned_at": txn.now,
        "copies": len(items),
        "recipients": sum(len(x.places) for x in items),
    }
    payload = {
        "event": EVENT,
        "account_id": given["account_id"],
        "tenant_id": given["tenant_id"],
        "audiences": [Audience.ACCOUNT.value],
        "facts": [check_facts(EVENT, told)],
    }
    facts = desk.gather(txn, read_request(replace(item, payload=payload)))
    if isinstance(facts, Delayed):
        return facts
    if not isinstance(facts, EventFacts):
        return None
    return _Work(items=tuple(items), raw=sample[1], facts=facts, told=told)


def _ask_a_person(txn: LedgerTxn, held: HeldMail) -> None:
    task = r.TaskOpened(
        at=txn.now,
        task_id=derived_id("w", held.item_id, "unreachable"),
        incident_id="",
        account_id=held.account_id,
        what=TASK,
        warranted="none",
        imposed="none",
        due_at=txn.now + timedelta(days=1),
    )
    txn.append(task, account_id=held.account_id, tenant_id=held.tenant_id)
