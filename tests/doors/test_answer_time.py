"""One limit from the end of a message to the answer: checks and next hop together (MAIL-PATH 4a, FAULTS 4 and 8).

A check that hangs and a next hop that never answers do so for ever; the time is turned.
"""

from __future__ import annotations

import asyncio

import pytest

from filterd.config import ListenerConfig, MilterConfig, NextHopConfig
from filterd.doors.answer_time import BEFORE_NEXT_HOP, AnswerTime
from filterd.model.reply import Reply
from tests.dialogs.client import Dialog
from tests.dialogs.house import FakeGate, House, open_house
from tests.doors.test_milter import MAIL, begun, open_door
from tests.kit.hop import Hop, Talk, is_silent, running
from tests.kit.loops import settled, turn
from tests.kit.waiting import soon

# No limit is met but by turning the time.
pytestmark = [pytest.mark.slow, pytest.mark.turned]

LIMIT_S = 90
JUDGED_BY_S = 60
TOO_LATE = "451 4.3.2 Not looked through in time, try again later"
LOST = "451 4.4.2 Connection to the next hop lost, try again later"


class Stuck:
    """A check that hangs until it is let go."""

    def __init__(self) -> None:
        self.has_begun, self.go_on = asyncio.Event(), asyncio.Event()

    async def __call__(self) -> None:
        self.has_begun.set()
        await self.go_on.wait()


async def sent(talk: Dialog, stuck: Stuck) -> asyncio.Task[str]:
    """Send a message whose check hangs."""
    await talk.greeted()
    await talk.envelope()
    answer = asyncio.create_task(talk.data(b"x\r\n"))
    await stuck.has_begun.wait()
    await settled()
    return answer


def went_nowhere(house: House) -> bool:
    return not house.commands(b"DATA") and not house.sink.messages and not house.gate.deliveries


def test_the_limits_lie_below_those_of_postfix() -> None:
    """smtpd_proxy_timeout is 100 s, milter_content_timeout 300 s, and 90 s in our own main.cf."""
    listener = ListenerConfig()
    assert (listener.answer_timeout_s, listener.answer_timeout_s * BEFORE_NEXT_HOP) == (LIMIT_S, JUDGED_BY_S)
    assert NextHopConfig().data_timeout_s <= listener.answer_timeout_s
    assert MilterConfig().answer_timeout_s == 60


async def test_a_check_that_hangs_is_451_and_nothing_goes_out() -> None:
    stuck = Stuck()
    async with (
        open_house(gate=FakeGate(on_enforce=stuck), next_hop={"max_connections": 1}) as house,
        house.dialog() as talk,
        house.dialog() as other,
    ):
        answer = await sent(talk, stuck)
        await turn(JUDGED_BY_S - 1)
        assert not answer.done()
        await turn(1)
        assert await answer == TOO_LATE
        assert len(house.errors) == 1
        # The one connection to the next hop is free, and the session goes on.
        await other.greeted()
        assert (await other.envelope())[0] == "250 2.1.0 Ok"
        await other.ask("RSET")
        # What was begun ends, is written down, and goes nowhere.
        stuck.go_on.set()
        await soon(lambda: house.gate.failures == [("t_1", "AnswerTimeout", False)])
        assert went_nowhere(house)
        await talk.envelope()
        assert (await talk.data(b"again\r\n")).startswith("250 ")
        assert len(house.raws) == 1


HELD, REFUSED = Reply(code=250, enhanced="2.0.0", text="held"), Reply(code=550, enhanced="5.7.1", text="no")


@pytest.mark.parametrize("reply", [HELD, REFUSED])
async def test_an_answer_that_comes_too_late_is_nobodys(reply: Reply) -> None:
    """Held or refused: what is on record is durable, and the same mail that comes again finds it. That the client heard
    something else is on record, too."""
    stuck = Stuck()
    async with open_house(gate=FakeGate(on_enforce=stuck, reply=reply)) as house, house.dialog() as talk:
        answer = await sent(talk, stuck)
        await turn(JUDGED_BY_S)
        assert await answer == TOO_LATE
        stuck.go_on.set()
        await soon(lambda: not house.server._open._tasks)
        assert went_nowhere(house)
        assert house.gate.failures == [("t_1", "AnswerTimeout", False)]
        # No second reply to the one message.
        assert await talk.ask("NOOP") == "250 2.0.0 Ok"


async def test_a_message_may_be_handed_on_until_the_last_moment() -> None:
    async def think() -> None:
        await turn(JUDGED_BY_S - 1)

    async with open_house(gate=FakeGate(on_enforce=think)) as house, house.dialog() as talk:
        await talk.greeted()
        await talk.envelope()
        assert (await talk.data(b"x\r\n")).startswith("250 ")
        assert len(house.raws) == 1


async def test_a_check_that_ends_at_the_limit_is_late() -> None:
    """Whoever of the two is served first."""

    async def think() -> None:
        await turn(JUDGED_BY_S)

    async with open_house(gate=FakeGate(on_enforce=think)) as house, house.dialog() as talk:
        await talk.greeted()
        await talk.envelope()
        assert await talk.data(b"x\r\n") == TOO_LATE
        await soon(lambda: house.gate.failures == [("t_1", "AnswerTimeout", False)])
        assert went_nowhere(house)


