"""A port behind a load balancer, in dialogue (HAProxy's PROXY protocol)."""

from __future__ import annotations

import asyncio
import struct

import pytest

from filterd.doors.proxied import Announced
from filterd.doors.proxy_wire import V2_SIGNATURE
from filterd.doors.serving import Open
from filterd.doors.smtp_client import Peers
from filterd.errors import PeerError
from tests.dialogs.client import Dialog
from tests.dialogs.house import House, open_house

BEHIND = {"proxy_protocol": ("127.0.0.0/8",)}
CLIENT = b"PROXY TCP4 192.0.2.7 198.51.100.1 56324 25\r\n"
LOCAL = V2_SIGNATURE + struct.pack(">BBH", 0x20, 0, 0)


async def seen(house: House, talk: Dialog) -> tuple[str | None, int | None, str, bool]:
    assert (await talk.envelope())[1] == "250 2.1.5 Ok"
    assert (await talk.data(b"x\r\n")).startswith("250 ")
    session = house.gate.intakes[-1].session
    return session.client_address, session.client_port, session.peer_address, session.is_trusted_peer


async def test_the_client_is_whom_the_balancer_names() -> None:
    async with open_house(listener=BEHIND) as house, house.dialog() as talk:
        await talk.send(CLIENT)
        await talk.greeted()
        assert await seen(house, talk) == ("192.0.2.7", 56_324, "192.0.2.7", False)


async def test_header_and_first_command_in_one_packet_and_in_pieces() -> None:
    async with open_house(listener=BEHIND) as house:
        async with house.dialog() as talk:
            await talk.send(CLIENT + b"EHLO client.example\r\n")
            assert (await talk.reply()).startswith("220 ")
            assert (await talk.reply()).startswith("250-")
        async with house.dialog() as talk:
            for octet in CLIENT:
                await talk.send(bytes((octet,)))
            await talk.greeted()


async def test_nobody_is_greeted_before_the_header() -> None:
    async with open_house(listener=BEHIND) as house, house.dialog() as talk:
        await talk.send(CLIENT[:-1])
        waiting = asyncio.create_task(talk.line())
        await asyncio.sleep(0)
        assert not waiting.done()
        await talk.send(CLIENT[-1:])
        assert (await waiting).startswith("220 ")


async def test_trust_goes_by_the_client_not_by_the_balancer() -> None:
    async with open_house(listener=BEHIND | {"trusted_peers": ("127.0.0.0/8", "198.51.100.0/24")}) as house:
        async with house.dialog() as talk:
            await talk.send(CLIENT)
            assert "XFORWARD" not in await talk.greeted()
            assert (await talk.ask("XFORWARD NAME=x")).startswith("550 ")
        async with house.dialog() as talk:
            await talk.send(CLIENT.replace(b"192.0.2.7", b"198.51.100.9"))
            assert "XFORWARD" in await talk.greeted()


@pytest.mark.parametrize("header", [b"PROXY UNKNOWN\r\n", LOCAL])
async def test_whom_the_balancer_does_not_name_nobody_trusts(header: bytes) -> None:
    async with open_house(listener=BEHIND) as house, house.dialog() as talk:
        await talk.send(header)
        assert "XFORWARD" not in await talk.greeted()
        assert (await seen(house, talk))[2:] == ("127.0.0.1", False)


@pytest.mark.parametrize("octets", [b"EHLO client.example\r\n", b"GET / HTTP/1.1\r\n\r\n", b"\x16\x03\x01\x02\x00"])
async def test_a_connection_without_the_header_is_closed_without_a_word(octets: bytes) -> None:
    async with open_house(listener=BEHIND) as house, house.dialog() as talk:
        await talk.send(octets)
        assert await talk.line() == ""
        assert [type(err) for _, err in house.errors] == [PeerError]


async def test_a_header_from_elsewhere_is_not_believed() -> None:
    async with open_house(listener={"proxy_protocol": ("192.0.2.0/24",)}) as house, house.dialog() as talk:
        assert await talk.line() == ""
        assert [type(err) for _, err in house.errors] == [PeerError]


async def test_a_header_on_a_port_without_a_balancer_is_no_command() -> None:
    async with open_house() as house, house.dialog() as talk:
        await talk.send(CLIENT)
        assert (await talk.reply()).startswith("220 ")
        assert (await talk.reply()).startswith("500 ")


async def test_the_balancer_may_not_dawdle() -> None:
    opened, ended = Open(), asyncio.Event()

    def never(client_of: object) -> asyncio.BaseProtocol:
        raise AssertionError("no header was sent")

    class Watched(Announced):
        def connection_lost(self, exc: Exception | None) -> None:
            super().connection_lost(exc)
            ended.set()

    peers = Peers(("127.0.0.0/8",))
    loop = asyncio.get_running_loop()
    server = await loop.create_server(
        lambda: Watched(opened, peers, peers, never, lambda *_: None, wait_s=0.01), "127.0.0.1", 0
    )
    async with Dialog(server.sockets[0].getsockname()[1]) as talk:
        assert await talk.line() == ""
    await ended.wait()
    assert opened.connections == set()
    server.close()


async def test_draining_closes_who_has_not_sent_the_header() -> None:
    async with open_house(listener=BEHIND) as house, house.dialog() as talk:
        while not house.server.connections:
            await asyncio.sleep(0)
        assert await house.server.drain(60) == 0
        assert await talk.line() == ""
