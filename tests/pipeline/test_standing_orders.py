"""walk_3 on a real ledger: the clock carries a standing order out, and one person stops it.  STANDING 5.9, 7.3."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from filterd.config import Config
from filterd.model.about import EVERYTHING
from filterd.model.sanction import Preset
from filterd.pipeline.clockwork import Struck, begin, strike_account
from tests.kit.house import House
from tests.pipeline.test_gate import CONFIG
from tests.pipeline.test_registers import LOGIN, Office

pytestmark = pytest.mark.slow

DAY = 86400.0


@pytest.fixture
async def office(tmp_path: Path) -> AsyncIterator[Office]:
    config = {**CONFIG, "agreement": {"preset": Preset.STANDING_ORDER.value}, "node": {"state_dir": str(tmp_path)}}
    house = await House(tmp_path, Config.model_validate(config)).open()
    office = Office(house)
    for name, role in (("Root", "admin"), ("Ana", "moderator"), ("Bo", "moderator"), ("Cem", "approver")):
        await office.hire(name, role)
    await office.both("register.order", "", agreement="tencent-exmail", categories="malware", days=90)
    yield office
    await house.close()


async def strike(office: Office) -> list[Struck]:
    """What the clock does now for the account."""
    house = office.house
    account_id = (await house.show(LOGIN))["account_id"]
    rules = house.rules
    found: tuple[Struck, ...] = await house.engine.submit(
        lambda txn: strike_account(txn, account_id, rules, txn.now, since=begin(txn)), EVERYTHING
    )
    return [x for x in found if x.clock == "termination.ordered"]


async def walk(office: Office) -> None:
    """Three infected mails, each after the notice of the one before: suspended without an end on the eighth day."""
    for days in (0, 1, 7):
        office.house.clock.advance(days * DAY)
        assert await office.mails("virus.signature.match") == 550
        await office.house.notice_received()
    assert (await office.house.show(LOGIN))["standing"] == "suspended"


async def test_walk_3_on_the_ledger(office: Office) -> None:
    await walk(office)
    assert await strike(office) == []
    office.house.clock.advance(7 * DAY)
    (told,) = await strike(office)
    assert told.is_alarm
    assert await strike(office) == []
    events = [item.payload.get("event") for item, _, _ in await office.house.engine.pending()]
    assert events.count("termination_proposed") == 1
    # Nobody has received it yet: it waits, however long.
    office.house.clock.advance(30 * DAY)
    assert (await office.house.show(LOGIN))["standing"] == "suspended"


async def test_case_standing_order_veto_by_one_click(office: Office) -> None:
    await walk(office)
    office.house.clock.advance(7 * DAY)
    (told,) = await strike(office)
    await office.asks("Cem", "order.veto", sanction=told.object_id, reason="look first")
    office.house.clock.advance(DAY)
    assert await strike(office) == []
    assert (await office.house.show(LOGIN))["standing"] == "suspended"


async def test_without_an_order_nothing_is_terminated(office: Office) -> None:
    await walk(office)
    (entry,) = await office.asks("Ana", "register.list")
    await office.asks("Ana", "register.end", entry=entry["entry_id"], reason="no longer")
    office.house.clock.advance(20 * DAY)
    assert await strike(office) == []


async def struck(office: Office, clock: str) -> list[str]:
    """What the clock does now for the account, by the name of one of its clocks."""
    house = office.house
    account_id, rules = (await house.show(LOGIN))["account_id"], house.rules
    found: tuple[Struck, ...] = await house.engine.submit(
        lambda txn: strike_account(txn, account_id, rules, txn.now, since=begin(txn)), EVERYTHING
    )
    return [x.object_id for x in found if x.clock == clock]


async def test_who_lifts_the_suspension_stops_the_termination_and_the_user_is_told(office: Office) -> None:
    """The user was told of a day on which the account ends; whoever was told hears that it does not."""
    await walk(office)
    office.house.clock.advance(7 * DAY)
    (told,) = await strike(office)
    shown = await office.house.show(LOGIN)
    assert [x["sanction_id"] for x in shown["coming"]] == [told.object_id]
    assert await struck(office, "termination.fallen") == []
    (suspension,) = [x for x in shown["sanctions"] if x["rung"] == "suspend"]
    said = await office.asks("Cem", "sanction.lift", sanction=suspension["sanction_id"], reason="clemency")
    assert said["standing"] != "suspended"
    assert (await office.house.show(LOGIN))["coming"] == []
    assert await struck(office, "termination.fallen") == [told.object_id]
    assert await struck(office, "termination.fallen") == []
    events = [item.payload.get("event") for item, _, _ in await office.house.engine.pending()]
    assert events.count("termination_withdrawn") == 1
    office.house.clock.advance(30 * DAY)
    assert (await office.house.show(LOGIN))["standing"] == "warned"
