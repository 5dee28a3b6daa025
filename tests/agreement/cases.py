"""Cases to decide on: findings of one mail of one account."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from filterd.model.decision import Case, MailFacts
from filterd.model.principal import NOBODY, Basis, Principal, Strength
from filterd.model.session import Direction
from filterd.model.verdict import Assessment, Finding, Outcome, Verdict

NOON = datetime(2026, 3, 2, 4, tzinfo=UTC)
STRONG = Principal(account_id="a_1", tenant_id="n_1", basis=Basis.SASL, strength=Strength.STRONG)
MEDIUM = Principal(account_id="a_1", tenant_id="n_1", basis=Basis.CLIENT_NET, strength=Strength.MEDIUM)
STRANGER = NOBODY
# Which group the checks give their findings, by area.
SIGNALS = {
    "rate": "behaviour",
    "content": "content",
    "complaint": "complaints",
    "sender": "identity",
    "link": "link",
    "attachment": "attachment",
    "pii": "pii",
}


def finding(code: str, confidence: float = 1.0, why: tuple[tuple[str, str], ...] = ()) -> Finding:
    return Finding(code=code, confidence=confidence, why=why, signal=SIGNALS.get(code.split(".")[0]))


def assessed(*found: Finding | str, outcome: Outcome = Outcome.FOUND) -> Assessment:
    findings = tuple(finding(f) if isinstance(f, str) else f for f in found)
    return Assessment(verdicts=(Verdict(check="test", version="1", outcome=outcome, findings=findings),))


def case(found: Sequence[Finding | str], **changes: Any) -> Case:
    said: dict[str, Any] = {
        "transaction_id": "t_1",
        "at": NOON,
        "direction": Direction.OUTBOUND,
        "principal": STRONG,
        "evidence_key": "e_1",
        "delivery_keys": ("k_1",),
        "text_fp": "x_1",
        "facts": MailFacts(recipients=1, external_recipients=1, has_attachments=False, has_links=False),
        "assessment": assessed(*found),
        "policy_digest": "",
    }
    return Case(**(said | changes))
