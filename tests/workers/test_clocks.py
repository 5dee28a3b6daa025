"""The job that makes known what time has done, on the real ledger.  STANDING 5.7-16, TX-4.4.4, AL-2.2."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from filterd import app
from filterd.agreement.fold import apply
from filterd.config import Config
from filterd.errors import PortError
from filterd.ledger.engine import LedgerEngine
from filterd.model import records as r
from filterd.model.entry import SITE
from filterd.model.principal import Account, Tenant
from filterd.model.sanction import Feature, Rung
from filterd.pipeline.verbs import DeskRules
from filterd.ports import DnsAnswer
from filterd.workers.clocks import PAGE, ClockWorker
from tests.kit.clock import FrozenClock
from tests.kit.house import KEYS, START

pytestmark = pytest.mark.slow

T = "n_00000000000000000000000001"
DAY = timedelta(days=1)


class Zone:
    """A resolver with one answer for every MX; None: it cannot say."""

    def __init__(self, records: tuple[Any, ...] | None = ((10, "mx.here.example"),)):
        self.records: tuple[Any, ...] | None = records
        self.asked_for = 0

    def for_message(self) -> Zone:
        return self

    async def query(self, name: str, rdtype: str) -> DnsAnswer:
        self.asked_for += 1
        if self.records is None:
            raise PortError("SERVFAIL", temporary=True)
        return DnsAnswer(records=self.records if rdtype == "MX" else (), exists=bool(self.records))

    def known(self, name: str, rdtype: str) -> DnsAnswer | None:
        return None

    @property
    def asked(self) -> tuple[tuple[str, str, str], ...]:
        return ()


class Site:
    """A real ledger, one tenant with accounts, and the job with a clock that nobody sets."""

    def __init__(self, folder: Path, *zones: Zone):
        config = Config.model_validate({"node": {"state_dir": str(folder)}})
        self.rules: DeskRules = app.desk_rules(config, app.load_agreements(config, START))
        self.clock = FrozenClock(START)
        self.engine = LedgerEngine.open(
            state_dir=folder, node="t", keys=KEYS, clock=self.clock, apply=lambda h, x, _: apply(h, x)
        )
        self.has_timers = True
        self.steady_s = 0.0
        self.zones = zones
        self.worker = self.restart()

    def restart(self) -> ClockWorker:
        """The job of a process that has just begun."""
        self.worker = ClockWorker(
            self.engine.submit,
            lambda: self.rules,
            lambda: self.has_timers,
            resolvers=self.zones,
            steady=lambda: self.steady_s,
        )
        return self.worker

    def pass_time(self, length: timedelta) -> None:
        """Time goes by for everybody."""
        self.clock.advance(seconds=length.total_seconds())
        self.steady_s += length.total_seconds()

    async def tenant(self, **changes: Any) -> None:
        given = {"tenant_id": T, "name": "Cust", "agreement": "aliyun-mail", "domains": ("cust.example",), **changes}
        await self.engine.submit(lambda txn: txn.put_tenant(Tenant(**given)))

    async def account(self, account_id: str, *records: r.Record, expires_on: date | None = None) -> None:
        account = Account(
            account_id=account_id, tenant_id=T, login=f"{account_id}@cust.example", expires_on=expires_on
        )

        def run(txn: Any) -> None:
            txn.put_account(account)
            for record in records:
                txn.append(record, account_id=account_id, tenant_id=T)

        await self.engine.submit(run)

    async def run(self) -> list[str]:
        return sorted(x.clock for x in (await self.worker.run_once(self.clock.now())).struck)

    async def probe(self) -> list[str]:
        return sorted(x.clock for x in await self.worker.probe_once(self.clock.now()))

    async def records(self, subject_id: str = T) -> tuple[r.Record, ...]:
        found: tuple[r.Record, ...] = await self.engine.submit(lambda txn: txn.records(subject_id))
        return found

    async def promised(self) -> list[str]:
        return [item.payload["event"] for item, _, _ in await self.engine.pending() if "event" in item.payload]


@pytest.fixture
async def site(tmp_path: Path) -> AsyncIterator[Site]:
    opened = Site(tmp_path)
    yield opened
    await opened.engine.close()


def sanction(account_id: str, starts_at: datetime, hours: int) -> r.SanctionImposed:
    return r.SanctionImposed(
        at=starts_at,
        sanction_id=f"s_{account_id}",
        incident_id=f"i_{account_id}",
        decision_id="d_1",
        account_id=account_id,
        rung=Rung.RESTRICT,
        step=1,
        features=(Feature(name="bulk"),),
        category="spam.outbound",
        clauses=("4.3.1",),
        starts_at=starts_at,
        ends_at=starts_at + timedelta(hours=hours),
        lapses_at=None,
        step_down_features=(),
        is_automatic=False,
        by="mei",
        warranted=Rung.RESTRICT,
    )


async def test_the_job_strikes_each_clock_once_however_often_it_runs(site: Site) -> None:
    await site.tenant(expires_on=date(2026, 3, 31))
    assert await site.run() == []
    site.pass_time(22 * DAY)
    assert await site.run() == ["renewal.due"]
    for _ in range(5):
        site.pass_time(timedelta(minutes=1))
        assert await site.run() == []
    assert await site.promised() == ["renewal_due"]


async def test_case_5_7_16_three_days_without_the_job_leave_nothing_out_and_double_nothing(site: Site) -> None:
    await site.tenant(agreement="tencent-exmail")
    await site.run()
    for number in range(5):
        await site.account(f"a_{number}", sanction(f"a_{number}", START + number * DAY / 2, 24))
    site.pass_time(timedelta(hours=25))
    assert await site.run() == ["sanction.expired"]
    site.pass_time(3 * DAY)
    site.restart()
    assert await site.run() == ["sanction.expired"] * 4
    site.restart()
    assert await site.run() == []
    assert (await site.promised()).count("sanction_expired") == 5


async def test_every_page_of_accounts_is_looked_at(site: Site) -> None:
    await site.tenant(agreement="tencent-exmail")
    await site.run()
    number = PAGE + 3

    def many(txn: Any) -> None:
        for n in range(number):
            account_id = f"a_{n:04}"
            txn.put_account(Account(account_id=account_id, tenant_id=T, login=f"{account_id}@cust.example"))
            txn.append(sanction(account_id, START, 24), account_id=account_id, tenant_id=T)

    await site.engine.submit(many)
    await site.account("a_clean")
    site.pass_time(2 * DAY)
    ran = await site.worker.run_once(site.clock.now())
    assert (len(ran.struck), ran.subjects) == (number, number + 1)


async def test_an_account_with_a_last_day_of_its_own_is_found_without_a_past(site: Site) -> None:
    await site.tenant(agreement="tencent-exmail")
    await site.account("a_1", expires_on=date(2026, 3, 10))
    assert await site.run() == []
    site.pass_time(2 * DAY)
    assert await site.run() == ["renewal.due"]
    site.pass_time(8 * DAY)
    assert await site.run() == ["service.ended"]
    struck = [x for x in await site.records("a_1") if isinstance(x, r.ClockStruck)]
    assert [x.clock for x in struck] == ["renewal.due", "service.ended"]


async def test_only_the_node_with_the_timers_strikes(site: Site) -> None:
    await site.tenant(expires_on=date(2026, 3, 31))
    site.pass_time(22 * DAY)
    site.has_timers = False
    assert await site.run() == []
    assert await site.records(SITE) == ()
    site.has_timers = True
    assert await site.run() == ["renewal.due"]


async def test_case_5_7_16_while_the_clock_has_jumped_nothing_strikes(site: Site) -> None:
    await site.tenant(expires_on=date(2026, 3, 31))
    await site.run()
    # Somebody sets the clock a month ahead: no second went by.
    site.clock.advance(days=40)
    ran = await site.worker.run_once(site.clock.now())
    assert (ran.struck, ran.is_reading) == ((), False)
    assert ran.frozen_s == 40 * 86400
    # Set right again, it is believed at once.
    site.clock.advance(days=-40)
    assert (await site.worker.run_once(site.clock.now())).frozen_s == 0
    assert await site.promised() == []


async def test_case_5_7_16_a_new_time_is_told_by_after_ten_minutes_and_deletes_after_a_day(site: Site) -> None:
    await site.tenant(agreement="tencent-exmail", expires_on=date(2026, 3, 31))
    await site.run()
    site.clock.advance(days=70)
    await site.run()
    site.pass_time(timedelta(minutes=11))
    ran = await site.worker.run_once(site.clock.now())
    assert [x.clock for x in ran.struck] == ["service.ended"]
    assert not ran.is_reading
    assert not any(isinstance(x, r.DeletionRead) for x in await site.records())
    site.pass_time(DAY)
    assert await site.run() == ["deletion.imminent"]


async def test_case_5_4_12_the_second_reading_is_a_day_after_the_first(site: Site) -> None:
    await site.tenant(agreement="tencent-exmail", expires_on=date(2026, 3, 31))
    await site.run()
    site.pass_time(70 * DAY)
    assert await site.run() == ["deletion.imminent", "service.ended"]
    for hours in (1, 12, 10):
        site.pass_time(timedelta(hours=hours))
        assert await site.run() == []
    site.pass_time(timedelta(hours=1))
    assert await site.run() == ["deletion.eligible"]
    read = [x.at for x in await site.records() if isinstance(x, r.DeletionRead)]
    assert len(read) == 2
    assert read[1] - read[0] == DAY


async def test_case_5_7_16_a_hold_on_an_account_freezes_its_readings(site: Site) -> None:
    await site.tenant(agreement="tencent-exmail")
    held = r.EvidenceHeld(at=START, hold_id="l_1", account_id="a_1", case="c", by="mei", reason="-")
    await site.account("a_1", held, expires_on=date(2026, 3, 10))
    await site.run()
    site.pass_time(70 * DAY)
    assert await site.run() == ["deletion.held", "service.ended"]
    site.pass_time(2 * DAY)
    assert await site.run() == []
    assert not any(isinstance(x, r.DeletionRead) for x in await site.records("a_1"))


async def test_what_ended_before_clocks_were_kept_is_told_to_nobody(site: Site) -> None:
    await site.tenant(agreement="tencent-exmail")
    await site.account("a_1", sanction("a_1", START - 9 * DAY, 24))
    assert await site.run() == []
    assert await site.promised() == []


# --- the MX of free tenants -------------------------------------------------------------------------------------------


@pytest.fixture
async def free(tmp_path: Path) -> AsyncIterator[Site]:
    opened = Site(tmp_path, Zone(), Zone())
    await opened.tenant(agreement="tencent-exmail", plan="free")
    await opened.run()
    yield opened
    await opened.engine.close()


def answer(site: Site, *records: tuple[Any, ...] | None) -> None:
    for zone, found in zip(site.zones, records, strict=True):
        zone.records = found


async def days(site: Site, number: int) -> list[str]:
    struck = []
    for _ in range(number):
        struck += await site.probe()
        site.pass_time(DAY)
    return struck


async def state(site: Site) -> Mapping[str, int]:
    probes = [x.answer for x in await site.records() if isinstance(x, r.MxProbed)]
    return {name: probes.count(name) for name in set(probes)}


async def test_t_tx_4_4_4_one_look_a_day_at_every_resolver(free: Site) -> None:
    for _ in range(3):
        await free.probe()
    assert [zone.asked_for for zone in free.zones] == [1, 1]
    (probe,) = [x for x in await free.records() if isinstance(x, r.MxProbed)]
    assert (probe.answer, probe.resolvers, probe.day) == ("good", 2, date(2026, 3, 2))


async def test_t_tx_4_4_4_29_bad_1_good_29_bad_is_not_the_end(free: Site) -> None:
    answer(free, (), ())
    await days(free, 29)
    answer(free, (), ((10, "mx.here.example"),))
    await days(free, 1)
    answer(free, (), ())
    assert await days(free, 29) == ["mx.bad"]
    assert await state(free) == {"bad": 58, "good": 1}
    assert not any(isinstance(x, r.ServiceEnded) for x in await free.records())


async def test_t_tx_4_4_4_20_bad_5_unknown_11_bad_is_the_end_on_the_last_and_the_job_alarms(free: Site) -> None:
    answer(free, (), ())
    assert await days(free, 20) == ["mx.bad"]
    # One resolver sees it bad and the other cannot say.
    answer(free, (), None)
    assert await days(free, 5) == ["mx.unknown"]
    answer(free, (), ())
    await days(free, 10)
    assert not any(isinstance(x, r.ServiceEnded) for x in await free.records())
    await free.probe()
    assert [x.because for x in await free.records() if isinstance(x, r.ServiceEnded)] == ["mx"]
    assert await free.run() == ["service.ended"]
    free.pass_time(DAY)
    await free.probe()
    # What has ended is not looked at any more.
    assert await state(free) == {"bad": 31, "unknown": 5}


async def test_t_tx_4_4_4_a_tenant_that_pays_is_never_looked_at(free: Site) -> None:
    await free.tenant(agreement="tencent-exmail", plan="business")
    answer(free, (), ())
    await days(free, 40)
    assert await state(free) == {}


async def test_t_tx_4_4_4_no_look_while_the_clock_has_jumped_or_on_another_node(free: Site) -> None:
    free.clock.advance(days=3)
    assert await free.probe() == []
    free.clock.advance(days=-3)
    free.has_timers = False
    await free.probe()
    assert await state(free) == {}
