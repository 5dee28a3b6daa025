"""Whose matters a ledger function is about: what nobody else may change while it runs.  HOUSE §5.

SQLite has one writer, and nothing needs a lock. Nodes that share a database lock before a group of functions begins,
all names in one order: domains, tenants, accounts, logins. Whoever holds a later one never waits for an earlier one, so
that no two nodes can wait for each other. A function that says nothing has the whole ledger to itself: safe, and slow.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property

_DOMAIN, _TENANT, _ACCOUNT, _LOGIN, _OTHER = range(5)


@dataclass(frozen=True, kw_only=True)
class About:
    """What a function locks: everything, or names, each with its rank. Without a name it may only look."""

    is_everything: bool = False
    names: frozenset[tuple[int, str]] = frozenset()

    def covers(self, subject_id: str) -> bool:
        """Say whether rows about this account or tenant may be added."""
        return self.is_everything or not {(_ACCOUNT, subject_id), (_TENANT, subject_id)}.isdisjoint(self.names)

    @cached_property
    def subjects(self) -> tuple[str, ...]:
        """The accounts and tenants."""
        return tuple(sorted(name for rank, name in self.names if rank in (_ACCOUNT, _TENANT)))


EVERYTHING = About(is_everything=True)
# A look, or a change to what belongs to this node alone.
NOTHING = About()


def about(
    *,
    domains: Iterable[str] = (),
    tenants: Iterable[str | None] = (),
    accounts: Iterable[str | None] = (),
    logins: Iterable[str] = (),
    others: Iterable[str] = (),
) -> About:
    """Name what a function reads to decide, or changes. None is nobody."""
    ranked = (
        (_DOMAIN, domains),
        (_TENANT, tenants),
        (_ACCOUNT, accounts),
        (_LOGIN, logins),
        (_OTHER, others),
    )
    return About(names=frozenset((rank, name) for rank, names in ranked for name in names if name))
