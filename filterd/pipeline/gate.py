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
from filterd.agreement.standing import standing_at
from filterd.agreement.supplement import effective_terms
from filterd.agreement.terms import Agreement
from filterd.checks.run import run
from filterd.checks.spec import Check, Context
from filterd.errors import LedgerUnavailable, PeerError
from filterd.mail.address import canonical_login
from filterd.mail.fingerprint import delivery_key, evidence_key
from filterd.model.decision import Case, Counts, Decision, Disposition, MailFacts
from filterd.model.ids import keyed_hash
from filterd.model.message import Message
from filterd.model.principal import NOBODY, Basis, Principal, Strength
from filterd.model.reply import Reply
from filterd.model.sanction import RECIPIENT, Preset
from filterd.model.session import Direction, Path, Session, Transaction
from filterd.model.standing import History
from filterd.model.verdict import Assessment
from filterd.pipeline.attribution import AttributionRule, Claim, attribute
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
    AccountRef,
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


@dataclass(frozen=True, slots=True, kw_only=True)
class _Author:
    """Who answers for a mail, as far as the directory knows."""

    principal: Principal
    account: AccountRef | None = None
    history: History | None = None
    terms: Agreement | None = None
    is_unknown: bool = False
    is_last_word: bool = False


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
            account, history, is_last_word = await self._look_up(login, may_create=False)
        except LedgerUnavailable:
            return LEDGER_AWAY
        if account is None or history is None:
            return None
        reply = self._refused_recipient(account, history, forward, accepted)
        if reply is None and is_last_word and not self._is_good(account, history):
            return LEDGER_AWAY
        if reply is not None and rule is not None and rule.is_after_queue:
            reply = waiting(reply)
        if reply is not None:
            self._recorder.denied(session, account.account_id, reply, reverse_path, forward)
        return reply

    def _refused_recipient(
        self, account: AccountRef, history: History, forward: Path, accepted: int
    ) -> Reply | None:
        """Say why this recipient cannot be written to; what is seen only in the message waits for the message."""
        standing = standing_at(history, self._terms_of(account), self._clock.now())
        if self._rules.reach.covers(forward, account.tenant_domains):
            return None
        if not standing.may_send:
            return standing_reply(standing, self._wording(account))
        facts = MailFacts(
            recipients=accepted + 1,
            external_recipients=int(_is_external(forward, account.tenant_domains)),
            has_attachments=False,
            has_links=False,
            recipient_hashes=self._hashes((forward,), history),
        )
        for feature, _ in refused_features(facts, standing):
            if feature.name in REFUSED_BY_RECIPIENT:
                return feature_reply(feature, standing, self._wording(account), is_before_data=True)
        return None

    def _is_good(self, account: AccountRef, history: History) -> bool:
        """Say whether nothing counts against an account: its clean mail may pass while nobody can be asked."""
        standing = standing_at(history, self._terms_of(account), self._clock.now())
        return not (standing.sanctions or standing.holds or standing.strikes)

    def _refusal(self, account: AccountRef, history: History, forwards: tuple[Path, ...]) -> Reply | None:
        standing = standing_at(history, self._terms_of(account), self._clock.now())
        if standing.may_send or all(self._rules.reach.covers(f, account.tenant_domains) for f in forwards):
            return None
        return standing_reply(standing, self._wording(account))

    def _terms_of(self, account: AccountRef) -> Agreement:
        return effective_terms(self._terms, account.agreement, account.supplement, self._clock.now())

    def _wording(self, account: AccountRef | None) -> Wording:
        terms = self._terms_of(account) if account is not None else self._default_terms
        return wording(self._rules.style, terms, account.language if account is not None else None)

    def _hashes(self, forwards: tuple[Path, ...], history: History | None) -> tuple[str, ...]:
        """Say the keyed pseudonyms of recipients, for an account that was ever kept from writing to one."""
        imposed = [s.imposed for s in history.sanctions] if history is not None else []
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
            author = await self._author(claim)
        except LedgerUnavailable as err:
            self._recorder.troubled(item.transaction.id, "ledger", err)
            return Answer(transaction_id=item.transaction.id, reply=LEDGER_AWAY)
        direction = self._direction(rule, author, item.transaction)
        if author.account is not None and author.history is not None:
            forwards = tuple(f.path for f in item.transaction.envelope.forward_paths)
            refusal = self._refusal(author.account, author.history, forwards)
            if refusal is not None and rule.is_after_queue:
                # It stays in the MTA's queue until the sanction ends (STANDING 5.7-20).
                refusal = waiting(refusal)
            if refusal is not None:
                sender = item.transaction.envelope.reverse_path
                self._recorder.denied(intake.session, author.account.account_id, refusal, sender, None)
                self._recorder.refused(item.transaction.id, refusal)
                return Answer(transaction_id=item.transaction.id, reply=refusal)
            if author.is_last_word and not self._is_good(author.account, author.history):
                self._recorder.refused(item.transaction.id, LEDGER_AWAY)
                return Answer(transaction_id=item.transaction.id, reply=LEDGER_AWAY)
        dns = self._resolver.for_message() if self._resolver is not None else None
        try:
            case, decision, assessment = await self._judge(item, author, direction, dns)
        except LedgerUnavailable as err:
            self._recorder.troubled(item.transaction.id, "ledger", err)
            return Answer(transaction_id=item.transaction.id, reply=LEDGER_AWAY)
        if rule.is_after_queue:
            decision = without_bounce(decision, author.history)
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

    def _reply(self, case: Case, decision: Decision, author: _Author) -> Reply | None:
        if decision.disposition in (Disposition.ACCEPT, Disposition.TAG):
            return None
        # As it was when the mail came: what follows from this mail is told by a notice.
        standing = standing_at(author.history, author.terms, case.at) if author.history and author.terms else None
        return decision_reply(decision, standing, self._wording(author.account))

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

    async def _author(self, claim: Claim | None) -> _Author:
        """Find or create the account of a claim; nobody when there is no claim, or no room for new accounts."""
        if claim is None or claim.login is None:
            return _Author(principal=NOBODY)
        account, history, is_last_word = await self._look_up(claim.login, may_create=True)
        if account is None:
            return _Author(principal=Principal(basis=claim.basis), is_unknown=True)
        terms = self._terms_of(account)
        return _Author(
            principal=Principal(
                account_id=account.account_id,
                tenant_id=account.tenant_id,
                basis=claim.basis,
                strength=_STRENGTH[claim.basis],
                agreement=terms.id,
            ),
            account=account,
            history=history,
            terms=terms,
            is_last_word=is_last_word,
        )

    async def _look_up(
        self, login: str, *, may_create: bool
    ) -> tuple[AccountRef | None, History | None, bool]:
        """Ask the ledger; while it is away, go by its last word (HOUSE §5), which the third value says."""
        try:
            account = await self._ledger.account_for(login, may_create=may_create)
            if account is None:
                return None, None, False
            return account, await self._ledger.history(account.account_id), False
        except LedgerUnavailable:
            known = self._ledger.last_word(login)
            if known is None:
                raise
            return *known, True

    def _direction(self, rule: ListenerRule, author: _Author, transaction: Transaction) -> Direction:
        if rule.direction == "inbound" or (
            rule.direction == "auto" and author.account is None and not author.is_unknown
        ):
            return Direction.INBOUND
        domains = author.account.tenant_domains if author.account else ()
        forwards = transaction.envelope.forward_paths
        if forwards and all(f.path.domain in domains for f in forwards):
            return Direction.INTERNAL
        return Direction.OUTBOUND

    async def _judge(
        self, item: Read, author: _Author, direction: Direction, dns: Lookups | None
    ) -> tuple[Case, Decision, Assessment]:
        counts = await self._count(item, author, direction)
        context = Context(
            transaction=item.transaction,
            message=item.message,
            direction=direction,
            principal=author.principal,
            counts=counts,
            dns=dns,
            own_domains=author.account.tenant_domains if author.account else (),
            domains_declared=author.account is not None and author.account.domains_declared,
        )
        assessment = await run(
            self._checks, context, on_error=lambda check, tx, err: self._recorder.troubled(tx, check, err)
        )
        markers.reach("gate.judged")
        terms = author.terms or self._default_terms
        case = self._case(item, author, direction, assessment, counts, terms)
        await self._file_objection(item.transaction, author)
        if self._is_for_the_desk(item.transaction, author):
            decision = self._unjudged(case, author)
        elif breaches(case, terms):
            self._spool.put(item.transaction.id, item.message.raw)
            decision = await self._ledger.decide(case)
            markers.reach("gate.committed")
        else:
            decision = decide(case, terms, self._rules.preset, author.history, ())
        if direction is Direction.INBOUND or author.account is None:
            decision = self._protect(decision, assessment, direction)
        return case, decision, assessment

    async def _count(self, item: Read, author: _Author, direction: Direction) -> Counts | None:
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

    def _client_id(self, item: Read, author: _Author, direction: Direction) -> str | None:
        """Say under which address authenticated mail to the outside is counted."""
        if direction is not Direction.OUTBOUND or author.principal.strength is not Strength.STRONG:
            return None
        return client_id(self._keys.pseudonym, item.transaction.session)

    def _has_rates(self, author: _Author) -> bool:
        """Say whether the account is kept to a number an hour or a day: such mail waits until it can be counted."""
        if author.history is None or author.terms is None:
            return False
        features = standing_at(author.history, author.terms, self._clock.now()).features
        return any(f.name in RATES for f in features)

    def _case(
        self,
        item: Read,
        author: _Author,
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
        self, message: Message, forwards: tuple[Path, ...], author: _Author, counts: Counts | None
    ) -> MailFacts:
        domains = author.account.tenant_domains if author.account else ()
        reachable = [f for f in forwards if author.account is not None and self._rules.reach.covers(f, domains)]
        return MailFacts(
            recipients=len(forwards),
            external_recipients=sum(1 for f in forwards if _is_external(f, domains)),
            has_attachments=bool(message.attachments),
            has_links=bool(message.links),
            counts=counts or Counts(),
            reachable_recipients=len(reachable),
            reachable_external=sum(1 for f in reachable if _is_external(f, domains)),
            recipient_hashes=self._hashes(tuple(f for f in forwards if f not in reachable), author.history),
        )

    async def _file_objection(self, transaction: Transaction, author: _Author) -> None:
        """Mail to the appeals address, whoever else gets it, files an objection against what is in force, before we
        say that we took the mail (TX-6.1)."""
        wants_review = any(self._rules.reach.is_appeal(f.path) for f in transaction.envelope.forward_paths)
        if author.principal.account_id is not None and wants_review:
            await self._ledger.object_by_mail(author.principal.account_id, transaction.id)

    def _is_for_the_desk(self, transaction: Transaction, author: _Author) -> bool:
        domains = author.account.tenant_domains if author.account else ()
        forwards = transaction.envelope.forward_paths
        return (
            author.account is not None
            and bool(forwards)
            and all(self._rules.reach.is_desk(f.path, domains) for f in forwards)
        )

    def _unjudged(self, case: Case, author: _Author) -> Decision:
        """Mail to the appeals and abuse desks alone is never judged for points and never refused for content
        (STANDING 5.7-12); the desk's own mail path decides how to keep it."""
        terms = author.terms or self._default_terms
        return decide(replace(case, assessment=Assessment(verdicts=())), terms, self._rules.preset, None, ())

    def _protect(self, decision: Decision, assessment: Assessment, direction: Direction) -> Decision:
        """Protection of our own users from strangers: refuse or mark, never points (CLAUSES 0.13)."""
        extra = protect(assessment, direction, self._rules.inbound)
        if not extra:
            return decision
        reasons = (*decision.reasons, *extra)
        return replace(decision, reasons=reasons, disposition=strongest(reasons))


_STRENGTH = {
    Basis.SASL: Strength.STRONG,
    Basis.XCLIENT: Strength.STRONG,
    Basis.RECEIVED: Strength.STRONG,
    Basis.HEADER: Strength.STRONG,
    Basis.CLIENT_NET: Strength.MEDIUM,
    Basis.NONE: Strength.NONE,
}


def _is_external(forward: Path, domains: tuple[str, ...]) -> bool:
    # A path without a domain is a local name (RFC 5321 §4.1.1.3: <Postmaster>).
    return forward.domain not in (*domains, "")
