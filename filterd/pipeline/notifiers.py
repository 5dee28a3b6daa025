"""Who complains without cause: warned by one person, then muted for a while by two; and a case looked at once more.

STANDING 5.5, 5.7-13. Muted, their complaints against mail are kept on record and count for nothing: no case, no clock.
What somebody says about us is always heard, and so is that a mail was no spam. They are known by a keyed hash of the
address, another one than that of recipients. A muting is an entry of the register: listed there, ended there by one
person, over by itself. It stands only as long as the cases behind it are closed as unfounded.

"No action" can be contested once: the case is open again with a new clock, and another person closes it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from typing import Any

from filterd.agreement.complaints import answer_until
from filterd.agreement.due_site import reminder_of
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
from filterd.pipeline.queue import HANDED_BACK
from filterd.pipeline.register_acts import read_until, required
from filterd.pipeline.roles import deciders, permitted
from filterd.ports import LedgerTxn

ACTED, UNFOUNDED = "acted", "unfounded"
# As lists and orders (STANDING 5.11); a warning is good for a year.
MUTED_DAYS, WARNED_FOR = 180, timedelta(days=365)
# Of one muted person: more in a day is not written down.
ROWS_A_DAY = 20
# Of those whom one report names: so many can be told later to have made it.
_MOST_NAMED = 20
# A feedback report: who wrote it is a provider (RFC 5965).
ARF = "arf"

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
        row by which they may be muted for the next one. `notifier`: keyed hash of that same address."""
        actor = permitted(txn, arguments, "complaint.close")
        hashed, answer_to = required(arguments, "notifier"), required(arguments, "answer_to").strip()
        closed = _unfounded(txn, required(arguments, "complaint"))
        _recuse(self._desk, txn, actor, {"complaint": closed.complaint_id})
        if txn.pseudonym(answer_to) != hashed:
            raise RefusedError("the letter goes to whoever is warned: answer_to is another address")
        _complained_at(txn, closed, hashed)
        key = notifier_key(txn, hashed)
        warned = r.NotifierWarned(
            at=txn.now, notifier=key, complaint_id=closed.complaint_id, by=actor.name, reason=reason_in(arguments)
        )
        txn.append(warned, account_id=None, tenant_id=None)
        facts: Facts = {"complaint_id": closed.complaint_id, "warned_at": txn.now}
        announce_event(txn, "notifier_warned", None, facts, recipient=answer_to)
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


def close_reminders(txn: LedgerTxn, closed: r.ComplaintClosed) -> None:
    """Take the reminders of a case off the list; what somebody closed before, opened again or not, stays theirs."""
    rows = txn.records(SITE)
    ended = {x.task_id for x in rows if isinstance(x, r.TaskClosed) and x.outcome != HANDED_BACK}
    for task_id in (reminder_of(closed.complaint_id), reminder_of(closed.complaint_id, is_contested=True)):
        if txn.account_of(task_id) is not None and task_id not in ended:
            done = r.TaskClosed(at=txn.now, task_id=task_id, by=closed.by, outcome="done", reason=closed.reason)
            txn.append(done, account_id=None, tenant_id=None)


# --- whoever is muted -------------------------------------------------------------------------------------------------


def notifier_key(txn: LedgerTxn, hashed: str) -> str:
    """Say by which name the register knows somebody: no recipient in any event can be told from it."""
    return txn.pseudonym(f"notifier {hashed}")


def case_keys(txn: LedgerTxn, complaint_id: str, hashes: Iterable[str]) -> tuple[str, ...]:
    """Say by which names the rows of one case know who complained: nobody can be followed from case to case by them."""
    known = dict.fromkeys(x for x in hashes if x)
    return tuple(txn.pseudonym(f"notifier {complaint_id} {x}") for x in list(known)[:_MOST_NAMED])


def makers(arguments: Arguments) -> list[str]:
    """Say who makes a complaint, by its own word: never the provider that passes it on."""
    writer = [arguments.get("reporter")] if arguments.get("channel") != ARF else []
    given = [*writer, *(arguments.get("complainants") or ()), arguments.get("complainant")]
    return list(dict.fromkeys(str(x) for x in given if x))


def mutings(txn: LedgerTxn, hashes: Iterable[str]) -> dict[str, r.NotifierMuted]:
    """Say who of these people is not heard now, and by which muting."""
    entries = in_force(txn.history(SITE), r.NotifierMuted, txn.now)
    keys = {notifier_key(txn, x): x for x in hashes if x} if entries else {}
    return {keys[x.notifier]: x for x in entries if x.notifier in keys and _stands(txn, x)}


