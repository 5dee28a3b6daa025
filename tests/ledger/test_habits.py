"""From where, and to how many new people, an account sends: what survives a restart, and what another node knew."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from filterd.ledger.counters import Counters
from filterd.ledger.engine import LedgerEngine
from filterd.ledger.habits import Clients
from tests.kit.clock import NOON
from tests.ledger.mails import mail
from tests.ledger.rig import open_engine, opened
from tests.ledger.test_count_nodes import Table

DAY = timedelta(days=1)
HOME, CAFE = "c_home", "c_cafe"


async def origin(counters: Counters, number: int, days: float, client: str | None) -> tuple[bool, bool, int]:
    counts = await counters.count(mail(number, NOON + days * DAY, client_id=client))
    return counts.client_is_new, counts.client_is_original, counts.clients_hour


async def test_a_network_is_new_for_two_days_where_another_was_known_for_a_week(engine: LedgerEngine) -> None:
    engine.run(lambda txn: txn.append(opened("a_1", at=NOON), account_id="a_1", tenant_id="n_1"))
    counters = engine.counters
    assert await origin(counters, 1, 0, HOME) == (False, True, 1)
    # Before the account has been anywhere for a week, nothing is unlike it.
    assert await origin(counters, 2, 6, CAFE) == (False, False, 1)
    assert await origin(counters, 3, 7, "c_train") == (True, False, 1)
    assert await origin(counters, 4, 8, "c_train") == (True, False, 1)
    assert await origin(counters, 5, 9, "c_train") == (False, False, 1)
    assert await origin(counters, 6, 9, HOME) == (False, True, 2)
    # Nobody says which network it is: nothing is said.
    assert await origin(counters, 7, 9, None) == (False, False, 0)


async def test_the_networks_of_an_hour_are_counted_once_each(engine: LedgerEngine) -> None:
    said = [await origin(engine.counters, n, n / (24 * 60), f"c_{n % 4}") for n in range(8)]
    assert [hour for _, _, hour in said] == [1, 2, 3, 4, 4, 4, 4, 4]
    assert (await origin(engine.counters, 9, 2 / 24, "c_0"))[2] == 1


async def test_a_restart_knows_every_network_and_takes_none_for_a_person(state_dir: Path) -> None:
    engine = open_engine(state_dir)
    await origin(engine.counters, 1, -20, HOME)
    await engine.counters.flush()
    await engine.counters.count(mail(2, NOON - 10 * DAY, recipients=4, client_id=HOME))
    await engine.close()
    engine = open_engine(state_dir)
    try:
        counts = await engine.counters.count(mail(3, NOON, recipients=4, client_id=HOME))
        assert (counts.client_is_new, counts.strangers_hour) == (False, 0)
        # Four people in twenty days, and no network among them.
        assert counts.strangers_baseline_day == pytest.approx(4 / 20)
        assert (await engine.counters.count(mail(4, NOON, client_id=CAFE))).client_is_new
    finally:
        await engine.close()


async def test_what_another_node_has_known_for_long_is_not_new_here() -> None:
    table = Table()
    one, other = (Counters(table.submit, node=name, is_shared=True) for name in ("n1", "n2"))
    table.now = NOON - 20 * DAY
    await origin(one, 1, -20, HOME)
    await one.flush()
    await origin(other, 2, -20, HOME)
    await origin(one, 3, -18, CAFE)
    await one.flush()
    assert (await origin(other, 4, 0, CAFE))[0] is False
    assert (await origin(other, 5, 0, "c_elsewhere"))[0] is True
    table.connection.close()


def test_a_traveller_s_networks_have_an_end() -> None:
    clients = Clients()
    assert sum(clients.take(f"c_{n}", 0, 0) for n in range(1200)) == 1000
    assert clients.origin("c_1100", 0, 30, None).is_new is False
