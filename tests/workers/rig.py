"""Accounts with a past, made by the real ladder, for tests of what they are told."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from filterd.agreement.annul import annul
from filterd.agreement.decide import decide
from filterd.agreement.fold import apply
from filterd.agreement.terms import Agreement
from filterd.model import records as r
from filterd.model.decision import Case, Decision, MailFacts, NoticeDue
from filterd.model.ids import derived_id
from filterd.model.principal import Account, Basis, Principal, Strength, Tenant
from filterd.model.sanction import Preset
from filterd.model.session import Direction
from filterd.model.standing import History
from filterd.model.verdict import Assessment, Finding, Outcome, Verdict
from filterd.pipeline.notices import NoticeSettings, Templates
from filterd.share import path
from tests.kit.terms import tencent

START = datetime(2026, 3, 2, 1, 0, tzinfo=UTC)

ACCOUNT = Account(account_id="a_dave", tenant_id="n_corp", login="dave@corp.example")
TENANT = Tenant(
    tenant_id="n_corp",
    name="Corp Ltd",
    agreement="tencent-exmail",
    domains=("corp.example",),
    contact="admin@corp.example",
)
SETTINGS = NoticeSettings(
    sender="Mail policy <policy@filterd.example>",
    appeals_address="appeals@filterd.example",
    object_url="https://filterd.example/case/",
    always_reachable=("help@filterd.example",),
)

SPAM = "content.spam.model"
VIRUS = "virus.signature.match"
_SIGNALS = {"rate": "behaviour", "content": "content", "complaint": "complaints", "sender": "identity"}


def templates() -> Templates:
    return Templates(path("policies/notices"))


def at(hour: float) -> datetime:
    return START + timedelta(hours=hour)


@dataclass(kw_only=True)
class Story:
    """One account's past. Every act goes through `decide`; what it notices is kept in `due`."""

    terms: Agreement = field(default_factory=tencent)
    preset: Preset = Preset.SUPERVISED
    account_id: str = ACCOUNT.account_id
    history: History = field(init=False)
    records: list[r.Record] = field(default_factory=list)
    due: list[NoticeDue] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.history = History(account_id=self.account_id)

    def take(self, *records: r.Record) -> None:
        for record in records:
            self.records.append(record)
            self.history = apply(self.history, record)

    def mail(
        self, hour: float, *codes: str, recipients: int = 1, burst: bool = False, noticed: bool = True
    ) -> Decision:
        """One message with these findings; its notice, if any, is received at once unless `noticed` is False."""
        case = self.case(hour, *codes, recipients=recipients, burst=burst)
        decision = decide(case, self.terms, self.preset, self.history, case.delivery_keys)
        self.take(*decision.records)
        self.due += decision.notices
        if noticed and decision.notices:
            self.take(self.notice(decision.notices[0].incident_id, hour))
        return decision

    def case(self, hour: float, *codes: str, recipients: int = 1, burst: bool = False) -> Case:
        found = (*codes, *(("rate.burst.running",) if burst else ()))
        findings = tuple(Finding(code=c, confidence=1.0, signal=_SIGNALS.get(c.split(".")[0])) for c in found)
        verdict = Verdict(
            check="test", version="1", outcome=Outcome.FOUND if findings else Outcome.CLEAN, findings=findings
        )
        name = f"{hour}.{len(self.records)}"
        return Case(
            transaction_id=f"t_{name}",
            at=at(hour),
            direction=Direction.OUTBOUND,
            principal=Principal(
                account_id=self.account_id, tenant_id=TENANT.tenant_id, basis=Basis.SASL, strength=Strength.STRONG
            ),
            evidence_key=f"e_{name}",
            delivery_keys=tuple(f"r_{name}.{n}" for n in range(recipients)),
            text_fp=f"x_{name}",
            facts=MailFacts(
                recipients=recipients, external_recipients=recipients, has_attachments=False, has_links=False
            ),
            assessment=Assessment(verdicts=(verdict,)),
            policy_digest=self.terms.digest,
        )

    def notice(self, incident_id: str, hour: float) -> r.NoticeSent:
        return r.NoticeSent(
            at=at(hour),
            notice_id=derived_id("m", incident_id, str(hour)),
            account_id=self.account_id,
            incident_ids=(incident_id,),
            template="warning",
            languages=("en",),
            channel="account",
            outcome="accepted",
            deemed_at=at(hour),
            body_digest="",
        )

    def object(self, hour: float, sanction_id: str, incident_id: str) -> None:
        self.take(
            r.ObjectionFiled(
                at=at(hour),
                appeal_id=derived_id("p", sanction_id),
                sanction_id=sanction_id,
                incident_id=incident_id,
                account_id=self.account_id,
                channel="mail",
            )
        )

    def annul(self, hour: float, incident_id: str) -> tuple[str, ...]:
        """Undo an incident; say every sanction that it touched."""
        undone = annul(
            self.account_id,
            self.records,
            self.terms,
            self.preset,
            incident_id=incident_id,
            at=at(hour),
            by="mei",
            reason="a mistake",
        )
        self.take(*undone.records)
        owned = [s.imposed.sanction_id for s in self.history.sanctions if s.imposed.incident_id == incident_id]
        return (*owned, *undone.changed_sanctions)

    @property
    def incident_id(self) -> str:
        """The latest incident."""
        return self.history.incidents[-1].opened.incident_id

    def sanction_ids(self, incident_id: str | None = None) -> tuple[str, ...]:
        wanted = incident_id or self.incident_id
        return tuple(s.imposed.sanction_id for s in self.history.sanctions if s.imposed.incident_id == wanted)


def first_virus() -> Story:
    """Two messages with a virus: a warning, and a hold with the second."""
    story = Story()
    story.mail(0, VIRUS, noticed=False)
    story.mail(0.05, VIRUS, recipients=2)
    return story


def three_bursts(preset: Preset = Preset.SUPERVISED) -> Story:
    """Spam bursts on days 0, 2 and 4: a warning, a restriction, a suspension of a week."""
    story = Story(preset=preset)
    for day in (0, 2, 4):
        story.mail(day * 24, SPAM, recipients=300, burst=True)
    return story
