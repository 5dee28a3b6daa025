"""Whose a queued mail is, and whether it is a copy of a campaign.  STANDING 5.7-14, 5.7-20.

Where the search index is kept, the event stream says it by queue id (the next hop's reply to the mail); else the
envelope sender says whose it is, and nobody of which campaign. Of short queue ids, which Postfix uses again, only what
was heard since the mail arrived counts. Blocking: for a thread.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta

from filterd.errors import FilterdError
from filterd.mail.names import canonical_login
from filterd.model.found import MailQuery
from filterd.pipeline.campaign import has_text
from filterd.pipeline.copies import Copy
from filterd.pipeline.effects import QueueOrder
from filterd.ports import QueuedMail, VerdictIndex

# postqueue says whole seconds, and clocks of two programs differ a little.
_CLOCK_S = timedelta(seconds=60)
# For how long mail stays in a queue (postconf(5): maximal_queue_lifetime, five days) and then some.
_QUEUED_AT_MOST = timedelta(days=10)
_MAILS_AT_MOST = 200_000
# One queue file is the answer to one mail; more answers with its id are other mails under a short id used again.
_SENT_AS = 5


class QueuedMails:
    """What the index knows of mails in the queue; without one, what envelopes say."""

    def __init__(self, index: VerdictIndex | None, now: Callable[[], datetime]):
        self._index, self._now = index, now

    def of_account(self, order: QueueOrder, mails: Sequence[QueuedMail]) -> list[QueuedMail]:
        """Say which queued mails are the account's."""
        since_us = _micros(self._now() - _QUEUED_AT_MOST)
        known: dict[str, int] = {}
        if self._index is not None:
            query = MailQuery(account_id=order.account_id, since_us=since_us, limit=_MAILS_AT_MOST)
            for found in self._index.find(query):
                if found.answer is not None and found.answer.queue_id is not None:
                    known[found.answer.queue_id] = max(found.answer.at_us, known.get(found.answer.queue_id, 0))
        return [m for m in mails if self._is_mine(m, order, known)]

    def _is_mine(self, mail: QueuedMail, order: QueueOrder, known: dict[str, int]) -> bool:
        arrived_us = _micros(mail.arrived_at - _CLOCK_S)
        if known.get(mail.queue_id, 0) >= arrived_us:
            return True
        if not _is_own(mail.sender, order.addresses):
            return False
        if self._index is None:
            return True
        # Whoever was authenticated counts, not whose address stands in the envelope.
        others = self._index.find(MailQuery(queue_id=mail.queue_id, since_us=arrived_us, limit=1))
        return all(found.judged.account_id in (None, order.account_id) for found in others)

    def parted(self, order: QueueOrder, mails: Sequence[QueuedMail]) -> tuple[frozenset[str], frozenset[str]]:
        """Say which of the kept mails are campaign copies, and which are known not to be. What the event stream does
        not know, and everything where nobody knows the campaign, is neither."""
        if self._index is None or not order.campaign.is_known:
            return frozenset(), frozenset()
        copies, others = set(), set()
        for mail in mails:
            if mail.queue_id not in order.kept:
                continue
            query = MailQuery(queue_id=mail.queue_id, since_us=_micros(mail.arrived_at - _CLOCK_S), limit=_SENT_AS)
            found = [x.judged for x in self._index.find(query)]
            if any(x.account_id == order.account_id and order.campaign.has(x) for x in found):
                copies.add(mail.queue_id)
            elif found and all(x.account_id == order.account_id and has_text(x) for x in found):
                others.add(mail.queue_id)
        return frozenset(copies), frozenset(others)

    def delivered(self, order: QueueOrder) -> tuple[Copy, ...]:
        """Say which copies went on: when, to whom, and what the next hop calls them."""
        if self._index is None or order.campaign.since is None:
            return ()
        since_us = _micros(max(self._now() - _QUEUED_AT_MOST, order.campaign.since))
        query = MailQuery(account_id=order.account_id, since_us=since_us, limit=_MAILS_AT_MOST)
        out: dict[str, Copy] = {}
        for found in self._index.find(query):
            mail, answer = found.judged, found.answer
            if mail.tx is None or answer is None or answer.event != "delivered" or not order.campaign.has(mail):
                continue
            if answer.queue_id in order.held:
                # The next hop has it and nobody got it.
                continue
            at = datetime.fromtimestamp(answer.at_us / 1_000_000, UTC)
            out[mail.tx] = Copy(tx=mail.tx, at=at, recipients=frozenset(mail.recipients), queue_id=answer.queue_id)
        return tuple(out.values())


def _is_own(sender: str, addresses: frozenset[str]) -> bool:
    try:
        return canonical_login(sender) in addresses
    except FilterdError:
        return False


def _micros(at: datetime) -> int:
    return int(at.timestamp() * 1_000_000)
