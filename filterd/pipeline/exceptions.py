"""What do the operator's lists say of this mail?  MAIL-PATH §5 (29, 30, 33), ops/docs/EXCEPTIONS.md.

At RCPT: one recipient refused by what the envelope shows, or asked for in a transaction of its own where other choices
hold for it than for those before it. After the dot: the choices for strangers' mail, entry by entry; of recipients that
differ all the same, what is strictest counts for all.

Which entry is followed is said in agreement/exceptions. Nothing here touches what an account of ours answers for:
standing comes first, violations are decided elsewhere, and entries that lessen anything are about strangers' mail only.
"""

from __future__ import annotations

import ipaddress
from collections import OrderedDict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Protocol

from filterd.agreement.disposition import strongest
from filterd.agreement.exceptions import ExceptionTable, Match, applied, choice_of, settle
from filterd.agreement.protection import InboundChoices, protect
from filterd.mail.author import author
from filterd.model.decision import STRENGTH, Decision, Disposition, Reason
from filterd.model.exception import DENY, GROUPS, NULL_SENDER, SPAM_AT, Address, Applied, MailTraits
from filterd.model.message import Message
from filterd.model.session import Direction, Door, Path, Session, Transaction
from filterd.model.verdict import Assessment, Finding, Outcome, Verdict
from filterd.pipeline.author import Known
from filterd.pipeline.gate_rules import GateRules

DENIED, DIFFER = "exception.deny", "exception.recipients"
SPAM_MODEL = "content.spam.model"
# Entries of a topic that an event names, the one that is followed first.
MOST_SAID = 20
# Sessions whose first recipient is remembered; more than a node can hold open at once.
_SESSIONS_MAX = 20_000
# What proves a domain, and in which property the result names it (RFC 8601 §2.7).
_PROVES = {"spf": "smtp.mailfrom", "dkim": "header.d", "dmarc": "header.from"}

Settled = Mapping[str, tuple[Match, ...]]


class ExceptionSource(Protocol):
    """Says the lists in force: the same object until something has changed."""

    async def current(self) -> ExceptionTable: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Screened:
    """What is said of one recipient before the message. `is_apart`: nothing against it, but in a transaction of its
    own; else the first of `entries` is followed and refuses it."""

    entries: tuple[Applied, ...] = ()
    is_apart: bool = False


