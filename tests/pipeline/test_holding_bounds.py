"""What held mail may take, and what a decision about it covers (STANDING 5.7-23)."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from filterd.model.verdict import FailMode, Outcome
from filterd.pipeline import held as held_rules
from tests.kit.house import letter
from tests.pipeline.holding import CONTESTABLE, HoldingOffice, open_holding
from tests.pipeline.test_holding import held

pytestmark = pytest.mark.slow


@pytest.fixture
async def office(tmp_path: Path) -> AsyncIterator[HoldingOffice]:
    async with open_holding(tmp_path) as opened:
        yield opened


def unchecked(office: HoldingOffice) -> None:
    """From now on mail is held because it could not be checked: no act, no incident."""
    office.script.codes, office.script.outcome = (), Outcome.TEMPERROR
    office.use_checks(office.script.check(FailMode.QUARANTINE))


def words(seed: str) -> bytes:
    return b"".join(f"{seed}{i} ".encode() for i in range(60)) + b"\r\n"


async def test_the_same_octets_days_later_are_another_mail(office: HoldingOffice) -> None:
    """A programme that writes no date: what it sends again has not been taken yet."""
    unchecked(office)
    first = await held(office)
    again = await office.submit(letter("Offer"))
    assert again.reply is not None
    assert again.reply.code == 250
    assert await office.states() == ["held"]
    await office.act("mona", "quarantine.release", item=first, reason="ok")
    await office.carry()
    # Tried again meanwhile, it is the mail that has gone.
    await office.submit(letter("Offer"))
    assert len(await office.items(all=True)) == 1
    office.clock.advance(hours=24 * 5)
    answer = await office.submit(letter("Offer"))
    assert answer.reply is not None
    assert answer.reply.code == 250
    assert sorted(x["state"] for x in await office.items(all=True)) == ["delivered", "held"]


async def test_an_account_cannot_fill_the_vault_with_texts_of_its_own(
    office: HoldingOffice, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(held_rules, "MOST_OUTBOUND", 6)
    unchecked(office)
    codes = []
    for n in range(9):
        answer = await office.submit(letter(f"copy {n}") + words("abcdefghi"[n]), f"p{n}@other.example")
        codes.append(answer.reply.code if answer.reply is not None else 0)
    assert codes == [250] * 6 + [451] * 3
    assert len(await office.items()) == 6


async def test_copies_are_those_of_the_text_somebody_has_read(office: HoldingOffice) -> None:
    office.script.codes = CONTESTABLE
    first = await held(office, "newsletter", "p0@other.example")
    other = await office.submit(letter("casino") + words("casino"), "p1@other.example")
    assert other.reply is not None
    assert other.reply.code == 250
    await office.act("mona", "quarantine.release", item=first, reason="their newsletter", copies=True)
    states = {x["item_id"]: x["state"] for x in await office.items(all=True)}
    assert states.pop(first) == "released"
    assert list(states.values()) == ["held"]
