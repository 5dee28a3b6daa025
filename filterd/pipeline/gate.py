"""The walk of one message, as the doors see it.  HOUSE §4; each step is one call.

Nothing here raises for what mail can do. What raises (a port, a bug) is caught once, in the door, as 451. When the
ledger is away, clean mail of an account whose good standing is known still passes and everything else waits.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from copy import copy
from dataclasses import dataclass, replace
from typing import Literal

from filterd import markers
from filterd.agreement.decide import breaches, decide
from filterd.agreement.disposition import (
    RATES,
    REFUSED_BY_RECIPIENT,
    refused_features,
    strongest,
    without_bounce,
)
from filterd.agreement.protection import InboundChoices, protect
from filterd.agreement.terms import Agreement
from filterd.checks.run import run
from filterd.checks.spec import Check, Context
from filterd.errors import LedgerUnavailable, PeerError
from filterd.mail.address import canonical_login
from filterd.mail.fingerprint import delivery_key, evidence_key
from filterd.model.decision import Case, Counts, Decision, Disposition, MailFacts
from filterd.model.ids import keyed_hash
from filterd.model.message import Message
from filterd.model.principal import Strength
from filterd.model.reply import Reply
from filterd.model.sanction import RECIPIENT, Preset
from filterd.model.session import Direction, Path, Session, Transaction
from filterd.model.standing import ALONE
from filterd.model.verdict import Assessment
from filterd.pipeline.attribution import AttributionRule, attribute
from filterd.pipeline.author import Author, Authors, Known
from filterd.pipeline.bypass import marked, message_id
from filterd.pipeline.client import client_id
from filterd.pipeline.headers import edited
from filterd.pipeline.intake import Read, read
from filterd.pipeline.reach import Reach
from filterd.pipeline.recorder import Recorder
from filterd.pipeline.replies import (
    LEDGER_AWAY,
    UNREADABLE_LOGIN,
    ReplyStyle,
    Wording,
    decision_reply,
    feature_reply,
    standing_reply,
    waiting,
    wording,
)
from filterd.ports import (
    Answer,
    Bypass,
    BypassOrder,
    Clock,
    CountRequest,
    EvidenceSpool,
    Intake,
    Keys,
    Ledger,
    Lookups,
    Resolver,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class ListenerRule:
    """What the pipeline must know of a listener. `authserv_id`: our name in Authentication-Results (RFC 8601)."""

    attribution: AttributionRule
    direction: Literal["auto", "outbound", "inbound"] = "auto"
    is_after_queue: bool = False
    authserv_id: str | None = None


_AS_SHIPPED = InboundChoices()


@dataclass(frozen=True, slots=True, kw_only=True)
class GateRules:
    """The operator's choices that the walk depends on."""

    listeners: Mapping[str, ListenerRule]
    reach: Reach
    style: ReplyStyle
    preset: Preset
    inbound: InboundChoices = _AS_SHIPPED


