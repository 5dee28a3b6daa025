"""Held mail in the ledger's process: the worker that carries it on or back, and how much of it there is."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from filterd import metrics
from filterd.app.current import CurrentDesk
from filterd.app.effects import HELD_TOPICS, mta_queue
from filterd.clients.relay import NextHopRelay
from filterd.clients.relay_connection import Address
from filterd.config import Config, NextHopConfig
from filterd.ledger.engine import LedgerEngine
from filterd.log import service_log
from filterd.model.about import NOTHING, About
from filterd.model.held import HeldState
from filterd.pipeline.signing import Signer
from filterd.ports import Clock, LedgerTxn, Mailer, OutboxItem
from filterd.workers.mta_held import DROP_TOPIC, Drops
from filterd.workers.outbox import OutboxWorker
from filterd.workers.releasing import RELEASE_TOPIC, Releases
from filterd.workers.returning import RETURN_TOPIC, Returns


class OnlyHeld:
    """The outbox with nothing but what becomes of held mail."""

    def __init__(self, engine: LedgerEngine):
        self._engine = engine

    async def lease(self, now: datetime, limit: int) -> tuple[OutboxItem, ...]:
        return await self._engine.lease(now, limit, only=HELD_TOPICS)

    async def done(self, item_id: str, function: Callable[[LedgerTxn], object], about: About) -> bool:
        return await self._engine.done(item_id, function, about)

    async def retry(self, item_id: str, due_at: datetime, error: str) -> bool:
        return await self._engine.retry(item_id, due_at, error)


def release_hop(config: Config, hop: NextHopConfig) -> NextHopConfig:
    """Say where released mail goes: where accepted mail does. Behind a milter there is no next hop; then it goes where
    notices go."""
    if config.next_hop.address == "sink" and config.notices.relay:
        return notice_relay(config.notices.relay, hop)
    return hop


def notice_relay(address: str, hop: NextHopConfig) -> NextHopConfig:
    """Say how mail of our own gets to another server than the next hop: by SMTP, with the next hop's TLS for that
    server's name; in clear text where it does not leave this machine."""
    is_local = Address.parse(address).is_local
    update = {"address": address, "protocol": "smtp", "xclient": False, "tls_name": None}
    return hop.model_copy(update=update | ({"tls": "none"} if is_local else {}))


def held_worker(
    config: Config,
    engine: LedgerEngine,
    desk: CurrentDesk,
    mailer: Mailer,
    relay: NextHopRelay,
    clock: Clock,
    signer: Callable[[], Signer],
) -> OutboxWorker:
    """Make the worker. `signer`: says the keys in force."""
    queue = mta_queue(config)
    releases = Releases(engine.submit, relay, queue, signer)
    returns = Returns(engine.submit, lambda: desk.desk, mailer, hostname=config.next_hop.helo)
    return OutboxWorker(
        OnlyHeld(engine),
        engine.submit,
        desk,
        mailer,
        clock,
        carriers={RELEASE_TOPIC: releases, RETURN_TOPIC: returns, DROP_TOPIC: Drops(queue)},
        on_error=lambda item, error: service_log().error("held_mail", item=item, error=error),
        poll_s=2.0,
    )


async def measure_held(engine: LedgerEngine, clock: Clock) -> None:
    """Say how much is held, and for how long the oldest has waited for a person."""

    def look(txn: LedgerTxn) -> tuple[dict[HeldState, int], datetime | None]:
        return txn.held_counts(), txn.oldest_held()

    counts, oldest = await engine.submit(look, NOTHING)
    age_s = max(0.0, (clock.now() - oldest).total_seconds()) if oldest is not None else 0.0
    metrics.observe_held({state.value: count for state, count in counts.items() if not state.is_end}, age_s)
