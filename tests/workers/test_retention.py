"""When anything may be erased: with a clock that can be trusted, on one node, and not before."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from filterd.ledger.engine import LedgerEngine
from filterd.model.steady import ClockWatch
from filterd.ports import LedgerTxn
from filterd.workers.retention import BEHIND, JUMPED, Retained, RetentionWorker
from tests.kit.clock import FrozenClock
from tests.kit.house import KEYS, START
from tests.ledger.evidence_rig import DIGEST, RAW
from tests.ledger.rig import fold, violation

pytestmark = pytest.mark.slow

HOUR_S = 3600.0
UNTIL = START + timedelta(days=90)


class Site:
    """A real ledger with one mail in its vault, and two clocks: one that people set, and one that nobody does."""

    def __init__(self, folder: Path):
        self.clock, self.steady_s, self.is_here = FrozenClock(START), 1000.0, True
        self.engine = LedgerEngine.open(state_dir=folder, node="t", keys=KEYS, clock=self.clock, apply=fold)
        self.worker = RetentionWorker(
            self.engine.retention,
            lambda: self.is_here,
            quarantine_keep=timedelta(days=30),
            steady=lambda: self.steady_s,
        )

    async def keep(self) -> None:
        self.engine.spool.put("t_1", RAW)

        def decide(txn: LedgerTxn) -> None:
            txn.promote_evidence("t_1", "a_1", UNTIL)
            txn.append(violation("a_1", "t_1"), account_id="a_1", tenant_id=None)

        await self.engine.submit(decide)

    async def later(self, *, days: float = 0.0, hours: float = 0.0, jump_s: float = 0.0) -> Retained:
        """Let time pass, and the wall clock jump besides; then run once."""
        passed_s = (days * 24 + hours) * HOUR_S
        self.steady_s += passed_s
        self.clock.advance(passed_s + jump_s)
        return await self.worker.run_once(self.clock.now())

    async def has_mail(self) -> bool:
        return await self.engine.read_evidence(DIGEST, "a_1") is not None


@pytest.fixture
async def site(tmp_path: Path) -> AsyncIterator[Site]:
    site = Site(tmp_path)
    await site.keep()
    yield site
    await site.engine.close()


async def test_what_was_promised_is_kept_and_no_longer(site: Site) -> None:
    assert await site.later(days=89) == Retained()
    assert await site.has_mail()
    assert await site.later(days=2) == Retained(expired=1)
    assert not await site.has_mail()
    assert await site.later(hours=1) == Retained()


async def test_the_objects_go_with_the_rows(site: Site, tmp_path: Path) -> None:
    for path in (tmp_path / "vault").rglob("*"):
        os.utime(path, (1, 1))
    assert await site.later(days=91) == Retained(expired=1, objects=1)


async def test_only_the_node_that_keeps_the_timers_erases(site: Site) -> None:
    site.is_here = False
    assert await site.later(days=91) == Retained()
    assert await site.has_mail()
    site.is_here = True
    assert (await site.later(hours=1)).expired == 1


async def test_a_clock_that_jumps_ahead_erases_nothing_until_it_has_stood_for_a_day(site: Site) -> None:
    await site.later()
    ahead_s = 100 * 24 * HOUR_S
    frozen = await site.later(hours=1, jump_s=ahead_s)
    assert frozen == Retained(frozen=JUMPED, is_alarm=True, off_s=ahead_s)
    for _ in range(23):
        assert (await site.later(hours=1)).is_alarm
    assert await site.has_mail()
    assert (await site.later(hours=1)).expired == 1


async def test_a_clock_that_is_put_right_is_trusted_at_once(site: Site) -> None:
    await site.later(days=80)
    assert (await site.later(jump_s=10 * 24 * HOUR_S)).frozen == JUMPED
    assert await site.later(hours=1, jump_s=-10 * 24 * HOUR_S) == Retained()
    assert await site.has_mail()
    assert (await site.later(days=11)).expired == 1


@pytest.mark.parametrize("off_s", [-299.0, 299.0, 1.0])
async def test_what_time_servers_do_is_no_jump(site: Site, off_s: float) -> None:
    await site.later(days=1)
    assert (await site.later(hours=1, jump_s=off_s)).frozen is None


async def test_a_clock_that_never_stands_still_is_never_trusted(site: Site) -> None:
    await site.later()
    for _ in range(60):
        assert (await site.later(hours=1, jump_s=2 * 24 * HOUR_S)).frozen == JUMPED
    assert await site.has_mail()


@pytest.mark.parametrize(("behind_s", "is_alarm"), [(5.0, False), (3600.0, True)])
async def test_before_the_latest_row_nothing_is_erased(site: Site, behind_s: float, is_alarm: bool) -> None:
    """As after a start with a clock that has lost its battery: there is nothing to compare it with but the rows."""
    site.clock.set(UNTIL + timedelta(days=1, seconds=behind_s))
    await site.engine.submit(lambda txn: txn.append(violation("a_2", "t_9"), account_id="a_2", tenant_id=None))
    said = await site.worker.run_once(UNTIL + timedelta(days=1))
    assert said == Retained(frozen=BEHIND, is_alarm=is_alarm, off_s=-behind_s)
    assert await site.has_mail()


def test_the_steady_clock_of_this_machine_goes_with_the_wall() -> None:
    watch = ClockWatch(settle_s=60)
    assert [watch.jumped_s(datetime.now().astimezone()) for _ in range(3)] == [0.0, 0.0, 0.0]
