"""An operator's agreement without any of the optional tables: everything goes on, and nothing of them is missed."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from filterd import app
from filterd.config import Config
from filterd.model.about import EVERYTHING, NOTHING
from filterd.pipeline.clockwork import begin, strike_account, strike_tenant
from filterd.pipeline.notice_mail import NoticeDesk, NoticeFacts
from filterd.pipeline.notice_requests import NoticeRequest
from filterd.pipeline.notices import Templates
from filterd.share import path
from tests.chaos import terms
from tests.kit.house import KEYS, House, letter
from tests.pipeline.test_gate import CONFIG
from tests.pipeline.test_registers import LOGIN, Office

pytestmark = pytest.mark.slow

DAY = 86400.0
# The same text again would be the same act.
TEXTS = (
    "the quarterly figures of our northern branch are ready for you",
    "could somebody bring the green folder to the meeting room upstairs",
    "holiday plans for next summer should be handed in before Easter",
    "please find the invoice for the repaired coffee machine below",
    "tomorrow the car park is closed because of road works outside",
)


@pytest.fixture
async def office(tmp_path: Path) -> AsyncIterator[Office]:
    folder = tmp_path / "policies"
    folder.mkdir()
    terms.write(folder)
    agreement = {"directory": str(folder), "default": terms.AGREEMENT}
    config = {**CONFIG, "agreement": agreement, "node": {"state_dir": str(tmp_path)}}
    house = await House(tmp_path, Config.model_validate(config)).open()
    office = Office(house)
    for name, role in (("Root", "admin"), ("Ana", "moderator"), ("Bo", "appeals_reviewer")):
        await office.hire(name, role)
    yield office
    await house.close()


async def test_a_ladder_is_climbed_told_of_objected_to_and_undone(office: Office) -> None:
    house = office.house
    settings = app.parts.notice_settings(house.config)
    desk = NoticeDesk(house.rules, Templates(path("policies/notices")), settings, KEYS.token)
    for number, kind in enumerate(terms.KINDS):
        raw = letter(f"n{number}").replace(b"see you on Tuesday.", TEXTS[number].encode())
        await office.mails(kind.finding, raw=raw)
        for item, _, _ in await house.engine.pending():
            if item.topic == "notice" and "templates" in item.payload:
                request = NoticeRequest.read(item)
                facts = await house.engine.submit(lambda txn, asked=request: desk.gather(txn, asked), NOTHING)
                assert isinstance(facts, NoticeFacts)
                assert desk.letters(facts, house.clock.now())
        await house.notice_received()
        house.clock.advance(60)
    shown = await house.show(LOGIN)
    assert shown["standing"] == "suspended"
    for days in (1, 40):
        house.clock.advance(days * DAY)
        await house.engine.submit(
            lambda txn: strike_account(txn, shown["account_id"], house.rules, txn.now, since=begin(txn)), EVERYTHING
        )
        await house.engine.submit(
            lambda txn: strike_tenant(txn, shown["tenant_id"], house.rules, txn.now, since=begin(txn)), EVERYTHING
        )
    assert (await house.show(LOGIN))["standing"] == "warned"
    await office.asks("Ana", "appeal.file", target=shown["sanctions"][0]["sanction_id"])
    (appeal,) = await house.ledger.call("appeal.list", {})
    await office.asks("Bo", "appeal.decide", appeal=appeal["appeal_id"], outcome="granted", reason="our error")
    assert (await house.show(LOGIN))["points"] < shown["points"]
