"""Counting: windows that slide, nobody counted twice, a baseline of days, and a memory that has an end."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import insert, select

from filterd.errors import LedgerUnavailable
from filterd.ledger import volumes
from filterd.ledger.counters import Counters
from filterd.ledger.engine import LedgerEngine
from filterd.ledger.schema import COUNT_DAY, COUNT_MINUTE
from filterd.model.about import NOTHING, About
from filterd.model.decision import Counts
from tests.kit.clock import NOON, FrozenClock
from tests.ledger.mails import mail
from tests.ledger.rig import NODE, open_engine, opened

pytestmark = pytest.mark.slow

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


async def test_a_restart_keeps_minutes_days_and_acquaintances(state_dir: Path) -> None:
    engine = open_engine(state_dir)
    await engine.counters.count(mail(0, NOON - DAY, recipients=30, to="old"))
    await engine.counters.count(mail(1, recipients=20))
    await engine.close()
    engine = open_engine(state_dir)
    try:
        counts = await engine.counters.count(mail(2, NOON + timedelta(minutes=1), recipients=21))
        assert counts == Counts(
            messages_10min=2,
            messages_hour=2,
            messages_day=2,
            recipients_10min=41,
            recipients_hour=41,
            recipients_day=41,
            strangers_hour=21,
            baseline_recipients_day=30.0,
            strangers_baseline_day=30.0,
            recipients_month=71,
        )
        # And the day goes on where it was.
        await engine.counters.flush()
        later = NOON + timedelta(minutes=2)
        assert (await Counters(engine._with_txn, node=NODE).count(mail(3, later))).recipients_day == 42
    finally:
        await engine.close()


async def test_a_day_that_was_counted_before_there_were_minutes_still_counts(engine: LedgerEngine) -> None:
    """As an older program left it, and the migration gave it to nobody's node."""
    day = {"subject_id": "a_1", "day": "2026-11-02", "node": "", "messages": 40, "recipients": 90}
    engine.run(lambda txn: txn.connection.execute(insert(COUNT_DAY), day))
    counts = await engine.counters.count(mail(1, recipients=3))
    assert (counts.messages_day, counts.recipients_day, counts.recipients_hour) == (41, 93, 3)
    await engine.counters.flush()
    # What was nobody's is not written down as ours.
    counts = await Counters(engine._with_txn, node=NODE).count(mail(2))
    assert (counts.messages_day, counts.recipients_day) == (42, 94)


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
    counters = Counters(engine._with_txn, node=NODE, weight_at_most=50)
    for turn in range(3):
        for number in range(20):
            await counters.count(mail(f"{turn}", account_id=f"a_{number}", recipients=3))
    assert len(counters._windows) < 10
    assert counters._weight == sum(counters._weights.values()) <= 60
    counts = await counters.count(mail("x", account_id="a_0", recipients=3))
    assert (counts.messages_day, counts.recipients_day, counts.strangers_hour) == (4, 12, 3)
    await counters.flush()
    assert (counters._changed, counters._met, counters._met_count) == ({}, {}, 0)


async def test_a_failed_flush_loses_nothing(state_dir: Path) -> None:
    engine = open_engine(state_dir)
    working = [False]

    async def submit(function: Any, about: About = NOTHING) -> Any:
        if not working[0]:
            raise LedgerUnavailable("down")
        return await engine._with_txn(function, about)

    counters = Counters(submit, node=NODE)
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
    assert (await Counters(submit, node=NODE).count(mail(3))).recipients_day == 4
    # Nor does it when nothing comes in between.
    await counters.count(mail(5, NOON + timedelta(minutes=1)))
    working[0] = False
    with pytest.raises(LedgerUnavailable):
        await counters.flush()
    working[0] = True
    await counters.flush()
    assert (await Counters(submit, node=NODE).count(mail(6, NOON + timedelta(minutes=2)))).recipients_day == 5
    engine.stop()


async def test_many_at_once_load_once(engine: LedgerEngine) -> None:
    loads = []

    async def submit(function: Any, about: About = NOTHING) -> Any:
        loads.append(function)
        return await engine._with_txn(function, about)

    counters = Counters(submit, node=NODE)
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


async def test_a_tenant_and_a_client_are_what_all_of_theirs_sent(counters: Counters) -> None:
    for number in range(6):
        at = NOON + timedelta(minutes=12 * number)
        subjects = {"account_id": f"a_{number % 3}", "tenant_id": "n_1", "client_id": f"c_{number % 2}"}
        counts = await counters.count(mail(number, at, recipients=2, **subjects))
    assert (counts.messages_day, counts.recipients_day) == (2, 4)
    assert (counts.tenant_messages_10min, counts.tenant_messages_hour, counts.tenant_messages_day) == (1, 5, 6)
    assert (counts.tenant_recipients_10min, counts.tenant_recipients_hour, counts.tenant_recipients_day) == (2, 10, 12)
    assert (counts.client_messages_10min, counts.client_messages_hour, counts.client_messages_day) == (1, 3, 3)
    assert (counts.client_recipients_10min, counts.client_recipients_hour, counts.client_recipients_day) == (2, 6, 6)
    # A retry is one of them no more than of the account, from wherever it comes.
    retried = mail(5, NOON + timedelta(hours=1), account_id="a_2", recipients=2, tenant_id="n_1", client_id="c_0")
    counts = await counters.count(retried)
    assert (counts.tenant_messages_day, counts.client_messages_day) == (6, 3)
    # And another tenant's, or nobody's, is not counted there.
    counts = await counters.count(mail(9, NOON + timedelta(hours=1), account_id="a_9"))
    assert (counts.tenant_messages_day, counts.client_messages_day) == (0, 0)


