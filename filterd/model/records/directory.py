"""Whose users there are, and what lists and the operator's directory changed about them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime

from filterd.model.principal import Supplement


@dataclass(frozen=True, slots=True, kw_only=True)
class TenantOpened:
    """`supplement`: the record it came with. Domains are those known then."""

    at: datetime
    tenant_id: str
    agreement: str
    source: str
    domains: tuple[str, ...] = ()
    supplement: Supplement | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class TenantChanged:
    """A list, or the operator's directory, changed a known tenant. `by`: a person's name, or `directory:` and which.

    `fields` names all that changed. Of those, the values that name nobody are said as they are now: `agreement`,
    `domains`, `domains_declared`, `language`, `seats`, `supplement`, `plan`, `expires_on`, `channel`, `starts_on`,
    `term_months`. A field that `fields` does
    not name says nothing.
    """

    at: datetime
    tenant_id: str
    by: str
    fields: tuple[str, ...]
    agreement: str | None = None
    domains: tuple[str, ...] = ()
    domains_declared: bool = False
    language: str | None = None
    seats: int | None = None
    supplement: Supplement | None = None
    plan: str | None = None
    expires_on: date | None = None
    channel: str | None = None
    starts_on: date | None = None
    term_months: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountOpened:
    at: datetime
    account_id: str
    tenant_id: str
    source: str


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountChanged:
    """A list, or the operator's directory, changed a known account. `by` and `fields` as in TenantChanged; `tenant_id`
    is whose it is now. A new login and the one before are in the sealed part."""

    at: datetime
    account_id: str
    tenant_id: str
    by: str
    fields: tuple[str, ...]
    language: str | None = None
    expires_on: date | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountRetired:
    """The account keeps its id, its record and what is in force, and loses its login (STANDING 5.7-19).

    `because`: `reused`, another person has the address; `transferred`, the person has a mailbox at another tenant.
    """

    at: datetime
    account_id: str
    tenant_id: str
    by: str
    because: str


DirectoryRecord = (
    TenantOpened
    | TenantChanged
    | AccountOpened
    | AccountChanged
    | AccountRetired
)

KINDS: dict[str, type[DirectoryRecord]] = {
    "tenant.opened": TenantOpened,
    "tenant.changed": TenantChanged,
    "account.opened": AccountOpened,
    "account.changed": AccountChanged,
    "account.retired": AccountRetired,
}
