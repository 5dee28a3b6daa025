"""Received first: who passes on what a stranger sent has not made it.  STANDING 5.7-12, CLAUSES TX-3.5.2."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from filterd.config import Config
from tests.kit.house import House, letter
from tests.pipeline.test_gate import CONFIG

pytestmark = pytest.mark.slow

ALICE, IT = "alice@cust.example", "helpdesk@vendor.example"
LINK = "https://evil.example/login?x=1"
PHISH = ("link.feed.match",)


def mail(number: int, words: str, *, sender: str = ALICE) -> bytes:
    head = letter(f"n{number}", sender=sender).partition(b"\r\n\r\n")[0]
    return head + b"\r\n\r\n" + words.encode() + b"\r\n"


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    opened = await House(tmp_path, Config.model_validate({**CONFIG, "node": {"state_dir": str(tmp_path)}})).open()
    # The tenant is known, and its mail comes in.
    await opened.send(letter("hello"), "bob@other.example", login=ALICE)
    yield opened
    await opened.close()


async def arrives(house: House, words: str, to: str = ALICE) -> None:
    house.script.codes = ()
    answer = await house.send(mail(1, words, sender="shop@evil.example"), to, listener="inbound")
    assert answer.reply is None
    await house.gate.flush()


async def sends(house: House, number: int, words: str, *to: str) -> tuple[int | None, int]:
    """Say the reply and how many incidents there are then."""
    house.script.codes = PHISH
    answer = await house.send(mail(number, words), *(to or (IT,)), login=ALICE)
    return (answer.reply.code if answer.reply else None), len((await house.show(ALICE))["incidents"])


async def test_case_forward_phish_to_it_is_stopped_and_gives_no_points(house: House) -> None:
    await arrives(house, f"Your mailbox is full: {LINK}")
    assert await sends(house, 2, f"is this real?\r\n> Your mailbox is full: {LINK}") == (550, 0)
    assert (await house.show(ALICE))["points"] == 0
    assert house.events("decided")[-1]["decision"]["reasons"][-1]["code"] == "register.received_first"


async def test_what_nobody_sent_to_us_counts(house: House) -> None:
    await arrives(house, "Your mailbox is full: https://evil.example/another")
    assert await sends(house, 2, f"look: {LINK}") == (550, 1)


async def test_passing_it_on_to_many_is_spreading_it(house: House) -> None:
    await arrives(house, f"Your mailbox is full: {LINK}")
    six = [f"person{n}@other.example" for n in range(6)]
    assert await sends(house, 2, f"look: {LINK}", *six) == (550, 1)


async def test_after_a_month_it_is_nobodys_question_any_more(house: House) -> None:
    await arrives(house, f"Your mailbox is full: {LINK}")
    house.clock.advance(31 * 86400)
    assert await sends(house, 2, f"look: {LINK}") == (550, 1)


async def test_case_self_sent_seed_not_received_first(house: House) -> None:
    house.script.codes = ()
    # To oneself, logged in: nobody outside has sent it.
    await house.send(mail(1, f"seed {LINK}"), ALICE, login=ALICE)
    await house.gate.flush()
    assert await sends(house, 2, f"look: {LINK}") == (550, 1)


async def test_case_list_id_costume(house: House) -> None:
    house.script.codes = PHISH
    costume = letter("c", "List-Id: <news.example>", "Auto-Submitted: auto-replied", "Precedence: bulk")
    answer = await house.send(costume.replace(b"see you", LINK.encode()), IT, login=ALICE)
    assert answer.reply is not None
    assert len((await house.show(ALICE))["incidents"]) == 1