async def test_a_tenant_has_a_baseline_of_its_own(counters: Counters) -> None:
    for number in range(4):
        await counters.count(mail(number, NOON - DAY, account_id=f"a_{number}", recipients=10, tenant_id="n_1"))
    counts = await counters.count(mail("x", account_id="a_0", tenant_id="n_1", client_id="c_1"))
    assert (counts.baseline_recipients_day, counts.tenant_baseline_recipients_day) == (10.0, 40.0)
    assert counts.client_baseline_recipients_day == 0.0


async def test_a_new_client_does_not_stop_a_warm_account_while_the_store_is_away(engine: LedgerEngine) -> None:
    is_there = [True]

    async def submit(function: Any, about: About = NOTHING) -> Any:
        if not is_there[0]:
            raise LedgerUnavailable("away")
        return await engine._with_txn(function, about)

    counters = Counters(submit, node=NODE)
    await counters.count(mail(1, tenant_id="n_1"))
    is_there[0] = False
    counts = await counters.count(mail(2, tenant_id="n_1", client_id="c_1"))
    assert (counts.messages_day, counts.client_messages_day) == (2, 0)
    with pytest.raises(LedgerUnavailable):
        await counters.count(mail(3, account_id="a_2", tenant_id="n_1"))


async def test_a_restart_forgets_at_most_what_came_since_the_last_flush(state_dir: Path) -> None:
    engine = open_engine(state_dir)
    for number in range(5):
        await engine.counters.count(mail(number, tenant_id="n_1", client_id="c_1", unknown=2))
        if number == 3:
            await engine.counters.flush()
    engine.stop()
    engine = open_engine(state_dir)
    try:
        counts = await engine.counters.count(mail("x", tenant_id="n_1", client_id="c_1"))
        assert counts.messages_10min == counts.tenant_messages_10min == counts.client_messages_10min == 5
        assert counts.unknown_hour == 8
        # The keys of what was counted are gone: what is tried again counts once more, and once only.
        again = [await engine.counters.count(mail(0, tenant_id="n_1", client_id="c_1")) for _ in range(3)]
        assert [found.messages_hour for found in again] == [6, 6, 6]
    finally:
        await engine.close()


async def test_old_rows_are_removed(engine: LedgerEngine, clock: FrozenClock) -> None:
    def stored(txn: Any) -> tuple[set[Any], set[Any]]:
        minutes = txn.connection.execute(select(COUNT_MINUTE.c.subject_id, COUNT_MINUTE.c.minute)).all()
        days = txn.connection.execute(select(COUNT_DAY.c.subject_id, COUNT_DAY.c.day)).all()
        return {name for name, _ in minutes}, {name for name, _ in days}

    ages = {"a_0": 0.0, "a_1": 23.0, "a_2": 26.0, "a_3": 24.0 * 29, "a_4": 24.0 * 33}
    for name, hours in ages.items():
        await engine.counters.count(mail(1, NOON - timedelta(hours=hours), account_id=name, client_id=f"c{name}"))
    await engine.counters.flush()
    everybody = {*ages, *(f"c{name}" for name in ages)}
    assert engine.run(stored)[0] <= everybody
    await engine.counters.flush()
    minutes, days = engine.run(stored)
    assert minutes == {"a_0", "a_1", "ca_0", "ca_1"}
    assert days == everybody - {"a_4", "ca_4"}
    clock.advance(days=60)
    await engine.counters.flush()
    assert engine.run(stored) == (set(), set())


async def test_a_walk_removes_old_rows_a_part_at_a_time(engine: LedgerEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(volumes, "_PRUNED_AT_ONCE", 3)
    for number in range(20):
        await engine.counters.count(mail(1, NOON - timedelta(hours=26 * (number % 2)), account_id=f"a_{number:02d}"))
    await engine.counters.flush()
    left = []
    for _ in range(8):
        await engine.counters.flush()
        left.append(len(engine.run(lambda txn: txn.connection.execute(select(COUNT_MINUTE)).all())))
    assert left == sorted(left, reverse=True)
    assert left[0] > left[-1] == 10


async def test_a_flush_cut_off_writes_it_the_next_time(engine: LedgerEngine) -> None:
    await engine.counters.count(mail(1, recipients=2))
    flush = asyncio.create_task(engine.counters.flush())
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    flush.cancel()
    await asyncio.gather(flush, return_exceptions=True)
    await engine.counters.count(mail(2))
    await engine.counters.flush()
    assert (await Counters(engine._with_txn, node=NODE).count(mail(3))).recipients_day == 4


async def test_any_number_of_clients_takes_bounded_memory(engine: LedgerEngine) -> None:
    counters = Counters(engine._with_txn, node=NODE, weight_at_most=1_000)
    for number in range(300):
        await counters.count(mail(number % 3, account_id="a_1", tenant_id="n_1", client_id=f"c_{number}"))
        if number % 100 == 99:
            await counters.flush()
    assert len(counters._windows) < 120
    assert counters._weight == sum(counters._weights.values()) <= 1_100
    assert len(counters._live) == len(counters._windows)


async def test_an_erased_account_leaves_no_acquaintances(engine: LedgerEngine) -> None:
    for account_id in ("a_1", "a_2"):
        await engine.counters.count(mail(1, account_id=account_id, recipients=3))
    await engine.counters.flush()
    await engine.erase_subject("a_1")
    counts = [
        await Counters(engine._with_txn, node=NODE).count(mail(2, NOON + DAY, account_id=name, recipients=3))
        for name in ("a_1", "a_2")
    ]
    assert [found.strangers_hour for found in counts] == [3, 0]
