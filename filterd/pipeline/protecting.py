"""Whom a hold and its end are told to.  STANDING 5.4 row 9, 5.7-14.

Promises only, in the transaction that makes them true. A hold with an incident is told of in that incident's notice,
any other in its own. What programs outside do for a hold follows from its row: pipeline/effects.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta

from filterd.agreement.terms import Agreement
from filterd.model import records as r
from filterd.model.entry import SITE
from filterd.model.ids import derived_id
from filterd.model.sanction import Feature
from filterd.model.security import WATCHED
from filterd.pipeline.notice_events import Facts, announce_event
from filterd.ports import LedgerTxn

EFFECT = "effect"
MTA_QUEUE, CREDENTIALS = "mta_queue", "credentials"
HOLD, RELEASE, REVOKE = "hold", "release", "revoke"


def follow_hold(txn: LedgerTxn, hold: r.HoldPlaced) -> None:
    """Promise the notice of a hold that was just placed; what programs outside do follows from its row (effects)."""
    if not hold.incident_id:
        tell_hold(txn, hold)


def tell_hold(txn: LedgerTxn, hold: r.HoldPlaced) -> None:
    """Promise the notice of a hold: to the user, outside the mailbox too, the administrator and the second contact."""
    facts: Facts = {
        "hold_id": hold.hold_id,
        "because": hold.because,
        "starts_at": hold.starts_at,
        "ends_at": hold.ends_at,
        "features": texts(hold.features),
        "is_reminder": False,
    }
    announce_event(txn, "security_hold", hold.account_id, facts)


def follow_end(
    txn: LedgerTxn,
    hold: r.HoldPlaced,
    ended: r.HoldReleased | r.HoldAttested,
    because: str,
) -> None:
    """Promise the notice of a hold's end."""
    facts: Facts = {
        "hold_id": hold.hold_id,
        "at": ended.at,
        "because": because,
        "watch_until": ended.watch_until,
        "watch_features": texts(ended.watch_features if ended.watch_until is not None else ()),
    }
    announce_event(txn, "protection_ended", hold.account_id, facts)


def texts(features: tuple[Feature, ...]) -> tuple[str, ...]:
    """Say features as a notice names them."""
    return tuple(str(f) for f in features)


def object_to_holds(
    txn: LedgerTxn, holds: Iterable[r.HoldPlaced], account_id: str, tenant_id: str, terms: Agreement, *, channel: str
) -> int:
    """Record an objection to each hold that has none yet, and promise its acknowledgement; say how many there were.

    It opens nothing by itself: a person answers, or the trickle comes earlier (STANDING 5.6).
    """
    objected = {x.sanction_id for x in txn.history(account_id).of(r.ObjectionFiled)}
    filed = 0
    for hold in holds:
        if hold.because == WATCHED or hold.hold_id in objected:
            continue
        appeal_id = derived_id("p", hold.hold_id)
        objection = r.ObjectionFiled(
            at=txn.now,
            appeal_id=appeal_id,
            sanction_id=hold.hold_id,
            incident_id=hold.incident_id,
            account_id=account_id,
            channel=channel,
        )
        txn.append(objection, account_id=account_id, tenant_id=tenant_id)
        facts: Facts = {
            "appeal_id": appeal_id,
            "incident_id": hold.incident_id or hold.hold_id,
            "filed_at": txn.now,
            "decide_by": txn.now + timedelta(hours=terms.incident.objection_hours),
        }
        announce_event(txn, "appeal_acknowledged", account_id, facts)
        filed += 1
    return filed


def tenant_opened_at(txn: LedgerTxn, tenant_id: str | None, terms: Agreement) -> datetime | None:
    """Say when a tenant came to us; None where nobody can say: one that our record has almost from its own beginning
    on may be an old customer, and is not taken for a young one."""
    return young_since(*opening_of(txn, tenant_id), terms) if tenant_id is not None else None


def opening_of(txn: LedgerTxn, tenant_id: str) -> tuple[datetime | None, datetime | None]:
    """Say when a tenant was opened, and when our record began; None where no row says so. Reads all rows of both."""
    opened = next((x.at for x in txn.records(tenant_id) if isinstance(x, r.TenantOpened)), None)
    return opened, next((x.at for x in txn.records(SITE)), None)


def young_since(opened: datetime | None, began: datetime | None, terms: Agreement) -> datetime | None:
    """Say since when a tenant may count as a young one; None where nobody can say."""
    if opened is None or began is None or opened - began < timedelta(days=terms.security.young_tenant_days):
        return None
    return opened