class MailGate:
    """Implements ports.Gate."""

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
        self._bypass = bypass
        self._authors = Authors(ledger, clock, terms)

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
        other._authors = Authors(self._ledger, self._clock, terms)
        return other

    # --- before DATA --------------------------------------------------------------------------------------------------

    async def admit(
        self, session: Session, reverse_path: Path | None, forward: Path, accepted: int = 0
    ) -> Reply | None:
        """Refuse one recipient by standing alone, where the door knows the login before DATA."""
        if session.login is None or self._bypass_order() is not None:
            return None
        rule = self._rules.listeners.get(session.listener)
        try:
            login = canonical_login(session.login, rule.attribution.login_domain if rule else None)
        except PeerError:
            return None
        try:
            known = await self._authors.look_up(login, may_create=False)
        except LedgerUnavailable:
            return LEDGER_AWAY
        if known is None:
            return None
        reply = self._refused_recipient(known, forward, accepted)
        if reply is None and known.is_last_word and not known.is_good(self._clock.now()):
            return LEDGER_AWAY
        if reply is not None and rule is not None and rule.is_after_queue:
            reply = waiting(reply)
        if reply is not None:
            self._recorder.denied(session, known.account.account_id, reply, reverse_path, forward)
        return reply

    def _refused_recipient(self, known: Known, forward: Path, accepted: int) -> Reply | None:
        """Say why this recipient cannot be written to; what is seen only in the message waits for the message."""
        standing = known.standing(self._clock.now())
        domains = known.account.tenant_domains
        if self._rules.reach.covers(forward, domains):
            return None
        if not standing.may_send:
            return standing_reply(standing, self._wording(known))
        facts = MailFacts(
            recipients=accepted + 1,
            external_recipients=int(_is_external(forward, domains)),
            has_attachments=False,
            has_links=False,
            recipient_hashes=self._hashes((forward,), known),
        )
        for feature, _ in refused_features(facts, standing):
            if feature.name in REFUSED_BY_RECIPIENT:
                return feature_reply(feature, standing, self._wording(known), is_before_data=True)
        return None

    def _refusal(self, known: Known, forwards: tuple[Path, ...]) -> Reply | None:
        standing = known.standing(self._clock.now())
        if standing.may_send or all(self._rules.reach.covers(f, known.account.tenant_domains) for f in forwards):
            return None
        return standing_reply(standing, self._wording(known))

    def _wording(self, known: Known | None) -> Wording:
        if known is None:
            return wording(self._rules.style, self._default_terms, None)
        return wording(self._rules.style, known.terms, known.account.language)

    def _hashes(self, forwards: tuple[Path, ...], known: Known | None) -> tuple[str, ...]:
        """Say the keyed pseudonyms of recipients, for an account that was ever kept from writing to one."""
        imposed = [s.imposed for s in known.history.sanctions] if known is not None else []
        if not any(f.name == RECIPIENT for x in imposed for f in x.features):
            return ()
        return tuple(self._pseudonym(f.address) for f in forwards)

    def _pseudonym(self, address: str) -> str:
        return keyed_hash(self._keys.pseudonym, address.lower())

    # --- after the dot ------------------------------------------------------------------------------------------------

    async def enforce(self, intake: Intake) -> Answer:
        """Walk one message through the house."""
        order = self._bypass_order()
        if order is not None:
            return self._pass(intake, order)
        started = time.monotonic()
        item = await read(intake, self._clock.now(), self._keys)
        rule = self._rules.listeners[intake.session.listener]
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
            refusal = self._refusal(known, forwards)
            if refusal is not None and rule.is_after_queue:
                # It stays in the MTA's queue until the sanction ends (STANDING 5.7-20).
                refusal = waiting(refusal)
            if refusal is not None:
                sender = item.transaction.envelope.reverse_path
                self._recorder.denied(intake.session, known.account.account_id, refusal, sender, None)
                self._recorder.refused(item.transaction.id, refusal)
                return Answer(transaction_id=item.transaction.id, reply=refusal)
            if known.is_last_word and not known.is_good(self._clock.now()):
                self._recorder.refused(item.transaction.id, LEDGER_AWAY)
                return Answer(transaction_id=item.transaction.id, reply=LEDGER_AWAY)
        dns = self._resolver.for_message() if self._resolver is not None else None
        try:
            case, decision, assessment = await self._judge(item, author, direction, dns)
        except LedgerUnavailable as err:
            self._recorder.troubled(item.transaction.id, "ledger", err)
            return Answer(transaction_id=item.transaction.id, reply=LEDGER_AWAY)
        if rule.is_after_queue:
            decision = without_bounce(decision, known.history if known is not None else None)
        markers.reach("gate.decided")
        self._recorder.decided(item, case, decision, time.monotonic() - started, dns.asked if dns else ())
        markers.reach("gate.recorded")
        reply = self._reply(case, decision, author)
        if reply is not None:
            self._recorder.refused(item.transaction.id, reply)
            return Answer(transaction_id=item.transaction.id, reply=reply)
        raw = edited(
            intake.raw,
            transaction_id=item.transaction.id,
            message_fp=item.transaction.message_fp,
            direction=direction,
            disposition=decision.disposition,
            spam_score=assessment.score("spam"),
            remove=(rule.attribution.header_name,) if rule.attribution.header_name else (),
            is_complete=assessment.is_complete,
            assessment=assessment,
            authserv_id=rule.authserv_id,
        )
        return Answer(transaction_id=item.transaction.id, reply=None, raw=raw)

    def _reply(self, case: Case, decision: Decision, author: Author) -> Reply | None:
        if decision.disposition in (Disposition.ACCEPT, Disposition.TAG):
            return None
        # As it was when the mail came: what follows from this mail is told by a notice.
        standing = author.known.standing(case.at) if author.known is not None else None
        return decision_reply(decision, standing, self._wording(author.known))

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
        transaction_id, digest, raw = marked(intake, now, order, remove=remove, authserv_id=rule.authserv_id)
        self._recorder.bypassed(transaction_id, intake, order.order_id, digest, message_id(intake.raw))
        return Answer(transaction_id=transaction_id, reply=None, raw=raw)

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
        counts = await self._count(item, author, direction)
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
        terms = known.terms if known is not None else self._default_terms
        case = self._case(item, author, direction, assessment, counts, terms)
        await self._file_objection(item.transaction, author)
        if self._is_for_the_desk(item.transaction, author):
            decision = self._unjudged(case, author)
        elif breaches(case, terms):
            self._spool.put(item.transaction.id, item.message.raw)
            decision = await self._ledger.decide(case)
            markers.reach("gate.committed")
        else:
            history, around = (known.history, known.around) if known is not None else (None, ALONE)
            decision = decide(case, terms, self._rules.preset, history, (), around)
        if direction is Direction.INBOUND or known is None:
            decision = self._protect(decision, assessment, direction)
        return case, decision, assessment

    async def _count(self, item: Read, author: Author, direction: Direction) -> Counts | None:
        account = author.principal.account_id
        if account is None or direction is Direction.INBOUND:
            return None
        forwards = [f.path.address for f in item.transaction.envelope.forward_paths]
        fp = item.transaction.message_fp
        request = CountRequest(
            account_id=account,
            at=item.transaction.received_at,
            evidence_key=evidence_key(account, direction.value, fp),
            delivery_keys=tuple(delivery_key(fp, address) for address in forwards),
            recipient_hashes=tuple(self._pseudonym(address) for address in forwards),
            unknown=item.unknown_recipients,
            tenant_id=author.principal.tenant_id,
            client_id=self._client_id(item, author, direction),
        )
        try:
            return await self._ledger.count(request)
        except LedgerUnavailable as err:
            # Clean mail of an account in good standing goes on without the ledger; the rate check says so.
            self._recorder.troubled(item.transaction.id, "counters", err)
            if self._has_rates(author):
                raise
            return None

    def _client_id(self, item: Read, author: Author, direction: Direction) -> str | None:
        """Say under which address authenticated mail to the outside is counted."""
        if direction is not Direction.OUTBOUND or author.principal.strength is not Strength.STRONG:
            return None
        return client_id(self._keys.pseudonym, item.transaction.session)

    def _has_rates(self, author: Author) -> bool:
        """Say whether the account is kept to a number an hour or a day: such mail waits until it can be counted."""
        if author.known is None:
            return False
        return any(f.name in RATES for f in author.known.standing(self._clock.now()).features)

    def _case(
        self,
        item: Read,
        author: Author,
        direction: Direction,
        assessment: Assessment,
        counts: Counts | None,
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
            facts=self._facts(item.message, tuple(f.path for f in forwards), author, counts),
            assessment=assessment,
            policy_digest=terms.digest,
        )

    def _facts(
        self, message: Message, forwards: tuple[Path, ...], author: Author, counts: Counts | None
    ) -> MailFacts:
        domains = author.domains
        reachable = [f for f in forwards if author.account is not None and self._rules.reach.covers(f, domains)]
        return MailFacts(
            recipients=len(forwards),
            external_recipients=sum(1 for f in forwards if _is_external(f, domains)),
            has_attachments=bool(message.attachments),
            has_links=bool(message.links),
            counts=counts or Counts(),
            reachable_recipients=len(reachable),
            reachable_external=sum(1 for f in reachable if _is_external(f, domains)),
            recipient_hashes=self._hashes(tuple(f for f in forwards if f not in reachable), author.known),
            size_bytes=len(message.raw),
        )

    async def _file_objection(self, transaction: Transaction, author: Author) -> None:
        """Mail to the appeals address, whoever else gets it, files an objection against what is in force, before we
        say that we took the mail (TX-6.1)."""
        wants_review = any(self._rules.reach.is_appeal(f.path) for f in transaction.envelope.forward_paths)
        if author.principal.account_id is not None and wants_review:
            await self._ledger.object_by_mail(author.principal.account_id, transaction.id)

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
        terms = author.known.terms if author.known is not None else self._default_terms
        return decide(replace(case, assessment=Assessment(verdicts=())), terms, self._rules.preset, None, ())

    def _protect(self, decision: Decision, assessment: Assessment, direction: Direction) -> Decision:
        """Protection of our own users from strangers: refuse or mark, never points (CLAUSES 0.13)."""
        extra = protect(assessment, direction, self._rules.inbound)
        if not extra:
            return decision
        reasons = (*decision.reasons, *extra)
        return replace(decision, reasons=reasons, disposition=strongest(reasons))


def _is_external(forward: Path, domains: tuple[str, ...]) -> bool:
    # A path without a domain is a local name (RFC 5321 §4.1.1.3: <Postmaster>).
    return forward.domain not in (*domains, "")