async def test_the_next_hop_has_what_the_checks_have_left() -> None:
    """It never answers the dot: unknown, 451, and not a second attempt (the known rule), at 90 s of the whole."""

    has_dot = asyncio.Event()

    async def think() -> None:
        await turn(50)

    async def say_nothing(talk: Talk) -> None:
        has_dot.set()
        await is_silent(talk)

    async with (
        running(Hop(misbehave={b".": say_nothing})) as hop,
        open_house(gate=FakeGate(on_enforce=think), next_hop={"address": hop.address}) as house,
        house.dialog() as talk,
    ):
        await talk.greeted()
        await talk.envelope()
        answer = asyncio.create_task(talk.data(b"x\r\n"))
        await has_dot.wait()
        await turn(39)
        assert not answer.done()
        await turn(1)
        assert await answer == LOST
        assert [(t, unknown) for t, _, unknown in house.gate.failures] == [("t_1", True)]
        assert hop.verbs().count(b"DATA") == 1
        assert hop.connections == 1


async def test_every_recipient_over_lmtp_hears_that_it_was_late() -> None:
    stuck = Stuck()
    gate = FakeGate(on_enforce=stuck)
    async with open_house(gate=gate, listener={"protocol": "lmtp"}) as house, house.dialog() as talk:
        await talk.greeted("LHLO x")
        await talk.envelope("<>", "<b@example.org>", "<c@example.org>")
        first = asyncio.create_task(talk.data(b"x\r\n"))
        await stuck.has_begun.wait()
        await settled()
        await turn(JUDGED_BY_S)
        assert [await first, await talk.reply()] == [TOO_LATE, TOO_LATE]
        stuck.go_on.set()


async def test_a_milter_answers_in_time_and_goes_on() -> None:
    """It says that it lives as long as it looks, and the MTA waits anew each time: so the limit is ours."""
    stuck = Stuck()
    gate = FakeGate(on_enforce=stuck)
    async with open_door(gate, progress_s=20) as door:
        mta = await door.mta()
        await begun(mta)
        assert await mta.content(MAIL) is None
        await mta.send(b"E")
        await stuck.has_begun.wait()
        await settled()
        for _ in range(2):
            await turn(20)
            assert (await mta.read())[0] == b"p"
        await turn(20)
        letter = b"p"
        while letter == b"p":
            letter, octets = await mta.read()
        assert (letter, octets) == (b"y", TOO_LATE.encode() + b"\0")
        assert len(door.errors) == 1
        gate.on_enforce = None
        assert await mta.mail(b"<a@example.com>") == b"c"
        assert await mta.rcpt(b"<b@example.org>") == b"c"
        assert (await mta.message(MAIL))[-1] == (b"a", b"")
        stuck.go_on.set()
        await soon(lambda: gate.failures == [("t_2", "AnswerTimeout", False)])
        assert [transaction for transaction, _, _ in gate.deliveries] == ["t_2"]


@pytest.mark.parametrize(
    ("reply", "noted"), [(HELD, ["t_1"]), (REFUSED, ["t_1"]), (Reply(code=451, enhanced="4.3.0", text="later"), [])]
)
async def test_what_a_milter_held_or_refused_too_late_is_on_record_as_misheard(reply: Reply, noted: list[str]) -> None:
    stuck = Stuck()
    gate = FakeGate(on_enforce=stuck, reply=reply)
    async with open_door(gate, progress_s=JUDGED_BY_S) as door:
        mta = await door.mta()
        await begun(mta)
        assert await mta.content(MAIL) is None
        await mta.send(b"E")
        await stuck.has_begun.wait()
        await settled()
        await turn(JUDGED_BY_S)
        letter = b"p"
        while letter == b"p":
            letter, _ = await mta.read()
        assert letter == b"y"
        stuck.go_on.set()
        await soon(lambda: not door.server._open._tasks)
        assert [tx for tx, _, _ in gate.failures] == noted


async def test_who_has_been_told_no_hands_nothing_on() -> None:
    time = AnswerTime(LIMIT_S, before_next_hop=BEFORE_NEXT_HOP)
    never = asyncio.create_task(asyncio.Event().wait())
    waiting = asyncio.create_task(time.wait(never))
    await settled()
    await turn(JUDGED_BY_S)
    assert not await waiting
    assert not time.hand_on()
    assert time.left_s == LIMIT_S - JUDGED_BY_S
    never.cancel()


async def test_what_is_handed_on_is_waited_for() -> None:
    """Behind that the next hop's own limit ends it; a 451 of ours beside its 250 would make a second copy."""
    time, end = AnswerTime(LIMIT_S, before_next_hop=BEFORE_NEXT_HOP), asyncio.Event()
    work = asyncio.create_task(end.wait())
    waiting = asyncio.create_task(time.wait(work))
    await settled()
    assert time.hand_on()
    await turn(LIMIT_S * 10)
    assert not waiting.done()
    assert time.left_s == 0
    end.set()
    assert await waiting
