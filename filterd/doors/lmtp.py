"""LMTP: the same door for a mail server that delivers (RFC 2033; Postfix `lmtp:`, Dovecot's submission and proxy).

What differs from SMTP: LHLO in place of EHLO and HELO (500), DATA without a recipient gets 503, and a message gets one
reply for each RCPT that was accepted, in their order, also where two named the same mailbox. Transactions, parameters,
pipelining and STARTTLS are those of smtp_verbs.

The gate judges a message once, so a refusal of ours is repeated for each recipient. What the next hop answers is
handed on: one that speaks SMTP answers once, for all of them; one that speaks LMTP answers for each, and each answer
goes to the recipient it is about. A recipient the next hop does not take is refused at its RCPT, alone and at once.
Hence a client that tries again after a 4xx repeats nothing that was done, with one exception that SMTP has as well:
when the connection broke behind our dot (451 4.4.2) nobody knows whether the next hop took the mail, and those it had
not yet answered for may get it twice. X-Filterd-Id then bears the same fingerprint in both copies.
"""

from __future__ import annotations

from filterd.doors import smtp_replies as replies
from filterd.doors.smtp_transaction import MailTransaction
from filterd.doors.smtp_verbs import VERBS, SmtpProtocol


class LmtpProtocol(SmtpProtocol):
    """A connection that speaks LMTP."""

    verbs = ("LHLO", *(verb for verb in VERBS if verb not in {"EHLO", "HELO"}))
    need_helo = replies.NEED_LHLO
    no_recipients = replies.NO_LMTP_RECIPIENTS

    async def smtp_LHLO(self, arg: str | None) -> None:
        await self.begin_extended(arg, "LMTP")

    def replies_to(self, transaction: MailTransaction) -> int:
        # RFC 2033 §4.2
        return transaction.recipients

    @property
    def max_recipients(self) -> int:
        return self.door.listener.max_recipients
