"""Thirty strangers a day with the same offer: seen on the tenth day, held and warned.  STANDING 5.11, 7.3 story_s3."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from filterd.checks import rate
from filterd.checks.spec import Context
from filterd.config.checks import RateConfig
from filterd.model.ids import keyed_hash
from filterd.model.verdict import Outcome, Verdict
from tests.kit.house import Script
from tests.pipeline.holding import HoldingOffice, open_holding
from tests.pipeline.people import ALICE, DAY

pytestmark = pytest.mark.slow

OFFER = (
    "your lucky evening begins with us. Open an account today and play with twice of what you bring; our tables are"
    " open day and night, the croupiers are friendly, and what you win is yours within the hour. Write to the number"
    " in the picture, and somebody will show you how."
)


@pytest.fixture
async def office(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[HoldingOffice]:
    """A house whose one check is the real one for behaviour, with the real counters behind it."""
    real = rate.make(RateConfig(), timeout_s=60)

    async def run(self: Script, context: Context) -> Verdict:
        said = await real.run(context)
        found = tuple(x for x in said.findings if x.code == rate.DRIP)
        return replace(said, check="script", outcome=Outcome.FOUND if found else Outcome.CLEAN, findings=found)

    monkeypatch.setattr(Script, "run", run)
    async with open_holding(tmp_path) as opened:
        yield opened


async def writes(office: HoldingOffice, name: str, *people: str, text: str = OFFER) -> Any:
    head = (
        f"From: <{ALICE}>", "To: <you@x.example>", f"Subject: {name}", f"Message-ID: <{name}@x>",
        "Date: Mon, 2 Mar 2026 09:00:00 +0800", "",
    )  # fmt: skip
    raw = "\r\n".join((*head, f"Dear {name}, {text}", "")).encode()
    return await office.submit(raw, *people)


async def test_three_hundred_strangers_on_the_tenth_day_are_held_and_warned(office: HoldingOffice) -> None:
    for day in range(10):
        for number in range(3):
            name = f"n{day}{number}"
            answer = await writes(office, name, *(f"{name}.{who}@other{who}.example" for who in range(10)))
            is_last = (day, number) == (9, 2)
            # Nothing is found before the three hundredth.
            assert (answer.reply is not None) is is_last, (day, number)
        office.clock.advance(DAY)
    assert (answer.reply.code, answer.reply.enhanced) == (250, "2.0.0")
    (row,) = await office.items()
    assert (row["state"], row["reason"]) == ("held", "category.spam.outbound")
    shown = await office.show(ALICE)
    assert (shown["standing"], shown["points"], shown["features_off"]) == ("warned", 0.5, [])
    # Tried again it is held again; her letter to somebody she knows, and another text to a stranger, go out.
    again = await writes(office, "n92", *(f"n92.{who}@other{who}.example" for who in range(10)))
    assert again.reply is not None
    assert (await writes(office, "home", "bob@cust.example")).reply is None
    other = "the minutes of our meeting on Tuesday are attached; the next one is in the town hall, and there is cake."
    assert (await writes(office, "minutes", "new@other.example", text=other)).reply is None
    assert (await writes(office, "one more", "new2@other.example")).reply is not None


async def test_a_help_desk_that_answers_three_hundred_people_with_one_template_is_left_alone(
    office: HoldingOffice,
) -> None:
    account = await office.mailbox()
    for day in range(10):
        people = [f"n{day}.{who}@other{who}.example" for who in range(30)]
        today = office.clock.now().date()
        asked = [(account.tenant_id, keyed_hash(office.gate._keys.pseudonym, who), today) for who in people]
        office.engine.run(lambda txn, asked=asked: txn.note_senders(asked))
        for number in range(3):
            assert (await writes(office, f"n{day}{number}", *people[number::3])).reply is None, (day, number)
        office.clock.advance(DAY)
    assert await office.items() == []
    assert (await office.show(ALICE))["standing"] == "good"
    # It wrote to as many, and the next stranger is its first.
    assert (await writes(office, "stranger", "new@other.example")).reply is None
