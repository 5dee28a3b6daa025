"""Run an agreement's own examples through the real ladder: the tests that travel with the text."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from filterd.agreement.decide import decide
from filterd.agreement.fold import apply
from filterd.agreement.sections import Example, ExampleAct
from filterd.agreement.standing import standing_at
from filterd.agreement.terms import Agreement
from filterd.agreement.violations import BURST
from filterd.model import records as r
from filterd.model.decision import Case, Decision, Disposition, MailFacts
from filterd.model.principal import Basis, Principal, Strength
from filterd.model.sanction import Rung
from filterd.model.session import Direction
from filterd.model.standing import History
from filterd.model.verdict import Assessment, Finding, Outcome, Verdict

# Any day will do: the agreement counts exact hours here.
START = datetime(2026, 3, 2, 1, 0, tzinfo=UTC)

_PRINCIPALS = {
    "strong": Principal(account_id="a_example", tenant_id="n_example", basis=Basis.SASL, strength=Strength.STRONG),
    "medium": Principal(
        account_id="a_example", tenant_id="n_example", basis=Basis.CLIENT_NET, strength=Strength.MEDIUM
    ),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """One thing an example says, and what came out, as people write it."""

    name: str
    expected: str
    actual: str


def run_example(terms: Agreement, example: Example) -> str | None:
    """Say what came out differently, or None when all is as the example claims."""
    claims = run_claims(terms, example)
    return next((f"{c.name} is {c.actual}, not {c.expected}" for c in claims if c.actual != c.expected), None)


def run_claims(terms: Agreement, example: Example) -> tuple[Claim, ...]:
    """Say everything the example claims, with what came out."""
    history, last = History(account_id="a_example"), None
    incidents = set()
    for index, act in enumerate(example.acts):
        last = decide(_case(terms, act, index), terms, example.preset, history, _deliveries(act, index))
        for record in last.records:
            history = apply(history, record)
        if last.incident_id is not None:
            incidents.add(last.incident_id)
        if act.noticed and last.incident_id is not None:
            history = apply(history, _notice(last.incident_id, _when(act.hour)))
    standing = standing_at(history, terms, _when(example.at_hour))
    return _compare(example, last, standing.half_points / 2, standing.rung, standing.until, len(incidents))


def _compare(
    example: Example, last: Decision | None, points: float, rung: Rung, until: datetime | None, incidents: int
) -> tuple[Claim, ...]:
    disposition = last.disposition if last is not None else Disposition.ACCEPT
    claims: list[tuple[str, object, object]] = [
        ("points", example.points, points),
        ("rung", example.rung, rung.word),
        ("disposition", example.disposition.value, disposition.value),
    ]
    if example.ends_hour is not None:
        claims.append(("ends_hour", example.ends_hour, (until - START) / timedelta(hours=1) if until else None))
    if example.incidents is not None:
        claims.append(("incidents", example.incidents, incidents))
    if example.violations is not None:
        claims.append(("violations", example.violations, tuple(v.category for v in last.violations) if last else ()))
    if example.advisory is not None:
        claims.append(("advisory", example.advisory, last.advisory if last else ()))
    return tuple(Claim(name=name, expected=_said(want), actual=_said(got)) for name, want, got in claims)


def _said(value: object) -> str:
    return " ".join(value) or "empty" if isinstance(value, tuple) else str(value)


def _when(hour: float) -> datetime:
    return START + timedelta(hours=hour)


def _deliveries(act: ExampleAct, index: int) -> tuple[str, ...]:
    return tuple(f"r{index}.{n}" for n in range(act.recipients))


# Which signal group the checks give their findings, by area; the others have none.
_SIGNALS = {
    "rate": "behaviour",
    "content": "content",
    "complaint": "complaints",
    "sender": "identity",
    "link": "link",
    "attachment": "attachment",
    "pii": "pii",
}


def _case(terms: Agreement, act: ExampleAct, index: int) -> Case:
    codes = (*act.findings, *((BURST,) if act.burst else ()))
    findings = tuple(
        Finding(code=code, confidence=act.confidence, signal=_SIGNALS.get(code.split(".")[0])) for code in codes
    )
    outcome = Outcome.FOUND if findings else Outcome.CLEAN
    verdict = Verdict(check="example", version="1", outcome=outcome, findings=findings)
    return Case(
        transaction_id=f"t_example{index}",
        at=_when(act.hour),
        direction=Direction(act.direction),
        principal=_PRINCIPALS[act.strength],
        evidence_key=f"e_example{index}",
        delivery_keys=_deliveries(act, index),
        text_fp=f"x_example{index}",
        facts=MailFacts(
            recipients=act.recipients,
            external_recipients=act.recipients if act.external_recipients is None else act.external_recipients,
            has_attachments=act.has_attachments,
            has_links=act.has_links,
            size_bytes=act.size_bytes,
        ),
        assessment=Assessment(verdicts=(verdict,)),
        policy_digest=terms.digest,
    )


def _notice(incident_id: str, at: datetime) -> r.NoticeSent:
    return r.NoticeSent(
        at=at,
        notice_id="m_example",
        account_id="a_example",
        incident_ids=(incident_id,),
        template="warning",
        languages=("en",),
        channel="mail",
        outcome="accepted",
        deemed_at=at,
        body_digest="",
    )
