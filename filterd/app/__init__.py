"""The composition root: a Config becomes running parts. The only place that knows everybody.

`node` holds what one process runs: the ledger's half, the mail path's half, or both (`serve --workers 0`). Who starts
which process is `supervisor`'s matter.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Mapping
from contextlib import AsyncExitStack
from datetime import timedelta
from pathlib import Path

from filterd import __version__, metrics
from filterd.agreement.fold import apply
from filterd.agreement.load import load, unmapped
from filterd.agreement.protection import InboundChoices
from filterd.agreement.supplement import misbound, unfounded
from filterd.agreement.terms import Agreement
from filterd.app.checks import Neighbours as Neighbours
from filterd.app.checks import build_checks as build_checks
from filterd.app.checks import dns_resolver as dns_resolver
from filterd.app.checks import make_scanner as make_scanner
from filterd.checks import ALL_CODES
from filterd.cli.chain import ledger_rows
from filterd.clients.bypass_file import FILE_NAME as BYPASS_FILE
from filterd.clients.bypass_file import BypassFile
from filterd.clients.clock import FILE_NAME as CLOCK_FILE
from filterd.clients.clock import SettableClock, SystemClock
from filterd.clients.keys import load_keys
from filterd.clients.mailer import RelayMailer
from filterd.clients.relay import NextHopRelay
from filterd.clients.sink import start_sink
from filterd.config import Config, NextHopConfig
from filterd.doors.http import start_http
from filterd.doors.policyd import start_policyd
from filterd.doors.serving import DoorServer
from filterd.doors.smtp import start_smtp
from filterd.errors import ConfigError, PortError
from filterd.ledger.codec import decode
from filterd.ledger.engine import SPOOL_NAME, LedgerEngine
from filterd.ledger.link import Verb
from filterd.ledger.local import LocalLedger
from filterd.ledger.remote import RemoteLedger
from filterd.ledger.server import LinkServer
from filterd.ledger.spool import Spool
from filterd.ledger.store import FILE_NAME as STORE_FILE
from filterd.log import EventStream, Log, service_log
from filterd.model.decision import Case, Decision, Disposition
from filterd.model.entry import Entry
from filterd.model.records import KINDS, Record
from filterd.model.sanction import Mode, Preset
from filterd.model.standing import History
from filterd.pipeline import bypass
from filterd.pipeline.attribution import AttributionRule
from filterd.pipeline.gate import GateRules, ListenerRule, MailGate
from filterd.pipeline.imports import ImportVerbs
from filterd.pipeline.notice_mail import NoticeDesk
from filterd.pipeline.notices import NoticeSettings, Templates
from filterd.pipeline.reach import Reach
from filterd.pipeline.recorder import Recorder
from filterd.pipeline.replies import ReplyStyle
from filterd.pipeline.review import ReviewVerbs
from filterd.pipeline.verbs import AccountQuery, DeskRules, MailVerbs, Objection
from filterd.ports import AccountRef, Clock, EvidenceSpool, Keys, Ledger
from filterd.share import path
from filterd.workers.bypass import BypassWatch
from filterd.workers.outbox import OutboxWorker

KEY_FILE = "master.key"
SOCKET_FILE = "ledger.sock"
EVENTS_DIR = "events"
# Sessions in flight may finish within this time after SIGTERM; Postfix waits 100 s for a before-queue filter.
DRAIN_S = 60.0
_SWEEP_S = 60.0
_FLUSH_S = 5.0


# --- parts ------------------------------------------------------------------------------------------------------------


def socket_path(config: Config) -> Path:
    """Say where the ledger listens."""
    return config.node.state_dir / SOCKET_FILE


def bypass_file(config: Config) -> BypassFile:
    """Say where the order lies that lets all mail pass."""
    return BypassFile(config.node.state_dir / BYPASS_FILE)


def load_agreements(config: Config) -> dict[str, Agreement]:
    """Read every agreement file. Raises ConfigError with file, line and key for the first thing wrong."""
    folder = config.agreement.directory or path("policies/agreements")
    agreements = {}
    for file in sorted(folder.glob("*.toml")):
        found = load(file.read_bytes(), str(file), ALL_CODES)
        if found.id in agreements:
            raise ConfigError(f"agreement {found.id!r} stands in two files", file=file, key="id")
        agreements[found.id] = found
    if config.agreement.default not in agreements:
        raise ConfigError(f"no agreement {config.agreement.default!r} in {folder}", key="agreement.default")
    if wrong := unfounded(agreements):
        raise ConfigError(wrong, file=folder, key="supplements")
    if wrong := misbound(agreements, config.agreement.default, None):
        raise ConfigError(f"a tenant by default {wrong}", key="agreement.default")
    return agreements


def make_clock(config: Config) -> Clock:
    """Make the clock. A settable one exists only with the sink as next hop (HOUSE rule 14); config sees to it."""
    if config.node.clock == "settable":
        return SettableClock(config.node.state_dir / CLOCK_FILE)
    return SystemClock()


def desk_rules(config: Config, agreements: Mapping[str, Agreement]) -> DeskRules:
    """Collect what the ledger's half needs of the configuration."""
    return DeskRules(
        terms=agreements,
        by_digest={a.digest: a for a in agreements.values()},
        preset=Preset(config.agreement.preset),
        default_agreement=config.agreement.default,
        auto_create_per_day=config.accounts.max_auto_created_per_day if config.accounts.auto_create else 0,
        notice_merge=timedelta(seconds=config.notices.merge_s),
    )


