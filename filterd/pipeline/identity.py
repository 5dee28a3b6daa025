"""Whose account is it that a login leads to now?  STANDING 5.7-19, ops/decisions/0015-directory.md.

The operator's id decides, where there is one: it stays with a person's mailbox through every change of login, and a new
holder of an address has another.

    the id is known                                       that account, under whatever login (a rename)
    the id is new, the login is nobody's                  a new account
    the id is new, the login's account has no id yet      that account: until now nobody had told it apart
    the id is new, the login's account has another id     a new account; the other is retired (a reuse)
    no id                                                 the login's account, or a new one

Who gets another login at another tenant has a new mailbox: the account stays with its tenant, retired, and is taken up
again should the person return. Under the same login the mailbox is the same, whoever pays for it now.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from typing import Protocol

from filterd.model.principal import Account

REUSED = "reused"
TRANSFERRED = "transferred"


class KnownAccounts(Protocol):
    """What has to be asked; a ledger's transaction can, and so can a list that has not been taken yet."""

    def account_with_login(self, login: str) -> Account | None: ...

    def account_by_external(self, external_id: str) -> Account | None: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Leaving:
    """An account that loses its login: as it was, and as it will be."""

    before: Account
    after: Account
    because: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Person:
    """`account` None: nobody we know. It may be a retired one, to be taken up again."""

    account: Account | None
    leaving: tuple[Leaving, ...] = ()


def find_person(
    known: KnownAccounts, *, login: str, external_id: str | None, tenant_id: str | None, now: datetime
) -> Person:
    """Say whose a login is.

    Args:
        login: of the account itself, no alias.
        tenant_id: whose user it is beyond doubt; None where that is not said.
    """
    holder = known.account_with_login(login)
    if external_id is None:
        return Person(account=holder)
    account = known.account_by_external(external_id)
    leaving: list[Leaving] = []
    if account is not None and _is_elsewhere(account, login, tenant_id):
        leaving.append(retired(account, now, TRANSFERRED))
        account = known.account_by_external(former_id(external_id, tenant_id or ""))
    if account is None and holder is not None and holder.external_id is None:
        account = holder
    if holder is not None and (account is None or holder.account_id != account.account_id):
        leaving.append(retired(holder, now, REUSED))
    return Person(account=account, leaving=tuple(leaving))


def retired(account: Account, now: datetime, because: str) -> Leaving:
    """Say an account without its login. One that stays with its tenant gives up the person's id, too."""
    after = replace(account, retired_at=account.retired_at or now)
    if because == TRANSFERRED and account.external_id is not None:
        after = replace(after, external_id=former_id(account.external_id, account.tenant_id))
    return Leaving(before=account, after=after, because=because)


def former_id(external_id: str, tenant_id: str) -> str:
    """Say the id under which a tenant's account is kept while the person is elsewhere."""
    return f"{external_id} at {tenant_id}"


def _is_elsewhere(account: Account, login: str, tenant_id: str | None) -> bool:
    return tenant_id is not None and account.tenant_id != tenant_id and account.login != login
