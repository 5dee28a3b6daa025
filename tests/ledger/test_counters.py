"""Counting: windows that slide, nobody counted twice, a baseline of days, and a memory that has an end."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from pathlib import Path

import pytest

from filterd.errors import LedgerUnavailable
from filterd.ledger.counters import Counters
from filterd.ledger.engine import LedgerEngine
from filterd.model.decision import Counts
from tests.kit.clock import NOON, FrozenClock
from tests.ledger.mails import mail
from tests.ledger.rig import open_engine, opened

DAY = timedelta(days=1)


@pytest.fixture
async def counters(engine: LedgerEngine) -> Counters:
    return engine.counters


async def test_windows_slide(counters: Counters) -> None:
    for number, minutes in enumerate([0, 5, 14, 63, 24 * 60 + 4]):
        counts = await counters.count(mail(number, NOON + timedelta(minutes=minutes), recipients=2, to=f"{number}-"))
        expected = [(1, 1, 1), (2, 2, 2), (2, 3, 3), (1, 3, 4), (1, 1, 4)][number]
        assert (counts.messages_10min, counts.messages_hour, counts.messages_day) == expected
        recipients = (counts.recipients_10min, counts.recipients_hour, counts.recipients_day)
        assert recipients == tuple(2 * n for n in expected)


async def test_a_retry_counts_once(counters: Counters) -> None:
    first = await counters.count(mail(1, recipients=3, unknown=1))
    assert first == await counters.count(mail(1, NOON + timedelta(seconds=20), recipients=3, unknown=1))
    # The same bytes to new recipients: the message is known, the recipients are not.
    more = await counters.count(mail(1, recipients=2, first=2))
    assert (more.messages_day, more.recipients_day) == (1, 4)
    later = await counters.count(mail(1, NOON + timedelta(minutes=5), recipients=1, unknown=3))
    assert (later.unknown_hour, later.recipients_day) == (3, 4)
    tomorrow = await counters.count(mail(1, NOON + DAY, recipients=1))
    assert (tomorrow.messages_day, tomorrow.recipients_day) == (1, 1)


async def test_unknown_recipients(counters: Counters) -> None:
    for number in range(3):
        counts = await counters.count(mail(number, NOON + timedelta(minutes=25 * number), unknown=4))
    assert counts.unknown_hour == 12
    assert (await counters.count(mail(9, NOON + timedelta(minutes=75)))).unknown_hour == 8


async def test_strangers_are_met_once(counters: Counters, engine: LedgerEngine) -> None:
    assert (await counters.count(mail(1, recipients=5))).strangers_hour == 5
    assert (await counters.count(mail(2, recipients=5))).strangers_hour == 5
    assert (await counters.count(mail(3, NOON + timedelta(hours=2), recipients=7))).strangers_hour == 2
    assert (await counters.count(mail(4, NOON + DAY, recipients=7))).strangers_hour == 0
    assert (await counters.count(mail(4, NOON + DAY, recipients=7, account_id="a_2"))).strangers_hour == 7


async def test_baseline(counters: Counters) -> None:
    begin = NOON - 40 * DAY
    for day in range(40):
        if day % 2:
            await counters.count(mail(day, begin + day * DAY, recipients=10))
    # Of the 30 days before, 15 had ten recipients; today does not count.
    counts = await counters.count(mail("x", NOON, recipients=500))
    assert counts.baseline_recipients_day == 5.0
    assert counts.recipients_day == 500


@pytest.mark.parametrize(("age_days", "expected"), [(0, 0.0), (1, 6.0), (2, 3.0), (4, 1.5), (30, 0.2), (300, 0.2)])
async def test_baseline_of_a_young_account(
    counters: Counters, engine: LedgerEngine, age_days: int, expected: float
) -> None:
    record = opened("a_1", at=NOON - age_days * DAY)
    engine.run(lambda txn: txn.append(record, account_id="a_1", tenant_id="n_1"))
    if age_days:
        await counters.count(mail(1, NOON - DAY, recipients=6))
    assert (await counters.count(mail(2))).baseline_recipients_day == pytest.approx(expected)


async def test_a_restart_keeps_days_and_acquaintances(state_dir: Path) -> None:
    engine = open_engine(state_dir)
    await engine.counters.count(mail(0, NOON - DAY, recipients=30, to="old"))
    await engine.counters.count(mail(1, recipients=20))
    await engine.close()
    engine = open_engine(state_dir)
    try:
        counts = await engine.counters.count(mail(2, NOON + timedelta(minutes=1), recipients=21))
        assert counts == Counts(
            messages_10min=1,
            messages_hour=1,
            messages_day=2,
            recipients_10min=21,
            recipients_hour=21,
            recipients_day=41,
            strangers_hour=1,
            baseline_recipients_day=30.0,
        )
        # And the day goes on where it was.
        await engine.counters.flush()
        assert (await Counters(engine.counters._submit).count(mail(3, NOON))).recipients_day == 42
    finally:
        await engine.close()


async def test_shortly_after_midnight_a_restart_forgets_nothing(state_dir: Path) -> None:
    midnight = NOON.replace(hour=0)
    engine = open_engine(state_dir)
    await engine.counters.count(mail(1, midnight + timedelta(minutes=3), recipients=99))
    await engine.close()
    engine = open_engine(state_dir)
    try:
        counts = await engine.counters.count(mail(2, midnight + timedelta(minutes=8)))
        assert (counts.recipients_10min, counts.recipients_hour, counts.recipients_day) == (100, 100, 100)
    finally:
        await engine.close()


async def test_what_is_not_flushed_survives_eviction(engine: LedgerEngine) -> None:
    counters = Counters(engine.counters._submit, weight_at_most=50)
    for turn in range(3):
        for number in range(20):
            await counters.count(mail(f"{turn}", account_id=f"a_{number}", recipients=3))
    assert len(counters._windows) < 10
    assert counters._weight == sum(counters._weights.values()) <= 60
    counts = await counters.count(mail("x", account_id="a_0", recipients=3))
    assert (counts.messages_day, counts.recipients_day, counts.strangers_hour) == (4, 12, 0)
    await counters.flush()
    assert (counters._days, counters._met, counters._met_count) == ({}, {}, 0)


async def test_a_failed_flush_loses_nothing(state_dir: Path) -> None:
    engine = open_engine(state_dir)
    working = [False]

    async def submit(function: object) -> object:
        if not working[0]:
            raise LedgerUnavailable("down")
        return await engine._with_txn(function)

    counters = Counters(submit)
    with pytest.raises(LedgerUnavailable):
        await counters.count(mail(1))
    working[0] = True
    await counters.count(mail(1, recipients=2))
    working[0] = False
    with pytest.raises(LedgerUnavailable):
        await counters.flush()
    # What is warm is counted without the store.
    assert (await counters.count(mail(2))).messages_day == 2
    working[0] = True
    await asyncio.gather(counters.flush(), counters.flush())
    assert (await Counters(submit).count(mail(3))).recipients_day == 4
    engine.stop()


async def test_many_at_once_load_once(engine: LedgerEngine) -> None:
    loads = []

    async def submit(function: object) -> object:
        loads.append(function)
        return await engine._with_txn(function)

    counters = Counters(submit)
    counts = await asyncio.gather(*(counters.count(mail(number)) for number in range(50)))
    assert sorted(found.messages_day for found in counts) == list(range(1, 51))
    assert len(loads) == 1


async def test_a_clock_that_jumps(counters: Counters) -> None:
    for days in (0, 400, -400, 0, 0.001, 0):
        counts = await counters.count(mail(f"x{days}", NOON + timedelta(days=days), recipients=10))
        assert counts.recipients_day in (10, 20)
    # Back at the true time, what was sent then is there again.
    assert counts.recipients_hour == 10


async def test_clock_is_not_asked(state_dir: Path) -> None:
    engine = open_engine(state_dir, FrozenClock(NOON + 5000 * DAY))
    try:
        assert (await engine.counters.count(mail(1))).messages_day == 1
    finally:
        await engine.close()


async def test_an_erased_account_leaves_no_acquaintances(engine: LedgerEngine) -> None:
    for account_id in ("a_1", "a_2"):
        await engine.counters.count(mail(1, account_id=account_id, recipients=3))
    await engine.counters.flush()
    await engine.erase_subject("a_1")
    counts = [
        await Counters(engine.counters._submit).count(mail(2, NOON + DAY, account_id=name, recipients=3))
        for name in ("a_1", "a_2")
    ]
    assert [found.strangers_hour for found in counts] == [3, 0]
