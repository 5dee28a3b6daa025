"""What the door does about clients that are endless, many or no SMTP clients (FAULTS 21-33); test_smtp_time has
the slow ones."""

from __future__ import annotations

import asyncio

import pytest

from filterd.doors.smtp_settings import Bounds
from tests.dialogs.client import Dialog
from tests.dialogs.house import FakeGate, House, open_house
from tests.kit.waiting import soon

# Time stands still: no limit of it is met.
pytestmark = [pytest.mark.slow, pytest.mark.turned]


async def still_serves(house: House) -> None:
    async with house.dialog() as talk:
        await talk.greeted()
        assert (await talk.envelope())[1] == "250 2.1.5 Ok"
        assert (await talk.data(b"x\r\n")).startswith("250 ")


# --- octets in commands (row 30) --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "octets",
    [
        b"NOOP\n",
        b"MAIL FROM:<>\nRCPT TO:<b@example.org>\r\n",
        b"NO\rOP\r\n",
        b"NOOP\r\r\n",
        b"NO\0OP\r\n",
        b"\nNOOP\r\n",
        b"\r\n\n",
    ],
)
async def test_a_stray_octet_in_a_command_ends_the_session(octets: bytes) -> None:
    async with open_house() as house, house.dialog() as talk:
        await talk.greeted()
        await talk.send(octets + b"MAIL FROM:<after@example.com>\r\n")
        if octets.startswith(b"\r\n"):
            assert await talk.reply() == "500 5.5.2 Syntax error"
        assert await talk.reply() == "500 5.5.2 Stray CR, LF or NUL in a command"
        assert await talk.ended()
        assert not house.commands(b"MAIL")
        await still_serves(house)


@pytest.mark.parametrize(
    "octets",
    [
        b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
        b"POST / HTTP/1.1\r\n\r\nMAIL FROM:<>\r\n",
        b"get / http/1.0\r\n",
        b"CONNECT x:25 HTTP/1.1\r\n\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"\x16\x03\x01\n\r\n",
    ],
)
async def test_other_protocols_are_closed(octets: bytes) -> None:
    async with open_house() as house, house.dialog() as talk:
        await talk.reply()
        await talk.send(octets)
        assert await talk.reply() == "421 4.7.0 This is SMTP"
        assert await talk.ended()
        assert not house.commands(b"MAIL")


async def test_content_that_comes_with_a_failed_data_is_never_read_as_commands() -> None:
    async with open_house() as house, house.dialog() as talk:
        await talk.greeted()
        await talk.ask("MAIL FROM:<>")
        await talk.send(b"DATA\r\nSubject: x\r\n\r\nRSET\r\nMAIL FROM:<evil@example.com>\r\n.\r\n")
        assert await talk.reply() == "554 5.5.1 No valid recipients"
        assert await talk.ended()
        assert house.commands(b"MAIL") == [b"MAIL FROM:<>"]


# --- length (row 27) --------------------------------------------------------------------------------------------------


async def test_a_long_line_is_refused_and_an_endless_one_ends_the_session() -> None:
    async with open_house() as house, house.dialog() as talk:
        await talk.greeted()
        # What Postfix hands on has up to 2048 octets.
        assert await talk.ask("NOOP " + "x" * 2048) == "250 2.0.0 Ok"
        assert await talk.ask("NOOP " + "x" * 4096) == "500 5.5.2 Command line too long"
        assert await talk.ask("NOOP " + "x" * 60_000) == "500 5.5.2 Command line too long"
        assert await talk.ask("NOOP") == "250 2.0.0 Ok"
        await talk.send(b"x" * 70_000)
        assert await talk.reply() == "500 5.5.2 Command line too long"
        assert await talk.ended()


async def test_pipelined_commands_do_not_pile_up() -> None:
    """A client that only sends is stopped by its own full socket, not by our memory."""
    entered, go_on, gate = asyncio.Event(), asyncio.Event(), FakeGate()

    async def think() -> None:
        entered.set()
        await go_on.wait()

    gate.on_enforce = think
    async with open_house(gate=gate, bounds=Bounds(junk_commands=10**9)) as house, house.dialog() as talk:
        await talk.greeted()
        await talk.envelope()
        await talk.ask("DATA")
        await talk.send(b"x\r\n.\r\n")
        await entered.wait()
        talk.writer.transport.set_write_buffer_limits(high=0)
        talk.writer.write(b"NOOP\r\n" * 5_000_000)
        await soon(lambda: house.connection._reader._is_paused)
        assert talk.writer.transport.get_write_buffer_size() > 10_000_000
        go_on.set()
        assert (await talk.reply()).startswith("250 2.0.0 from MTA(")
        for _ in range(1000):
            assert await talk.reply() == "250 2.0.0 Ok"
        talk.writer.transport.abort()


# --- numbers (rows 23, 24, 26) ----------------------------------------------------------------------------------------


