"""Whose address a notice goes to, and the mail that carries it.  TX-6.1, RFC 3834.

Addresses are those of the directory and of the configuration only.
"""

from __future__ import annotations

from datetime import datetime
from email.utils import parseaddr

from filterd.errors import PeerError
from filterd.mail.address import parse_forward_path
from filterd.mail.compose import compose as compose_mail
from filterd.model.principal import Account, Tenant
from filterd.pipeline.notices import Audience, NoticeSettings, RenderedNotice, dealer_desk, plain


def addresses(
    account: Account | None, tenant: Tenant | None, settings: NoticeSettings, *, desk: str | None = None
) -> tuple[tuple[Audience, str], ...]:
    """Say who can be written to and where, each address once; what is no address, or is our own, is left out."""
    known = [
        # A retired account's login is another person's address by now.
        (Audience.ACCOUNT, account.login if account is not None and account.retired_at is None else None),
        (Audience.CONTACT, account.contact if account is not None else None),
        (Audience.TENANT, tenant.contact if tenant is not None and settings.copy_to_tenant else None),
        (Audience.SECOND, tenant.second_contact if tenant is not None and settings.copy_to_tenant else None),
        (Audience.PARTY, desk),
        (Audience.DEALER, dealer_desk(tenant, settings)),
    ]
    seen = {parseaddr(settings.sender)[1].lower(), settings.appeals_address.lower()}
    out = []
    for audience, address in known:
        if address and address.lower() not in seen and is_address(address):
            seen.add(address.lower())
            out.append((audience, address))
    return tuple(out)


def compose(
    notice: RenderedNotice,
    settings: NoticeSettings,
    recipient: str,
    at: datetime,
    *,
    notice_id: str,
    audience: Audience,
    dealer: str | None = None,
) -> bytes:
    """Make the mail. The Message-ID is the same however often it is sent again, so that a second copy can be known.

    An answer goes to the appeals address, with the case in its subject: answering is objecting (TX-6.1). The
    reverse-path, mostly the null one, is the mailer's part. `dealer`: the reseller who enforces the agreement, None for
    the operator; where it has no sender of its own, the text says on whose behalf the address writes (CLAUSES §7).
    """
    name, address = parseaddr(settings.sender_for(dealer))
    if dealer is not None and dealer not in settings.notice_from:
        name = plain(dealer)
    domain = parse_forward_path(f"<{address}>".encode(), smtputf8=True).domain
    return compose_mail(
        sender=address,
        sender_name=name or None,
        to=[recipient],
        subject=notice.subject,
        text=notice.text,
        message_id=f"<{notice_id}.{audience}@{domain}>",
        date=at,
        # RFC 3834 §5, and the same said to Exchange: nothing answers a notice by itself (FAULTS row 56).
        auto_submitted="auto-generated",
        fields=(("Reply-To", settings.appeals_address), ("X-Auto-Response-Suppress", "All")),
    )


def is_address(text: str) -> bool:
    try:
        parse_forward_path(b"<" + text.encode("utf-8", "replace") + b">", smtputf8=True)
    except PeerError:
        return False
    return True
