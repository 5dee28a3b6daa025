"""What the ledger last said of each login, for the time it is away.  HOUSE §5.

Copies are thrown away when they may be old; these are kept for the case that nobody can be asked. The mail path
enforces them: who was suspended stays so, and clean mail of who was in good standing passes. Not for ever: another node
may have decided something meanwhile.
"""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable, Mapping

from filterd.model.standing import History
from filterd.ports import AccountRef

# STANDING has no number; four hours is what a classifier that is away gets, too (FAULTS §5).
TRUSTED_S = 4 * 3600.0
_AT_MOST = 100_000


class LastWords:
    """The accounts by login, and while the ledger is away the histories by account."""

    def __init__(self, trusted_s: float = TRUSTED_S):
        self._trusted_s = trusted_s
        self._accounts: OrderedDict[str, AccountRef] = OrderedDict()
        self._history_of: Callable[[str], History | None] | None = None
        self._since_s = 0.0

    def note(self, login: str, account: AccountRef) -> None:
        """Remember whose a login is."""
        self._accounts[login] = account
        self._accounts.move_to_end(login)
        if len(self._accounts) > _AT_MOST:
            self._accounts.popitem(last=False)

    def go_away(self, history_of: Callable[[str], History | None] | Mapping[str, History]) -> None:
        """Nobody can be asked from here on; `history_of` has what was known. Told twice, the first counts."""
        if self._history_of is None:
            self._history_of = history_of.get if isinstance(history_of, Mapping) else history_of
            self._since_s = time.monotonic()

    def come_back(self) -> None:
        """The ledger answers again."""
        self._history_of = None

    def of(self, login: str) -> tuple[AccountRef, History] | None:
        """Say the last word on a login; None when there was none, it is too old, or the ledger can be asked."""
        if self._history_of is None or time.monotonic() - self._since_s > self._trusted_s:
            return None
        account = self._accounts.get(login)
        history = self._history_of(account.account_id) if account is not None else None
        return None if account is None or history is None else (account, history)

    def history(self, subject_id: str) -> History | None:
        """Say the last word on a tenant, or on the site."""
        if self._history_of is None or time.monotonic() - self._since_s > self._trusted_s:
            return None
        return self._history_of(subject_id)