async def test_junk_and_errors_have_an_end() -> None:
    async with open_house(bounds=Bounds(junk_commands=5, bad_commands=3)) as house:
        async with house.dialog() as talk:
            await talk.greeted()
            said = [await talk.ask("NOOP") for _ in range(5)]
            assert said == ["250 2.0.0 Ok"] * 4 + ["421 4.7.0 Too many commands without mail"]
            assert await talk.ended()
        async with house.dialog() as talk:
            await talk.greeted()
            said = [await talk.ask("MAIL x") for _ in range(4)]
            assert said[3] == "421 4.7.0 Too many errors"
            assert await talk.ended()
        async with house.dialog() as talk:
            await talk.greeted()
            await talk.send(b"WHAT\r\n" * 10 + b"MAIL FROM:<>\r\n")
            said = [await talk.reply() for _ in range(4)]
            assert said == ["500 5.5.1 Command not recognized"] * 3 + ["421 4.7.0 Too many errors"]
            assert await talk.ended()
        assert not house.commands(b"MAIL")


async def test_refused_recipients_are_not_errors_of_the_client() -> None:
    from filterd.clients.sink import SinkScript

    script = SinkScript(recipients={b"%d@example.org" % n: "550 5.1.1 no" for n in range(50)})
    async with open_house(script=script) as house, house.dialog() as talk:
        await talk.greeted()
        said = await talk.envelope("<>", *(f"<{n}@example.org>" for n in range(51)))
        assert said[1:] == ["550 5.1.1 no"] * 50 + ["250 2.1.5 Ok"]


async def test_more_connections_than_allowed_are_turned_away() -> None:
    async with open_house(listener={"max_connections": 2}) as house:
        async with house.dialog() as first, house.dialog() as second:
            await first.greeted()
            await second.greeted()
            async with house.dialog() as third:
                assert await third.reply() == "421 4.3.2 Too many connections, try again later"
                assert await third.ended()
            assert await first.ask("NOOP") == "250 2.0.0 Ok"
        await soon(lambda: house.server.connections == 0)
        await still_serves(house)


async def test_memory_for_messages_is_bounded_over_all_connections() -> None:
    async with open_house(bounds=Bounds(memory_bytes=100_000)) as house, house.dialog() as big:
        await big.greeted()
        await big.envelope()
        await big.ask("DATA")
        await big.send(b"x" * 90_000)
        await house.heard(90_000)
        async with house.dialog() as small:
            await small.greeted()
            assert await small.ask("MAIL FROM:<> SIZE=20000") == "452 4.3.1 Insufficient memory, try again later"
            await small.envelope()
            assert await small.data(b"y" * 20_000) == "452 4.3.1 Insufficient memory, try again later"
            await big.send(b"\r\n.\r\n")
            assert (await big.reply()).startswith("250 ")
            await small.envelope()
            assert (await small.data(b"y" * 90_000)).startswith("250 ")


async def test_who_never_ends_a_message_too_big_is_cut_off() -> None:
    async with open_house(listener={"max_message_bytes": 65_536}) as house, house.dialog() as talk:
        await talk.greeted()
        await talk.envelope()
        await talk.ask("DATA")
        talk.writer.write(b"x" * 400_000)
        assert await talk.reply() == "552 5.3.4 Message too big"
        assert await talk.ended()
        await still_serves(house)


# --- the end (row 21) -------------------------------------------------------------------------------------------------


async def test_draining_lets_work_in_hand_finish_and_turns_the_rest_away() -> None:
    gate, entered, go_on = FakeGate(), asyncio.Event(), asyncio.Event()

    async def think() -> None:
        entered.set()
        await go_on.wait()

    gate.on_enforce = think
    async with open_house(gate=gate) as house:
        async with house.dialog() as idle, house.dialog() as sending, house.dialog() as waiting:
            for talk in (idle, sending, waiting):
                await talk.greeted()
            await sending.envelope()
            await waiting.envelope()
            await waiting.ask("DATA")
            await waiting.send(b"x\r\n.\r\n")
            await entered.wait()
            port = house.port
            draining = asyncio.create_task(house.server.drain(60))
            assert await idle.reply() == "421 4.3.2 Shutting down"
            assert await idle.ended()
            with pytest.raises(OSError):
                async with Dialog(port):
                    pass
            go_on.set()
            assert (await waiting.reply()).startswith("250 ")
            assert await waiting.reply() == "421 4.3.2 Shutting down"
            # A transaction that had begun may come to its end.
            assert (await sending.data(b"y\r\n")).startswith("250 ")
            assert await sending.reply() == "421 4.3.2 Shutting down"
            assert await draining == 0
        assert house.raws == [b"x\r\n", b"y\r\n"]


async def test_many_idle_connections_do_no_harm() -> None:
    async with open_house() as house:
        talks = [house.dialog() for _ in range(300)]
        for talk in talks:
            await talk.__aenter__()
        for talk in talks:
            await talk.reply()
        await still_serves(house)
        for talk in talks:
            talk.writer.close()
        await soon(lambda: house.server.connections == 0)
