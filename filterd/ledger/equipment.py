"""What every transaction of a node works with."""

from __future__ import annotations

from dataclasses import dataclass

from filterd.ledger.histories import Histories
from filterd.ledger.spool import Spool
from filterd.ledger.subjects import SubjectKeys
from filterd.ledger.vault import Vault
from filterd.ports import Keys


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
