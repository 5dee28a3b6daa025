"""General notices in words: facts, the clauses of the reader's own agreement, a sanction's points.  CLAUSES §7.

Every clause comes out of the agreement file or its register, by the keys of the manifest or of the facts; a supplement
stands on the agreement that it supplements. Nothing here reads the store.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from filterd.agreement.statement import Points, Statement
from filterd.agreement.statement_parts import CategoryName, CitedClause
from filterd.agreement.terms import Agreement
from filterd.errors import UsageError
from filterd.model.principal import Account, Tenant
from filterd.pipeline.notice_requests import EventRequest
from filterd.pipeline.notices import (
    COPIES,
    LANGUAGES,
    Audience,
    NoticeSettings,
    RenderedNotice,
    Templates,
    assemble,
    choose_languages,
    dealer_of,
    reachable,
)
from filterd.pipeline.replies import case_id

# As many digits as of a case.
_REFERENCE_CHARS = 12


@dataclass(frozen=True, slots=True, kw_only=True)
class EventFacts:
    """What a general notice is made of, as it stood at one instant.

    Args:
        terms: those of its case, else those in force; `base` is what they supplement, None for an ordinary agreement.
        about_case: the statement of reasons, where it tells more of an incident.
        points: where it is a sanction notice.
        is_locked: the mailbox is under a protective hold.
        is_good: nothing counts against the account.
        is_for_people: its case holds what only people may judge: the tenant's side reads one line (`tenant_copy`).
        is_decided: a person has imposed something in its case; before that, of such a case, the tenant reads nothing.
        link: the signed address of its case's page; None: `object_url` with the case id.
        statute: the law that a step against a tenant names as its ground; None: it stands on clauses.
        authors: by the item's id, who a held mail says has written it, and whether that is verified. It stands in the
            recipient's own copy alone.
    """

    request: EventRequest
    account: Account | None
    tenant: Tenant | None
    terms: Agreement
    base: Agreement | None = None
    about_case: Statement | None = None
    points: Points | None = None
    is_locked: bool = False
    is_good: bool = False
    is_for_people: bool = False
    is_decided: bool = False
    link: str | None = None
    statute: str | None = None
    authors: Mapping[str, tuple[str, bool]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class CitedGroup:
    """Clauses of one agreement. `title` by language."""

    title: Mapping[str, str]
    version: str
    clauses: tuple[CitedClause, ...]


def render_event(
    facts: EventFacts, templates: Templates, settings: NoticeSettings, at: datetime, *, audience: Audience
) -> RenderedNotice:
    """Word one general notice for one reader. Raises UsageError for a clause that the agreement lacks."""
    request, row = facts.request, facts.request.row
    is_about_account = facts.account is not None or request.account_id is not None
    who = facts.account.login if facts.account is not None else (facts.tenant.name if facts.tenant is not None else "")
    incident_id = request.incident_id
    case = reference(request)
    # Nobody knows in whose hands the mailbox is (STANDING 5.6, CLAUSES §7).
    is_suspect = (facts.is_locked or row.is_security) and audience is Audience.ACCOUNT
    has_page = settings.object_url is not None and incident_id is not None
    values = {
        **_letterhead(facts.tenant, facts.terms, settings, at, case),
        "f": request.facts[0],
        "items": _together(request.facts) if request.event == "advice" else request.facts,
        "who": who,
        "account": who,
        "is_copy": audience in COPIES and is_about_account,
        "s": (facts.about_case or facts.points) if row.is_sanction else None,
        "labels": {c.id: CategoryName(en=c.en, zh=c.zh) for c in facts.terms.category},
        "cited": cited(facts, templates),
        "can_object": row.can_object,
        "answer_hours": facts.terms.incident.objection_hours,
        "url": (facts.link or f"{settings.object_url}{case}") if has_page and not is_suspect else None,
        "reachable": reachable(facts.account, facts.tenant, settings),
        "is_good": facts.is_good,
        "hotline": {language: settings.hotline.get(language, "") for language in LANGUAGES},
        "statute": facts.statute,
        "authors": facts.authors if audience is Audience.ACCOUNT else {},
    }
    languages = LANGUAGES if audience is Audience.OTHER else choose_languages(facts.account, facts.tenant, facts.terms)
    return assemble(templates, request.event, request.event, languages, facts.terms, values)


def render_tenant_copy(
    case: str,
    account: Account | None,
    tenant: Tenant | None,
    terms: Agreement,
    templates: Templates,
    settings: NoticeSettings,
    at: datetime,
    *,
    name: str,
    told: str,
) -> RenderedNotice:
    """Word the one line that the tenant's side reads of a case only people may judge: a violation, the case id."""
    values = {
        **_letterhead(tenant, terms, settings, at, case),
        "account": "",
        "is_copy": False,
        "s": None,
        "cited": (),
        "can_object": False,
        "url": None,
    }
    return assemble(templates, name, told, choose_languages(account, tenant, terms), terms, values)


