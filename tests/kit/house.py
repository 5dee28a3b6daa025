"""A house on a real ledger with scripted checks: what the tests of the pipeline drive."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path as File
from typing import Any

from filterd import app
from filterd.agreement.fold import apply
from filterd.agreement.terms import Agreement
from filterd.checks.spec import Check, Code, Context
from filterd.clients.keys import derive
from filterd.config import Config
from filterd.errors import LedgerUnavailable
from filterd.ledger.engine import LedgerEngine
from filterd.ledger.local import LocalLedger
from filterd.log import EventStream, Log, read_events, stream_files
from filterd.mail.address import parse_forward_path
from filterd.model.session import Door, Envelope, ForwardPath, Session
from filterd.model.standing import History
from filterd.model.verdict import AuthResult, FailMode, Finding, Outcome, Verdict
from filterd.pipeline.effects import promises_of
from filterd.pipeline.gate import MailGate
from filterd.pipeline.protecting import EFFECT
from filterd.pipeline.recorder import Recorder
from filterd.ports import Answer, Intake
from tests.kit.clock import FrozenClock
from tests.kit.waiting import PATIENCE_S

START = datetime(2026, 3, 2, 1, 0, tzinfo=UTC)
KEYS = derive(bytes(range(32)))
SIGNALS = {"content": "content", "rate": "behaviour", "sender": "identity", "complaint": "complaints"}


@dataclass
class Script:
    """What the scripted check answers next."""

    codes: tuple[str, ...] = ()
    outcome: Outcome | None = None
    results: tuple[AuthResult, ...] = ()
    asked: int = 0

    async def run(self, context: Context) -> Verdict:
        self.asked += 1
        findings = tuple(Finding(code=c, confidence=1.0, signal=SIGNALS.get(c.split(".")[0])) for c in self.codes)
        outcome = self.outcome or (Outcome.FOUND if findings else Outcome.CLEAN)
        return Verdict(check="script", version="1", outcome=outcome, findings=findings, results=self.results)

    def check(self, fail_mode: FailMode = FailMode.DEFER) -> Check:
        from filterd.checks import ALL_CODES

        codes = tuple(Code(code=code, label="scripted", signal=SIGNALS.get(code.split(".")[0])) for code in ALL_CODES)
        return Check(name="script", version="1", codes=codes, run=self.run, deadline_s=PATIENCE_S, fail_mode=fail_mode)


class AwayLedger(LocalLedger):
    """The real ledger, until somebody pulls the plug."""

    is_away = False

    async def account_for(self, login: str, *, may_create: bool) -> Any:
        self._look()
        return await super().account_for(login, may_create=may_create)

    async def history(self, account_id: str) -> History:
        self._look()
        return await super().history(account_id)

    async def count(self, request: Any) -> Any:
        self._look()
        return await super().count(request)

    async def decide(self, case: Any) -> Any:
        self._look()
        return await super().decide(case)

    def _look(self) -> None:
        if self.is_away:
            raise LedgerUnavailable("away")


@dataclass
class House:
    """Gate, ledger and clock of one test."""

    folder: File
    config: Config
    script: Script = field(default_factory=Script)
    # What rows promise by themselves (ports.FollowUp), None: what the configured effectors do.
    follow_up: Any = None

    async def open(self) -> House:
        self.agreements = agreements = app.load_agreements(self.config, START)
        self.clock = FrozenClock(START)
        self.engine = LedgerEngine.open(
            state_dir=self.folder,
            node="t",
            keys=KEYS,
            clock=self.clock,
            apply=lambda h, x, _: apply(h, x),
            follow_up=self.follow_up or promises_of(self.config.effectors.names),
        )
        desk = app.desk_rules(self.config, agreements)
        self.by_digest = dict(desk.by_digest)
        self.rules = rules = replace(desk, by_digest=self.by_digest)
        self.ledger = AwayLedger(self.engine, app.verbs(rules))
        log = Log(EventStream(self.folder / "events", "t.w0", self.clock.now), pseudonym_key=KEYS.pseudonym)
        self.gate = MailGate(
            ledger=self.ledger,
            spool=self.engine.spool,
            clock=self.clock,
            keys=KEYS,
            terms=agreements,
            default_terms=agreements[self.config.agreement.default],
            checks=(self.script.check(),),
            rules=app.mail_rules(self.config),
            recorder=Recorder(log),
            bypass=app.bypass_file(self.config),
        )
        return self

    def use_checks(self, *checks: Check) -> None:
        """Judge by these from now on."""
        self.gate._checks = checks
        self.gate._furnish()

    def terms(self) -> Agreement:
        return self.agreements[self.config.agreement.default]

    def swap_terms(self, new: Agreement) -> None:
        """Put another version of the agreement in force, as a restart with a changed file would."""
        changed = new.model_copy(update={"digest": "0" * 64})
        self.agreements[new.id] = changed
        self.by_digest[changed.digest] = changed

    async def close(self) -> None:
        await self.engine.close()

    async def send(
        self,
        raw: bytes,
        *recipients: str,
        login: str | None = None,
        listener: str = "submission",
        is_trusted: bool = True,
    ) -> Answer:
        session = Session(
            id="c_1",
            door=Door.SMTP,
            listener=listener,
            peer_address="127.0.0.1",
            is_trusted_peer=is_trusted,
            login=login,
            login_source="xclient" if login else None,
        )
        forwards = tuple(ForwardPath(path=parse_forward_path(f"<{r}>".encode())) for r in recipients)
        envelope = Envelope(reverse_path=None, forward_paths=forwards)
        return await self.gate.enforce(Intake(session=session, envelope=envelope, raw=raw))

    async def show(self, login: str) -> dict[str, Any]:
        shown: dict[str, Any] = await self.ledger.call("account.show", {"account": login})
        return shown

    async def logins(self) -> list[str]:
        return [row["login"] for row in await self.ledger.call("account.list", {})]

    def events(self, name: str) -> list[dict[str, Any]]:
        return [e for e in read_events(stream_files(self.folder / "events")) if e.get("event") == name]

    async def notice_received(self) -> None:
        """Say that every notice promised so far was received now."""
        from filterd.model.records import NoticeSent

        self.clock.advance(120)
        for item in await self.engine.lease(self.clock.now(), 100, without=(EFFECT,)):
            given = item.payload
            if "event" in given:
                # A general notice, about no incident.
                continue
            sent = NoticeSent(
                at=self.clock.now(),
                notice_id=f"m_{item.item_id}",
                account_id=given["account_id"],
                incident_ids=(given["incident_id"],),
                template="+".join(given["templates"]),
                languages=("en",),
                channel="mail",
                outcome="accepted",
                deemed_at=self.clock.now(),
                body_digest="",
            )
            account, tenant = given["account_id"], given["tenant_id"]
            await self.engine.done(
                item.item_id, lambda txn, s=sent, a=account, t=tenant: txn.append(s, account_id=a, tenant_id=t)
            )


def letter(subject: str = "Hello", *fields: str, sender: str = "alice@cust.example") -> bytes:
    """A small canonical mail."""
    head = [
        *fields,
        f"From: <{sender}>",
        "To: <bob@other.example>",
        f"Subject: {subject}",
        f"Message-ID: <{subject}@x>",
    ]
    return "\r\n".join([*head, "", "Dear Bob,", "see you on Tuesday.", ""]).encode()
