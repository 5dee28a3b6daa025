"""The ledger's half: the store, its socket, the outbox and the metrics page.  One a node."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable, Coroutine, Iterable, Mapping
from contextlib import AsyncExitStack
from dataclasses import replace
from datetime import timedelta

from filterd import metrics
from filterd.agreement.sections_breaker import BreakerSection
from filterd.agreement.supplement import misbound
from filterd.app.announced import AnnouncedWatch
from filterd.app.clocks import clock_worker, keep_clocks, keep_own_dns, own_dns_worker
from filterd.app.current import CurrentDesk, CurrentVerbs
from filterd.app.directory import directory_lookups
from filterd.app.effects import bounce_worker, claw_back_worker, effects_worker
from filterd.app.held import held_worker, measure_held
from filterd.app.mailer import CurrentSigner, SigningMailer
from filterd.app.notices import notice_verbs, outbox_worker
from filterd.app.paging import UrgentWatch, follow_ups, paging_carriers
from filterd.app.parts import (
    EVENTS_DIR,
    bypass_file,
    desk_rules,
    fold,
    make_log,
    notice_settings,
    record,
    socket_path,
    verbs,
)
from filterd.app.policy import Policy
from filterd.app.raised import RaisedWatch
from filterd.app.watching import appeal_page, breaker_watch
from filterd.clients.relay import NextHopRelay
from filterd.clients.verdict_index import open_index
from filterd.doors.http import start_http
from filterd.errors import ConfigError, PortError, UsageError
from filterd.ledger.codec import decode
from filterd.ledger.engine import LedgerEngine
from filterd.ledger.local import LocalLedger
from filterd.ledger.server import LinkServer
from filterd.log import EntryFeed, service_log
from filterd.model.about import NOTHING
from filterd.model.entry import Entry
from filterd.model.records import KINDS
from filterd.model.sanction import Mode
from filterd.pipeline.notice_mail import NoticeDesk
from filterd.pipeline.notices import Templates
from filterd.pipeline.verbs import DeskRules
from filterd.ports import Clock, Keys, LedgerTxn, Mailer, VerdictIndex
from filterd.share import path
from filterd.workers.bypass import BypassWatch
from filterd.workers.indexer import start_indexer
from filterd.workers.retention import RetentionWorker

# What other nodes count reaches this one after two of these at most; the rest of the upkeep needs no such hurry.
_FLUSH_S = 1.0
_LOOK_EACH = 5
_SWEEP_EACH = 60
_RETAIN_EACH = 3600


class LedgerHalf:
    """What one process a node runs. `take` puts another policy in force while it runs."""

    def __init__(self, policy: Policy, keys: Keys, clock: Clock):
        config = self._config = policy.config
        self.policy = policy
        self._keys = keys
        self._clock = clock
        self._next: Policy | None = None
        self._failing: tuple[str, ...] = ()
        rules = _rules(policy)
        self._verbs = CurrentVerbs(verbs(rules))
        self._templates = Templates(path("policies/notices"))
        self._desk = CurrentDesk(NoticeDesk(rules, self._templates, notice_settings(config), keys.token))
        self.engine = LedgerEngine.open(
            state_dir=config.node.state_dir,
            node=config.node.name,
            keys=keys,
            clock=clock,
            apply=fold,
            url=config.ledger.url,
            anchors=config.ledger.anchors,
            anchor_command=config.ledger.anchor_command,
            follow_up=follow_ups(config),
        )
        table = self._verbs.table()
        # None: the operator has no directory of his own that could be asked.
        self._lookups = directory_lookups(config.directory, self.engine.submit, rules, clock)
        if self._lookups is not None:
            table["account_for"] = replace(table["account_for"], outside=self._lookups.account_for)
        table |= notice_verbs(lambda: self._desk.desk)
        self.ledger = LocalLedger(self.engine, table, trusted_s=config.ledger.last_word_s)
        self.engine.spool.quota_bytes = config.evidence.spool_mb << 20
        self._retention = RetentionWorker(
            self.engine.retention,
            lambda: self.engine.has_timers,
            quarantine_keep=timedelta(days=config.evidence.quarantine_days),
            # Where the clock is set by hand, jumps are meant.
            **({"steady": lambda: clock.now().timestamp()} if config.node.clock == "settable" else {}),
        )
        self.log = make_log(config, "ledger", keys, clock)
        self._feed = EntryFeed(self.log, self.engine.writer_name, self.engine.entries_after)
        _allow(policy)

    async def run(self, stack: AsyncExitStack, bare: Mailer, relay: NextHopRelay) -> None:
        """Start everything; the stack ends it in reverse order.

        Args:
            bare: sends mail of our own as it is; what can be signed is signed before.
            relay: where released mail goes.
        """
        signer = CurrentSigner(lambda: self.policy.config.signing)
        mailer = SigningMailer(bare, signer, self._clock)
        stack.push_async_callback(self.engine.close)
        if self._lookups is not None:
            stack.push_async_callback(self._lookups.close)
        await self.engine.submit(lambda txn: check_tenants(txn, self.policy), NOTHING)
        # Rows that a crash kept from the event stream (HOUSE rule 15).
        await self._feed.complete()
        self._raised = RaisedWatch(
            lambda look: self.engine.submit(look, NOTHING), lambda: self.policy.agreements, self._clock
        )
        await self._raised.look()
        self._announced = AnnouncedWatch(
            lambda look: self.engine.submit(look, NOTHING), lambda: self.policy.agreements, self._clock
        )
        await self._announced.look()
        self._bypass = BypassWatch(self.engine.submit, bypass_file(self._config), self._clock, self.log)
        self._breakers = await breaker_watch(self.engine, self._breaker_rules, self._clock)
        self._urgent = UrgentWatch(is_paged=self._config.paging.enabled)
        await self.engine.submit(self._urgent.begin, NOTHING)
        self.engine.on_entries(self._tell)
        self.engine.on_weather(self._weather)
        link = LinkServer(self.ledger, socket_path(self._config))
        await link.start()
        stack.push_async_callback(link.close)
        await self._start_outbox(stack, mailer)
        held = held_worker(
            self._config,
            self.engine,
            self._desk,
            mailer,
            relay,
            self._clock,
            signer,
        )
        start_worker(stack, held.run)
        effects = effects_worker(
            self._config,
            self.engine,
            lambda: _rules(self.policy),
            self._clock,
            mailer,
            pseudonym_key=self._keys.pseudonym,
        )
        start_worker(stack, effects.run)
        claw_backs = claw_back_worker(
            self._config,
            self.engine,
            lambda: _rules(self.policy),
            self._desk,
            self._clock,
            mailer,
            pseudonym_key=self._keys.pseudonym,
        )
        start_worker(stack, claw_backs.run)
        spawn(stack, self._upkeep())
        worker = clock_worker(self._config, self.engine, lambda: _rules(self.policy), self._clock)
        spawn(stack, keep_clocks(worker, self._clock))
        own_dns = own_dns_worker(self._config, self.engine, lambda: _rules(self.policy), signer)
        spawn(stack, keep_own_dns(own_dns, self._clock))
        self._start_index(stack)
        if self._config.http.enabled:
            server = await start_http(
                self._config.http,
                metrics.exposition,
                self._health,
                appeals_address=self._config.notices.appeals_address,
                appeal=appeal_page(self._config, self.ledger, self._keys, self._clock),
            )
            stack.callback(server.close)

    # --- another policy -----------------------------------------------------------------------------------------------

    async def prepare(self, policy: Policy) -> None:
        """Look whether `policy` could be taken, and keep it for `take`. Raises ConfigError."""
        await self.engine.submit(lambda txn: check_tenants(txn, policy), NOTHING)
        self._next = policy

    async def take(self) -> None:
        """Put what was prepared in force, or change nothing. Raises ConfigError, LedgerUnavailable.

        In the ledger's own queue: no tenant can be bound between the last look and the swap.
        """
        policy, old = self._next, self.policy
        if policy is None:
            raise UsageError("no policy was prepared")

        def swap(txn: LedgerTxn) -> None:
            check_tenants(txn, policy)
            self._put(policy)

        try:
            await self.engine.submit(swap)
        except BaseException:
            self._put(old)
            raise
        finally:
            self._next = None
        _allow(policy)
        record(lambda: self.log.config(checks={}, policies=policy.digests))

    def drop(self) -> None:
        """Forget what was prepared."""
        self._next = None

    def refused(self, file: str | None, line: int | None, key: str | None) -> None:
        """Record that a reload was refused, and where the fault is."""
        record(lambda: self.log.config_refused(file=file, line=line, key=key))

    def failing(self, names: Iterable[str]) -> None:
        """Be told which processes end again and again: the node is not well while there is one."""
        self._failing = tuple(names)

    def _put(self, policy: Policy) -> None:
        rules = _rules(policy)
        self._verbs.verbs = verbs(rules)
        self._desk.desk = NoticeDesk(rules, self._templates, notice_settings(policy.config), self._keys.token)
        if self._lookups is not None:
            self._lookups.go_by(rules)
        self.policy = policy

    # --- the event stream ---------------------------------------------------------------------------------------------

    def _tell(self, entries: tuple[Entry, ...]) -> None:
        for entry in entries:
            said = decode(KINDS[entry.kind], entry.body)
            metrics.observe_record(said)
            self._urgent.committed(said)
            self._breakers.committed(entry.account_id, said)
            try:
                self._bypass.committed(said)
            except (ConfigError, OSError) as err:
                service_log().error("bypass_file", error=str(err))
        try:
            self._feed.tell(entries)
        except PortError as err:
            # The rows are durable; upkeep writes them from the ledger as soon as the stream takes them.
            metrics.observe_lost_event()
            service_log().error("stream_behind", seq=entries[-1].seq, error=type(err).__name__)

    # --- work that goes on --------------------------------------------------------------------------------------------

    async def _start_outbox(self, stack: AsyncExitStack, mailer: Mailer) -> None:
        carriers = paging_carriers(self._config, self.engine)
        worker = outbox_worker(self._config, self.engine, self._desk, mailer, self._clock, carriers)
        start_worker(stack, worker.run)
        bounces = bounce_worker(self._config, self.engine, self._desk, self._clock, mailer)
        start_worker(stack, bounces.run)

    def _start_index(self, stack: AsyncExitStack) -> None:
        config = self._config
        if (index := self._index()) is not None:
            events = config.node.state_dir / EVENTS_DIR
            start_indexer(stack, index, events, self._clock, retention_days=config.index.retention_days)

    def _index(self) -> VerdictIndex | None:
        """Open the search index, None where none is kept."""
        config = self._config
        return open_index(config.node.state_dir, url=config.index.url) if config.index.enabled else None

    def _breaker_rules(self) -> BreakerSection:
        return self.policy.agreements[self.policy.config.agreement.default].breaker

    async def _upkeep(self) -> None:
        """Counters to disk and files nobody needs away, for ever."""
        for turn in itertools.count(1):
            await asyncio.sleep(_FLUSH_S)
            metrics.observe_store(is_there=self.engine.is_store_there, has_timers=self.engine.has_timers)
            if turn % _LOOK_EACH == 0:
                await self._kept_up(self._bypass.look())
            if not self.engine.is_store_there:
                # Said once, when it went; each of these would fail and say so again.
                continue
            await self._kept_up(self.engine.counters.flush())
            if turn % _LOOK_EACH == 0:
                await self._kept_up(self._breakers.look())
                await self._kept_up(self._raised.look())
                await self._kept_up(self._announced.look())
                await self._kept_up(self._feed.complete())
                await self._kept_up(self._measure())
                await self._kept_up(measure_held(self.engine, self._clock))
            if turn % _SWEEP_EACH == 0:
                await self._kept_up(self.engine.sweep_spool())
            if turn % _RETAIN_EACH == _SWEEP_EACH:
                await self._kept_up(self._retain())

    async def _retain(self) -> None:
        """Erase what was kept as long as promised, and say so when the clock cannot be believed."""
        done = await self._retention.run_once(self._clock.now())
        counts = {name: getattr(done, name) for name in ("expired", "destroyed", "pruned", "objects")}
        metrics.observe_retention(counts, is_frozen=done.frozen is not None)
        if done.is_alarm:
            do = "put the clock right; nothing is erased until then"
            service_log().error("retention_frozen", why=done.frozen, off_s=round(done.off_s), do=do)

    def _weather(self, is_there: bool) -> None:
        if is_there:
            service_log().warning("ledger_store_back", effect="copies are read anew")
        else:
            service_log().error("ledger_store_away", effect="standing as last known; violations wait with 451")

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
        return {"ledger": None} | dict.fromkeys(self._failing, "ends again and again")


def check_tenants(txn: LedgerTxn, policy: Policy) -> None:
    """Raise ConfigError when a tenant is bound by an agreement that is not there: its mail could not be decided."""
    for tenant in txn.tenants():
        if wrong := misbound(policy.agreements, tenant.agreement, tenant.supplement):
            folder = policy.config.agreement.directory or path("policies/agreements")
            raise ConfigError(f"tenant {tenant.tenant_id} {wrong}", file=folder, key="agreement.directory")


def start_worker(stack: AsyncExitStack, run: Callable[[asyncio.Event], Coroutine[None, None, None]]) -> None:
    """Run a worker until the stack ends it: it finishes what is under way."""
    stop = asyncio.Event()
    task = asyncio.create_task(run(stop))

    async def end() -> None:
        stop.set()
        await task

    stack.push_async_callback(end)


def spawn(stack: AsyncExitStack, work: Coroutine[None, None, None]) -> None:
    """Run a task until the stack ends it."""
    task = asyncio.create_task(work)

    async def end() -> None:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    stack.push_async_callback(end)


def _rules(policy: Policy) -> DeskRules:
    return desk_rules(policy.config, policy.agreements, policy.by_digest)


def _allow(policy: Policy) -> None:
    # A locked category is no label, not even by name (STANDING 5.8).
    named = (c for a in policy.by_digest.values() for c in a.category if c.mode is not Mode.C1)
    metrics.allow({x for c in named for x in (c.id, c.family)})