def verbs(rules: DeskRules) -> dict[str, Verb]:
    """Everything the ledger can be asked to do, by name."""
    mail = MailVerbs(rules)
    table = {
        "account_for": Verb(
            request=None,
            response=AccountRef | None,
            run=lambda txn, given: mail.account_for(txn, AccountQuery(**given)),
        ),
        "decide": Verb(request=Case, response=Decision, run=mail.decide),
        "object_by_mail": Verb(
            request=None, response=None, run=lambda txn, given: mail.object_by_mail(txn, Objection(**given))
        ),
    }
    plain = ReviewVerbs(rules, mail).table() | ImportVerbs(rules).table() | bypass.table()
    plain |= {"ledger.rows": ledger_rows}
    return table | {name: Verb(request=None, response=None, run=run) for name, run in plain.items()}


def gate_rules(config: Config) -> GateRules:
    """Collect what the walk of a mail needs of the configuration."""
    return GateRules(
        listeners={
            item.name: ListenerRule(
                attribution=AttributionRule(
                    source=item.attribution,
                    received_by=item.received_by,
                    header_name=item.header_name,
                    login_domain=item.login_domain,
                ),
                direction=item.direction,
                is_after_queue=item.after_queue,
                authserv_id=item.authserv_id or item.hostname,
            )
            for item in config.listener
        },
        reach=Reach(
            appeals_address=config.notices.appeals_address,
            addresses=frozenset(a.lower() for a in config.always_reachable.addresses),
            local_parts=frozenset(p.lower() for p in config.always_reachable.local_parts),
        ),
        style=ReplyStyle(
            appeals_address=config.notices.appeals_address,
            object_url=config.notices.object_url,
            why_url=config.notices.why_url,
        ),
        preset=Preset(config.agreement.preset),
        inbound=InboundChoices(**{name: Disposition(x) for name, x in config.inbound.model_dump().items()}),
    )


def notice_settings(config: Config) -> NoticeSettings:
    return NoticeSettings(
        sender=config.notices.sender,
        appeals_address=config.notices.appeals_address,
        object_url=config.notices.object_url,
        always_reachable=config.always_reachable.addresses,
        reachable_local_parts=config.always_reachable.local_parts,
        copy_to_tenant=config.notices.copy_to_tenant,
    )


