"""Which signatures does a mail get from us?  RFC 6376 §5, RFC 8617 §5.1.

Mail of an account is signed for its author's domain, and only when that belongs to the account's own tenant: a relay
that signs for whoever asks lends every tenant the name of every other (FAULTS 39). Strangers' mail is sealed. Nothing
is signed whose author readers may see differently, or whose header ends in the middle.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Awaitable, Callable, Collection, Iterable, Iterator
from datetime import UTC, datetime
from typing import Any

from filterd.checks.arc_seal import seal_fields
from filterd.checks.dkim.canonical import Canonical
from filterd.checks.dkim.sign import FIELD, SigningKey, dkim_value, signed_names
from filterd.checks.sender_names import is_within, parents
from filterd.checks.spec import IN_PLACE_MAX_BYTES
from filterd.mail import fields as fields_of_mail
from filterd.mail.author import author
from filterd.model.message import Message

Fields = list[tuple[str, str]]
OwnerOf = Callable[[str], Awaitable[str | None]]


class Signer:
    """The keys of a node. `seal` None: nothing is sealed."""

    def __init__(self, keys: Iterable[SigningKey] = (), seal: SigningKey | None = None):
        self._keys: dict[str, list[SigningKey]] = defaultdict(list)
        for key in keys:
            self._keys[key.domain].append(key)
        self._seal = seal

    def all_keys(self) -> Iterator[SigningKey]:
        """Give every key, that of the seal last."""
        for keys in self._keys.values():
            yield from keys
        if self._seal is not None:
            yield self._seal

    def in_force(self, at: datetime) -> tuple[SigningKey, ...]:
        """Give the keys that would sign mail now, the seal's left out."""
        return tuple(key for keys in self._keys.values() for key in _current(keys, at))

    async def signatures(
        self, message: Message, own_domains: Collection[str], at: datetime, owner_of: OwnerOf
    ) -> Fields:
        """Make the DKIM-Signature fields of a mail, for its top; one a kind of key.

        Args:
            own_domains: of the tenant that answers for the mail; empty: nobody of ours does, and nothing is signed.
            at: when the mail came.
            owner_of: says whose a domain is; asked only about names below the tenant's own.
        """
        keys = self.keys_for(message, own_domains, at)
        if keys and await _is_anothers(author(message).written or "", own_domains, owner_of):
            return []
        return await _apart(message, _signatures, message, keys, int(at.timestamp())) if keys else []

    async def letterhead(self, message: Message, at: datetime) -> Fields:
        """Make the DKIM-Signature fields of a mail that filterd wrote itself, for its top: by the keys of its From
        domain, or of the nearest one above it. Whose that is was the operator's choice."""
        keys = self.keys_for(message, tuple(parents(author(message).written or "")), at)
        return await _apart(message, _signatures, message, keys, int(at.timestamp())) if keys else []

    async def sealed(self, message: Message, found: str | None, results: str | None, at: datetime) -> Fields:
        """Make the ARC set of a stranger's mail, for its top.

        Args:
            found: what the check `arc` said of the chain; None: nothing, and nothing is sealed.
            results: the value of our Authentication-Results field; None: there is none to pass on.
        """
        if self._seal is None or found is None or results is None or not _is_plain(message):
            return []
        return await _apart(message, _seal, message, self._seal, found, results, int(at.timestamp()))

    def keys_for(self, message: Message, own_domains: Collection[str], at: datetime) -> tuple[SigningKey, ...]:
        """Say which keys sign a mail: those of its author's domain, or of the nearest one above it."""
        # What a display name decodes to takes nobody's signature: readers by RFC 5322 look at the octets.
        name = author(message).written if self._keys else None
        if name is None or not is_within(name, own_domains) or not _is_plain(message):
            return ()
        for domain in parents(name):
            if is_within(domain, own_domains) and (keys := _current(self._keys.get(domain, ()), at)):
                return keys
        return ()


def _current(keys: Iterable[SigningKey], at: datetime) -> tuple[SigningKey, ...]:
    """Say the newest key of each kind that may sign already."""
    newest: dict[str, SigningKey] = {}
    today = at.astimezone(UTC).date()
    for key in sorted(keys, key=lambda key: key.since.toordinal() if key.since else 0):
        if key.since is None or key.since <= today:
            newest[key.algorithm] = key
    return tuple(newest[name] for name in sorted(newest, reverse=True))


async def _is_anothers(domain: str, own_domains: Collection[str], owner_of: OwnerOf) -> bool:
    """Say whether a domain below one of the tenant's own is another tenant's, who has been lent it or has bought it."""
    for name in parents(domain):
        if name in own_domains:
            return False
        if await owner_of(name) is not None:
            return True
    return True


def _is_plain(message: Message) -> bool:
    """Say whether all readers agree where the header ends; mail servers mend what does not, after us."""
    block = fields_of_mail.split(message.raw, limits=None)
    return block.broken is None and block.blank is None


def _signatures(message: Message, keys: tuple[SigningKey, ...], now: int) -> Fields:
    canonical = Canonical(message)
    names = signed_names(canonical)
    return [(FIELD, dkim_value(canonical, key, names, now)) for key in keys] if names is not None else []


def _seal(message: Message, key: SigningKey, found: str, results: str, now: int) -> Fields:
    return list(seal_fields(message, Canonical(message), key, found, results, now))


async def _apart(message: Message, make: Callable[..., Fields], *arguments: Any) -> Fields:
    """Make fields in place, or in a thread for large mail."""
    if len(message.raw) <= IN_PLACE_MAX_BYTES:
        return make(*arguments)
    return await asyncio.to_thread(make, *arguments)