def reference(request: EventRequest) -> str:
    """Say what people quote: the case, or the notice where there is none."""
    if request.incident_id is not None:
        return case_id(request.incident_id, "")
    return request.notice_id.rpartition("_")[2][:_REFERENCE_CHARS]


def cited(facts: EventFacts, templates: Templates) -> tuple[CitedGroup, ...]:
    """Say the clauses it cites: its case's, those among its facts, those of the manifest."""
    keys: dict[str, None] = {}
    for item in facts.request.facts:
        keys |= dict.fromkeys(item.get("clauses", ()))
    groups = []
    own = list(facts.about_case.grounds) if facts.about_case is not None else []
    for terms in (facts.terms, facts.base):
        if terms is None:
            continue
        listed = templates.cites(facts.request.event, terms.id)
        # A clause among the facts is the supplement's own, or that of the agreement below it.
        mine = [key for key in keys if find_clause(key, terms, templates) is not None]
        for key in mine:
            del keys[key]
        for key in (*mine, *listed):
            found = find_clause(key, terms, templates)
            if found is None:
                raise UsageError(f"notice {facts.request.event} cites clause {key!r}, which {terms.id} does not have")
            if found not in own:
                own.append(found)
        if own:
            groups.append(CitedGroup(title=_titles(terms), version=terms.version, clauses=tuple(own)))
        own = []
    if keys:
        raise UsageError(f"notice {facts.request.event} cites {next(iter(keys))!r}, which {facts.terms.id} lacks")
    return tuple(groups)


def find_clause(key: str, terms: Agreement, templates: Templates) -> CitedClause | None:
    """Say a clause in our words: the agreement file's, else the register's, which has those that mail cannot breach."""
    if (clause := terms.clause.get(key)) is not None:
        return CitedClause(number=clause.number, en=clause.en, zh=clause.zh)
    register = templates.registers.get(terms.id)
    entry = register.find(key) if register is not None else None
    return CitedClause(number=key, en=entry.paraphrase_en, zh=entry.paraphrase_zh) if entry is not None else None


def _titles(terms: Agreement) -> dict[str, str]:
    some = next(iter(terms.title.values()))
    return {language: terms.title.get(language, some) for language in LANGUAGES}  # type: ignore[call-overload]


def _letterhead(
    tenant: Tenant | None, terms: Agreement, settings: NoticeSettings, at: datetime, case: str
) -> dict[str, Any]:
    """What every letter has of whoever sends it."""
    dealer = dealer_of(tenant, terms)
    return {
        "tenant": tenant.name if tenant is not None else "",
        "version": terms.version,
        "party": terms.enforcing_party,
        "dealer": dealer,
        "is_on_behalf": dealer is not None and dealer not in settings.notice_from,
        "sender": settings.sender_for(dealer),
        "zone": terms.timezone,
        "case": case,
        "appeals": settings.appeals_address,
        "at": at,
    }


def _together(found: tuple[Mapping[str, Any], ...]) -> list[dict[str, Any]]:
    """Say the same advice once, with how often and since when: workers hand it over as it comes."""
    out: dict[str, dict[str, Any]] = {}
    for facts in found:
        known = out.setdefault(facts["code"], {**facts, "count": 0})
        known["count"] += facts["count"]
        known["since"] = min(known["since"], facts["since"])
    return list(out.values())
