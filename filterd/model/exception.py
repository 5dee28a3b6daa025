"""What an operator lists beforehand: whose mail is refused, whose is taken as it is, and for whom other choices hold.

One entry of a list file (ops/docs/EXCEPTIONS.md), what a mail shows of itself, and what was applied to it. Which entry
wins is said in agreement/exceptions and nowhere else.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network

Network = IPv4Network | IPv6Network
Address = IPv4Address | IPv6Address

# What entries speak of. `deny` is the mail as a whole, `spam_at` the threshold; the others are groups of `[inbound]`.
DENY, SPAM_AT = "deny", "spam_at"
GROUPS = ("virus", "attachments", "phishing", "spam", "impersonation", "dmarc")
TOPICS = (DENY, *GROUPS, SPAM_AT)

# The null sender as a list names it.
NULL_SENDER = "<>"


class Kind(StrEnum):
    """The closed set of what an entry does."""

    DENY = "deny"
    ACCEPT = "accept"
    EXCEPTION = "exception"


@dataclass(frozen=True, slots=True, kw_only=True)
class Denial:
    """How mail is refused. `text`: the operator's own words, ASCII, None: those of the catalogue."""

    is_final: bool = True
    enhanced: str = "5.7.1"
    text: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ExceptionEntry:
    """One entry. An empty condition says nothing; of one with several values any will do; all conditions must hold.

    Args:
        file, line: where it stands; `rank` is the number of its file in the configuration.
        client: networks of the client, as the trusted peer says it.
        sender, recipient: addresses and domains in lower case; `.example.org` is a domain with all below it.
        account, tenant: canonical logins; ids of tenants or domains of theirs.
        from_domain: the author domain (RFC 5322 From), only where `authenticated` proves it.
        authenticated: methods of which one has to vouch for `sender` and one for `from_domain`.
        is_inbound, is_outbound: which mail it is about: strangers', or that of our own accounts.
        choices: topic and what is to be done: a disposition, `spam_at` a probability; of `deny` it is `accept` where
            the entry takes mail that another would refuse.
        denial: of a `deny` entry.
        until: the entry ends then; None: it does not.
        by, reason: who made it, and why.
    """

    id: str
    kind: Kind
    file: str
    line: int
    rank: int = 0
    by: str
    reason: str
    client: tuple[Network, ...] = ()
    sender: tuple[str, ...] = ()
    account: tuple[str, ...] = ()
    tenant: tuple[str, ...] = ()
    from_domain: tuple[str, ...] = ()
    recipient: tuple[str, ...] = ()
    authenticated: tuple[str, ...] = ()
    is_inbound: bool = True
    is_outbound: bool = False
    choices: tuple[tuple[str, str], ...] = ()
    denial: Denial | None = None
    until: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class MailTraits:
    """What a mail to one recipient shows of itself, in the spelling of the lists.

    Args:
        client: None where nobody says which it is.
        sender: the whole address, `<>` for the null sender.
        account: None where nobody of ours answers for it. `tenants`: the account's tenant by id and by its domains.
        from_domain, proofs: the author domain, None where there is no single one; (method, domain) of what passed. Both
            are seen in the message: before it, `proofs` is None.
    """

    at: datetime
    is_outbound: bool
    recipient: str
    client: Address | None = None
    sender: str = NULL_SENDER
    account: str | None = None
    tenants: tuple[str, ...] = ()
    from_domain: str | None = None
    proofs: frozenset[tuple[str, str]] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Applied:
    """An entry that matched a mail: about what, where it stands, and whether it was followed or lost to another.

    `denial`: of an entry that refuses the mail, for the reply.
    """

    topic: str
    entry_id: str
    file: str
    line: int
    is_followed: bool
    choice: str = ""
    denial: Denial | None = None
