"""What would become of this mail?  One walk through the real gate, with nothing behind it that remembers or acts.

The effectors are inert by type (HOUSE rule 14): the ledger knows one fresh account in good standing and forgets at
once, the spool keeps nothing, nothing is relayed. There are no counters: what looks at behaviour over time is skipped.
What the mail can do is in the result; only a bug of ours raises.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from filterd.agreement.terms import Agreement
from filterd.checks.spec import Check
from filterd.errors import UsageError
from filterd.log.facts import check_facts, decision_facts, locked_codes
from filterd.mail.lines import canonical
from filterd.model.ids import random_id
from filterd.model.reply import Reply
from filterd.model.session import Door, Envelope, ForwardPath, Path, Session
from filterd.pipeline.attribution import AttributionRule
from filterd.pipeline.gate import GateRules, ListenerRule, MailGate
from filterd.pipeline.inert import Ear, NoLedger, NoSpool
from filterd.ports import Clock, Intake, Keys, Resolver

_LISTENER = "scan"
_OUTBOUND = ListenerRule(attribution=AttributionRule(source="xclient"), direction="outbound")
_INBOUND = ListenerRule(attribution=AttributionRule(), direction="inbound")


@dataclass(frozen=True, slots=True, kw_only=True)
class ScanOptions:
    """The envelope and the session that the mail is to have come with.

    Args:
        reverse_path: None is the null sender.
        client_address: None for a client nobody knows.
        login: in its canonical spelling; None makes it inbound mail from a stranger.
    """

    reverse_path: Path | None = None
    forward_paths: tuple[Path, ...] = ()
    client_address: str | None = None
    helo: str | None = None
    login: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ScanResult:
    """What was found and decided.

    Args:
        reply: None when the mail would have been relayed.
        scores: of all checks, label to probability.
        verdicts, decision: as the event `decided` says them (ops/docs/EVENTS.md).
        clauses: what a refusal cites, in the agreement's own numbers.
        troubles: (check, kind of error) of checks that raised.
    """

    transaction_id: str
    direction: str
    disposition: str
    reply: Reply | None
    scores: Mapping[str, float]
    verdicts: list[dict[str, Any]]
    clauses: tuple[str, ...]
    decision: Mapping[str, Any]
    is_complete: bool
    defects: tuple[str, ...]
    size_bytes: int
    elapsed_ms: float
    troubles: tuple[tuple[str, str], ...] = ()

    def as_json(self) -> dict[str, Any]:
        """Say it as a dictionary that JSON can say."""
        reply = None
        if self.reply is not None:
            reply = {"code": self.reply.code, "enhanced": self.reply.enhanced, "text": self.reply.text}
        return {
            "disposition": self.disposition,
            "reply": reply,
            "scores": dict(self.scores),
            "verdicts": self.verdicts,
            "clauses": list(self.clauses),
            "reasons": self.decision["reasons"],
            "violations": self.decision["violations"],
            "rung_after": self.decision["rung_after"],
            "direction": self.direction,
            "is_complete": self.is_complete,
            "defects": list(self.defects),
            "troubles": [{"check": check, "kind": kind} for check, kind in self.troubles],
            "size_bytes": self.size_bytes,
            "elapsed_ms": self.elapsed_ms,
        }


async def scan(
    raw: bytes,
    options: ScanOptions,
    checks: tuple[Check, ...],
    terms: Agreement,
    *,
    rules: GateRules,
    clock: Clock,
    keys: Keys,
    resolver: Resolver | None = None,
) -> ScanResult:
    """Walk one mail through the house.

    Args:
        raw: as it lies on disk; line ends are made canonical here.
        checks: as `arrange` returned them.
        terms: the agreement that binds the account of `options.login`.
        rules: reach, style, preset and inbound protection are taken from them; listeners are not.
        resolver: None leaves the checks that ask DNS out.
    """
    started = time.monotonic()
    octets, changes = canonical(raw)
    ear = Ear()
    gate = MailGate(
        ledger=NoLedger(terms, rules.preset),
        spool=NoSpool(),
        clock=clock,
        keys=keys,
        terms={terms.id: terms},
        default_terms=terms,
        checks=checks,
        rules=replace(rules, listeners={_LISTENER: _INBOUND if options.login is None else _OUTBOUND}),
        recorder=ear,
        resolver=resolver,
    )
    intake = Intake(
        session=_session(options, clock), envelope=_envelope(options), raw=octets, is_normalised=bool(changes)
    )
    answer = await gate.enforce(intake)
    if ear.heard is None:
        raise UsageError(f"{answer.transaction_id}: the gate answered without a decision")
    item, case, decision = ear.heard
    scores: dict[str, float] = {}
    for verdict in case.assessment.verdicts:
        scores |= {label: score for label, score in verdict.scores if label not in scores}
    return ScanResult(
        transaction_id=answer.transaction_id,
        direction=case.direction.value,
        disposition=decision.disposition.value,
        reply=answer.reply,
        scores=scores,
        verdicts=check_facts(case.assessment, locked_codes(decision)),
        clauses=tuple(dict.fromkeys(terms.clause[c].number for c in decision.clauses if c in terms.clause)),
        decision=decision_facts(decision),
        is_complete=case.assessment.is_complete,
        defects=item.message.defects,
        size_bytes=item.transaction.size_bytes,
        elapsed_ms=round((time.monotonic() - started) * 1000, 3),
        troubles=tuple(ear.troubles),
    )


def _session(options: ScanOptions, clock: Clock) -> Session:
    return Session(
        id=random_id("c", clock.now()),
        door=Door.SCAN,
        listener=_LISTENER,
        peer_address="127.0.0.1",
        is_trusted_peer=True,
        client_address=options.client_address,
        helo=options.helo,
        login=options.login,
        login_source=None if options.login is None else "xclient",
    )


def _envelope(options: ScanOptions) -> Envelope:
    return Envelope(
        reverse_path=options.reverse_path,
        forward_paths=tuple(ForwardPath(path=path) for path in options.forward_paths),
    )
