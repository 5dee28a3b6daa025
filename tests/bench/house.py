"""The whole walk of a mail with every check switched on, and nothing outside this process.

The real gate, the checks `app` builds, the real resolver with its cache (over a zone in memory), the real event stream
in a folder. Behind the gate stands a ledger that knows one account in good standing and counts one message.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

from filterd import app
from filterd.checks.spec import Check
from filterd.clients.clock import SystemClock
from filterd.clients.keys import derive
from filterd.clients.resolver import DnsResolver
from filterd.clients.resolver_wire import Reply as DnsReply
from filterd.config import Config, ListenerConfig
from filterd.demo.zone import Zone
from filterd.log import EventStream, Log
from filterd.mail.address import parse_forward_path, parse_reverse_path
from filterd.model.decision import Case, Counts, Decision
from filterd.model.reply import Reply
from filterd.model.session import Door, Envelope, ForwardPath, Session
from filterd.model.verdict import Verdict
from filterd.pipeline.attribution import AttributionRule
from filterd.pipeline.gate import ListenerRule, MailGate
from filterd.pipeline.inert import NoLedger, NoSpool
from filterd.pipeline.intake import Read
from filterd.pipeline.recorder import Recorder
from filterd.ports import Answer, CountRequest, Intake, Scanner
from tests.bench.signed import CLIENT, Signers
from tests.kit.zones import ZoneLookups

OWN = "tenant.example"
_TTL_S = 3600
_SOON = timedelta(days=90)
_YES = Reply(code=250, enhanced="2.0.0", text="Ok: queued as BENCH01")

_TERMS = """id = "bench"
label = "gambling"
languages = ["en", "zh"]
legal_basis = "None: words for measuring"
expires_at = {expires_at}
terms = [{terms}]
"""
_FEED = "".join(f"host{number}.bad.example\nhttp://shop{number}.example/win/\n" for number in range(1000))


@dataclass(slots=True, kw_only=True)
class Letter:
    """A mail with the session it came in. `domain`: of the reverse-path and HELO of a stranger; None: of ours.

    `intake` is what the door hands over, made beforehand.
    """

    raw: bytes
    domain: str | None
    is_signed: bool = False
    intake: Intake = field(init=False)

    def __post_init__(self) -> None:
        self.intake = _intake(self.raw, self.domain)


def letters(mails: list[bytes], signers: Signers) -> tuple[list[Letter], list[Letter]]:
    """Make every other mail one of ours, the rest strangers' mail, most of it signed. Gives (outbound, inbound)."""
    inbound = []
    for number, raw in enumerate(mails[1::2]):
        domain = signers.domain_of(number)
        signed = raw if domain is None else signers.sign(raw, domain)
        inbound.append(Letter(raw=signed, domain=domain or f"u{number % 50}.unknown.example", is_signed=bool(domain)))
    return [Letter(raw=raw, domain=None) for raw in mails[::2]], inbound


class CountingLedger(NoLedger):
    """A `NoLedger` that has counters, so that the check of behaviour has something to look at."""

    async def count(self, request: CountRequest) -> Counts:
        return Counts(messages_hour=1, messages_day=1, recipients_hour=1, recipients_day=1)


class Hearer(Recorder):
    """Hears the last decision and every trouble of a check, and passes on to the real recorder, if there is one."""

    def __init__(self, inner: Recorder | None):
        self._inner = inner
        self.heard: tuple[Read, Case, Decision] | None = None
        self.troubles: list[tuple[str, str]] = []

    def decided(self, item: Read, case: Case, decision: Decision, elapsed_s: float, asked: Any = ()) -> None:
        self.heard = (item, case, decision)
        if self._inner is not None:
            self._inner.decided(item, case, decision, elapsed_s, asked)

    def delivered(self, transaction_id: str, reply: Reply, refused_recipients: int = 0) -> None:
        if self._inner is not None:
            self._inner.delivered(transaction_id, reply, refused_recipients)

    def refused(self, transaction_id: str, reply: Reply, refused_recipients: int = 0) -> None:
        if self._inner is not None:
            self._inner.refused(transaction_id, reply, refused_recipients)

    def held(self, transaction_id: str, item_id: str, reply: Reply, queue_id: str | None = None) -> None:
        if self._inner is not None:
            self._inner.held(transaction_id, item_id, reply)

    def forget(self) -> None:
        self.heard = None
        self.troubles.clear()

    @property
    def verdicts(self) -> tuple[Verdict, ...]:
        """The verdicts of the last mail."""
        return self.heard[1].assessment.verdicts if self.heard is not None else ()

    def troubled(self, transaction_id: str | None, what: str, error: BaseException) -> None:
        self.troubles.append((what, type(error).__name__))


