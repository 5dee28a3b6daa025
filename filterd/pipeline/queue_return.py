"""Mail in the MTA's queue of somebody whose service has ended for breach: it is returned.  STANDING 5.7-20, RFC 3464.

Held until the cooling-off is over, and then reported to the tenant's contact, not to the mailbox, which may be shut.
The report names each mail's recipients and its number in the queue; no subject, no header and no word of it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from email.utils import parseaddr

from filterd.mail.bounce import MOST_RECIPIENTS, Undelivered, compose_report
from filterd.model.ids import derived_id
from filterd.ports import QueuedMail

# RFC 3463 §3.8: the account is disabled; the same code as a refusal of its mail has.
_STATUS = "5.7.13"
_SUBJECT = "Mail of {login} was not delivered / {login} 的邮件未能投递"
_TEXT = """\
The service of {login} has ended. {count} of its mails were still waiting to be sent; they are not delivered and are
taken out of the queue. They are named below by their number in the queue, the time they came and their recipients.
What is in them is in no report. Questions and appeals: {appeals}

{login} 的服务已终止。仍在等待投递的 {count} 封邮件不再投递，现移出队列。
下面列出各邮件在队列中的编号、到达时间和收件人；本报告不含邮件内容。咨询和申诉请联系：{appeals}

{lines}
"""


def batches(mails: Sequence[QueuedMail]) -> Iterator[tuple[QueuedMail, ...]]:
    """Say the mails in lots that one report can name."""
    lot: list[QueuedMail] = []
    size = 0
    for mail in mails:
        if lot and size + len(mail.recipients) > MOST_RECIPIENTS:
            yield tuple(lot)
            lot, size = [], 0
        lot.append(mail)
        size += max(1, len(mail.recipients))
    if lot:
        yield tuple(lot)


def report_of(
    login: str, owner_id: str, mails: Sequence[QueuedMail], *, sender: str, to: str, appeals: str, at: datetime
) -> bytes:
    """Write the report about mails of one account; the same mails have the same Message-ID, however often it is sent.

    Args:
        owner_id: the termination.
        sender: the From field, `Name <address>`.
    """
    name, address = parseaddr(sender)
    host = address.rpartition("@")[2]
    lines = "\n".join(f"{m.queue_id} {m.arrived_at:%Y-%m-%d %H:%M} UTC: {', '.join(m.recipients)}" for m in mails)
    text = _TEXT.format(login=login, count=len(mails), appeals=appeals, lines=lines)
    return compose_report(
        sender=address,
        sender_name=name or None,
        to=to,
        subject=_SUBJECT.format(login=login),
        text=text,
        message_id=f"<{derived_id('r', owner_id, to, *(m.queue_id for m in mails))}@{host}>",
        date=at,
        reporting_mta=host,
        arrived_at=min(m.arrived_at for m in mails),
        recipients=[Undelivered(address=x, status=_STATUS) for m in mails for x in m.recipients],
        envelope_id=None,
        original=None,
        is_whole=False,
        is_utf8=False,
    )