# --- halves -----------------------------------------------------------------------------------------------------------


class LedgerHalf:
    """The store, its socket, the outbox and the metrics page: what one process a node runs."""

    def __init__(self, config: Config, agreements: Mapping[str, Agreement], keys: Keys, clock: Clock):
        self._config, self._keys, self._clock = config, keys, clock
        self._rules = desk_rules(config, agreements)
        state = config.node.state_dir
        self.engine = LedgerEngine.open(state_dir=state, node=config.node.name, keys=keys, clock=clock, apply=_apply)
        self.ledger = LocalLedger(self.engine, verbs(self._rules))
        self.log = _log(config, "ledger", keys, clock)
        # A locked category is no label, not even by name (STANDING 5.8).
        named = (c for a in agreements.values() for c in a.category if c.mode is not Mode.C1)
        metrics.allow({x for c in named for x in (c.id, c.family)})

    async def run(self, stack: AsyncExitStack, mailer: RelayMailer) -> None:
        """Start everything; the stack ends it in reverse order."""
        stack.push_async_callback(self.engine.close)
        await self._check_agreements()
        await self._complete_stream()
        self._bypass = BypassWatch(self.engine.submit, bypass_file(self._config), self._clock, self.log)
        self.engine.on_entries(self._tell)
        link = LinkServer(self.ledger, socket_path(self._config))
        await link.start()
        stack.push_async_callback(link.close)
        await self._start_outbox(stack, mailer)
        _spawn(stack, self._upkeep())
        if self._config.http.enabled:
            server = await start_http(
                self._config.http,
                metrics.exposition,
                self._health,
                appeals_address=self._config.notices.appeals_address,
            )
            stack.callback(server.close)

    async def _check_agreements(self) -> None:
        """Refuse to start when a tenant is bound by an agreement that is not here: its mail could not be decided."""
        for tenant in await self.engine.submit(lambda txn: txn.tenants()):
            if wrong := misbound(self._rules.terms, tenant.agreement, tenant.supplement):
                folder = self._config.agreement.directory or path("policies/agreements")
                raise ConfigError(f"tenant {tenant.tenant_id} {wrong}", file=folder, key="agreement.directory")

    async def _complete_stream(self) -> None:
        """Write the rows that a crash kept from the event stream (HOUSE rule 15)."""
        seq = self.log.stream.last_ledger_seq(self.engine.writer_name)
        while rows := await self.engine.entries_after(seq):
            for row in rows:
                self.log.entry(row)
            seq = rows[-1].seq

    def _tell(self, entries: tuple[Entry, ...]) -> None:
        for entry in entries:
            record = decode(KINDS[entry.kind], entry.body)
            metrics.observe_record(record)
            try:
                self._bypass.committed(record)
            except (ConfigError, OSError) as err:
                service_log().error("bypass_file", error=str(err))
            try:
                self.log.entry(entry)
            except PortError as err:
                # The row is durable; the stream is completed from the ledger at the next start.
                metrics.observe_lost_event()
                service_log().error("stream_behind", seq=entry.seq, error=type(err).__name__)

    async def _start_outbox(self, stack: AsyncExitStack, mailer: RelayMailer) -> None:
        templates = Templates(path("policies/notices"))
        desk = NoticeDesk(self._rules, templates, notice_settings(self._config))
        worker = OutboxWorker(
            self.engine,
            self.engine.submit,
            desk,
            mailer,
            self._clock,
            on_notice=lambda sent: metrics.observe_outbox_result(
                is_done=sent.outcome == "accepted", is_final=sent.deemed_at is None
            ),
            on_error=lambda item, error: service_log().error("outbox", item=item, error=error),
        )
        stop = asyncio.Event()
        task = asyncio.create_task(worker.run(stop))

        async def end() -> None:
            stop.set()
            await task

        stack.push_async_callback(end)

    async def _upkeep(self) -> None:
        """Counters to disk and files nobody needs away, for ever."""
        swept_at = 0.0
        loop = asyncio.get_running_loop()
        while True:
            await asyncio.sleep(_FLUSH_S)
            await self._kept_up(self._bypass.look())
            await self._kept_up(self.engine.counters.flush())
            if loop.time() - swept_at > _SWEEP_S:
                swept_at = loop.time()
                await self._kept_up(self.engine.sweep())
            await self._kept_up(self._measure())

    async def _kept_up(self, step: Coroutine[None, None, object]) -> None:
        """Take one step. Whatever becomes of it, the others and tomorrow's must still happen."""
        try:
            await step
        except Exception as err:
            metrics.observe_trouble("upkeep")
            service_log().error("upkeep", error=type(err).__name__)

    async def _measure(self) -> None:
        pending = await self.engine.pending()
        oldest = min((item.created_at for item, _, _ in pending), default=self._clock.now())
        metrics.observe_outbox(len(pending), max(0.0, (self._clock.now() - oldest).total_seconds()))

    async def _health(self) -> Mapping[str, str | None]:
        return {"ledger": None}


