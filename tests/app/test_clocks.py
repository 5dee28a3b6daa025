"""The job's place in the ledger's process: its resolvers, its minutes, and that one failure ends nothing."""

from __future__ import annotations

import asyncio
from datetime import date, timedelta
from pathlib import Path
from typing import Any

from structlog.testing import capture_logs

from filterd import app
from filterd.agreement.fold import apply
from filterd.app.clocks import clock_worker, keep_clocks, mx_resolvers
from filterd.config import Config
from filterd.ledger.engine import LedgerEngine
from filterd.model.principal import Tenant
from filterd.workers.clocks import ClockWorker, Ran
from tests.kit.clock import FrozenClock
from tests.kit.house import KEYS, START


def config(folder: Path, *nameservers: str) -> Config:
    given: dict[str, Any] = {"node": {"state_dir": str(folder)}, "dns": {"nameservers": list(nameservers)}}
    return Config.model_validate(given)


def test_each_name_server_is_a_resolver_of_its_own(tmp_path: Path) -> None:
    assert len(mx_resolvers(config(tmp_path, "127.0.0.1:5301", "127.0.0.1:5302"))) == 2


def test_a_name_server_that_is_none_stops_the_looking_and_nothing_else(tmp_path: Path) -> None:
    with capture_logs() as said:
        assert mx_resolvers(config(tmp_path, "127.0.0.1:99999")) == ()
    assert [line["event"] for line in said] == ["mx_unprobed"]


async def test_the_job_strikes_by_itself_and_goes_on_after_a_failure(tmp_path: Path) -> None:
    clock = FrozenClock(START)
    engine = LedgerEngine.open(
        state_dir=tmp_path, node="t", keys=KEYS, clock=clock, apply=lambda h, x, _: apply(h, x)
    )
    settings = config(tmp_path, "127.0.0.1:5301")
    rules = app.desk_rules(settings, app.load_agreements(settings, START))
    tenant = Tenant(
        tenant_id="n_1", name="Cust", agreement="aliyun-mail", expires_on=(START + timedelta(days=3)).date()
    )
    await engine.submit(lambda txn: txn.put_tenant(tenant))
    worker = clock_worker(settings, engine, lambda: rules, clock)
    runs = _Failing(worker)
    with capture_logs() as said:
        task = asyncio.create_task(keep_clocks(runs, clock, every_s=0.001))  # type: ignore[arg-type]
        async with asyncio.timeout(60):
            await runs.is_done.wait()
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    assert [x.clock for x in runs.struck] == ["renewal.due"]
    assert [(line["event"], line["error"]) for line in said] == [("clocks", "RuntimeError")]
    assert tenant.expires_on == date(2026, 3, 5)
    await engine.close()


class _Failing:
    """The job; the first run goes wrong."""

    def __init__(self, worker: ClockWorker):
        self._worker, self._runs = worker, 0
        self.struck: list[Any] = []
        self.is_done = asyncio.Event()

    async def run_once(self, now: Any) -> Ran:
        self._runs += 1
        if self._runs == 1:
            raise RuntimeError("broken")
        ran = await self._worker.run_once(now)
        self.struck += ran.struck
        if self._runs > 2:
            self.is_done.set()
        return ran

    async def probe_once(self, now: Any) -> tuple[Any, ...]:
        return ()
