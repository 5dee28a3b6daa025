"""Released mail to a next hop that answers each recipient behind the dot (RFC 2033): each is settled by his answer."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from filterd.clients.relay import NextHopRelay
from filterd.config import NextHopConfig
from tests.kit.hop import Hop, Talk, running
from tests.kit.house import letter
from tests.pipeline.holding import CONTESTABLE, HoldingOffice, open_holding
from tests.pipeline.people import ALICE, BOB

pytestmark = pytest.mark.slow

CAROL, DAVE = "carol@other.example", "dave@other.example"


@pytest.fixture
async def hop() -> AsyncIterator[Hop]:
    async with running(Hop(is_lmtp=True)) as hop:
        yield hop


@pytest.fixture
async def office(tmp_path: Path, hop: Hop) -> AsyncIterator[HoldingOffice]:
    async with open_holding(tmp_path) as opened:
        opened.script.codes = CONTESTABLE
        await opened.relay.close()
        opened.relay = NextHopRelay(NextHopConfig(address=hop.address, protocol="lmtp"))
        opened.anew()
        yield opened


async def released(office: HoldingOffice, *recipients: str) -> None:
    """Have Alice send what is held, and release it."""
    answer = await office.submit(letter("Offer"), *recipients)
    assert answer.reply is not None
    item = next(word.strip(",") for word in answer.reply.text.split() if word.startswith("q_"))
    await office.act("mona", "quarantine.release", item=item, reason="a newsletter")


async def test_each_recipient_is_settled_by_his_answer(office: HoldingOffice, hop: Hop) -> None:
    await released(office, BOB, CAROL, DAVE)
    hop.dots = {BOB.encode(): "552 5.2.2 full", CAROL.encode(): "451 4.2.0 locked"}
    await office.carry()
    assert [mail.rcpt for mail in hop.taken] == [DAVE.encode()]
    assert await office.states() == ["released"]
    hop.dots = {}
    office.clock.advance(hours=1)
    await office.carry()
    # Carol has hers, Dave no second one, and Alice the report about Bob.
    assert [mail.rcpt for mail in hop.taken] == [DAVE.encode(), CAROL.encode(), ALICE.encode()]
    report = hop.taken[-1].raw
    assert f"Final-Recipient: rfc822; {BOB}".encode() in report
    assert b"Status: 5.2.2" in report
    assert CAROL.encode() not in report.partition(b"message/delivery-status")[2].partition(b"message/rfc822")[0]
    assert await office.states() == ["delivered"]


async def test_after_a_break_among_the_answers_those_who_were_answered_get_no_second_copy(
    office: HoldingOffice, hop: Hop
) -> None:
    async def one_of_three(talk: Talk) -> None:
        del hop.misbehave[b"."]
        talk.say("250 2.0.0 Ok")
        talk.writer.close()

    await released(office, BOB, CAROL, DAVE)
    hop.misbehave[b"."] = one_of_three
    await office.carry()
    assert await office.states() == ["released"]
    office.clock.advance(hours=1)
    await office.carry()
    assert [mail.rcpt for mail in hop.taken] == [CAROL.encode(), DAVE.encode()]
    assert await office.states() == ["delivered"]