class MailHalf:
    """Doors, checks and the gate: what each worker runs."""

    def __init__(
        self,
        config: Config,
        agreements: Mapping[str, Agreement],
        keys: Keys,
        clock: Clock,
        *,
        name: str,
        ledger: Ledger,
        spool: EvidenceSpool,
        next_hop: NextHopConfig,
        reuse_port: bool,
    ):
        self._config, self._agreements, self._keys, self._clock = config, agreements, keys, clock
        self.ledger, self._spool, self._next_hop, self._reuse_port = ledger, spool, next_hop, reuse_port
        self.log = _log(config, name, keys, clock)
        self.ports: dict[str, int] = {}

    async def run(self, stack: AsyncExitStack) -> None:
        """Open the doors; on the way out they drain before anything behind them ends."""
        recorder = Recorder(self.log)
        neighbours = Neighbours(
            scanner=await make_scanner(self._config),
            clock=self._clock,
            owner_of=self.ledger.domain_owner,
            account_of=self._account_of,
        )
        checks = build_checks(self._config, neighbours)
        resolver = dns_resolver(self._config)
        if resolver is not None:
            stack.push_async_callback(resolver.close)
        gate = MailGate(
            ledger=self.ledger,
            spool=self._spool,
            clock=self._clock,
            keys=self._keys,
            terms=self._agreements,
            default_terms=self._agreements[self._config.agreement.default],
            checks=checks,
            rules=gate_rules(self._config),
            recorder=recorder,
            bypass=bypass_file(self._config),
            resolver=resolver,
        )
        relay = NextHopRelay(self._next_hop)
        stack.push_async_callback(relay.close)
        servers: list[DoorServer] = []

        def on_error(session_id: str, error: BaseException) -> None:
            recorder.troubled(session_id, "door", error)

        for listener in self._config.listener:
            server = await start_smtp(
                listener, gate, relay, on_error=on_error, via=relay.name, reuse_port=self._reuse_port
            )
            servers.append(server)
            self.ports[listener.name] = server.port
        if self._config.policy_service.enabled:
            server = await start_policyd(
                self._config.policy_service, gate, on_error=on_error, reuse_port=self._reuse_port
            )
            servers.append(server)
            self.ports["policy"] = server.port
        stack.callback(self.log.stopped, "asked to")
        stack.push_async_callback(_drain, servers)
        self.log.started(
            version=__version__,
            role="worker",
            checks={check.name: check.version for check in checks},
            policies={a.id: a.digest for a in self._agreements.values()},
        )
        for agreement in self._agreements.values():
            for code in unmapped(agreement, ALL_CODES):
                service_log().warning("unmapped", agreement=agreement.id, code=code, effect="advisory")


    async def _account_of(self, login: str) -> str | None:
        """Say whose a canonical login is."""
        account = await self.ledger.account_for(login, may_create=False)
        return account.account_id if account is not None else None


