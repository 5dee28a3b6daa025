"""The SMTP verbs of the front door (RFC 5321 §4.1.1; RFC 1870 SIZE, RFC 3461 DSN, RFC 6531 SMTPUTF8).

Grammar is strict, parameters are handed on verbatim, as Postfix does before its queue, whether or not EHLO offered
them and whether or not the next hop does: it is the one to answer.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Literal

from filterd.doors import smtp_replies as replies
from filterd.doors.answer_time import BEFORE_NEXT_HOP, AnswerTime
from filterd.doors.proxied import ClientOf
from filterd.doors.smtp_arguments import declared_size, octets_of, read_mail, read_rcpt
from filterd.doors.smtp_connection import SmtpConnection
from filterd.doors.smtp_data import MessageBuffer
from filterd.doors.smtp_door import SmtpDoor
from filterd.doors.smtp_finish import finish
from filterd.doors.smtp_refused import Refused
from filterd.doors.smtp_transaction import MailTransaction, begin
from filterd.doors.xforward import XCLIENT_NAMES, XFORWARD_NAMES, attributes
from filterd.errors import PeerError, PortError
from filterd.markers import reach
from filterd.model.reply import Reply

Verb = Callable[[str | None], Awaitable[None]]

# All there is: what is not here gets 500, whatever aiosmtpd could do (AUTH, HELP with syntax).
VERBS = (
    "EHLO",
    "HELO",
    "MAIL",
    "RCPT",
    "DATA",
    "RSET",
    "NOOP",
    "QUIT",
    "VRFY",
    "EXPN",
    "HELP",
    "XFORWARD",
    "XCLIENT",
    "STARTTLS",
)
# RFC 3207 §4: what is heard where TLS is required and not there yet; HELO, as in Postfix, for want of harm.
BEFORE_TLS = frozenset({"EHLO", "HELO", "LHLO", "NOOP", "QUIT", "STARTTLS"})
# RFC 5321 §4.5.3.1.2: a domain has at most 255 octets.
MAX_HELO_BYTES = 255


class SmtpProtocol(SmtpConnection):
    """A connection with its verbs; each answers exactly once, by a reply or by raising Refused.

    lmtp changes what stands in these: the table, two refusals, how many replies follow a message, and how many
    recipients it may have.
    """

    verbs: tuple[str, ...] = VERBS
    need_helo = replies.NEED_HELO
    no_recipients = replies.NO_RECIPIENTS

    def __init__(self, door: SmtpDoor, client_of: ClientOf | None = None) -> None:
        super().__init__(door, client_of)
        self._smtp_methods = self._methods(is_tls=False)

    def replies_to(self, transaction: MailTransaction) -> int:
        """Say how many replies the end of a message gets."""
        return 1

    @property
    def max_recipients(self) -> int:
        """One at a time where the next hop answers for each and we have one answer for all: whatever we said, somebody
        would get the mail twice or not at all."""
        return 1 if self.door.relay.answers_each else self.door.listener.max_recipients

    # --- who talks --------------------------------------------------------------------------------------------------

    async def smtp_EHLO(self, arg: str | None) -> None:
        await self.begin_extended(arg, "ESMTP")

    async def smtp_HELO(self, arg: str | None) -> None:
        self._begin_session(arg, "SMTP")
        await self.answer(Reply(code=250, enhanced=None, text=self.door.listener.hostname))

    async def begin_extended(self, arg: str | None, protocol: Literal["ESMTP", "LMTP"]) -> None:
        self._begin_session(arg, protocol)
        await self.send(self.door.ehlo(is_trusted=self.client.is_trusted, is_tls=self.client.tls is not None))

    def _begin_session(self, arg: str | None, protocol: Literal["SMTP", "ESMTP", "LMTP"]) -> None:
        self.count_junk()
        octets = octets_of(arg)
        if not octets or len(octets) > MAX_HELO_BYTES:
            raise Refused(replies.BAD_HELO)
        # RFC 5321 §4.1.4: EHLO in the middle of a session is a RSET, too.
        self.drop_transaction()
        name = octets.decode("utf-8", "backslashreplace")
        self.client.helo = "".join(c if c.isprintable() else "?" for c in name)
        self.client.protocol = protocol

    async def smtp_STARTTLS(self, arg: str | None) -> None:
        self.count_junk()
        self._take_no_argument(arg)
        door = self.door
        if door.certificate is None:
            raise Refused(replies.UNKNOWN_COMMAND)
        if self.client.tls is not None:
            raise Refused(replies.TLS_ALREADY)
        if self.client.helo is None:
            raise Refused(self.need_helo)
        if self.transaction is not None:
            raise Refused(replies.IN_TRANSACTION)
        if self._reader.has_ahead:
            # RFC 3207 §4: what somebody put behind the command in clear text would be obeyed inside TLS (row 31).
            raise Refused(replies.AHEAD_OF_TLS, is_final=True)
        if door.handshakes >= door.bounds.handshakes:
            raise Refused(replies.NO_TLS_NOW)
        door.handshakes += 1
        try:
            await self.start_tls(door.certificate.context())
        finally:
            door.handshakes -= 1
        self._smtp_methods = self._methods(is_tls=True)

    async def _refuse_without_tls(self, arg: str | None) -> None:
        raise Refused(replies.NEED_TLS)

    def _methods(self, *, is_tls: bool) -> dict[str, Verb]:
        """Say which verb does what now."""
        methods: dict[str, Verb] = {verb: getattr(self, f"smtp_{verb}") for verb in self.verbs}
        if self.door.listener.tls_required and not is_tls:
            methods |= dict.fromkeys(methods.keys() - BEFORE_TLS, self._refuse_without_tls)
        return methods

    async def smtp_XFORWARD(self, arg: str | None) -> None:
        if not self.client.is_trusted:
            raise Refused(replies.UNTRUSTED)
        if self.transaction is not None:
            raise Refused(replies.IN_TRANSACTION)
        try:
            self.client.add_xforward(attributes(octets_of(arg), XFORWARD_NAMES))
        except PeerError as err:
            raise Refused(Reply(code=501, enhanced="5.5.4", text=f"XFORWARD: {err}")) from err
        await self.answer(replies.OK)

    async def smtp_XCLIENT(self, arg: str | None) -> None:
        if not (self.client.is_trusted and self.door.takes_xclient):
            raise Refused(replies.UNTRUSTED)
        if self.transaction is not None:
            raise Refused(replies.IN_TRANSACTION)
        self.count_junk()
        try:
            self.client.add_xclient(attributes(octets_of(arg), XCLIENT_NAMES), self.door.listener.login_domain)
        except PeerError as err:
            raise Refused(Reply(code=501, enhanced="5.5.4", text=f"XCLIENT: {err}")) from err
        # XCLIENT_README: back to the greeting; what XCLIENT said stays.
        self.drop_transaction()
        self.client.helo, self.client.protocol = None, "SMTP"
        await self.greet()

    # --- the envelope -----------------------------------------------------------------------------------------------

    async def smtp_MAIL(self, arg: str | None) -> None:
        if self.client.helo is None:
            raise Refused(self.need_helo)
        if self.transaction is not None:
            raise Refused(replies.NESTED_MAIL)
        if self.door.opened.is_draining:
            raise Refused(replies.SHUTTING_DOWN, is_final=True)
        reverse_path, parameters = read_mail(arg)
        size = declared_size(parameters)
        if size > self.door.listener.max_message_bytes:
            raise Refused(replies.TOO_BIG)
        if not self.door.budget.has_room(size):
            raise Refused(replies.NO_MEMORY)
        session = self.client.session(self.door.listener.name)
        if (refusal := await self.door.gate.admit_sender(session, reverse_path)) is not None:
            raise Refused(refusal)
        self.transaction, reply = await begin(
            self.door.relay,
            self.client.forwarded(),
            session=session,
            reverse_path=reverse_path,
            parameters=parameters,
            is_selective=self.door.listener.selective_rcpt,
            report=self.door.report,
        )
        if self.transaction is not None:
            self.limit_envelope(self.door.bounds.envelope_s)
            reach("smtp.mail")
        await self.answer(reply)

    async def smtp_RCPT(self, arg: str | None) -> None:
        transaction = self.transaction
        if transaction is None:
            raise Refused(replies.NEED_MAIL)
        forward = read_rcpt(arg, is_utf8=transaction.is_utf8)
        if transaction.recipients >= self.max_recipients:
            raise Refused(replies.TOO_MANY_RECIPIENTS)
        reply = await transaction.rcpt(forward, self.door.gate)
        reach("smtp.rcpt")
        await self.answer(reply)

    # --- the message ------------------------------------------------------------------------------------------------

    async def smtp_DATA(self, arg: str | None) -> None:
        transaction = self._deliverable(arg)
        self.limit_envelope(None)
        await self.answer(replies.GO_AHEAD)
        self.made_progress()
        listener, bounds = self.door.listener, self.door.bounds
        message = MessageBuffer(limit_bytes=listener.max_message_bytes, budget=self.door.budget)
        times = self.replies_to(transaction)
        try:
            await self._reader.read_into(
                message,
                pause_s=listener.data_timeout_s,
                total_s=bounds.data_total_s,
                grace_s=bounds.data_grace_s,
                octets_per_s=bounds.data_octets_per_s,
            )
        except BaseException:
            message.release()
            self.drop_transaction()
            raise
        if message.refusal is not None:
            message.release()
            self.drop_transaction()
            await self.answer(message.refusal, is_final=message.is_absurd, times=times)
            return
        reach("smtp.after_dot")
        # From here on nobody but the task owns the transaction, and no client can stop it (F12).
        self.transaction, self.is_past_dot = None, True
        time = AnswerTime(listener.answer_timeout_s, before_next_hop=BEFORE_NEXT_HOP)
        finishing = self.door.opened.spawn(self._finish(transaction, message, time))
        said = finishing.result() if await time.wait(finishing) else self._too_late(transaction)
        self.client.xforward = None
        for reply in said[:times]:
            await self.answer(reply, is_utf8=transaction.is_utf8)
        self.is_past_dot = False
        self.made_progress()
        # One turn of the loop later the reply is with the kernel, also under uvloop.
        self.loop.call_soon(reach, "smtp.replied")

    def _deliverable(self, arg: str | None) -> MailTransaction:
        """Give the transaction that is ready for its message, else raise Refused."""
        transaction = self.transaction
        if self.client.helo is None:
            refusal = self.need_helo
        elif transaction is None:
            refusal = replies.NEED_MAIL
        elif arg is not None:
            refusal = replies.NO_ARGUMENT_TAKEN
        elif transaction.refusal is not None:
            refusal = transaction.refusal
        elif not transaction.recipients:
            refusal = self.no_recipients
        else:
            return transaction
        # Content that came along with a DATA that fails must never be read as commands.
        raise Refused(refusal, is_final=self._reader.has_ahead)

    def _too_late(self, transaction: MailTransaction) -> tuple[Reply, ...]:
        """Turn the client away; the connection to the next hop is free for others, for nothing will go over it."""
        door = self.door
        door.report(transaction.session.id, PortError(f"not judged within {door.listener.answer_timeout_s:g} s: 451"))
        door.opened.spawn(transaction.lease.close())
        return (replies.TOO_LATE,) * transaction.recipients

    async def _finish(
        self, transaction: MailTransaction, message: MessageBuffer, time: AnswerTime
    ) -> tuple[Reply, ...]:
        door, content = self.door, message.content()
        message.drop()
        try:
            return await finish(
                transaction, content, door.gate, time=time, via=door.via, max_hops=door.bounds.hops, report=door.report
            )
        finally:
            message.release()

    # --- the rest ---------------------------------------------------------------------------------------------------

    async def smtp_RSET(self, arg: str | None) -> None:
        self.count_junk()
        self._take_no_argument(arg)
        self.drop_transaction()
        await self.answer(replies.OK)

    async def smtp_NOOP(self, arg: str | None) -> None:
        self.count_junk()
        await self.answer(replies.OK)

    async def smtp_QUIT(self, arg: str | None) -> None:
        self._take_no_argument(arg)
        self.drop_transaction()
        await self.answer(replies.BYE, is_final=True)

    async def smtp_VRFY(self, arg: str | None) -> None:
        self.count_junk()
        await self.answer(replies.CANNOT_VERIFY if arg else replies.SYNTAX)

    async def smtp_EXPN(self, arg: str | None) -> None:
        self.count_junk()
        await self.answer(replies.NOT_IMPLEMENTED)

    async def smtp_HELP(self, arg: str | None) -> None:
        self.count_junk()
        await self.answer(replies.HELP)

    def _take_no_argument(self, arg: str | None) -> None:
        if arg:
            raise Refused(replies.NO_ARGUMENT_TAKEN)