class House:
    """A gate to walk mail through.

    Args:
        folder: for the event stream, the term list and the link feed.
        zone: all of DNS.
        scanner: None: no virus check.
        around: wraps each check, for measuring.
        is_recorded: False: as `filterd scan` does it, without event stream, metrics and log line.
    """

    def __init__(
        self,
        folder: Path,
        zone: Zone,
        scanner: Scanner | None = None,
        around: Callable[[Check], Check] = lambda check: check,
        *,
        is_recorded: bool = True,
    ):
        folder.mkdir(exist_ok=True)
        self.config = _config(folder)
        clock, keys = SystemClock(), derive(bytes(32))
        agreements = app.load_agreements(self.config)
        terms = agreements[self.config.agreement.default]
        rules = app.gate_rules(self.config)
        ledger = CountingLedger(terms, rules.preset)
        neighbours = app.Neighbours(scanner=scanner, clock=clock, owner_of=ledger.domain_owner, account_of=_nobody)
        self.checks = tuple(around(check) for check in app.build_checks(self.config, neighbours))
        log = Log(EventStream(folder, "bench", clock.now), pseudonym_key=keys.pseudonym) if is_recorded else None
        self.recorder = Hearer(Recorder(log) if log is not None else None)
        listeners = {
            "out": ListenerRule(attribution=AttributionRule(source="xclient"), direction="outbound"),
            "in": ListenerRule(attribution=AttributionRule(), direction="inbound", authserv_id="mx.tenant.example"),
        }
        self._gate = MailGate(
            ledger=ledger,
            spool=NoSpool(),
            clock=clock,
            keys=keys,
            terms=agreements,
            default_terms=terms,
            checks=self.checks,
            rules=replace(rules, listeners=listeners),
            recorder=self.recorder,
            resolver=DnsResolver(_answers(zone)),
        )

    async def walk(self, letter: Letter) -> Answer:
        """Take one mail from the dot to the answer, and to the next hop's yes."""
        answer = await self._gate.enforce(letter.intake)
        if answer.reply is None:
            self.recorder.delivered(answer.transaction_id, _YES, 0)
        return answer


def _config(folder: Path) -> Config:
    terms = folder / "terms"
    terms.mkdir(exist_ok=True)
    words = ", ".join(f'"velvet teapot {chr(97 + a)}{chr(97 + b)}"' for a in range(20) for b in range(20))
    expires_at = (SystemClock().now() + _SOON).strftime("%Y-%m-%d")
    (terms / "bench.toml").write_text(_TERMS.format(terms=words, expires_at=expires_at), encoding="utf-8")
    feed = folder / "feed.txt"
    feed.write_text(_FEED, encoding="utf-8")
    return Config.model_validate(
        {
            "listener": [ListenerConfig()],
            "terms": {"folder": terms},
            "links": {"feed": feed, "protected_domains": [OWN]},
            "sender": {
                "protected_domains": [OWN],
                "protected_name": [{"name": "Tenant Helpdesk", "domains": ["own"]}],
            },
        }
    )


def _answers(zone: Zone) -> Callable[[tuple[bytes, ...], str], Awaitable[DnsReply]]:
    async def ask(labels: tuple[bytes, ...], rdtype: str) -> DnsReply:
        name = b".".join(labels).decode("utf-8", "surrogateescape")
        return DnsReply(answer=ZoneLookups(zone).known(name, rdtype), ttl_s=_TTL_S)

    return ask


async def _nobody(login: str) -> str | None:
    return None


def _intake(raw: bytes, stranger: str | None) -> Intake:
    is_ours = stranger is None
    domain = OWN if stranger is None else stranger
    session = Session(
        id="c_bench",
        door=Door.SMTP,
        listener="out" if is_ours else "in",
        peer_address="127.0.0.1",
        is_trusted_peer=True,
        client_address=CLIENT,
        helo=f"mx.{domain}",
        login=f"bench@{OWN}" if is_ours else None,
        login_source="xclient" if is_ours else None,
    )
    recipient = "to@example.net" if is_ours else f"to@{OWN}"
    envelope = Envelope(
        reverse_path=parse_reverse_path(f"<sender@{domain}>".encode()),
        forward_paths=(ForwardPath(path=parse_forward_path(f"<{recipient}>".encode())),),
    )
    return Intake(session=session, envelope=envelope, raw=raw, is_normalised=False)
