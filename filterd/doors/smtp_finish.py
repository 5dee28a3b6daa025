"""From the end of data to the reply: the walk through the house, then the next hop (HOUSE §4, rule 6.1; FAULTS §2).

Runs in a task of its own, so that a client who leaves after the dot changes nothing. The order is what promises rest
on: durable work is done when the gate has answered, 250 comes only after the next hop's 250, and once our dot is out
the message is never sent again, whatever happens.
"""

from __future__ import annotations

from filterd.doors import smtp_replies as replies
from filterd.doors.answer_time import AnswerTime
from filterd.doors.smtp_transaction import MailTransaction, Report
from filterd.errors import PortError
from filterd.mail.lines import canonical
from filterd.markers import reach
from filterd.model.reply import Reply
from filterd.ports import Answer, Gate, Intake

# Trace fields stand at the top; a megabyte of header has been looked through by then.
MAX_HEADER_BYTES = 1 << 20
# Each line of a header may be a field, and each field is an object here: this many take a tenth of a second.
MAX_HEADER_LINES = 50_000


async def finish(
    transaction: MailTransaction,
    received: bytes,
    gate: Gate,
    *,
    time: AnswerTime,
    via: str,
    max_hops: int,
    report: Report,
) -> tuple[Reply, ...]:
    """Carry one message through to the end; says what is answered for each recipient, in their order: all the same
    unless the next hop speaks LMTP. Raises nothing.

    Args:
        received: the message as the client meant it, without the dots of the transport, its line ends as they came.
        time: once it is spent nothing goes on to the next hop.
        via: how the next hop is named in a 250.
        report: gets our own errors, with the session's id.
    """
    try:
        raw, changes = canonical(received)
        del received
        if hops(raw) > max_hops:
            return (replies.LOOP,) * transaction.recipients
        if _header_lines(raw) > MAX_HEADER_LINES:
            return (replies.HEADER_TOO_BIG,) * transaction.recipients
        intake = Intake(
            session=transaction.session,
            envelope=transaction.envelope,
            raw=raw,
            is_normalised=bool(changes),
            unknown_recipients=transaction.refused_recipients,
            bad_addresses=transaction.bad_addresses,
        )
        answer = await gate.enforce(intake)
        reach("smtp.enforced")
        if not time.hand_on():
            # Held or refused, it stays so: the record says that the client heard something else.
            if is_misheard(answer.reply):
                await gate.failed(answer.transaction_id, "AnswerTimeout", is_unknown=False)
            return (replies.TOO_LATE,) * transaction.recipients
        if answer.reply is not None and answer.is_plain:
            said = transaction.lease.taken(raw)
            await _recorded(transaction, answer, said, gate, report)
            return tuple(_told(reply, via) for reply in said)
        if answer.reply is not None:
            return (answer.reply,) * transaction.recipients
        return await _relayed(transaction, answer, gate, within_s=time.left_s, via=via, report=report)
    except Exception as err:
        # The one place where an unexpected error of a message in hand is caught (HOUSE rule 6.1).
        report(transaction.session.id, err)
        return (replies.internal_error(transaction.session.id),) * transaction.recipients
    finally:
        await transaction.lease.close()


def is_misheard(reply: Reply | None) -> bool:
    """Say whether a client who hears 451 in the place of this answer, None for the next hop's, hears another fate."""
    return reply is None or reply.code // 100 != 4


def hops(raw: bytes) -> int:
    """Count the Received fields at the top of a message in canonical form."""
    end = raw.find(b"\r\n\r\n", 0, MAX_HEADER_BYTES)
    header = b"\n" + raw[: end if end >= 0 else MAX_HEADER_BYTES].lower()
    return header.count(b"\nreceived:") + header.count(b"\nreceived ")


def _header_lines(raw: bytes) -> int:
    end = raw.find(b"\r\n\r\n")
    return raw.count(b"\r\n", 0, end if end >= 0 else len(raw))


async def _relayed(
    transaction: MailTransaction, answer: Answer, gate: Gate, *, within_s: float, via: str, report: Report
) -> tuple[Reply, ...]:
    session_id, everybody = transaction.session.id, transaction.recipients
    try:
        said = await transaction.lease.data(answer.raw, within_s=within_s)
    except PortError as err:
        report(session_id, err)
        # Where the relay does not say, the message may have been taken: that is the answer that loses nothing.
        is_unknown = bool(getattr(err, "is_after_dot", True))
        try:
            await gate.failed(answer.transaction_id, type(err).__name__, is_unknown=is_unknown)
        except Exception as trouble:
            # Whoever was answered before it broke must have that answer.
            report(session_id, trouble)
        # Of several recipients, those who were answered before it broke have their answer (LMTP).
        known: tuple[Reply, ...] = tuple(getattr(err, "replies", ()))
        return (*(_told(reply, via) for reply in known), *(replies.NEXT_HOP_LOST,) * (everybody - len(known)))
    except Exception as err:
        report(session_id, err)
        await gate.failed(answer.transaction_id, type(err).__name__, is_unknown=True)
        return (replies.internal_error(session_id),) * everybody
    reach("smtp.relayed")
    await _recorded(transaction, answer, said, gate, report)
    reach("smtp.recorded")
    return tuple(_told(reply, via) for reply in said)


async def _recorded(
    transaction: MailTransaction, answer: Answer, said: tuple[Reply, ...], gate: Gate, report: Report
) -> None:
    # One outcome a message: it has been taken when anybody has it, and the others count as refused.
    first = next((reply for reply in said if reply.is_positive), said[0])
    refused = sum(reply.code >= 500 for reply in said) if first.is_positive else 0
    try:
        await gate.delivered(answer.transaction_id, first, transaction.refused_recipients + refused)
    except Exception as err:
        # The next hop has answered: a record that failed must not turn its 250 into a second copy.
        report(transaction.session.id, err)


def _told(reply: Reply, via: str) -> Reply:
    return replies.accepted(reply, via) if reply.is_positive else replies.handed_on(reply)
