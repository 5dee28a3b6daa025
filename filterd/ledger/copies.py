"""Answers of the directory, kept so that clean mail waits for no commit; all forgotten when the directory changes."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable

from filterd.ports import AccountRef

_AT_MOST = 100_000


class DirectoryCopies:
    """Accounts by login, tenants by domain. That there is no such account is never remembered: it may be created.

    An account is kept no longer than its `keep_s` says: then the operator's directory may have to be asked again.
    """

    def __init__(self) -> None:
        self._accounts: dict[str, tuple[AccountRef, float | None]] = {}
        self._owners: dict[str, str | None] = {}
        self._changes = 0

    def forget(self) -> None:
        """Something changed, or nobody would tell us if it did."""
        self._changes += 1
        self._accounts.clear()
        self._owners.clear()

    async def account(self, login: str, ask: Callable[[], Awaitable[AccountRef | None]]) -> AccountRef | None:
        """Say the account of a login, asking when it is not known."""
        known, until_s = self._accounts.get(login, (None, None))
        if known is not None and (until_s is None or time.monotonic() < until_s):
            return known
        changes, asked_s = self._changes, time.monotonic()
        found = await ask()
        if found is not None and changes == self._changes:
            if len(self._accounts) >= _AT_MOST:
                self._accounts.clear()
            self._accounts[login] = (found, None if found.keep_s is None else asked_s + found.keep_s)
        return found

    async def owner(self, domain: str, ask: Callable[[], Awaitable[str | None]]) -> str | None:
        """Say the tenant of a domain, asking when it is not known."""
        if domain in self._owners:
            return self._owners[domain]
        changes = self._changes
        found = await ask()
        if changes == self._changes:
            if len(self._owners) >= _AT_MOST:
                self._owners.clear()
            self._owners[domain] = found
        return found
