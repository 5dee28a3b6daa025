"""Time makes known, and carries out, what concerns the whole site.  TX-4.1.4, 4.3.2, 8.2.8.

On the day intake ends, tokens of programs are worth nothing any more; webhooks get a last event (app/follow_up). On the
last day that was said, whatever is still kept of anybody is shredded: who is under a legal hold comes last, and the
rows stay and verify.
"""

from __future__ import annotations

import secrets
from datetime import datetime

from filterd.agreement.due import Due
from filterd.agreement.due_site import CLOSED as CLOSED
from filterd.agreement.due_site import ERASED, of_site
from filterd.agreement.registration import marks
from filterd.agreement.shutdown import closes_at, decommission
from filterd.model import records as r
from filterd.model.entry import SITE
from filterd.model.evidence import frozen
from filterd.pipeline.clockwork import Struck
from filterd.pipeline.people import SERVICE, TOKEN_BYTES
from filterd.pipeline.purge import erase_one
from filterd.ports import LedgerTxn

# One transaction shreds so many; the rest waits for the next.
PAGE = 200


def strike_site(txn: LedgerTxn, at: datetime, *, is_dry: bool = False, may_erase: bool = True) -> tuple[Struck, ...]:
    """Strike what is due for the site at `at`.

    Args:
        may_erase: whether the clock can be trusted with the last day (STANDING 5.7-16).
    """
    struck = []
    for item in of_site(txn.history(SITE), at):
        if item.clock == ERASED and not may_erase:
            continue
        if not is_dry and not _carried_out(txn, item):
            # A page of it; it strikes when nothing is left.
            continue
        struck.append(
            Struck(
                clock=item.clock,
                subject_id=SITE,
                object_id=item.object_id,
                due_at=item.due_at,
                is_alarm=item.is_alarm,
            )
        )
    return tuple(struck)


def is_closed(txn: LedgerTxn) -> bool:
    """Say whether this site takes no mail any more, for good."""
    at = closes_at(txn.history(SITE))
    return at is not None and at <= txn.now


def is_shredding(txn: LedgerTxn, at: datetime) -> bool:
    """Say whether the last day has come and something is left."""
    return any(item.clock == ERASED for item in of_site(txn.history(SITE), at))


def _carried_out(txn: LedgerTxn, item: Due) -> bool:
    if item.clock == CLOSED:
        _close_keys(txn)
    if item.task is not None:
        txn.append(item.task, account_id=None, tenant_id=None)
    if item.clock == ERASED and not _shredded(txn):
        return False
    row = r.ClockStruck(at=txn.now, clock=item.clock, subject_id=SITE, object_id=item.object_id, due_at=item.due_at)
    txn.append(row, account_id=None, tenant_id=None)
    return True


def _close_keys(txn: LedgerTxn) -> None:
    """Give every program a token that nobody knows."""
    for name, role in txn.people():
        if role == SERVICE:
            txn.put_person(name, role, f"closed_{secrets.token_urlsafe(TOKEN_BYTES)}")


def _shredded(txn: LedgerTxn) -> bool:
    """Shred a page of what is left; say whether nothing is."""
    order = decommission(txn.history(SITE))
    if order is None:
        return True
    # An erased tenant keeps its id and has no name.
    left = [*(x.account_id for x in txn.accounts()), *(x.tenant_id for x in txn.tenants() if x.name)]
    page = sorted(left, key=lambda x: bool(frozen(txn.records(x)).holds))[:PAGE]
    for subject_id in page:
        erase_one(txn, subject_id, ERASED, order.proposal_id, order.by, order.approver, is_told=False, is_last=True)
    if len(left) > PAGE:
        return False
    for mark in marks(txn.history(SITE)):
        txn.append(
            r.RegistrationErased(at=txn.now, file_id=mark.file_id, tenant_id=mark.tenant_id, because="shutdown"),
            account_id=None,
            tenant_id=None,
        )
        txn.erase_subject(mark.file_id)
    return True
