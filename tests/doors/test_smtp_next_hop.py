"""What a client sees when the next hop refuses, fails or leaves, in each phase (FAULTS 3-6)."""

from __future__ import annotations

import asyncio

import pytest

from filterd.clients.sink import SinkScript
from tests.dialogs.house import FakeGate, open_house
from tests.kit.loops import settled, turn
from tests.kit.waiting import soon

# No limit is met but by turning the time.
pytestmark = [pytest.mark.slow, pytest.mark.turned]

NO_NEXT_HOP = "451 4.4.1 Next hop cannot be reached, try again later"
LOST = "451 4.4.2 Connection to the next hop lost, try again later"
CLOSING = "451 4.3.2 Next hop not accepting mail now, try again later"


async def test_each_recipient_gets_the_next_hops_own_words() -> None:
    script = SinkScript(
        recipients={
            b"gone@example.org": "550 5.1.1 <gone@example.org>: Recipient address rejected",
            b"full@example.org": "452 4.2.2 Mailbox full",
            b"bare@example.org": "550 no code",
            b"odd@example.org": "550 4.1.1 odd",
        }
    )
    async with open_house(script=script) as house, house.dialog() as talk:
        await talk.greeted()
        names = ("here", "gone", "full", "bare", "odd")
        assert await talk.envelope("<>", *(f"<{name}@example.org>" for name in names)) == [
            "250 2.1.0 Ok",
            "250 2.1.5 Ok",
            "550 5.1.1 <gone@example.org>: Recipient address rejected",
            "452 4.2.2 Mailbox full",
            "550 5.0.0 no code",
            "550 5.0.0 4.1.1 odd",
        ]
        assert (await talk.data(b"x\r\n")).startswith("250 ")
        assert house.sink.messages[0].rcpts == (b"TO:<here@example.org>",)
        assert [(r.code, refused) for _, r, refused in house.gate.deliveries] == [(250, 3)]
        assert [f.path.address for f in house.gate.intakes[0].envelope.forward_paths] == ["here@example.org"]


@pytest.mark.parametrize(
    ("phase", "reply", "seen"),
    [
        ("mail", "550 5.7.1 not you", "550 5.7.1 not you"),
        ("mail", "451 4.3.0 later", "451 4.3.0 later"),
        ("mail", "421 4.3.2 closing", CLOSING),
        ("rcpt", "421 4.3.2 closing", CLOSING),
        ("data", "554 5.5.1 no", "554 5.5.1 no"),
        ("data", "421 4.3.2 closing", CLOSING),
        ("dot", "554 5.6.0 bad content", "554 5.6.0 bad content"),
        ("dot", "451 4.3.0 later", "451 4.3.0 later"),
        ("dot", "421 4.3.2 closing", CLOSING),
        ("dot", "552-5.2.2 too\r\n552 5.2.2 full", "552-5.2.2 too\n552 5.2.2 full"),
    ],
)
async def test_a_refusal_in_each_phase(phase: str, reply: str, seen: str) -> None:
    async with open_house(script=SinkScript(replies={phase: reply})) as house, house.dialog() as talk:
        await talk.greeted()
        said = await talk.envelope()
        if phase == "mail":
            assert said[0] == seen
        elif phase == "rcpt":
            assert said[1] == seen
            assert await talk.ask("DATA") == seen
        else:
            assert await talk.data(b"x\r\n") == seen
            assert [r.code for _, r, _ in house.gate.deliveries] == [int(reply[:3])]
        assert not house.gate.failures
        house.sink.script = SinkScript()
        await talk.ask("RSET")
        await talk.envelope()
        assert (await talk.data(b"x\r\n")).startswith("250 ")
        assert house.sink.counts["messages"] == 1


