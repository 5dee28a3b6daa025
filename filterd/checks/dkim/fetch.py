"""The fetching half, also for ARC: the key records of some signatures, asked for all at once.

A temporary failure is an answer of its own (FAULTS F8): "we could not ask" never becomes "there is no key".
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from filterd.checks.dkim.fate import Fate
from filterd.errors import DnsBudgetSpent, PortError
from filterd.ports import Lookups

# RFC 6376 §6.1.2 leaves it to us how many of several records to try. Two kinds of key under one name make two.
MAX_RECORDS = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyAnswer:
    """The TXT records under a name, each in one piece, or the fate of whoever needs them."""

    records: tuple[bytes, ...] = ()
    fate: Fate | None = None


Keys = Mapping[str, KeyAnswer]


async def fetch(dns: Lookups, names: Iterable[str]) -> Keys:
    """Ask for the keys under these names. Raises nothing that DNS can cause."""
    wanted = tuple(dict.fromkeys(names))
    if len(wanted) == 1:
        # A task costs more than an answer from the cache.
        return {wanted[0]: await _ask(dns, wanted[0])}
    answers = await asyncio.gather(*(_ask(dns, name) for name in wanted))
    return dict(zip(wanted, answers, strict=True))


async def _ask(dns: Lookups, name: str) -> KeyAnswer:
    try:
        answer = await dns.query(name, "TXT")
    except DnsBudgetSpent:
        return KeyAnswer(fate=Fate.DNS_BUDGET)
    except PortError as err:
        return KeyAnswer(fate=Fate.DNS if err.temporary else Fate.NO_KEY)
    records = tuple(b"".join(strings) for strings in answer.records[:MAX_RECORDS])
    return KeyAnswer(records=records, fate=None if records else Fate.NO_KEY)
