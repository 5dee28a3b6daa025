"""Notices that came back: reports read, and what follows from them.  TX-6.2.

A notice's reverse-path holds its id, where the operator has named a report address, so that a report leads back to it.
The address given to us is at fault: the notice still counts as received. Any other failure takes that back, until the
next channel accepts. Where no channel is left that accepted it, others of the tenant's side are told.
"""

from __future__ import annotations

import json
import re
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from filterd.errors import RefusedError, UsageError
from filterd.mail.report import is_their_fault, read_report
from filterd.model import records as r
from filterd.pipeline.notice_events import TOPIC
from filterd.pipeline.notice_mail import NoticeDesk
from filterd.pipeline.notice_paths import LETTERS, read_reverse_path, read_tag
from filterd.pipeline.notice_requests import fallback, read_request
from filterd.pipeline.notice_table import Audience
from filterd.pipeline.people import Arguments
from filterd.ports import Intake, Ledger, LedgerTxn, OutboxItem

VERB = "notice.bounced"

# The Message-ID of a notice, as compose makes it; it stands in what came back.
_MESSAGE_ID = re.compile(rb"(?im)^message-id:[ \t]*(?:\r?\n[ \t]+)?<(m_[0-9a-f]{40})\.([a-z]{4,8})@")
_STATUS = re.compile(r"[45]\.[0-9]{1,3}\.[0-9]{1,3}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounce:
    """One copy of a notice that was not delivered for good."""

    notice_id: str
    audience: Audience
    status: str


def read_bounce(raw: bytes, recipients: tuple[str, ...], report_address: str | None) -> Bounce | None:
    """Read a mail as the report of a copy that failed for good, None when it is none of ours.

    The envelope says which; without it (a file, another MTA's own address) the id that we gave the copy.
    """
    report = read_report(raw)
    failed = report.failed if report is not None else None
    if report is None or failed is None:
        return None
    which = None
    if report_address is not None:
        which = next((x for a in recipients if (x := read_reverse_path(a, report_address)) is not None), None)
    if which is None:
        which = read_tag(report.envelope_id or "")
    if which is None and (quoted := _MESSAGE_ID.search(raw)) and quoted[2].decode() in {x.value for x in LETTERS}:
        which = quoted[1].decode(), Audience(quoted[2].decode())
    return Bounce(notice_id=which[0], audience=which[1], status=failed.status) if which is not None else None


class ReportReader:
    """The gate's part: looks at mail to the report address and tells the ledger. The mail itself goes on its way."""

    def __init__(self, ledger: Ledger, report_address: str | None):
        self._ledger, self._report_address = ledger, report_address

    async def note(self, intake: Intake) -> None:
        """Raises LedgerUnavailable: then the report waits with 451 as other mail does."""
        if self._report_address is None or intake.envelope.reverse_path is not None:
            return
        recipients = tuple(f.path.address for f in intake.envelope.forward_paths)
        if not any(read_reverse_path(x, self._report_address) for x in recipients):
            return
        bounce = read_bounce(intake.raw, recipients, self._report_address)
        if bounce is not None:
            arguments = {"notice": bounce.notice_id, "audience": bounce.audience.value, "status": bounce.status}
            # A forgery, or about a notice nobody has any more: nothing follows from it.
            with suppress(UsageError):
                await self._ledger.call(VERB, arguments)


def bounced(txn: LedgerTxn, desk: NoticeDesk, arguments: Arguments) -> Any:
    """Put one bounce on record and promise the notice to others where nobody is left who has it. Twice adds nothing.

    Raises:
        RefusedError: no such notice, or it was never sent to that reader.
    """
    notice_id, status = str(arguments.get("notice") or ""), str(arguments.get("status") or "")
    if not _STATUS.fullmatch(status):
        raise UsageError(f"{status!r} is no status of a failure such as 5.1.1")
    audience = Audience(str(arguments.get("audience")))
    subject_id = txn.account_of(notice_id)
    records = txn.records(subject_id) if subject_id is not None else ()
    sent = [x for x in records if isinstance(x, r.NoticeSent) and x.notice_id == notice_id]
    if not any(audience in x.channel.split("+") for x in sent):
        raise RefusedError(f"no notice {notice_id} was sent to {audience.value}")
    back = {x.audience for x in records if isinstance(x, r.NoticeBounced) and x.notice_id == notice_id}
    answer = {"notice": notice_id, "audience": audience.value, "status": status, "is_theirs": is_their_fault(status)}
    if audience in back:
        return {**answer, "recorded": False, "told_instead": False}
    account_id, tenant_id = sent[0].account_id or None, sent[0].tenant_id or None
    txn.append(
        r.NoticeBounced(
            at=txn.now,
            notice_id=notice_id,
            account_id=account_id or "",
            audience=audience.value,
            status=status,
            is_theirs=is_their_fault(status),
        ),
        account_id=account_id,
        tenant_id=tenant_id,
    )
    accepted = {name for x in sent if x.outcome == "accepted" for name in x.channel.split("+")}
    told = not accepted - back - {audience} and subject_id is not None and _tell_others(txn, desk, subject_id, sent[0])
    return {**answer, "recorded": True, "told_instead": told}


def _tell_others(txn: LedgerTxn, desk: NoticeDesk, subject_id: str, sent: r.NoticeSent) -> bool:
    """Promise the same notice to who was not tried; say whether there is anybody."""
    for opened in txn.opened_entries(subject_id):
        known = opened.personal
        if isinstance(opened.record, r.NoticeSent) and opened.record.notice_id == sent.notice_id and known:
            if "request" not in known:
                continue
            payload = json.loads(known["request"])
            request = read_request(
                OutboxItem(item_id=sent.notice_id, topic=TOPIC, payload=payload, attempts=0, created_at=sent.at)
            )
            account = txn.account(request.account_id) if request.account_id else None
            tenant = txn.tenant(request.tenant_id) if request.tenant_id else None
            again = fallback(request, desk.reach(account, tenant, txn.now), txn.now)
            if again is not None:
                txn.post(TOPIC, again, due_at=txn.now)
            return again is not None
    return False
