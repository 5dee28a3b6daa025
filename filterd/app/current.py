"""What is in force now, for those that were made once and stay: each is swapped by one assignment.

Whoever asked before the swap is answered by what was in force then, to the end: a mail under way, a function in the
ledger's queue that has begun, a notice being written.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any

from filterd.ledger.link import Verb
from filterd.model.reply import Reply
from filterd.model.session import Path, Session
from filterd.pipeline.gate import MailGate
from filterd.pipeline.notice_mail import Delayed, Facts, Letter, NoticeDesk
from filterd.pipeline.notice_requests import Request
from filterd.pipeline.notices import Audience, RenderedNotice
from filterd.ports import AccountState, Answer, Intake, LedgerTxn


class CurrentGate:
    """Implements ports.Gate and ports.AccountStates: the gate that is in force when a mail comes."""

    def __init__(self, gate: MailGate):
        self.gate = gate

    async def admit_sender(self, session: Session, reverse_path: Path | None) -> Reply | None:
        return await self.gate.admit_sender(session, reverse_path)

    async def admit(
        self, session: Session, reverse_path: Path | None, forward: Path, accepted: int = 0
    ) -> Reply | None:
        return await self.gate.admit(session, reverse_path, forward, accepted)

    async def screen(self, session: Session, reverse_path: Path | None, forward: Path) -> Reply | None:
        return await self.gate.screen(session, reverse_path, forward)

    async def account_state(self, login: str) -> AccountState | None:
        return await self.gate.account_state(login)

    async def enforce(self, intake: Intake) -> Answer:
        return await self.gate.enforce(intake)

    async def delivered(self, transaction_id: str, reply: Reply, refused_recipients: int) -> None:
        await self.gate.delivered(transaction_id, reply, refused_recipients)

    async def failed(self, transaction_id: str, reason: str, *, is_unknown: bool) -> None:
        await self.gate.failed(transaction_id, reason, is_unknown=is_unknown)


class CurrentDesk(NoticeDesk):
    """The desk that writes notices under the rules in force."""

    def __init__(self, desk: NoticeDesk):
        self.desk = desk

    def gather(self, txn: LedgerTxn, request: Request) -> Facts | Delayed | None:
        return self.desk.gather(txn, request)

    def letters(self, facts: Facts, at: datetime) -> tuple[Letter, ...]:
        return self.desk.letters(facts, at)

    def copies(self, facts: Facts, at: datetime, audiences: Iterable[Audience]) -> Mapping[Audience, RenderedNotice]:
        return self.desk.copies(facts, at, audiences)

    def sender_of(self, facts: Facts) -> str:
        return self.desk.sender_of(facts)

    def known(self, facts: Facts) -> frozenset[Audience]:
        return self.desk.known(facts)


class CurrentVerbs:
    """The ledger's verbs under the rules in force. `table` is given away once; what its verbs do follows `verbs`."""

    def __init__(self, verbs: Mapping[str, Verb]):
        self.verbs = verbs

    def table(self) -> dict[str, Verb]:
        return {name: replace(verb, run=self._forward(name)) for name, verb in self.verbs.items()}

    def _forward(self, name: str) -> Callable[[LedgerTxn, Any], Any]:
        return lambda txn, given: self.verbs[name].run(txn, given)
