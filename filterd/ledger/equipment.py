"""What every transaction of a node works with."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import Connection

from filterd.ledger.heads import Heads
from filterd.ledger.histories import Apply, Histories
from filterd.ledger.seal import derived_key
from filterd.ledger.spool import Spool
from filterd.ledger.subjects import SubjectKeys
from filterd.ledger.vault import FileVault, TableVault, Vault
from filterd.model.records import Record
from filterd.ports import FollowUp, Keys, Promise

SPOOL_NAME = "spool"
VAULT_NAME = "vault"


def _nothing_follows(record: Record, account_id: str | None, tenant_id: str | None) -> Iterable[Promise]:
    return ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Equipment:
    """`writer` is the name in this node's rows; `outbox_key` seals payloads; `follow_up` says what a row promises."""

    writer: str
    keys: Keys
    outbox_key: bytes
    histories: Histories
    subjects: SubjectKeys
    heads: Heads
    spool: Spool
    vault: Vault
    follow_up: FollowUp = _nothing_follows

    def freshen(self, connection: Connection, subject_ids: Iterable[str]) -> None:
        """Forget what is warm about subjects that another node has written about since."""
        for subject_id in self.heads.look(connection, subject_ids):
            self.histories.layers.forget(subject_id)
            self.subjects.layers.forget(subject_id)

    def keep(self) -> None:
        """A function succeeded."""
        self.histories.layers.keep()
        self.subjects.layers.keep()
        self.heads.layers.keep()

    def undo(self) -> None:
        """A function failed."""
        self.histories.layers.undo()
        self.subjects.layers.undo()
        self.heads.undo()

    def cool(self) -> None:
        """Forget what is committed, from any thread: other nodes were not heard for a while."""
        self.heads.layers.cool()
        self.histories.layers.cool()
        self.subjects.layers.cool()

    def clear(self) -> None:
        """Nobody knows what is on disk."""
        self.histories.layers.clear()
        self.subjects.layers.clear()
        self.heads.clear()


def equip(
    state_dir: Path,
    node: str,
    keys: Keys,
    apply: Apply,
    warm_accounts: int,
    url: str | None = None,
    follow_up: FollowUp = _nothing_follows,
) -> Equipment:
    """Make a node's equipment. Raises OSError when its directories cannot be made.

    Args:
        url: of a database that several nodes share: then evidence stands in it, for any of them to read.
    """
    return Equipment(
        writer=f"{node}.ledger",
        keys=keys,
        outbox_key=derived_key(keys.wrap, "outbox"),
        histories=Histories(apply, warm_accounts),
        subjects=SubjectKeys(keys.wrap, warm_accounts),
        heads=Heads(f"{node}.ledger", warm_accounts),
        spool=Spool(state_dir / SPOOL_NAME, keys.spool),
        vault=FileVault(state_dir / VAULT_NAME) if url is None else TableVault(),
        follow_up=follow_up,
    )
