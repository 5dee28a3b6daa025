"""Term lists and raised categories, as acts of two people.  STANDING 5.5, CLAUSES §1 and §5.

What is approved is a content: the digest of a list's file, or of an agreement's text with the category it raises. The
ledger reads no list; whoever approves has looked at a file with that digest, and workers compare it with theirs.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from filterd.agreement.adopted import adopted_lists, unraised
from filterd.agreement.terms import Agreement
from filterd.agreement.versions import in_force, versions
from filterd.checks.terms import LABELS
from filterd.errors import RefusedError
from filterd.model import records as r
from filterd.model.entry import SITE
from filterd.model.ids import derived_id
from filterd.model.sanction import Mode
from filterd.pipeline.desk import Desk, iso
from filterd.pipeline.people import Arguments
from filterd.pipeline.proposals import Act, Decided, Subject
from filterd.pipeline.register_acts import read_until, required
from filterd.ports import LedgerTxn

# CLAUSES §5: a list is looked at again after so long.
SUNSET_DAYS = 180

_DIGEST = re.compile("[0-9a-f]{64}")
_LIST_ID = re.compile("[a-z0-9][a-z0-9-]{0,63}")

Said = Mapping[str, Any]


# --- term lists -------------------------------------------------------------------------------------------------------


def _prepare_list(desk: Desk, txn: LedgerTxn, subject: Subject, arguments: Arguments) -> Said:
    list_id, digest = required(arguments, "list"), required(arguments, "list_digest")
    label, entries = required(arguments, "label"), required(arguments, "entries")
    if not is_list(list_id, digest):
        raise RefusedError("a list is named by its id and by the SHA-256 of its file: filterd terms propose FILE")
    if not entries.isdecimal():
        raise RefusedError("entries is how many terms and patterns the list has")
    if label not in LABELS:
        raise RefusedError(f"{label!r} is no label of a term list; one of {', '.join(LABELS)}")
    if adopted_lists(txn.history(SITE)).get(list_id) == digest:
        raise RefusedError(f"just this content of {list_id} is in force already")
    return {
        "list": list_id,
        "list_digest": digest,
        "label": label,
        "until": iso(read_until(txn, arguments, SUNSET_DAYS)),
        "entries": int(entries),
        "legal_basis": required(arguments, "legal_basis"),
    }


def is_list(list_id: str, digest: str) -> bool:
    """Say whether these can be the id of a list and the SHA-256 of its file."""
    return bool(_LIST_ID.fullmatch(list_id) and _DIGEST.fullmatch(digest))


def _list_rests_on(desk: Desk, txn: LedgerTxn, subject: Subject, said: Said) -> Said:
    return {"in_force": adopted_lists(txn.history(SITE)).get(said["list"])}


def _adopt(desk: Desk, txn: LedgerTxn, decided: Decided) -> Said:
    said = decided.terms
    for entry_id in _in_force(txn, said["list"]):
        replaced = r.EntryEnded(at=txn.now, entry_id=entry_id, by=decided.approved.by, reason="replaced")
        txn.append(replaced, account_id=None, tenant_id=None)
    row = r.TermListAdopted(
        at=txn.now,
        entry_id=derived_id("g", decided.proposal.proposal_id),
        list_id=said["list"],
        digest=said["list_digest"],
        label=said["label"],
        until=datetime.fromisoformat(said["until"]),
        by=decided.proposal.by,
        approver=decided.approved.by,
        is_self_review=decided.approved.is_self_review,
    )
    txn.append(row, account_id=None, tenant_id=None)
    return {"entry_id": row.entry_id}


def _in_force(txn: LedgerTxn, list_id: str) -> tuple[str, ...]:
    site = txn.history(SITE)
    ended = {x.entry_id for x in site.of(r.EntryEnded)}
    rows = site.of(r.TermListAdopted)
    return tuple(x.entry_id for x in rows if x.list_id == list_id and x.entry_id not in ended)


# --- raised categories ------------------------------------------------------------------------------------------------


def _prepare_raise(desk: Desk, txn: LedgerTxn, subject: Subject, arguments: Arguments) -> Said:
    terms = _text(desk, txn, required(arguments, "agreement"), str(arguments.get("version") or ""))
    name = required(arguments, "category")
    category = terms.find_category(name)
    if category is None or category.mode is not Mode.C2:
        known = ", ".join(x.id for x in terms.category if x.mode is Mode.C2)
        raise RefusedError(f"{name!r} is no C2 category of {terms.id} {terms.version}; those are: {known or 'none'}")
    if not category.raised:
        raise RefusedError(
            f"{terms.id} {terms.version} does not raise {name}: write raised = true, reload, then propose"
        )
    if name not in unraised(terms, txn.history(SITE), txn.now):
        raise RefusedError(f"{name} is raised already under this text of {terms.id}")
    return {
        "agreement": terms.id,
        "version": terms.version,
        "policy_digest": terms.digest,
        "category": name,
        # What it was tried on, and what came of it: the second person reads it there.
        "rehearsal": required(arguments, "rehearsal"),
    }


def _raise_rests_on(desk: Desk, txn: LedgerTxn, subject: Subject, said: Said) -> Said:
    head = desk.rules.terms.get(said["agreement"])
    known = {x.digest for x in versions(head)} if head is not None else set()
    return {"policy_digest": said["policy_digest"] if said["policy_digest"] in known else None}


def _raise(desk: Desk, txn: LedgerTxn, decided: Decided) -> Said:
    said = decided.terms
    row = r.CategoryRaised(
        at=txn.now,
        entry_id=derived_id("g", decided.proposal.proposal_id),
        agreement=said["agreement"],
        policy_digest=said["policy_digest"],
        category=said["category"],
        by=decided.proposal.by,
        approver=decided.approved.by,
        is_self_review=decided.approved.is_self_review,
    )
    txn.append(row, account_id=None, tenant_id=None)
    return {"entry_id": row.entry_id}


def _text(desk: Desk, txn: LedgerTxn, name: str, version: str) -> Agreement:
    head = desk.rules.terms.get(name)
    if head is None:
        raise RefusedError(f"no agreement {name}")
    if not version:
        return in_force(head, txn.now)
    found = next((x for x in versions(head) if x.version == version), None)
    if found is None:
        raise RefusedError(f"{name} has no version {version}; there is {', '.join(x.version for x in versions(head))}")
    return found


ADOPT_TERMS = Act(
    name="terms.adopt",
    about="site",
    prepare=_prepare_list,
    rests_on=_list_rests_on,
    carry_out=_adopt,
)
RAISE_CATEGORY = Act(
    name="category.raise",
    about="site",
    prepare=_prepare_raise,
    rests_on=_raise_rests_on,
    carry_out=_raise,
)
