"""Which mail of ours is a delivery report about?  Looks it up in the search index; the outbox's topic `bounce`.

The record of what we sent says it, and not the report (pipeline/bounces). Without an index nothing is counted of what
comes by mail; `filterd complaint import` reads the same reports from files. Temporary: an index that is away.
"""

from __future__ import annotations

import asyncio
from datetime import datetime, timedelta
from typing import Any

from filterd.errors import PortError
from filterd.log.search import micros
from filterd.model.about import about
from filterd.model.found import JudgedMail, MailQuery
from filterd.pipeline.bounces import count
from filterd.ports import LedgerTxn, OutboxItem, VerdictIndex
from filterd.workers.outbox import GIVE_UP_AFTER, Again, Done

# For how long a mail server may try before it reports (RFC 5321 §4.5.4.1: four or five days), and then some.
SENT_WITHIN = timedelta(days=14)
# A Message-ID may stand in many mails: of these the latest are looked at.
_MOST_FOUND = 5_000


class BounceSearch:
    """Fulfils workers.outbox.Carrier for the topic. `index` None: there is none."""

    def __init__(self, index: VerdictIndex | None):
        self._index = index

    async def carry(self, item: OutboxItem, now: datetime) -> Done | Again:
        try:
            found = await asyncio.to_thread(self._look, item.payload, now)
        except PortError as err:
            return Again(error=str(err)) if now - item.created_at < GIVE_UP_AFTER else Done(finish=_nothing)
        if not found:
            # A forgery, or about mail nobody knows any more.
            return Done(finish=_nothing)
        failed, tenants = item.payload["failed"], item.payload["tenants"]

        def finish(txn: LedgerTxn) -> None:
            count(txn, [x.as_sent() for x in found], failed, tenants)

        return Done(finish=finish, about=about(tenants=tenants, accounts={x.account_id for x in found}))

    def _look(self, payload: dict[str, Any], now: datetime) -> list[JudgedMail]:
        """Say the mails of ours that a report may be about, one it names by our own id first. Raises PortError."""
        if self._index is None:
            return []
        since_us = micros(now - SENT_WITHIN)
        known: list[JudgedMail] = []
        if payload["transactions"]:
            query = MailQuery(since_us=since_us, limit=_MOST_FOUND)
            known += [x.judged for x in self._index.find(query, payload["transactions"])]
        if payload["message_ids"]:
            query = MailQuery(message_ids=frozenset(payload["message_ids"]), since_us=since_us, limit=_MOST_FOUND)
            known += [x.judged for x in self._index.find(query)]
        named = {who for people in payload["failed"] for who in people}
        return [x for x in known if x.was_sent and not named.isdisjoint(x.recipients)]


def _nothing(_: LedgerTxn) -> None:
    return None
