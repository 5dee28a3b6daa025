"""The walk of one message, as the doors see it.  HOUSE §4; each step is one call.

Nothing here raises for what mail can do. What raises (a port, a bug) is caught once, in the door, as 451. When the
ledger is away, clean mail of an account whose good standing is known still passes and everything else waits.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from copy import copy
from dataclasses import replace

from filterd import markers
from filterd.agreement.decide import decide, is_for_the_record
from filterd.agreement.disposition import strongest
from filterd.agreement.protection import protect
from filterd.agreement.terms import Agreement
from filterd.agreement.versions import in_force
from filterd.checks.run import run
from filterd.checks.spec import Check, Context
from filterd.errors import LedgerUnavailable
from filterd.mail.fingerprint import delivery_key, evidence_key
from filterd.model.decision import Case, Decision, Disposition, MailFacts
from filterd.model.reply import Reply
from filterd.model.session import Direction, Door, Path, Session, Transaction
from filterd.model.standing import ALONE
from filterd.model.verdict import Assessment
from filterd.pipeline.acquaintances import Acquaintances
from filterd.pipeline.admission import Admission
from filterd.pipeline.adviser import Adviser
from filterd.pipeline.attribution import attribute
from filterd.pipeline.author import Author, Authors
from filterd.pipeline.bypass import marked, message_id
from filterd.pipeline.counting import Counting
from filterd.pipeline.facts import FactFinder
from filterd.pipeline.gate_rules import GateRules as GateRules
from filterd.pipeline.gate_rules import ListenerRule as ListenerRule
from filterd.pipeline.headers import Marking
from filterd.pipeline.holding import Holding, hold_request, wants_hold
from filterd.pipeline.intake import Read, read
from filterd.pipeline.notice_reports import ReportReader
from filterd.pipeline.recorder import Recorder
from filterd.pipeline.refusal_notes import BY_STANDING, RefusalNotes
from filterd.pipeline.replies import (
    LEDGER_AWAY,
    UNREADABLE_LOGIN,
    decision_reply,
    waiting,
)
from filterd.pipeline.service import ServiceDesk
from filterd.pipeline.shown import Shown
from filterd.ports import (
    AccountState,
    Answer,
    Bypass,
    BypassOrder,
    Clock,
    EvidenceSpool,
    Intake,
    Keys,
    Ledger,
    Lookups,
    Resolver,
)


class MailGate:
    """Implements ports.Gate and ports.AccountStates."""

    def __init__(
        self,
        *,
        ledger: Ledger,
        spool: EvidenceSpool,
        clock: Clock,
        keys: Keys,
        terms: Mapping[str, Agreement],
        default_terms: Agreement,
        checks: tuple[Check, ...],
        rules: GateRules,
        recorder: Recorder,
        resolver: Resolver | None = None,
        bypass: Bypass | None = None,
    ):
        self._ledger, self._spool, self._clock, self._keys = ledger, spool, clock, keys
        self._terms, self._default_terms, self._checks = terms, default_terms, checks
        self._rules, self._recorder, self._resolver = rules, recorder, resolver
        self._bypass, self._holding = bypass, Holding(ledger, spool)
        self._acquaintances = Acquaintances(
            ledger, keys, lambda err: recorder.troubled(None, "acquaintances", err)
        )
        self._adviser = Adviser(ledger, lambda err: recorder.troubled(None, "adviser", err))
        self._shown = Shown(ledger, lambda err: recorder.troubled(None, "case.shown", err))
        self._notes = RefusalNotes(ledger, lambda err: recorder.troubled(None, "refusal.notes", err))
        self._furnish()

    def adopt(
        self,
        *,
        terms: Mapping[str, Agreement],
        default_terms: Agreement,
        checks: tuple[Check, ...],
        rules: GateRules,
        resolver: Resolver | None,
    ) -> MailGate:
        """Say the gate for mail from now on, under another policy. Mail under way ends in this one, as it began."""
        other = copy(self)
        other._terms, other._default_terms, other._checks = terms, default_terms, checks
        other._rules, other._resolver = rules, resolver
        other._furnish()
        return other

    def _furnish(self) -> None:
        """Make what goes by the policy."""
        self._authors = Authors(self._ledger, self._clock, self._terms)
        self._service = ServiceDesk(self._ledger, self._terms, self._rules.reach)
        self._facts = FactFinder(self._ledger, self._keys, self._rules.reach)
        self._counting = Counting(
            self._ledger,
            self._keys,
            self._clock,
            self._facts,
            lambda tx, err: self._recorder.troubled(tx, "counters", err),
        )
        self._reports = ReportReader(self._ledger, self._rules.report_address)
        self._admission = Admission(
            authors=self._authors,
            service=self._service,
            facts=self._facts,
            rules=self._rules,
            default_terms=self._default_terms,
            recorder=self._recorder,
            clock=self._clock,
            shown=self._shown,
            notes=self._notes,
        )

    async def flush(self) -> None:
        """Write down what is kept together for a while: before a process ends."""
        await self._acquaintances.flush()
        await self._adviser.flush()
        await self._notes.flush()

    # --- before DATA --------------------------------------------------------------------------------------------------

    async def admit_sender(self, session: Session, reverse_path: Path | None) -> Reply | None:
        """Refuse a whole transaction of an account that people have terminated, where the door knows the login."""
        return None if self._bypass_order() is not None else await self._admission.of_sender(session, reverse_path)

    async def admit(
        self, session: Session, reverse_path: Path | None, forward: Path, accepted: int = 0
    ) -> Reply | None:
        """Refuse one recipient by standing alone, where the door knows the login before DATA, and by what is out of
        service."""
        if self._bypass_order() is not None:
            return None
        return await self._admission.of_recipient(session, reverse_path, forward, accepted)

    async def account_state(self, login: str) -> AccountState | None:
        """Say how an account stands (ports.AccountStates)."""
        return await self._admission.of_account(login)

    # --- after the dot ------------------------------------------------------------------------------------------------

    async def enforce(self, intake: Intake) -> Answer:
        """Walk one message through the house."""
        order = self._bypass_order()
        if order is not None:
            return self._pass(intake, order)
        started = time.monotonic()
        item = await read(intake, self._clock.now(), self._keys)
        rule = self._rules.listeners[intake.session.listener]
        closed = await self._service.of_site(self._clock.now())
        if closed is not None:
            self._recorder.refused(item.transaction.id, closed)
            return Answer(transaction_id=item.transaction.id, reply=closed)
        claim = attribute(rule.attribution, intake.session, item.message)
        if claim is not None and claim.login is None:
            # Somebody answers for this mail and we cannot say who: nobody escapes a suspension by an odd spelling.
            self._recorder.refused(item.transaction.id, UNREADABLE_LOGIN)
            return Answer(transaction_id=item.transaction.id, reply=UNREADABLE_LOGIN)
        try:
            author = await self._authors.of(claim)
        except LedgerUnavailable as err:
            self._recorder.troubled(item.transaction.id, "ledger", err)
            return Answer(transaction_id=item.transaction.id, reply=LEDGER_AWAY)
        direction = self._direction(rule, author, item.transaction)
        known = author.known
        if known is not None:
            forwards = tuple(f.path for f in item.transaction.envelope.forward_paths)
            refusal = self._admission.of_recipients(known, forwards)
            if refusal is not None and rule.is_after_queue:
                # It stays in the MTA's queue until the sanction ends (STANDING 5.7-20).
                refusal = waiting(refusal)
            if refusal is not None:
                sender = item.transaction.envelope.reverse_path
                self._recorder.denied(intake.session, known.account.account_id, refusal, sender, None)
                self._recorder.refused(item.transaction.id, refusal)
                self._note_refused(item, author, refusal)
                await self._shown.note(known, refusal, self._clock.now())
                return Answer(transaction_id=item.transaction.id, reply=refusal)
            if known.is_last_word and not known.is_good(self._clock.now()):
                self._recorder.refused(item.transaction.id, LEDGER_AWAY)
                return Answer(transaction_id=item.transaction.id, reply=LEDGER_AWAY)
        dns = self._resolver.for_message() if self._resolver is not None else None
        try:
            await self._reports.note(intake)
            case, decision, assessment = await self._judge(item, author, direction, dns)
            history, terms = (known.history, known.terms) if known is not None else (None, self._default_terms)
            decision = await self._holding.settle(item, case, decision, rule, history, terms)
        except LedgerUnavailable as err:
            self._recorder.troubled(item.transaction.id, "ledger", err)
            return Answer(transaction_id=item.transaction.id, reply=LEDGER_AWAY)
        markers.reach("gate.decided")
        self._recorder.decided(item, case, decision, time.monotonic() - started, dns.asked if dns else ())
        markers.reach("gate.recorded")
        reply = self._reply(case, decision, author)
        if reply is not None and decision.held_id is not None:
            markers.reach("gate.held")
            self._recorder.held(item.transaction.id, decision.held_id, reply)
            return Answer(transaction_id=item.transaction.id, reply=reply)
        if reply is not None:
            self._recorder.refused(item.transaction.id, reply)
            if any(x.code.startswith(BY_STANDING) for x in decision.reasons):
                self._note_refused(item, author, reply)
            await self._shown.note(known, reply, self._clock.now(), (decision.incident_id,))
            return Answer(transaction_id=item.transaction.id, reply=reply)
        if direction is Direction.INBOUND:
            envelope = item.transaction.envelope
            at = item.transaction.received_at
            await self._acquaintances.note(item.message, envelope, assessment, at, item.text_fp)
        return self._passed(intake, item, direction, decision, assessment)

    def _note_refused(self, item: Read, author: Author, reply: Reply) -> None:
        """Remember what standing refused: an annulment owes the list (CLAUSES §7)."""
        account_id = author.known.account.account_id if author.known is not None else None
        recipients = (f.path.address for f in item.transaction.envelope.forward_paths)
        self._notes.note(account_id, item.transaction.id, recipients, reply, self._clock.now())

    def _passed(
        self, intake: Intake, item: Read, direction: Direction, decision: Decision, assessment: Assessment
    ) -> Answer:
        """Say what goes on: the mail with our fields on top, or what the MTA must do to its own copy."""
        rule = self._rules.listeners[intake.session.listener]
        made = Marking(
            transaction_id=item.transaction.id,
            message_fp=item.transaction.message_fp,
            direction=direction,
            disposition=decision.disposition,
            spam_score=assessment.score("spam"),
            is_complete=assessment.is_complete,
            remove=(rule.attribution.header_name,) if rule.attribution.header_name else (),
            assessment=assessment,
            authserv_id=rule.authserv_id,
        )
        if intake.session.door is Door.MILTER:
            return Answer(transaction_id=item.transaction.id, reply=None, edits=made.edits(intake.raw))
        return Answer(transaction_id=item.transaction.id, reply=None, raw=made.applied(intake.raw))

    def _reply(self, case: Case, decision: Decision, author: Author) -> Reply | None:
        if decision.disposition in (Disposition.ACCEPT, Disposition.TAG):
            return None
        # As it was when the mail came: what follows from this mail is told by a notice.
        standing = author.known.standing(case.at) if author.known is not None else None
        return decision_reply(decision, standing, self._admission.wording(author.known))

    async def delivered(self, transaction_id: str, reply: Reply, refused_recipients: int) -> None:
        if reply.is_positive:
            self._recorder.delivered(transaction_id, reply, refused_recipients)
        else:
            self._recorder.refused(transaction_id, reply)

    async def failed(self, transaction_id: str, reason: str, *, is_unknown: bool) -> None:
        self._recorder.relay_failed(transaction_id, reason, is_unknown=is_unknown)

    def _bypass_order(self) -> BypassOrder | None:
        return self._bypass.order(self._clock.now()) if self._bypass is not None else None

    def _pass(self, intake: Intake, order: BypassOrder) -> Answer:
        """Let a mail pass unjudged: nothing here looks into it."""
        rule = self._rules.listeners[intake.session.listener]
        remove = (rule.attribution.header_name,) if rule.attribution.header_name else ()
        now = self._clock.now()
        answer, digest = marked(intake, now, order, remove=remove, authserv_id=rule.authserv_id)
        self._recorder.bypassed(answer.transaction_id, intake, order.order_id, digest, message_id(intake.raw))
        return answer

    # --- steps --------------------------------------------------------------------------------------------------------

    def _direction(self, rule: ListenerRule, author: Author, transaction: Transaction) -> Direction:
        if rule.direction == "inbound" or (
            rule.direction == "auto" and author.account is None and not author.is_unknown
        ):
            return Direction.INBOUND
        domains = author.domains
        forwards = transaction.envelope.forward_paths
        if forwards and all(f.path.domain in domains for f in forwards):
            return Direction.INTERNAL
        return Direction.OUTBOUND

    async def _judge(
        self, item: Read, author: Author, direction: Direction, dns: Lookups | None
    ) -> tuple[Case, Decision, Assessment]:
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
        if self._is_for_the_desk(item.transaction, author):
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
        if not self._is_for_the_desk(item.transaction, author):
            self._adviser.note(case, decision)
        if direction is Direction.INBOUND or known is None:
            decision = self._protect(decision, assessment, direction)
        return case, decision, assessment

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
            hold=hold_request(item.transaction, self._rules.listeners[item.transaction.session.listener]),
        )

    async def _file_objection(self, transaction: Transaction, author: Author) -> None:
        """Mail to the appeals address, whoever else gets it, files an objection against what is in force, before we
        say that we took the mail (TX-6.1)."""
        wants_review = any(self._rules.reach.is_appeal(f.path) for f in transaction.envelope.forward_paths)
        if author.principal.account_id is not None and wants_review:
            await self._ledger.object_by_mail(
                author.principal.account_id, transaction.id, author.principal.tenant_id
            )

    def _is_for_the_desk(self, transaction: Transaction, author: Author) -> bool:
        domains = author.domains
        forwards = transaction.envelope.forward_paths
        return (
            author.account is not None
            and bool(forwards)
            and all(self._rules.reach.is_desk(f.path, domains) for f in forwards)
        )

    def _unjudged(self, case: Case, author: Author) -> Decision:
        """Mail to the appeals and abuse desks alone is never judged for points and never refused for content
        (STANDING 5.7-12); the desk's own mail path decides how to keep it."""
        terms = author.known.terms if author.known is not None else in_force(self._default_terms, case.at)
        return decide(replace(case, assessment=Assessment(verdicts=())), terms, self._rules.preset, None, ())

    def _protect(self, decision: Decision, assessment: Assessment, direction: Direction) -> Decision:
        """Protection of our own users from strangers: refuse or mark, never points (CLAUSES 0.13)."""
        extra = protect(assessment, direction, self._rules.inbound)
        if not extra:
            return decision
        reasons = (*decision.reasons, *extra)
        return replace(decision, reasons=reasons, disposition=strongest(reasons))
