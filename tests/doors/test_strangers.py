"""What is no word of a door's protocol, and who speaks for others without leave.  MAIL-PATH 4b, FAULTS 32.

At every door. HTTP comes from browsers and from attacks that go through them, TLS from clients that have mistaken the
port. Neither is waited for, answered in earnest, or read as commands, and the next one at the door is served.
"""

from __future__ import annotations

import asyncio
import ssl
import struct
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from filterd import metrics
from filterd.config import HttpConfig, MilterConfig, PolicyConfig, SocketmapConfig
from filterd.doors.http import start_http
from filterd.doors.milter import start_milter
from filterd.doors.policyd import start_policyd
from filterd.doors.proxy_wire import V2_SIGNATURE
from filterd.doors.socketmap import start_socketmap
from tests.dialogs.client import Dialog
from tests.dialogs.house import FakeGate, open_house
from tests.dialogs.tls import write_certificate
from tests.doors.test_policyd import request
from tests.doors.test_socketmap import Accounts, question
from tests.kit import mta as mta_kit

pytestmark = pytest.mark.slow

CLIENT = b"PROXY TCP4 192.0.2.7 198.51.100.1 56324 25\r\n"
V2 = V2_SIGNATURE + struct.pack(">BBH4s4sHH", 0x21, 0x11, 12, bytes((192, 0, 2, 7)), bytes((198, 51, 100, 1)), 9, 25)
SMUGGLED = b"MAIL FROM:<a@example.com>\r\nRCPT TO:<b@example.org>\r\nDATA\r\nx\r\n.\r\n"


def client_hello() -> bytes:
    """What a TLS client says first."""
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = ssl.create_default_context().wrap_bio(incoming, outgoing, server_hostname="door.example")
    with pytest.raises(ssl.SSLWantReadError):
        client.do_handshake()
    return outgoing.read()


FOREIGN = {
    "http": b"GET / HTTP/1.1\r\nHost: door.example\r\n\r\n",
    "http with mail in it": b"POST /?a=b HTTP/1.1\r\nHost: x\r\n\r\n" + SMUGGLED,
    "http 2": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "tls": client_hello(),
}


@dataclass
class Door:
    """One open door: its port, what it has let in, and whether it still does its work."""

    port: int
    gate: FakeGate
    serves: Callable[[], Awaitable[object]]

    def nothing_came_in(self) -> bool:
        return (self.gate.intakes, self.gate.admitted, self.gate.senders) == ([], [], [])


@asynccontextmanager
async def mail_door(listener: dict[str, Any], *, hello: str = "EHLO", before: bytes = b"") -> AsyncIterator[Door]:
    async with open_house(listener=listener) as house:

        async def serves() -> None:
            async with house.dialog() as talk:
                await talk.send(before)
                assert (await talk.greeted(f"{hello} again.example")).startswith("250")

        yield Door(house.port, house.gate, serves)


@asynccontextmanager
async def milter_door() -> AsyncIterator[Door]:
    gate = FakeGate()
    config = MilterConfig.model_validate({"address": "inet:127.0.0.1:0"})
    server = await start_milter(config, gate, on_error=lambda *_: None)

    async def serves() -> None:
        mta = await mta_kit.connect(server.port)
        assert mta.agreed_version == 6
        mta.close()

    try:
        yield Door(server.port, gate, serves)
    finally:
        await server.drain(1)


@asynccontextmanager
async def policy_door() -> AsyncIterator[Door]:
    gate = FakeGate()
    server = await start_policyd(PolicyConfig.model_validate({"port": 0}), gate, on_error=lambda *_: None)

    async def serves() -> None:
        async with Dialog(server.port) as talk:
            await talk.send(request())
            assert await talk.line() == "action=DUNNO\n"

    try:
        yield Door(server.port, gate, serves)
    finally:
        await server.drain(1)


@asynccontextmanager
async def socketmap_door() -> AsyncIterator[Door]:
    server = await start_socketmap(SocketmapConfig(port=0), Accounts(), on_error=lambda *_: None)

    async def serves() -> None:
        async with Dialog(server.port) as talk:
            await talk.send(question("state alice@corp.example"))
            assert await talk.reader.readuntil(b",") == b"7:OK good,"

    try:
        yield Door(server.port, FakeGate(), serves)
    finally:
        await server.drain(1)


