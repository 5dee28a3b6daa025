"""What somebody claims about a customer, and what a person makes of it.  TX-3.1.2, 3.3.2 tail-f, 4.3.2."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class VerificationNoted:
    """Somebody has verified what an enterprise says about itself (TX-3.1.2). The newest row of a matter counts.

    Args:
        matter: code of what was verified: name, licence, domain, contact or payment.
        outcome: `failed` or `passed`.
        document: where the operator's own file about it is.
    """

    at: datetime
    verification_id: str
    tenant_id: str
    matter: str
    outcome: str
    document: str
    by: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RightsNoticeFiled:
    """A rights holder says that an account infringes a right of theirs (TX-3.3.2 tail-f, 3.5.4).

    Who that is stands in the operator's own file, never in that of whoever is complained about.

    Args:
        right: reputation, portrait, ip or secret.
        missing: codes of what the notice lacks; with any it was returned, and nothing can follow from it.
    """

    at: datetime
    rights_id: str
    account_id: str
    right: str
    missing: tuple[str, ...]
    document: str
    by: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RightsNoticeAdded:
    """The rights holder has completed a notice, or a part of it: `missing` is what it still lacks."""

    at: datetime
    rights_id: str
    account_id: str
    missing: tuple[str, ...]
    by: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportOpened:
    """A report that may be due to an authority by `due_at` (TX-4.3.2). It goes out through nobody here.

    Args:
        account_id: whom it is about, None where it is about the site.
        authority: code of who might have to be told.
        ground: the law or order it might be due under.
    """

    at: datetime
    report_id: str
    account_id: str | None
    authority: str
    ground: str
    due_at: datetime
    by: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportSettled:
    """A person has decided. `outcome`: `not_required`, with a reason; or `reported`, by two people who name the
    document in which they did."""

    at: datetime
    report_id: str
    account_id: str | None
    outcome: str
    by: str
    reason: str
    document: str = ""
    approver: str = ""


ClaimRecord = VerificationNoted | RightsNoticeFiled | RightsNoticeAdded | ReportOpened | ReportSettled

KINDS: dict[str, type[ClaimRecord]] = {
    "verification.noted": VerificationNoted,
    "rights.filed": RightsNoticeFiled,
    "rights.added": RightsNoticeAdded,
    "report.opened": ReportOpened,
    "report.settled": ReportSettled,
}
