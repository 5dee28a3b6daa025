"""What the outbox holds of a notice: which one, about whom, who is still to get it.  HOUSE §4 (later).

Two kinds: about an incident (a statement of reasons is made of the ledger when it goes out), and general ones, which
carry their facts.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from filterd.errors import UsageError
from filterd.model.ids import derived_id
from filterd.pipeline.notice_events import read_facts
from filterd.pipeline.notice_table import EVENTS, Audience, Event
from filterd.ports import OutboxItem

# Who may read about an incident; the second contact only of a hold.
ABOUT_INCIDENT = (Audience.ACCOUNT, Audience.CONTACT, Audience.TENANT, Audience.SECOND)


@dataclass(frozen=True, slots=True, kw_only=True)
class NoticeRequest:
    """One notice about an incident that was promised.

    Args:
        audiences: who is still to get it.
        since: when it was promised.
        deemed_at: when another channel accepted it, None while none has.
        is_fallback: the readers it was meant for could not be reached.
    """

    notice_id: str
    account_id: str
    tenant_id: str | None
    incident_id: str
    templates: tuple[str, ...]
    sanction_ids: tuple[str, ...]
    audiences: tuple[Audience, ...]
    since: datetime
    deemed_at: datetime | None = None
    is_fallback: bool = False

    @classmethod
    def read(cls, item: OutboxItem) -> NoticeRequest:
        """Read an outbox item. Raises UsageError for a payload that names no account, incident or template."""
        given = item.payload
        try:
            return cls(
                notice_id=given.get("notice_id") or derived_id("m", item.item_id),
                account_id=str(given["account_id"]),
                tenant_id=given.get("tenant_id"),
                incident_id=str(given["incident_id"]),
                templates=tuple(given.get("templates") or [item.topic]),
                sanction_ids=tuple(given.get("sanction_ids") or ()),
                audiences=tuple(Audience(x) for x in given.get("audiences") or ABOUT_INCIDENT),
                since=_instant(given.get("since")) or item.created_at,
                deemed_at=_instant(given.get("deemed_at")),
                is_fallback=bool(given.get("is_fallback")),
            )
        except (KeyError, TypeError, ValueError) as err:
            raise UsageError(f"outbox item {item.item_id} is no notice: {err!r}") from err

    @property
    def told(self) -> str:
        """Say what it would be called on record."""
        return "+".join(self.templates)

    @property
    def incident_ids(self) -> tuple[str, ...]:
        return (self.incident_id,)

    def rest(
        self, audiences: Iterable[Audience], deemed_at: datetime | None, since: datetime | None = None
    ) -> Mapping[str, Any]:
        """Make the payload of what is left to do when others are done. `since`: when the time to give up begins anew;
        None: as it was."""
        return {
            "notice_id": self.notice_id,
            "account_id": self.account_id,
            "tenant_id": self.tenant_id,
            "incident_id": self.incident_id,
            "templates": list(self.templates),
            "sanction_ids": list(self.sanction_ids),
            "is_fallback": self.is_fallback,
            **_left(audiences, deemed_at, since or self.since),
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class EventRequest:
    """One general notice that was promised.

    Args:
        account_id, tenant_id: whom it is about; an account's tenant is told with it. Both None: nobody of ours.
        facts: one mapping for each time it happened, of the register's types.
        recipient: the address of Audience.OTHER.
        is_fallback: as in NoticeRequest.
        after: the account before the next page of co-users.
    """

    notice_id: str
    event: str
    account_id: str | None
    tenant_id: str | None
    facts: tuple[Mapping[str, Any], ...]
    raw_facts: tuple[Mapping[str, Any], ...]
    audiences: tuple[Audience, ...]
    recipient: str | None
    since: datetime
    deemed_at: datetime | None = None
    is_fallback: bool = False
    after: str = ""

    @classmethod
    def read(cls, item: OutboxItem) -> EventRequest:
        """Read an outbox item. Raises UsageError for a payload that names no event or lacks a fact of it."""
        given = item.payload
        try:
            event = str(given["event"])
            raw = tuple(given["facts"])
            return cls(
                notice_id=given.get("notice_id") or derived_id("m", item.item_id),
                event=event,
                account_id=given.get("account_id"),
                tenant_id=given.get("tenant_id"),
                facts=tuple(read_facts(event, facts) for facts in raw),
                raw_facts=raw,
                audiences=tuple(Audience(x) for x in given["audiences"]),
                recipient=given.get("recipient"),
                since=_instant(given.get("since")) or item.created_at,
                deemed_at=_instant(given.get("deemed_at")),
                is_fallback=bool(given.get("is_fallback")),
                after=str(given.get("after") or ""),
            )
        except (KeyError, TypeError, ValueError) as err:
            raise UsageError(f"outbox item {item.item_id} is no notice: {err!r}") from err

    @property
    def row(self) -> Event:
        return EVENTS[self.event]

    @property
    def told(self) -> str:
        return self.event

    @property
    def incident_id(self) -> str | None:
        """Say the incident it tells more of, None for none."""
        return self.facts[0].get("incident_id")

    @property
    def incident_ids(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(x["incident_id"] for x in self.facts if x.get("incident_id") is not None))

    def rest(
        self, audiences: Iterable[Audience], deemed_at: datetime | None, since: datetime | None = None
    ) -> Mapping[str, Any]:
        payload = {
            "notice_id": self.notice_id,
            "event": self.event,
            "account_id": self.account_id,
            "tenant_id": self.tenant_id,
            "facts": [dict(x) for x in self.raw_facts],
            "is_fallback": self.is_fallback,
            **_left(audiences, deemed_at, since or self.since),
        }
        return payload if self.recipient is None else {**payload, "recipient": self.recipient}


Request = NoticeRequest | EventRequest


# Who is told instead when nobody who was to read it can be reached (TX-2.1.3, 6.2: the dealer and the desk at last).
_INSTEAD = (Audience.CONTACT, Audience.TENANT, Audience.SECOND, Audience.DEALER, Audience.PARTY)


def fallback(request: Request, known: Collection[Audience], now: datetime) -> Mapping[str, Any] | None:
    """Make the payload of the same notice to those who were not tried; None when there is nobody, it was one already,
    or another channel has accepted it. It is a notice of its own: what came of the first stays on record.

    Args:
        known: who has an address.
    """
    if request.is_fallback or request.tenant_id is None or request.deemed_at is not None:
        return None
    if isinstance(request, EventRequest) and request.row.is_private:
        return None
    # The second contact stands among the readers of an incident for holds alone: it may be untried.
    is_tried = set(request.audiences) - ({Audience.SECOND} if isinstance(request, NoticeRequest) else set())
    others = [x for x in _INSTEAD if x in known and x not in is_tried]
    if not others:
        return None
    again = {"notice_id": derived_id("m", request.notice_id, "again"), "is_fallback": True}
    return {**request.rest(others, None, now), **again}


def read_request(item: OutboxItem) -> Request:
    """Read an outbox item of either kind. Raises UsageError for a payload that is neither."""
    return EventRequest.read(item) if "event" in item.payload else NoticeRequest.read(item)


def _left(audiences: Iterable[Audience], deemed_at: datetime | None, since: datetime) -> dict[str, Any]:
    return {
        "audiences": [audience.value for audience in audiences],
        "since": since.isoformat(),
        "deemed_at": deemed_at.isoformat() if deemed_at is not None else None,
    }


def _instant(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text else None
