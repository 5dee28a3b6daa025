"""What the ledger process watches and shows beside its verbs: breakers, and the page an account objects on."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import cast

from filterd.agreement.sections_breaker import BreakerSection
from filterd.clients.verdict_index import open_index
from filterd.config import Config
from filterd.ledger.engine import LedgerEngine
from filterd.ledger.lately import active_senders, rows_since
from filterd.ledger.local import LocalLedger
from filterd.ledger.txn import Txn
from filterd.model.about import NOTHING
from filterd.model.records import KIND_OF, BreakerReset, BreakerTripped, StrikeIssued, ViolationRecorded
from filterd.pipeline.appeal_page import AppealPage
from filterd.pipeline.refusals import refusals_in
from filterd.pipeline.runaway import Runaway
from filterd.ports import Clock, Keys, LedgerTxn, VerdictIndex
from filterd.workers.breakers import BreakerWatch

_WATCHED = tuple(KIND_OF[kind] for kind in (ViolationRecorded, StrikeIssued, BreakerTripped, BreakerReset))
# Rows of a week that a start reads; what is older than these is no part of any mean then.
_ROWS_AT_MOST = 50_000


async def breaker_watch(engine: LedgerEngine, rules: Callable[[], BreakerSection], clock: Clock) -> BreakerWatch:
    """Make the watch, knowing what the ledger has of the days it looks back on."""

    async def senders(days: int) -> int | None:
        def look(txn: LedgerTxn) -> int:
            return active_senders(cast(Txn, txn).connection, txn.now, days)

        return await engine.submit(look, NOTHING)

    runaway = Runaway(rules, clock)
    since = clock.now() - timedelta(days=rules().mean_days)
    rows = await engine.submit(
        lambda txn: rows_since(cast(Txn, txn).connection, since, _WATCHED, _ROWS_AT_MOST), NOTHING
    )
    runaway.remember(rows, since)
    return BreakerWatch(engine.submit, runaway, senders)


def appeal_page(config: Config, ledger: LocalLedger, keys: Keys, clock: Clock) -> AppealPage:
    """Make the page. Without an index there is no list of what was refused."""

    def opened() -> VerdictIndex:
        return open_index(config.node.state_dir, url=config.index.url, may_create=False)

    return AppealPage(
        ledger,
        keys.token,
        clock,
        appeals_address=config.notices.appeals_address,
        refusals=refusals_in(opened) if config.index.enabled else None,
    )
