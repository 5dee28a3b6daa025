"""Erases what nothing refers to: spooled mail nobody promoted, vault files without a row, half-written files.

Ages are those of the files by the system's clock, whatever clock the ledger runs on. Nothing younger than `age_s` is
touched, so that a transaction on its way keeps its spool. A vault file is checked and removed on the writer thread,
between two functions, so that none can promote onto it in between.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Protocol

from filterd.ledger import evidence, references
from filterd.ledger.files import TEMPORARY
from filterd.ledger.spool import Spool
from filterd.ledger.txn import Txn
from filterd.ledger.vault import FileVault, Vault
from filterd.model.about import EVERYTHING, About
from filterd.model.records import ViolationRecorded

# The longest a mail may be on its way (MAIL-PATH deadlines are below two minutes), with room.
AGE_S = 600.0
_AT_ONCE = 500
_OBJECTS_AT_ONCE = 100


class Submit(Protocol):
    def __call__(self, function: Callable[[Txn], Any], about: About = ..., /) -> Awaitable[Any]: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Swept:
    """How many files were erased."""

    spooled: int
    orphaned: int
    half_written: int


NOTHING_SWEPT = Swept(spooled=0, orphaned=0, half_written=0)


async def sweep(submit: Submit, spool: Spool, vault: Vault, *, age_s: float = AGE_S) -> Swept:
    """Erase what is older than `age_s` and needed by nobody; say how much that was. Looks at every object there is."""
    swept = await sweep_spool(submit, spool, age_s=age_s)
    before = time.time() - age_s
    half_written = 0
    if vault.directory is not None:
        half_written = await asyncio.to_thread(_erase_half_written, vault.directory, before)
    orphaned = await _sweep_vault(submit, vault, before)
    return Swept(spooled=swept.spooled, orphaned=orphaned, half_written=swept.half_written + half_written)


async def sweep_spool(submit: Submit, spool: Spool, *, age_s: float = AGE_S) -> Swept:
    """The same for the spool alone, where little lies: quick enough for every minute."""
    before = time.time() - age_s
    half_written = await asyncio.to_thread(_erase_half_written, spool.directory, before)
    spooled = 0
    for names in _chunks(await asyncio.to_thread(_older, spool.directory, before)):
        needed = await submit(partial(_needed, names))
        for name in names:
            if name not in needed:
                await asyncio.to_thread(spool.discard, name)
                spooled += 1
    return Swept(spooled=spooled, orphaned=0, half_written=half_written)


def _needed(transaction_ids: list[str], txn: Txn) -> set[str]:
    """Say which copies are the only trace of a mail that an entry speaks of.

    Not those of a decision that said what it keeps: the rest of that mail is not to be kept, or its time was over.
    """
    named = references.still_needed(txn.connection, transaction_ids)
    return {name for name in named if not _is_settled(txn, name)}


def _is_settled(txn: Txn, transaction_id: str) -> bool:
    account_id = references.owner(txn.connection, transaction_id)
    return account_id is not None and any(
        isinstance(record, ViolationRecorded)
        and record.transaction_id == transaction_id
        and (record.evidence_digest is not None or record.evidence_kept is not None)
        for record in txn.records(account_id)
    )


async def _sweep_vault(submit: Submit, vault: Vault, before: float) -> int:
    if isinstance(vault, FileVault):
        orphaned = 0
        for names in _chunks(await asyncio.to_thread(_older, vault.directory, before)):
            orphaned += await submit(partial(_erase_orphans, vault, names))
        return orphaned
    if not await submit(lambda txn: evidence.has_orphans(txn.connection)):
        return 0
    # Alone: a node that keeps the same mail once more, just now, would lose it. Some at a time: everybody waits.
    erased = 0
    while some := await submit(lambda txn: evidence.erase_orphans(txn.connection, _OBJECTS_AT_ONCE), EVERYTHING):
        erased += some
    return erased


def _erase_orphans(vault: FileVault, addresses: list[str], txn: Txn) -> int:
    known = evidence.known_addresses(txn.connection, addresses)
    gone = [address for address in addresses if address not in known]
    for address in gone:
        vault.file_of(address).unlink(missing_ok=True)
    return len(gone)


def _files(directory: Path, before: float) -> Iterator[Path]:
    for parent, _, names in os.walk(directory):
        for name in names:
            path = Path(parent, name)
            try:
                if path.lstat().st_mtime < before:
                    yield path
            except FileNotFoundError:
                continue


def _older(directory: Path, before: float) -> list[str]:
    return [path.name for path in _files(directory, before) if not path.name.startswith(TEMPORARY)]


def _erase_half_written(directory: Path, before: float) -> int:
    count = 0
    for path in _files(directory, before):
        if path.name.startswith(TEMPORARY):
            path.unlink(missing_ok=True)
            count += 1
    return count


def _chunks(names: list[str]) -> Iterator[list[str]]:
    for start in range(0, len(names), _AT_ONCE):
        yield names[start : start + _AT_ONCE]
