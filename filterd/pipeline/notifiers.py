"""Who complains without cause: warned by one person, then muted for a while by two; and a case looked at once more.

STANDING 5.5, 5.7-13. Muted, their complaints against mail are kept on record and count for nothing: no case, no clock.
What somebody says about us is always heard, and so is that a mail was no spam. They are known by a keyed hash of the
address, another one than that of recipients. A muting is an entry of the register: listed there, ended there by one
person, over by itself.

"No action" can be contested once: the case is open again with a new clock, and another person closes it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from typing import Any

from filterd.agreement.complaints import answer_until
from filterd.agreement.maintenance import windows
from filterd.agreement.registers import in_force
from filterd.errors import RefusedError, UsageError
from filterd.model import records as r
from filterd.model.entry import SITE
from filterd.model.ids import derived_id
from filterd.pipeline.desk import Desk, iso, reason_in
from filterd.pipeline.notice_events import Facts, announce_event
from filterd.pipeline.people import Actor, Arguments, PlainVerb
from filterd.pipeline.proposals import Act, Decided, Subject
from filterd.pipeline.register_acts import read_until, required
from filterd.pipeline.roles import deciders, permitted
from filterd.ports import LedgerTxn

ACTED, UNFOUNDED = "acted", "unfounded"
# As lists and orders (STANDING 5.11); a warning is good for a year.
MUTED_DAYS, WARNED_FOR = 180, timedelta(days=365)
# Of one muted person: more in a day is not written down.
ROWS_A_DAY = 20

Said = Mapping[str, Any]


class NotifierVerbs:
    """One instance a ledger process."""

    def __init__(self, desk: Desk):
        self._desk = desk

    def table(self) -> dict[str, PlainVerb]:
        """Say every verb by name."""
        return {"complaint.warn": self.warn, "complaint.contest": self.contest}

    def warn(self, txn: LedgerTxn, arguments: Arguments) -> Any:
        """Warn whoever made a `complaint` that was closed as unfounded, with a `reason`: a letter to `answer_to`, and a
        row by which they may be muted for the next one. `notifier`: keyed hash of their address."""
        actor = permitted(txn, arguments, "complaint.close")
        key, complaint_id = notifier_key(txn, required(arguments, "notifier")), required(arguments, "complaint")
        closed = _unfounded(txn, complaint_id)
        warned = r.NotifierWarned(
            at=txn.now, notifier=key, complaint_id=closed.complaint_id, by=actor.name, reason=reason_in(arguments)
        )
        txn.append(warned, account_id=None, tenant_id=None)
        facts: Facts = {"complaint_id": closed.complaint_id, "warned_at": txn.now}
        announce_event(txn, "notifier_warned", None, facts, recipient=required(arguments, "answer_to"))
        return {"notifier": key, "complaint_id": closed.complaint_id, "by": actor.name}

    def contest(self, txn: LedgerTxn, arguments: Arguments) -> Any:
        """Open a `complaint` again that was closed without action, with a `reason`; once."""
        actor = permitted(txn, arguments, "complaint.contest")
        wanted = required(arguments, "complaint")
        records = txn.records(SITE)
        filed = [x for x in records if isinstance(x, r.ComplaintFiled) and x.complaint_id == wanted]
        closed = [x for x in records if isinstance(x, r.ComplaintClosed) and x.complaint_id == wanted]
        if not filed:
            raise UsageError(f"no complaint {wanted}")
        if len(filed) > 1:
            raise RefusedError(f"{wanted} was contested before, and that can be once")
        if not closed or closed[-1].outcome == ACTED:
            raise RefusedError(f"{wanted} was not closed without action")
        account = txn.account(filed[0].account_id) if filed[0].account_id is not None else None
        if account is not None:
            self._desk.refuse_unless_reached(txn, actor, "complaint.contest", account)
        terms = self._desk.rules.terms_for(txn.tenant(account.tenant_id) if account is not None else None, txn.now)
        again = r.ComplaintFiled(
            at=txn.now,
            complaint_id=wanted,
            kind=filed[0].kind,
            channel=filed[0].channel,
            account_id=filed[0].account_id,
            transaction_id=filed[0].transaction_id,
            due_at=answer_until(filed[0].kind, txn.now, terms, windows(txn.history(SITE))),
            by=actor.name,
            contested=reason_in(arguments),
        )
        txn.append(again, account_id=None, tenant_id=None)
        return {"complaint_id": wanted, "due_at": iso(again.due_at), "closed_before_by": closed[-1].by}


def refuse_the_same(txn: LedgerTxn, actor: Actor, complaint_id: str) -> None:
    """Whoever closed a case that was contested does not close it again, while there is somebody else who may."""
    before = {x.by for x in txn.records(SITE) if isinstance(x, r.ComplaintClosed) and x.complaint_id == complaint_id}
    if actor.name in before and any(x not in before for x in deciders(txn)):
        raise RefusedError(f"{actor.name} closed it before; it was contested, and another person looks at it")


# --- whoever is muted -------------------------------------------------------------------------------------------------


def notifier_key(txn: LedgerTxn, hashed: str) -> str:
    """Say by which name the register knows somebody: no recipient in any event can be told from it."""
    return txn.pseudonym(f"notifier {hashed}")


def muted(txn: LedgerTxn, hashes: Iterable[str]) -> r.NotifierMuted | None:
    """Say the muting by which one of these people is not heard now, None where none is."""
    entries = in_force(txn.history(SITE), r.NotifierMuted, txn.now)
    keys = {notifier_key(txn, x) for x in hashes if x} if entries else set()
    return next((x for x in entries if x.notifier in keys), None)


def not_heard(txn: LedgerTxn, entry: r.NotifierMuted, transaction_id: str, channel: str, by: str) -> dict[str, Any]:
    """Keep on record that somebody who is muted complained; say what the others are told of theirs."""
    rows = [x for x in txn.history(SITE).of(r.ComplaintMuted) if x.entry_id == entry.entry_id]
    today = [x for x in rows if x.at.date() == txn.now.date()]
    if len(today) < ROWS_A_DAY and all(x.transaction_id != transaction_id for x in today):
        row = r.ComplaintMuted(
            at=txn.now, entry_id=entry.entry_id, transaction_id=transaction_id, channel=channel, by=by
        )
        txn.append(row, account_id=None, tenant_id=None)
    return {
        "complaint_id": None,
        "account_id": None,
        "due_at": None,
        "is_new": False,
        "is_counted": False,
        "is_muted": True,
    }


# --- the act of two ---------------------------------------------------------------------------------------------------


def _prepare(desk: Desk, txn: LedgerTxn, subject: Subject, arguments: Arguments) -> Said:
    key, complaint_id = notifier_key(txn, required(arguments, "notifier")), required(arguments, "complaint")
    _unfounded(txn, complaint_id)
    warned = _warned(txn, key)
    if warned is None:
        raise RefusedError("warn them first: filterd complaint warn")
    filed = [x for x in txn.records(SITE) if isinstance(x, r.ComplaintFiled) and x.complaint_id == complaint_id]
    if filed[-1].at <= warned.at:
        raise RefusedError(f"{complaint_id} was made before they were warned: it takes one after that")
    if _entry(txn, key) is not None:
        raise RefusedError("they are muted already")
    return {
        "notifier": key,
        "complaint": complaint_id,
        "until": iso(read_until(txn, arguments, MUTED_DAYS)),
    }


def _rests_on(desk: Desk, txn: LedgerTxn, subject: Subject, said: Said) -> Said:
    warned = _warned(txn, said["notifier"])
    closed = _closed(txn, said["complaint"])
    return {
        "warned_for": warned.complaint_id if warned is not None else None,
        "outcome": closed.outcome if closed is not None else None,
        "is_muted": int(_entry(txn, said["notifier"]) is not None),
    }


def _mute(desk: Desk, txn: LedgerTxn, decided: Decided) -> Said:
    row = r.NotifierMuted(
        at=txn.now,
        entry_id=derived_id("g", decided.proposal.proposal_id),
        notifier=decided.terms["notifier"],
        complaint_id=decided.terms["complaint"],
        until=datetime.fromisoformat(decided.terms["until"]),
        by=decided.proposal.by,
        approver=decided.approved.by,
    )
    txn.append(row, account_id=None, tenant_id=None)
    return {"entry_id": row.entry_id, "until": iso(row.until)}


def _unfounded(txn: LedgerTxn, complaint_id: str) -> r.ComplaintClosed:
    closed = _closed(txn, complaint_id)
    if closed is None or closed.outcome != UNFOUNDED:
        raise RefusedError(f"{complaint_id} is not closed as {UNFOUNDED}")
    return closed


def _closed(txn: LedgerTxn, complaint_id: str) -> r.ComplaintClosed | None:
    """Say how a case was closed; None while it is open, again too."""
    if any(x.complaint_id == complaint_id for x in txn.history(SITE).of(r.ComplaintFiled)):
        return None
    found = (x for x in txn.records(SITE) if isinstance(x, r.ComplaintClosed) and x.complaint_id == complaint_id)
    return max(found, key=lambda x: x.at, default=None)


def _warned(txn: LedgerTxn, key: str) -> r.NotifierWarned | None:
    found = [x for x in txn.history(SITE).of(r.NotifierWarned) if x.notifier == key]
    return next((x for x in found if x.at >= txn.now - WARNED_FOR), None)


def _entry(txn: LedgerTxn, key: str) -> r.NotifierMuted | None:
    return next((x for x in in_force(txn.history(SITE), r.NotifierMuted, txn.now) if x.notifier == key), None)


MUTE_NOTIFIER = Act(
    name="notifier.mute",
    about="site",
    prepare=_prepare,
    rests_on=_rests_on,
    carry_out=_mute,
    is_secret=True,
)
