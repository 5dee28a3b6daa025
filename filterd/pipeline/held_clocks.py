"""Held mail whose time has come: back to its sender, out of the quarantine, into its recipient's digest.

STANDING 5.7-16, 5.7-23. Plain functions of one open transaction; running them twice adds nothing. Under a legal hold or
an open appeal nothing is removed, and while the clock cannot be trusted neither; what goes back goes back all the same.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from filterd.agreement.clocks import inbound_hold_until
from filterd.agreement.due import not_struck
from filterd.agreement.due_held import REMOVED, RETURNED, in_digest, of_decisions, to_remove, to_return
from filterd.agreement.maintenance import windows
from filterd.agreement.terms import Agreement
from filterd.model import records as r
from filterd.model.entry import SITE
from filterd.model.evidence import frozen
from filterd.model.held import HeldMail, HeldState
from filterd.pipeline.clockwork import BY_CLOCK, Struck
from filterd.pipeline.held import close_task
from filterd.pipeline.notice_events import announce_event
from filterd.pipeline.notice_table import DIGEST
from filterd.pipeline.quarantine_acts import campaigns, promise_return
from filterd.pipeline.verbs import DeskRules
from filterd.ports import LedgerTxn


def strike_held(
    txn: LedgerTxn,
    account_id: str,
    rules: DeskRules,
    at: datetime,
    *,
    since: datetime,
    is_dry: bool = False,
    may_read: bool = True,
) -> tuple[Struck, ...]:
    """Strike what is due for the held mail of an account at `at`; as clockwork.strike_account."""
    terms = _terms(txn, account_id, rules, at)
    items = txn.held_mails((HeldState.HELD,), account_id=account_id)
    if terms is None or not items:
        return ()
    closed = windows(txn.history(SITE))
    missed = not_struck(txn.history(account_id), iter(of_decisions(items, terms, at, closed)), at)
    back = [found for group in campaigns(items) if (found := to_return(group, terms, at, closed))]
    gone = to_remove(items, terms, at) if may_read else ()
    if gone and frozen(txn.records(account_id)):
        gone = ()
    if not is_dry:
        tenant_id = items[0].tenant_id
        for item in missed:
            struck = r.ClockStruck(
                at=at, clock=item.clock, subject_id=account_id, object_id=item.object_id, due_at=item.due_at
            )
            txn.append(struck, account_id=account_id, tenant_id=tenant_id)
        for group in back:
            _send_back(txn, group)
        for held in gone:
            txn.move_held(held.item_id, HeldState.HELD, HeldState.DELETED, by=BY_CLOCK, reason="STANDING 5.7-23")
    return (
        *(_said(x.clock, account_id, x.object_id, x.due_at, is_alarm=True) for x in missed),
        *(_said(RETURNED, account_id, x.item_id, at) for group in back for x in group),
        *(_said(REMOVED, account_id, x.item_id, inbound_hold_until(x.held_at, terms)) for x in gone),
    )


def digest_of(txn: LedgerTxn, account_id: str, rules: DeskRules, at: datetime) -> tuple[str, ...]:
    """Say the items that stand in an account's digest today."""
    terms = _terms(txn, account_id, rules, at)
    if terms is None:
        return ()
    return tuple(x.item_id for x in in_digest(txn.held_mails((HeldState.HELD,), account_id=account_id), terms, at))


def promise_digest(txn: LedgerTxn, account_id: str, rules: DeskRules, at: datetime) -> None:
    """Promise the day's digest of what strangers have sent an account: one mail a day, what comes later joins it."""
    terms = _terms(txn, account_id, rules, at)
    if terms is None:
        return
    for held in in_digest(txn.held_mails((HeldState.HELD,), account_id=account_id), terms, at):
        last = terms.calendar.day_of(inbound_hold_until(held.held_at, terms) - timedelta(seconds=1))
        announce_event(
            txn,
            DIGEST,
            account_id,
            {"held_id": held.item_id, "held_at": held.held_at, "because": held.reason, "remove_on": last},
        )


def _send_back(txn: LedgerTxn, group: tuple[HeldMail, ...]) -> None:
    for held in group:
        txn.move_held(held.item_id, HeldState.HELD, HeldState.RETURNING, by=BY_CLOCK, reason="STANDING 5.7-23")
    promise_return(txn, group, because="nobody_decided")
    close_task(txn, group[0], BY_CLOCK, "STANDING 5.7-23")


def _terms(txn: LedgerTxn, account_id: str, rules: DeskRules, at: datetime) -> Agreement | None:
    account = txn.account(account_id)
    if account is None:
        return None
    terms = rules.terms_for(txn.tenant(account.tenant_id), at)
    return terms if terms.lifecycle is not None else None


def _said(clock: str, account_id: str, object_id: str, due_at: datetime, *, is_alarm: bool = False) -> Struck:
    return Struck(clock=clock, subject_id=account_id, object_id=object_id, due_at=due_at, is_alarm=is_alarm)
