"""What acts only once two people have let it: contents of term lists, raised categories.  STANDING 5.5, CLAUSES §1.

A term list is its digest, a raised category one text of its agreement: any edit of either makes another one, which
nobody has approved. What is not approved is off, or advisory; nothing here ever makes anything act more.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from types import MappingProxyType
from typing import TypeVar

from filterd.agreement.terms import Agreement
from filterd.model import records as r
from filterd.model.decision import Disposition
from filterd.model.standing import History

# What becomes of mail that a locked list finds (CLAUSES §1).
DELIVER, HOLD_FOR_PERSON = "deliver", "hold_for_person"

_NO_LISTS: Mapping[str, str] = MappingProxyType({})
_NO_LOCKED: Mapping[str, r.LockedListAdopted] = MappingProxyType({})
_Row = TypeVar("_Row", r.TermListAdopted, r.LockedListAdopted)


def adopted_lists(site: History | None) -> Mapping[str, str]:
    """Say, by id of a term list, the digest (SHA-256, hex) of the content that two people approved last.

    Args:
        site: the site's own history; None: nobody can be asked, and no list is approved.
    """
    if site is None:
        return _NO_LISTS
    return {name: row.digest for name, row in _last(site, r.TermListAdopted).items()}


def locked_lists_are_enabled(site: History | None) -> bool:
    """Say whether two people have let lists of locked categories run, and nobody has ended that since."""
    if site is None:
        return False
    ended = _ended(site)
    return any(row.entry_id not in ended for row in site.of(r.LockedListsEnabled))


def locked_lists(site: History | None) -> Mapping[str, r.LockedListAdopted]:
    """Say, by id, what two people approved last of each list of a locked category; none while they are not enabled."""
    if site is None or not locked_lists_are_enabled(site):
        return _NO_LOCKED
    return _last(site, r.LockedListAdopted)


def unraised(terms: Agreement, site: History | None, at: datetime) -> tuple[str, ...]:
    """Say which categories this text raises although no two people had let it at `at`; they act as not raised."""
    wanted = [category.id for category in terms.category if category.raised]
    if not wanted:
        return ()
    ended = _ended(site) if site is not None else frozenset()
    rows = site.of(r.CategoryRaised) if site is not None else ()
    let = {
        row.category for row in rows if row.policy_digest == terms.digest and row.at <= at and row.entry_id not in ended
    }
    return tuple(name for name in wanted if name not in let)


def as_adopted(terms: Agreement, site: History | None, at: datetime) -> Agreement:
    """Say the terms with every category that nobody let be raised as it would be without the key.

    The digest stays: it names the text, and what two people say about it is a row of its own.
    """
    names = unraised(terms, site, at)
    if not names:
        return terms
    lowered = {"raised": False, "disposition": Disposition.ACCEPT}
    categories = tuple(x.model_copy(update=lowered) if x.id in names else x for x in terms.category)
    return terms.model_copy(update={"category": categories})


def _last(site: History, kind: type[_Row]) -> dict[str, _Row]:
    ended = _ended(site)
    last: dict[str, _Row] = {}
    for row in site.of(kind):
        last[row.list_id] = row
    # Whose last content was taken back is off; the one before it does not come back by itself.
    return {name: row for name, row in last.items() if row.entry_id not in ended}


def _ended(site: History) -> frozenset[str]:
    return frozenset(x.entry_id for x in site.of(r.EntryEnded))
