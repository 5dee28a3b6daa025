"""From an outbox item to finished mails: gather the facts, choose the readers, word and compose.  HOUSE §4, TX-6.1.

`gather` is the half inside the ledger transaction; the rest is pure. Readers are addresses of the directory and of the
configuration only: the account's mailbox, its outside contact, the tenant's contacts, the enforcing party's desk. Mail
to the sender or the appeals address itself would be a notice about a notice and is never written.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from filterd.agreement.standing import standing_at
from filterd.agreement.statement import Statement, points_at, statement
from filterd.agreement.terms import Agreement
from filterd.errors import UsageError
from filterd.model import records as r
from filterd.model.ids import derived_id
from filterd.model.principal import Account, Supplement, Tenant
from filterd.model.sanction import Conduct, Mode, Rung
from filterd.model.standing import History
from filterd.pipeline.appeal_link import case_link
from filterd.pipeline.grounds import PersonsGround, named_in
from filterd.pipeline.notice_addresses import addresses as addresses
from filterd.pipeline.notice_addresses import compose as compose
from filterd.pipeline.notice_addresses import is_address
from filterd.pipeline.notice_letters import EventFacts, render_event, render_tenant_copy
from filterd.pipeline.notice_paths import reverse_path
from filterd.pipeline.notice_requests import EventRequest, Request
from filterd.pipeline.notice_requests import NoticeRequest as NoticeRequest
from filterd.pipeline.notice_table import DIGEST, NOBODY
from filterd.pipeline.notice_templates import TENANT_COPY
from filterd.pipeline.notices import (
    COPIES,
    NO_WORDS,
    NOTHING_REFUSED,
    Audience,
    NoticeSettings,
    RenderedNotice,
    Templates,
    dealer_of,
    render,
)
from filterd.pipeline.refusal_notes import RefusedList, refused_between
from filterd.pipeline.replies import case_id
from filterd.pipeline.verbs import DeskRules, surroundings
from filterd.ports import LedgerTxn

# What is not said any more once the case is annulled: the annulment has a notice of its own.
_OVERTAKEN = frozenset({"warning", "restriction", "suspension", "hold"})
# Categories that only people may judge: what the tenant reads of them is one line (CLAUSES §7, `tenant_copy`).
_FOR_PEOPLE = frozenset({Mode.C1, Mode.C2})
_PAGE = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class NoticeFacts:
    """What a notice about an incident is made of, as it stood at one instant. `is_for_people`, `is_decided`, `link`: as
    in EventFacts."""

    request: NoticeRequest
    about: tuple[str, ...]
    account: Account | None
    tenant: Tenant | None
    terms: Agreement
    statement: Statement
    is_for_people: bool = False
    is_decided: bool = False
    link: str | None = None
    refused: RefusedList = NOTHING_REFUSED
    persons_ground: PersonsGround = NO_WORDS


@dataclass(frozen=True, slots=True, kw_only=True)
class Delayed:
    """An authority forbids telling before this instant (the register `notice.delayed`)."""

    until: datetime


Facts = NoticeFacts | EventFacts


@dataclass(frozen=True, slots=True, kw_only=True)
class Letter:
    """A finished mail for one reader. `reverse_path` None is the null one."""

    audience: Audience
    recipient: str
    raw: bytes
    notice: RenderedNotice
    reverse_path: str | None = None


class NoticeDesk:
    """Turns requests into letters. One instance a ledger process.

    Args:
        token_key: signs the links to the page of a case (pipeline/appeal_link); None: they bear the case id alone.
    """

    def __init__(
        self, rules: DeskRules, templates: Templates, settings: NoticeSettings, token_key: bytes | None = None
    ):
        self._rules, self._templates, self._settings = rules, templates, settings
        self._token_key = token_key

    def gather(self, txn: LedgerTxn, request: Request) -> Facts | Delayed | None:
        """Collect the facts inside a transaction; None when there is nothing, or nobody, to tell of any more."""
        records = txn.records(request.account_id) if request.account_id else ()
        if (until := delayed_until(records, txn.now)) is not None:
            return Delayed(until=until)
        account = txn.account(request.account_id) if request.account_id else None
        tenant_id = account.tenant_id if account is not None else request.tenant_id
        tenant = txn.tenant(tenant_id) if tenant_id is not None else None
        if isinstance(request, EventRequest):
            return self.event_facts(txn, request, account, tenant, records)
        history = txn.history(request.account_id)
        about = _still_true(history, request)
        if not about:
            return None
        terms = self._rules.terms_of_incident(records, request.incident_id, tenant, txn.now)
        facts = statement(
            history,
            terms,
            txn.now,
            incident_id=request.incident_id,
            sanction_ids=request.sanction_ids,
            records=records,
        )
        return NoticeFacts(
            request=request,
            about=about,
            account=account,
            tenant=tenant,
            terms=terms,
            statement=facts,
            is_for_people=_is_for_people(history, request.incident_id, terms),
            is_decided=_is_decided(history, request.incident_id),
            link=self._link(history, terms, tenant, request.incident_id, txn.now),
            persons_ground=_named(txn, history, request),
            refused=_refused(txn, request.account_id, facts) if "annulled" in about else NOTHING_REFUSED,
        )

    def _link(
        self, history: History, terms: Agreement, tenant: Tenant | None, incident_id: str, at: datetime
    ) -> str | None:
        if self._token_key is None:
            return None
        url, now = self._settings.object_url, self._rules.terms_for(tenant, at)
        in_force = now if now.id == terms.id else None
        return case_link(url, self._token_key, history, terms, incident_id, at, in_force)

    def event_facts(
        self,
        txn: LedgerTxn,
        request: EventRequest,
        account: Account | None,
        tenant: Tenant | None,
        records: tuple[r.Record, ...] = (),
    ) -> EventFacts | None:
        """Collect the facts of a general notice. `records`: the account's, for the terms that its case was under."""
        if request.row.about != NOBODY and tenant is None:
            return None
        incident_id = request.incident_id if account is not None else None
        terms = self._rules.terms_for(tenant, txn.now)
        if incident_id is not None:
            terms = self._rules.terms_of_incident(records, incident_id, tenant, txn.now)
        base = self._rules.terms.get(terms.supplements) if terms.supplements is not None else None
        if account is None:
            statute = _statute(txn, tenant, request)
            return EventFacts(
                request=request, account=None, tenant=tenant, terms=terms, base=base, statute=statute
            )
        history = txn.history(account.account_id)
        now = standing_at(history, terms, txn.now, surroundings(txn, account.account_id, account.tenant_id))
        # The fact may name an incident of the tenant's, or one that a restore has not brought back.
        is_known = any(i.opened.incident_id == incident_id for i in history.incidents)
        about_case = None
        if incident_id is not None and is_known:
            owned = tuple(s.imposed.sanction_id for s in history.sanctions if s.imposed.incident_id == incident_id)
            about_case = statement(
                history, terms, txn.now, incident_id=incident_id, sanction_ids=owned, records=records
            )
        return EventFacts(
            request=request,
            account=account,
            tenant=tenant,
            terms=terms,
            base=base,
            about_case=about_case,
            points=points_at(history, terms, txn.now) if request.row.is_sanction else None,
            is_locked=bool(now.holds),
            is_good=now.conduct is Conduct.GOOD,
            is_for_people=incident_id is not None and _is_for_people(history, incident_id, terms),
            is_decided=incident_id is not None and _is_decided(history, incident_id),
            link=self._link(history, terms, tenant, incident_id, txn.now) if incident_id is not None else None,
            authors=_authors(txn, request),
        )

    def letters(self, facts: Facts, at: datetime) -> tuple[Letter, ...]:
        """Write one mail for each reader who can be reached by mail; none when there is no address."""
        request = facts.request
        known = self._readers(facts)
        copies = self.copies(facts, at, (audience for audience, _ in known))
        out = []
        for audience, recipient in known:
            if audience not in copies:
                continue
            raw = compose(
                copies[audience],
                self._settings,
                recipient,
                at,
                notice_id=request.notice_id,
                audience=audience,
                dealer=dealer_of(facts.tenant, facts.terms),
            )
            out.append(
                Letter(
                    audience=audience,
                    recipient=recipient,
                    raw=raw,
                    notice=copies[audience],
                    reverse_path=reverse_path(self._settings.report_address, request.notice_id, audience),
                )
            )
        return tuple(out)

    def copies(self, facts: Facts, at: datetime, audiences: Iterable[Audience]) -> Mapping[Audience, RenderedNotice]:
        """Word the notice for each of these readers who is to read it at all."""
        return {
            audience: notice
            for audience in audiences
            if audience in facts.request.audiences and (notice := self._word(facts, at, audience)) is not None
        }

    def _word(self, facts: Facts, at: datetime, audience: Audience) -> RenderedNotice | None:
        if audience in COPIES and facts.is_for_people:
            # C2 and C1: nothing before a person has imposed something, and then no more than that (CLAUSES §7).
            return self._one_line(facts, at) if facts.is_decided else None
        if isinstance(facts, EventFacts):
            return render_event(facts, self._templates, self._settings, at, audience=audience)
        if audience is Audience.SECOND and "hold" not in facts.about and not facts.request.is_fallback:
            return None
        return render(
            facts.statement,
            self._templates,
            facts.about,
            facts.account,
            facts.tenant,
            facts.terms,
            self._settings,
            at,
            audience=audience,
            link=facts.link,
            refused=facts.refused,
            persons_ground=facts.persons_ground,
        )

    def _one_line(self, facts: Facts, at: datetime) -> RenderedNotice:
        return render_tenant_copy(
            case_id(facts.request.incident_id, ""),
            facts.account,
            facts.tenant,
            facts.terms,
            self._templates,
            self._settings,
            at,
            name=TENANT_COPY,
            told=facts.request.told,
        )

    def _readers(self, facts: Facts) -> tuple[tuple[Audience, str], ...]:
        request = facts.request
        if isinstance(request, EventRequest) and request.recipient is not None:
            return ((Audience.OTHER, request.recipient),) if is_address(request.recipient) else ()
        desk = self.desk_of(facts.tenant, facts.terms)
        return addresses(facts.account, facts.tenant, self._settings, desk=desk)

    def sender_of(self, facts: Facts) -> str:
        """Say the From field of a letter, in the name of whoever enforces the agreement."""
        return self._settings.sender_for(dealer_of(facts.tenant, facts.terms))

    def known(self, facts: Facts) -> frozenset[Audience]:
        """Say who has an address."""
        return frozenset(audience for audience, _ in self._readers(facts))

    def reach(self, account: Account | None, tenant: Tenant | None, at: datetime) -> frozenset[Audience]:
        """Say who would have an address for a notice about this account or tenant."""
        desk = self.desk_of(tenant, self._rules.terms_for(tenant, at))
        return frozenset(audience for audience, _ in addresses(account, tenant, self._settings, desk=desk))

    @property
    def default_agreement(self) -> str:
        return self._rules.default_agreement

    def terms_for(self, tenant: Tenant | None, at: datetime) -> Agreement:
        """Say the terms in force for a tenant."""
        return self._rules.terms_for(tenant, at)

    def sample_tenant(self, tenant_id: str, agreement: str, at: datetime) -> Tenant:
        """Make up a tenant that these terms bind; a supplement is in force since the day before. Raises UsageError."""
        terms = self._rules.terms.get(agreement)
        if terms is None:
            raise UsageError(f"no agreement {agreement!r}; there are {', '.join(sorted(self._rules.terms))}")
        if terms.supplements is None:
            return Tenant(tenant_id=tenant_id, name="Corp Ltd", agreement=agreement)
        day = (at - timedelta(days=2)).date()
        signed = Supplement(
            agreement=agreement, document="sample", signed_by_provider=day, signed_by_tenant=day, effective_from=day
        )
        return Tenant(tenant_id=tenant_id, name="Corp Ltd", agreement=terms.supplements, supplement=signed)

    def desk_of(self, tenant: Tenant | None, terms: Agreement) -> str | None:
        """Say where the people of whoever enforces the agreement read notices."""
        dealer = dealer_of(tenant, terms)
        return self._settings.reseller_desks.get(dealer) if dealer is not None else self._settings.desk_address


