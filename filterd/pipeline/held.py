"""Holding a mail, inside the transaction that decides about it.  HOUSE rule 1, STANDING 5.7-23, MAIL-PATH §4.

Plain functions of one open transaction: what is held, its notice and the task for a person stand or fall with the rows
of the decision, and are on disk before anybody is told 250. The same mail tried again is held once; a mail whose text
a person has decided about already goes the way of that decision.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import datetime, timedelta

from filterd.agreement.clocks import inbound_hold_until
from filterd.agreement.holding import Room, behind_queue, beyond, can_hold, decide_until, return_at, room, unheld
from filterd.agreement.maintenance import windows
from filterd.agreement.terms import Agreement
from filterd.model import records as r
from filterd.model.decision import NO_TEXT, Case, Decision, Disposition
from filterd.model.entry import SITE
from filterd.model.held import HeldMail, HeldState, HoldFacts, HoldRequest, InboundHold
from filterd.model.ids import derived_id
from filterd.model.session import Direction, Envelope
from filterd.pipeline.notice_events import Fact, announce_event
from filterd.ports import LedgerTxn

# What a person is asked, once an account for all that it has held.
TASK = "held mail: release it, return it or confirm it"
# Where the same mail, tried again, is answered with the item it has become: while it is held, and as long afterwards as
# a mail server tries again. Later the same octets are another mail, as those of a programme that writes no date.
_TAKEN = (HeldState.RELEASED, HeldState.DELIVERED)
# Of one account, over all its runs and whoever writes to it: nobody fills the vault.
MOST_OUTBOUND, MOST_INBOUND = 100, 100


def settle(txn: LedgerTxn, case: Case, decision: Decision, terms: Agreement, *, is_allowed: bool) -> Decision:
    """Hold the mail if the decision says so and it can be; say the decision as it was carried out.

    Args:
        is_allowed: whether this site holds what its accounts send.
    """
    request, account_id = case.hold, case.principal.account_id
    if request is None or account_id is None:
        return unheld(decision, terms)
    wanted = behind_queue(decision) if request.is_after_queue else decision
    if wanted.disposition is not Disposition.QUARANTINE:
        return decision
    if not is_allowed or not can_hold(terms):
        # Behind the queue the gate does with a refusal what it can.
        return unheld(decision, terms)
    facts = HoldFacts(
        direction=case.direction,
        campaign=case.text_fp if case.text_fp != NO_TEXT else "",
        incident_id=wanted.incident_id or "",
        message_key=message_key(txn, case.evidence_key, request.envelope),
        is_harmful=_is_harmful(wanted, terms),
    )
    alike = txn.held_alike(
        account_id, message_key=facts.message_key, campaign=facts.campaign, incident_id=facts.incident_id
    )
    known = _known(alike, facts.message_key, case.at, terms)
    if known is not None:
        is_by_mta = _join(txn, known, request)
        return _held(wanted, known.item_id, known.held_at, terms, is_by_mta=is_by_mta)
    closed = windows(txn.history(SITE))
    left = room(alike, facts.campaign, terms, case.at, closed, reason=_reason(wanted))
    if left is Room.HOLD and _count(txn, account_id, is_inbound=False) >= MOST_OUTBOUND:
        left = Room.WAIT
    if left is not Room.HOLD:
        return beyond(wanted, left, terms)
    due_at = decide_until(txn.now, terms, closed)
    item_id = txn.hold_mail(
        case.transaction_id,
        account_id,
        case.principal.tenant_id,
        _reason(wanted),
        request.envelope,
        due_at,
        facts=facts,
        request=request,
    )
    if not any(x.state is HeldState.HELD for x in alike):
        _tell(txn, account_id, item_id, request, due_at, terms)
    open_task(txn, account_id, case.principal.tenant_id, item_id, due_at)
    return _held(wanted, item_id, txn.now, terms, is_by_mta=bool(request.copies))


def hold_inbound(txn: LedgerTxn, given: InboundHold, terms_of: Mapping[str, Agreement]) -> str | None:
    """Hold a stranger's mail, an item for each of our accounts it was to go to; say the first item's id.

    None, and nothing is held, where nobody's agreement says what becomes of it: of one recipient no account is known,
    or its mail is not kept, or as much is held for it as may be.
    """
    paths = given.request.envelope.forward_paths
    if not paths or len(paths) != len(given.accounts):
        return None
    owners = list(dict.fromkeys(given.accounts))
    accounts = {name: txn.account(name) for name in owners}
    if any(x is None or name not in terms_of or not can_hold(terms_of[name]) for name, x in accounts.items()):
        return None
    if any(_count(txn, name, is_inbound=True) >= MOST_INBOUND for name in owners):
        return None
    first: str | None = None
    for part, name in enumerate(owners):
        account = accounts[name]
        envelope = replace(
            given.request.envelope,
            forward_paths=tuple(to for to, owner in zip(paths, given.accounts, strict=True) if owner == name),
        )
        facts = HoldFacts(
            direction=Direction.INBOUND,
            campaign=given.campaign if given.campaign != NO_TEXT else "",
            message_key=message_key(txn, f"{name}/{given.request.message_fp}", envelope),
            is_harmful=given.is_harmful,
        )
        same = txn.held_alike(name, message_key=facts.message_key)
        known = _known(same, facts.message_key, txn.now, terms_of[name])
        item_id = known.item_id if known is not None else None
        if item_id is None:
            item_id = txn.hold_mail(
                given.transaction_id,
                name,
                account.tenant_id if account is not None else None,
                given.reason,
                envelope,
                inbound_hold_until(txn.now, terms_of[name]),
                facts=facts,
                request=replace(given.request, envelope=envelope),
                part=part,
            )
        first = first or item_id
    return first


# --- the task for a person --------------------------------------------------------------------------------------------


def open_task(txn: LedgerTxn, account_id: str, tenant_id: str | None, item_id: str, due_at: datetime) -> None:
    """Ask a person to decide about what an account has held; one question for all of it."""
    if _open_tasks(txn.records(account_id)):
        return
    task = r.TaskOpened(
        at=txn.now,
        task_id=derived_id("w", item_id, "held"),
        incident_id="",
        account_id=account_id,
        what=TASK,
        warranted="none",
        imposed="hold",
        due_at=due_at,
    )
    txn.append(task, account_id=account_id, tenant_id=tenant_id)


def close_task(txn: LedgerTxn, held: HeldMail, by: str, reason: str) -> None:
    """The question is answered when nothing that the account sent is held any more."""
    if any(not x.is_inbound for x in txn.held_mails((HeldState.HELD,), account_id=held.account_id)):
        return
    for task_id in _open_tasks(txn.records(held.account_id)):
        done = r.TaskClosed(at=txn.now, task_id=task_id, by=by, outcome="done", reason=reason)
        txn.append(done, account_id=held.account_id, tenant_id=held.tenant_id)


def _open_tasks(records: Iterable[r.Record]) -> list[str]:
    waiting: dict[str, None] = {}
    for record in records:
        if isinstance(record, r.TaskOpened) and record.what == TASK:
            waiting[record.task_id] = None
        elif isinstance(record, r.TaskClosed) and record.outcome != "handed_back":
            waiting.pop(record.task_id, None)
    return list(waiting)


# --- pieces -----------------------------------------------------------------------------------------------------------


def _known(alike: Iterable[HeldMail], message_key: str, at: datetime, terms: Agreement) -> HeldMail | None:
    """Say the item that this very mail has become, None for a new one."""
    since = at - timedelta(hours=terms.incident.window_hours)
    same = (x for x in alike if x.facts.message_key == message_key)
    return next((x for x in same if x.state is HeldState.HELD or (x.state in _TAKEN and x.held_at > since)), None)


def _count(txn: LedgerTxn, account_id: str, *, is_inbound: bool) -> int:
    """Say how many mails of an account wait for a person."""
    held = txn.held_mails((HeldState.HELD,), account_id=account_id)
    return sum(x.is_inbound is is_inbound for x in held)


def _join(txn: LedgerTxn, known: HeldMail, request: HoldRequest) -> bool:
    """Tried again, the MTA has it once more: note this copy with the others, and say whether the MTA is to hold it.
    What was held by ourselves, or has gone on already, is not held twice."""
    given = txn.held_request(known.item_id) if request.copies and known.state is HeldState.HELD else None
    if given is None or not given.copies:
        return False
    mine = {x.queue_id for x in request.copies}
    txn.note_copies(known.item_id, (*(x for x in given.copies if x.queue_id not in mine), *request.copies))
    return True


def _held(decision: Decision, item_id: str, held_at: datetime, terms: Agreement, *, is_by_mta: bool) -> Decision:
    return replace(decision, held_id=item_id, held_until=return_at(held_at, terms), is_held_by_mta=is_by_mta)


def message_key(txn: LedgerTxn, message: str, envelope: Envelope) -> str:
    """Say what a mail and its recipients have in common with every other try to send them."""
    recipients = sorted(txn.pseudonym(to.path.address) for to in envelope.forward_paths)
    return derived_id("hk", message, *recipients)


def _reason(decision: Decision) -> str:
    """Say the code of what held it."""
    return next(x.code for x in decision.reasons if x.disposition is Disposition.QUARANTINE)[:80]


def _is_harmful(decision: Decision, terms: Agreement) -> bool:
    """Say whether it would harm whoever opens it: its content goes back to nobody (MAIL-PATH §4c)."""
    strict = {item.id for item in terms.category if item.zero_tolerance}
    return any(v.category in strict for v in decision.violations) or any(
        x.code.startswith(("protection.virus.", "protection.attachment.", "protection.link."))
        for x in decision.reasons
        if x.disposition is Disposition.QUARANTINE
    )


def _tell(
    txn: LedgerTxn, account_id: str, item_id: str, request: HoldRequest, due_at: datetime, terms: Agreement
) -> None:
    """Tell whoever sent it at once, of the first of several copies (STANDING 5.7-23)."""
    facts: dict[str, Fact] = {
        "held_id": item_id,
        "held_at": txn.now,
        "decide_by": due_at,
        "return_at": return_at(txn.now, terms),
        "recipients": len(request.envelope.forward_paths),
    }
    announce_event(txn, "message_held", account_id, facts)
