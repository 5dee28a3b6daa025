"""A client who leaves: after the dot it changes nothing, before the dot nothing was sent (FAULTS F12).

Under both event loops: uvloop tells of the last octets and of the end of the connection before any task runs.
"""

from __future__ import annotations

import asyncio
import inspect
import socket
from collections.abc import Callable, Coroutine
from typing import Any

import pytest
import uvloop

from filterd.clients.sink import SinkScript
from filterd.config import ListenerConfig
from filterd.doors.smtp_door import SmtpDoor
from filterd.doors.smtp_settings import Bounds
from filterd.doors.smtp_verbs import SmtpProtocol
from tests.dialogs.house import FakeGate, open_house
from tests.kit.waiting import soon

pytestmark = pytest.mark.slow


def on_both_loops(test: Callable[..., Coroutine[Any, Any, None]]) -> Callable[..., None]:
    """Run an async test under asyncio and under uvloop; goes above all other decorators."""

    def run(new_loop: Callable[[], asyncio.AbstractEventLoop], **arguments: Any) -> None:
        # With a factory the runner leaves alone the loop that pytest-asyncio has set.
        with asyncio.Runner(loop_factory=new_loop) as runner:
            runner.run(test(**arguments))

    loops = pytest.mark.parametrize(
        "new_loop", [asyncio.new_event_loop, uvloop.new_event_loop], ids=["asyncio", "uvloop"]
    )
    run.__name__, run.__doc__ = test.__name__, test.__doc__
    ours = inspect.Parameter("new_loop", inspect.Parameter.POSITIONAL_OR_KEYWORD)
    run.__signature__ = inspect.Signature([ours, *inspect.signature(test).parameters.values()])  # type: ignore[attr-defined]
    run.pytestmark = [*getattr(test, "pytestmark", []), loops.mark]  # type: ignore[attr-defined]
    return run


def until_354(port: int) -> socket.socket:
    """Talk with blocking calls up to DATA."""
    raw = socket.create_connection(("127.0.0.1", port), timeout=60)
    replies = raw.makefile("rb")
    replies.readline()
    for line in (b"HELO x", b"MAIL FROM:<>", b"RCPT TO:<b@example.org>", b"DATA"):
        raw.sendall(line + b"\r\n")
        assert replies.readline()[:1] in b"23"
    return raw


@on_both_loops
@pytest.mark.parametrize("how", ["close", "half"])
async def test_the_end_of_the_message_and_of_the_connection_at_once(how: str) -> None:
    async with open_house() as house:
        for n in range(20):
            raw = await asyncio.to_thread(until_354, house.port)
            # No await in between: both are in the kernel before the door looks.
            raw.sendall(b"x\r\n.\r\n")
            if how == "half":
                raw.shutdown(socket.SHUT_WR)
                assert (await asyncio.to_thread(raw.recv, 1000)).startswith(b"250 2.0.0 from MTA(")
            raw.close()
            await soon(lambda n=n: len(house.gate.deliveries) == n + 1)
        assert len(house.gate.intakes) == len(house.raws) == 20
        await soon(lambda: house.server.connections == 0)
        assert not house.errors


class DeafTransport(asyncio.Transport):
    """Takes everything and hands nothing on."""

    def __init__(self) -> None:
        super().__init__({"peername": ("127.0.0.1", 4000)})
        self.written = b""
        self._is_closed = False

    def write(self, data: Any) -> None:
        self.written += bytes(data)

    def is_closing(self) -> bool:
        return self._is_closed

    def close(self) -> None:
        self._is_closed = True


@pytest.mark.parametrize("how", ["eof", "lost", "reset"])
async def test_both_before_any_task_has_run(how: str) -> None:
    """The loop may tell of the last octets and of the end in one go."""
    async with open_house() as house:
        door = SmtpDoor(
            ListenerConfig(), house.gate, house.relay, on_error=lambda *_: None, bounds=Bounds(), via="next hop"
        )
        protocol, transport = SmtpProtocol(door), DeafTransport()
        protocol.connection_made(transport)
        protocol.data_received(b"HELO x\r\nMAIL FROM:<>\r\nRCPT TO:<b@example.org>\r\nDATA\r\n")
        await soon(lambda: transport.written.count(b"\r\n") == 5)
        protocol.data_received(b"x\r\n.\r\n")
        if how == "eof":
            protocol.eof_received()
        else:
            transport.close()
            protocol.connection_lost(None if how == "lost" else ConnectionResetError())
        await soon(lambda: len(house.gate.deliveries) == 1)
        assert house.raws == [b"x\r\n"]
        if how == "eof":
            await soon(lambda: b"250 2.0.0 from MTA(" in transport.written)
            transport.close()
            protocol.connection_lost(None)
        await door.opened.drained(1)