def spread(txn: LedgerTxn, request: EventRequest, after: str) -> None:
    """Promise a notice for co-users to the next accounts of the tenant, and the rest of the work.

    One page a transaction: a tenant may have very many. Nobody named in `except_ids` gets one.
    """
    page = txn.accounts(after, _PAGE)
    left_out = {x for facts in request.raw_facts for x in facts.get("except_ids", ())}
    for account in page:
        if account.tenant_id != request.tenant_id or account.retired_at is not None or account.account_id in left_out:
            continue
        payload = {
            **request.rest((Audience.ACCOUNT,), None),
            # Nothing about a colleague goes with it.
            "facts": [{**facts, "except_ids": []} for facts in request.raw_facts],
            "notice_id": derived_id("m", request.notice_id, account.account_id),
            "account_id": account.account_id,
        }
        txn.post("notice", payload, due_at=txn.now)
    if len(page) == _PAGE:
        more = {**request.rest((Audience.CO_USERS,), None), "after": page[-1].account_id}
        txn.post("notice", more, due_at=txn.now)


def delayed_until(records: Iterable[r.Record], now: datetime) -> datetime | None:
    """Say until when an authority forbids telling anybody about this account, None when none does."""
    ended, delays = set(), []
    for record in records:
        match record:
            case r.NoticeDelayed() if record.until > now:
                delays.append(record)
            case r.EntryEnded():
                ended.add(record.entry_id)
    return max((x.until for x in delays if x.entry_id not in ended), default=None)


