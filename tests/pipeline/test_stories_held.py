"""The first hours of two stories, letter by letter: 25 copies are held, the rest waits.  STANDING 5.7-23, 7.3."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator, Iterable
from pathlib import Path
from typing import Any

import pytest

from tests.kit.house import letter
from tests.pipeline.holding import HoldingOffice, open_holding
from tests.pipeline.people import ALICE

pytestmark = pytest.mark.slow

NEWSLETTER = (
    "List-Id: News <news.cust.example>",
    "List-Unsubscribe: <https://cust.example/out>",
    "List-Unsubscribe-Post: List-Unsubscribe=One-Click",
)


@pytest.fixture
async def office(tmp_path: Path) -> AsyncIterator[HoldingOffice]:
    async with open_holding(tmp_path) as opened:
        yield opened


async def each(office: HoldingOffice, numbers: Iterable[int], *fields: str) -> Counter[int]:
    """Send one letter to each; say how many were answered how (0: went on)."""
    codes: Counter[int] = Counter()
    for number in numbers:
        answer = await office.submit(letter(f"n{number}", *fields), f"p{number}@other.example")
        codes[answer.reply.code if answer.reply is not None else 0] += 1
    return codes


async def looked_at(office: HoldingOffice) -> dict[str, Any]:
    """Have a person release the first held letter with its copies."""
    first = (await office.items())[0]["item_id"]
    said: dict[str, Any] = await office.act("mona", "quarantine.release", item=first, reason="seen", copies=True)
    await office.carry()
    return said


async def test_story_s2_of_a_newsletter_25_copies_are_held_until_it_is_declared(office: HoldingOffice) -> None:
    """1. D0: 25 copies held, others 451; advice how to declare; no points. 2. Declared in two hours: all goes out."""
    office.script.codes = ("content.advertising.model", "rate.burst.running")
    assert await each(office, range(40), *NEWSLETTER) == {250: 25, 451: 15}
    assert ((await office.show(ALICE))["standing"], (await office.show(ALICE))["points"]) == ("good", 0)
    assert office.promised().count("advice") == 1
    office.clock.advance(hours=1)
    tenant = (await office.show(ALICE))["tenant_id"]
    await office.hire("ada", role="tenant_admin", tenant=tenant)
    await office.act(
        "ada", "register.declare", account=ALICE, consent="signup", list_id="news.cust.example", opt_out_works=True,
        reason="customers who signed up",
    )  # fmt: skip
    # What waited outside passes with the next try, and whatever comes after it.
    assert await each(office, range(25, 60), *NEWSLETTER) == {0: 35}
    await looked_at(office)
    assert len(office.sink.messages) == 25
    assert (await office.show(ALICE))["points"] == 0


async def test_story_s5_of_a_school_s_letters_25_are_held_and_a_person_ends_it(office: HoldingOffice) -> None:
    """1. Volume and stale addresses are one group of signals: B, 25 held, the rest 451, warned; over when looked at."""
    office.script.codes = ("rate.unknown.high", "rate.recipients.high")
    assert await each(office, range(120)) == {250: 25, 451: 95}
    shown = await office.show(ALICE)
    assert (shown["standing"], shown["points"]) == ("warned", 1)
    # It is one incident, however many letters it was.
    assert len(shown["incidents"]) == 1
    office.clock.advance(hours=1)
    await looked_at(office)
    (sanction,) = shown["sanctions"]
    said = await office.act("mona", "sanction.annul", sanction=sanction["sanction_id"], reason="fee notices")
    assert (said["standing"], said["points"]) == ("good", 0)
    assert await each(office, range(25, 120)) == {0: 95}
    assert len(office.sink.messages) == 25
