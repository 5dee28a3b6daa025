"""What strikes for held mail: decision, return, removal, and what stands in a digest.  STANDING 5.7-23, 5.11.

Pure. Each clock of an item ends in a step that can be taken once, so that nothing has to remember that it struck; only
the alarm of a missed decision does.
"""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime

from filterd.agreement.clocks import inbound_hold_until, inbound_last_digest_at
from filterd.agreement.due import Due
from filterd.agreement.holding import decide_until, return_at
from filterd.agreement.maintenance import Window
from filterd.agreement.terms import Agreement
from filterd.model.held import HeldMail

DECISION, RETURNED, REMOVED = "hold.decision", "hold.returned", "hold.removed"


def of_decisions(
    items: Collection[HeldMail], terms: Agreement, at: datetime, windows: Collection[Window] = ()
) -> tuple[Due, ...]:
    """Say which decision is missed: of the account's oldest item, for they are looked at together."""
    ours = sorted((x for x in items if not x.is_inbound), key=lambda x: (x.held_at, x.item_id))
    if not ours:
        return ()
    due_at = decide_until(ours[0].held_at, terms, windows)
    missed = Due(clock=DECISION, subject_id=ours[0].account_id, object_id=ours[0].item_id, due_at=due_at, is_alarm=True)
    return (missed,) if due_at <= at else ()


def to_return(
    campaign: Collection[HeldMail], terms: Agreement, at: datetime, windows: Collection[Window] = ()
) -> tuple[HeldMail, ...]:
    """Say which mails of one campaign go back now: none before the oldest has its time, then with it all that a person
    should have decided about by now, for they come back as one report."""
    ours = sorted((x for x in campaign if not x.is_inbound), key=lambda x: (x.held_at, x.item_id))
    if not ours or return_at(ours[0].held_at, terms) > at:
        return ()
    return tuple(x for x in ours if return_at(x.held_at, terms) <= at or decide_until(x.held_at, terms, windows) <= at)


def to_remove(items: Collection[HeldMail], terms: Agreement, at: datetime) -> tuple[HeldMail, ...]:
    """Say which inbound mails have stood in the digest as long as was announced."""
    return tuple(x for x in items if x.is_inbound and inbound_hold_until(x.held_at, terms) <= at)


def in_digest(items: Collection[HeldMail], terms: Agreement, at: datetime) -> tuple[HeldMail, ...]:
    """Say which inbound mails its recipient is told of today; the last time some days before they are removed."""
    today = terms.calendar.start_of(terms.calendar.day_of(at))
    return tuple(x for x in items if x.is_inbound and today <= inbound_last_digest_at(x.held_at, terms))
