"""What follows from one mail: checks, facts, and who decides.  HOUSE §4 steps 3 to 6.

Counted, checked, and decided: here where nothing is to be remembered, by the ledger where something is.
"""

from __future__ import annotations

from dataclasses import replace

from filterd import markers
from filterd.agreement.decide import decide, is_for_the_record
from filterd.agreement.terms import Agreement
from filterd.agreement.versions import in_force
from filterd.checks.run import run
from filterd.checks.spec import Check, Context
from filterd.mail.fingerprint import delivery_key, evidence_key
from filterd.model.decision import Case, Decision, MailFacts
from filterd.model.session import Direction, Transaction
from filterd.model.standing import ALONE
from filterd.model.verdict import Assessment
from filterd.pipeline.adviser import Adviser
from filterd.pipeline.author import Author
from filterd.pipeline.counting import Counting, complained_of
from filterd.pipeline.exceptions import ExceptionDesk
from filterd.pipeline.facts import FactFinder
from filterd.pipeline.gate_rules import GateRules
from filterd.pipeline.holding import hold_request, wants_hold
from filterd.pipeline.intake import Read
from filterd.pipeline.recorder import Recorder
from filterd.ports import EvidenceSpool, Ledger, Lookups


class Judge:
    """The checks and rules of one policy, and whoever is asked for facts. Raises LedgerUnavailable."""

    def __init__(
        self,
        *,
        ledger: Ledger,
        spool: EvidenceSpool,
        default_terms: Agreement,
        checks: tuple[Check, ...],
        rules: GateRules,
        recorder: Recorder,
        facts: FactFinder,
        counting: Counting,
        adviser: Adviser,
        exceptions: ExceptionDesk,
    ):
        self._ledger, self._spool, self._default_terms = ledger, spool, default_terms
        self._checks, self._rules, self._recorder = checks, rules, recorder
        self._facts, self._counting = facts, counting
        self._adviser, self._exceptions = adviser, exceptions

    async def judge(
        self, item: Read, author: Author, direction: Direction, dns: Lookups | None
    ) -> tuple[Case, Decision, Assessment]:
        """Say what the checks found and what follows; what is remembered is durable when this returns."""
        counts = await self._counting.count(item, author, direction)
        context = Context(
            transaction=item.transaction,
            message=item.message,
            direction=direction,
            principal=author.principal,
            counts=counts,
            dns=dns,
            own_domains=author.domains,
            domains_declared=author.account is not None and author.account.domains_declared,
            complained=complained_of(author, counts, item.transaction.received_at),
        )
        assessment = await run(
            self._checks, context, on_error=lambda check, tx, err: self._recorder.troubled(tx, check, err)
        )
        markers.reach("gate.judged")
        known = author.known
        terms = known.terms if known is not None else in_force(self._default_terms, item.transaction.received_at)
        envelope = item.transaction.envelope
        facts = await self._facts.of_mail(
            item.message,
            envelope.reverse_path,
            tuple(f.path for f in envelope.forward_paths),
            author,
            counts,
            item.transaction.received_at,
        )
        case = self._case(item, author, direction, assessment, facts, terms)
        await self._file_objection(item.transaction, author)
        if self.is_for_the_desk(item.transaction, author):
            decision = self._unjudged(case, author)
        elif is_for_the_record(case, terms, known.history if known is not None else None):
            case, decision = await self._record(item, case, author)
        else:
            history, around = (known.history, known.around) if known is not None else (None, ALONE)
            decision = decide(case, terms, self._rules.preset, history, (), around)
            rule = self._rules.listeners[item.transaction.session.listener]
            if known is not None and direction is not Direction.INBOUND and wants_hold(decision, rule):
                # What is held is durable before anybody is told so.
                case, decision = await self._record(item, case, author)
        if not self.is_for_the_desk(item.transaction, author):
            self._adviser.note(case, decision)
        decision = await self._exceptions.settle(decision, item.transaction, item.message, known, direction, assessment)
        return case, decision, assessment

    def is_for_the_desk(self, transaction: Transaction, author: Author) -> bool:
        """Say whether a mail is an account's to the desks alone: it is not judged."""
        domains = author.domains
        forwards = transaction.envelope.forward_paths
        return (
            author.account is not None
            and bool(forwards)
            and all(self._rules.reach.is_desk(f.path, domains) for f in forwards)
        )

    async def _record(self, item: Read, case: Case, author: Author) -> tuple[Case, Decision]:
        """Have the ledger decide; the mail lies ready for it."""
        self._spool.put(item.transaction.id, item.message.raw)
        forwards = tuple(f.path for f in item.transaction.envelope.forward_paths)
        case = self._facts.for_the_record(case, forwards, author)
        decision = await self._ledger.decide(await self._facts.with_received(case, item.message, author))
        markers.reach("gate.committed")
        return case, decision

    def _case(
        self,
        item: Read,
        author: Author,
        direction: Direction,
        assessment: Assessment,
        facts: MailFacts,
        terms: Agreement,
    ) -> Case:
        forwards = item.transaction.envelope.forward_paths
        fp = item.transaction.message_fp
        return Case(
            transaction_id=item.transaction.id,
            at=item.transaction.received_at,
            direction=direction,
            principal=author.principal,
            evidence_key=evidence_key(author.principal.account_id or "", direction.value, fp),
            delivery_keys=tuple(delivery_key(fp, f.path.address) for f in forwards),
            text_fp=item.text_fp,
            facts=facts,
            assessment=assessment,
            policy_digest=terms.digest,
            hold=hold_request(
                item.transaction, self._rules.listeners[item.transaction.session.listener], item.queue_id
            ),
        )

    async def _file_objection(self, transaction: Transaction, author: Author) -> None:
        """Mail to the appeals address, whoever else gets it, files an objection against what is in force, before we
        say that we took the mail (TX-6.1)."""
        wants_review = any(self._rules.reach.is_appeal(f.path) for f in transaction.envelope.forward_paths)
        if author.principal.account_id is not None and wants_review:
            await self._ledger.object_by_mail(author.principal.account_id, transaction.id, author.principal.tenant_id)

    def _unjudged(self, case: Case, author: Author) -> Decision:
        """Mail to the appeals and abuse desks alone is never judged for points and never refused for content
        (STANDING 5.7-12); the desk's own mail path decides how to keep it."""
        terms = author.known.terms if author.known is not None else in_force(self._default_terms, case.at)
        return decide(replace(case, assessment=Assessment(verdicts=())), terms, self._rules.preset, None, ())
