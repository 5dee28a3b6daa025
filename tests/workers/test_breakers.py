"""A rule or a signal that would sanction too many at once stops by itself, on the real ledger.  STANDING 5.7-21."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from filterd.agreement.breaker import tripped
from filterd.agreement.sections_breaker import BreakerSection
from filterd.config import Config
from filterd.ledger.codec import decode
from filterd.ledger.lately import active_senders, rows_since
from filterd.model import records as r
from filterd.model.entry import SITE, Entry
from filterd.model.records import KINDS
from filterd.pipeline.runaway import Runaway
from filterd.workers.breakers import BreakerWatch
from tests.kit.house import House, letter
from tests.pipeline.test_gate import CONFIG

pytestmark = pytest.mark.slow

VIRUS = "virus.signature.match"


class Site:
    """A house with the watch, as the ledger process runs it."""

    def __init__(self, house: House, *, senders: int | None):
        self.house = house
        self.runaway = Runaway(BreakerSection, house.clock)
        self.watch = self.watching(senders)
        self._n = 0
        house.engine.on_entries(self._tell)

    def watching(self, senders: int | None) -> BreakerWatch:
        async def count(days: int) -> int | None:
            return senders

        return BreakerWatch(self.house.engine.submit, self.runaway, count)

    def _tell(self, entries: tuple[Entry, ...]) -> None:
        for entry in entries:
            self.watch.committed(entry.account_id, decode(KINDS[entry.kind], entry.body))

    async def breach(self, accounts: int) -> None:
        self.house.script.codes = (VIRUS,)
        for _ in range(accounts):
            self._n += 1
            await self.house.send(letter(f"s{self._n}"), "bob@other.example", login=f"u{self._n}@cust.example")
        self.house.script.codes = ()

    async def open(self) -> list[tuple[str, str | None]]:
        await self.watch.look()

        def look(txn: Any) -> list[tuple[str, str | None]]:
            return [(x.finding, x.signal) for x in tripped(txn.history(SITE), txn.now)]

        return await self.house.engine.submit(look)

    async def strikes(self) -> int:
        def look(txn: Any) -> int:
            return sum(
                isinstance(x, r.StrikeIssued) for account in txn.accounts() for x in txn.records(account.account_id)
            )

        return await self.house.engine.submit(look)


@pytest.fixture
async def site(tmp_path: Path) -> AsyncIterator[Site]:
    config = Config.model_validate({**CONFIG, "node": {"state_dir": str(tmp_path)}})
    house = await House(folder=tmp_path, config=config).open()
    yield Site(house, senders=100)
    await house.close()


async def test_eleven_accounts_in_an_hour_open_it_and_page_somebody(site: Site) -> None:
    await site.breach(10)
    assert await site.open() == []
    await site.breach(1)
    with capture_logs() as logs:
        assert await site.open() == [(VIRUS, None)]
    (paged,) = [x for x in logs if x["event"] == "breaker_tripped"]
    assert (paged["log_level"], paged["finding"], paged["subjects"]) == ("error", VIRUS, 11)
    before = await site.strikes()
    await site.breach(3)
    assert await site.strikes() == before
    assert await site.open() == [(VIRUS, None)]


async def test_a_person_resets_it_and_it_counts_anew(site: Site) -> None:
    await site.breach(11)
    await site.open()
    await site.house.engine.submit(lambda txn: txn.put_person("mod", "moderator", "ft_mod"))
    (row,) = await site.house.ledger.call("breaker.list", {})
    given = {"token": "ft_mod", "breaker": row["breaker_id"], "reason": "a real outbreak"}
    await site.house.ledger.call("breaker.reset", given)
    before = await site.strikes()
    site.house.clock.advance(60)
    await site.breach(5)
    assert await site.strikes() == before + 5
    assert await site.open() == []
    (row,) = await site.house.ledger.call("breaker.list", {"all": True})
    assert row["reset_by"] == "mod"


async def test_slow_breaches_and_one_account_open_nothing(site: Site) -> None:
    for _ in range(4):
        await site.breach(5)
        assert await site.open() == []
        site.house.clock.advance(3700)


async def test_a_restart_forgets_nothing(site: Site) -> None:
    await site.breach(8)
    since = site.house.clock.now() - timedelta(days=7)
    kinds = ("violation.recorded", "strike.issued")

    def look(txn: Any) -> Any:
        return rows_since(txn.connection, since, kinds, 1000)

    rows = await site.house.engine.submit(look)
    assert len(rows) == 16
    site.runaway = Runaway(BreakerSection, site.house.clock)
    site.runaway.remember(rows, since)
    site.watch = site.watching(100)
    await site.breach(3)
    assert await site.open() == [(VIRUS, None)]


async def test_who_sends_is_counted(site: Site) -> None:
    site.house.script.codes = ()
    for n in range(3):
        await site.house.send(letter(f"c{n}"), "bob@other.example", login=f"v{n}@cust.example")
    await site.house.engine.counters.flush()
    now = site.house.clock.now()

    def look(days: int, later: timedelta = timedelta()) -> Any:
        return lambda txn: active_senders(txn.connection, now + later, days)

    assert await site.house.engine.submit(look(30)) == 3
    assert await site.house.engine.submit(look(30, timedelta(days=40))) == 0
