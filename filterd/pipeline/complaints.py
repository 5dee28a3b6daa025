"""Complaints, taken in from anybody: a case with a number and a clock, and what counts.  TX-4.1.3, STANDING 5.7-13.

Whom a complaint about a mail is about is said by our own record of that mail and by nothing else: what a report claims
never leads to an account. A report about no mail of ours is a case all the same. What counts is bounded by the
recipients on our record, so that a thousand reports about one mail to one person are one complaint.

`found` is what the caller's search in our own record said (cli/complaints). Addresses reach this as keyed hashes; who
wants an answer is written to once, and stands in no row.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from filterd.agreement.complaints import ABOUT_US, AGAINST, BY_PERSON, KINDS, SPAM, answer_until, discounted
from filterd.agreement.maintenance import windows
from filterd.errors import RefusedError, UsageError
from filterd.model import records as r
from filterd.model.entry import SITE
from filterd.model.ids import random_id
from filterd.model.principal import Account
from filterd.pipeline.complaint_mail import About, about_of
from filterd.pipeline.desk import Desk, iso, plain, reason_in
from filterd.pipeline.notice_events import Facts, announce_event
from filterd.pipeline.notifiers import (
    ACTED,
    ARF,
    UNFOUNDED,
    case_keys,
    close_reminders,
    heard,
    makers,
    mutings,
    not_heard,
    refuse_the_same,
)
from filterd.pipeline.people import Actor, Arguments, PlainVerb
from filterd.pipeline.register_acts import required
from filterd.pipeline.roles import LOOK, is_scoped, permitted
from filterd.ports import LedgerTxn

CHANNELS = (ARF, "plain")
REVIEWED = "reviewed"
OUTCOMES = (ACTED, REVIEWED, UNFOUNDED)


class ComplaintVerbs:
    """One instance a ledger process."""

    def __init__(self, desk: Desk):
        self._desk = desk

    def table(self) -> dict[str, PlainVerb]:
        """Say every verb by name."""
        return {
            "complaint.file": self.file,
            "complaint.import": self.take_report,
            "complaint.list": self.listed,
            "complaint.show": self.show,
            "complaint.close": self.close,
        }

    # --- taking in ----------------------------------------------------------------------------------------------------

    def file(self, txn: LedgerTxn, arguments: Arguments) -> Any:
        """Take a complaint in that somebody made to a person: its `kind`, and the mail `found` for it.

        About us (`false_alarm`, `service`) it may name the `account` it happened to; against a mail it may not.
        `complainant` is the keyed hash of who complains, `answer_to` an address that is written to.
        """
        actor = permitted(txn, arguments, "complaint.file")
        kind = required(arguments, "kind")
        if kind not in KINDS:
            raise RefusedError(f"kind is one of {', '.join(KINDS)}")
        if kind in AGAINST and arguments.get("account"):
            raise RefusedError("whom it is about is said by our record of the mail: --message-id, --transaction")
        about = about_of(txn, arguments) if kind in AGAINST else None
        account = about.account if about is not None else None
        if kind in ABOUT_US and arguments.get("account"):
            account = self._desk.account(txn, str(arguments["account"]))
        self._refuse_unless_reached(txn, actor, account)
        entry = next(iter(mutings(txn, makers(arguments)).values()), None) if kind in AGAINST else None
        if entry is not None:
            tx = about.mail.transaction_id if about is not None else ""
            unheard = not_heard(txn, entry, tx, BY_PERSON, actor.name)
            if not is_scoped(actor):
                return unheard
            # That somebody is muted is no business of a tenant's: a case it is, and it counts for nothing.
        filed = self._filed(txn, kind, BY_PERSON, account, about, actor, makers(arguments))
        counted = entry is None and about is not None and self._count(txn, filed, about, arguments, actor)
        answer_to = str(arguments.get("answer_to") or "")
        if answer_to:
            facts: Facts = {"complaint_id": filed.complaint_id, "received_at": txn.now}
            announce_event(txn, "complaint_acknowledged", None, facts, recipient=answer_to)
        return _said(filed, is_new=True, is_counted=counted)

    def take_report(self, txn: LedgerTxn, arguments: Arguments) -> Any:
        """Take one report in that came by mail: its `channel`, the mail `found` for it, keyed hashes of who may have
        complained (`complainants`), of who wrote the report (`reporter`) and of what came together (`group`).

        With `is_withdrawn` a recipient says that it was no spam. Nobody is written to: who a report is from is not
        proved. What was read before opens no case, also where that one was closed.
        """
        actor = permitted(txn, arguments, "complaint.import")
        channel = required(arguments, "channel")
        if channel not in CHANNELS:
            raise RefusedError(f"channel is one of {', '.join(CHANNELS)}")
        about = about_of(txn, arguments)
        if arguments.get("is_withdrawn"):
            return {"complaint_id": None, "is_new": False, "is_counted": self._withdraw(txn, about, actor, channel)}
        arguments, entry = heard(txn, arguments, about.complainant if about is not None else None)
        if entry is not None:
            return not_heard(txn, entry, about.mail.transaction_id if about is not None else "", channel, actor.name)
        about = about_of(txn, arguments)
        known = _read_before(txn, about, channel) if about is not None else None
        if known is not None:
            return _said_before(txn, known)
        account = about.account if about is not None else None
        before = _same_case(txn, account)
        is_new = before is None
        case = before or self._filed(txn, SPAM, channel, account, about, actor, makers(arguments))
        counted = about is not None and self._count(txn, case, about, arguments, actor)
        return _said(case, is_new=is_new, is_counted=counted)

    def _filed(
        self,
        txn: LedgerTxn,
        kind: str,
        channel: str,
        account: Account | None,
        about: About | None,
        actor: Actor,
        people: list[str],
    ) -> r.ComplaintFiled:
        complaint_id = random_id("cp", txn.now)
        tenant = txn.tenant(account.tenant_id) if account is not None else None
        terms = self._desk.rules.terms_for(tenant, txn.now)
        filed = r.ComplaintFiled(
            at=txn.now,
            complaint_id=complaint_id,
            kind=kind,
            channel=channel,
            account_id=account.account_id if account is not None else None,
            transaction_id=about.mail.transaction_id if about is not None else "",
            due_at=answer_until(kind, txn.now, terms, windows(txn.history(SITE))),
            by=actor.name,
            notifiers=case_keys(txn, complaint_id, people),
        )
        txn.append(filed, account_id=None, tenant_id=None)
        return filed

    def _count(self, txn: LedgerTxn, case: r.ComplaintFiled, about: About, arguments: Arguments, actor: Actor) -> bool:
        """Write down that somebody complained of a mail; say whether they had not complained of the account before."""
        account = about.account
        if _read_before(txn, about, case.channel) is not None:
            return False
        history = txn.history(account.account_id)
        since = txn.now - timedelta(days=self._desk.terms(txn, account).complaints.days)
        off = discounted(history, txn.now)
        rows = [x for x in history.of(r.ComplaintCounted) if x.unit == about.unit]
        back = {x.transaction_id for x in rows if x.is_withdrawn}
        counting = {x.transaction_id for x in rows if x.at >= since and x.complaint_id not in off} - back
        counted = r.ComplaintCounted(
            at=txn.now,
            complaint_id=case.complaint_id,
            account_id=account.account_id,
            transaction_id=about.mail.transaction_id,
            unit=about.unit,
            group=str(arguments.get("group") or ""),
            stream=about.mail.streams,
            by=actor.name,
            channel=case.channel,
            notifiers=case_keys(txn, case.complaint_id, makers(arguments)),
        )
        self._desk.append(txn, account, counted)
        return not counting and about.mail.transaction_id not in back

    def _withdraw(self, txn: LedgerTxn, about: About | None, actor: Actor, channel: str) -> bool:
        """Take back what this recipient says of this mail, now or later: which of the two is read first is chance."""
        if about is None or about.complainant is None:
            return False
        made = _of_mail(txn, about)
        if any(x.is_withdrawn for x in made):
            return False
        row = r.ComplaintCounted(
            at=txn.now,
            complaint_id=made[-1].complaint_id if made else "",
            account_id=about.account.account_id,
            transaction_id=about.mail.transaction_id,
            unit=about.unit,
            is_withdrawn=True,
            by=actor.name,
            channel=channel,
        )
        self._desk.append(txn, about.account, row)
        return bool(made)

    def _refuse_unless_reached(self, txn: LedgerTxn, actor: Actor, account: Account | None) -> None:
        """Whoever is of a tenant complains about what happened to its own accounts."""
        if account is not None:
            self._desk.refuse_unless_reached(txn, actor, "complaint.file", account)
        elif is_scoped(actor):
            raise RefusedError(f"{actor.name} may only act for the tenants of {actor.scope or 'no scope'}: --account")

    # --- looking, and closing -----------------------------------------------------------------------------------------

    def listed(self, txn: LedgerTxn, arguments: Arguments) -> Any:
        """Say the open cases, the one due first first; `all`: the closed ones, too."""
        _for_the_platform(txn, arguments)
        cases, closed = _cases(txn, is_all=bool(arguments.get("all")))
        rows = [_row(case, closed.get(case.complaint_id), txn.now) for case in cases]
        return sorted(rows, key=lambda row: (row["outcome"] is not None, row["due_at"]))

    def show(self, txn: LedgerTxn, arguments: Arguments) -> Any:
        """Say everything about one case but who complained."""
        _for_the_platform(txn, arguments)
        wanted = required(arguments, "complaint")
        cases, closed = _cases(txn, is_all=True)
        case = next((x for x in cases if x.complaint_id == wanted), None)
        if case is None:
            raise UsageError(f"no complaint {wanted}")
        history = txn.history(case.account_id) if case.account_id is not None else None
        counted = [x for x in history.of(r.ComplaintCounted) if x.complaint_id == wanted] if history is not None else []
        end = closed.get(wanted)
        return _row(case, end, txn.now) | {
            "complainants": len({x.unit for x in counted if not x.is_withdrawn}),
            "transactions": list(dict.fromkeys(x.transaction_id for x in counted)),
            "taken_in_by": sorted({x.by for x in counted if x.by}),
            "filed_by": case.by,
            "contested": case.contested or None,
            "closed_by": end.by if end is not None else None,
            "reason": end.reason if end is not None else None,
        }

    def close(self, txn: LedgerTxn, arguments: Arguments) -> Any:
        """Close a `complaint` with an `outcome` and a `reason`; `answer_to` is told that it was reviewed, or acted on.

        `unfounded` makes what was counted for it count no more.
        """
        actor = permitted(txn, arguments, "complaint.close")
        wanted, outcome = required(arguments, "complaint"), required(arguments, "outcome")
        if outcome not in OUTCOMES:
            raise RefusedError(f"outcome is one of {', '.join(OUTCOMES)}")
        case = next((x for x in txn.history(SITE).of(r.ComplaintFiled) if x.complaint_id == wanted), None)
        if case is None:
            raise UsageError(f"no open complaint {wanted}")
        account = txn.account(case.account_id) if case.account_id is not None else None
        if account is not None:
            self._desk.refuse_unless_reached(txn, actor, "complaint.close", account)
        if case.contested:
            refuse_the_same(txn, actor, wanted)
        closed = r.ComplaintClosed(
            at=txn.now,
            complaint_id=wanted,
            account_id=case.account_id,
            outcome=outcome,
            by=actor.name,
            reason=reason_in(arguments),
        )
        txn.append(closed, account_id=None, tenant_id=None)
        if account is not None:
            was_off = wanted in discounted(txn.history(account.account_id), txn.now)
            if (outcome == UNFOUNDED) != was_off:
                off = r.ComplaintDiscounted(
                    at=txn.now, complaint_id=wanted, account_id=account.account_id, by=actor.name, is_back=was_off
                )
                self._desk.append(txn, account, off)
        close_reminders(txn, closed)
        answer_to = str(arguments.get("answer_to") or "")
        if answer_to:
            # Never what was done to whom, nor that nothing was in it.
            told = ACTED if outcome == ACTED else REVIEWED
            facts: Facts = {"complaint_id": wanted, "outcome": told, "closed_at": txn.now}
            announce_event(txn, "complaint_closed", None, facts, recipient=answer_to)
        return {"complaint_id": wanted, "outcome": outcome, "by": actor.name}


def _of_mail(txn: LedgerTxn, about: About) -> list[r.ComplaintCounted]:
    """Say what this complainant has said of this mail."""
    rows = txn.history(about.account.account_id).of(r.ComplaintCounted)
    return [x for x in rows if (x.unit, x.transaction_id) == (about.unit, about.mail.transaction_id)]


def _read_before(txn: LedgerTxn, about: About, channel: str) -> r.ComplaintCounted | None:
    """Say the complaint that this one repeats, whatever became of its case.

    What a person took in by hand stands in nobody's way who reports it himself, unless nothing was in it.
    """
    made = [x for x in _of_mail(txn, about) if not x.is_withdrawn]
    off = discounted(txn.history(about.account.account_id), txn.now)
    return next((x for x in made if channel == BY_PERSON or x.channel != BY_PERSON or x.complaint_id in off), None)


def _same_case(txn: LedgerTxn, account: Account | None) -> r.ComplaintFiled | None:
    """Say the open case that a report joins: its account's; all about no mail of ours are one a day (UTC), for where
    they are from is not proved, and each case has an alarm of its own. None joins a case that is open again: that one
    may count for nothing, by what others have said."""
    cases = [x for x in txn.history(SITE).of(r.ComplaintFiled) if x.channel != BY_PERSON and not x.contested]
    if account is not None:
        return next((x for x in reversed(cases) if x.account_id == account.account_id), None)
    return next((x for x in cases if x.account_id is None and x.at.date() == txn.now.date()), None)


def _cases(txn: LedgerTxn, *, is_all: bool) -> tuple[tuple[r.ComplaintFiled, ...], Mapping[str, r.ComplaintClosed]]:
    if not is_all:
        return txn.history(SITE).of(r.ComplaintFiled), {}
    records = txn.records(SITE)
    is_open = {x.complaint_id for x in txn.history(SITE).of(r.ComplaintFiled)}
    closed = {x.complaint_id: x for x in records if isinstance(x, r.ComplaintClosed)}
    filed = {x.complaint_id: x for x in records if isinstance(x, r.ComplaintFiled)}
    return tuple(filed.values()), {name: x for name, x in closed.items() if name not in is_open}


def _for_the_platform(txn: LedgerTxn, arguments: Arguments) -> None:
    actor = permitted(txn, arguments, LOOK) if arguments.get("token") else None
    if actor is not None and is_scoped(actor):
        raise RefusedError("who complains of whom is for the platform's own people")


def _said(case: r.ComplaintFiled, *, is_new: bool, is_counted: bool) -> dict[str, Any]:
    return {
        "complaint_id": case.complaint_id,
        "account_id": case.account_id,
        "due_at": iso(case.due_at),
        "is_new": is_new,
        "is_counted": is_counted,
    }


def _said_before(txn: LedgerTxn, known: r.ComplaintCounted) -> dict[str, Any]:
    """Say the case of a report that was read before; `due_at` is None where it is closed."""
    case = next((x for x in txn.history(SITE).of(r.ComplaintFiled) if x.complaint_id == known.complaint_id), None)
    return {
        "complaint_id": known.complaint_id,
        "account_id": known.account_id,
        "due_at": iso(case.due_at) if case is not None else None,
        "is_new": False,
        "is_counted": False,
    }


def _row(case: r.ComplaintFiled, closed: r.ComplaintClosed | None, now: datetime) -> dict[str, Any]:
    return {
        "complaint_id": case.complaint_id,
        "kind": case.kind,
        "channel": case.channel,
        "account_id": case.account_id,
        "filed_at": iso(case.at),
        "due_at": iso(case.due_at),
        "overdue": closed is None and case.due_at <= now,
        "outcome": plain(closed.outcome) if closed is not None else None,
    }