async def _drain(servers: list[DoorServer]) -> None:
    await asyncio.gather(*(server.drain(DRAIN_S) for server in servers))


def _log(config: Config, name: str, keys: Keys, clock: Clock) -> Log:
    stream = EventStream(config.node.state_dir / EVENTS_DIR, f"{config.node.name}.{name}", clock.now)
    return Log(stream, pseudonym_key=keys.pseudonym)


def _apply(history: History, record: Record, account_id: str) -> History:
    return apply(history, record)


def _spawn(stack: AsyncExitStack, work: Coroutine[None, None, None]) -> None:
    task = asyncio.create_task(work)

    async def end() -> None:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    stack.push_async_callback(end)


# --- processes --------------------------------------------------------------------------------------------------------


def prepare(config: Config) -> tuple[dict[str, Agreement], Keys, Clock]:
    """Read what every process needs. Raises ConfigError or ModelError naming the file at fault: start is refused."""
    state = config.node.state_dir
    state.mkdir(mode=0o700, parents=True, exist_ok=True)
    agreements = load_agreements(config)
    # Beside an existing ledger a missing key must not be healed by a new one: nothing could be read any more.
    keys = load_keys(state / KEY_FILE, may_create=not (state / STORE_FILE).exists())
    return agreements, keys, make_clock(config)


async def next_hop(config: Config, stack: AsyncExitStack) -> NextHopConfig:
    """Say the next hop, starting the built-in sink when that is what the configuration asks for."""
    if config.next_hop.address != "sink":
        return config.next_hop
    folder = config.node.state_dir / "sink"
    folder.mkdir(parents=True, exist_ok=True)
    sink = await start_sink(directory=folder)
    stack.push_async_callback(sink.close)
    return config.next_hop.model_copy(update={"address": sink.address})


def notice_hop(config: Config, hop: NextHopConfig) -> NextHopConfig:
    """Say where notices go."""
    return hop.model_copy(update={"address": config.notices.relay}) if config.notices.relay else hop


async def run_ledger(config: Config, stack: AsyncExitStack, hop: NextHopConfig) -> LedgerHalf:
    """Start the ledger process."""
    agreements, keys, clock = prepare(config)
    half = LedgerHalf(config, agreements, keys, clock)
    relay = NextHopRelay(notice_hop(config, hop))
    stack.push_async_callback(relay.close)
    await half.run(stack, RelayMailer(relay))
    return half


async def run_worker(config: Config, stack: AsyncExitStack, hop: NextHopConfig, number: int) -> MailHalf:
    """Start one worker process, which talks to the ledger process over its socket."""
    agreements, keys, clock = prepare(config)
    ledger = RemoteLedger(socket_path(config))
    await ledger.start(wait_s=30)
    stack.push_async_callback(ledger.close)
    half = MailHalf(
        config,
        agreements,
        keys,
        clock,
        name=f"w{number}",
        ledger=ledger,
        spool=Spool(config.node.state_dir / SPOOL_NAME, keys.spool),
        next_hop=hop,
        reuse_port=True,
    )
    await half.run(stack)
    return half


async def run_all_in_one(config: Config, stack: AsyncExitStack) -> MailHalf:
    """Start everything in this process."""
    agreements, keys, clock = prepare(config)
    hop = await next_hop(config, stack)
    ledger = LedgerHalf(config, agreements, keys, clock)
    relay = NextHopRelay(notice_hop(config, hop))
    stack.push_async_callback(relay.close)
    await ledger.run(stack, RelayMailer(relay))
    half = MailHalf(
        config,
        agreements,
        keys,
        clock,
        name="w0",
        ledger=ledger.ledger,
        spool=ledger.engine.spool,
        next_hop=hop,
        reuse_port=False,
    )
    await half.run(stack)
    return half