def _named(txn: LedgerTxn, history: History, request: NoticeRequest) -> PersonsGround:
    told = set(request.sanction_ids)
    mine = {s.imposed.sanction_id: s.imposed for s in history.sanctions if s.imposed.sanction_id in told}
    if not any(x.statute or x.has_words for x in mine.values()):
        return NO_WORDS
    return named_in(txn.opened_entries(request.account_id), mine)


def _refused(txn: LedgerTxn, account_id: str, facts: Statement) -> RefusedList:
    spans = [(x.since, x.until) for x in facts.undone if x.rung > Rung.WARN]
    return refused_between(txn.opened_entries(account_id), spans) if spans else NOTHING_REFUSED


def _statute(txn: LedgerTxn, tenant: Tenant | None, request: EventRequest) -> str | None:
    """Say the law that the step in question rests on. It is a person's words, so it is no fact of a notice."""
    step_id = request.facts[0].get("step_id")
    if tenant is None or step_id is None:
        return None
    steps = txn.history(tenant.tenant_id).of(r.TenantStepTaken)
    return next((x.statute for x in steps if x.step_id == step_id), None)


def _authors(txn: LedgerTxn, request: EventRequest) -> dict[str, tuple[str, bool]]:
    """Say who has written what stands in a digest. They are sealed with the mail, and in no fact of a notice."""
    if request.event != DIGEST:
        return {}
    known = {x: txn.held_request(x) for x in (facts["held_id"] for facts in request.facts)}
    return {x: (y.author, y.is_author_verified) for x, y in known.items() if y is not None and y.author}


def _is_for_people(history: History, incident_id: str, terms: Agreement) -> bool:
    names = {name for i in history.incidents if i.opened.incident_id == incident_id for name, _, _ in i.recipients}
    names |= {s.imposed.category for s in history.sanctions if s.imposed.incident_id == incident_id}
    return any((known := terms.find_category(name)) is not None and known.mode in _FOR_PEOPLE for name in names)


def _is_decided(history: History, incident_id: str) -> bool:
    return any(s.imposed.incident_id == incident_id and not s.imposed.is_automatic for s in history.sanctions)


def _still_true(history: History, request: NoticeRequest) -> tuple[str, ...]:
    is_annulled = any(i.is_annulled for i in history.incidents if i.opened.incident_id == request.incident_id)
    return tuple(name for name in request.templates if not (is_annulled and name in _OVERTAKEN))
