"""Which mails of the past answer to a query?  The one reading of an event that files and index share.

`searched` turns an event into a row, or nothing; `matches` is the query in Python, as the index has it in SQL. Events
may be older or newer than this program, or written by somebody else: what has not the expected shape is None.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from filterd.log.safe import TEXT_MAX
from filterd.model.found import ANSWERED, JUDGED, FoundMail, JudgedMail, MailAnswer, MailQuery, order_of

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
# What a database takes for a number (signed 64 bits); reply codes have three digits.
_NUMBER_MAX = 2**63 - 1
# So many mails beyond those wanted are kept before the oldest are let go.
_SPARE = 10_000
_PLAIN = re.compile(r"[A-Za-z0-9_.-]+")
_DECIDED = b'{"v":1,"event":"decided"'


def micros(at: datetime) -> int:
    """Say an instant as microseconds since 1970."""
    return (at - _EPOCH) // _MICROSECOND


def instant(at_us: int) -> datetime:
    """Say the instant again."""
    return _EPOCH + timedelta(microseconds=at_us)


def searched(event: Mapping[str, Any]) -> JudgedMail | MailAnswer | None:
    """Say the row of an event; None for one that is not searched, or lacks its writer, number or time."""
    kind = event.get("event")
    if kind not in JUDGED and kind not in ANSWERED:
        return None
    writer, seq, at_us = _text(event.get("writer")), _number(event.get("seq")), _at(event.get("at"))
    tx = _text(event.get("tx"))
    if writer is None or seq is None or at_us is None:
        return None
    reply = _map(event.get("reply"))
    code, enhanced = _number(reply.get("code")), _text(reply.get("enhanced"))
    if kind in ANSWERED:
        if tx is None:
            return None
        return MailAnswer(
            writer=writer,
            seq=seq,
            at_us=at_us,
            event=kind,
            tx=tx,
            by=_text(event.get("by")),
            reply_code=code,
            reply_enhanced=enhanced,
            queue_id=_text(event.get("queue_id")),
        )
    principal, decision = _map(event.get("principal")), _map(event.get("decision"))
    sender, message = _map(event.get("sender")), _map(event.get("message"))
    checks = [check for check in _list(event.get("checks")) if isinstance(check, dict)]
    found = (_text(_map(f).get("code")) for check in checks for f in _list(check.get("findings")))
    return JudgedMail(
        writer=writer,
        seq=seq,
        at_us=at_us,
        event=kind,
        tx=tx,
        disposition=(_text(decision.get("disposition")) or "unknown") if kind == "decided" else kind,
        direction=_text(event.get("direction")),
        listener=_text(event.get("listener")),
        account_id=_text(event.get("account_id") if kind == "denied" else principal.get("account_id")),
        tenant_id=_text(principal.get("tenant_id")),
        incident_id=_text(decision.get("incident_id")),
        policy_digest=_text(decision.get("policy_digest")),
        message_id=_text(message.get("message_id")),
        sender_hash=_text(sender.get("hash")),
        sender_domain=_text(sender.get("domain")),
        reply_code=code,
        reply_enhanced=enhanced,
        codes=tuple(sorted({code for code in found if code is not None})),
        reasons=tuple(c for r in _list(decision.get("reasons")) if (c := _text(_map(r).get("code"))) is not None),
        checks=tuple(row for check in checks if (row := _outcome(check)) is not None),
        text_fp=_text(message.get("text_fp")),
        recipients=_hashes(event) if principal.get("account_id") is not None else (),
        streams=_texts(message.get("stream_keys")),
    )


def _hashes(event: Mapping[str, Any]) -> tuple[str, ...]:
    """Say the keyed hashes of the recipients of a mail."""
    return _texts(_map(event.get("recipients")).get("hashes"))


def _texts(value: Any) -> tuple[str, ...]:
    return tuple(x for x in map(_text, _list(value)) if x is not None)


def matches(mail: JudgedMail, query: MailQuery) -> bool:
    """Say whether a mail is meant, as far as it can be said without its answers (`queue_id`)."""
    wanted = (
        (query.account_id, mail.account_id),
        (query.tenant_id, mail.tenant_id),
        (query.disposition, mail.disposition),
        (query.sender_domain, mail.sender_domain),
        (query.incident_id, mail.incident_id),
    )
    return (
        all(asked is None or asked == has for asked, has in wanted)
        and (query.code is None or query.code in mail.codes)
        and (query.message_ids is None or mail.message_id in query.message_ids)
        and (query.since_us is None or mail.at_us >= query.since_us)
        and (query.until_us is None or mail.at_us < query.until_us)
    )


def look_of(query: MailQuery) -> Callable[[bytes], bool]:
    """Say a quick look at a line, before it is read: False only for a decision that cannot be meant."""
    wanted = (query.account_id, query.tenant_id, query.code, query.disposition, query.sender_domain, query.incident_id)
    # As our own writer writes them; what has to be escaped is read first.
    needles = [text.encode() for text in wanted if text is not None and _PLAIN.fullmatch(text)]
    hashes = None if query.message_ids is None else [text.encode() for text in query.message_ids]

    def look(line: bytes) -> bool:
        if not line.startswith(_DECIDED):
            return True
        return all(n in line for n in needles) and (hashes is None or any(h in line for h in hashes))

    return look


class Search:
    """Takes the events of streams, each as often as it comes, and says which mails are meant.

    Args:
        is_tail: the events are those after what an index holds, so that answers come without their mails; otherwise an
            answer comes after its mail, as a writer writes them.
    """

    def __init__(self, query: MailQuery, *, is_tail: bool = False):
        self.query = query
        self._keeps_answers = is_tail or query.queue_id is not None
        self._transactions: set[str | None] = set()
        self.mails: dict[tuple[str, int], JudgedMail] = {}
        self.answers: dict[str, dict[tuple[str, int], MailAnswer]] = {}
        # With a queue id, the mails that have it.
        self.queued: set[str] = set()

    def take(self, event: Mapping[str, Any]) -> None:
        """Take one event; those that are not searched change nothing."""
        self.take_row(searched(event))

    def take_row(self, row: JudgedMail | MailAnswer | None) -> None:
        if isinstance(row, MailAnswer):
            if not self._keeps_answers and row.tx not in self._transactions:
                return
            self.answers.setdefault(row.tx, {})[(row.writer, row.seq)] = row
            if row.queue_id is not None and row.queue_id == self.query.queue_id:
                self.queued.add(row.tx)
        elif row is not None and matches(row, self.query):
            self.mails[(row.writer, row.seq)] = row
            self._transactions.add(row.tx)
            if len(self.mails) > self.query.limit + _SPARE and not self._keeps_answers:
                self._forget()

    def found(self, others: Iterable[FoundMail] = ()) -> list[FoundMail]:
        """Say the latest mails that are meant, in the order they came, those of an index among them.

        Args:
            others: found elsewhere; what we know of their answers is added.
        """
        mails = {(m.judged.writer, m.judged.seq): self._answered(m.judged, m.answer) for m in others}
        for key, mail in self.mails.items():
            if self.query.queue_id is None or mail.tx in self.queued:
                mails[key] = self._answered(mail, mails[key].answer if key in mails else None)
        return sorted(mails.values(), key=lambda mail: order_of(mail.judged))[-self.query.limit :]

    def _forget(self) -> None:
        """Let go of the oldest: only the latest are wanted."""
        latest = sorted(self.mails.values(), key=order_of)[-self.query.limit :]
        self.mails = {(mail.writer, mail.seq): mail for mail in latest}
        self._transactions = {mail.tx for mail in latest}
        self.answers = {tx: said for tx, said in self.answers.items() if tx in self._transactions}

    def _answered(self, mail: JudgedMail, known: MailAnswer | None) -> FoundMail:
        answers = list(self.answers.get(mail.tx, {}).values()) if mail.tx is not None else []
        if known is not None:
            answers.append(known)
        return FoundMail(judged=mail, answer=max(answers, key=order_of, default=None))


def _outcome(check: dict[str, Any]) -> tuple[str, str, str | None] | None:
    name, outcome = _text(check.get("check")), _text(check.get("outcome"))
    if name is None or outcome is None or outcome == "clean":
        return None
    return name, outcome, _text(check.get("reason"))


def _at(value: Any) -> int | None:
    if not isinstance(value, str):
        return None
    try:
        at = datetime.fromisoformat(value)
    except ValueError:
        return None
    return micros(at) if at.tzinfo is not None else None


def _text(value: Any) -> str | None:
    # PostgreSQL takes no NUL; we never write one.
    return value[:TEXT_MAX].replace("\0", "\\x00") if isinstance(value, str) else None


def _number(value: Any) -> int | None:
    is_number = isinstance(value, int) and not isinstance(value, bool)
    return value if is_number and -_NUMBER_MAX <= value <= _NUMBER_MAX else None


def _map(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []
