"""What customers ask and complain of, each with a clock: questions, trouble with mail.  AL-2.1, TX-4.1.3.

A request is a task of the tenant's; whoever answers it closes the task. Its hours are the agreement's, and three
quarters of them are said to the desk. Trouble with mail that we hold runs from the hold.
"""

from __future__ import annotations

from typing import Any

from filterd.agreement.maintenance import windows
from filterd.agreement.requests import KINDS, TROUBLE, answer_of
from filterd.errors import RefusedError, UsageError
from filterd.model import records as r
from filterd.model.entry import SITE
from filterd.model.ids import random_id
from filterd.pipeline.desk import Desk, iso
from filterd.pipeline.people import Arguments, PlainVerb, find_tenant
from filterd.pipeline.quarantine import find
from filterd.pipeline.roles import permitted, refuse_unless_reached
from filterd.ports import LedgerTxn


class RequestVerbs:
    """One instance a ledger process."""

    def __init__(self, desk: Desk):
        self._desk = desk

    def table(self) -> dict[str, PlainVerb]:
        """Say every verb by name."""
        return {"request.open": self.request_open}

    def request_open(self, txn: LedgerTxn, arguments: Arguments) -> Any:
        """Take a request of a `tenant` in: its `kind`, and the `account` or the held mail (`held`) it is about."""
        actor = permitted(txn, arguments, "request.open")
        tenant = find_tenant(txn, str(arguments.get("tenant") or ""))
        terms = self._desk.rules.terms_for(tenant, txn.now)
        refuse_unless_reached(txn, actor, "request.open", tenant, enforcing_party=terms.enforcing_party)
        kind = str(arguments.get("kind") or "")
        if kind not in KINDS:
            raise RefusedError(f"kind is one of {', '.join(KINDS)}")
        if terms.lifecycle is None:
            raise RefusedError(f"{terms.id} promises no answer in time ([lifecycle])")
        account = self._desk.account(txn, str(arguments["account"])) if arguments.get("account") else None
        if account is not None and account.tenant_id != tenant.tenant_id:
            raise RefusedError(f"{account.account_id} is not of this tenant")
        held_at = None
        if item := str(arguments.get("held") or ""):
            held = find(txn, item)
            if held.tenant_id != tenant.tenant_id:
                # As of one there is not: whose it is, is not said.
                raise UsageError(f"no held mail {item}")
            if kind != TROUBLE:
                raise RefusedError("held mail is trouble with mail: --kind mail_trouble")
            held_at = held.held_at
        answer = answer_of(kind, txn.now, terms, windows(txn.history(SITE)), held_at=held_at)
        task = r.TaskOpened(
            at=txn.now,
            task_id=random_id("w", txn.now),
            incident_id="",
            account_id=account.account_id if account is not None else "",
            what=kind,
            warranted="none",
            imposed="none",
            due_at=answer.due_at,
            alert_at=answer.alert_at,
        )
        txn.append(task, account_id=None, tenant_id=tenant.tenant_id)
        return {"task_id": task.task_id, "due_at": iso(task.due_at), "alert_at": iso(task.alert_at), "by": actor.name}