class ExceptionDesk:
    """One a gate. `source` None: there are no lists."""

    def __init__(self, source: ExceptionSource | None, rules: GateRules):
        self._source, self._rules = source, rules
        self._first: OrderedDict[str, object] = OrderedDict()

    # --- before the message -------------------------------------------------------------------------------------------

    async def screen(
        self,
        session: Session,
        reverse_path: Path | None,
        forward: Path,
        at: datetime,
        *,
        known: Known | None = None,
        accepted: int = 0,
    ) -> Screened | None:
        """Say what the lists have against one recipient now; None: nothing, or nothing that can be said yet.

        Args:
            known: the account of the session's login.
            accepted: how many recipients of this transaction have passed before it.
        """
        table = await self._table()
        is_outbound = self._is_outbound(session)
        if table is None or is_outbound is None:
            return None
        mail = _traits(session, reverse_path, forward, at, known, is_outbound=is_outbound)
        settled = settle(self._without_reach(table.matching(mail), forward, known))
        said = settled.get(DENY, ())
        if said and said[0].is_certain and choice_of(said[0].entry, DENY) != Disposition.ACCEPT:
            return Screened(entries=applied({DENY: said[:MOST_SAID]}))
        if self._may_part(session) and self._differs(session.id, _outlook(settled), accepted):
            return Screened(is_apart=True)
        return None

    def _is_outbound(self, session: Session) -> bool | None:
        """Say whose mail this is going to be, None while only the message will say."""
        rule = self._rules.listeners.get(session.listener)
        if rule is None:
            return session.login is not None if session.door is Door.POLICY else None
        if rule.is_after_queue:
            # A refusal would be a bounce: it is settled after the dot, and held.
            return None
        if rule.direction == "inbound":
            return False
        if rule.direction == "outbound" or session.login is not None:
            return True
        return None if rule.attribution.source in ("received", "header") else False

    def _may_part(self, session: Session) -> bool:
        rule = self._rules.listeners.get(session.listener)
        return rule is not None and rule.is_selective

    def _differs(self, session_id: str, outlook: object, accepted: int) -> bool:
        """Say whether other choices hold than for the first recipient of the transaction."""
        if accepted and session_id in self._first:
            return self._first[session_id] != outlook
        self._first[session_id] = outlook
        self._first.move_to_end(session_id)
        if len(self._first) > _SESSIONS_MAX:
            self._first.popitem(last=False)
        return False

    # --- after the dot ------------------------------------------------------------------------------------------------

    async def settle(
        self,
        decision: Decision,
        transaction: Transaction,
        message: Message,
        known: Known | None,
        direction: Direction,
        assessment: Assessment,
    ) -> Decision:
        """Say the decision with what protects our own users from strangers, and with what the lists say of it."""
        is_ours = known is not None and direction is not Direction.INBOUND
        table = await self._table()
        if table is None or (direction is not Direction.INBOUND and not table.has_outbound):
            return decision if is_ours else self._protected(decision, (), assessment, direction)
        if decision.held_id is not None:
            # It is held already, durable, and goes nowhere before a person has seen it.
            return decision
        found = self._profiles(table, transaction, message, known, direction, assessment)
        outcomes = [self._with(decision, settled, assessment, direction, is_ours=is_ours) for settled in found]
        worst = max(outcomes, key=lambda one: STRENGTH.index(one.disposition), default=None)
        if worst is None:
            return decision if is_ours else self._protected(decision, (), assessment, direction)
        entries = tuple(dict.fromkeys(entry for settled in found for entry in applied(_shortened(settled))))
        reasons = worst.reasons
        if len({one.disposition for one in outcomes}) > 1:
            reasons = (*reasons, Reason(code=DIFFER, disposition=Disposition.ACCEPT))
        return replace(worst, reasons=reasons, exceptions=entries)

    def _profiles(
        self,
        table: ExceptionTable,
        transaction: Transaction,
        message: Message,
        known: Known | None,
        direction: Direction,
        assessment: Assessment,
    ) -> list[Settled]:
        """Say what the lists say, once for all recipients about whom they say the same."""
        session, envelope = transaction.session, transaction.envelope
        from_domain, proofs = author(message).domain, proofs_in(assessment)
        found: dict[frozenset[tuple[str, tuple[int, ...]]], Settled] = {}
        for forward in envelope.forward_paths:
            mail = _traits(
                session,
                envelope.reverse_path,
                forward.path,
                transaction.received_at,
                known,
                is_outbound=direction is not Direction.INBOUND,
            )
            mail = replace(mail, from_domain=from_domain, proofs=proofs)
            matches = self._without_reach(table.matching(mail), forward.path, known)
            key = frozenset((match.entry.id, match.closeness) for match in matches)
            if key not in found:
                found[key] = settle(matches)
        return list(found.values())

    def _with(
        self, decision: Decision, settled: Settled, assessment: Assessment, direction: Direction, *, is_ours: bool
    ) -> Decision:
        """Say the decision as one recipient would have it."""
        extra: list[Reason] = []
        said = settled.get(DENY, ())
        if said and (entry := said[0].entry).denial is not None:
            effect = Disposition.REJECT if entry.denial.is_final else Disposition.DEFER
            extra.append(Reason(code=DENIED, disposition=effect, ids=(entry.id,)))
        if is_ours:
            return _joined(decision, extra)
        return self._protected(decision, extra, assessment, direction, settled)

    def _protected(
        self,
        decision: Decision,
        extra: Iterable[Reason],
        assessment: Assessment,
        direction: Direction,
        settled: Settled | None = None,
    ) -> Decision:
        """Protection of our own users from strangers: refuse or mark, never points (CLAUSES 0.13)."""
        choices = self._rules.inbound
        if settled:
            choices = chosen(choices, settled)
            assessment = _gated(assessment, settled)
        return _joined(decision, (*extra, *protect(assessment, direction, choices)))

    # --- both ---------------------------------------------------------------------------------------------------------

    async def _table(self) -> ExceptionTable | None:
        table = await self._source.current() if self._source is not None else None
        return table if table is not None and table.entries else None

    def _without_reach(self, matches: Iterable[Match], forward: Path, known: Known | None) -> tuple[Match, ...]:
        """Leave out refusals where mail is always taken: objections reach us whatever is listed (STANDING 5.7-12)."""
        domains = known.account.tenant_domains if known is not None else ()
        if not self._rules.reach.covers(forward, domains):
            return tuple(matches)
        return tuple(match for match in matches if match.entry.denial is None)


