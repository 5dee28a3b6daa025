"""Who wrote first is known for a month, by keyed hash, and goes with the tenant.  STANDING 5.11."""

from __future__ import annotations

from datetime import date, timedelta

import pytest

from filterd.ledger.engine import LedgerEngine
from tests.kit.clock import NOON, FrozenClock

TODAY = NOON.date()
ONE, TWO = "1" * 32, "2" * 32


async def known(engine: LedgerEngine, tenant: str, since: date) -> frozenset[str]:
    return await engine.submit(lambda txn: txn.known_senders(tenant, (ONE, TWO), since))


async def note(engine: LedgerEngine, *rows: tuple[str, str, date]) -> None:
    await engine.submit(lambda txn: txn.note_senders(rows))


async def test_the_latest_day_counts_and_no_earlier_one_takes_its_place(engine: LedgerEngine) -> None:
    day = timedelta(days=1)
    await note(engine, ("n_1", ONE, TODAY), ("n_2", TWO, TODAY - 5 * day))
    await note(engine, ("n_1", ONE, TODAY - 3 * day))
    assert await known(engine, "n_1", TODAY) == {ONE}
    assert await known(engine, "n_1", TODAY + day) == frozenset()
    assert await known(engine, "n_2", TODAY - 4 * day) == frozenset()
    assert await known(engine, "n_2", TODAY - 5 * day) == {TWO}


async def test_what_is_older_than_a_month_is_forgotten(engine: LedgerEngine, clock: FrozenClock) -> None:
    await note(engine, ("n_1", ONE, TODAY))
    clock.advance(days=31)
    await note(engine, ("n_1", TWO, TODAY + timedelta(days=31)))
    assert await known(engine, "n_1", date.min) == {ONE, TWO}
    clock.advance(days=1)
    await note(engine)
    assert await known(engine, "n_1", date.min) == {TWO}


async def test_an_erased_tenant_has_no_correspondents(engine: LedgerEngine) -> None:
    await note(engine, ("n_1", ONE, TODAY), ("n_2", ONE, TODAY))
    await engine.erase_subject("n_1")
    assert await known(engine, "n_1", date.min) == frozenset()
    assert await known(engine, "n_2", date.min) == {ONE}


@pytest.mark.parametrize("count", [0, 1, 1200])
async def test_many_are_asked_for_at_once(engine: LedgerEngine, count: int) -> None:
    hashes = [f"{n:032x}" for n in range(count)]
    await note(engine, *(("n_1", who, TODAY) for who in hashes))
    found = await engine.submit(lambda txn: txn.known_senders("n_1", hashes, TODAY))
    assert found == set(hashes)
