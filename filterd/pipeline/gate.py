"""The walk of one message, as the doors see it.  HOUSE §4; each step is one call.

Nothing here raises for what mail can do. What raises (a port, a bug) is caught once, in the door, as 451. When the
ledger is away, clean mail of an account whose good standing is known still passes and everything else waits.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from copy import copy
from dataclasses import replace
from functools import partial

from filterd import markers
from filterd.agreement.terms import Agreement
from filterd.checks.locked import LockedReader
from filterd.checks.spec import Check
from filterd.errors import LedgerUnavailable
from filterd.model.decision import Case, Decision, Disposition
from filterd.model.principal import Strength
from filterd.model.reply import Reply
from filterd.model.session import Direction, Path, Session, Transaction
from filterd.pipeline.acquaintances import Acquaintances
from filterd.pipeline.admission import Admission
from filterd.pipeline.adviser import Adviser
from filterd.pipeline.attribution import attribute
from filterd.pipeline.author import Author, Authors
from filterd.pipeline.bounces import Bounces
from filterd.pipeline.bypass import marked, message_id
from filterd.pipeline.counting import Counting
from filterd.pipeline.exceptions import ExceptionDesk, ExceptionSource
from filterd.pipeline.facts import FactFinder
from filterd.pipeline.gate_rules import GateRules as GateRules
from filterd.pipeline.gate_rules import ListenerRule as ListenerRule
from filterd.pipeline.holding import Holding, hold_request
from filterd.pipeline.intake import Read, read
from filterd.pipeline.judging import Judge
from filterd.pipeline.locked import LockedDesk
from filterd.pipeline.notice_reports import ReportReader
from filterd.pipeline.optouts import OptOuts
from filterd.pipeline.passing import passed
from filterd.pipeline.recorder import Recorder
from filterd.pipeline.refusal_notes import BY_STANDING, RefusalNotes
from filterd.pipeline.replies import (
    LEDGER_AWAY,
    TAKEN,
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
        exceptions: ExceptionSource | None = None,
        locked: LockedReader | None = None,
    ):
        self._ledger, self._spool, self._clock, self._keys = ledger, spool, clock, keys
        self._terms, self._default_terms, self._checks = terms, default_terms, checks
        self._rules, self._recorder, self._resolver = rules, recorder, resolver
        self._bypass, self._holding, self._listed = bypass, Holding(ledger, spool), exceptions
        self._acquaintances = Acquaintances(ledger, keys, lambda err: recorder.troubled(None, "acquaintances", err))
        self._bounces = Bounces(ledger, keys, lambda err: recorder.troubled(None, "bounces", err))
        self._adviser = Adviser(ledger, lambda err: recorder.troubled(None, "adviser", err))
        self._shown = Shown(ledger, lambda err: recorder.troubled(None, "case.shown", err))
        self._notes = RefusalNotes(ledger, lambda err: recorder.troubled(None, "refusal.notes", err))
        self._locked = locked
        self._locked_desk = LockedDesk(ledger, spool, lambda err: recorder.troubled(None, "locked.lists", err))
        self._furnish()

    def adopt(
        self,
        *,
        terms: Mapping[str, Agreement],
        default_terms: Agreement,
        checks: tuple[Check, ...],
        rules: GateRules,
        resolver: Resolver | None,
        locked: LockedReader | None = None,
        exceptions: ExceptionSource | None = None,
    ) -> MailGate:
        """Say the gate for mail from now on, under another policy. Mail under way ends in this one, as it began."""
        other = copy(self)
        other._terms, other._default_terms, other._checks = terms, default_terms, checks
        other._rules, other._resolver, other._locked, other._listed = rules, resolver, locked, exceptions
        other._furnish()
        return other

    def _furnish(self) -> None:
        """Make what goes by the policy."""
        self._authors = Authors(self._ledger, self._clock, self._terms)
        self._service = ServiceDesk(self._ledger, self._terms, self._rules.reach)
        self._facts = FactFinder(self._ledger, self._keys, self._rules.reach)
        counting = Counting(
            self._ledger,
            self._keys,
            self._clock,
            self._facts,
            lambda tx, err: self._recorder.troubled(tx, "counters", err),
        )
        self._reports = ReportReader(self._ledger, self._rules.report_address)
        self._exceptions = ExceptionDesk(self._listed, self._rules)
        self._judge = Judge(
            ledger=self._ledger,
            spool=self._spool,
            default_terms=self._default_terms,
            checks=self._checks,
            rules=self._rules,
            recorder=self._recorder,
            facts=self._facts,
            counting=counting,
            adviser=self._adviser,
            exceptions=self._exceptions,
        )
        self._optouts = OptOuts(
            self._ledger,
            self._keys,
            self._clock,
            self._rules,
            lambda err: self._recorder.troubled(None, "optout.ignored", err),
        )
        self._passed = partial(passed, self._rules, self._ledger.domain_owner)
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
            optouts=self._optouts,
            exceptions=self._exceptions,
        )

    async def flush(self) -> None:
        """Write down what is kept together for a while: before a process ends."""
        await self._acquaintances.flush()
        await self._adviser.flush()
        await self._notes.flush()
        await self._locked_desk.flush()

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

    async def screen(self, session: Session, reverse_path: Path | None, forward: Path) -> Reply | None:
        """Refuse one recipient by the operator's lists alone, where the door knows no login."""
        if self._bypass_order() is not None:
            return None
        return await self._admission.of_stranger(session, reverse_path, forward)

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
        claim = attribute(rule.attribution, intake.session, item.message, intake.envelope.reverse_path)
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
        refusal = await self._refusal_of(intake, item, author)
        if refusal is not None:
            self._recorder.refused(item.transaction.id, refusal)
            return Answer(transaction_id=item.transaction.id, reply=refusal)
        dns = self._resolver.for_message() if self._resolver is not None else None
        try:
            await self._reports.note(intake)
            case, decision, assessment = await self._judge.judge(item, author, direction, dns)
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
            queue_id = item.queue_id if decision.is_held_by_mta else None
            self._recorder.held(item.transaction.id, decision.held_id, reply, queue_id)
            if queue_id is not None:
                marked = await self._passed(intake, item, author, direction, decision, assessment)
                return replace(marked, hold=f"filterd {decision.held_id}")
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
            await self._bounces.reported(item)
        await self._bounces.refused(item, case, author)
        if not self._judge.is_for_the_desk(item.transaction, author):
            waits = await self._for_person(item, author, direction, rule)
            if waits is not None:
                return waits
            self._locked_desk.note(self._locked, item, author, direction, self._rules.keeping)
        return await self._passed(intake, item, author, direction, decision, assessment)

    async def _for_person(
        self, item: Read, author: Author, direction: Direction, rule: ListenerRule
    ) -> Answer | None:
        """Answer for a mail that a locked list holds for a person; None for all others, which go on."""
        tx, request = item.transaction.id, hold_request(item.transaction, rule)
        try:
            is_held = await self._locked_desk.hold(self._locked, item, author, direction, self._rules.keeping, request)
        except LedgerUnavailable as err:
            # It may be held all the same: delivered now it could come twice. Which mail it is, only a hit would tell:
            # the decision to let it pass has a refusal behind it, as if the next hop had said it.
            self._recorder.troubled(None, "ledger", err)
            self._recorder.refused(tx, LEDGER_AWAY)
            return Answer(transaction_id=tx, reply=LEDGER_AWAY)
        if not is_held:
            return None
        markers.reach("gate.held")
        return Answer(transaction_id=tx, reply=TAKEN, is_plain=True)

    async def _refusal_of(self, intake: Intake, item: Read, author: Author) -> Reply | None:
        """Say why an account's mail is not even looked into: its standing, or a recipient who asked it to stop."""
        known = author.known
        if known is None:
            return None
        is_queued = self._rules.listeners[intake.session.listener].is_after_queue
        sender = item.transaction.envelope.reverse_path
        forwards = tuple(f.path for f in item.transaction.envelope.forward_paths)
        refusal = self._admission.of_recipients(known, forwards)
        if refusal is not None:
            # In the MTA's queue it stays until the sanction ends (STANDING 5.7-20).
            refusal = waiting(refusal) if is_queued else refusal
            self._recorder.denied(intake.session, known.account.account_id, refusal, sender, None)
            self._note_refused(item, author, refusal)
            await self._shown.note(known, refusal, self._clock.now())
            return refusal
        if known.is_last_word and not known.is_good(self._clock.now()):
            return LEDGER_AWAY
        words = self._admission.wording(known)
        # Behind the queue it may have been queued before anybody asked: refused, and nobody's doing. Final there, too:
        # the wish does not end by itself, and mail that is kept would only be tried again every day.
        strength = Strength.NONE if is_queued else author.principal.strength
        stopped = await self._optouts.of_mail(known, forwards, words, strength=strength)
        if stopped is not None:
            self._recorder.denied(intake.session, known.account.account_id, stopped, sender, None)
        return stopped

    def _note_refused(self, item: Read, author: Author, reply: Reply) -> None:
        """Remember what standing refused: an annulment owes the list (CLAUSES §7)."""
        account_id = author.known.account.account_id if author.known is not None else None
        recipients = (f.path.address for f in item.transaction.envelope.forward_paths)
        self._notes.note(account_id, item.transaction.id, recipients, reply, self._clock.now())

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
