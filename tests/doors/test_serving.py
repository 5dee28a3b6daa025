"""Listening: sockets bound by somebody else, ports shared by several doors."""

from __future__ import annotations

import socket

import pytest

from filterd.config import ListenerConfig, PolicyConfig
from filterd.doors.policyd import start_policyd
from filterd.doors.smtp import start_smtp
from filterd.errors import PortError
from tests.dialogs.client import Dialog
from tests.dialogs.house import FakeGate, open_house


async def test_given_sockets_are_used_and_nothing_else() -> None:
    bound = []
    for _ in range(2):
        bound.append(socket.socket())
        bound[-1].bind(("127.0.0.1", 0))
    async with open_house() as house:
        server = await start_smtp(
            ListenerConfig(port=1), FakeGate(), house.relay, on_error=lambda *_: None, sockets=bound
        )
        assert sorted(s.getsockname() for s in server.sockets) == sorted(s.getsockname() for s in bound)
        assert server.is_serving()
        for one in bound:
            async with Dialog(one.getsockname()[1]) as talk:
                await talk.greeted()
        assert await server.drain(60) == 0
        assert not server.is_serving()


async def test_a_port_that_is_taken_is_named() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        async with open_house() as house:
            with pytest.raises(PortError, match=rf"cannot listen on 127\.0\.0\.1:{port}: Address already in use"):
                await start_smtp(ListenerConfig(port=port), FakeGate(), house.relay, on_error=lambda *_: None)


async def test_a_port_is_shared() -> None:
    async with open_house() as house:
        first = await start_smtp(
            ListenerConfig(port=0), FakeGate(), house.relay, on_error=lambda *_: None, reuse_port=True
        )
        second = await start_smtp(
            ListenerConfig(port=first.port), FakeGate(), house.relay, on_error=lambda *_: None, reuse_port=True
        )
        await first.drain(0)
        async with Dialog(second.port) as talk:
            await talk.greeted()
        await second.drain(1)


async def test_a_unix_socket_is_served_and_not_trusted(tmp_path: object) -> None:
    bound = socket.socket(socket.AF_UNIX)
    bound.bind(f"{tmp_path}/policy")
    server = await start_policyd(PolicyConfig(), FakeGate(), on_error=lambda *_: None, sockets=[bound])
    import asyncio

    reader, writer = await asyncio.open_unix_connection(f"{tmp_path}/policy")
    writer.write(b"request=smtpd_access_policy\n\n")
    assert await reader.readline() == b"action=DUNNO\n"
    writer.close()
    await server.drain(1)
