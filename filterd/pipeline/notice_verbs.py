"""What people ask about notices: which went out, how one reads, how it would read; and reports that came back.

The letters that went out are in the ledger, sealed with their subject's personal fields: what is shown is what was
sent. Looking needs the ledger's socket, as everything of the command line; addresses are in no list.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from typing import Any

from filterd.errors import RefusedError, UsageError
from filterd.model import records as r
from filterd.model.principal import Account, Tenant
from filterd.pipeline.notice_events import TOPIC, check_facts
from filterd.pipeline.notice_mail import NoticeDesk
from filterd.pipeline.notice_reports import VERB as BOUNCED
from filterd.pipeline.notice_reports import bounced
from filterd.pipeline.notice_requests import EventRequest, read_request
from filterd.pipeline.notice_samples import SAMPLE_AUTHOR, sample_facts
from filterd.pipeline.notice_table import DIGEST, EITHER, EVENTS, NOBODY, TENANT, Audience
from filterd.pipeline.notices import LANGUAGES
from filterd.pipeline.people import Arguments, PlainVerb
from filterd.pipeline.roles import LOOK, is_scoped, permitted, reaches
from filterd.ports import LedgerTxn, OutboxItem

# Ids of things that do not exist: nobody takes them for real ones.
_SAMPLE_ACCOUNT = "a_sample"
_SAMPLE_TENANT = "n_sample"
_LETTER = "letter."


class NoticeVerbs:
    """One instance a ledger process. `desk` says the one in force."""

    def __init__(self, desk: Callable[[], NoticeDesk]):
        self._desk_now = desk

    @property
    def _desk(self) -> NoticeDesk:
        return self._desk_now()

    def table(self) -> dict[str, PlainVerb]:
        """Say every verb by name."""
        return {
            "notice.list": self.listed,
            "notice.show": self.show,
            "notice.preview": self.preview,
            BOUNCED: lambda txn, arguments: bounced(txn, self._desk, arguments),
        }

    def listed(self, txn: LedgerTxn, arguments: Arguments) -> Any:
        """Say every notice about an account or tenant, oldest first."""
        subject_id = _subject(txn, arguments)
        records = txn.records(subject_id)
        back = {(x.notice_id, x.audience): x for x in records if isinstance(x, r.NoticeBounced)}
        return [
            {
                "notice_id": x.notice_id,
                "at": x.at.isoformat(),
                "template": x.template,
                "version": x.template_version,
                "incident_ids": list(x.incident_ids),
                "channel": x.channel,
                "outcome": x.outcome,
                "deemed_at": _iso(x.deemed_at),
                "came_back": [
                    {"audience": audience, "status": row.status, "is_theirs": row.is_theirs}
                    for (notice_id, audience), row in back.items()
                    if notice_id == x.notice_id and audience in x.channel.split("+")
                ],
            }
            for x in records
            if isinstance(x, r.NoticeSent)
        ]

    def show(self, txn: LedgerTxn, arguments: Arguments) -> Any:
        """Show the letters of one notice as they went out, and what became of it. Raises UsageError: no such notice."""
        notice_id = str(arguments.get("notice") or "")
        subject_id = txn.account_of(notice_id)
        rows = [
            row
            for row in (txn.opened_entries(subject_id) if subject_id is not None else ())
            if isinstance(row.record, r.NoticeSent) and row.record.notice_id == notice_id
        ]
        if not rows or subject_id is None:
            raise UsageError(f"no notice {notice_id}")
        personal = {name: text for row in rows for name, text in (row.personal or {}).items()}
        known = [x for x in self.listed(txn, {"subject": subject_id}) if x["notice_id"] == notice_id]
        letters = {n.removeprefix(_LETTER): text for n, text in personal.items() if n.startswith(_LETTER)}
        if arguments.get("token"):
            letters = self._theirs(txn, arguments, subject_id, letters)
        return {"notice_id": notice_id, "outcomes": known, "letters": letters}

    def _theirs(
        self, txn: LedgerTxn, arguments: Arguments, subject_id: str, letters: dict[str, str]
    ) -> dict[str, str]:
        """Say which letters somebody may read: of a tenant's or a reseller's people, the tenant's own copy."""
        actor = permitted(txn, arguments, LOOK)
        account = txn.account(subject_id)
        tenant = txn.tenant(account.tenant_id if account is not None else subject_id)
        if not reaches(txn, actor, tenant):
            raise RefusedError(f"{subject_id} is not yours to look at")
        return {name: text for name, text in letters.items() if not is_scoped(actor) or name == Audience.TENANT}

    def preview(self, txn: LedgerTxn, arguments: Arguments) -> Any:
        """Word a general notice about a real account or tenant, or one made up, with made-up facts. Nothing is sent.

        Raises UsageError for an unknown event, agreement, account or tenant.
        """
        event = str(arguments.get("event") or "")
        row = EVENTS.get(event)
        if row is None:
            raise UsageError(f"no notice is called {event!r}; there are {', '.join(sorted(EVENTS))}")
        account, tenant = self._whose(txn, arguments, is_account=row.about not in (TENANT, NOBODY))
        if row.about == EITHER and "account" not in arguments:
            account = None
        terms = self._desk.terms_for(tenant, txn.now)
        payload = {
            "notice_id": "m_" + "0" * 40,
            "event": event,
            "account_id": account.account_id if account is not None else None,
            "tenant_id": tenant.tenant_id if row.about != NOBODY else None,
            "audiences": [x.value for x in row.to],
            "facts": [check_facts(event, sample_facts(event, txn.now, terms))],
        }
        item = OutboxItem(item_id="o_preview", topic=TOPIC, payload=payload, attempts=0, created_at=txn.now)
        request = read_request(item)
        if not isinstance(request, EventRequest):
            raise UsageError(f"notice {event} cannot be shown")
        facts = self._desk.event_facts(txn, request, account, tenant if row.about != NOBODY else None)
        if facts is None:
            raise UsageError(f"there is nobody to tell {event} any more")
        # Who reads of co-users is each of them.
        audiences = [Audience.ACCOUNT if x is Audience.CO_USERS else x for x in row.to]
        authors = {x["held_id"]: SAMPLE_AUTHOR for x in request.facts if event == DIGEST}
        wanted = replace(facts, request=replace(request, audiences=tuple(audiences)), authors=authors)
        copies = self._desk.copies(wanted, txn.now, audiences)
        return {
            "event": event,
            "agreement": terms.id,
            "version": next((x.version for x in copies.values()), ""),
            "copies": {
                audience.value: {"subject": x.subject, "text": x.text, "languages": list(x.languages)}
                for audience, x in copies.items()
            },
        }

    def _whose(self, txn: LedgerTxn, arguments: Arguments, *, is_account: bool) -> tuple[Account | None, Tenant]:
        """Say the real or the made-up subject. A language, or an agreement, that is asked for goes before its own."""
        language = arguments.get("language")
        if language is not None and language not in LANGUAGES:
            raise UsageError(f"language is one of {', '.join(LANGUAGES)}")
        account = None
        if arguments.get("account"):
            account = txn.account_with_login(str(arguments["account"])) or txn.account(str(arguments["account"]))
            if account is None:
                raise UsageError(f"no account {arguments['account']}")
        tenant_id = account.tenant_id if account is not None else arguments.get("tenant")
        tenant = txn.tenant(str(tenant_id)) if tenant_id else None
        if tenant_id and tenant is None:
            raise UsageError(f"no tenant {tenant_id}")
        if tenant is None:
            agreement = str(arguments.get("agreement") or self._desk.default_agreement)
            tenant = self._desk.sample_tenant(_SAMPLE_TENANT, agreement, txn.now)
        if language is not None:
            tenant = replace(tenant, language=language)
        if account is None and is_account:
            account = Account(account_id=_SAMPLE_ACCOUNT, tenant_id=tenant.tenant_id, login="user@corp.example")
        return account, tenant


def _subject(txn: LedgerTxn, arguments: Arguments) -> str:
    said = str(arguments.get("subject") or "")
    account = txn.account_with_login(said) or txn.account(said)
    if account is not None:
        return account.account_id
    tenant = txn.tenant(said) or next((x for x in txn.tenants() if x.name == said), None)
    if tenant is None:
        raise UsageError(f"no account or tenant {said!r}")
    return tenant.tenant_id


def _iso(at: datetime | None) -> str | None:
    return at.isoformat() if at is not None else None
