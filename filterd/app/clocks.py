"""The job that makes known what time has done, in the ledger's process.  workers/clocks."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import datetime

from filterd import metrics
from filterd.checks.spf_query import read_client
from filterd.clients.resolver import DnsResolver, make_resolver
from filterd.config import Config
from filterd.errors import ConfigError
from filterd.ledger.engine import LedgerEngine
from filterd.log import service_log
from filterd.pipeline.clockwork import Struck
from filterd.pipeline.own_dns import OwnDns
from filterd.pipeline.signing import Signer
from filterd.pipeline.verbs import DeskRules
from filterd.ports import Clock
from filterd.workers.clocks import ClockWorker
from filterd.workers.own_dns import OwnDnsWorker

EVERY_S = 60.0


def clock_worker(config: Config, engine: LedgerEngine, rules: Callable[[], DeskRules], clock: Clock) -> ClockWorker:
    """Make the job. Inside the event loop that runs it."""
    # Where the clock is set by hand, jumps are meant.
    steady = {"steady": lambda: clock.now().timestamp()} if config.node.clock == "settable" else {}
    has_free = any(a.lifecycle is not None and a.lifecycle.free_plans for a in rules().terms.values())
    resolvers = mx_resolvers(config) if has_free else ()
    return ClockWorker(engine.submit, rules, lambda: engine.has_timers, resolvers=resolvers, **steady)


def mx_resolvers(config: Config) -> tuple[DnsResolver, ...]:
    """Make a resolver for each name server of the configuration, else one for those of the system; none where there is
    no DNS, and then no MX is looked at."""
    groups: list[tuple[str] | None] = [(server,) for server in config.dns.nameservers]
    try:
        return tuple(make_resolver(group, patience_s=config.dns.patience_s) for group in groups or [None])
    except ConfigError as err:
        effect = "the MX of free tenants is not looked at (TX-4.4.4)"
        service_log().warning("mx_unprobed", error=str(err), effect=effect)
        return ()


def own_dns_worker(
    config: Config, engine: LedgerEngine, rules: Callable[[], DeskRules], signer: Callable[[], Signer]
) -> OwnDnsWorker:
    """Make the daily look at tenants' own domains; without a DNS it looks at nobody. Inside the loop that runs it.

    Args:
        signer: has the keys with which their mail is signed here.
    """
    given = config.own_domains
    addresses = tuple(x for text in given.sending_addresses if (x := read_client(str(text))) is not None)
    resolver = None
    if given.look:
        try:
            resolver = make_resolver(config.dns.nameservers or None, patience_s=config.dns.patience_s)
        except ConfigError as err:
            effect = "the DNS records of tenants' own domains are not looked at (TX-3.1.4)"
            service_log().warning("own_domains_unlooked", error=str(err), effect=effect)

    def ours(at: datetime) -> OwnDns:
        return OwnDns(addresses=addresses, selectors=given.dkim_selectors, keys=signer().in_force(at))

    return OwnDnsWorker(engine.submit, rules, lambda: engine.has_timers, resolver, ours)


async def keep_own_dns(worker: OwnDnsWorker, clock: Clock, *, every_s: float = EVERY_S) -> None:
    """Ask whether it is time, for ever; one that fails is tried again."""
    while True:
        await asyncio.sleep(every_s)
        try:
            await worker.run_once(clock.now())
        except Exception as err:
            metrics.observe_trouble("own_domains")
            service_log().error("own_domains", error=type(err).__name__)


async def keep_clocks(worker: ClockWorker, clock: Clock, *, every_s: float = EVERY_S) -> None:
    """Once a minute, for ever; whatever becomes of one run, the next must still happen."""
    while True:
        await asyncio.sleep(every_s)
        for step in (_strike, _probe):
            try:
                await step(worker, clock)
            except Exception as err:
                metrics.observe_trouble("clocks")
                service_log().error("clocks", step=step.__name__.strip("_"), error=type(err).__name__)


async def _strike(worker: ClockWorker, clock: Clock) -> None:
    ran = await worker.run_once(clock.now())
    metrics.observe_clocks((x.clock for x in ran.struck), is_frozen=bool(ran.frozen_s))
    if ran.frozen_s:
        do = "put the clock right; nothing strikes until the time has stood for ten minutes"
        service_log().error("clocks_frozen", off_s=round(ran.frozen_s), do=do)
    _alarm(ran.struck)


async def _probe(worker: ClockWorker, clock: Clock) -> None:
    struck = await worker.probe_once(clock.now())
    if struck:
        metrics.observe_clocks((x.clock for x in struck), is_frozen=False)
    _alarm(struck)


def _alarm(struck: tuple[Struck, ...]) -> None:
    for item in struck:
        if item.is_alarm:
            service_log().error("overdue", clock=item.clock, subject=item.subject_id, about=item.object_id)
