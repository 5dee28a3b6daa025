"""What the operator's own directory says of a login: who has the mailbox, and whose user that is.

A source is told which of these it has (a column, an attribute); only those are in `says`. One that it has and that is
empty takes away what was known; one that it does not have leaves it as it is.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from datetime import date


@dataclass(frozen=True, slots=True, kw_only=True)
class DirectoryFacts:
    """One answer of a source.

    Args:
        source: its name.
        says: the names of the fields below that it has.
        unreadable: fields that hold what cannot be read; they are not in `says`.
        external_id: what never changes while the mailbox is this person's: entryUUID, objectGUID, a primary key.
        login: the one login of the account, where the login asked about may be an alias; canonical.
        aliases: its other logins and addresses, canonical.
        send_as: addresses of other mailboxes that it may write from, canonical.
        domains: all domains of the tenant, A-labels in lower case.
        dealer: who has sold to the tenant, and in whose name notices go out (Tenant.reseller).
        agreement: id of the agreement file that binds the tenant.
    """

    source: str
    says: frozenset[str] = frozenset()
    unreadable: tuple[str, ...] = ()
    external_id: str | None = None
    login: str | None = None
    aliases: tuple[str, ...] = ()
    send_as: tuple[str, ...] = ()
    contact: str | None = None
    language: str | None = None
    expires_on: date | None = None
    tenant_external_id: str | None = None
    tenant_name: str | None = None
    tenant_contact: str | None = None
    tenant_language: str | None = None
    tenant_expires_on: date | None = None
    domains: tuple[str, ...] = ()
    seats: int | None = None
    plan: str | None = None
    dealer: str | None = None
    agreement: str | None = None


# What a source can be told to say.
FACTS = tuple(f.name for f in fields(DirectoryFacts) if f.name not in ("source", "says", "unreadable"))
