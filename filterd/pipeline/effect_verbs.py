"""What people do about mail in the MTA's queue: let it go, take it out, look what was done.  STANDING 5.7-20."""

from __future__ import annotations

from typing import Any

from filterd.errors import RefusedError, UsageError
from filterd.model import records as r
from filterd.pipeline.desk import Desk, reason_in
from filterd.pipeline.effects import DELETE, asked_by, held_of
from filterd.pipeline.people import Arguments, PlainVerb
from filterd.pipeline.protecting import MTA_QUEUE, RELEASE
from filterd.pipeline.roles import permitted, reaches
from filterd.ports import LedgerTxn


class EffectVerbs:
    """What people do about the queue. One instance a ledger process."""

    def __init__(self, desk: Desk):
        self._desk = desk

    def table(self) -> dict[str, PlainVerb]:
        """Say every verb by name."""
        return {"effect.queue": self.queue, "effect.list": self.list}

    def queue(self, txn: LedgerTxn, arguments: Arguments) -> Any:
        """Let what is held of an account's mail go on (`release`), or take it out of the queue (`delete`)."""
        actor = permitted(txn, arguments, "effect.queue")
        person, account = actor.name, self._desk.account(txn, arguments["account"])
        self._desk.refuse_unless_reached(txn, actor, "effect.queue", account)
        reason_in(arguments)
        act = arguments["act"]
        if act not in (RELEASE, DELETE):
            raise RefusedError(f"{act!r} is neither {RELEASE} nor {DELETE}")
        if MTA_QUEUE not in self._desk.rules.effectors:
            raise RefusedError("no effector configured: [effectors.mta_queue]")
        held = held_of(txn.records(account.account_id))
        if not held:
            raise RefusedError(f"nothing of {account.login} is held in the queue")
        work = asked_by(person, act, account)
        txn.post(work.topic, work.payload, due_at=txn.now)
        return {"account_id": account.account_id, "act": act, "held": len(held)}

    def list(self, txn: LedgerTxn, arguments: Arguments) -> Any:
        """Say what effectors did for an account, the newest last."""
        account = self._desk.account(txn, arguments["account"])
        if arguments.get("token"):
            actor = permitted(txn, arguments, "look")
            if not reaches(txn, actor, txn.tenant(account.tenant_id)):
                raise UsageError(f"no account {arguments['account']}")
        rows = [x for x in txn.records(account.account_id) if isinstance(x, r.EffectReported)]
        return [
            {"at": x.at.isoformat(), "effector": x.effector, "act": x.act, "outcome": x.outcome, "count": x.count}
            | {"owner_id": x.owner_id, "detail": x.detail, "by": x.by}
            for x in rows
        ]
