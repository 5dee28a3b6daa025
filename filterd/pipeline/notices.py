"""Statements of reasons in words: which template, which languages, and what a value may look like inside one.

CLAUSES §7, STANDING 5.10, FAULTS row 55. Templates are ours and run in a sandbox; what a user or a tenant chose (a
name, an address) is only ever a value: it loses control characters and line ends and is never read as a template. A
name that a template does not know is an error, never a blank. The first line of a template is the subject.
"""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections.abc import Callable, Collection
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from jinja2 import FileSystemLoader, StrictUndefined, TemplateError, TemplateNotFound, pass_context
from jinja2.runtime import Context
from jinja2.sandbox import ImmutableSandboxedEnvironment

from filterd.agreement.disposition import BULK_RECIPIENTS
from filterd.agreement.statement import Statement
from filterd.agreement.terms import Agreement
from filterd.errors import ModelError, UsageError
from filterd.model.principal import Account, Tenant
from filterd.pipeline.replies import case_id
from filterd.pipeline.texts import known_language

LANGUAGES = ("zh-Hans", "en")

# What heads a notice that tells of several things: the highest first.
TEMPLATES = ("annulled", "suspension", "restriction", "warning", "hold", "objection_received")

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
_BLANK_LINES = re.compile(r"\n{3,}")
# No name, address or clause of ours is near this; what is longer was made to be.
_MAX_VALUE = 2000
# Control, format (bidi, zero-width), surrogate, private and unassigned characters; line and paragraph separators.
_STRIPPED = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})


class Audience(StrEnum):
    """Who reads a copy. `contact` is an address of the account's user outside the mailbox."""

    ACCOUNT = "account"
    CONTACT = "contact"
    TENANT = "tenant"


@dataclass(frozen=True, slots=True, kw_only=True)
class NoticeSettings:
    """The operator's part.

    Args:
        sender: the From field, `Name <address>`, in the enforcing party's name.
        object_url: prefix of the page with the case, None when there is none.
        always_reachable: whole addresses a suspended account can still write to, besides the appeals address.
        reachable_local_parts: the same, at the tenant's own domains.
    """

    sender: str
    appeals_address: str
    object_url: str | None = None
    always_reachable: tuple[str, ...] = ()
    reachable_local_parts: tuple[str, ...] = ("postmaster", "abuse")
    copy_to_tenant: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class RenderedNotice:
    """A notice in words. `template` names all it tells of, the head first; `body_digest` is SHA-256 of `text`, hex."""

    subject: str
    text: str
    languages: tuple[str, ...]
    template: str
    body_digest: str


