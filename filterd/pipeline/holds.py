"""Finding a hold that people mean, saying how an account is protected, and the tasks of a hold.  STANDING 5.7-14."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from filterd.agreement.terms import Agreement
from filterd.errors import RefusedError, UsageError
from filterd.model import records as r
from filterd.model.ids import derived_id
from filterd.model.principal import Account
from filterd.model.security import WATCHED
from filterd.model.standing import History
from filterd.pipeline.desk import Desk, iso
from filterd.ports import LedgerTxn


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """A hold a person means, or the watch after it (`because` "watch"), as it is now."""

    account: Account
    terms: Agreement
    history: History
    hold: r.HoldPlaced

    @property
    def placed(self) -> r.HoldPlaced:
        """The hold as it was placed; of a watch, the watch itself."""
        if self.hold.because == WATCHED:
            return self.hold
        return next(h for h, _ in self.history.holds if h.hold_id == self.hold.hold_id)


def find_hold(desk: Desk, txn: LedgerTxn, text: str) -> Held:
    """Find what is in force by a hold's or incident's id, or the gravest an account has by its login or id."""
    account = desk.find_account(txn, text)
    if account is None:
        account_id = txn.account_of(text)
        account = txn.account(account_id) if account_id is not None else None
    if account is None:
        raise UsageError(f"no hold {text}")
    in_force = desk.standing(txn, account).security.holds
    named = [h for h in in_force if text in (h.hold_id, h.incident_id)]
    if not named and text.startswith("h_"):
        raise RefusedError("this hold is over")
    found = named or sorted(in_force, key=lambda h: (h.because == WATCHED, not h.indicators))
    if not found:
        raise RefusedError(f"nothing locks {account.login}")
    return Held(
        account=account, terms=desk.terms(txn, account), history=txn.history(account.account_id), hold=found[0]
    )


def protection_row(desk: Desk, txn: LedgerTxn, account: Account) -> dict[str, Any]:
    """Say how an account stands, and what protects it."""
    standing = desk.standing(txn, account)
    state = standing.security
    return desk.result(txn, account) | {
        "security": state.kind.value,
        "because": state.reason or None,
        "locked": [str(f) for f in state.scope],
        "since": iso(state.since),
        "locked_until": iso(state.until),
        "trickle": state.is_trickle,
        "holds": [
            {
                "hold_id": h.hold_id,
                "incident_id": h.incident_id or None,
                "because": h.because,
                "indicators": list(h.indicators),
                "features": [str(f) for f in h.features],
                "starts_at": iso(h.starts_at),
                "ends_at": iso(h.ends_at),
                "by": h.by,
            }
            for h in state.holds
        ],
    }


def open_task(
    desk: Desk, txn: LedgerTxn, account: Account, hold: r.HoldPlaced, name: str, what: str, terms: Agreement
) -> bool:
    """Ask a person, once a hold and `name`; say whether it is asked now."""
    task_id = derived_id("w", hold.hold_id, name)
    if any(isinstance(x, r.TaskOpened) and x.task_id == task_id for x in txn.records(account.account_id)):
        return False
    task = r.TaskOpened(
        at=txn.now,
        task_id=task_id,
        incident_id="",
        account_id=account.account_id,
        what=what,
        warranted="none",
        imposed="hold",
        due_at=txn.now + timedelta(hours=terms.incident.task_due_hours),
    )
    desk.append(txn, account, task)
    return True


def close_task(desk: Desk, txn: LedgerTxn, account: Account, hold: r.HoldPlaced, person: str, reason: str) -> None:
    """The task that came with the hold is done: somebody has looked after the account."""
    records = txn.records(account.account_id)
    closed = {x.task_id for x in records if isinstance(x, r.TaskClosed)}
    wanted = derived_id("w", hold.hold_id, "attest")
    if any(isinstance(x, r.TaskOpened) and x.task_id == wanted for x in records) and wanted not in closed:
        done = r.TaskClosed(at=txn.now, task_id=wanted, by=person, outcome="done", reason=reason)
        desk.append(txn, account, done)
