"""What is decided about one mail, and what follows for the account: Disposition, Decision, and the request for one."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from filterd.model.principal import Principal
from filterd.model.records import Record
from filterd.model.sanction import Rung, Violation
from filterd.model.session import Direction
from filterd.model.verdict import Assessment


class Disposition(StrEnum):
    """About this mail only; in order of strength when two rules disagree."""

    ACCEPT = "accept"
    TAG = "tag"
    DEFER = "defer"
    REJECT = "reject"
    DISCARD = "discard"


STRENGTH: tuple[Disposition, ...] = (
    Disposition.ACCEPT,
    Disposition.TAG,
    Disposition.DEFER,
    Disposition.REJECT,
    Disposition.DISCARD,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Counts:
    """What the counters said for this account, this transaction included (the `rate` check writes them down).

    `tenant_*`: what all accounts of its tenant sent. `client_*`: what came from the client's address; 0 when nobody
    says which that is. Whoever reads what an older program wrote finds 0 in what that did not count.
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


@dataclass(frozen=True, slots=True, kw_only=True)
class MailFacts:
    """Numbers and yes-or-no facts of the mail that restrictions of features look at. No words of the mail.

    Args:
        reachable_recipients, reachable_external: how many of `recipients` and of `external_recipients` are addresses
            that no restriction keeps anybody from writing to (pipeline/reach).
        recipient_hashes: of the others, as keyed pseudonyms; filled only where the account has a locked recipient.
        size_bytes: of the whole mail; 0 where nobody has said (what an older program wrote).
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """Everything a decision depends on besides standing and terms. JSON-safe: it crosses the ledger link."""

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
        rung_before, rung_after: standing on the conduct axis.
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
    rung_before: Rung = Rung.NONE
    rung_after: Rung = Rung.NONE
    is_retry: bool = False
    is_recorded: bool = False
