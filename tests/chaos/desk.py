"""The person who decides on held mail while the campaign goes on: every other item goes on, the others go back."""

from __future__ import annotations

import threading
import time
from typing import Any

from filterd.errors import PortError, UsageError
from filterd.model.held import HeldState
from tests.kit.node import Node
from tests.kit.waiting import PATIENCE_S

_PAUSE_S = 0.3


class Desk:
    """One moderator, as a thread. Use `open` once the node stands, and `close` when nobody dies any more."""

    def __init__(self, node: Node):
        self._node = node
        self._token = ""
        self._number = 0
        self._is_over = threading.Event()
        self._thread = threading.Thread(target=self._work, daemon=True)
        self.trouble: list[str] = []

    def open(self) -> None:
        self._token = self._node.cli("person", "add", "dana", "--role", "moderator", "--json")["token"]
        self._thread.start()

    def close(self) -> list[dict[str, Any]]:
        """Decide on what is left; says all items there ever were."""
        self._is_over.set()
        self._thread.join(PATIENCE_S)
        self._decide()
        items: list[dict[str, Any]] = self._node.call("quarantine.list", all=True)
        return items

    def _work(self) -> None:
        while not self._is_over.is_set():
            try:
                self._decide()
            except PortError:
                # The ledger has died; it is there again soon.
                pass
            except Exception as err:
                self.trouble.append(f"desk: {type(err).__name__}: {err}")
                return
            time.sleep(_PAUSE_S)

    def _decide(self) -> None:
        for row in self._node.call("quarantine.list", all=False):
            if row["state"] != HeldState.HELD:
                continue
            self._number += 1
            verb = "quarantine.release" if self._number % 2 else "quarantine.return"
            try:
                self._node.call(verb, item=row["item_id"], reason="looked at it", token=self._token)
            except UsageError:
                # Decided by the call before, whose answer died with the ledger.
                if self._state(row["item_id"]) == HeldState.HELD:
                    raise

    def _state(self, item_id: str) -> str:
        rows = self._node.call("quarantine.list", all=True)
        return next(str(row["state"]) for row in rows if row["item_id"] == item_id)
