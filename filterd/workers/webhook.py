"""Tell the operator's other systems what became of a notice.  STANDING 2.8: Standard Webhooks, CloudEvents 1.0.

Codes, ids, numbers and instants only: no address, no text of a notice. One outbox item an endpoint and
event, promised in the transaction that records the notice; the receiver knows a second copy by `webhook-id`, which is
also the CloudEvent's id. Tried for three days as everything in the outbox. An endpoint that answers 410 is left alone
until the next start; one that counts as a notice (its operator hands on what it says) makes a record when it accepts.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any, Protocol

from filterd.errors import ConfigError, PortError
from filterd.model.entry import SITE
from filterd.model.ids import derived_id
from filterd.model.records import ClockStruck, NoticeSent, Record
from filterd.pipeline.notice_requests import EventRequest, Request
from filterd.pipeline.site_clock import CLOSED, is_closed
from filterd.ports import Clock, FollowUp, LedgerTxn, OutboxItem, Promise
from filterd.workers.outbox import GIVE_UP_AFTER, Again, Done, about_record

TOPIC = "webhook"
TYPE_PREFIX = "filterd.notice."
# The last event a receiver gets.
CLOSED_TYPE = "filterd.site.closed"
CHANNEL = "webhook"


class Endpoint(Protocol):
    """What is known of a receiver here."""

    @property
    def name(self) -> str: ...

    @property
    def counts_as_notice(self) -> bool: ...


Post = Callable[[Any, str, datetime, bytes], Awaitable[int]]


class Webhooks:
    """Fulfils workers.outbox.Herald, and Carrier for TOPIC.

    Args:
        post: sends one; raises PortError, not temporary when the receiver wants no more.
        source: CloudEvents `source`, this node.
        on_closed: the name of an endpoint that wants no more.
    """

    def __init__(
        self,
        endpoints: Sequence[Endpoint],
        post: Post,
        clock: Clock,
        *,
        source: str,
        on_closed: Callable[[str], None] = lambda _: None,
    ):
        self._endpoints = {endpoint.name: endpoint for endpoint in endpoints}
        self._post, self._clock, self._source, self._on_closed = post, clock, source, on_closed
        self._closed: set[str] = set()

    @property
    def closed(self) -> Collection[str]:
        """The endpoints that have answered 410 since the start."""
        return frozenset(self._closed)

    def herald(self, txn: LedgerTxn, record: NoticeSent, request: Request) -> None:
        """Promise one event to each endpoint; none once the site is closed, whose last event they have (TX-8.2.8)."""
        if is_closed(txn):
            return
        for name in self._endpoints:
            if name not in self._closed:
                payload = {"endpoint": name, "event": event_of(record, request, self._source)}
                txn.post(TOPIC, payload, due_at=txn.now)

    async def carry(self, item: OutboxItem, now: datetime) -> Done | Again:
        endpoint = self._endpoints.get(str(item.payload.get("endpoint")))
        event: Mapping[str, Any] = item.payload["event"]
        if endpoint is None or endpoint.name in self._closed:
            return Done(finish=_nothing)
        body = json.dumps(event, ensure_ascii=False, separators=(",", ":"), sort_keys=True).encode()
        try:
            await self._post(endpoint, str(event["id"]), now, body)
        except PortError as err:
            if not err.temporary:
                self._closed.add(endpoint.name)
                self._on_closed(endpoint.name)
                return Done(finish=_nothing)
            if now - item.created_at >= GIVE_UP_AFTER:
                is_last = event["type"] == CLOSED_TYPE
                return Done(finish=_nothing) if is_last else self._done(endpoint, event, "failed")
            return Again(error=str(err))
        except ConfigError as err:
            return Again(error=str(err))
        if event["type"] == CLOSED_TYPE:
            # Nothing comes after the last event.
            self._closed.add(endpoint.name)
            return Done(finish=_nothing)
        return self._done(endpoint, event, "accepted")

    def _done(self, endpoint: Endpoint, event: Mapping[str, Any], outcome: str) -> Done:
        at, data = self._clock.now(), event["data"]
        counts = endpoint.counts_as_notice and outcome == "accepted"
        record = NoticeSent(
            at=at,
            notice_id=data["notice_id"],
            account_id=data["account_id"],
            tenant_id=data["tenant_id"],
            incident_ids=tuple(data["incident_ids"]),
            template=data["template"],
            template_version=data["template_version"],
            languages=(),
            channel=f"{CHANNEL}:{endpoint.name}",
            outcome=outcome if counts or outcome == "failed" else "posted",
            deemed_at=at if counts else None,
            body_digest="",
        )
        account_id, tenant_id = record.account_id or None, record.tenant_id or None

        def finish(txn: LedgerTxn) -> None:
            txn.append(replace(record, at=txn.now), account_id=account_id, tenant_id=tenant_id)

        return Done(finish=finish, about=about_record(record))


def final_promises(endpoints: Sequence[str], source: str) -> FollowUp:
    """Say what a webhook is told last: that this site is closed, on the day it closes (TX-8.2.8)."""

    def follow_up(record: Record, account_id: str | None, tenant_id: str | None) -> Iterable[Promise]:
        if not isinstance(record, ClockStruck) or record.clock != CLOSED:
            return
        event = {
            "specversion": "1.0",
            "id": derived_id("w", record.object_id),
            "source": source,
            "type": CLOSED_TYPE,
            "subject": SITE,
            "time": record.due_at.isoformat(),
            "datacontenttype": "application/json",
            "data": {"closed_at": record.due_at.isoformat()},
        }
        for name in endpoints:
            payload = {"endpoint": name, "event": event}
            yield Promise(topic=TOPIC, payload=payload, merge_key=f"{TOPIC}:{CLOSED}:{name}")

    return follow_up


def event_of(record: NoticeSent, request: Request, source: str) -> dict[str, Any]:
    """Make the CloudEvent of one outcome of a notice."""
    data = {
        "notice_id": record.notice_id,
        "template": record.template,
        "template_version": record.template_version,
        "account_id": record.account_id,
        "tenant_id": record.tenant_id,
        "incident_ids": list(record.incident_ids),
        "outcome": record.outcome,
        "channels": record.channel.split("+"),
        "deemed_at": record.deemed_at.isoformat() if record.deemed_at is not None else None,
        "body_digest": record.body_digest,
        "facts": [dict(x) for x in request.raw_facts] if isinstance(request, EventRequest) else [],
    }
    return {
        "specversion": "1.0",
        "id": derived_id("w", record.notice_id, record.channel, record.outcome, record.at.isoformat()),
        "source": source,
        "type": TYPE_PREFIX + record.template.partition("+")[0],
        "subject": record.account_id or record.tenant_id,
        "time": record.at.isoformat(),
        "datacontenttype": "application/json",
        "data": {key: data[key] for key in sorted(data)},
    }


def _nothing(_: LedgerTxn) -> None:
    return None
