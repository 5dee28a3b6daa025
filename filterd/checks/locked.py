"""Does this mail use words of an operator's lists of locked (C1) categories?  CLAUSES §1, STANDING 5.8, HOUSE rule 9.

This is no check. It is not among CHECKS, has no finding codes and makes no Verdict, so nothing of it can be in an
Assessment: no rule, no decision, no event and no metric can see it. What it says is LockedHits, which pipeline/locked
seals. It reads the same places of a mail as `terms`, in the same normal form.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from filterd.checks.terms import IN_PLACE_MAX_CHARS, size
from filterd.checks.terms_book import Book, Listed, Shelf, named
from filterd.checks.terms_places import words
from filterd.model.message import Message


class LockedList(Listed, Protocol):
    """One list in force: of a category that only people judge."""

    @property
    def category(self) -> str: ...
    @property
    def on_hit(self) -> str: ...


class LockedLists(Protocol):
    """Where the lists come from. Says the same tuple again until something has changed."""

    async def current(self) -> tuple[LockedList, ...]: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class LockedHit:
    """One list that has enough entries in a mail. `entries` names them by number, never a term; `on_hit`: what the list
    wants of such mail."""

    list_id: str
    digest: str
    category: str
    entries: tuple[str, ...]
    on_hit: str = "deliver"


class LockedReader:
    """Keeps the lists compiled and reads mail by them."""

    def __init__(self, lists: LockedLists):
        self._lists = lists
        self._shelf: Shelf[LockedList] = Shelf()

    async def wants(self, on_hit: str, is_locked: Callable[[str], bool]) -> bool:
        """Say whether a list in force of a locked category wants this of mail that it finds."""
        return any(one.on_hit == on_hit and is_locked(one.category) for one in await self._lists.current())

    async def read(self, message: Message, at: datetime, is_locked: Callable[[str], bool]) -> tuple[LockedHit, ...]:
        """Say which lists the mail has enough entries of. Raises ModelError where the lists cannot be compiled.

        Args:
            is_locked: whether a category is a locked one of the agreement that holds for this mail; others do not run.
        """
        current = await self._lists.current()
        if not any(is_locked(one.category) for one in current):
            return ()
        book = await self._shelf.book(current)
        if size(message) > IN_PLACE_MAX_CHARS:
            return await asyncio.to_thread(hits, message, book, at, is_locked)
        return hits(message, book, at, is_locked)


def hits(
    message: Message, book: Book[LockedList], at: datetime, is_locked: Callable[[str], bool]
) -> tuple[LockedHit, ...]:
    """Say which lists in force at `at` the mail has enough entries of."""
    found = []
    for hit in book.find(words(message), at):
        entries = named(hit)
        if len(entries) >= hit.list.at_least and is_locked(hit.list.category):
            one = hit.list
            found.append(
                LockedHit(
                    list_id=one.id, digest=one.digest, category=one.category, entries=entries, on_hit=one.on_hit
                )
            )
    return tuple(found)
