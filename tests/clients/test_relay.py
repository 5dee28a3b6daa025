"""The relay client against a real sink: order of commands, kept connections, faults in every phase."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from filterd.clients.relay import MAX_REFUSALS, NextHopRelay
from filterd.clients.relay_connection import Address
from filterd.clients.relay_session import NextHopSession
from filterd.clients.relay_wire import RelayBroken
from filterd.clients.sink import Sink, SinkScript, start_sink
from filterd.config import NextHopConfig
from filterd.errors import ConfigError, PortError
from filterd.mail.address import parse_forward_path, parse_reverse_path
from filterd.model.session import ForwardPath, Path
from tests.kit.loops import let_run, settled, turn
from tests.kit.waiting import soon

# No limit is met but by turning the time.
pytestmark = [pytest.mark.slow, pytest.mark.turned]

SENDER = parse_reverse_path(b"<a@example.com>")
RCPT = ForwardPath(path=parse_forward_path(b"<b@example.org>"))
RAW = b"Subject: x\r\n\r\nbody\r\n"


def config(address: str, **keys: Any) -> NextHopConfig:
    return NextHopConfig.model_validate({"address": address, "connect_timeout_s": 50} | keys)


@asynccontextmanager
async def hop(script: SinkScript | None = None, **keys: Any) -> AsyncIterator[tuple[Sink, NextHopRelay]]:
    sink = await start_sink(script=script)
    relay = NextHopRelay(config(sink.address, **keys))
    try:
        yield sink, relay
    finally:
        let_run()
        await relay.close()
        await sink.close()


async def deliver(relay: NextHopRelay, raw: bytes = RAW, attributes: dict[str, str] | None = None) -> str:
    lease = await relay.lease()
    try:
        await lease.speak_for(attributes or {})
        for reply in (await lease.mail(SENDER, ()), await lease.rcpt(RCPT)):
            assert reply.is_positive
        (reply,) = await lease.data(raw)
        return reply.text
    finally:
        await lease.close()


async def test_commands_go_out_verbatim_and_in_order() -> None:
    async with hop(helo="us.example") as (sink, relay):
        lease = await relay.lease()
        await lease.speak_for({"ADDR": "192.0.2.1", "HELO": "a b", "LOGIN": "x"})
        path = Path(raw=b'"A B"@Example.COM', local_part='"A B"', domain="example.com")
        assert (await lease.mail(path, (b"BODY=8BITMIME", b"ENVID=a+2Bb"))).code == 250
        assert (await lease.rcpt(ForwardPath(path=path, parameters=(b"ORCPT=rfc822;A",)))).code == 250
        assert [reply.text for reply in await lease.data(RAW)] == ["Ok: queued as 000001"]
        await lease.close()
        assert list(sink.commands) == [
            b"EHLO us.example",
            b"XFORWARD ADDR=192.0.2.1 HELO=a+20b",
            b'MAIL FROM:<"A B"@Example.COM> BODY=8BITMIME ENVID=a+2Bb',
            b'RCPT TO:<"A B"@Example.COM> ORCPT=rfc822;A',
            b"DATA",
        ]


@pytest.mark.parametrize("extensions", [("PIPELINING", "XFORWARD ADDR"), ("XFORWARD ADDR",)])
async def test_a_kept_connection_begins_with_rset_and_tells_the_client_anew(extensions: tuple[str, ...]) -> None:
    async with hop(SinkScript(extensions=extensions)) as (sink, relay):
        for address in ("192.0.2.1", "192.0.2.2"):
            await deliver(relay, attributes={"ADDR": address})
        await deliver(relay)
        assert sink.counts["connections"] == 1
        assert [m.xforward for m in sink.messages] == [(b"ADDR=192.0.2.1",), (b"ADDR=192.0.2.2",), ()]
        assert list(sink.commands).count(b"RSET") == 2


async def test_content_is_exact_to_the_octet() -> None:
    odd = (
        b"",
        b"\r\n",
        b".\r\n",
        b"..\r\n.x\r\n.\r\n",
        b"nul \0 eight \xff\xfe bit\r\n",
        b"x" * 1_000_000 + b"\r\n",
        b"a\r\n" * 200_000,
    )
    async with hop() as (sink, relay):
        for raw in odd:
            await deliver(relay, raw)
        assert tuple(m.raw for m in sink.messages) == odd


async def test_a_last_line_without_end_gets_one() -> None:
    async with hop() as (sink, relay):
        await deliver(relay, b"no end")
        assert sink.messages[0].raw == b"no end\r\n"


@pytest.mark.parametrize("how", ["drop", "421", "gone"])
async def test_a_dead_kept_connection_is_replaced_once_before_mail(how: str) -> None:
    async with hop() as (sink, relay):
        await deliver(relay)
        match how:
            case "drop":
                (kept,) = relay._idle
                sink.drop_connections()
                await soon(lambda: not kept.wire.is_quiet)
            case "421":
                # Says so only when spoken to: the connection looks healthy when it is leased.
                sink.script = SinkScript(replies={"rset": "421 4.4.2 idle too long"})
            case "gone":
                sink.script = SinkScript(hang_up=frozenset({"rset"}))
        await deliver(relay)
        assert sink.counts["messages"] == 2
        assert sink.counts["connections"] == 2


async def test_a_dead_fresh_connection_is_not_tried_again() -> None:
    async with hop(SinkScript(hang_up=frozenset({"mail"}))) as (sink, relay):
        lease = await relay.lease()
        with pytest.raises(RelayBroken):
            await lease.mail(SENDER, ())
        await lease.close()
        assert sink.counts["connections"] == 1


async def test_an_unasked_word_makes_a_kept_connection_useless() -> None:
    async with hop() as (sink, relay):
        await deliver(relay)
        (kept,) = relay._idle
        for connection in sink.connections:
            connection.say("421 4.3.2 going down")
        await soon(lambda: not kept.wire.is_quiet)
        await deliver(relay)
        assert sink.counts["connections"] == 2


async def test_an_aborted_transaction_is_reset_and_the_connection_kept() -> None:
    async with hop() as (sink, relay):
        lease = await relay.lease()
        await lease.mail(SENDER, ())
        await lease.close()
        await soon(lambda: relay._idle)
        assert list(sink.commands)[-1] == b"RSET"
        await deliver(relay)
        assert sink.counts["connections"] == 1


async def test_after_many_refusals_the_connection_is_given_up() -> None:
    async with hop(SinkScript(recipients={b"b@example.org": "550 5.1.1 no"})) as (sink, relay):
        lease = await relay.lease()
        await lease.mail(SENDER, ())
        for _ in range(MAX_REFUSALS):
            assert (await lease.rcpt(RCPT)).code == 550
        await lease.close()
        lease = await relay.lease()
        await lease.close()
        assert sink.counts["connections"] == 2


async def test_idle_connections_are_closed() -> None:
    async with hop(idle_s=100) as (sink, relay):
        await deliver(relay)
        await turn(99)
        assert len(sink.connections) == 1
        await turn(1)
        await soon(lambda: not sink.connections)
        assert list(sink.commands)[-1] == b"QUIT"
        await deliver(relay)


async def test_the_pool_is_bounded_and_waits() -> None:
    async with hop(max_connections=2) as (sink, relay):
        leases = [await relay.lease(), await relay.lease()]
        waiting = asyncio.create_task(relay.lease())
        await settled()
        await turn(50)
        with pytest.raises(PortError, match="in use"):
            await waiting
        waiting = asyncio.create_task(relay.lease())
        await settled()
        await turn(49)
        await leases[0].close()
        await (await waiting).close()
        await leases[1].close()
        assert sink.counts["connections"] == 2


async def test_twenty_at_once_use_few_connections() -> None:
    async with hop(max_connections=3) as (sink, relay):
        await asyncio.gather(*(deliver(relay) for _ in range(20)))
        assert sink.counts["messages"] == 20
        assert sink.counts["connections"] <= 3


async def test_a_refused_xforward_does_not_stop_the_mail() -> None:
    async with hop(SinkScript(replies={"xforward": "550 5.7.1 not you"})) as (sink, relay):
        await deliver(relay, attributes={"ADDR": "192.0.2.1"})
        assert sink.counts["messages"] == 1


@pytest.mark.parametrize("phase", ["banner", "ehlo", "mail", "rcpt", "data", "dot"])
@pytest.mark.parametrize("how", ["hang_up", "stall", "garbage"])
async def test_a_break_in_any_phase_is_told_and_frees_the_slot(phase: str, how: str) -> None:
    scripts = {
        "hang_up": SinkScript(hang_up=frozenset({phase})),
        "stall": SinkScript(stall=frozenset({phase})),
        "garbage": SinkScript(replies={phase: "hello\r\nthere"}),
    }
    async with hop(scripts[how], max_connections=1, command_timeout_s=50, data_timeout_s=80) as (sink, relay):
        delivery = asyncio.create_task(deliver(relay))
        if how == "stall":
            await soon(lambda: sink.counts[phase])
            await settled()
            await turn(80 if phase == "dot" else 50)
        with pytest.raises(PortError) as caught:
            await delivery
        assert getattr(caught.value, "is_after_dot", None) is (phase == "dot")
        sink.script = SinkScript()
        assert await deliver(relay)


@pytest.mark.parametrize(
    ("phase", "reply"), [("mail", "354 go"), ("rcpt", "334 x"), ("data", "250 ok"), ("dot", "354 x")]
)
async def test_an_answer_of_the_wrong_kind_is_a_break(phase: str, reply: str) -> None:
    async with hop(SinkScript(replies={phase: reply})) as (_, relay):
        lease = await relay.lease()
        with pytest.raises(RelayBroken) as caught:
            await _until(lease, phase)
        assert caught.value.is_after_dot is (phase == "dot")
        await lease.close()


@pytest.mark.parametrize("phase", ["mail", "rcpt", "data", "dot"])
@pytest.mark.parametrize("reply", ["451 4.3.0 later", "550 5.7.1 never", "421 4.3.2 closing"])
async def test_refusals_are_handed_back_untouched(phase: str, reply: str) -> None:
    async with hop(SinkScript(replies={phase: reply}), max_connections=1) as (sink, relay):
        lease = await relay.lease()
        said = await _until(lease, phase)
        assert f"{said.code} {said.enhanced} {said.text}" == reply
        await lease.close()
        sink.script = SinkScript()
        # Whatever went before has given the one slot back, and its connection is used again or gone.
        await soon(lambda: not relay._slots.locked())
        assert await deliver(relay)
        assert sink.counts["messages"] == 1


async def _until(lease: NextHopSession, phase: str) -> Any:
    reply = await lease.mail(SENDER, ())
    if phase != "mail":
        reply = await lease.rcpt(RCPT)
    return (await lease.data(RAW))[0] if phase in {"data", "dot"} else reply


async def test_an_answer_before_the_end_stops_the_message() -> None:
    """A next hop that refuses in the middle of the message is heard, and gets no end of data."""

    async def refuse_early(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 x\r\n")
        for reply in (b"250 x\r\n", b"250 x\r\n", b"250 x\r\n", b"354 go\r\n"):
            await reader.readline()
            writer.write(reply)
        await reader.readexactly(1000)
        writer.write(b"552 5.3.4 enough\r\n")
        seen.append(await reader.read())
        writer.close()

    seen: list[bytes] = []
    server = await asyncio.start_server(refuse_early, "127.0.0.1", 0, limit=2000)
    relay = NextHopRelay(config(f"127.0.0.1:{server.sockets[0].getsockname()[1]}"))
    lease = await relay.lease()
    await lease.mail(SENDER, ())
    await lease.rcpt(RCPT)
    assert [reply.code for reply in await lease.data(b"x" * 50_000_000)] == [552]
    await lease.close()
    await relay.close()
    server.close()
    await soon(lambda: seen)
    assert not seen[0].endswith(b".\r\n")


async def test_helo_where_ehlo_is_unknown() -> None:
    has_ended = asyncio.Event()

    async def old(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 x\r\n")
        while line := await reader.readline():
            writer.write(b"500 what\r\n" if line.startswith(b"EHLO") else b"250 ok\r\n")
        writer.close()
        has_ended.set()

    server = await asyncio.start_server(old, "127.0.0.1", 0)
    relay = NextHopRelay(config(f"127.0.0.1:{server.sockets[0].getsockname()[1]}"))
    lease = await relay.lease()
    assert lease.extensions == {}
    await lease.speak_for({"ADDR": "192.0.2.1"})
    assert (await lease.mail(SENDER, ())).code == 250
    await lease.close()
    await relay.close()
    server.close()
    await has_ended.wait()


async def test_nobody_listens() -> None:
    sink = await start_sink()
    address = sink.address
    await sink.close()
    relay = NextHopRelay(config(address))
    for _ in range(3):
        with pytest.raises(PortError):
            await relay.lease()
    await relay.close()


async def test_a_unix_socket(tmp_path: Any) -> None:
    sink = await start_sink()
    from filterd.clients.sink_wire import SinkConnection

    path = tmp_path / "s"
    server = await asyncio.get_running_loop().create_unix_server(lambda: SinkConnection(sink), str(path))
    relay = NextHopRelay(config(f"unix:{path}"))
    await deliver(relay)
    assert relay.name == f"smtp:[unix:{path}]"
    await relay.close()
    server.close()
    await sink.close()


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("127.0.0.1:10026", Address(host="127.0.0.1", port=10026)),
        ("inet:mail.example:25", Address(host="mail.example", port=25)),
        ("[::1]:25", Address(host="::1", port=25)),
        ("unix:/run/x", Address(path="/run/x")),
    ],
)
def test_addresses(text: str, address: Address) -> None:
    assert Address.parse(text) == address


@pytest.mark.parametrize("text", ["", "sink", "host", ":25", "host:", "host:0", "host:65536", "host:２５"])
def test_addresses_that_are_none(text: str) -> None:
    with pytest.raises(ConfigError):
        Address.parse(text)


async def test_cancelling_a_client_frees_its_slot() -> None:
    async with hop(SinkScript(stall=frozenset({"rcpt"})), max_connections=1) as (sink, relay):
        delivery = asyncio.create_task(deliver(relay))
        await soon(lambda: sink.counts["rcpt"])
        delivery.cancel()
        with pytest.raises(asyncio.CancelledError):
            await delivery
        sink.script = SinkScript()
        assert await deliver(relay)
