"""What every transaction of a node works with."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from filterd.ledger.histories import Apply, Histories
from filterd.ledger.seal import derived_key
from filterd.ledger.spool import Spool
from filterd.ledger.subjects import SubjectKeys
from filterd.ledger.vault import Vault
from filterd.ports import Keys

SPOOL_NAME = "spool"
VAULT_NAME = "vault"


@dataclass(frozen=True, slots=True, kw_only=True)
class Equipment:
    """`writer` is the name in this node's rows; `outbox_key` seals payloads."""

    writer: str
    keys: Keys
    outbox_key: bytes
    histories: Histories
    subjects: SubjectKeys
    spool: Spool
    vault: Vault

    def keep(self) -> None:
        """A function succeeded."""
        self.histories.layers.keep()
        self.subjects.layers.keep()

    def undo(self) -> None:
        """A function failed."""
        self.histories.layers.undo()
        self.subjects.layers.undo()

    def clear(self) -> None:
        """Nobody knows what is on disk."""
        self.histories.layers.clear()
        self.subjects.layers.clear()


def equip(state_dir: Path, node: str, keys: Keys, apply: Apply, warm_accounts: int) -> Equipment:
    """Make a node's equipment. Raises OSError when its directories cannot be made."""
    return Equipment(
        writer=f"{node}.ledger",
        keys=keys,
        outbox_key=derived_key(keys.wrap, "outbox"),
        histories=Histories(apply, warm_accounts),
        subjects=SubjectKeys(keys.wrap, warm_accounts),
        spool=Spool(state_dir / SPOOL_NAME, keys.spool),
        vault=Vault(state_dir / VAULT_NAME, keys.pseudonym),
    )
