"""What a worker does so that a mail is held: it gives the ledger what that takes, and knows what to do where it cannot.

Mail of our accounts is held by the decision itself (pipeline/held). A stranger's mail is held for its recipients, when
each of them is an account the ledger knows; otherwise the operator's choice for its kind falls back to the default.
"""

from __future__ import annotations

from dataclasses import replace

from filterd.agreement.disposition import strongest, without_bounce
from filterd.agreement.holding import behind_queue, unheld
from filterd.agreement.protection import is_harmful, shipped_effect
from filterd.agreement.terms import Agreement
from filterd.errors import PeerError
from filterd.mail.names import canonical_login
from filterd.model.decision import Case, Decision, Disposition
from filterd.model.held import HoldRequest, InboundHold
from filterd.model.session import Direction, Transaction
from filterd.model.standing import History
from filterd.pipeline.gate_rules import ListenerRule
from filterd.pipeline.intake import Read
from filterd.ports import EvidenceSpool, Ledger

# More recipients than a stranger's mail to one household has: beyond, each would be a mail of its own to look after.
MOST_RECIPIENTS = 50
# Each recipient's copy is kept under its own key: what all copies of a stranger's mail may take of the vault.
MOST_BYTES = 32_000_000


def hold_request(transaction: Transaction, rule: ListenerRule) -> HoldRequest:
    """Say what has to be known of a mail on the day it goes on."""
    return HoldRequest(
        envelope=transaction.envelope,
        listener=transaction.session.listener,
        message_fp=transaction.message_fp,
        remove=(rule.attribution.header_name,) if rule.attribution.header_name else (),
        authserv_id=rule.authserv_id,
        is_after_queue=rule.is_after_queue,
    )


def wants_hold(decision: Decision, rule: ListenerRule) -> bool:
    """Say whether the mail is to be held."""
    wanted = behind_queue(decision) if rule.is_after_queue else decision
    return wanted.disposition is Disposition.QUARANTINE


class Holding:
    """One a gate."""

    def __init__(self, ledger: Ledger, spool: EvidenceSpool):
        self._ledger, self._spool = ledger, spool

    async def settle(
        self, item: Read, case: Case, decision: Decision, rule: ListenerRule, history: History | None, terms: Agreement
    ) -> Decision:
        """Say the decision as it is carried out: durable where the mail is held.

        Raises LedgerUnavailable and PortError: then the mail waits with its sender.
        """
        if decision.held_id is not None:
            return decision
        if case.direction is Direction.INBOUND and wants_hold(decision, rule):
            decision = await self._inbound(item, case, decision, rule)
            if decision.held_id is not None:
                return decision
        decision = unheld(decision, terms)
        return without_bounce(decision, history) if rule.is_after_queue else decision

    async def _inbound(self, item: Read, case: Case, decision: Decision, rule: ListenerRule) -> Decision:
        wanted = behind_queue(decision) if rule.is_after_queue else decision
        codes = [x.code for x in wanted.reasons if x.disposition is Disposition.QUARANTINE]
        accounts = await self._accounts(item.transaction)
        if accounts and len(set(accounts)) * len(item.message.raw) <= MOST_BYTES:
            self._spool.put(item.transaction.id, item.message.raw)
            given = InboundHold(
                transaction_id=item.transaction.id,
                accounts=accounts,
                reason=codes[0],
                request=hold_request(item.transaction, rule),
                campaign=case.text_fp,
                is_harmful=any(map(is_harmful, codes)),
            )
            held_id = await self._ledger.hold_inbound(given)
            if held_id is not None:
                return replace(wanted, held_id=held_id)
        found = tuple(
            replace(x, disposition=shipped_effect(x.code)) if x.disposition is Disposition.QUARANTINE else x
            for x in decision.reasons
        )
        return replace(decision, reasons=found, disposition=strongest(found))

    async def _accounts(self, transaction: Transaction) -> tuple[str, ...]:
        """Say whose each recipient is; nothing where one is nobody's we know."""
        forwards = transaction.envelope.forward_paths
        if len(forwards) > MOST_RECIPIENTS:
            return ()
        found = []
        for forward in forwards:
            try:
                login = canonical_login(forward.path.address)
            except PeerError:
                return ()
            account = await self._ledger.account_for(login, may_create=False)
            if account is None:
                return ()
            found.append(account.account_id)
        return tuple(found)
