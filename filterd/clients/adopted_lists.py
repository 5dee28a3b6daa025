"""Term lists two people have approved: the folder's where its digest is theirs, else the last approved one, kept here.

STANDING 5.5. A file is an operator's to write; what acts is the content whose digest stands in the ledger. So one
person's edit changes nothing by itself: the version that was approved last goes on, from a copy under its digest in the
state directory, and where no copy is left the list is off. A file that is gone takes its list with it: to do less takes
nobody else. What is held back is said when it begins, again when it changes, and when it is over.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import os
import secrets
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Generic

from filterd.clients.term_lists import SUNSET, L, ListFolder
from filterd.errors import ConfigError
from filterd.ports import Clock

# Where the copies lie, in the state directory.
FOLDER = "term-lists"

# Says the digest approved last by list id; None while nobody can be asked.
Adopted = Callable[[], Awaitable[Mapping[str, str] | None]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Waiting:
    """A list whose file two people have not approved. `in_force`: the digest that acts in its place; None: off."""

    id: str
    file: Path
    digest: str
    in_force: str | None


class TermCopies(Generic[L]):
    """The contents that are in force, one file each, named by SHA-256. `read`: reads one."""

    def __init__(self, folder: Path, read: Callable[[Path, datetime], L]):
        self._folder, self._read = folder, read

    def keep(self, one: L) -> None:
        """Keep a copy of an approved list, unless there is one. Raises OSError, or ConfigError for a file that has
        changed since it was read."""
        target = self._file(one.digest)
        if target.exists():
            return
        octets = one.file.read_bytes()
        if hashlib.sha256(octets).hexdigest() != one.digest:
            raise ConfigError("has changed while it was read", file=one.file)
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        beside = self._folder / f".{secrets.token_hex(8)}"
        try:
            with open(os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as out:
                out.write(octets)
                out.flush()
                os.fsync(out.fileno())
            beside.rename(target)
        except OSError:
            with contextlib.suppress(OSError):
                beside.unlink()
            raise

    def find(self, list_id: str, digest: str, clock: Clock) -> L | None:
        """Say the list kept under a digest; None where there is none, or where the file is not what its name says."""
        try:
            one = self._read(self._file(digest), clock.now())
        except ConfigError:
            return None
        return one if (one.id, one.digest) == (list_id, digest) else None

    def clear(self, clock: Clock) -> None:
        """Remove what nobody can want any more: no list acts longer than SUNSET."""
        before = (clock.now() - SUNSET).timestamp()
        for file in self._folder.glob("*.toml"):
            with contextlib.suppress(FileNotFoundError):
                if file.stat().st_mtime < before:
                    file.unlink()

    def _file(self, digest: str) -> Path:
        return self._folder / f"{digest}.toml"


class AdoptedLists(Generic[L]):
    """Implements checks.terms.TermLists, and the same for locked lists: of a folder's lists those that act.

    Args:
        on_waiting: told of what is not approved, at first and each time that has changed; runs in a thread.
        on_trouble: told when a copy cannot be kept.
    """

    def __init__(
        self,
        folder: ListFolder[L],
        copies: TermCopies[L],
        adopted: Adopted,
        clock: Clock,
        *,
        on_waiting: Callable[[tuple[Waiting, ...]], None],
        on_trouble: Callable[[Exception], None],
    ):
        self._folder, self._copies, self._adopted, self._clock = folder, copies, adopted, clock
        self._on_waiting, self._on_trouble = on_waiting, on_trouble
        self._seen: tuple[L, ...] | None = None
        self._said: Mapping[str, str] = {}
        self._lists: tuple[L, ...] = ()
        self._waiting: tuple[Waiting, ...] | None = None
        self._lock = asyncio.Lock()

    async def current(self) -> tuple[L, ...]:
        """Say the lists that act: the same tuple until something has changed.

        While nobody can be asked what is approved, those that acted last act; before that, none.
        """
        found, said = await self._folder.current(), await self._adopted()
        if said is None or (found is self._seen and said == self._said):
            return self._lists
        async with self._lock:
            if found is not self._seen or said != self._said:
                await asyncio.to_thread(self._choose, found, dict(said))
        return self._lists

    def _choose(self, found: tuple[L, ...], said: Mapping[str, str]) -> None:
        chosen, waiting = [], []
        for one in found:
            if said.get(one.id) == one.digest:
                self._keep(one)
                chosen.append(one)
                continue
            kept = self._kept(one.id, said)
            if kept is not None:
                chosen.append(kept)
            in_force = kept.digest if kept is not None else None
            waiting.append(Waiting(id=one.id, file=one.file, digest=one.digest, in_force=in_force))
        self._lists, self._seen, self._said = tuple(chosen), found, said
        if tuple(waiting) != self._waiting:
            self._waiting = tuple(waiting)
            self._on_waiting(tuple(waiting))

    def _kept(self, list_id: str, said: Mapping[str, str]) -> L | None:
        digest = said.get(list_id)
        one = self._copies.find(list_id, digest, self._clock) if digest is not None else None
        return one if one is not None and self._clock.now() < one.expires_at else None

    def _keep(self, one: L) -> None:
        try:
            self._copies.keep(one)
            self._copies.clear(self._clock)
        except (OSError, ConfigError) as err:
            # It acts all the same: two people have approved what was read.
            self._on_trouble(err)
