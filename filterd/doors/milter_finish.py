"""From the end of a milter's message to what the MTA is told (HOUSE §4, rule 6.1; the milter's smtp_finish)."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from filterd.doors import milter_wire as wire
from filterd.doors import smtp_replies as replies
from filterd.doors.milter_message import MilterMessage
from filterd.doors.smtp_finish import hops, is_misheard
from filterd.doors.smtp_transaction import Report
from filterd.errors import UsageError
from filterd.mail.lines import canonical
from filterd.model.reply import Reply
from filterd.ports import Gate, HeaderEdits, Intake


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What becomes of the message: `reply` None, and the MTA edits its header and goes on; else what it answers.
    `hold`: it goes on as far as the MTA's own quarantine, for this reason. `is_plain`: as of Answer; what is written of
    it is what is written of mail that goes on."""

    reply: Reply | None
    transaction_id: str = ""
    edits: HeaderEdits | None = None
    hold: str | None = None
    is_plain: bool = False

    @property
    def is_accepted(self) -> bool:
        return (self.reply is None or self.is_plain) and self.hold is None

    def edits_for(self, *, has_leading_space: bool) -> bytes:
        """Write the edits as the MTA takes them."""
        if self.edits is None:
            return b""
        # From the last to the first: each removal shifts the fields of that name behind it.
        removed = sorted(self.edits.removed, key=lambda item: -item[1])
        rows = [wire.delete_header(name, nth) for name, nth in removed]
        # Each on top of the one before.
        for field in reversed(self.edits.added):
            name, _, value = field.partition(b":")
            folded = value.removesuffix(b"\r\n").replace(b"\r\n", b"\n")
            rows.append(wire.insert_header(0, name, folded, has_leading_space=has_leading_space))
        # Before the last word: an MTA forgets what comes with a refusal.
        return b"".join(rows) + (wire.quarantine(self.hold) if self.hold is not None else b"")


async def finish(
    message: MilterMessage, gate: Gate, *, max_hops: int, report: Report, queue_id: str | None = None
) -> Outcome:
    """Carry one message through to the end. Raises nothing.

    Args:
        queue_id: under which the MTA can keep it on hold; None: it cannot, or is not to.
    """
    session_id = message.session.id
    try:
        if message.refusal is not None:
            return Outcome(reply=message.refusal)
        raw, changes = canonical(message.raw())
        message.forget()
        if hops(raw) > max_hops:
            return Outcome(reply=replies.LOOP)
        intake = Intake(
            session=message.session,
            envelope=message.envelope,
            raw=raw,
            is_normalised=bool(changes),
            unknown_recipients=message.refused_recipients,
            bad_addresses=message.bad_addresses,
            queue_id=queue_id,
        )
        answer = await gate.enforce(intake)
        if answer.reply is None and answer.edits is None:
            raise UsageError("the gate has made no edits for a milter")
        return Outcome(
            reply=answer.reply,
            transaction_id=answer.transaction_id,
            edits=answer.edits,
            hold=answer.hold,
            is_plain=answer.is_plain,
        )
    except Exception as err:
        # The one place where an unexpected error of a message in hand is caught (HOUSE rule 6.1).
        report(session_id, err)
        return Outcome(reply=replies.internal_error(session_id))
    finally:
        message.release()


async def unheard(
    task: asyncio.Task[Outcome], message: MilterMessage, gate: Gate, why: str, *, is_unknown: bool, report: Report
) -> None:
    """Write down that a message was judged to the end and the MTA did not hear what became of it. Raises nothing.

    Args:
        is_unknown: whether the MTA may have heard it after all.
    """
    outcome = await task
    # Without an id there is no record that says anything else.
    if outcome.transaction_id and is_misheard(outcome.reply):
        try:
            await gate.failed(outcome.transaction_id, why, is_unknown=is_unknown)
        except Exception as err:
            report(message.session.id, err)
