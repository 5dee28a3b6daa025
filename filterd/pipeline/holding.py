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
from filterd.mail.author import shown
from filterd.mail.authres import results_of
from filterd.mail.names import canonical_login
from filterd.model.decision import Case, Decision, Disposition
from filterd.model.held import HoldRequest, InboundHold, QueueCopy
from filterd.model.session import Direction, Transaction
from filterd.model.standing import History
from filterd.pipeline.gate_rules import ListenerRule
from filterd.pipeline.headers import Marking
from filterd.pipeline.intake import Read
from filterd.ports import EvidenceSpool, Ledger

# More recipients than a stranger's mail to one household has: beyond, each would be a mail of its own to look after.
MOST_RECIPIENTS = 50
# Each recipient's copy is kept under its own key: what all copies of a stranger's mail may take of the vault.
MOST_BYTES = 32_000_000


def hold_request(transaction: Transaction, rule: ListenerRule, queue_id: str | None = None) -> HoldRequest:
    """Say what has to be known of a mail on the day it goes on. `queue_id`: as in ports.Intake."""
    return HoldRequest(
        envelope=transaction.envelope,
        listener=transaction.session.listener,
        message_fp=transaction.message_fp,
        remove=(rule.attribution.header_name,) if rule.attribution.header_name else (),
        authserv_id=rule.authserv_id,
        is_after_queue=rule.is_after_queue,
        copies=(QueueCopy(queue_id=queue_id, since=transaction.received_at),) if queue_id is not None else (),
    )


def wants_hold(decision: Decision, rule: ListenerRule) -> bool:
    """Say whether the mail is to be held."""
    wanted = behind_queue(decision) if rule.is_after_queue else decision
    return wanted.disposition is Disposition.QUARANTINE


def _inbound_request(item: Read, case: Case, decision: Decision, rule: ListenerRule) -> HoldRequest:
    """Say besides whom the recipient reads of, and what the mail bears when a person lets it go.

    What a person overrules by that is not said: the mark of spam stays only where something else than what held the
    mail would have set it.
    """
    others = tuple(x for x in decision.reasons if x.disposition is not Disposition.QUARANTINE)
    above, below = Marking(
        transaction_id=item.transaction.id,
        message_fp=item.transaction.message_fp,
        direction=case.direction,
        disposition=strongest(others),
        spam_score=case.assessment.score("spam"),
        assessment=case.assessment,
        authserv_id=rule.authserv_id,
    ).findings()
    return replace(
        hold_request(item.transaction, rule),
        author=shown(item.message),
        is_author_verified=any(x.method == "dmarc" and x.result == "pass" for x in results_of(case.assessment)),
        fields=(*above, *below),
    )


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
                request=_inbound_request(item, case, wanted, rule),
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
