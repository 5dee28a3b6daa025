"""Who answers for a mail (RFC 5598), and the subjects of the directory: Principal, Account, Tenant."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
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
    SENDER = "sender"
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
    """One mailbox of a tenant. The id is random and never changes; the login lives in the directory only.

    Args:
        aliases: other logins and addresses that are this account's, in their canonical spelling.
        send_as: addresses of other mailboxes that it may write from (a shared mailbox, whoever it stands in for),
            canonical.
        external_id: what the operator's own directory calls whoever has the mailbox; it outlives every login.
        expires_on: the last day of service.
        retired_at: since when somebody else has the login, or nobody: it leads here no more (STANDING 5.7-19).
    """

    account_id: str
    tenant_id: str
    login: str
    language: str | None = None
    contact: str | None = None
    aliases: tuple[str, ...] = ()
    external_id: str | None = None
    expires_on: date | None = None
    retired_at: datetime | None = None
    send_as: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Supplement:
    """A supplementary agreement that a tenant and its provider have signed (AL-9.1, 9.2; TX-8.2.6).

    Args:
        agreement: id of the agreement file that says what it says.
        document: where the signed copy is, a contract number for instance.
        signed_by_provider, signed_by_tenant: None while that signature is missing: then it is not in force.
        effective_from: None: from the later signature on.
        categories: what the parties agreed on; empty: all that the file has.
    """

    agreement: str
    document: str
    signed_by_provider: date | None = None
    signed_by_tenant: date | None = None
    effective_from: date | None = None
    categories: tuple[str, ...] = ()

    @property
    def first_day(self) -> date | None:
        """Say the first day it is in force, on the agreement's own calendar; None while a signature is missing."""
        if self.signed_by_provider is None or self.signed_by_tenant is None:
            return None
        days = (self.signed_by_provider, self.signed_by_tenant, self.effective_from)
        return max(day for day in days if day is not None)


# By whom the service was sold (TX-2.1.1).
DIRECT, DEALER = "direct", "dealer"


@dataclass(frozen=True, slots=True, kw_only=True)
class Tenant:
    """The enterprise answerable for its users. `language` None: the agreement's; `domains` in lower case A-labels.

    Args:
        supplement: the signed supplement on record, in force or not.
        domains_declared: somebody has said that `domains` are all; False for what first mail has shown.
        channel: how it has bought: DIRECT from the provider, or through a DEALER; None: nobody has said.
        starts_on: the first day of the term as agreed with the dealer (TX-2.2.3); None: the day on record.
        term_months: for how long it has bought, from that day on; None: the last day alone is known.
        second_contact: who else is told of what concerns security, and when the first contact cannot be reached.
        reseller: in whose name notices go out where the agreement is enforced by a reseller; also called the dealer.
        plan: what it has bought, by the operator's name for it.
        expires_on: the last day of service.
        external_id: what the operator's own directory calls it; it outlives names and domains.
    """

    tenant_id: str
    name: str
    agreement: str
    domains: tuple[str, ...] = ()
    language: str | None = None
    contact: str | None = None
    seats: int | None = None
    supplement: Supplement | None = None
    domains_declared: bool = False
    reseller: str | None = None
    plan: str | None = None
    expires_on: date | None = None
    external_id: str | None = None
    second_contact: str | None = None
    channel: str | None = None
    starts_on: date | None = None
    term_months: int | None = None
