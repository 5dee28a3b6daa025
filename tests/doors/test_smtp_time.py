"""What the door does about clients that are slow, silent or do not read (FAULTS 21, 24): no limit is met but by turning
the time."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import cast

import pytest

from filterd.doors.serving import LAST_WORDS_S
from filterd.doors.smtp_settings import Bounds
from tests.dialogs.client import Dialog
from tests.dialogs.house import FakeGate, open_house
from tests.doors.test_smtp_bounds import still_serves
from tests.kit.loops import now_s, settled, turn
from tests.kit.waiting import soon

pytestmark = [pytest.mark.slow, pytest.mark.turned]

# --- a command, a message, a session --------------------------------------------------------------------------------


async def test_a_silent_client_is_told_and_closed() -> None:
    async with open_house(listener={"command_timeout_s": 100}) as house, house.dialog() as talk:
        await talk.greeted()
        await talk.envelope()
        await turn(99)
        assert await talk.ask("NOOP") == "250 2.0.0 Ok"
        await turn(100)
        assert await talk.reply() == "421 4.4.2 Timeout"
        assert await talk.ended()
        await still_serves(house)


async def test_an_octet_now_and_then_gains_no_time_for_a_command() -> None:
    async with open_house(listener={"command_timeout_s": 100}) as house, house.dialog() as talk:
        await talk.greeted()
        for number in range(1, 10):
            await talk.send(b"x")
            await house.heard(number)
            await turn(10)
        await soon(lambda: house.is_waiting)
        await turn(10)
        assert await talk.reply() == "421 4.4.2 Timeout"


async def test_data_may_be_slow_but_not_still() -> None:
    async with open_house(listener={"data_timeout_s": 10}) as house:
        async with house.dialog() as talk:
            await talk.greeted()
            await talk.envelope()
            await talk.ask("DATA")
            for number in range(1, 9):
                await talk.send(b"slow\r\n")
                await house.heard(6 * number)
                await turn(9)
            await talk.send(b".\r\n")
            assert (await talk.reply()).startswith("250 ")
        await soon(lambda: house.server.connections == 0)
        async with house.dialog() as talk:
            await talk.greeted()
            await talk.envelope()
            await talk.ask("DATA")
            await talk.send(b"and then nothing\r\n")
            await house.heard(18)
            await turn(10)
            assert await talk.reply() == "421 4.4.2 Timeout"
            assert await talk.ended()
        assert len(house.gate.intakes) == 1


async def test_data_has_a_bound_however_steady() -> None:
    bounds = Bounds(data_total_s=100, data_grace_s=1000)
    async with open_house(listener={"data_timeout_s": 20}, bounds=bounds) as house, house.dialog() as talk:
        await talk.greeted()
        await talk.envelope()
        await talk.ask("DATA")
        for number in range(1, 11):
            await talk.send(b"x")
            # What has been cut hears no more.
            await house.heard(number)
            await turn(10)
        assert await talk.reply() == "421 4.4.2 Timeout"
        assert not house.gate.intakes


async def test_a_trickle_of_data_is_cut_long_before_the_bound() -> None:
    """An octet now and then keeps no pause, and holds the next hop's connection as well as ours."""
    bounds = Bounds(data_total_s=1000, data_grace_s=99, data_octets_per_s=10)
    async with open_house(listener={"data_timeout_s": 20}, bounds=bounds) as house, house.dialog() as talk:
        await talk.greeted()
        await talk.envelope()
        await talk.ask("DATA")
        for number in range(1, 11):
            await talk.send(b"x")
            await house.heard(number)
            await turn(10)
        # Ten octets have bought one second beyond the grace.
        assert await talk.reply() == "421 4.4.2 Timeout"
        assert not house.gate.intakes


async def test_data_that_comes_fast_enough_is_not_cut() -> None:
    bounds = Bounds(data_grace_s=10, data_octets_per_s=100)
    async with open_house(listener={"data_timeout_s": 20}, bounds=bounds) as house, house.dialog() as talk:
        await talk.greeted()
        await talk.envelope()
        await talk.ask("DATA")
        for number in range(1, 16):
            await talk.send(b"x" * 998 + b"\r\n")
            await house.heard(1000 * number)
            await turn(10)
        await talk.send(b".\r\n")
        assert (await talk.reply()).startswith("250 ")
        assert len(house.raws[0]) == 15_000


@pytest.mark.parametrize("keep_alive", ["NOOP", "RCPT TO:<c@example.org>"])
async def test_a_transaction_without_data_does_not_hold_the_next_hop(keep_alive: str) -> None:
    bounds = Bounds(envelope_s=100)
    async with open_house(bounds=bounds, next_hop={"max_connections": 1}) as house, house.dialog() as talk:
        await talk.greeted()
        await talk.envelope()
        for _ in range(9):
            await turn(10)
            assert (await talk.ask(keep_alive)).startswith("250 ")
        await turn(10)
        assert await talk.reply() == "421 4.4.2 Transaction without message for too long"
        assert await talk.ended()
        await still_serves(house)


