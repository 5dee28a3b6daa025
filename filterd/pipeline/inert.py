"""What stands behind the gate in a rehearsal: a ledger, a spool and a recorder that act on nothing (HOUSE rule 14)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from filterd.agreement.decide import decide
from filterd.agreement.holding import can_hold, return_at, unheld
from filterd.agreement.terms import Agreement
from filterd.errors import LedgerUnavailable, UsageError
from filterd.log.dns import Asked
from filterd.model.decision import Case, Counts, Decision, Disposition
from filterd.model.held import InboundHold
from filterd.model.reply import Reply
from filterd.model.sanction import Preset
from filterd.model.standing import History
from filterd.pipeline.intake import Read
from filterd.pipeline.recorder import Recorder
from filterd.ports import AccountRef, CountRequest

_ACCOUNT, _TENANT, _ITEM = "a_scan", "n_scan", "q_scan"


class Ear(Recorder):
    """Listens to the walk instead of writing it down."""

    def __init__(self) -> None:
        self.heard: tuple[Read, Case, Decision] | None = None
        self.troubles: list[tuple[str, str]] = []

    def decided(
        self, item: Read, case: Case, decision: Decision, elapsed_s: float, asked: Asked = ()
    ) -> None:
        self.heard = (item, case, decision)

    def refused(self, transaction_id: str, reply: Reply, refused_recipients: int = 0) -> None:
        pass

    def held(self, transaction_id: str, item_id: str, reply: Reply, queue_id: str | None = None) -> None:
        pass

    def troubled(self, transaction_id: str | None, what: str, error: BaseException) -> None:
        # That there are no counters is no trouble here.
        if not isinstance(error, LedgerUnavailable):
            self.troubles.append((what, type(error).__name__))


class NoSpool:
    """Implements ports.EvidenceSpool."""

    def put(self, transaction_id: str, raw: bytes) -> None:
        pass

    def discard(self, transaction_id: str) -> None:
        pass


class NoLedger:
    """Implements ports.Ledger: a fresh account in good standing, whatever happened before."""

    def __init__(self, terms: Agreement, preset: Preset):
        self._terms, self._preset = terms, preset

    async def account_for(self, login: str, *, may_create: bool) -> AccountRef | None:
        domain = login.rpartition("@")[2] if "@" in login else ""
        return AccountRef(
            account_id=_ACCOUNT,
            tenant_id=_TENANT,
            login=login,
            agreement=self._terms.id,
            language=None,
            tenant_domains=(domain,) if domain else (),
        )

    async def history(self, account_id: str) -> History:
        return History(account_id=account_id)

    def last_word(self, login: str) -> tuple[AccountRef, History] | None:
        return None

    def last_history(self, subject_id: str) -> History | None:
        return None

    async def count(self, request: CountRequest) -> Counts:
        raise LedgerUnavailable("a scan has no counters")

    async def decide(self, case: Case) -> Decision:
        # Without recipients nothing new would be delivered, and the mail would pass for a retry.
        new = case.delivery_keys or (case.evidence_key,)
        decision = decide(case, self._terms, self._preset, History(account_id=_ACCOUNT), new)
        if decision.disposition is not Disposition.QUARANTINE or not can_hold(self._terms):
            return unheld(decision, self._terms)
        # What would be held; nothing is.
        return replace(decision, held_id=_ITEM, held_until=return_at(case.at, self._terms))

    async def hold_inbound(self, given: InboundHold) -> str | None:
        return _ITEM

    async def domain_owner(self, domain: str) -> str | None:
        return None

    async def object_by_mail(self, account_id: str, transaction_id: str, tenant_id: str | None = None) -> None:
        pass

    async def call(self, verb: str, arguments: Mapping[str, Any]) -> Any:
        if verb in ("senders.known", "senders.note", "advice.note", "case.shown"):
            # Nobody has written before, and nobody is told.
            return []
        raise UsageError(f"a scan has no ledger to ask for {verb!r}")
