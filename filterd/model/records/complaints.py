"""Complaints and opt-outs: cases of the desk, what of them counts, who asked for mail to stop.  STANDING 5.7-13.

A case stands among the site's own rows, for an account's are read by its tenant. The account has no more than that
somebody complained: who it was is nowhere, neither here nor sealed.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class ComplaintFiled:
    """Somebody complains, and gets the case number `complaint_id` and a clock (TX-4.1.3).

    Args:
        kind: spam, harassment, false_alarm, service or other.
        channel: person, arf (RFC 5965) or plain.
        account_id: whom it is about, found by our own record of the mail, or named where the case can count against
            nobody; None: nobody was found.
        transaction_id: our own record of the mail, "" for none.
        contested: why the case is open again after it was closed without action, once; "" for the first time.
        notifiers: keyed hashes of who complained, others in each case; not of who passed the report on. Empty in older
            rows.
        source: only in older rows, of a report about no mail of ours: keyed hash of the domain it said it was from.
    """

    at: datetime
    complaint_id: str
    kind: str
    channel: str
    account_id: str | None
    transaction_id: str
    due_at: datetime
    by: str
    source: str = ""
    contested: str = ""
    notifiers: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ComplaintClosed:
    """A person has looked. `outcome`: acted, reviewed, or unfounded, which makes it count for nothing."""

    at: datetime
    complaint_id: str
    account_id: str | None
    outcome: str
    by: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ComplaintCounted:
    """One complaint about a mail that our own record says the account has sent.

    Args:
        complaint_id: its case; "" where somebody said that it was no spam before anybody complained.
        unit: who counts as one: derived of a recipient on that record; the same for all who are none or do not say who
            they are, so that one person is not many.
        group: the same for complaints that came together (same day, same words); "" where they did not.
        stream: keyed hashes by which declared streams know their mail.
        is_withdrawn: the recipient says that this mail was no spam.
        by: who took it in, or had it read in.
        channel: as of the case, "" in older rows.
        notifiers: as of the case: who made this one.
    """

    at: datetime
    complaint_id: str
    account_id: str
    transaction_id: str
    unit: str
    group: str = ""
    stream: tuple[str, ...] = ()
    is_withdrawn: bool = False
    by: str = ""
    channel: str = ""
    notifiers: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ComplaintDiscounted:
    """A person found that nothing was in it: what was counted for the case counts no more; with `is_back` another one
    found, the case contested, that it does."""

    at: datetime
    complaint_id: str
    account_id: str
    by: str
    is_back: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class NotifierWarned:
    """Somebody was told that a complaint of theirs was without cause. `notifier`: keyed hash of their address."""

    at: datetime
    notifier: str
    complaint_id: str
    by: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class NotifierMuted:
    """Two people do not hear the complaints of somebody whom they have warned. `complaint_id`: the one after that."""

    at: datetime
    entry_id: str
    notifier: str
    complaint_id: str
    until: datetime
    by: str
    approver: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ComplaintMuted:
    """Somebody complained who is muted by `entry_id`: it opens no case and counts for nothing. At most one row a day
    and mail, and so many a day."""

    at: datetime
    entry_id: str
    transaction_id: str
    channel: str
    by: str


@dataclass(frozen=True, slots=True, kw_only=True)
class BounceCounted:
    """Mail of a declared stream that somebody's mail server has no such address for (RFC 3463, X.1.x).

    Args:
        transaction_id: our own record of the mail.
        unit: derived of account and recipient; of recipients refused at once, of the mail.
        stream: keyed hashes by which declared streams know the mail.
        recipients: how many, refused at once; of one unit the row with most of them counts.
        is_refused: the next hop refused them at RCPT; else a delivery report said so (RFC 3464).
    """

    at: datetime
    account_id: str
    transaction_id: str
    unit: str
    stream: tuple[str, ...]
    recipients: int = 1
    is_refused: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class OptOutFiled:
    """Somebody asked an account not to write to them any more.

    Args:
        recipient: keyed hash of the address; the address is not kept.
        kind: `person`, who is written to no more at once; `list`, for which the sender has until `since`.
    """

    at: datetime
    optout_id: str
    account_id: str
    recipient: str
    kind: str
    since: datetime
    by: str


@dataclass(frozen=True, slots=True, kw_only=True)
class OptOutEnded:
    """They may be written to again."""

    at: datetime
    optout_id: str
    account_id: str
    by: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class OptOutIgnored:
    """The account tried to write to them all the same; at most one row a day. The mail was refused."""

    at: datetime
    optout_id: str
    account_id: str
    recipient: str
    kind: str


ComplaintRecord = (
    ComplaintFiled
    | ComplaintClosed
    | ComplaintCounted
    | ComplaintDiscounted
    | BounceCounted
    | NotifierWarned
    | NotifierMuted
    | ComplaintMuted
    | OptOutFiled
    | OptOutEnded
    | OptOutIgnored
)

KINDS: dict[str, type[ComplaintRecord]] = {
    "complaint.filed": ComplaintFiled,
    "complaint.closed": ComplaintClosed,
    "complaint.counted": ComplaintCounted,
    "complaint.discounted": ComplaintDiscounted,
    "bounce.counted": BounceCounted,
    "notifier.warned": NotifierWarned,
    "notifier.muted": NotifierMuted,
    "complaint.muted": ComplaintMuted,
    "optout.filed": OptOutFiled,
    "optout.ended": OptOutEnded,
    "optout.ignored": OptOutIgnored,
}