async def test_the_time_of_an_envelope_is_its_own() -> None:
    bounds = Bounds(envelope_s=100)
    async with open_house(bounds=bounds) as house, house.dialog() as talk:
        await talk.greeted()
        for end in ("RSET", "EHLO x", "DATA", "RSET"):
            await talk.envelope()
            await turn(60)
            if end == "DATA":
                await talk.ask("DATA")
                await turn(80)
                await talk.send(b"x\r\n.\r\n")
                assert (await talk.reply()).startswith("250 ")
            else:
                assert (await talk.ask(end)).startswith("250")
        await turn(150)
        assert await talk.ask("NOOP") == "250 2.0.0 Ok"
        assert len(house.raws) == 1


async def test_noop_for_ever_is_closed_by_time() -> None:
    bounds = Bounds(junk_commands=10**6)
    async with open_house(listener={"session_timeout_s": 100}, bounds=bounds) as house, house.dialog() as talk:
        await talk.greeted()
        for _ in range(9):
            await turn(10)
            assert await talk.ask("NOOP") == "250 2.0.0 Ok"
        await turn(10)
        assert await talk.reply() == "421 4.4.2 Session without mail for too long"
        assert await talk.ended()


async def test_a_session_with_mail_lasts() -> None:
    async with open_house(listener={"session_timeout_s": 100}) as house, house.dialog() as talk:
        await talk.greeted()
        for _ in range(6):
            await talk.envelope()
            assert (await talk.data(b"x\r\n")).startswith("250 ")
            await turn(99)
        assert await talk.ask("NOOP") == "250 2.0.0 Ok"


async def test_thinking_longer_than_any_limit_of_its_own_is_not_the_clients_fault() -> None:
    async def think() -> None:
        await turn(10_000)

    gate = FakeGate(on_enforce=think)
    async with open_house(gate=gate, listener={"answer_timeout_s": 86_400}) as house, house.dialog() as talk:
        await talk.greeted()
        await talk.envelope()
        assert (await talk.data(b"x\r\n")).startswith("250 ")
        assert await talk.ask("NOOP") == "250 2.0.0 Ok"


async def test_who_does_not_read_is_left() -> None:
    listener, bounds = {"command_timeout_s": 100, "session_timeout_s": 86_400}, Bounds(junk_commands=10**9)
    async with open_house(listener=listener, bounds=bounds) as house, house.dialog() as talk:
        await talk.greeted()
        talk.reader._transport.pause_reading()  # type: ignore[attr-defined]
        connection = house.connection
        talk.writer.write(b"HELP\r\n" * 2_000_000)

        while house.server.connections:
            # The kernel takes a little more now and then, and the wait begins anew.
            await soon(lambda: connection._is_choked or not house.server.connections)
            await turn(100)
        assert now_s() < 86_400


# --- the end ---------------------------------------------------------------------------------------------------------


async def test_the_grace_has_an_end() -> None:
    gate, go_on = FakeGate(), asyncio.Event()
    gate.on_enforce = go_on.wait
    async with open_house(gate=gate) as house, house.dialog() as slow, house.dialog() as waiting:
        await slow.greeted()
        await slow.envelope()
        await waiting.greeted()
        await waiting.envelope()
        await waiting.ask("DATA")
        await waiting.send(b"x\r\n.\r\n")
        await soon(lambda: gate.intakes)
        draining = asyncio.create_task(house.server.drain(10))
        await settled()
        assert house.server.connections == 2
        await turn(10)
        assert await slow.reply() == "421 4.3.2 Shutting down"
        await soon(lambda: house.server.connections == 1)
        assert not draining.done()
        await turn(LAST_WORDS_S)
        assert await draining == 1
        go_on.set()
        assert (await waiting.reply()).startswith("250 ")


@pytest.mark.parametrize("how", ["timeout", "end", "quit"])
async def test_who_does_not_read_the_last_words_holds_no_slot(how: str, tmp_path: Path) -> None:
    """A little unsent keeps a closing connection open for ever, and is too little for the door to wait for it."""
    # Of a UNIX socket the kernel takes what fits, and then nothing more until the client reads.
    listener = {"bind": f"unix:{tmp_path / 'door'}", "command_timeout_s": 100}
    bounds = Bounds(junk_commands=10**9, part_s=50)
    async with open_house(listener=listener, bounds=bounds) as house, Dialog(path=str(tmp_path / "door")) as talk:
        await talk.greeted()
        talk.reader._transport.pause_reading()  # type: ignore[attr-defined]
        connection = house.connection
        transport = cast(asyncio.Transport, connection._client)
        # Until it takes no more, and then not so much that the door waits.
        asked = connection._junk_commands
        while transport.get_write_buffer_size() == 0:
            await talk.send(b"HELP\r\n" * 200)
            asked += 200
            await soon(lambda: connection._junk_commands == asked and house.is_waiting)  # noqa: B023
        assert transport.get_write_buffer_size() < 65_536
        match how:
            case "timeout":
                await turn(100)
            case "end":
                talk.writer.write_eof()
            case _:
                await talk.send(b"QUIT\r\n")
        await soon(lambda: connection._parting is not None)
        await turn(49)
        assert house.server.connections == 1
        await turn(1)
        await soon(lambda: house.server.connections == 0)
