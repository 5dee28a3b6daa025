"""Looking for mails of the past: what is asked, and what is known of each.  ops/docs/EVENTS.md has the events.

A mail is judged (`decided`), let through (`bypassed`) or turned away by standing alone (`denied`); later it is answered
(`delivered`, `refused`, `relay_failed`). Both halves hold ids, codes, keyed hashes and the sender's domain.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

JUDGED = ("decided", "bypassed", "denied")
ANSWERED = ("delivered", "refused", "held", "relay_failed")
_LET_GO, _OUR_WAY = frozenset({"accept", "tag"}), frozenset({"outbound", "internal"})


@dataclass(frozen=True, slots=True, kw_only=True)
class MailQuery:
    """What the mails looked for have in common; None does not ask. The latest `limit` of them are wanted.

    Args:
        since_us, until_us: microseconds since 1970 (UTC), the first included, the second not.
        code: a finding code, whole.
        disposition: of the decision, or `bypassed`, `denied`.
        message_ids: keyed hashes of a Message-ID, any of them; a Message-ID may be written in several ways.
        queue_id: the next hop's, in any answer to the mail.
    """

    since_us: int | None = None
    until_us: int | None = None
    account_id: str | None = None
    tenant_id: str | None = None
    code: str | None = None
    disposition: str | None = None
    sender_domain: str | None = None
    message_ids: frozenset[str] | None = None
    queue_id: str | None = None
    incident_id: str | None = None
    limit: int = 50


@dataclass(frozen=True, slots=True, kw_only=True)
class JudgedMail:
    """One event of JUDGED.

    Args:
        writer, seq: of the event; together they are its name.
        at_us: when it was written.
        tx: None for `denied`.
        message_id, sender_hash: keyed hashes.
        codes: of all findings, sorted, each once.
        reasons: of the decision.
        checks: (check, outcome, why) of every check that was not clean.
        text_fp: digest of the text, the same for copies of one campaign; None for `denied` and `bypassed`.
        recipients: keyed hashes, of mail of an account of ours.
        streams: keyed hashes by which declared streams know it.
    """

    writer: str
    seq: int
    at_us: int
    event: str
    tx: str | None
    disposition: str
    direction: str | None
    listener: str | None
    account_id: str | None
    tenant_id: str | None
    incident_id: str | None
    policy_digest: str | None
    message_id: str | None
    sender_hash: str | None
    sender_domain: str | None
    reply_code: int | None
    reply_enhanced: str | None
    codes: tuple[str, ...]
    reasons: tuple[str, ...]
    checks: tuple[tuple[str, str, str | None], ...]
    text_fp: str | None = None
    recipients: tuple[str, ...] = ()
    streams: tuple[str, ...] = ()

    @property
    def was_sent(self) -> bool:
        """Whether an account of ours sent it and it left us at once: other mail never reached anybody, or somebody has
        looked at it."""
        is_ours = self.tx is not None and self.account_id is not None
        return is_ours and self.disposition in _LET_GO and self.direction in _OUR_WAY

    def as_sent(self) -> dict[str, Any]:
        """Say what the ledger is told of a mail of ours that somebody writes about."""
        return {
            "transaction_id": self.tx,
            "account_id": self.account_id,
            "recipients": list(self.recipients),
            "streams": list(self.streams),
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class MailAnswer:
    """One event of ANSWERED. `by`: whose no it was, None for the others."""

    writer: str
    seq: int
    at_us: int
    event: str
    tx: str
    by: str | None
    reply_code: int | None
    reply_enhanced: str | None
    queue_id: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundMail:
    """A mail, and the last answer to it; None while nothing is known of that."""

    judged: JudgedMail
    answer: MailAnswer | None


def order_of(item: JudgedMail | MailAnswer) -> tuple[Any, ...]:
    """Say by what mails and answers are put in order: when they happened, then whose they are."""
    return (item.at_us, item.writer, item.seq)


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamPosition:
    """How far somebody has read the stream of one writer.

    Args:
        seq: of the last event read; what follows has a greater one.
        inode, offset: the file and the octets read of it, for a quick start; worth nothing once the file is gone.
        mark: digest of the octets just before `offset`, to notice a file that was cut and written anew.
    """

    seq: int = 0
    inode: int = 0
    offset: int = 0
    mark: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class IndexStatus:
    """What an index holds.

    Args:
        mails, answers: rows.
        oldest_us, newest_us: of the mails, None for none.
        kept_since_us: what happened before was taken out, or never taken in; None: nothing was left out.
        positions: writer → how far it was read.
    """

    place: str
    mails: int
    answers: int
    oldest_us: int | None
    newest_us: int | None
    kept_since_us: int | None
    positions: dict[str, StreamPosition]
