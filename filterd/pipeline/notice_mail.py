"""From an outbox item to finished mails: gather the facts, choose the readers, word and compose.  HOUSE §4, TX-6.1.

`gather` is the half inside the ledger transaction; the rest is pure. Readers are addresses of the directory only: the
account's mailbox, its outside contact, the tenant's contact. Mail to the sender or the appeals address itself would be
a notice about a notice and is never written.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from email.utils import parseaddr
from typing import Any

from filterd.agreement.statement import Statement, statement
from filterd.agreement.terms import Agreement
from filterd.errors import PeerError, UsageError
from filterd.mail.address import parse_forward_path
from filterd.mail.compose import compose as compose_mail
from filterd.model.ids import derived_id
from filterd.model.principal import Account, Tenant
from filterd.model.standing import History
from filterd.pipeline.notices import RESELLER, Audience, NoticeSettings, RenderedNotice, Templates, plain, render
from filterd.pipeline.verbs import DeskRules
from filterd.ports import LedgerTxn, OutboxItem

# What is not said any more once the case is annulled: the annulment has a notice of its own.
_OVERTAKEN = frozenset({"warning", "restriction", "suspension", "hold"})


@dataclass(frozen=True, slots=True, kw_only=True)
class NoticeRequest:
    """One notice that was promised.

    Args:
        audiences: who is still to get it.
        since: when it was promised.
        deemed_at: when another channel accepted it, None while none has.
    """

    notice_id: str
    account_id: str
    tenant_id: str | None
    incident_id: str
    templates: tuple[str, ...]
    sanction_ids: tuple[str, ...]
    audiences: tuple[Audience, ...]
    since: datetime
    deemed_at: datetime | None = None

    @classmethod
    def read(cls, item: OutboxItem) -> NoticeRequest:
        """Read an outbox item. Raises UsageError for a payload that names no account, incident or template."""
        given = item.payload
        try:
            return cls(
                notice_id=given.get("notice_id") or derived_id("m", item.item_id),
                account_id=str(given["account_id"]),
                tenant_id=given.get("tenant_id"),
                incident_id=str(given["incident_id"]),
                templates=tuple(given.get("templates") or [item.topic]),
                sanction_ids=tuple(given.get("sanction_ids") or ()),
                audiences=tuple(Audience(x) for x in given.get("audiences") or Audience),
                since=_instant(given.get("since")) or item.created_at,
                deemed_at=_instant(given.get("deemed_at")),
            )
        except (KeyError, TypeError, ValueError) as err:
            raise UsageError(f"outbox item {item.item_id} is no notice: {err!r}") from err

    def rest(self, audiences: Iterable[Audience], deemed_at: datetime) -> Mapping[str, Any]:
        """Make the payload of what is left to do when one channel has accepted and others must wait."""
        return {
            "notice_id": self.notice_id,
            "account_id": self.account_id,
            "tenant_id": self.tenant_id,
            "incident_id": self.incident_id,
            "templates": list(self.templates),
            "sanction_ids": list(self.sanction_ids),
            "audiences": [audience.value for audience in audiences],
            "since": self.since.isoformat(),
            "deemed_at": deemed_at.isoformat(),
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class NoticeFacts:
    """What a notice is made of, as it stood at one instant."""

    request: NoticeRequest
    about: tuple[str, ...]
    account: Account | None
    tenant: Tenant | None
    terms: Agreement
    statement: Statement


@dataclass(frozen=True, slots=True, kw_only=True)
class Letter:
    """A finished mail for one reader."""

    audience: Audience
    recipient: str
    raw: bytes
    notice: RenderedNotice


class NoticeDesk:
    """Turns requests into letters. One instance a ledger process."""

    def __init__(self, rules: DeskRules, templates: Templates, settings: NoticeSettings):
        self._rules, self._templates, self._settings = rules, templates, settings

    def gather(self, txn: LedgerTxn, request: NoticeRequest) -> NoticeFacts | None:
        """Collect the facts inside a transaction; None when an annulment has overtaken all there was to say."""
        history = txn.history(request.account_id)
        about = _still_true(history, request)
        if not about:
            return None
        account = txn.account(request.account_id)
        tenant_id = account.tenant_id if account is not None else request.tenant_id
        tenant = txn.tenant(tenant_id) if tenant_id is not None else None
        records = txn.records(request.account_id)
        terms = self._rules.terms_of_incident(records, request.incident_id, tenant, txn.now)
        facts = statement(
            history,
            terms,
            txn.now,
            incident_id=request.incident_id,
            sanction_ids=request.sanction_ids,
            records=records,
        )
        return NoticeFacts(request=request, about=about, account=account, tenant=tenant, terms=terms, statement=facts)

    def letters(self, facts: NoticeFacts, at: datetime) -> tuple[Letter, ...]:
        """Write one mail for each reader who can be reached by mail; none when the directory has no address."""
        request = facts.request
        out = []
        for audience, recipient in addresses(facts.account, facts.tenant, self._settings):
            if audience not in request.audiences:
                continue
            notice = render(
                facts.statement,
                self._templates,
                facts.about,
                facts.account,
                facts.tenant,
                facts.terms,
                self._settings,
                at,
                audience=audience,
            )
            raw = compose(
                notice,
                self._settings,
                recipient,
                at,
                notice_id=request.notice_id,
                audience=audience,
                party_name=_party_name(facts.tenant, facts.terms),
            )
            out.append(Letter(audience=audience, recipient=recipient, raw=raw, notice=notice))
        return tuple(out)


def addresses(
    account: Account | None, tenant: Tenant | None, settings: NoticeSettings
) -> tuple[tuple[Audience, str], ...]:
    """Say who can be written to and where, each address once; what is no address, or is our own, is left out."""
    known = [
        # A retired account's login is another person's address by now.
        (Audience.ACCOUNT, account.login if account is not None and account.retired_at is None else None),
        (Audience.CONTACT, account.contact if account is not None else None),
        (Audience.TENANT, tenant.contact if tenant is not None and settings.copy_to_tenant else None),
    ]
    seen = {parseaddr(settings.sender)[1].lower(), settings.appeals_address.lower()}
    out = []
    for audience, address in known:
        if address and address.lower() not in seen and _is_address(address):
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
    party_name: str | None = None,
) -> bytes:
    """Make the mail. The Message-ID is the same however often it is sent again, so that a second copy can be known.

    An answer goes to the appeals address, with the case in its subject: answering is objecting (TX-6.1). The null
    reverse-path is the mailer's part. `party_name`: who enforces the agreement, where that is not the operator; the
    text says on whose behalf the address writes (CLAUSES §7).
    """
    name, address = parseaddr(settings.sender)
    domain = parse_forward_path(f"<{address}>".encode(), smtputf8=True).domain
    return compose_mail(
        sender=address,
        sender_name=party_name or name or None,
        to=[recipient],
        subject=notice.subject,
        text=notice.text,
        message_id=f"<{notice_id}.{audience}@{domain}>",
        date=at,
        # RFC 3834 §5, and the same said to Exchange: nothing answers a notice by itself (FAULTS row 56).
        auto_submitted="auto-generated",
        fields=(("Reply-To", settings.appeals_address), ("X-Auto-Response-Suppress", "All")),
    )


def _party_name(tenant: Tenant | None, terms: Agreement) -> str | None:
    is_resold = tenant is not None and tenant.reseller is not None and terms.enforcing_party == RESELLER
    return plain(tenant.reseller) if is_resold and tenant is not None else None


def _still_true(history: History, request: NoticeRequest) -> tuple[str, ...]:
    is_annulled = any(i.is_annulled for i in history.incidents if i.opened.incident_id == request.incident_id)
    return tuple(name for name in request.templates if not (is_annulled and name in _OVERTAKEN))


def _is_address(text: str) -> bool:
    try:
        parse_forward_path(b"<" + text.encode("utf-8", "replace") + b">", smtputf8=True)
    except PeerError:
        return False
    return True


def _instant(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text else None
