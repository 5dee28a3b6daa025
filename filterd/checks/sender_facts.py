"""What there is to know of the names in a mail: the fetching half of the check sender.

Asks as little as can be: nothing about a tenant's own domain, so that ordinary mail needs no directory.
Raises what the directory raises when it cannot be asked.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field

from filterd.checks import psl
from filterd.checks.sender_fields import Mailbox, mailboxes, resenders
from filterd.checks.sender_names import is_within, originals, parents
from filterd.checks.spec import Context
from filterd.errors import PeerError
from filterd.mail.names import canonical_login
from filterd.model.session import Direction, Path

# In the list of lent domains: lent to every tenant.
EVERY = "*"
# So many From addresses of the tenant's are looked up.
_MOST_ACCOUNTS = 8
# So many names above a domain are asked for, the registered one last: a hundred labels must not use up our time, for a
# check that has not answered lets the mail pass.
_MOST_PARENTS = 5

OwnerOf = Callable[[str], Awaitable[str | None]]
AccountOf = Callable[[str], Awaitable[str | None]]
# Account, address of another mailbox, canonical.
MaySendAs = Callable[[str, str], Awaitable[bool]]
_TAG = "+"


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """All that the judging half needs to know.

    Args:
        tenant: whose mail it is; None: nobody's of ours, or inbound.
        own: domains of that tenant, delegated ones too; for mail that is nobody's, of those it is for.
        is_declared: somebody said that these are all of the tenant's domains.
        authors: of From.
        owners: whose a domain is; those that are nobody's are missing.
        imitated: a From domain and the tenant's domain it imitates.
        strangers: mailboxes of From that are another account's, and that this one may not write from.
        resenders: of Resent-From and Resent-Sender, of the topmost block.
        replies: of Reply-To.
    """

    tenant: str | None
    own: frozenset[str]
    is_declared: bool
    authors: tuple[Mailbox, ...]
    senders: tuple[Mailbox, ...] = ()
    resenders: tuple[Mailbox, ...] = ()
    replies: tuple[Mailbox, ...] = ()
    reverse_path: Path | None = None
    owners: Mapping[str, str] = field(default_factory=dict)
    imitated: Mapping[str, str] = field(default_factory=dict)
    strangers: tuple[Mailbox, ...] = ()


class LookUp:
    """The fetching half: asks the directory what there is to know of the names in a mail."""

    def __init__(
        self,
        owner_of: OwnerOf,
        account_of: AccountOf | None,
        delegated: Mapping[str, tuple[str, ...]],
        is_declared: Callable[[Context], bool],
        may_send_as: MaySendAs | None = None,
    ) -> None:
        self._owner_of, self._account_of, self._may_send_as = owner_of, account_of, may_send_as
        self._delegated, self._is_declared = delegated, is_declared

    async def facts(self, context: Context) -> Facts:
        authors = mailboxes(context.message, "from")
        is_ours = context.principal.tenant_id is not None and context.direction is not Direction.INBOUND
        domains = {box.domain for box in authors if box.domain is not None}
        if not is_ours:
            own = frozenset(f.path.domain for f in context.transaction.envelope.forward_paths)
            imitated = await self._imitated(domains, own, {})
            return Facts(tenant=None, own=own, is_declared=False, authors=authors, imitated=imitated)
        own = self._own(context.own_domains)
        senders = mailboxes(context.message, "sender")
        path = context.transaction.envelope.reverse_path
        passed_on_by = resenders(context.message)
        named = domains | {box.domain for box in (*senders, *passed_on_by) if box.domain is not None}
        if path is not None and path.domain:
            named.add(path.domain)
        owners: dict[str, str] = {}
        for domain in sorted(named):
            owner = await self._owner(domain, own, context.principal.tenant_id)
            if owner is not None:
                owners[domain] = owner
        return Facts(
            tenant=context.principal.tenant_id,
            own=own,
            is_declared=self._is_declared(context),
            authors=authors,
            senders=senders,
            resenders=passed_on_by,
            replies=mailboxes(context.message, "reply-to"),
            reverse_path=path,
            owners=owners,
            imitated=await self._imitated(domains, own, owners),
            strangers=await self._strangers(authors, context),
        )

    def _own(self, domains: tuple[str, ...]) -> frozenset[str]:
        lent = [name for domain in (*domains, EVERY) for name in self._delegated.get(domain, ())]
        return frozenset((*domains, *lent))

    async def _owner(self, domain: str, own: frozenset[str], tenant: str | None) -> str | None:
        """Say whose a domain is, or the nearest one above it, up to the one that was registered."""
        registered = psl.load().registrable(domain) or domain
        names = list(parents(domain))
        names = names[: names.index(registered) + 1] if registered in names else names
        asked = {names[0], *names[-_MOST_PARENTS:]}
        for name in names:
            if name in own:
                return tenant
            owner = await self._owner_of(name) if name in asked else None
            if owner is not None:
                return owner
        return None

    async def _imitated(self, domains: set[str], own: frozenset[str], owners: Mapping[str, str]) -> dict[str, str]:
        """Say which of these domains imitate a tenant's."""
        found = {}
        for domain in sorted(domains):
            if domain in owners or is_within(domain, own):
                continue
            name = psl.load().registrable(domain)
            guesses = originals(name) if name is not None else ()
            if not guesses or await self._owner_of(domain) is not None:
                continue
            for guess in guesses:
                if await self._owner_of(guess) is not None:
                    found[domain] = guess
                    break
        return found

    async def _strangers(self, authors: tuple[Mailbox, ...], context: Context) -> tuple[Mailbox, ...]:
        """Say which From addresses are other accounts' of the tenant, which this one has not been lent."""
        account_id = context.principal.account_id
        if self._account_of is None or account_id is None:
            return ()
        found = []
        for box in [box for box in authors if box.domain in context.own_domains][:_MOST_ACCOUNTS]:
            try:
                login = canonical_login(f"{box.local_part}@{box.domain}")
            except PeerError:
                continue
            if await self._is_strange(login, account_id):
                found.append(box)
        return tuple(found)

    async def _is_strange(self, login: str, account_id: str) -> bool:
        """Say whether an address, or what it is without its tag, is another account's."""
        for address in _spellings(login):
            whose = await self._account_of(address) if self._account_of is not None else None
            if whose is not None:
                # Either may have been lent: the mailbox, or this one address with its tag.
                lent = dict.fromkeys((address, login))
                return whose != account_id and not any([await self._is_granted(account_id, one) for one in lent])
        return False

    async def _is_granted(self, account_id: str, address: str) -> bool:
        return self._may_send_as is not None and await self._may_send_as(account_id, address)


def _spellings(login: str) -> tuple[str, ...]:
    """Give an address, and the mailbox that one with a tag (`user+tag`) most likely is."""
    local_part, _, domain = login.rpartition("@")
    name, tag, _ = local_part.partition(_TAG)
    return (login, f"{name}@{domain}") if tag and name else (login,)
