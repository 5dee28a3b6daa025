"""What is decided about one mail, and what follows for the account: Disposition, Decision, and the request for one."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from filterd.model.exception import Applied
from filterd.model.held import HoldRequest
from filterd.model.principal import Principal
from filterd.model.records import Record
from filterd.model.sanction import Rung, Violation
from filterd.model.session import Direction
from filterd.model.verdict import Assessment

# The fingerprint of a text without letters (mail/fingerprint): it is everybody's, and joins nothing to anything.
NO_TEXT = "0" * 16


class Disposition(StrEnum):
    """About this mail only; in order of strength when two rules disagree."""

    ACCEPT = "accept"
    TAG = "tag"
    QUARANTINE = "quarantine"
    DEFER = "defer"
    REJECT = "reject"
    DISCARD = "discard"


STRENGTH: tuple[Disposition, ...] = (
    Disposition.ACCEPT,
    Disposition.TAG,
    # What waits with its sender waits for more than a person: a check that has not been made, a rate.
    Disposition.QUARANTINE,
    Disposition.DEFER,
    Disposition.REJECT,
    Disposition.DISCARD,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Counts:
    """What the counters said for this account, this transaction included (the `rate` check writes them down).

    `external_day`: to recipients outside, counted only while the account is kept to a number of them; 0 else.
    `tenant_*`: what all accounts of its tenant sent. `client_*`: what came from the client's address; 0 when nobody
    says which that is. `clients_hour`: from how many addresses the account sent; `client_is_new`: this one came up
    since yesterday, and others are known of longer; `client_is_original`: it is one of the account's first day;
    `strangers_baseline_day`: how many people a day it wrote to for the first time. `recipients_month`: in the 30 days
    before today, and today. `drip_strangers`: of a mail to strangers, how many of them had much the same text within
    the month. Whoever reads what an older program wrote finds 0 in what that did not count.
    """

    messages_10min: int = 0
    messages_hour: int = 0
    messages_day: int = 0
    recipients_10min: int = 0
    recipients_hour: int = 0
    recipients_day: int = 0
    unknown_hour: int = 0
    strangers_hour: int = 0
    baseline_recipients_day: float = 0.0
    tenant_messages_10min: int = 0
    tenant_messages_hour: int = 0
    tenant_messages_day: int = 0
    tenant_recipients_10min: int = 0
    tenant_recipients_hour: int = 0
    tenant_recipients_day: int = 0
    tenant_baseline_recipients_day: float = 0.0
    client_messages_10min: int = 0
    client_messages_hour: int = 0
    client_messages_day: int = 0
    client_recipients_10min: int = 0
    client_recipients_hour: int = 0
    client_recipients_day: int = 0
    client_baseline_recipients_day: float = 0.0
    external_day: int = 0
    tenant_external_day: int = 0
    clients_hour: int = 0
    client_is_new: bool = False
    client_is_original: bool = False
    strangers_baseline_day: float = 0.0
    recipients_month: int = 0
    drip_strangers: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class MailFacts:
    """Numbers and yes-or-no facts of the mail that restrictions of features look at. No words of the mail.

    Args:
        reachable_recipients, reachable_external: how many of `recipients` and of `external_recipients` are addresses
            that no restriction keeps anybody from writing to (pipeline/reach).
        recipient_hashes: of the others, as keyed pseudonyms; filled only where the account has a locked recipient.
        size_bytes: of the whole mail; 0 where nobody has said (what an older program wrote).
        is_by_rule, is_from_another, strangers: made or sent on by a rule (mail/forwarded); with an author or envelope
            sender that is not the account's own address; how many outside recipients did not write first. Each looked
            at only while the account is kept from it (pipeline/facts).
        recipient_domains: the different ones, in lower case; filled only where agreement/registers may ask.
        stream_keys: keyed hashes of what tells a run of mail from others: its List-Id, its author address.
        has_one_click: it can be unsubscribed from with one click (RFC 8058), and a signature in it covers that, if any.
        was_received_first: what was found in it came to the tenant from outside lately; asked only for mail in breach.
    """

    recipients: int
    external_recipients: int
    has_attachments: bool
    has_links: bool
    counts: Counts = Counts()
    reachable_recipients: int = 0
    reachable_external: int = 0
    recipient_hashes: tuple[str, ...] = ()
    size_bytes: int = 0
    is_by_rule: bool = False
    is_from_another: bool = False
    strangers: int = 0
    recipient_domains: tuple[str, ...] = ()
    stream_keys: tuple[str, ...] = ()
    has_one_click: bool = False
    was_received_first: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """Everything a decision depends on besides standing and terms. JSON-safe: it crosses the ledger link.

    `hold`: what it takes to hold the mail; None: it cannot be held.
    """

    transaction_id: str
    at: datetime
    direction: Direction
    principal: Principal
    evidence_key: str
    delivery_keys: tuple[str, ...]
    text_fp: str
    facts: MailFacts
    assessment: Assessment
    policy_digest: str
    evidence_digest: str | None = None
    hold: HoldRequest | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Reason:
    """Why the mail gets what it gets: a code, and ids that explain it (`feature.bulk`, `check.clamd.temperror`)."""

    code: str
    disposition: Disposition
    ids: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class NoticeDue:
    """A statement of reasons to be rendered and sent: which template, for which incident, about which sanction."""

    template: str
    account_id: str
    incident_id: str
    sanction_ids: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """The whole answer for one mail.

    Args:
        violations: empty for clean mail and for mail nobody answers for.
        advisory: what people are shown and nothing follows from: ids of the categories touched (never C1), then codes
            of findings the agreement lists as advisory.
        records: what the ledger appends, in order; empty for clean mail and for a retry, and once it has: then only
            `is_recorded` crosses the link.
        incident_id: the incident this mail belongs to, None when there is none.
        ends_at: for a refusal by standing: when the sanction ends, None when open-ended.
        clauses: what the refusal cites, in the agreement's own numbers.
        policy_digest: of the version decided by: the one with the milder sanction of `policy_digest_act`, in force when
            the mail came, and `policy_digest_decision`, in force when it was decided on (agreement/versions); those two
            are empty where there was no account to decide about in the ledger.
        rung_before, rung_after: standing on the conduct axis.
        advice: codes of advice that is due and no violation: an undeclared run, a wrong From address.
        held_id: the item of the quarantine that has the mail, None where it is not held.
        held_until: when it comes back by itself if nobody decides; None where it does not.
        exceptions: the operator's entries that were about this mail, those followed and those that lost.
        is_held_by_mta: the MTA that asks keeps its copy on hold, and delivers that one when it is released.
    """

    decision_id: str
    transaction_id: str
    disposition: Disposition
    reasons: tuple[Reason, ...] = ()
    violations: tuple[Violation, ...] = ()
    advisory: tuple[str, ...] = ()
    records: tuple[Record, ...] = ()
    notices: tuple[NoticeDue, ...] = ()
    incident_id: str | None = None
    clauses: tuple[str, ...] = ()
    ends_at: datetime | None = None
    policy_digest: str = ""
    policy_digest_act: str = ""
    policy_digest_decision: str = ""
    rung_before: Rung = Rung.NONE
    rung_after: Rung = Rung.NONE
    is_retry: bool = False
    is_recorded: bool = False
    advice: tuple[str, ...] = ()
    held_id: str | None = None
    held_until: datetime | None = None
    exceptions: tuple[Applied, ...] = ()
    is_held_by_mta: bool = False
