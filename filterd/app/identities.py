"""What the check `sender` asks of the directory: whose an address is, and who may write from it."""

from __future__ import annotations

from filterd.checks.sender_facts import AccountOf, MaySendAs
from filterd.ports import Ledger


def account_of(ledger: Ledger) -> AccountOf:
    """Give the question whose a canonical login or alias is."""

    async def ask(login: str) -> str | None:
        account = await ledger.account_for(login, may_create=False)
        return account.account_id if account is not None else None

    return ask


def may_send_as(ledger: Ledger) -> MaySendAs:
    """Give the question whether an account may write from another mailbox's address."""

    async def ask(account_id: str, address: str) -> bool:
        return bool(await ledger.call("senders.granted", {"account_id": account_id, "address": address}))

    return ask
