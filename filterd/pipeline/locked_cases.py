"""Sealed cases of locked (C1) categories, and the people who read them.  STANDING 5.8, HOUSE rules 9 and 11.

Whoever may decide about accounts sees that a case waits, and nothing else of it: no account, no category. To read one
is a row of the ledger first, with who and why. Nothing follows from a case by itself: what a person thinks right is an
act of its own (`sanction impose`), and the case only notes which. One that comes to nothing is erased; unread, it is
gone after 30 days.
"""

from __future__ import annotations

import base64
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

from filterd.errors import RefusedError, UsageError
from filterd.model import records as r
from filterd.model.entry import SITE
from filterd.model.evidence import Evidence
from filterd.model.principal import Account
from filterd.pipeline.desk import Desk, iso, reason_in
from filterd.pipeline.locked import opened
from filterd.pipeline.locked_hold import RELEASE, held_of, settle
from filterd.pipeline.people import Actor, Arguments, PlainVerb
from filterd.pipeline.roles import MATRIX, permitted
from filterd.ports import LedgerTxn

OPEN, CLOSE = "locked.open", "locked.close"
NOTHING, ACTED = "nothing", "acted"
# A person who has read it needs time; and what was done about it can be contested as long as it counts, the longest
# strike 365 days, with 30 more (STANDING 5.6).
KEPT_WHILE_OPEN = timedelta(days=180)
KEPT_AFTER_ACT = timedelta(days=395)
# Of the queue, the oldest: it is read in the one thread that also answers for mail.
ROWS_AT_MOST = 200
_MAY = "x"


