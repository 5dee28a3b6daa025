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
from typing import Any

from filterd.ledger import evidence, references
from filterd.ledger.files import TEMPORARY
from filterd.ledger.spool import Spool
from filterd.ledger.txn import Txn
from filterd.ledger.vault import Vault

# The longest a mail may be on its way (MAIL-PATH deadlines are below two minutes), with room.
AGE_S = 600.0
_AT_ONCE = 500

Submit = Callable[[Callable[[Txn], Any]], Awaitable[Any]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Swept:
    """How many files were erased."""

    spooled: int
    orphaned: int
    half_written: int


async def sweep(submit: Submit, spool: Spool, vault: Vault, *, age_s: float = AGE_S) -> Swept:
    """Erase what is older than `age_s` and needed by nobody; say how much that was."""
    before = time.time() - age_s
    half_written = await asyncio.to_thread(_erase_half_written, (spool.directory, vault.directory), before)
    spooled = 0
    for names in _chunks(await asyncio.to_thread(_older, spool.directory, before)):
        needed = await submit(partial(_needed, names))
        for name in names:
            if name not in needed:
                await asyncio.to_thread(spool.discard, name)
                spooled += 1
    orphaned = 0
    for names in _chunks(await asyncio.to_thread(_older, vault.directory, before)):
        orphaned += await submit(partial(_erase_orphans, vault, names))
    return Swept(spooled=spooled, orphaned=orphaned, half_written=half_written)


def _needed(transaction_ids: list[str], txn: Txn) -> set[str]:
    return references.still_needed(txn.connection, transaction_ids)


def _erase_orphans(vault: Vault, addresses: list[str], txn: Txn) -> int:
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


def _erase_half_written(directories: tuple[Path, ...], before: float) -> int:
    count = 0
    for directory in directories:
        for path in _files(directory, before):
            if path.name.startswith(TEMPORARY):
                path.unlink(missing_ok=True)
                count += 1
    return count


def _chunks(names: list[str]) -> Iterator[list[str]]:
    for start in range(0, len(names), _AT_ONCE):
        yield names[start : start + _AT_ONCE]
