"""One function a business event.  HOUSE rule 15; ops/docs/EVENTS.md has each event with its fields.

Temporary: the volume takes nothing (PortError). Before the reply after the dot that means 451; later, the caller counts
it and goes on.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from filterd.log import facts
from filterd.log.dns import Asked, dns_facts
from filterd.log.service import service_log
from filterd.log.stream import EventStream
from filterd.model.decision import Case, Decision, Disposition
from filterd.model.entry import Entry
from filterd.model.exception import Applied
from filterd.model.reply import Reply
from filterd.model.session import Envelope, Path, Session, Transaction

EVENTS = (
    "decided",
    "delivered",
    "refused",
    "held",
    "relay_failed",
    "denied",
    "bypassed",
    "troubled",
    "entry",
    "outbox_done",
    "outbox_failed",
    "started",
    "config",
    "config_refused",
    "stopped",
    "stream.torn",
    "stream.cut",
)

# Transactions decided and not yet answered. More than a node can hold open at once; the oldest is forgotten first.
OPEN_MAX = 10_000


@dataclass(frozen=True, slots=True, kw_only=True)
class _Open:
    account_id: str | None
    disposition: Disposition
    incident_id: str | None
    started: float


# Somebody used the ledger's socket without saying who they are.
ROOT_ACTED = "root.acted"
# Somebody was added who can become the second of two.
PERSON_ADDED = "person.added"
PERSON_ADVICE = "see who and by whom (filterd person list); whoever decides vouches, or root replaces the token"
ROOT_ADVICE = "find out who it was and why; give people tokens of their own (filterd person add)"


class Log:
    """The events of one process.

    Args:
        pseudonym_key: `Keys.pseudonym`, 32 octets; the same on all nodes, so that hashes can be compared.
    """

    def __init__(self, stream: EventStream, *, pseudonym_key: bytes):
        self.stream = stream
        self._key = pseudonym_key
        self._open: dict[str, _Open] = {}

    # --- one mail -----------------------------------------------------------------------------------------------------

    def decided(
        self,
        transaction: Transaction,
        case: Case,
        decision: Decision,
        *,
        message_id: str | None,
        elapsed_ms: float,
        asked: Asked = (),
    ) -> None:
        """Record everything a decision rests on and what it says.

        Args:
            case: what was decided on; holds principal, facts, counters and assessment.
            message_id: the Message-ID field, to be hashed; None when there is none.
            elapsed_ms: since the dot.
            asked: what DNS was asked for this mail and what it said, as `ports.Lookups.asked` has it.
        """
        said = facts.decided_facts(self._key, transaction, case, decision, message_id)
        said |= dns_facts(self._key, transaction, case.assessment, asked)
        self._append("decided", transaction.id, **said, elapsed_ms=round(elapsed_ms, 3))
        opened = _Open(
            account_id=case.principal.account_id,
            disposition=decision.disposition,
            incident_id=decision.incident_id,
            started=time.monotonic() - elapsed_ms / 1000,
        )
        self._keep(transaction.id, opened)
        for check, mode in case.assessment.fail_modes:
            service_log().warning("unchecked", tx=transaction.id, check=check, fail_mode=mode.value)

    def delivered(self, transaction_id: str, reply: Reply, refused_recipients: int = 0) -> None:
        """Record the next hop's yes after the dot."""
        # The line first: it stands also when the volume of the stream is full.
        self._answered(transaction_id, reply.code)
        self._append(
            "delivered",
            transaction_id,
            reply=facts.reply_facts(reply),
            queue_id=facts.queue_id(reply.text),
            refused_recipients=refused_recipients,
        )

    def refused(self, transaction_id: str, reply: Reply, refused_recipients: int = 0) -> str:
        """Record a no after the dot, temporary or permanent, and say whose it was.

        Returns:
            `next_hop` when the mail was to pass, `policy` when a decision said no, else `standing`.
        """
        known = self._open.get(transaction_id)
        if known is None:
            by = "standing"
        else:
            by = "next_hop" if known.disposition in (Disposition.ACCEPT, Disposition.TAG) else "policy"
        self._answered(transaction_id, reply.code, by=by)
        self._append(
            "refused",
            transaction_id,
            by=by,
            reply=facts.reply_facts(reply),
            refused_recipients=refused_recipients,
        )
        return by

    def held(self, transaction_id: str, item_id: str, reply: Reply, queue_id: str | None = None) -> None:
        """Record that the mail is in quarantine, durable, and that the client was told so. `queue_id`: of the MTA that
        keeps it on hold."""
        self._answered(transaction_id, reply.code, item=item_id)
        answered = facts.reply_facts(reply)
        self._append("held", transaction_id, item_id=item_id, reply=answered, queue_id=queue_id)

    def relay_failed(self, transaction_id: str, reason: str, *, is_unknown: bool) -> None:
        """Record that the relay broke; `is_unknown`: after our dot, so that nobody knows who has the mail."""
        reason = facts.without_addresses(reason)
        # The door answers 451, whatever broke.
        self._answered(transaction_id, 451, reason=reason, is_unknown=is_unknown)
        self._append("relay_failed", transaction_id, reason=reason, is_unknown=is_unknown)

    def denied(
        self,
        session: Session,
        account_id: str | None,
        reply: Reply,
        *,
        reverse_path: Path | None = None,
        recipient: Path | None = None,
        because: Sequence[Applied] = (),
    ) -> None:
        """Record a refusal by standing alone, for one recipient before DATA or for a whole mail (HOUSE §4 step 0).

        Args:
            because: the operator's entries that it follows instead, with those that lost.
        """
        self._append(
            "denied",
            None,
            session_id=session.id,
            door=session.door,
            listener=session.listener,
            client=facts.client_facts(session),
            sender=facts.sender_facts(self._key, reverse_path),
            recipient=None if recipient is None else facts.pseudonym(self._key, recipient.address),
            account_id=account_id,
            reply=facts.reply_facts(reply),
            exceptions=[facts.exception_facts(entry) for entry in because],
        )
        service_log().info("denied", session=session.id, account=account_id, code=reply.code)

    def bypassed(
        self,
        transaction_id: str,
        session: Session,
        envelope: Envelope,
        order_id: str,
        digest: str,
        *,
        message_id: str | None,
    ) -> None:
        """Record a mail that passes unjudged under a bypass order."""
        self._append(
            "bypassed",
            transaction_id,
            order_id=order_id,
            door=session.door,
            listener=session.listener,
            client=facts.client_facts(session),
            sender=facts.sender_facts(self._key, envelope.reverse_path),
            recipients=len(envelope.forward_paths),
            digest=digest,
            message={"message_id": facts.message_id_hash(self._key, message_id)},
        )
        opened = _Open(account_id=None, disposition=Disposition.ACCEPT, incident_id=None, started=time.monotonic())
        self._keep(transaction_id, opened)

    def alarm(self, order_id: str, *, by: str, until: str) -> None:
        """Say, once a minute, that all mail passes unjudged, and how to end it."""
        service_log().error("bypass", order=order_id, by=by, until=until, do="filterd bypass off")

    def alarm_over(self, order_id: str, *, by: str) -> None:
        """Say that mail is judged again."""
        service_log().warning("bypass_over", order=order_id, by=by)

    def troubled(self, transaction_id: str | None, what: str, error: BaseException) -> None:
        """Record that something raised: a check (by its name), the ledger, the door.

        Said are the kind of error and its place in the code; the text of an error only where it is our own, for that
        of others may quote the mail.
        """
        said: dict[str, Any] = {"what": what, **facts.error_facts(error)}
        service_log().error("troubled", tx=transaction_id, **said)
        self._append("troubled", transaction_id, **said)

    # --- the ledger and its outbox ------------------------------------------------------------------------------------

    def entry(self, entry: Entry) -> None:
        """Record a committed ledger row; its sealed part stays in the ledger, what locked lists find is left out."""
        said = facts.entry_facts(entry)
        # Uncapped: the body is filterd's own, and replay needs all of it.
        self.stream.append("entry", said["body"].get("transaction_id"), said, is_capped=False)
        self.stream.note_ledger(entry.writer, entry.seq)
        if entry.kind in facts.HELD_KINDS and not said["body"]:
            # Mail that a locked list holds: the stream has the row's hash, for the chain; nobody else needs to know.
            return
        service_log().info("entry", kind=entry.kind, seq=entry.seq, account=entry.account_id, tenant=entry.tenant_id)
        if entry.kind == ROOT_ACTED:
            service_log().error("root_acted", verb=str(said["body"].get("verb")), seq=entry.seq, do=ROOT_ADVICE)
        if entry.kind == PERSON_ADDED and said["body"].get("needs_second"):
            service_log().error("second_person_added", seq=entry.seq, do=PERSON_ADVICE)

    def outbox_done(self, item_id: str, topic: str, *, attempts: int) -> None:
        self._append("outbox_done", None, item_id=item_id, topic=topic, attempts=attempts)

    def outbox_failed(self, item_id: str, topic: str, *, attempts: int, reason: str, is_final: bool) -> None:
        """Record an attempt that failed; `is_final`: nobody will try again."""
        said: dict[str, Any] = {"item_id": item_id, "topic": topic, "attempts": attempts}
        said |= {"reason": facts.without_addresses(reason), "is_final": is_final}
        self._append("outbox_failed", None, **said)
        service_log().warning("outbox_failed", **said)

    # --- the process --------------------------------------------------------------------------------------------------

    def started(self, *, version: str, role: str, checks: Mapping[str, str], policies: Mapping[str, str]) -> None:
        """Record a start.

        Args:
            version: of filterd.
            role: `ledger`, `worker`, `console`, `all`.
            checks: name → version, with the model's where there is one.
            policies: agreement → digest.
        """
        self._append("started", None, version=version, role=role, checks=checks, policies=policies)
        service_log().info("started", writer=self.stream.writer, version=version, role=role)

    def config(self, *, checks: Mapping[str, str], policies: Mapping[str, str]) -> None:
        """Record a reload: what is in force from here on."""
        self._append("config", None, checks=checks, policies=policies)
        service_log().info("config", writer=self.stream.writer)

    def config_refused(self, *, file: str | None, line: int | None, key: str | None) -> None:
        """Record a reload that changed nothing, and where the fault is; what it is stands in the service log."""
        self._append("config_refused", None, file=file, line=line, key=key)

    def stopped(self, reason: str) -> None:
        """Record an orderly end (`sigterm`, `error`); a process that was killed has none."""
        self._append("stopped", None, reason=reason)
        service_log().info("stopped", writer=self.stream.writer, reason=reason)

    def _keep(self, transaction_id: str, opened: _Open) -> None:
        self._open[transaction_id] = opened
        if len(self._open) > OPEN_MAX:
            del self._open[next(iter(self._open))]

    def _answered(self, transaction_id: str, code: int, **more: Any) -> None:
        """The one line a transaction."""
        known = self._open.pop(transaction_id, None)
        service_log().info(
            "mail",
            tx=transaction_id,
            account=known.account_id if known else None,
            disposition=known.disposition.value if known else None,
            code=code,
            incident=known.incident_id if known else None,
            elapsed_ms=round((time.monotonic() - known.started) * 1000, 1) if known else None,
            **more,
        )

    def _append(self, event: str, tx: str | None, **fields: Any) -> None:
        self.stream.append(event, tx, fields)