class LockedCaseVerbs:
    """One instance a ledger process."""

    def __init__(self, desk: Desk):
        self._desk = desk

    def table(self) -> dict[str, PlainVerb]:
        """Say every verb by name."""
        return {OPEN: self.open, CLOSE: self.close}

    def rows(self, txn: LedgerTxn, actor: Actor | None, late: int, due: int) -> list[dict[str, Any]]:
        """Say the oldest cases that wait for a person, as rows of the queue; none to whoever may not read one."""
        if actor is None or MATRIX[OPEN][actor.role] != _MAY:
            return []
        closed, read = _newest(txn, r.LockedCaseClosed), _newest(txn, r.LockedCaseOpened)
        # By account: whose cases this person may read, and within how many hours one is due.
        hours: dict[str, int | None] = {}
        rows: list[dict[str, Any]] = []
        for case in _paged(txn):
            if _about(closed, case) is not None:
                continue
            if case.account_id not in hours:
                hours[case.account_id] = self._due_hours(txn, actor, case)
            due_hours = hours[case.account_id]
            if due_hours is None:
                continue
            due_at, reader = case.stored_at + timedelta(hours=due_hours), _about(read, case)
            if held := held_of(txn, case.account_id, case.transaction_id):
                # Afterwards it is gone, and nobody has looked.
                due_at = min(due_at, held[0].due_at)
            rows.append(
                {
                    "kind": "sealed",
                    "id": case.transaction_id,
                    "subject_id": None,
                    "login": None,
                    "what": "sealed case",
                    "due_at": iso(due_at),
                    "overdue": due_at < txn.now,
                    "priority": late if due_at < txn.now else due,
                    "claimed_by": reader.by if reader is not None else None,
                }
            )
            if len(rows) == ROWS_AT_MOST:
                break
        return rows

    def open(self, txn: LedgerTxn, arguments: Arguments) -> Any:
        """Read a `case`, with a `reason`: which entries of which lists, and what is kept of the mail, in base64."""
        actor, case, account = self._acting(txn, arguments, OPEN)
        if any(x.outcome == NOTHING for x in _closed(txn, case)):
            raise RefusedError(f"{case.transaction_id} is closed and being erased")
        reason, content = reason_in(arguments), txn.read_evidence(case.transaction_id)
        if content is None:
            raise UsageError(f"of {case.transaction_id} nothing is kept any more")
        held = held_of(txn, account.account_id, case.transaction_id)
        row = r.LockedCaseOpened(at=txn.now, case_id=case.transaction_id, by=actor.name, reason=reason)
        txn.append(row, account_id=None, tenant_id=None)
        if case.retention_until < txn.now + KEPT_WHILE_OPEN:
            txn.keep_until(case.transaction_id, txn.now + KEPT_WHILE_OPEN)
        head, mail = opened(content)
        return {
            "case_id": case.transaction_id,
            "account_id": account.account_id,
            "login": account.login,
            "held": len(held),
            "held_until": iso(held[0].due_at) if held else None,
            **head,
            "mail": base64.b64encode(mail).decode("ascii"),
        }

    def close(self, txn: LedgerTxn, arguments: Arguments) -> Any:
        """Close a `case` one has read, with a `reason`: as `nothing`, or as `acted` with the id of the `decision`.

        Mail that is held for it goes on, at once; with a decision `mail` may also say `return` or `delete`.
        """
        actor, case, account = self._acting(txn, arguments, CLOSE)
        if _closed(txn, case):
            raise RefusedError(f"{case.transaction_id} is closed already")
        if not any(x.by == actor.name for x in _of(txn, r.LockedCaseOpened, case)):
            raise RefusedError(f"{actor.name} has not read it: filterd review read {case.transaction_id}")
        outcome, decision = str(arguments.get("outcome") or ""), str(arguments.get("decision") or "")
        if outcome not in (NOTHING, ACTED):
            raise RefusedError(f"outcome is {NOTHING} or {ACTED}")
        if outcome == ACTED and (not decision or txn.account_of(decision) != account.account_id):
            raise RefusedError("say the id of what a person decided about this account: --decision ID")
        wanted = str(arguments.get("mail") or RELEASE)
        mail = settle(txn, account, case.transaction_id, wanted, by=actor.name, has_decided=outcome == ACTED)
        row = r.LockedCaseClosed(
            at=txn.now,
            case_id=case.transaction_id,
            outcome=outcome,
            decision=decision if outcome == ACTED else "",
            by=actor.name,
            reason=reason_in(arguments),
            mail=mail,
        )
        txn.append(row, account_id=None, tenant_id=None)
        txn.keep_until(case.transaction_id, txn.now + (KEPT_AFTER_ACT if outcome == ACTED else timedelta()))
        return {"case_id": case.transaction_id, "outcome": outcome, "mail": mail, "by": actor.name}

    # --- pieces -------------------------------------------------------------------------------------------------------

    def _acting(self, txn: LedgerTxn, arguments: Arguments, verb: str) -> tuple[Actor, Evidence, Account]:
        actor = permitted(txn, arguments, verb)
        wanted = str(arguments.get("case") or "")
        case = txn.locked_case(wanted)
        account = txn.account(case.account_id) if case is not None else None
        if case is None or account is None:
            raise UsageError(f"no case {wanted}")
        self._desk.refuse_unless_reached(txn, actor, verb, account)
        return actor, case, account

    def _due_hours(self, txn: LedgerTxn, actor: Actor, case: Evidence) -> int | None:
        """Say within how many hours a case of this account is due, None to whoever is too near to it."""
        account = txn.account(case.account_id)
        if account is None:
            return None
        try:
            self._desk.refuse_unless_reached(txn, actor, OPEN, account)
        except RefusedError:
            return None
        return int(self._desk.terms(txn, account).incident.task_due_hours)


def _paged(txn: LedgerTxn) -> Iterator[Evidence]:
    """Say all cases, the oldest first, and read no more of them than are asked for."""
    offset = 0
    while page := txn.locked_cases(limit=ROWS_AT_MOST, offset=offset):
        yield from page
        offset += len(page)


def _newest(txn: LedgerTxn, kind: type[Any]) -> dict[str, Any]:
    """Say the newest row about each case by its id."""
    return {x.case_id: x for x in txn.history(SITE).of(kind)}


def _about(rows: dict[str, Any], case: Evidence) -> Any | None:
    """Say the row about a case; of one with the same name that was erased since, none."""
    row = rows.get(case.transaction_id)
    return row if row is not None and row.at >= case.stored_at else None


def _closed(txn: LedgerTxn, case: Evidence) -> tuple[r.LockedCaseClosed, ...]:
    return _of(txn, r.LockedCaseClosed, case)


def _of(txn: LedgerTxn, kind: type[Any], case: Evidence) -> tuple[Any, ...]:
    """Say the rows about a case; of one with the same name that was erased since, none."""
    return tuple(x for x in txn.history(SITE).of(kind) if x.case_id == case.transaction_id and x.at >= case.stored_at)
