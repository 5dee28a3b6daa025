"""A whole installation closes, as an act of two people.  TX-8.2.8, STANDING 5.5.

Every tenant is told at least so many days before as its agreement says. From the day on no mail is taken (421), and
each subject may be erased whose mail is not held or appealed; at the latest on the day that was said.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, timedelta
from typing import Any

from filterd.agreement.clocks import shutdown_end
from filterd.agreement.proposal import ProposalFile
from filterd.agreement.shutdown import decommission
from filterd.errors import RefusedError
from filterd.model import records as r
from filterd.model.entry import SITE
from filterd.pipeline.desk import Desk
from filterd.pipeline.notice_events import announce_event
from filterd.pipeline.people import Arguments
from filterd.pipeline.proposals import Act, Decided, Subject
from filterd.ports import LedgerTxn


def _prepare(desk: Desk, txn: LedgerTxn, subject: Subject, arguments: Arguments) -> Mapping[str, Any]:
    """`closes_on` is the first day without mail, `erased_on` the last on which anything personal is left."""
    closes_on, erased_on = _day(arguments, "closes_on"), _day(arguments, "erased_on")
    earliest = _earliest(desk, txn)
    if closes_on < earliest or erased_on <= closes_on:
        raise RefusedError(
            f"mail can end on {earliest} at the earliest, after the notice, and everything is erased later"
        )
    return {"closes_on": closes_on.isoformat(), "erased_on": erased_on.isoformat()}


def _rests_on(desk: Desk, txn: LedgerTxn, subject: Subject, terms: Mapping[str, Any]) -> Mapping[str, Any]:
    order = decommission(txn.history(SITE))
    # A later approval leaves less time than the notice owes.
    is_in_time = date.fromisoformat(str(terms["closes_on"])) >= _earliest(desk, txn)
    return {"in_force": order.proposal_id if order is not None else None, "is_in_time": int(is_in_time)}


def _carry_out(desk: Desk, txn: LedgerTxn, decided: Decided) -> Mapping[str, Any]:
    closes_on = date.fromisoformat(str(decided.terms["closes_on"]))
    erased_on = date.fromisoformat(str(decided.terms["erased_on"]))
    zone = desk.rules.terms[desk.rules.default_agreement].calendar
    order = r.SiteDecommissioned(
        at=txn.now,
        proposal_id=decided.proposal.proposal_id,
        closes_at=zone.start_of(closes_on),
        erased_by=zone.end_of(erased_on),
        by=decided.proposal.by,
        approver=decided.approved.by,
    )
    txn.append(order, account_id=None, tenant_id=None)
    told = 0
    for tenant in txn.tenants():
        facts = {"mail_ends_on": closes_on, "export_until": erased_on - timedelta(days=1), "delete_on": erased_on}
        told += bool(announce_event(txn, "product_shutdown", tenant.tenant_id, facts))
    return {"closes_at": order.closes_at.isoformat(), "told": told}


def _taken_back(
    desk: Desk, txn: LedgerTxn, file: ProposalFile, subject: Subject, ended: r.ProposalEnded
) -> None:
    """A veto, also after approval, takes it back while mail still comes in."""
    order = decommission(txn.history(SITE))
    if order is None or order.proposal_id != file.proposed.proposal_id:
        return
    if order.closes_at <= txn.now:
        raise RefusedError("mail has ended already; nothing is taken back by this")
    back = r.SiteDecommissioned(
        at=txn.now,
        proposal_id=order.proposal_id,
        closes_at=order.closes_at,
        erased_by=order.erased_by,
        by=ended.by,
        approver=ended.by,
        is_off=True,
    )
    txn.append(back, account_id=None, tenant_id=None)


DECOMMISSION = Act(
    name="site.decommission",
    about="site",
    prepare=_prepare,
    rests_on=_rests_on,
    carry_out=_carry_out,
    on_ended=_taken_back,
)


def _earliest(desk: Desk, txn: LedgerTxn) -> date:
    """Say the first day on which mail can end: after the longest notice any tenant is owed."""
    known = {desk.rules.terms_for(tenant, txn.now).id for tenant in txn.tenants()} or {desk.rules.default_agreement}
    terms = [desk.rules.terms[x] for x in known if desk.rules.terms[x].lifecycle is not None]
    if not terms:
        raise RefusedError("no agreement here says how long before the end its customers are told ([lifecycle])")
    return max(x.calendar.day_of(shutdown_end(txn.now, x)) for x in terms)


def _day(arguments: Arguments, key: str) -> date:
    try:
        return date.fromisoformat(str(arguments.get(key) or ""))
    except ValueError:
        raise RefusedError(f"{key} is a day, YYYY-MM-DD") from None