class Templates:
    """The templates of every language, read from `policies/notices`."""

    def __init__(self, folder: Path):
        """Raises ModelError when a template is missing or does not parse."""
        self._environment = _environment(folder)
        for language in LANGUAGES:
            for name in TEMPLATES:
                self._get(folder, f"{language}/{name}.j2")

    def _get(self, folder: Path, name: str) -> None:
        try:
            self._environment.get_template(name)
        except TemplateNotFound as err:
            raise ModelError(f"{folder / name}: there is no such template") from err
        except TemplateError as err:
            raise ModelError(f"{folder / name}: {err}") from err

    def fill(self, language: str, name: str, values: dict[str, Any]) -> str:
        """Render one template. Raises UsageError for a name that `values` lacks."""
        try:
            text = self._environment.get_template(f"{language}/{name}.j2").render(values)
        except TemplateError as err:
            raise UsageError(f"notices/{language}/{name}.j2: {err}") from err
        # Paragraphs that say nothing leave their blank lines behind; values hold no line ends.
        return _BLANK_LINES.sub("\n\n", text)


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
) -> RenderedNotice:
    """Word one notice for one reader.

    Args:
        about: names of TEMPLATES that were merged into it; the highest heads it and a hold adds a paragraph.
        account: None when the directory no longer has it; its id stands for it then.
        at: the instant the statement is of.

    Raises:
        UsageError: `about` is empty or names an unknown template, or one whose sanction the statement lacks.
    """
    if not about or set(about) - set(TEMPLATES):
        raise UsageError(f"no notice is about {sorted(about)!r}")
    told = [name for name in TEMPLATES if name in about]
    if not _FITS[told[0]](statement):
        raise UsageError(f"{statement.incident_id} gives no reason for a notice of {told[0]}")
    values = _values(statement, about, account, tenant, terms, settings, at, audience)
    languages = choose_languages(account, tenant, terms)
    subjects, texts = [], []
    for language in languages:
        title = terms.title.get(language) or next(iter(terms.title.values()))  # type: ignore[call-overload]
        subject, _, text = templates.fill(language, told[0], {**values, "title": title}).partition("\n")
        subjects.append(subject)
        texts.append(text.strip())
    if len(languages) > 1:
        texts.insert(0, templates.fill(languages[1], "_below", values).strip())
        text = f"{texts[0]}\n\n" + f"\n\n{_RULE}\n\n".join(texts[1:])
    else:
        text = texts[0]
    text += "\n"
    return RenderedNotice(
        subject=" / ".join(subjects),
        text=text,
        languages=languages,
        template="+".join(told),
        body_digest=hashlib.sha256(text.encode("utf-8")).hexdigest(),
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


def plain(value: Any) -> str:
    """Make one line of text of a value: no control characters, no line ends, no invisible characters."""
    text = str(value)
    if not (text.isascii() and text.isprintable()):
        text = "".join(" " if unicodedata.category(c) in _STRIPPED else c for c in text)
    text = " ".join(text.split())
    return text if len(text) <= _MAX_VALUE else text[:_MAX_VALUE] + "…"


def _values(
    statement: Statement,
    about: Collection[str],
    account: Account | None,
    tenant: Tenant | None,
    terms: Agreement,
    settings: NoticeSettings,
    at: datetime,
    audience: Audience,
) -> dict[str, Any]:
    case = case_id(statement.incident_id, statement.account_id)
    hold = statement.hold
    is_locked = hold is not None and not hold.is_over
    # A mailbox under hold may be in a stranger's hands: no link to the case goes there (STANDING 5.6, CLAUSES §7).
    may_link = settings.object_url is not None and not (is_locked and audience is Audience.ACCOUNT)
    return {
        "s": statement,
        "main": statement.effects[0] if statement.effects else None,
        "hold": hold if hold is not None and ("hold" in about or is_locked) else None,
        "account": account.login if account is not None else statement.account_id,
        "tenant": tenant.name if tenant is not None else "",
        "is_copy": audience is Audience.TENANT,
        "version": terms.version,
        "party": terms.enforcing_party,
        "dealer": tenant.reseller if tenant is not None and terms.enforcing_party == RESELLER else None,
        "zone": terms.timezone,
        "case": case,
        "appeals": settings.appeals_address,
        "sender": settings.sender,
        "url": f"{settings.object_url}{case}" if may_link else None,
        "reachable": _reachable(account, tenant, settings),
        "at": at,
    }


def _reachable(account: Account | None, tenant: Tenant | None, settings: NoticeSettings) -> tuple[str, ...]:
    domain = account.login.rpartition("@")[2] if account is not None else ""
    own = (
        [f"{local}@{domain}" for local in settings.reachable_local_parts]
        if tenant is not None and domain in tenant.domains
        else []
    )
    return tuple(dict.fromkeys([settings.appeals_address, *settings.always_reachable, *own]))


def _environment(folder: Path) -> ImmutableSandboxedEnvironment:
    # Plain text: there is no markup to escape, and `plain` goes over every value.
    environment = ImmutableSandboxedEnvironment(
        loader=FileSystemLoader(folder),
        autoescape=False,
        undefined=StrictUndefined,
        finalize=plain,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters.update(when=_when, points=_points, case=_case)
    environment.globals["bulk_recipients"] = BULK_RECIPIENTS
    return environment


@pass_context
def _when(context: Context, instant: datetime) -> str:
    """Say an instant to the minute on the agreement's own clock."""
    return f"{instant.astimezone(ZoneInfo(context['zone'])):%Y-%m-%d %H:%M}"


def _points(half_points: int) -> str:
    return f"{half_points / 2:g}"


def _case(incident_id: str) -> str:
    return case_id(incident_id, "")
