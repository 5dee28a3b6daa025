"""The link in a notice opens the page of just its case, for as long as that can be contested.  STANDING 5.6."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from filterd import app
from filterd.config import Config
from filterd.model.about import NOTHING
from filterd.pipeline import appeal_link
from filterd.pipeline.notice_mail import NoticeDesk, NoticeFacts
from filterd.pipeline.notice_requests import NoticeRequest
from filterd.pipeline.notices import Audience, Templates
from filterd.share import path
from tests.kit.house import KEYS, House
from tests.pipeline.test_gate import CONFIG
from tests.pipeline.test_registers import LOGIN, Office

pytestmark = pytest.mark.slow

BASE = "https://mail.provider.example/appeal/"


@pytest.fixture
async def office(tmp_path: Path) -> AsyncIterator[Office]:
    notices = {**CONFIG["notices"], "object_url": BASE}  # type: ignore[dict-item]
    config = Config.model_validate({**CONFIG, "notices": notices, "node": {"state_dir": str(tmp_path)}})
    house = await House(tmp_path, config).open()
    yield Office(house)
    await house.close()


async def letters(office: Office) -> dict[Audience, str]:
    """Word the notice that is waiting, for the account and its tenant."""
    house = office.house
    settings = app.parts.notice_settings(house.config)
    desk = NoticeDesk(house.rules, Templates(path("policies/notices")), settings, KEYS.token)
    (item,) = [x for x, _, _ in await house.engine.pending() if x.topic == "notice" and "templates" in x.payload]
    facts = await house.engine.submit(lambda txn: desk.gather(txn, NoticeRequest.read(item)), NOTHING)
    assert isinstance(facts, NoticeFacts)
    copies = desk.copies(facts, house.clock.now(), (Audience.ACCOUNT, Audience.TENANT))
    return {audience: notice.text for audience, notice in copies.items()}


async def test_the_link_of_a_notice_is_for_its_case_and_expires_with_the_window(office: Office) -> None:
    assert await office.mails("virus.signature.match") == 550
    shown = await office.house.show(LOGIN)
    for text in (await letters(office)).values():
        (token,) = set(re.findall(f"<{re.escape(BASE)}(.+?)>", text))
        bound = appeal_link.read(KEYS.token, token, office.house.clock.now())
        assert bound.account_id == shown["account_id"]
        assert bound.incident_id == shown["incidents"][0]["incident_id"]
        # A warning can be contested as long as the strike counts: a virus is severity 3, a year.
        assert (bound.expires_at - office.house.clock.now()).days in range(364, 367)


async def test_no_link_goes_into_a_mailbox_under_hold(office: Office) -> None:
    assert await office.mails("virus.signature.match") == 550
    # The second of them locks attachments for a day (STANDING 5.7-14).
    assert await office.mails("virus.signature.match") == 550
    told = await letters(office)
    assert BASE not in told[Audience.ACCOUNT]
    assert BASE in told[Audience.TENANT]
