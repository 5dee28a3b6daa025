"""Which of the operator's entries are about a mail, and which of them is followed?  ops/docs/EXCEPTIONS.md.

Pure. The order is total and the same for every topic; the first entry in it that speaks of a topic is followed:

1. what names the recipient more closely: its address, its domain, a domain above (the longer one first), nobody;
2. what names the account; 3. the envelope sender, likewise by closeness; 4. the From domain; 5. the tenant;
6. the client, the smaller network first;
7. what is stricter: refuse before defer before take; of `spam_at` the lower;
8. the earlier file of the configuration, and in it the earlier line.

A table is compiled once: each entry is filed under one of its conditions, the one whose values fewest entries share, so
that a look asks some dictionaries and tries what they hold.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime

from filterd.model.decision import STRENGTH, Disposition
from filterd.model.exception import (
    DENY,
    NULL_SENDER,
    SPAM_AT,
    TOPICS,
    Address,
    Applied,
    ExceptionEntry,
    Kind,
    MailTraits,
)

# Closeness of a name: an address beats every domain, and a domain beats what stands above it (RFC 1035: 127 labels).
_ADDRESS, _DOMAIN = 1000, 999
# In the order of steps 1 to 6.
_CONDITIONS = ("recipient", "account", "sender", "from_domain", "tenant", "client")

Key = tuple[str, object]
# The drawer of those that go by a From domain and may matter before it has been seen.
_UNSEEN: Key = ("from_domain", "")
Order = tuple[tuple[int, ...], float, int, int, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Match:
    """An entry that is about a mail. `closeness`: steps 1 to 6, lower comes first. `is_certain`: False before the
    message, where it needs something only the message shows."""

    entry: ExceptionEntry
    closeness: tuple[int, ...]
    is_certain: bool = True


class _Filed:
    """An entry with its names as sets: a list may have 100,000 of them."""

    __slots__ = ("clients", "entry", "names", "prefixes")

    def __init__(self, entry: ExceptionEntry):
        self.entry = entry
        self.names = {name: frozenset(getattr(entry, name)) for name in _CONDITIONS if getattr(entry, name)}
        self.clients = frozenset((n.version, n.prefixlen, int(n.network_address)) for n in entry.client)
        # The smallest networks first.
        self.prefixes = tuple(sorted({(n.version, n.prefixlen) for n in entry.client}, reverse=True))

    def drawers(self) -> Iterator[Key]:
        for name, values in self.names.items():
            yield from (((name, key) for key in self.clients) if name == "client" else ((name, v) for v in values))

    def match(self, mail: MailTraits) -> Match | None:
        """Say how closely the entry is about a mail, None when it is not."""
        entry = self.entry
        if not (entry.is_outbound if mail.is_outbound else entry.is_inbound) or is_over(entry, mail.at):
            return None
        is_known = mail.proofs is not None
        closeness = []
        for condition in _CONDITIONS:
            if condition not in self.names:
                closeness.append(0)
            elif (found := self._closeness(condition, mail, is_known=is_known)) is None:
                return None
            else:
                closeness.append(-found)
        if is_known and not _is_proven(entry, mail):
            return None
        is_certain = is_known or not (entry.from_domain or entry.authenticated)
        return Match(entry=entry, closeness=tuple(closeness), is_certain=is_certain)

    def _closeness(self, condition: str, mail: MailTraits, *, is_known: bool) -> int | None:
        names = self.names[condition]
        match condition:
            case "recipient":
                return _closest(names, mail.recipient)
            case "sender":
                return _closest(names, mail.sender)
            case "account":
                return 1 if mail.account in names else None
            case "tenant":
                return 1 if any(name in names for name in mail.tenants) else None
            case "from_domain":
                # Before the message: perhaps it will be named as closely as can be.
                return _closest(names, f"@{mail.from_domain or ''}") if is_known else _ADDRESS
            case _:
                return self._prefix(mail)

    def _prefix(self, mail: MailTraits) -> int | None:
        if mail.client is None:
            return None
        for version, prefix in self.prefixes:
            if version == mail.client.version and _network_of(mail.client, prefix) in self.clients:
                return prefix
        return None


class ExceptionTable:
    """Entries, ready to be asked. `entries`: all of them, ended ones too; `has_outbound`: any about our own mail."""

    def __init__(self, entries: Iterable[ExceptionEntry] = ()):
        self.entries = tuple(entries)
        self.has_outbound = any(entry.is_outbound for entry in self.entries)
        filed = [_Filed(entry) for entry in self.entries]
        shared = Counter(key for one in filed for key in one.drawers())
        self._drawers: dict[Key, list[_Filed]] = {}
        # Prefix lengths that occur, by version of the protocol.
        self._prefixes: dict[int, set[int]] = {4: set(), 6: set()}
        for one in filed:
            for key in _drawers(one, shared):
                self._drawers.setdefault(key, []).append(one)
            for version, prefix in one.prefixes:
                self._prefixes[version].add(prefix)

    @property
    def tried_at_each_recipient(self) -> int:
        """Say how many entries are tried at each RCPT one after the other, whoever writes to whom."""
        return len(self._drawers.get(_UNSEEN, ()))

    def matching(self, mail: MailTraits) -> tuple[Match, ...]:
        """Say which entries are about a mail to one recipient, each once; in no order that means anything.

        Before the message (`mail.proofs` is None) also those that may turn out to be and matter then, as not certain.
        """
        if not self._drawers:
            return ()
        found: dict[int, Match] = {}
        for key in self._asked(mail):
            for one in self._drawers.get(key, ()):
                if id(one) not in found and (match := one.match(mail)) is not None:
                    found[id(one)] = match
        return tuple(found.values())

    def _asked(self, mail: MailTraits) -> Iterator[Key]:
        yield from (("recipient", name) for name in _names(mail.recipient))
        yield from (("sender", name) for name in _names(mail.sender))
        yield from (("tenant", name) for name in mail.tenants)
        if mail.account is not None:
            yield ("account", mail.account)
        if mail.proofs is None:
            yield _UNSEEN
        elif mail.from_domain is not None:
            yield from (("from_domain", name) for name in _names(f"@{mail.from_domain}"))
        if mail.client is not None:
            for prefix in self._prefixes[mail.client.version]:
                yield ("client", _network_of(mail.client, prefix))


def _drawers(one: _Filed, shared: Counter[Key]) -> list[Key]:
    """Choose the condition to file an entry under: the one whose values fewest entries have."""
    by_condition: dict[str, list[Key]] = {}
    for key in one.drawers():
        by_condition.setdefault(key[0], []).append(key)
    chosen = min(by_condition.values(), key=lambda keys: max(shared[key] for key in keys), default=[])
    if chosen and chosen[0][0] == "from_domain" and _matters_unseen(one.entry):
        return [*chosen, _UNSEEN]
    return chosen


def _matters_unseen(entry: ExceptionEntry) -> bool:
    """Say whether the entry has a say at RCPT, when nobody knows yet what the From field will be."""
    return bool(entry.recipient) or (entry.kind is Kind.ACCEPT and choice_of(entry, DENY) is not None)


def is_over(entry: ExceptionEntry, at: datetime) -> bool:
    """Say whether the entry has ended."""
    return entry.until is not None and at >= entry.until


def settle(found: Iterable[Match]) -> Mapping[str, tuple[Match, ...]]:
    """Say, for each topic that is spoken of, the entries in their order: the first is followed, the others lost."""
    matches = tuple(found)
    out = {}
    for topic in TOPICS:
        said = [match for match in matches if choice_of(match.entry, topic) is not None]
        if said:
            out[topic] = tuple(sorted(said, key=lambda match: order(match, topic)))
    return out


def order(match: Match, topic: str) -> Order:
    """Say where an entry stands among those about one topic: the lowest is followed."""
    entry = match.entry
    return (match.closeness, strictness(topic, choice_of(entry, topic) or ""), entry.rank, entry.line, entry.id)


def strictness(topic: str, choice: str) -> float:
    """Say how strict a choice is: lower is stricter."""
    if topic == SPAM_AT:
        return float(choice)
    return -STRENGTH.index(Disposition(choice))


def choice_of(entry: ExceptionEntry, topic: str) -> str | None:
    """Say what an entry chooses about a topic, None when it says nothing of it."""
    return next((choice for name, choice in entry.choices if name == topic), None)


def applied(settled: Mapping[str, tuple[Match, ...]]) -> tuple[Applied, ...]:
    """Say what was followed and what lost, topic by topic, in the order that decided it."""
    return tuple(
        Applied(
            topic=topic,
            entry_id=match.entry.id,
            file=match.entry.file,
            line=match.entry.line,
            is_followed=place == 0,
            choice=choice_of(match.entry, topic) or "",
            denial=match.entry.denial if topic == DENY else None,
        )
        for topic, matches in settled.items()
        for place, match in enumerate(matches)
    )


# --- names ------------------------------------------------------------------------------------------------------------


def _names(address: str) -> Iterator[str]:
    """Say every name a list may have for an address, the closest first."""
    if address == NULL_SENDER:
        yield NULL_SENDER
        return
    local, sign, domain = address.rpartition("@")
    if not sign:
        return
    if local:
        yield address
    yield domain
    while domain:
        yield f".{domain}"
        _, _, domain = domain.partition(".")


def _closest(names: Collection[str], address: str) -> int | None:
    """Say how closely the closest of some names is about an address, None when none is."""
    return next((_closeness_of(name) for name in _names(address) if name in names), None)


def _closeness_of(name: str) -> int:
    if name.startswith("."):
        return name.count(".")
    return _ADDRESS if "@" in name or name == NULL_SENDER else _DOMAIN


def _network_of(client: Address, prefix: int) -> tuple[int, int, int]:
    spare = client.max_prefixlen - prefix
    return (client.version, prefix, int(client) >> spare << spare)


def _is_proven(entry: ExceptionEntry, mail: MailTraits) -> bool:
    """Say whether one of the methods an entry wants vouches for each name it goes by."""
    if not entry.authenticated:
        return True
    proofs = [(method, domain) for method, domain in mail.proofs or () if method in entry.authenticated]
    if entry.sender and not any(_vouches(*proof, mail.sender.rpartition("@")[2]) for proof in proofs):
        return False
    author = mail.from_domain or ""
    return not entry.from_domain or any(
        _vouches(method, domain, author) for method, domain in proofs if method != "spf"
    )


def _vouches(method: str, proven: str, domain: str) -> bool:
    """A signature vouches for what stands below its domain, too (RFC 6376 §3.10 leaves that to us); SPF and DMARC speak
    of the very domain they were asked about."""
    return proven == domain or (method == "dkim" and domain.endswith(f".{proven}"))
