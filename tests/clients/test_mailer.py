"""Our own mail: null sender, the parameters it needs, the next hop's last word."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from filterd.clients.mailer import RelayMailer
from filterd.clients.relay import NextHopRelay
from filterd.clients.sink import Sink, SinkScript, start_sink
from filterd.config import NextHopConfig
from filterd.errors import PeerError, PortError
from tests.kit.waiting import PATIENCE_S


@pytest.fixture
async def sink() -> AsyncIterator[Sink]:
    sink = await start_sink()
    yield sink
    await sink.close()


@pytest.fixture
async def mailer(sink: Sink) -> AsyncIterator[RelayMailer]:
    relay = NextHopRelay(NextHopConfig(address=sink.address, connect_timeout_s=PATIENCE_S))
    yield RelayMailer(relay)
    await relay.close()


async def test_the_reverse_path_is_null(sink: Sink, mailer: RelayMailer) -> None:
    assert (await mailer.send(b"Subject: x\r\n\r\ny\r\n", "b@example.org")).code == 250
    assert [(m.mail, m.rcpts) for m in sink.messages] == [(b"FROM:<>", (b"TO:<b@example.org>",))]


async def test_eight_bits_and_utf8_are_announced(sink: Sink, mailer: RelayMailer) -> None:
    await mailer.send("Subject: x\r\n\r\n例\n".encode(), "用户@例子.中国")
    assert sink.messages[0].mail == b"FROM:<> BODY=8BITMIME SMTPUTF8"
    assert sink.messages[0].rcpts == ("TO:<用户@例子.中国>".encode(),)
    assert sink.messages[0].raw == "Subject: x\r\n\r\n例\r\n".encode()


@pytest.mark.parametrize("phase", ["mail", "rcpt", "data", "dot"])
async def test_a_refusal_is_handed_back(sink: Sink, mailer: RelayMailer, phase: str) -> None:
    sink.script = SinkScript(replies={phase: "452 4.2.2 full"})
    reply = await mailer.send(b"x\r\n", "b@example.org")
    assert (reply.code, reply.enhanced, reply.text) == (452, "4.2.2", "full")


async def test_a_break_is_an_error(sink: Sink, mailer: RelayMailer) -> None:
    sink.script = SinkScript(hang_up=frozenset({"dot"}))
    with pytest.raises(PortError):
        await mailer.send(b"x\r\n", "b@example.org")


@pytest.mark.parametrize("recipient", ["", "b", "b@example.org>\r\nRCPT TO:<c@example.org", "b@exam ple.org"])
async def test_what_is_no_address_is_refused(sink: Sink, mailer: RelayMailer, recipient: str) -> None:
    with pytest.raises(PeerError):
        await mailer.send(b"x\r\n", recipient)
    assert not sink.messages