@pytest.mark.parametrize("how", ["hang_up", "stall"])
@pytest.mark.parametrize(
    ("phase", "seen"),
    [
        ("banner", NO_NEXT_HOP),
        ("ehlo", NO_NEXT_HOP),
        ("mail", NO_NEXT_HOP),
        ("rcpt", LOST),
        ("data", LOST),
        ("dot", LOST),
    ],
)
async def test_a_break_in_each_phase(phase: str, how: str, seen: str) -> None:
    script = SinkScript(hang_up=frozenset({phase})) if how == "hang_up" else SinkScript(stall=frozenset({phase}))
    limits = {"connect_timeout_s": 50, "command_timeout_s": 50, "data_timeout_s": 50, "max_connections": 1}
    async with open_house(script=script, next_hop=limits) as house, house.dialog() as talk:

        async def wait_in_vain() -> None:
            await soon(lambda: house.sink.counts[phase])
            await settled()
            await turn(50)

        waiting = asyncio.create_task(wait_in_vain() if how == "stall" else settled())
        await talk.greeted()
        said = await talk.envelope()
        if phase in {"banner", "ehlo", "mail"}:
            assert said[0] == seen
        elif phase == "rcpt":
            assert said[1] == seen
            assert await talk.ask("RCPT TO:<c@example.org>") == seen
            assert await talk.ask("DATA") == seen
        else:
            assert await talk.data(b"x\r\n") == seen
            # Nobody knows who has the mail only when the dot was out.
            assert [(t, unknown) for t, _, unknown in house.gate.failures] == [("t_1", phase == "dot")]
        await waiting
        assert len(house.errors) == 1
        assert not house.gate.deliveries
        # One attempt: behind a dot a second one could make a second copy.
        assert house.sink.counts["connections"] == 1
        house.sink.script = SinkScript()
        await talk.ask("RSET")
        await talk.envelope()
        assert (await talk.data(b"x\r\n")).startswith("250 ")
        # Silence behind the dot hid a message taken: that is why it is called unknown.
        assert house.sink.counts["messages"] == (2 if (phase, how) == ("dot", "stall") else 1)


async def test_nobody_listens() -> None:
    async with open_house() as house, house.dialog() as talk:
        await house.sink.close()
        await talk.greeted()
        assert await talk.ask("MAIL FROM:<>") == NO_NEXT_HOP
        assert await talk.ask("RCPT TO:<b@example.org>") == "503 5.5.1 Need MAIL first"


async def test_the_next_hop_dies_while_the_house_thinks() -> None:
    gate = FakeGate()
    async with open_house(gate=gate) as house, house.dialog() as talk:

        async def die() -> None:
            house.sink.drop_connections()
            await soon(lambda: not wire.is_quiet)

        gate.on_enforce = die
        await talk.greeted()
        await talk.envelope()
        wire = house.connection.transaction.lease._connection.wire  # type: ignore[union-attr]
        assert await talk.data(b"x\r\n") == LOST
        assert [unknown for _, _, unknown in gate.failures] == [False]
        assert not house.sink.messages


async def test_a_dead_kept_connection_costs_nothing() -> None:
    async with open_house() as house, house.dialog() as talk:
        await talk.greeted()
        for n in range(3):
            await talk.envelope()
            assert (await talk.data(b"x\r\n")).startswith("250 ")
            house.sink.drop_connections()
            assert house.sink.counts["messages"] == n + 1
        assert not house.errors


async def test_a_full_pool_makes_the_client_wait_then_come_back() -> None:
    limits = {"max_connections": 1, "connect_timeout_s": 50}
    async with open_house(next_hop=limits) as house, house.dialog() as first, house.dialog() as second:
        await first.greeted()
        await first.envelope()
        await second.greeted()
        waiting = asyncio.create_task(second.ask("MAIL FROM:<>"))
        await soon(lambda: house.relay._slots._waiters)
        await turn(50)
        assert await waiting == NO_NEXT_HOP
        waiting = asyncio.create_task(second.ask("MAIL FROM:<>"))
        await soon(lambda: house.relay._slots._waiters)
        await turn(49)
        await first.data(b"x\r\n")
        assert await waiting == "250 2.1.0 Ok"
