"""A real ledger behind a real socket, in a thread of its own, for commands that run beside it."""

from __future__ import annotations

import asyncio
import json
import shutil
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from functools import cache
from pathlib import Path
from typing import Any

import typer.testing
from structlog.testing import capture_logs
from typer.main import get_command
from typer.testing import CliRunner

from filterd.agreement.fold import apply
from filterd.cli import app
from filterd.cli.chain import VERB, ledger_rows
from filterd.cli.places import EVENTS_NAME, KEY_NAME, SOCKET_NAME
from filterd.clients.keys import load_keys
from filterd.ledger.engine import LedgerEngine
from filterd.ledger.link import Verb
from filterd.ledger.local import LocalLedger
from filterd.ledger.server import LinkServer
from filterd.log import EventStream, Log
from filterd.log.facts import entry_facts
from filterd.mail.address import parse_forward_path
from filterd.model.decision import Case, Counts, Decision, MailFacts
from filterd.model.entry import Entry
from filterd.model.ids import random_id
from filterd.model.principal import Basis, Principal, Strength
from filterd.model.records import Record
from filterd.model.reply import Reply
from filterd.model.sanction import Preset
from filterd.model.session import Direction, Door, Envelope, ForwardPath, Session, Transaction
from filterd.model.standing import History
from filterd.model.verdict import Assessment, Finding, Outcome, Verdict
from filterd.pipeline import bypass
from filterd.pipeline.human import human_verbs
from filterd.pipeline.imports import ImportVerbs
from filterd.pipeline.notice_mail import NoticeDesk
from filterd.pipeline.notice_verbs import NoticeVerbs
from filterd.pipeline.notices import NoticeSettings, Templates
from filterd.pipeline.people import guarded
from filterd.pipeline.verbs import AccountQuery, DeskRules, MailVerbs
from filterd.ports import AccountRef, Clock, Keys
from filterd.share import path
from tests.kit.clock import FrozenClock
from tests.kit.terms import tencent
from tests.kit.waiting import PATIENCE_S, wait_until

VIRUS = "virus.signature.match"
NODE = "node1"

# Every invocation would lay out all commands anew, which takes longer than most of them run.
typer.testing._get_command = cache(get_command)  # type: ignore[attr-defined]


def desk_rules() -> DeskRules:
    """What the ledger's half is told by an ordinary configuration."""
    terms = tencent()
    return DeskRules(
        terms={terms.id: terms},
        by_digest={terms.digest: terms},
        preset=Preset.SUPERVISED,
        default_agreement=terms.id,
        auto_create_per_day=100,
        notice_merge=timedelta(seconds=60),
    )


def open_ledger(state_dir: Path, keys: Keys, clock: Clock) -> LedgerEngine:
    """Open a real ledger with the real ladder."""

    def fold(history: History, record: Record, _account_id: str) -> History:
        return apply(history, record)

    return LedgerEngine.open(state_dir=state_dir, node=NODE, keys=keys, clock=clock, apply=fold)


class Ran:
    """What a command said: exit code, standard output, standard error."""

    def __init__(self, code: int, out: str, err: str):
        self.code, self.out, self.err = code, out, err

    @property
    def json(self) -> Any:
        return json.loads(self.out)

    @property
    def objects(self) -> list[Any]:
        return [json.loads(line) for line in self.out.splitlines()]


def run(*arguments: object, stdin: bytes | None = None, env: dict[str, str] | None = None) -> Ran:
    """Run a command in this process, as the console script would."""
    # No token, configuration or terminal of whoever runs the tests.
    clean = {"FILTERD_TOKEN": "", "FILTERD_CONFIG": "", "XDG_CONFIG_HOME": "/nonexistent", "COLUMNS": "120"}
    said = CliRunner().invoke(app, [str(a) for a in arguments], input=stdin, env={**clean, **(env or {})})
    if said.exception is not None and not isinstance(said.exception, SystemExit):
        raise said.exception
    return Ran(said.exit_code, said.stdout, said.stderr)


