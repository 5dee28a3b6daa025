"""Who answers for a mail (RFC 5598), and the subjects of the directory: Principal, Account, Tenant."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Strength(StrEnum):
    """Only `strong` can carry automatic points (HOUSE rule 7)."""

    STRONG = "strong"
    MEDIUM = "medium"
    NONE = "none"


class Basis(StrEnum):
    """By which credential a mail is attributed."""

    SASL = "sasl"
    XCLIENT = "xclient"
    RECEIVED = "received"
    HEADER = "header"
    CLIENT_NET = "client_net"
    NONE = "none"


@dataclass(frozen=True, slots=True, kw_only=True)
class Principal:
    """The account answerable for a mail. `account_id` None means nobody of ours."""

    account_id: str | None = None
    tenant_id: str | None = None
    basis: Basis = Basis.NONE
    strength: Strength = Strength.NONE
    agreement: str | None = None


NOBODY = Principal()


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """One mailbox of a tenant. The id is random and never changes; the login lives in the directory only."""

    account_id: str
    tenant_id: str
    login: str
    language: str | None = None
    contact: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Tenant:
    """The enterprise answerable for its users. `language` None: the agreement's; `domains` in lower case A-labels."""

    tenant_id: str
    name: str
    agreement: str
    domains: tuple[str, ...] = ()
    language: str | None = None
    contact: str | None = None
    seats: int | None = None
