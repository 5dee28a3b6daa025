"""DNS for the checks: cached, coalesced, and bounded for each message.  Issue 7 item 1, FAULTS 11-14.

One message gets 40 questions and 5 s, counted from its first question, for all methods together. A question counts
whether the cache knew the answer or not, so that a verdict does not depend on what others asked before.
A share of both is kept for the names of DMARC policies, which are asked last: a black hole behind a stranger's SPF
record or key must not hide what the author domain's owner wants (`RESERVED_*`).
Temporary: PortError when nobody answers in time, DnsBudgetSpent when the message has asked too much.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache, partial
from typing import Any

from filterd.clients.resolver_cache import Cache
from filterd.clients.resolver_wire import PATIENCE_S, TYPES, NameServers, Reply
from filterd.errors import DnsBudgetSpent, PortError, UsageError
from filterd.ports import Asked, DnsAnswer

# FAULTS §5: at most 40 queries and 5 s a message.
BUDGET = 40
DEADLINE_S = 5.0
# Eight for a tree walk (RFC 9989 §4.10), two for the rest of a second one.
RESERVED_QUERIES = 10
RESERVED_S = 1.5
POLICY_LABEL = "_dmarc."

# A key that was withdrawn is believed for at most an hour; a name that came into being is seen after 15 minutes.
MAX_TTL_S = 3600
MAX_NEGATIVE_TTL_S = 900
# RFC 9520 §3.2: failures are kept for at least a second.
FAILURE_TTL_S = 5
MAX_ENTRIES = 20_000
MAX_CACHE_BYTES = 32_000_000
# Each is a socket; 1024 file descriptors are a common limit of a process.
MAX_IN_FLIGHT = 256
# Beside these, for the names of policies: two dozen mails with ten keys each in a black hole take all the others.
MAX_POLICIES_IN_FLIGHT = 64

Key = tuple[str, str]
Ask = Callable[[tuple[bytes, ...], str], Awaitable[Reply]]

_NO_SUCH_NAME = DnsAnswer(exists=False)


@dataclass(slots=True)
class _Flight:
    """A question on its way. `has_begun`: it has a slot, and the network was asked."""

    task: asyncio.Task[DnsAnswer]
    waiting: int = 0
    has_begun: bool = False


class DnsResolver:
    """`ports.Resolver`. Belongs to one event loop.

    Args:
        ask: asks the network; raises PortError.
        budget: questions a message may ask. deadline_s: how long all of them together may take.
        clock: monotonic seconds, for the ends of cached answers; another one in tests.
    """

    def __init__(
        self,
        ask: Ask,
        *,
        budget: int = BUDGET,
        deadline_s: float = DEADLINE_S,
        max_entries: int = MAX_ENTRIES,
        max_bytes: int = MAX_CACHE_BYTES,
        clock: Callable[[], float] = time.monotonic,
    ):
        self._ask = ask
        self._budget, self._deadline_s = budget, deadline_s
        self._cache: Cache[DnsAnswer | str] = Cache(max_entries=max_entries, max_bytes=max_bytes, clock=clock)
        self._in_flight: dict[Key, _Flight] = {}
        self._slots = asyncio.Semaphore(MAX_IN_FLIGHT)
        self._policy_slots = asyncio.Semaphore(MAX_POLICIES_IN_FLIGHT)

    def for_message(self) -> MessageLookups:
        return MessageLookups(self, budget=self._budget, deadline_s=self._deadline_s)

    def cached(self, key: Key) -> DnsAnswer | None:
        """Say what the cache knows, None when the network must be asked. Raises PortError for a failure just seen."""
        found = self._cache.get(key)
        if isinstance(found, str):
            raise PortError(found, temporary=True)
        return found

    async def answer(self, key: Key, until: float) -> DnsAnswer:
        """Ask the network, or wait with those who already do. Raises PortError, and TimeoutError at `until`."""
        flight = self._in_flight.get(key)
        if flight is None:
            # The task is nobody's own: who asked first may be gone, and the others still want the answer.
            flight = _Flight(asyncio.create_task(self._fetch(key), name=f"dns {key[1]}"))
            self._in_flight[key] = flight
            flight.task.add_done_callback(partial(self._forget, key))
        flight.waiting += 1
        try:
            async with asyncio.timeout_at(until):
                return await asyncio.shield(flight.task)
        finally:
            flight.waiting -= 1
            if not (flight.waiting or flight.has_begun or flight.task.done()):
                # Nobody wants it any more: it must not stand in the way of those who come now.
                del self._in_flight[key]
                flight.task.cancel()

    async def close(self) -> None:
        """Give up what is in flight."""
        tasks = [flight.task for flight in self._in_flight.values()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _fetch(self, key: Key) -> DnsAnswer:
        try:
            async with self._policy_slots if _is_policy(key) else self._slots:
                self._in_flight[key].has_begun = True
                reply = await self._ask(wire_labels(key[0]) or (), key[1])
        except PortError as err:
            self._cache.put(key, str(err), ttl_s=FAILURE_TTL_S)
            raise
        answer = reply.answer
        bound = MAX_TTL_S if answer.records else MAX_NEGATIVE_TTL_S
        self._cache.put(key, answer, ttl_s=min(reply.ttl_s, bound), content_bytes=_content_bytes(answer))
        return answer

    def _forget(self, key: Key, task: asyncio.Task[DnsAnswer]) -> None:
        # One that was given up may have a successor.
        if (flight := self._in_flight.get(key)) is not None and flight.task is task:
            del self._in_flight[key]
        if not task.cancelled():
            # Read, so that a failure nobody waited for is not reported as never retrieved.
            task.exception()


class MessageLookups:
    """`ports.Lookups`: the questions of one message. Made by `DnsResolver.for_message`."""

    __slots__ = ("_answers", "_budget", "_counted", "_deadline_s", "_resolver", "_until")

    def __init__(self, resolver: DnsResolver, *, budget: int, deadline_s: float):
        self._resolver = resolver
        self._budget, self._deadline_s = budget, deadline_s
        self._until: float | None = None
        self._counted: set[Key] = set()
        # Answers of this message stay, whatever their TTL: it must not see two different truths.
        self._answers: dict[Key, DnsAnswer | PortError] = {}

    async def query(self, name: str, rdtype: str) -> DnsAnswer:
        found = self.known(name, rdtype)
        return found if found is not None else await self._wait(_key(name, rdtype))

    def known(self, name: str, rdtype: str) -> DnsAnswer | None:
        """Say the answer if it takes no waiting, else None; it counts as asked. Raises what `query` raises."""
        key = _key(name, rdtype)
        found = self._answers.get(key)
        if found is None:
            try:
                found = self._first_time(key)
            except PortError as err:
                found = err
            if found is None:
                return None
            self._answers[key] = found
        if isinstance(found, PortError):
            # A fresh one each time: a kept exception would gather a traceback of everybody who asked.
            raise type(found)(str(found), temporary=True)
        return found

    def _first_time(self, key: Key) -> DnsAnswer | None:
        if wire_labels(key[0]) is None:
            return _NO_SUCH_NAME
        budget = self._budget - (0 if _is_policy(key) else min(RESERVED_QUERIES, self._budget // 4))
        # Two checks that ask the same at the same time have asked once.
        if key not in self._counted and len(self._counted) >= budget:
            raise DnsBudgetSpent("DNS: the message has asked too much", temporary=True)
        self._counted.add(key)
        return self._resolver.cached(key)

    async def _wait(self, key: Key) -> DnsAnswer:
        now = asyncio.get_running_loop().time()
        if self._until is None:
            self._until = now + self._deadline_s
        until = self._until - (0 if _is_policy(key) else min(RESERVED_S, self._deadline_s * 0.3))
        found: DnsAnswer | PortError = PortError("DNS: the message has waited too long", temporary=True)
        try:
            if now < until:
                found = await self._resolver.answer(key, until)
        except TimeoutError:
            pass
        except PortError as err:
            found = PortError(str(err), temporary=True)
        self._answers[key] = found
        if isinstance(found, PortError):
            raise found
        return found

    @property
    def asked(self) -> tuple[Asked, ...]:
        return tuple((name, rdtype, published(found)) for (name, rdtype), found in self._answers.items())


def make_resolver(
    nameservers: Sequence[str] | None = None,
    *,
    patience_s: float = PATIENCE_S,
    budget: int = BUDGET,
    deadline_s: float = DEADLINE_S,
    max_entries: int = MAX_ENTRIES,
    max_bytes: int = MAX_CACHE_BYTES,
) -> DnsResolver:
    """Make the resolver of a process.

    Args:
        nameservers: each `host`, `host:port` or `[host]:port`, numeric; None: those of /etc/resolv.conf.
        patience_s: how long one try at one server waits.

    Raises:
        ConfigError: an address that is none, or no server at all.
    """
    servers = NameServers(nameservers, patience_s=patience_s)
    return DnsResolver(servers.ask, budget=budget, deadline_s=deadline_s, max_entries=max_entries, max_bytes=max_bytes)


def _key(name: str, rdtype: str) -> Key:
    if rdtype not in TYPES:
        raise UsageError(f"DNS type {rdtype} is not one of {', '.join(TYPES)}")
    return name.lower().removesuffix("."), rdtype


def _is_policy(key: Key) -> bool:
    return key[0].startswith(POLICY_LABEL)


def wire_labels(name: str) -> tuple[bytes, ...] | None:
    """Give the labels of a name, or None for what cannot be a name in DNS, and therefore does not exist.

    That is: an empty label, one over 63 octets, more than 255 octets in all (RFC 1035 §2.3.4), control characters, and
    anything but ASCII (names are given as A-labels).
    """
    return _labels(name) if len(name) <= 253 else None


@lru_cache(maxsize=MAX_ENTRIES)
def _labels(name: str) -> tuple[bytes, ...] | None:
    if not name.isascii() or not name.isprintable():
        return None
    labels = tuple(name.encode("ascii").split(b"."))
    return labels if all(0 < len(label) <= 63 for label in labels) else None


def published(found: DnsAnswer | PortError) -> str | tuple[str, ...]:
    """Say an answer as text: each record whole (`ports.Lookups.asked`), or the word for why there are none."""
    if isinstance(found, PortError):
        return str(found).removeprefix("DNS: ")
    if not found.records:
        return "nodata" if found.exists else "nxdomain"
    return tuple(_shown(record) for record in found.records)


def _shown(record: Any) -> str:
    if isinstance(record, str):
        return record
    if record and isinstance(record[0], int):
        return f"{record[0]} {record[1]}"
    return b"".join(record).decode("latin-1").encode("unicode_escape").decode("ascii")


def _content_bytes(answer: DnsAnswer) -> int:
    """Roughly what the records take in memory: 100 a record beside its octets."""
    return sum(100 + _octets(record) for record in answer.records)


def _octets(record: Any) -> int:
    return len(record) if isinstance(record, str) else sum(40 + len(p) for p in record if not isinstance(p, int))