@on_both_loops
@pytest.mark.parametrize("how", ["close", "reset", "half"])
@pytest.mark.parametrize("moment", ["before", "during"])
async def test_who_leaves_after_the_dot_changes_nothing(how: str, moment: str) -> None:
    gate, entered, go_on = FakeGate(), asyncio.Event(), asyncio.Event()

    async def think() -> None:
        entered.set()
        await go_on.wait()

    gate.on_enforce = think
    async with open_house(gate=gate) as house, house.dialog() as talk:
        await talk.greeted()
        await talk.envelope()
        await talk.ask("DATA")
        await talk.send(b"x\r\n.\r\n")
        if moment == "during":
            await entered.wait()
        connection = house.connection
        match how:
            case "close":
                talk.writer.close()
            case "reset":
                talk.writer.transport.abort()
            case "half":
                talk.writer.write_eof()
        await soon(lambda: connection._reader._is_ended)
        go_on.set()
        if how == "half":
            assert (await talk.reply()).startswith("250 ")
            assert await talk.ended()
        await soon(lambda: len(gate.deliveries) == 1)
        assert house.raws == [b"x\r\n"]
        assert not house.errors
        await soon(lambda: house.server.connections == 0)


@on_both_loops
@pytest.mark.parametrize("said", [b"", b"half a message\r\n", b"no last line end\r\n."])
async def test_who_leaves_before_the_dot_has_sent_nothing(said: bytes) -> None:
    async with open_house(next_hop={"max_connections": 1}) as house:
        async with house.dialog() as talk:
            await talk.greeted()
            await talk.envelope()
            await talk.send(b"DATA\r\n" + said)
            assert (await talk.reply()).startswith("354 ")
            await house.heard(len(said))
        await soon(lambda: house.server.connections == 0)
        async with house.dialog() as talk:
            await talk.greeted()
            await talk.envelope()
            await talk.data(b"whole\r\n")
        assert house.raws == [b"whole\r\n"]
        assert len(house.gate.intakes) == 1


@on_both_loops
async def test_who_leaves_while_the_next_hop_thinks_frees_its_lease() -> None:
    for phase in ("mail", "rcpt"):
        script = SinkScript(stall=frozenset({phase}))
        async with open_house(script=script, next_hop={"max_connections": 1}) as house:
            async with house.dialog() as talk:
                await talk.greeted()
                await talk.send(b"MAIL FROM:<>\r\n")
                if phase == "rcpt":
                    await talk.reply()
                    await talk.send(b"RCPT TO:<b@example.org>\r\n")
                await soon(lambda house=house, phase=phase: house.sink.counts[phase])
            await soon(lambda house=house: house.server.connections == 0)
            house.sink.script = SinkScript()
            async with house.dialog() as talk:
                await talk.greeted()
                assert (await talk.envelope())[1] == "250 2.1.5 Ok"


@on_both_loops
@pytest.mark.parametrize("how", ["close", "half"])
async def test_who_leaves_before_the_greeting_holds_no_connection(how: str) -> None:
    """A balancer that only looks whether the port is open: no task of ours has run when the end comes."""
    async with open_house() as house:
        for _ in range(50):
            raw = socket.create_connection(("127.0.0.1", house.port))
            if how == "half":
                raw.shutdown(socket.SHUT_WR)
            else:
                raw.close()
        # Let in, and over.
        with socket.create_connection(("127.0.0.1", house.port)) as last:
            assert (await asyncio.to_thread(last.recv, 1000)).startswith(b"220 ")
        await soon(lambda: house.server.connections == 0)
        assert not house.errors
