"""The operator's term lists, made ready for matching; and the matching.

Terms are found by one automaton in the plain form of the text and in its unmasked lines (mail/normal), patterns by one
re2 set in the plain form. Linear in the text. A term that begins or ends with a letter or digit of a script that parts
its words must stand at a word's boundary there: no town is taken for what its name contains. Chinese needs none.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Generic, Protocol, TypeVar

import re2
from ahocorasick_rs import AhoCorasick

from filterd.checks.hant import HANS, HANT
from filterd.errors import ModelError
from filterd.mail.normal import Folding, known_words, unmasked

FOLDING = Folding({ord(hant): hans for hant, hans in zip(HANT, HANS, strict=True)})

# Thai and what comes behind it in Unicode: scripts that write words without blanks, or join particles to them.
_FIRST_UNPARTED = 0x0E00
# For all patterns together. With more, sets are taken that need seconds for one mail (500 times `.{0,100}x`: 3 s).
_PATTERN_MEMORY = 16 << 20
_TOO_MUCH = "term lists: the patterns together need too much memory; make them fewer, shorter or with smaller counts"
_PROBE = "\ue000probe\ue001"


class Listed(Protocol):
    """One list in force. `digest` is of its file, `expires_at` when it ends, UTC; entries count from 1."""

    @property
    def id(self) -> str: ...
    @property
    def digest(self) -> str: ...
    @property
    def expires_at(self) -> datetime: ...
    @property
    def at_least(self) -> int: ...
    @property
    def terms(self) -> tuple[str, ...]: ...
    @property
    def patterns(self) -> tuple[str, ...]: ...


L = TypeVar("L", bound=Listed)


class TermList(Listed, Protocol):
    """One list that a check finds by: with what its hit is called, and how sure it is."""

    @property
    def label(self) -> str: ...
    @property
    def confidence(self) -> float: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Hit(Generic[L]):
    """Entries of one list that a text has: `terms` and `patterns` are their numbers, ascending."""

    list: L
    terms: tuple[int, ...]
    patterns: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class _Term:
    """A spelling that is looked for: which entries it stands for (list, number), and where words must end."""

    entries: tuple[tuple[int, int], ...]
    is_bound_left: bool
    is_bound_right: bool


class _Index:
    """One automaton."""

    def __init__(self, spellings: Iterable[tuple[str, tuple[int, int]]]):
        entries: dict[str, list[tuple[int, int]]] = {}
        for spelling, entry in spellings:
            if spelling:
                entries.setdefault(spelling, []).append(entry)
        self._terms = [
            _Term(tuple(found), is_parted(spelling[0]), is_parted(spelling[-1])) for spelling, found in entries.items()
        ]
        self._automaton = AhoCorasick(list(entries)) if entries else None

    def find(self, text: str) -> Iterator[tuple[int, int]]:
        """Give the entries found, as (list, number); some more than once."""
        if self._automaton is None or not text:
            return
        for number, start, end in self._automaton.find_matches_as_indexes(text, overlapping=True):
            term = self._terms[number]
            if term.is_bound_left and start and is_parted(text[start - 1]):
                continue
            if term.is_bound_right and end < len(text) and is_parted(text[end]):
                continue
            yield from term.entries


class Book(Generic[L]):
    """All lists, compiled. `digest` names exactly these lists.

    Raises:
        ModelError: the patterns need more memory than there is for them.
    """

    def __init__(self, lists: tuple[L, ...]):
        self.lists = lists
        self.digest = hashlib.sha256("\n".join(x.digest for x in lists).encode()).hexdigest()
        terms = [
            (FOLDING.plain(term), (number, entry))
            for number, one in enumerate(lists)
            for entry, term in enumerate(one.terms, 1)
        ]
        self._index = _Index(terms)
        self._words = known_words(term for term, _ in terms)
        self._pattern_entries = [
            (number, entry) for number, one in enumerate(lists) for entry in range(1, len(one.patterns) + 1)
        ]
        self._patterns = _compiled([pattern for one in lists for pattern in one.patterns])

    def find(self, text: str, at: datetime) -> tuple[Hit[L], ...]:
        """Say which lists in force at `at` have entries in a text, in the order of the lists."""
        plain = FOLDING.plain(text)
        terms = {*self._index.find(plain), *self._index.find(unmasked(plain, self._words))}
        patterns: set[tuple[int, int]] = set()
        if self._patterns is not None:
            # None when nothing matches; number 0 is the probe.
            patterns = {self._pattern_entries[number - 1] for number in self._patterns.Match(plain) or () if number}
        hits = []
        for number, one in enumerate(self.lists):
            if at >= one.expires_at:
                continue
            found = tuple(sorted(entry for where, entry in terms if where == number))
            matched = tuple(sorted(entry for where, entry in patterns if where == number))
            if found or matched:
                hits.append(Hit(list=one, terms=found, patterns=matched))
        return tuple(hits)


class Shelf(Generic[L]):
    """Keeps the lists compiled; a change is compiled once, in a thread, while other mail waits for it."""

    def __init__(self) -> None:
        self._lists: tuple[L, ...] = ()
        self._made: Book[L] | ModelError | None = None
        self._lock = asyncio.Lock()

    async def book(self, lists: tuple[L, ...]) -> Book[L]:
        """Say the lists compiled. Raises ModelError, each time, when they cannot be."""
        async with self._lock:
            if self._made is None or self._lists is not lists:
                try:
                    self._made = await asyncio.to_thread(Book, lists)
                except ModelError as err:
                    self._made = err
                self._lists = lists
        if isinstance(self._made, ModelError):
            raise self._made
        return self._made


def named(hit: Hit[L]) -> tuple[str, ...]:
    """Say the entries of a hit by number: `t3` is the third term, `p1` the first pattern."""
    return (*(f"t{number}" for number in hit.terms), *(f"p{number}" for number in hit.patterns))


def is_parted(character: str) -> bool:
    """Say whether this is a letter or digit of a script that parts its words."""
    return character.isalnum() and ord(character) < _FIRST_UNPARTED


def _compiled(patterns: list[str]) -> Any:
    """Make the set of all patterns, whose first one is a probe; None when there are none."""
    if not patterns:
        return None
    options = re2.Options()
    options.max_mem = _PATTERN_MEMORY
    options.case_sensitive = False
    options.log_errors = False
    compiled = re2.Set.SearchSet(options)
    try:
        for pattern in (_PROBE, *patterns):
            compiled.Add(pattern)
        compiled.Compile()
    except re2.error as err:
        raise ModelError(_TOO_MUCH) from err
    # Out of memory, a set finds nothing and says nothing.
    if compiled.Match(_PROBE) != [0]:
        raise ModelError(_TOO_MUCH)
    return compiled
