"""An engine with its server, verbs small enough to read, and as many clients as a test wants."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

from filterd.errors import PortError, RefusedError, UsageError
from filterd.ledger.link import Verb
from filterd.ledger.local import LocalLedger
from filterd.ledger.remote import RemoteLedger
from filterd.ledger.server import LinkServer
from filterd.model.decision import Case, Decision, Disposition, MailFacts
from filterd.model.principal import NOBODY, Account
from filterd.model.session import Direction
from filterd.model.verdict import Assessment
from filterd.ports import LedgerTxn
from tests.kit.waiting import PATIENCE_S, must
from tests.ledger.rig import AT, act, open_engine

CASE = Case(
    transaction_id="t_1",
    at=AT,
    direction=Direction.OUTBOUND,
    principal=NOBODY,
    evidence_key="e",
    delivery_keys=("k",),
    text_fp="f",
    facts=MailFacts(recipients=1, external_recipients=1, has_attachments=False, has_links=True),
    assessment=Assessment(verdicts=()),
    policy_digest="a_1",
)


def account_for(txn: LedgerTxn, arguments: dict[str, Any]) -> Any:
    found = txn.find_account(arguments["login"])
    if found is None and arguments["may_create"]:
        txn.put_account(Account(account_id="a_new", tenant_id="n_1", login=arguments["login"]))
        found = txn.find_account(arguments["login"])
    return found


def decide(txn: LedgerTxn, case: Case) -> Decision:
    act(txn, case.policy_digest, case.transaction_id)
    records = txn.records(case.policy_digest)[-3:]
    return Decision(
        decision_id="d", transaction_id=case.transaction_id, disposition=Disposition.REJECT, records=records
    )


def explode(txn: LedgerTxn, arguments: dict[str, Any]) -> Any:
    raise {"refused": RefusedError, "usage": UsageError, "port": PortError, "bug": ZeroDivisionError}[arguments["how"]](
        "because of \udcff"
    )


def people(txn: LedgerTxn, arguments: dict[str, Any]) -> Any:
    return {"person": txn.person(arguments["token"]), "history": txn.history("a_1")}


objections: list[tuple[str, str]] = []


def object_by_mail(txn: LedgerTxn, arguments: dict[str, Any]) -> None:
    objections.append((arguments["account_id"], arguments["transaction_id"]))


VERBS = {
    "account_for": Verb(request=None, response=None, run=account_for),
    "decide": Verb(request=Case, response=Decision, run=decide),
    "explode": Verb(request=None, response=None, run=explode),
    "people": Verb(request=None, response=None, run=people),
    "object_by_mail": Verb(request=None, response=None, run=object_by_mail),
}


class House:
    """An engine with its server and as many clients as a test wants."""

    def __init__(self, state_dir: Path):
        self.state_dir = state_dir
        self.socket = state_dir / "ledger.sock"
        self.remotes: list[RemoteLedger] = []
        # The verb `linger` has begun, and waits until it may end.
        self.begun, self.go = threading.Event(), threading.Event()

    async def open(self) -> None:
        self.engine = open_engine(self.state_dir)
        self.local = LocalLedger(self.engine, VERBS | {"linger": Verb(request=None, response=None, run=self._linger)})
        self.server = LinkServer(self.local, self.socket)
        await self.server.start()

    async def close(self) -> None:
        self.go.set()
        await self.server.close()
        await self.engine.close()

    async def client(self, **options: Any) -> RemoteLedger:
        remote = RemoteLedger(self.socket, **{"deadline_s": PATIENCE_S, **options})
        self.remotes.append(remote)
        await remote.start(wait_s=PATIENCE_S)
        return remote

    def _linger(self, txn: LedgerTxn, arguments: dict[str, Any]) -> None:
        self.begun.set()
        must(self.go)


def fields(case: Case) -> dict[str, Any]:
    return {name: getattr(case, name) for name in Case.__slots__}
