"""Statements of reasons in words: which template, which languages, who reads it.  CLAUSES §7, STANDING 5.10.

The general notices, which rest on facts alone, are worded in notice_letters; what templates may do is in
notice_templates.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from filterd.agreement.statement import Statement
from filterd.agreement.terms import Agreement
from filterd.errors import UsageError
from filterd.model.principal import DEALER, Account, Tenant
from filterd.pipeline.grounds import PersonsGround
from filterd.pipeline.notice_table import Audience as Audience
from filterd.pipeline.notice_templates import LANGUAGES as LANGUAGES
from filterd.pipeline.notice_templates import TEMPLATES as TEMPLATES
from filterd.pipeline.notice_templates import Templates as Templates
from filterd.pipeline.notice_templates import plain as plain
from filterd.pipeline.refusal_notes import RefusedList
from filterd.pipeline.replies import case_id
from filterd.pipeline.texts import known_language

# What the statement must hold for a notice to be headed so.
_FITS: dict[str, Callable[[Statement], bool]] = {
    "annulled": lambda s: s.undone_at is not None,
    "suspension": lambda s: bool(s.effects),
    "restriction": lambda s: bool(s.effects),
    "warning": lambda s: bool(s.effects),
    "hold": lambda s: s.hold is not None,
    "objection_received": lambda s: s.received is not None,
}

# The enforcing party whose name the tenant's record holds (CLAUSES 0.15); any other is the operator.
RESELLER = "reseller"

_RULE = "-" * 60
NOTHING_REFUSED = RefusedList()
NO_WORDS = PersonsGround()

# Copies for those who answer for the user.
COPIES = frozenset({Audience.TENANT, Audience.SECOND, Audience.DEALER, Audience.PARTY})


@dataclass(frozen=True, slots=True, kw_only=True)
class NoticeSettings:
    """The operator's part.

    Args:
        sender: the From field, `Name <address>`, in the enforcing party's name.
        notice_from: the same for resellers that have one of their own, by the reseller's name; others are written for.
        object_url: prefix of the page with the case, None when there is none.
        always_reachable: whole addresses a suspended account can still write to, besides the appeals address.
        reachable_local_parts: the same, at the tenant's own domains.
        desk_address: where the enforcing party's own people read notices; None: nowhere.
        reseller_desks: the same for resellers, by name; also the desks of dealers (TX-2.1.3).
        report_address: delivery reports come back to it, with the notice's id behind a `+`; None: notices have the null
            reverse-path and nothing comes back.
        hotline: where help is found, by language, for whoever may harm themselves; the operator's own words.
    """

    sender: str
    appeals_address: str
    object_url: str | None = None
    always_reachable: tuple[str, ...] = ()
    reachable_local_parts: tuple[str, ...] = ("postmaster", "abuse")
    copy_to_tenant: bool = True
    notice_from: Mapping[str, str] = field(default_factory=dict)
    desk_address: str | None = None
    reseller_desks: Mapping[str, str] = field(default_factory=dict)
    report_address: str | None = None
    hotline: Mapping[str, str] = field(default_factory=dict)

    def sender_for(self, dealer: str | None) -> str:
        """Say the From field of a notice that is in this reseller's name, or the operator's for None."""
        return self.notice_from.get(dealer, self.sender) if dealer is not None else self.sender


@dataclass(frozen=True, slots=True, kw_only=True)
class RenderedNotice:
    """A notice in words. `template` names all it tells of, the head first, `version` is the head's; `body_digest` is
    SHA-256 of `text`, hex."""

    subject: str
    text: str
    languages: tuple[str, ...]
    template: str
    body_digest: str
    version: str = ""


def render(
    statement: Statement,
    templates: Templates,
    about: Collection[str],
    account: Account | None,
    tenant: Tenant | None,
    terms: Agreement,
    settings: NoticeSettings,
    at: datetime,
    *,
    audience: Audience = Audience.ACCOUNT,
    link: str | None = None,
    refused: RefusedList = NOTHING_REFUSED,
    persons_ground: PersonsGround = NO_WORDS,
) -> RenderedNotice:
    """Word one notice for one reader.

    Args:
        about: names of TEMPLATES that were merged into it; the highest heads it and a hold adds a paragraph.
        account: None when the directory no longer has it; its id stands for it then.
        at: the instant the statement is of.
        link: the signed address of the case's page; None: `object_url` with the case id.
        refused: the reader's own mails that were refused by what is annulled.
        persons_ground: what the decider named besides the clause.

    Raises:
        UsageError: `about` is empty or names an unknown template, or one whose sanction the statement lacks.
    """
    if not about or set(about) - set(TEMPLATES):
        raise UsageError(f"no notice is about {sorted(about)!r}")
    told = [name for name in TEMPLATES if name in about]
    if not _FITS[told[0]](statement):
        raise UsageError(f"{statement.incident_id} gives no reason for a notice of {told[0]}")
    values = _values(statement, about, account, tenant, terms, settings, at, audience, link) | {
        "refused": refused,
        "persons_ground": persons_ground,
    }
    return assemble(templates, told[0], "+".join(told), choose_languages(account, tenant, terms), terms, values)


def assemble(
    templates: Templates,
    name: str,
    told: str,
    languages: tuple[str, ...],
    terms: Agreement,
    values: dict[str, Any],
) -> RenderedNotice:
    """Fill one template in each language and put the texts under each other.

    Args:
        told: what the notice is called on record.
    """
    subjects, texts = [], []
    for language in languages:
        title = terms.title.get(language) or next(iter(terms.title.values()))  # type: ignore[call-overload]
        mine = {**values, "title": title, "language": language}
        subject, _, text = templates.fill(language, name, mine).partition("\n")
        subjects.append(subject)
        texts.append(text.strip())
    if len(languages) > 1:
        below = templates.fill(languages[1], "_below", values).strip()
        text = f"{below}\n\n" + f"\n\n{_RULE}\n\n".join(texts)
    else:
        text = texts[0]
    text += "\n"
    return RenderedNotice(
        subject=" / ".join(subjects),
        text=text,
        languages=languages,
        template=told,
        body_digest=hashlib.sha256(text.encode("utf-8")).hexdigest(),
        version=templates.version(name),
    )


def choose_languages(account: Account | None, tenant: Tenant | None, terms: Agreement) -> tuple[str, ...]:
    """Say the languages of a notice: tenant's setting, else the account's, else the agreement's.

    A setting we have no texts for means nobody knows what the reader reads: all languages, the agreement's first.
    """
    settings = [tag for tag in (tenant and tenant.language, account and account.language) if tag]
    for tag in settings:
        if (known := known_language(tag)) is not None:
            return (known,)
    if settings:
        return tuple(dict.fromkeys([*terms.languages, *LANGUAGES]))
    return tuple(terms.languages)


def _values(
    statement: Statement,
    about: Collection[str],
    account: Account | None,
    tenant: Tenant | None,
    terms: Agreement,
    settings: NoticeSettings,
    at: datetime,
    audience: Audience,
    link: str | None,
) -> dict[str, Any]:
    case = case_id(statement.incident_id, statement.account_id)
    hold = statement.hold
    is_locked = hold is not None and not hold.is_over
    dealer = dealer_of(tenant, terms)
    # A mailbox under hold may be in a stranger's hands: no link to the case goes there (STANDING 5.6, CLAUSES §7).
    may_link = settings.object_url is not None and not (is_locked and audience is Audience.ACCOUNT)
    return {
        "s": statement,
        "main": statement.effects[0] if statement.effects else None,
        "hold": hold if hold is not None and ("hold" in about or is_locked) else None,
        "account": account.login if account is not None else statement.account_id,
        "tenant": tenant.name if tenant is not None else "",
        "is_copy": audience in COPIES,
        "version": terms.version,
        "party": terms.enforcing_party,
        "dealer": dealer,
        "is_on_behalf": dealer is not None and dealer not in settings.notice_from,
        "zone": terms.timezone,
        "case": case,
        "appeals": settings.appeals_address,
        "sender": settings.sender_for(dealer),
        "url": (link or f"{settings.object_url}{case}") if may_link else None,
        "reachable": reachable(account, tenant, settings),
        "at": at,
    }


def dealer_of(tenant: Tenant | None, terms: Agreement) -> str | None:
    """Say the reseller in whose name this tenant is written to, None for the operator."""
    return tenant.reseller if tenant is not None and terms.enforcing_party == RESELLER else None


def dealer_desk(tenant: Tenant | None, settings: NoticeSettings) -> str | None:
    """Say where the dealer of a tenant reads what its customer's contact could not be told (TX-2.1.3)."""
    if tenant is None or tenant.channel != DEALER or tenant.reseller is None:
        return None
    return settings.reseller_desks.get(tenant.reseller)


def reachable(account: Account | None, tenant: Tenant | None, settings: NoticeSettings) -> tuple[str, ...]:
    """Say the addresses that can be written to whatever is off."""
    domain = account.login.rpartition("@")[2] if account is not None else ""
    own = (
        [f"{local}@{domain}" for local in settings.reachable_local_parts]
        if tenant is not None and domain in tenant.domains
        else []
    )
    return tuple(dict.fromkeys([settings.appeals_address, *settings.always_reachable, *own]))
