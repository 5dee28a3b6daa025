"""Letting lists of locked (C1) categories run, and approving each: acts of two.  STANDING 5.5, HOUSE rule 9.

Neither act is there for whoever is alone, also not a day later. Both people must be known to be two: somebody whom an
administrator added and nobody vouched for does not count here, however long ago that was. To do less takes one person:
`register.end` of the first entry switches all lists off, of another one that list.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from filterd.agreement.adopted import DELIVER, HOLD_FOR_PERSON, locked_lists, locked_lists_are_enabled
from filterd.agreement.proposal import staffing_of
from filterd.agreement.versions import versions
from filterd.errors import RefusedError
from filterd.model import records as r
from filterd.model.entry import SITE
from filterd.model.ids import derived_id
from filterd.model.staffing import Staffing
from filterd.pipeline.adopting import SUNSET_DAYS, is_list
from filterd.pipeline.desk import Desk, iso
from filterd.pipeline.locked import is_locked
from filterd.pipeline.people import Arguments, acting
from filterd.pipeline.proposals import Act, Decided, Subject
from filterd.pipeline.register_acts import read_until, required
from filterd.pipeline.roles import deciders
from filterd.ports import LedgerTxn

Said = Mapping[str, Any]


# --- that such lists run at all ---------------------------------------------------------------------------------------


def _prepare_enabling(desk: Desk, txn: LedgerTxn, subject: Subject, arguments: Arguments) -> Said:
    _refuse_unless_two(desk, txn, acting(txn, arguments).name)
    if locked_lists_are_enabled(txn.history(SITE)):
        raise RefusedError("lists of locked categories run already")
    return {"legal_basis": required(arguments, "legal_basis")}


def _enabling_rests_on(desk: Desk, txn: LedgerTxn, subject: Subject, said: Said) -> Said:
    return {**_staffing(desk, txn), "is_enabled": int(locked_lists_are_enabled(txn.history(SITE)))}


def _enable(desk: Desk, txn: LedgerTxn, decided: Decided) -> Said:
    _refuse_unless_two(desk, txn, decided.proposal.by, decided.approved.by)
    row = r.LockedListsEnabled(
        at=txn.now,
        entry_id=derived_id("g", decided.proposal.proposal_id),
        legal_basis=decided.terms["legal_basis"],
        by=decided.proposal.by,
        approver=decided.approved.by,
    )
    txn.append(row, account_id=None, tenant_id=None)
    return {"entry_id": row.entry_id}


# --- one content of one list ------------------------------------------------------------------------------------------


def _prepare_list(desk: Desk, txn: LedgerTxn, subject: Subject, arguments: Arguments) -> Said:
    _refuse_unless_two(desk, txn, acting(txn, arguments).name)
    list_id, digest = required(arguments, "list"), required(arguments, "list_digest")
    category, entries = required(arguments, "category"), required(arguments, "entries")
    if not is_list(list_id, digest):
        raise RefusedError("a list is named by id and SHA-256 of its file: filterd terms locked propose FILE")
    if not entries.isdecimal():
        raise RefusedError("entries is how many terms and patterns the list has")
    if not any(is_locked(item, category) for head in desk.rules.terms.values() for item in versions(head)):
        raise RefusedError(f"{category!r} is no locked category of an agreement here")
    on_hit = str(arguments.get("on_hit") or DELIVER)
    if on_hit not in (DELIVER, HOLD_FOR_PERSON):
        raise RefusedError(f"on_hit is {DELIVER} or {HOLD_FOR_PERSON}")
    if _approved(txn, list_id) == digest:
        raise RefusedError(f"just this content of {list_id} is approved already")
    return {
        "list": list_id,
        "list_digest": digest,
        "category": category,
        "until": iso(read_until(txn, arguments, SUNSET_DAYS)),
        "entries": int(entries),
        "legal_basis": required(arguments, "legal_basis"),
        "scope": required(arguments, "scope"),
        "on_hit": on_hit,
    }


def _list_rests_on(desk: Desk, txn: LedgerTxn, subject: Subject, said: Said) -> Said:
    return {**_staffing(desk, txn), "approved": _approved(txn, said["list"])}


def _adopt(desk: Desk, txn: LedgerTxn, decided: Decided) -> Said:
    said = decided.terms
    _refuse_unless_two(desk, txn, decided.proposal.by, decided.approved.by)
    for row in _rows(txn, said["list"]):
        replaced = r.EntryEnded(at=txn.now, entry_id=row.entry_id, by=decided.approved.by, reason="replaced")
        txn.append(replaced, account_id=None, tenant_id=None)
    adopted = r.LockedListAdopted(
        at=txn.now,
        entry_id=derived_id("g", decided.proposal.proposal_id),
        list_id=said["list"],
        digest=said["list_digest"],
        category=said["category"],
        until=datetime.fromisoformat(said["until"]),
        by=decided.proposal.by,
        approver=decided.approved.by,
        # A proposal of an older program says nothing of it.
        on_hit=said.get("on_hit", DELIVER),
    )
    txn.append(adopted, account_id=None, tenant_id=None)
    return {"entry_id": adopted.entry_id, "runs": adopted.list_id in locked_lists(txn.history(SITE))}


def _rows(txn: LedgerTxn, list_id: str) -> tuple[r.LockedListAdopted, ...]:
    site = txn.history(SITE)
    ended = {x.entry_id for x in site.of(r.EntryEnded)}
    return tuple(x for x in site.of(r.LockedListAdopted) if x.list_id == list_id and x.entry_id not in ended)


def _approved(txn: LedgerTxn, list_id: str) -> str | None:
    rows = _rows(txn, list_id)
    return rows[-1].digest if rows else None


# --- two, and known to be two -----------------------------------------------------------------------------------------


def _staffing(desk: Desk, txn: LedgerTxn) -> Said:
    return {"is_solo": int(_is_solo(desk, txn))}


def _is_solo(desk: Desk, txn: LedgerTxn) -> bool:
    return staffing_of(desk.rules.staffing, len(deciders(txn))) is Staffing.SOLO


def _refuse_unless_two(desk: Desk, txn: LedgerTxn, *names: str) -> None:
    if _is_solo(desk, txn):
        raise RefusedError("lists of locked categories take two people, and there is one: they cannot be had (solo)")
    for name in names:
        if not is_vouched(txn, name):
            raise RefusedError(
                f"{name} was added by an administrator and nobody has vouched for them: for locked categories no"
                " waiting makes up for that (filterd person vouch, by somebody who is vouched for; or person add"
                " --as-root)"
            )


def is_vouched(txn: LedgerTxn, name: str) -> bool:
    """Say whether somebody is known to be a person of their own: not added by one administrator, or vouched for since,
    by somebody of whom the same is true."""
    site = txn.history(SITE)
    added, vouched = site.of(r.PersonAdded), site.of(r.PersonVouched)

    def known(who: str, asked: frozenset[str]) -> bool:
        row = next((x for x in reversed(added) if x.person == who), None)
        if row is None or not row.needs_second:
            return True
        by = {x.by for x in vouched if x.person == who and x.at >= row.at} - asked
        return any(known(other, asked | {who}) for other in by)

    return known(name, frozenset())


ENABLE_LOCKED = Act(
    name="locked_lists.enable",
    about="site",
    prepare=_prepare_enabling,
    rests_on=_enabling_rests_on,
    carry_out=_enable,
    can_be_alone=False,
    is_secret=True,
)
ADOPT_LOCKED = Act(
    name="locked_list.adopt",
    about="site",
    prepare=_prepare_list,
    rests_on=_list_rests_on,
    carry_out=_adopt,
    can_be_alone=False,
    is_secret=True,
)