@asynccontextmanager
async def http_door() -> AsyncIterator[Door]:
    async def health() -> dict[str, str | None]:
        return {}

    server = await start_http(HttpConfig(port=0), metrics.exposition, health)
    port = server.sockets[0].getsockname()[1]

    async def serves() -> None:
        async with Dialog(port) as talk:
            await talk.send(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
            assert (await talk.line()).startswith("HTTP/1.1 200")

    try:
        yield Door(port, FakeGate(), serves)
    finally:
        server.close()


def open_door(name: str, folder: Path):
    """Open one door by its name."""
    match name:
        case "smtp":
            return mail_door({})
        case "lmtp":
            return mail_door({"protocol": "lmtp"}, hello="LHLO")
        case "tls required":
            chain, secret = write_certificate(folder)
            return mail_door({"tls_certificate": str(chain), "tls_key": str(secret), "tls_required": True})
        case "behind a balancer":
            return mail_door({"proxy_protocol": ("127.0.0.0/8",)}, before=CLIENT)
        case "milter":
            return milter_door()
        case "policy service":
            return policy_door()
        case "socketmap":
            return socketmap_door()
        case _:
            return http_door()


MAIL_DOORS = ("smtp", "lmtp", "tls required", "behind a balancer")
ASKED_DOORS = ("milter", "policy service", "socketmap")
by_foreign = pytest.mark.parametrize("octets", FOREIGN.values(), ids=FOREIGN.keys())


async def all_of(talk: Dialog) -> bytes:
    try:
        return await talk.reader.read(-1)
    except ConnectionError:
        return b""


@by_foreign
@pytest.mark.parametrize("name", MAIL_DOORS)
async def test_another_protocol_at_a_mail_door_is_told_so_and_closed(tmp_path: Path, name: str, octets: bytes) -> None:
    async with open_door(name, tmp_path) as door:
        async with Dialog(door.port) as talk:
            await talk.send(octets)
            said = (await all_of(talk)).decode()
        # Behind a balancer nobody is greeted who is not announced; elsewhere a refusal is the last word.
        assert said == "" if name == "behind a balancer" else said.endswith("421 4.7.0 This is SMTP\r\n")
        assert said.count("\r\n") <= 2
        assert door.nothing_came_in()
        await door.serves()


@by_foreign
@pytest.mark.parametrize("name", ASKED_DOORS)
async def test_another_protocol_at_a_door_of_the_mta_is_closed_without_a_word(
    tmp_path: Path, name: str, octets: bytes
) -> None:
    async with open_door(name, tmp_path) as door:
        async with Dialog(door.port) as talk:
            await talk.send(octets)
            assert await all_of(talk) == b""
        assert door.nothing_came_in()
        await door.serves()


@pytest.mark.parametrize("octets", [FOREIGN["tls"] + b"\r\n\r\n", b"EHLO x\r\n\r\n" + SMUGGLED], ids=["tls", "smtp"])
async def test_another_protocol_at_the_http_door_is_refused(tmp_path: Path, octets: bytes) -> None:
    async with open_door("http", tmp_path) as door:
        async with Dialog(door.port) as talk:
            await talk.send(octets)
            said = await all_of(talk)
        assert said == b"" or said.startswith(b"HTTP/1.1 4")
        await door.serves()


# --- who speaks for somebody else -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "command", ["XFORWARD NAME=x ADDR=192.0.2.7", "XCLIENT ADDR=192.0.2.7 LOGIN=alice@corp.example"]
)
@pytest.mark.parametrize(("protocol", "hello"), [("smtp", "EHLO"), ("lmtp", "LHLO")])
@pytest.mark.parametrize("attribution", ["none", "xclient"])
async def test_who_is_not_trusted_speaks_for_nobody(protocol: str, hello: str, command: str, attribution: str) -> None:
    keys = {"protocol": protocol, "attribution": attribution, "trusted_peers": ("192.0.2.0/24",)}
    async with open_house(listener=keys) as house, house.dialog() as talk:
        offered = await talk.greeted(f"{hello} client.example")
        assert "XFORWARD" not in offered
        assert "XCLIENT" not in offered
        assert await talk.ask(command) == "550 5.7.1 Not authorized"
        assert [line[:3] for line in await talk.envelope()] == ["250", "250"]
        assert (await talk.data(b"x\r\n")).startswith("250 ")
        session = house.gate.intakes[0].session
        assert (session.client_address, session.login, session.is_trusted_peer) == ("127.0.0.1", None, False)
        assert not house.commands(b"XFORWARD") or b"192.0.2.7" not in b"".join(house.commands(b"XFORWARD"))


@pytest.mark.parametrize("header", [CLIENT, V2], ids=["v1", "v2"])
@pytest.mark.parametrize("protocol", ["smtp", "lmtp"])
async def test_a_proxy_header_at_a_port_without_a_balancer_is_refused(protocol: str, header: bytes) -> None:
    async with open_house(listener={"protocol": protocol}) as house:
        async with house.dialog() as talk:
            await talk.send(header + b"QUIT\r\n")
            lines = (await all_of(talk)).decode().splitlines()
        assert lines[0].startswith("220 ")
        assert lines[1].startswith("500 ")
        assert house.gate.senders == []
        async with house.dialog() as talk:
            await talk.greeted("LHLO x" if protocol == "lmtp" else "EHLO x")
            await talk.envelope()
            await talk.data(b"x\r\n")
        assert house.gate.intakes[0].session.client_address == "127.0.0.1"


@pytest.mark.parametrize("header", [CLIENT, V2], ids=["v1", "v2"])
@pytest.mark.parametrize("name", ASKED_DOORS)
async def test_a_proxy_header_at_a_door_of_the_mta_is_closed_without_a_word(
    tmp_path: Path, name: str, header: bytes
) -> None:
    async with open_door(name, tmp_path) as door:
        async with Dialog(door.port) as talk:
            await talk.send(header)
            assert await all_of(talk) == b""
        assert door.nothing_came_in()
        await door.serves()


@pytest.mark.parametrize("header", [CLIENT, V2], ids=["v1", "v2"])
async def test_a_proxy_header_from_another_than_the_balancer_is_closed_without_a_word(header: bytes) -> None:
    async with open_house(listener={"proxy_protocol": ("192.0.2.0/24",)}) as house, house.dialog() as talk:
        async with asyncio.timeout(60):
            assert await all_of(talk) == b""
        assert house.gate.senders == []


async def test_an_mta_nobody_trusts_is_closed_without_a_word() -> None:
    gate = FakeGate()
    config = MilterConfig.model_validate({"address": "inet:127.0.0.1:0", "trusted_peers": ["192.0.2.0/24"]})
    server = await start_milter(config, gate, on_error=lambda *_: None)
    try:
        with pytest.raises(mta_kit.MilterClosed):
            await mta_kit.connect(server.port)
        assert gate.senders == []
    finally:
        await server.drain(1)
