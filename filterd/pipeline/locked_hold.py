"""Mail that a locked (C1) list holds for a person, at most four hours, and that then goes on by itself.  CLAUSES §1,
STANDING 5.11, HOUSE rule 9.

Only where the list says `on_hit = "hold_for_person"` and two people have approved just that content with it. Whoever
sent the mail gets the 250 of any other mail. The case is sealed as every other one; the mail lies in the quarantine,
whole and durable before the 250, where nobody finds it who may not read the case. The clock lets it go; a person may at
once, and sends it back or deletes it only with the id of a decision about the account. It is never counted, and nothing
else follows from it: no notice, no task, no metric. That it is held, and that it went on, are rows of the site, which
name neither list nor category.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from filterd.agreement.adopted import HOLD_FOR_PERSON, locked_lists
from filterd.agreement.holding import can_hold
from filterd.agreement.terms import Agreement
from filterd.errors import RefusedError
from filterd.model import records as r
from filterd.model.entry import SITE
from filterd.model.held import FOR_PERSON, HeldMail, HeldState, HoldFacts, LockedHold
from filterd.model.principal import Account
from filterd.model.session import Direction
from filterd.pipeline.held import message_key
from filterd.pipeline.locked import CASES_AT_MOST, CASES_WITHIN, approved, promote
from filterd.pipeline.quarantine_acts import promise_return
from filterd.pipeline.verbs import DeskRules
from filterd.ports import LedgerTxn

RELEASE, RETURN, DELETE = "release", "return", "delete"
# Of one account at a time: nobody fills the vault. More is delivered.
MOST_HELD = 100
# So long after it went on by itself the same mail, tried again, is the one that was held: its client, or we, were away.
_TAKEN_FOR = timedelta(hours=2)
# A clock's run lets so many go; the next run goes on.
_AT_ONCE = 200


class LockedHolds:
    """The verb of workers. One instance a ledger process."""

    def __init__(self, rules: DeskRules):
        self._rules = rules

    def hold(self, txn: LedgerTxn, given: LockedHold) -> bool:
        """Hold a mail with its case, if two people want that of a list that has found it; say whether it is held.

        False for mail that goes on: also where a person has read this text before, or nobody would read it.
        """
        txn.stay_uncounted()
        account = txn.account(given.account_id)
        if account is None:
            return False
        key = message_key(txn, given.evidence_key, given.request.envelope)
        # Before anything else: the mail is in our hands, whatever was switched off since.
        if any(_is_taken(txn, x) for x in txn.held_alike(account.account_id, message_key=key, is_for_person=True)):
            return True
        terms = self._rules.terms_for(txn.tenant(account.tenant_id), txn.now)
        if not can_hold(terms) or not _is_wanted(txn, self._rules, account, given):
            return False
        held = txn.held_mails((HeldState.HELD,), account_id=account.account_id, is_for_person=True)
        if len(held) >= MOST_HELD or not _has_case(txn, account, given.case_id, terms):
            return False
        txn.hold_mail(
            given.transaction_id,
            account.account_id,
            account.tenant_id,
            FOR_PERSON,
            given.request.envelope,
            held_until(txn.now, terms),
            facts=HoldFacts(direction=Direction.OUTBOUND, incident_id=given.case_id, message_key=key),
            request=given.request,
        )
        return True


def held_until(at: datetime, terms: Agreement) -> datetime:
    """Say when such a mail goes on at the latest; no maintenance makes that later."""
    hours = terms.lifecycle.locked_hold_hours if terms.lifecycle is not None else 0
    return at + timedelta(hours=hours)


def release_due(txn: LedgerTxn, at: datetime, *, by: str, is_dry: bool = False) -> int:
    """Let go what nobody has decided about; say how many mails. With `is_dry` only say it."""
    due = txn.held_mails((HeldState.HELD,), due_before=at, limit=_AT_ONCE, is_for_person=True)
    if not is_dry:
        for held in due:
            txn.move_held(held.item_id, HeldState.HELD, HeldState.RELEASED, by=by, reason=FOR_PERSON)
    return len(due)


def held_of(txn: LedgerTxn, account_id: str, case_id: str) -> tuple[HeldMail, ...]:
    """Say the mails of a case that wait for a person, the oldest first."""
    found = txn.held_alike(account_id, incident_id=case_id, is_for_person=True)
    return tuple(x for x in found if x.state is HeldState.HELD)


def settle(txn: LedgerTxn, account: Account, case_id: str, what: str, *, by: str, has_decided: bool) -> str:
    """Do with the held mails of a case what a person wants; say what became of them, "" where there were none.

    Raises RefusedError for anything but a release where no decision about the account is named.
    """
    if what not in (RELEASE, RETURN, DELETE):
        raise RefusedError(f"its mail: {RELEASE}, {RETURN} or {DELETE}")
    if what != RELEASE and not has_decided:
        raise RefusedError("held mail goes back or is deleted only by a decision about the account: --decision ID")
    after = {RELEASE: HeldState.RELEASED, RETURN: HeldState.RETURNING, DELETE: HeldState.DELETED}[what]
    items = held_of(txn, account.account_id, case_id)
    for held in items:
        txn.move_held(held.item_id, HeldState.HELD, after, by=by, reason=FOR_PERSON)
    if items and what == RETURN:
        promise_return(txn, items, because="decided")
    return what if items else ""


def _is_taken(txn: LedgerTxn, held: HeldMail) -> bool:
    """Say whether the same mail, tried again, is this one: it waits here, or went on by itself a short time ago. What a
    person has decided about is over: whoever sends it again means it."""
    if held.state is HeldState.HELD:
        return True
    if held.state is HeldState.DELIVERED:
        is_recent = held.settled_at is not None and held.settled_at > txn.now - _TAKEN_FOR
    else:
        is_recent = held.state is HeldState.RELEASED
    closed = txn.history(SITE).of(r.LockedCaseClosed)
    return is_recent and not any(x.case_id == held.facts.incident_id and x.at >= held.held_at for x in closed)


def _is_wanted(txn: LedgerTxn, rules: DeskRules, account: Account, given: LockedHold) -> bool:
    if not approved(txn, rules, account, given.lists):
        return False
    site = locked_lists(txn.history(SITE))
    return any(site[name].on_hit == HOLD_FOR_PERSON for name, _, _ in given.lists)


def _has_case(txn: LedgerTxn, account: Account, case_id: str, terms: Agreement) -> bool:
    """Have a case for a person to read; say whether there is one that nobody has settled."""
    case = txn.locked_case(case_id)
    if case is not None:
        closed = txn.history(SITE).of(r.LockedCaseClosed)
        return not any(x.case_id == case_id and x.at >= case.stored_at for x in closed)
    if txn.count_locked_cases(account.account_id, txn.now - CASES_WITHIN) >= CASES_AT_MOST:
        return False
    return promote(txn, account, case_id, terms)