def _shortened(settled: Settled) -> Settled:
    return {topic: matches[:MOST_SAID] for topic, matches in settled.items()}


def chosen(choices: InboundChoices, settled: Settled) -> InboundChoices:
    """Say the operator's choices with what the lists choose instead."""
    instead = {
        group: Disposition(choice)
        for group in GROUPS
        if (said := settled.get(group)) and (choice := choice_of(said[0].entry, group)) is not None
    }
    return replace(choices, **instead)


def proofs_in(assessment: Assessment) -> frozenset[tuple[str, str]]:
    """Say which methods passed, and for which domain."""
    return frozenset(
        (result.method, value.lower())
        for verdict in assessment.verdicts
        for result in verdict.results
        if result.result == "pass"
        for name, value in result.properties
        if name == _PROVES.get(result.method)
    )


def _gated(assessment: Assessment, settled: Settled) -> Assessment:
    """Say the verdicts with another threshold for spam, where the lists have one."""
    said = settled.get(SPAM_AT)
    score = assessment.score("spam")
    if not said or score is None:
        return assessment
    is_spam = score >= float(choice_of(said[0].entry, SPAM_AT) or 1)
    return replace(assessment, verdicts=tuple(_regated(v, score, is_spam=is_spam) for v in assessment.verdicts))


def _regated(verdict: Verdict, score: float, *, is_spam: bool) -> Verdict:
    if all(name != "spam" for name, _ in verdict.scores):
        return verdict
    left = tuple(f for f in verdict.findings if f.code != SPAM_MODEL)
    if is_spam:
        left = (*left, Finding(code=SPAM_MODEL, confidence=score))
    return replace(verdict, findings=left, outcome=Outcome.FOUND if left else Outcome.CLEAN)


def _joined(decision: Decision, extra: Iterable[Reason]) -> Decision:
    more = tuple(extra)
    if not more:
        return decision
    reasons = (*decision.reasons, *more)
    return replace(decision, reasons=reasons, disposition=strongest(reasons))


def _outlook(settled: Settled) -> object:
    """Say what may be chosen for a recipient, in a form that is equal for two who can share a transaction."""
    out = []
    for topic, matches in settled.items():
        said = []
        for match in matches:
            # What only the message will show is told apart by name; what is certain hides all that comes after it.
            said.append((match.entry.id if not match.is_certain else "", choice_of(match.entry, topic)))
            if match.is_certain:
                break
        out.append((topic, tuple(said)))
    return tuple(out)


def _traits(
    session: Session, reverse_path: Path | None, forward: Path, at: datetime, known: Known | None, *, is_outbound: bool
) -> MailTraits:
    account = known.account if known is not None else None
    return MailTraits(
        at=at,
        is_outbound=is_outbound,
        recipient=forward.address.lower(),
        client=_client(session),
        sender=reverse_path.address.lower() if reverse_path is not None else NULL_SENDER,
        account=account.login if account is not None else None,
        tenants=(account.tenant_id.lower(), *account.tenant_domains) if account is not None else (),
    )


def _client(session: Session) -> Address | None:
    """Say the client's address; of a peer that speaks for others, only what it says (`known_client`)."""
    text = session.known_client
    try:
        address = ipaddress.ip_address(text) if text else None
    except ValueError:
        return None
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return mapped or address
