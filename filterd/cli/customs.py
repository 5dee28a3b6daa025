"""What a recovery needs of the rest of the house: notices, as the ledger's half would have promised them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from filterd.errors import FilterdError
from filterd.model import records as r
from filterd.model.decision import NoticeDue
from filterd.model.sanction import Rung
from filterd.pipeline.notice_requests import read_request
from filterd.pipeline.verbs import EVIDENCE_AFTER_EXPIRY, DeskRules, MailVerbs
from filterd.ports import LedgerTxn, OutboxItem
from filterd.workers.outbox import TOPICS

if TYPE_CHECKING:
    from filterd.ledger.recovery import Customs

_TEMPLATES = {Rung.WARN: "warning", Rung.RESTRICT: "restriction", Rung.SUSPEND: "suspension"}


def customs(rules: DeskRules) -> Customs:
    """Say how notices are told apart and promised under these rules."""
    from filterd.ledger.recovery import Customs

    mail = MailVerbs(rules)

    def promise(txn: LedgerTxn, record: r.Record, account_id: str, tenant_id: str | None) -> bool:
        notice = notice_for(txn, record, account_id)
        if notice is not None:
            mail.announce(txn, notice, tenant_id)
        return notice is not None

    return Customs(notice_of=_notice_of, promise=promise, evidence_after=EVIDENCE_AFTER_EXPIRY)


def notice_for(txn: LedgerTxn, record: r.Record, account_id: str) -> NoticeDue | None:
    """Say which notice a record calls for, None for none."""
    match record:
        case r.SanctionImposed() if record.rung in _TEMPLATES:
            return NoticeDue(
                template=_TEMPLATES[record.rung],
                account_id=account_id,
                incident_id=record.incident_id,
                sanction_ids=(record.sanction_id,),
            )
        case r.HoldPlaced():
            return NoticeDue(template="hold", account_id=account_id, incident_id=record.incident_id)
        case r.StrikeAnnulled():
            owned = (x.imposed for x in txn.history(account_id).sanctions)
            return NoticeDue(
                template="annulled",
                account_id=account_id,
                incident_id=record.incident_id,
                sanction_ids=tuple(x.sanction_id for x in owned if x.incident_id == record.incident_id),
            )
        case r.ObjectionFiled():
            return NoticeDue(
                template="objection_received",
                account_id=account_id,
                incident_id=record.incident_id,
                sanction_ids=(record.sanction_id,),
            )
        case _:
            return None


def _notice_of(item: OutboxItem) -> str | None:
    if item.topic not in TOPICS:
        return None
    try:
        return read_request(item).notice_id
    except FilterdError:
        return None