def heard(txn: LedgerTxn, arguments: Arguments, owner: str | None) -> tuple[Arguments, r.NotifierMuted | None]:
    """Say what is left of a report without those who are muted, and the muting by which nothing is.

    Args:
        owner: whose mail it was by our own record; counts where the report names nobody.
    """
    given = [str(x) for x in arguments.get("complainants") or () if x] or [x for x in (owner,) if x]
    unheard = mutings(txn, [*makers(arguments), *given])
    left = [x for x in given if x not in unheard]
    writer = str(arguments.get("reporter") or "") if arguments.get("channel") != ARF else ""
    if unheard and (writer in unheard or not left):
        return arguments, next(iter(unheard.values()))
    return ({**arguments, "complainants": left} if unheard else arguments), None


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
    hashed, complaint_id = required(arguments, "notifier"), required(arguments, "complaint")
    key = notifier_key(txn, hashed)
    made_at = _complained_at(txn, _unfounded(txn, complaint_id), hashed)
    warned = _warned(txn, key)
    if warned is None:
        raise RefusedError("warn them first: filterd complaint warn")
    if made_at <= warned.at:
        raise RefusedError(f"{complaint_id} was made before they were warned: it takes one after that")
    if _is_muted(txn, key):
        raise RefusedError("they are muted already")
    return {
        "notifier": key,
        "complaint": complaint_id,
        "until": iso(read_until(txn, arguments, MUTED_DAYS)),
    }


def _recuse(desk: Desk, txn: LedgerTxn, actor: Actor, said: Said) -> None:
    """Refuse whoever is complained about, or is of that tenant's."""
    filed = (x for x in txn.records(SITE) if isinstance(x, r.ComplaintFiled) and x.complaint_id == said["complaint"])
    account_id = next((x.account_id for x in filed), None)
    account = txn.account(account_id) if account_id is not None else None
    if account is not None:
        desk.refuse_unless_reached(txn, actor, "complaint.close", account)


def _rests_on(desk: Desk, txn: LedgerTxn, subject: Subject, said: Said) -> Said:
    warned = _warned(txn, said["notifier"])
    closed = _closed(txn, said["complaint"])
    return {
        "warned_for": warned.complaint_id if warned is not None else None,
        "outcome": closed.outcome if closed is not None else None,
        "is_muted": int(_is_muted(txn, said["notifier"])),
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
    found = [x for x in txn.records(SITE) if isinstance(x, r.ComplaintClosed) and x.complaint_id == complaint_id]
    return found[-1] if found else None


def _is_unfounded(txn: LedgerTxn, complaint_id: str) -> bool:
    """Say whether nothing was in it, as the last person has found who looked; not while it is open again."""
    closed = _closed(txn, complaint_id)
    return closed is not None and closed.outcome == UNFOUNDED


def _complained_at(txn: LedgerTxn, closed: r.ComplaintClosed, hashed: str) -> datetime:
    """Say when somebody last complained in that case; that it was opened again is no complaint, and names nobody.

    Raises RefusedError where our rows do not say that they did.
    """
    rows: list[r.ComplaintFiled | r.ComplaintCounted] = [
        x for x in txn.records(SITE) if isinstance(x, r.ComplaintFiled)
    ]
    if closed.account_id is not None:
        rows += (x for x in txn.records(closed.account_id) if isinstance(x, r.ComplaintCounted))
    (key,) = case_keys(txn, closed.complaint_id, [hashed])
    made = [x.at for x in rows if x.complaint_id == closed.complaint_id and key in x.notifiers]
    if not made:
        raise RefusedError(
            f"{closed.complaint_id} has no complaint of that address on record (who passes a feedback report on has"
            " made none; older cases and reports about no mail of ours may not say who complained)"
        )
    return max(made)


def _warned(txn: LedgerTxn, key: str) -> r.NotifierWarned | None:
    """Say the warning of the last year that was not overturned since."""
    found = [x for x in txn.history(SITE).of(r.NotifierWarned) if x.notifier == key]
    return next((x for x in found if x.at >= txn.now - WARNED_FOR and _is_unfounded(txn, x.complaint_id)), None)


def _stands(txn: LedgerTxn, entry: r.NotifierMuted) -> bool:
    """Say whether a muting still has what it takes: the complaint and the warning before it, neither overturned."""
    before = [x for x in txn.history(SITE).of(r.NotifierWarned) if x.notifier == entry.notifier and x.at <= entry.at]
    return _is_unfounded(txn, entry.complaint_id) and any(_is_unfounded(txn, x.complaint_id) for x in before)


def _is_muted(txn: LedgerTxn, key: str) -> bool:
    entries = in_force(txn.history(SITE), r.NotifierMuted, txn.now)
    return any(x.notifier == key and _stands(txn, x) for x in entries)


MUTE_NOTIFIER = Act(
    name="notifier.mute",
    about="site",
    prepare=_prepare,
    rests_on=_rests_on,
    carry_out=_mute,
    recuse=_recuse,
    is_secret=True,
)
