"""May a mail be held, how long, and what becomes of it where it may not?  STANDING 5.7-23, 5.11; MAIL-PATH §4c.

Pure. A mail to be held is one whose strongest reason says `quarantine`. It is held only where somebody will look at it
and it comes back by itself (`[lifecycle]`); of one campaign or one act 25 copies, and what is decided about these holds
for the others: until then they wait with their sender, and after two hours they are refused.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from datetime import datetime, timedelta
from enum import Enum

from filterd.agreement.category import LOCKED
from filterd.agreement.clocks import complaint_until, hold_decision_until, hold_returned_at
from filterd.agreement.disposition import strongest
from filterd.agreement.maintenance import Window
from filterd.agreement.terms import Agreement
from filterd.model.decision import Decision, Disposition, Reason
from filterd.model.held import HeldMail, HeldState
from filterd.model.session import Direction

# What a mail is refused for by what it is, not by who sends it: behind the queue it is held instead.
_ABOUT_THE_MAIL = frozenset({"category", "refused", "protection", "exception", *(d.value for d in Direction)})
WAITING, REFUSED, RELEASED = "campaign.waiting", "campaign.refused", "campaign.released"


class Room(Enum):
    """What the copies held so far leave for one more."""

    HOLD = "hold"
    WAIT = "wait"
    REFUSE = "refuse"
    LET_GO = "let_go"


def can_hold(terms: Agreement) -> bool:
    """Say whether held mail comes back by itself under these terms."""
    return terms.lifecycle is not None


def behind_queue(decision: Decision) -> Decision:
    """Say the decision for mail behind the queue, where what was to be refused for what it is is held."""
    if decision.disposition is not Disposition.REJECT:
        return decision
    found = tuple(
        replace(x, disposition=Disposition.QUARANTINE)
        if x.disposition is Disposition.REJECT and x.code.partition(".")[0] in _ABOUT_THE_MAIL
        else x
        for x in decision.reasons
    )
    return replace(decision, reasons=found, disposition=strongest(found))


def unheld(decision: Decision, terms: Agreement) -> Decision:
    """Say the decision where the mail cannot be held: contestable mail is refused, what could not be checked waits, and
    what only people may judge goes on (CLAUSES §1)."""
    if decision.disposition is not Disposition.QUARANTINE:
        return decision
    found = tuple(_instead(x, terms) for x in decision.reasons)
    return replace(decision, reasons=found, disposition=strongest(found))


def _instead(reason: Reason, terms: Agreement) -> Reason:
    if reason.disposition is not Disposition.QUARANTINE:
        return reason
    area = reason.code.partition(".")[0]
    effect = Disposition.DEFER if area == "check" else Disposition.REJECT
    return replace(reason, disposition=Disposition.ACCEPT if _is_for_people(reason, terms) else effect)


def _is_for_people(reason: Reason, terms: Agreement) -> bool:
    area, _, name = reason.code.partition(".")
    category = terms.find_category(name) if area == "category" else None
    return category is not None and category.mode in LOCKED


# --- the copies of one campaign ---------------------------------------------------------------------------------------


def room(
    alike: Collection[HeldMail],
    campaign: str,
    terms: Agreement,
    at: datetime,
    windows: Collection[Window] = (),
    *,
    reason: str | None = None,
) -> Room:
    """Say what becomes of one more mail.

    Args:
        alike: what the account has held of the same incident or the same text, in whatever state.
        campaign: the fingerprint of this one's text.
        reason: why this one would be held. What was decided about a text that was held for something else says
            nothing about it. None: whatever it was.
    """
    lifecycle = terms.lifecycle
    if lifecycle is None:
        raise ValueError("nothing is held under these terms")
    since = at - timedelta(hours=terms.incident.window_hours)
    recent = [x for x in alike if x.held_at > since]
    waiting = [x for x in recent if x.state is HeldState.HELD]
    same = [x for x in recent if campaign and x.facts.campaign == campaign and reason in (None, x.reason)]
    if same and not any(x.state is HeldState.HELD for x in same):
        # A person has looked at this very text. Another text of the same act is another question.
        is_let_go = any(x.state in (HeldState.RELEASED, HeldState.DELIVERED) for x in same)
        return Room.LET_GO if is_let_go else Room.REFUSE
    if len(waiting) < lifecycle.hold_copies:
        return Room.HOLD
    oldest = min(x.held_at for x in waiting)
    return Room.WAIT if at < decide_until(oldest, terms, windows) else Room.REFUSE


# What is done to the copy, and the reason that says so.
_BEYOND = {
    Room.LET_GO: (Disposition.ACCEPT, Reason(code=RELEASED, disposition=Disposition.ACCEPT)),
    Room.WAIT: (Disposition.DEFER, Reason(code=WAITING, disposition=Disposition.DEFER)),
    Room.REFUSE: (Disposition.REJECT, Reason(code=REFUSED, disposition=Disposition.ACCEPT)),
}


def beyond(decision: Decision, left: Room, terms: Agreement) -> Decision:
    """Say the decision about a copy that is not held."""
    wanted = [x for x in decision.reasons if x.disposition is Disposition.QUARANTINE]
    if left is Room.REFUSE and any(_is_for_people(x, terms) for x in wanted):
        # Holding is the most that may happen to it without a person.
        left = Room.WAIT
    if left is Room.HOLD:
        return decision
    effect, why = _BEYOND[left]
    found = (replace(x, disposition=effect) if x in wanted else x for x in decision.reasons)
    reasons = (*found, why)
    return replace(decision, reasons=reasons, disposition=strongest(reasons))


# --- its clocks -------------------------------------------------------------------------------------------------------


def decide_until(held_at: datetime, terms: Agreement, windows: Collection[Window] = ()) -> datetime:
    """Say until when a person decides about held outbound mail: our hold is trouble with sending, which is solved in
    its own time, too (AL-2.1)."""
    soon = complaint_until(held_at, terms, windows, held_at=held_at)
    return min(hold_decision_until(held_at, terms, windows), soon)


def return_at(held_at: datetime, terms: Agreement) -> datetime:
    """Say when it goes back to its sender."""
    return hold_returned_at(held_at, terms)
