"""Was the other party told in writing, and long enough ago?  AL-7.1.

Where an agreement asks for it, nobody imposes more than a warning without a notice that was received: not a machine and
not a person, whatever the reason.
"""

from __future__ import annotations

from datetime import timedelta

from filterd.agreement.terms import Agreement
from filterd.errors import RefusedError, UsageError
from filterd.model import records as r
from filterd.model.principal import Account
from filterd.ports import LedgerTxn

# What such a notice is: that of a warning.
TEMPLATE = "warning"


def written_notice(txn: LedgerTxn, account: Account, terms: Agreement, said: str | None) -> r.NoticeSent | None:
    """Find the written notice a sanction may rest on; None where the agreement asks for none.

    Args:
        said: its id, or that of the warning or case it told of.

    Raises:
        RefusedError: none was named, it has not been received, or not long enough ago.
        UsageError: there is no such notice.
    """
    hours = terms.incident.suspension_notice_hours
    if hours is None:
        return None
    if not said:
        raise RefusedError(
            f"agreement {terms.id} asks for a written notice first: impose a warning, and name its notice with --notice"
        )
    notice = _find(txn, account, said)
    if notice.deemed_at is None or notice.outcome != "accepted":
        raise RefusedError(f"{notice.notice_id} was not received: no channel has accepted it")
    from_then = notice.deemed_at + timedelta(hours=hours)
    if txn.now < from_then:
        raise RefusedError(
            f"{notice.notice_id} was received at {notice.deemed_at.isoformat()}; more than a warning may follow"
            f" {hours} hours later, from {from_then.isoformat()} on"
        )
    return notice


def _find(txn: LedgerTxn, account: Account, said: str) -> r.NoticeSent:
    """Find a notice of a warning whose case still stands; of several the first that was received."""
    records = txn.records(account.account_id)
    annulled = {x.incident_id for x in records if isinstance(x, r.StrikeAnnulled)}
    # Taken back: the mail came home, and that was our fault (TX-6.2).
    unheard = {x.notice_id for x in records if isinstance(x, r.NoticeBounced) and not x.is_theirs}
    warned = {
        x.incident_id
        for x in records
        if isinstance(x, r.SanctionImposed) and said in (x.sanction_id, x.incident_id)
    }
    prefix = said.split("_", 1)[-1]
    found = [
        x
        for x in records
        if isinstance(x, r.NoticeSent)
        and TEMPLATE in x.template.split("+")
        and x.notice_id not in unheard
        and not annulled & set(x.incident_ids)
        and (
            x.notice_id == said
            or warned & set(x.incident_ids)
            or (prefix and any(i.split("_", 1)[-1].startswith(prefix) for i in x.incident_ids))
        )
    ]
    if not found:
        raise UsageError(f"{account.account_id} has no written notice {said}")
    return min(found, key=lambda x: (x.deemed_at is None, x.deemed_at or x.at))
