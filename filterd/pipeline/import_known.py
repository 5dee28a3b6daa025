"""The accounts as they will be when the rows of a list read so far are taken."""

from __future__ import annotations

from collections.abc import Callable

from filterd.model.principal import Account
from filterd.ports import LedgerTxn

# From here on reading every account once is quicker than looking up each.
_MANY = 200


class KnownSoFar:
    """Fulfils identity.KnownAccounts. Retired accounts are found by their external id only.

    Args:
        number: how many rows there are: a short list looks up what it names, a long one reads all there is.
    """

    def __init__(self, txn: LedgerTxn, number: int):
        self._txn = txn
        self._is_whole = number > _MANY
        self._by_login: dict[str, Account | None] = {}
        self._by_alias: dict[str, Account | None] = {}
        self._by_external: dict[str, Account | None] = {}
        if self._is_whole:
            for account in txn.accounts():
                self.put(None, account)

    def account_with_login(self, login: str) -> Account | None:
        return self._find(self._by_login, login, self._txn.account_with_login)

    def account_by_external(self, external_id: str) -> Account | None:
        return self._find(self._by_external, external_id, self._txn.account_by_external)

    def account_with_alias(self, address: str) -> Account | None:
        """Find the account that has an address as an alias."""
        return self._find(self._by_alias, address, self._stored_alias)

    def put(self, before: Account | None, after: Account) -> None:
        """Note what a row does."""
        if before is not None:
            for table, key in _keys(before, self._by_login, self._by_alias, self._by_external):
                found = table.get(key)
                if found is None or found.account_id == before.account_id:
                    table[key] = None
        for table, key in _keys(after, self._by_login, self._by_alias, self._by_external):
            table[key] = after

    def _find(
        self, table: dict[str, Account | None], key: str, ask: Callable[[str], Account | None]
    ) -> Account | None:
        if key not in table and not self._is_whole:
            table[key] = ask(key)
        return table.get(key)

    def _stored_alias(self, address: str) -> Account | None:
        ref = self._txn.find_account(address)
        account = self._txn.account(ref.account_id) if ref is not None else None
        return account if account is not None and address in account.aliases else None


_Table = dict[str, Account | None]


def _keys(account: Account, logins: _Table, aliases: _Table, externals: _Table) -> list[tuple[_Table, str]]:
    """Say by what an account is found."""
    found = [(externals, account.external_id)] if account.external_id is not None else []
    if account.retired_at is None:
        found += [(logins, account.login), *((aliases, alias) for alias in account.aliases)]
    return found
