"""One mail transaction, live on both sides: MAIL and each RCPT are the next hop's to answer (RFC 5321 §3.3).

So a recipient refused there is refused to the client at once, and no bounce is ever ours to write. Standing is asked
before each RCPT is handed on (HOUSE §4 step 0).
"""

from __future__ import annotations

from collections.abc import Callable

from filterd.doors import smtp_replies as replies
from filterd.errors import PortError
from filterd.mail.report import has_no_address
from filterd.model.reply import Reply
from filterd.model.session import Envelope, ForwardPath, Path, Session
from filterd.ports import Gate, Relay, RelaySession

Report = Callable[[str, BaseException], None]


class MailTransaction:
    """An accepted MAIL and what came after it.

    Args:
        is_selective: False when all recipients must stand or fall together (smtpd_proxy_options=speed_adjust): then the
            first refusal is everybody's, also of those accepted before it, who get it at DATA.
    """

    def __init__(
        self,
        *,
        session: Session,
        reverse_path: Path | None,
        parameters: tuple[bytes, ...],
        lease: RelaySession,
        is_selective: bool,
        report: Report,
    ) -> None:
        self.session = session
        self.lease = lease
        self.is_utf8 = any(p.upper() == b"SMTPUTF8" for p in parameters)
        # RCPTs the next hop refused for good: as a rule addresses that do not exist.
        self.refused_recipients = 0
        # Of these, where the next hop says that there is no such address.
        self.bad_addresses = 0
        # Why nothing of this transaction can be delivered any more; None: it can.
        self.refusal: Reply | None = None
        self._reverse_path = reverse_path
        self._parameters = parameters
        self._forward_paths: list[ForwardPath] = []
        self._is_selective = is_selective
        self._report = report

    @property
    def recipients(self) -> int:
        return len(self._forward_paths)

    @property
    def envelope(self) -> Envelope:
        return Envelope(
            reverse_path=self._reverse_path,
            parameters=self._parameters,
            forward_paths=tuple(self._forward_paths),
        )

    async def rcpt(self, forward: ForwardPath, gate: Gate) -> Reply:
        """Ask standing, then the next hop; says what the client is told."""
        if self.refusal is not None:
            return self.refusal
        reply = await gate.admit(self.session, self._reverse_path, forward.path, self.recipients)
        if reply is None:
            reply = await self._relayed(forward)
        if not reply.is_positive and not self._is_selective:
            self.refusal = reply = replies.for_all(reply)
        return reply

    async def _relayed(self, forward: ForwardPath) -> Reply:
        try:
            reply = await self.lease.rcpt(forward)
        except PortError as err:
            self._report(self.session.id, err)
            self.refusal = replies.NEXT_HOP_LOST
            return self.refusal
        if reply.code == 421:
            self.refusal = replies.NEXT_HOP_CLOSING
        elif reply.is_positive:
            self._forward_paths.append(forward)
        elif reply.code >= 500:
            self.refused_recipients += 1
            self.bad_addresses += has_no_address(reply.enhanced or "")
        return replies.handed_on(reply)


async def begin(
    relay: Relay,
    attributes: dict[str, str],
    *,
    session: Session,
    reverse_path: Path | None,
    parameters: tuple[bytes, ...],
    is_selective: bool,
    report: Report,
) -> tuple[MailTransaction | None, Reply]:
    """Lease a connection and hand MAIL on; the transaction is None when the reply is a refusal."""
    try:
        lease = await relay.lease()
    except PortError as err:
        report(session.id, err)
        return None, replies.NO_NEXT_HOP
    is_kept = False
    try:
        await lease.speak_for(attributes)
        reply = replies.handed_on(await lease.mail(reverse_path, parameters))
        is_kept = reply.is_positive
    except PortError as err:
        report(session.id, err)
        reply = replies.NO_NEXT_HOP
    finally:
        # Also when the client left meanwhile and this is being cancelled.
        if not is_kept:
            await lease.close()
    if not is_kept:
        return None, reply
    transaction = MailTransaction(
        session=session,
        reverse_path=reverse_path,
        parameters=parameters,
        lease=lease,
        is_selective=is_selective,
        report=report,
    )
    return transaction, reply
