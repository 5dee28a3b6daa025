"""Notices: what was told, by which channel, and what came of it.  TX-6.1, 6.2."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class NoticeSent:
    """The outcome of one notice.

    Args:
        account_id: empty for a notice about a tenant, or about nobody of ours.
        template: what it told of, parted by `+`; `template_version`: of the first, such as `3.1`.
        channel: who accepted it, parted by `+`; where nobody did, who was tried.
        outcome: accepted, failed, superseded; posted: a webhook that counts for no notice.
        deemed_at: when it counts as received (TX-6.1), None when every channel failed.
    """

    at: datetime
    notice_id: str
    account_id: str
    incident_ids: tuple[str, ...]
    template: str
    languages: tuple[str, ...]
    channel: str
    outcome: str
    deemed_at: datetime | None
    body_digest: str
    template_version: str = ""
    tenant_id: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class NoticeBounced:
    """A delivery report came back for a notice (TX-6.2). `is_theirs`: the address the enterprise gave is at fault, so
    that the notice still counts as received; else the deemed time is withdrawn."""

    at: datetime
    notice_id: str
    account_id: str
    audience: str
    status: str
    is_theirs: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class LetterRead:
    """A console letter was opened by somebody of the tenant."""

    at: datetime
    notice_id: str
    by: str


NoticeRecord = (
    NoticeSent
    | NoticeBounced
    | LetterRead
)

KINDS: dict[str, type[NoticeRecord]] = {
    "notice.sent": NoticeSent,
    "notice.bounced": NoticeBounced,
    "letter.read": LetterRead,
}