class House:
    """One node's ledger, with the verbs that the product gives it."""

    def __init__(self, state_dir: Path):
        self.state_dir, self.clock, self.terms = state_dir, FrozenClock(), tencent()
        self.keys = load_keys(state_dir / KEY_NAME)
        rules = desk_rules()
        self.mail = MailVerbs(rules)
        plain = human_verbs(rules, self.mail) | ImportVerbs(rules).table() | bypass.table()
        settings = NoticeSettings(sender="Policy <policy@filterd.example>", appeals_address="appeals@filterd.example")
        desk = NoticeDesk(rules, Templates(path("policies/notices")), settings)
        plain |= {VERB: ledger_rows} | NoticeVerbs(lambda: desk).table()
        self.verbs = {name: Verb(request=None, response=None, run=guarded(name, verb)) for name, verb in plain.items()}
        self._streamed = 0
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self.engine: LedgerEngine
        self.log: Log

    def open(self) -> None:
        self._thread.start()
        asyncio.run_coroutine_threadsafe(self._open(), self._loop).result(PATIENCE_S)

    async def _open(self) -> None:
        self.engine = open_ledger(self.state_dir, self.keys, self.clock)
        stream = EventStream(self.state_dir / EVENTS_NAME, f"{NODE}.ledger", self.clock.now)
        self.log = Log(stream, pseudonym_key=self.keys.pseudonym)
        self.engine.on_entries(self._stream)
        self._link = LinkServer(LocalLedger(self.engine, self.verbs), self.state_dir / SOCKET_NAME)
        await self._link.start()

    def _stream(self, entries: tuple[Entry, ...]) -> None:
        """As `Log.entry`, without its line for people: this process's standard output belongs to the command."""
        for entry in entries:
            said = entry_facts(entry)
            self.log.stream.append("entry", said["body"].get("transaction_id"), said, is_capped=False)
            self._streamed += 1

    def close(self) -> None:
        """Stop everything; doing it twice is harmless."""
        if not self._thread.is_alive():
            return

        async def end() -> None:
            await self._link.close()
            await self.engine.close()

        asyncio.run_coroutine_threadsafe(end(), self._loop).result(PATIENCE_S)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self.log.stream.close()

    # --- a past -------------------------------------------------------------------------------------------------------

    def account(self, login: str) -> AccountRef:
        """Have first mail make an account."""
        found = self.engine.run(lambda txn: self.mail.account_for(txn, AccountQuery(login=login, may_create=True)))
        assert found is not None
        return found

    def violate(self, account: AccountRef, *codes: str) -> tuple[Case, Decision]:
        """Have one mail of an account breach something, in the real ledger."""
        findings = tuple(Finding(code=code, confidence=1.0) for code in codes or (VIRUS,))
        verdict = Verdict(check="clamd", version="1", outcome=Outcome.FOUND, findings=findings)
        number = random_id("t", self.clock.now())
        case = Case(
            transaction_id=number,
            at=self.clock.now(),
            direction=Direction.OUTBOUND,
            principal=Principal(
                account_id=account.account_id,
                tenant_id=account.tenant_id,
                basis=Basis.XCLIENT,
                strength=Strength.STRONG,
                agreement=account.agreement,
            ),
            evidence_key=f"e{number}",
            delivery_keys=(f"k{number}",),
            text_fp=f"f{number}",
            facts=MailFacts(
                recipients=1, external_recipients=1, has_attachments=False, has_links=False, counts=Counts()
            ),
            assessment=Assessment(verdicts=(verdict,)),
            policy_digest=self.terms.digest,
        )
        decision = self.engine.run(lambda txn: self.mail.decide(txn, case))
        # The stream is told from the ledger's loop, soon after.
        wait_until(lambda: self._streamed >= self.engine.tally.entries, "the stream is told")
        return case, decision

    def tell(self, case: Case, decision: Decision, reply: Reply) -> None:
        """Write what the gate and the door would have written of a mail into the event stream."""
        session = Session(id="c_1", door=Door.SMTP, listener="smtp", peer_address="192.0.2.1")
        recipient = ForwardPath(path=parse_forward_path(b"<somebody@example.org>"))
        transaction = Transaction(
            id=case.transaction_id,
            received_at=case.at,
            session=session,
            envelope=Envelope(reverse_path=None, forward_paths=(recipient,)),
            message_fp="f" * 32,
            digest="d" * 64,
            size_bytes=1234,
        )
        self.log.decided(transaction, case, decision, message_id="<x@y>", elapsed_ms=3.2)
        with capture_logs():
            (self.log.delivered if reply.is_positive else self.log.refused)(case.transaction_id, reply)

    def run(self, *arguments: object, **options: Any) -> Ran:
        """Run a command on this house's state directory."""
        return run(*arguments, "--state-dir", self.state_dir, **options)

    def person(self, name: str, role: str = "moderator") -> str:
        """Add somebody as root; say the token."""
        said = self.run("person", "add", name, "--role", role, "--as-root", "--json")
        assert said.code == 0, said.err
        return str(said.json["token"])


@contextmanager
def open_house() -> Iterator[House]:
    # A short path: a socket's name holds 107 octets.
    folder = Path(tempfile.mkdtemp(prefix="filterd-cli-"))
    try:
        house = House(folder)
        house.open()
        try:
            yield house
        finally:
            house.close()
    finally:
        shutil.rmtree(folder, ignore_errors=True)
