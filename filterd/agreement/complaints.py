"""What do complaints and opt-outs say of an account?  STANDING 5.7-13, CLAUSES tail-a, tail-d.

A complaint is evidence and no verdict. One complainant is one unit; those that came together are one, too; who says
that a mail was no spam takes back what they said of that mail. What one person of ours took in by hand is never enough
by itself. An opt-out that was not honoured is a complaint, until it is ended. All of it is computed of records and an
instant, so that it fades by itself.
"""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime, timedelta

from filterd.agreement.maintenance import Window, working_end
from filterd.agreement.requests import TROUBLE, answer_of
from filterd.agreement.terms import Agreement
from filterd.model import records as r
from filterd.model.complaints import Bounced, Complained
from filterd.model.ids import derived_id
from filterd.model.standing import History

SPAM, HARASSMENT, FALSE_ALARM, SERVICE, OTHER = "spam", "harassment", "false_alarm", "service", "other"
# Against a mail; only these can count, and only where our own record says whose it was.
AGAINST = (SPAM, HARASSMENT, OTHER)
# By a customer about us; the account is whom it happened to.
ABOUT_US = (FALSE_ALARM, SERVICE)
KINDS = (*AGAINST, *ABOUT_US)
PERSON, LIST = "person", "list"
# How a case came: somebody told a person of ours.
BY_PERSON = "person"


def complained(
    history: History, at: datetime, delivered: int, terms: Agreement, stream: r.StreamDeclared | None = None
) -> Complained:
    """Say how many people complained of an account; with `stream` only of that run of its mail, since it was declared.

    Args:
        delivered: recipients the account wrote to in the days that count. A stream's are part of them, so its share is
            never overstated.
    """
    rules = terms.complaints
    since = at - timedelta(days=rules.days)
    if stream is not None:
        since = max(since, stream.at)
    key = stream.key if stream is not None else None
    return Complained(
        complainants=len(_units(history, since, at, key, rules.complainants - 1)),
        delivered=delivered,
        least_delivered=rules.delivered,
        least_complainants=rules.complainants,
        percent=rules.percent,
    )


def bounced(
    history: History, at: datetime, delivered: int, terms: Agreement, stream: r.StreamDeclared, percent: float
) -> Bounced:
    """Say how many addresses of a stream there are not, since it was declared, in the days that complaints count.

    An address that reports name is one, of however many mails: one living reader who forges them is one bounce.

    Args:
        delivered: as of `complained`: those refused at once are not among them, and are added.
    """
    rules = terms.complaints
    since = max(at - timedelta(days=rules.days), stream.at)
    rows = [x for x in history.of(r.BounceCounted) if since <= x.at <= at and stream.key in x.stream]
    back = {x.unit for x in rows if not x.is_refused}
    refused: dict[str, int] = {}
    for row in rows:
        if row.is_refused:
            # Tried again, it is the same mail.
            refused[row.unit] = max(row.recipients, refused.get(row.unit, 0))
    return Bounced(
        bounced=len(back) + sum(refused.values()),
        tried=delivered + sum(refused.values()),
        least_tried=rules.delivered,
        least_bounced=rules.complainants,
        percent=percent,
    )


def unit_of(account_id: str, recipient: str) -> str:
    """Say who counts as one: the same recipient of another account cannot be told from it."""
    return derived_id("cu", account_id, recipient)


def discounted(history: History, at: datetime) -> frozenset[str]:
    """Say the cases whose complaints count for nothing, as the last person has found who looked."""
    last = {x.complaint_id: x.is_back for x in history.of(r.ComplaintDiscounted) if x.at <= at}
    return frozenset(name for name, is_back in last.items() if not is_back)


def ignored(history: History, since: datetime, at: datetime) -> bool:
    """Say whether bulk mail went to somebody who had opted out of it, between two instants."""
    return any(since <= x.at <= at for x in _missed(history, at))


def opted_out(history: History, recipient: str, at: datetime) -> r.OptOutFiled | None:
    """Say the request by which an account may not write to a recipient (keyed hash) now; None: it may."""
    asked = history.of(r.OptOutFiled)
    if not asked:
        return None
    ended = _ended(history, at)
    return next(
        (x for x in asked if x.recipient == recipient and x.since <= at and x.optout_id not in ended),
        None,
    )


def answer_until(kind: str, at: datetime, terms: Agreement, windows: Collection[Window] = ()) -> datetime:
    """Say until when a case is closed (TX-4.1.3); one about trouble with mail as fast as any other such (AL-2.1)."""
    if kind in ABOUT_US and terms.lifecycle is not None:
        return answer_of(TROUBLE, at, terms, windows).due_at
    return working_end(at, timedelta(hours=terms.complaints.answer_hours), windows)


def _units(history: History, since: datetime, at: datetime, stream: str | None, at_most: int) -> set[str]:
    """Say the different units: by complainant, those of one group together.

    Args:
        at_most: of those that one person of ours took in by hand: nobody is found guilty on one person's word.
    """
    off = discounted(history, at)
    rows = [x for x in history.of(r.ComplaintCounted) if x.at <= at]
    # Of one mail, whichever was read first.
    withdrawn = {(x.unit, x.transaction_id) for x in rows if x.is_withdrawn}
    by_hand: dict[str, set[str]] = {}
    whose: dict[str, str] = {}
    for one in rows:
        is_over = one.at < since or one.complaint_id in off or (one.unit, one.transaction_id) in withdrawn
        if is_over or (stream is not None and stream not in one.stream):
            continue
        if one.channel == BY_PERSON:
            by_hand.setdefault(one.by, set()).add(one.unit)
        else:
            whose.setdefault(one.unit, one.group or one.unit)
    # Of which run of mail an opt-out was, nobody has said: of a stream it is a condition of its own.
    for missed in _missed(history, at) if stream is None else ():
        if since <= missed.at:
            unit = unit_of(history.account_id, missed.recipient)
            whose.setdefault(unit, unit)
    taken_in = {unit for units in by_hand.values() for unit in sorted(units - whose.keys())[:at_most]}
    return set(whose.values()) | taken_in


def _missed(history: History, at: datetime) -> list[r.OptOutIgnored]:
    """Say what bulk mail went to somebody who had opted out, by requests that have not been ended since."""
    ended = _ended(history, at)
    return [x for x in history.of(r.OptOutIgnored) if x.kind == LIST and x.at <= at and x.optout_id not in ended]


def _ended(history: History, at: datetime) -> set[str]:
    return {x.optout_id for x in history.of(r.OptOutEnded) if x.at <= at}
