"""A directory of the operator's that tests write themselves, and a desk that asks it before a real ledger."""

from __future__ import annotations

import asyncio
from dataclasses import fields
from typing import Any

from filterd.errors import PortError
from filterd.ledger.engine import LedgerEngine
from filterd.model.directory import DirectoryFacts
from filterd.pipeline.lookups import DirectoryLookups, LookupRules
from filterd.ports import AccountRef, Clock
from tests.cli.rig import desk_rules


def facts(**said: Any) -> DirectoryFacts:
    """Facts of a source that has what is said here and nothing else."""
    assert set(said) <= {f.name for f in fields(DirectoryFacts)}
    return DirectoryFacts(source="book", says=frozenset(said), **said)


class Book:
    """Implements ports.DirectorySource. `people`: what it says of each login; `error`: raised instead of an answer."""

    name = "book"

    def __init__(self) -> None:
        self.people: dict[str, DirectoryFacts] = {}
        self.error: PortError | None = None
        self.asked: list[str] = []
        self.gate: asyncio.Event | None = None

    async def look_up(self, login: str) -> DirectoryFacts | None:
        self.asked.append(login)
        if self.gate is not None:
            await self.gate.wait()
        if self.error is not None:
            raise self.error
        return self.people.get(login)

    async def ping(self) -> str:
        return "book"

    async def close(self) -> None:
        pass


class Directory:
    """Look-ups before a real ledger."""

    def __init__(self, engine: LedgerEngine, clock: Clock, **rules: Any):
        self.engine, self.book = engine, Book()
        self.lookups = DirectoryLookups((self.book,), engine.submit, desk_rules(), clock, LookupRules(**rules))

    async def ask(self, login: str, *, may_create: bool = True) -> AccountRef | None:
        return await self.lookups.account_for({"login": login, "may_create": may_create})

    async def id_of(self, login: str) -> str:
        found = await self.ask(login)
        assert found is not None
        return found.account_id

    def kinds(self) -> list[str]:
        rows = self.engine.run(lambda txn: txn.recent_entries(1000))
        return [row.entry.kind for row in reversed(rows)]

    def last(self) -> Any:
        return self.engine.run(lambda txn: txn.recent_entries(1))[0]
