"""What is there when all is over: the node ended in good order, its rows and events, its files, its outbox.

The store is opened once more, as the ledger process would, by this process: what it says is what the next start sees.
"""

from __future__ import annotations

import asyncio
import re
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import select

from filterd import app, config
from filterd.errors import FilterdError
from filterd.ledger.engine import LedgerEngine
from filterd.ledger.equipment import SPOOL_NAME, VAULT_NAME
from filterd.ledger.schema import EVIDENCE, VAULT_OBJECT
from filterd.ports import OutboxItem
from tests.chaos.site import ChaosSite, state_files
from tests.kit.node import Row

_STUMBLED = re.compile(r"Traceback|was never retrieved|never awaited|Fatal Python|coredump|MemoryError", re.IGNORECASE)


@dataclass(frozen=True, kw_only=True)
class Aftermath:
    """What the oracle judges besides the mails. `held`: as `filterd quarantine list --all`.

    `troubles` are broken promises that showed while this was gathered; `unread` is evidence a row names and nobody can
    open; `left` are files in spool and vault after a sweep that no row names.
    """

    rows: list[Row]
    stored: list[tuple[str, int, str]]
    accounts: dict[str, str]
    pending: list[OutboxItem]
    held: list[dict[str, Any]] = field(default_factory=list)
    evidence: set[str] = field(default_factory=set)
    unread: list[str] = field(default_factory=list)
    left: list[str] = field(default_factory=list)
    troubles: list[str] = field(default_factory=list)


def gather(site: ChaosSite, held: list[dict[str, Any]]) -> Aftermath:
    """End the node and look at everything. The node must be running."""
    node, troubles = site.node, []
    accounts = {row["account_id"]: row["login"] for row in node.call("account.list")}
    if (code := node.stop()) != 0:
        troubles.append(f"exit code {code}")
    troubles += [f"log: {line[:300]}" for line in node.log().splitlines() if _STUMBLED.search(line)][:5]
    stored = node.stored()
    verified = node.run("ledger", "verify")
    if verified.returncode:
        troubles.append(f"ledger verify: {verified.stdout}{verified.stderr}"[:500])
    pending, evidence, unread, left = asyncio.run(_inside(site))
    return Aftermath(
        rows=node.rows(),
        stored=stored,
        accounts=accounts,
        pending=pending,
        held=held,
        evidence=evidence,
        unread=unread,
        left=left,
        troubles=troubles,
    )


async def _inside(site: ChaosSite) -> tuple[list[OutboxItem], set[str], list[str], list[str]]:
    settings = config.load(site.node.config_file)
    keys, clock = app.prepare(settings)
    state = settings.node.state_dir
    engine = LedgerEngine.open(
        state_dir=state, node=settings.node.name, keys=keys, clock=clock, apply=app.fold, url=settings.ledger.url
    )
    try:
        pending = [item for item, _, _ in await engine.pending()]
        await engine.sweep(age_s=-1)
        rows = await engine.submit(_evidence)
        unread = []
        for transaction_id, account_id, digest, _ in rows:
            try:
                raw = await engine.read_evidence(digest, account_id)
            except FilterdError as err:
                unread.append(f"{transaction_id}: {err}")
            else:
                unread += [f"{transaction_id}: is gone"] if raw is None else []
        kept = await engine.submit(_objects) if settings.ledger.url else state_files(state / VAULT_NAME)
        left = [f"spool: {name}" for name in state_files(state / SPOOL_NAME)]
        left += [f"vault: {name}" for name in kept - {address for _, _, _, address in rows}]
        return pending, {transaction_id for transaction_id, *_ in rows}, unread, left
    finally:
        await engine.close()


def _evidence(txn: Any) -> list[tuple[str, str, str, str]]:
    columns = (EVIDENCE.c.transaction_id, EVIDENCE.c.account_id, EVIDENCE.c.digest, EVIDENCE.c.address)
    return [(row[0], row[1], row[2], row[3]) for row in txn.connection.execute(select(*columns))]


def _objects(txn: Any) -> set[str]:
    return set(txn.connection.execute(select(VAULT_OBJECT.c.address)).scalars())
