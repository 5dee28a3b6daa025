"""LMTP in (RFC 2033): its own greeting, one reply a recipient behind the dot, UNIX sockets."""

from __future__ import annotations

import asyncio
import os
import socket
import stat
from pathlib import Path

import pytest

from filterd.clients.sink import SinkScript
from filterd.config import ListenerConfig
from filterd.doors import unix_sockets
from filterd.doors.smtp import start_smtp
from filterd.errors import ConfigError
from filterd.model.reply import Reply
from tests.dialogs.client import Dialog
from tests.dialogs.house import FakeGate, open_house
from tests.dialogs.tls import client_context, write_certificate
from tests.kit.waiting import soon

LMTP = {"protocol": "lmtp"}
REFUSAL = Reply(code=550, enhanced="5.7.1", text="Not this one\nand here is why")


async def replies_to_dot(talk: Dialog, octets: bytes, count: int) -> list[str]:
    first = await talk.data(octets)
    return [first, *[await talk.reply() for _ in range(count - 1)]]


async def test_lhlo_and_nothing_else_begins_a_session() -> None:
    async with open_house(listener=LMTP) as house, house.dialog() as talk:
        assert await talk.reply() == "220 door.example LMTP filterd"
        assert await talk.ask("MAIL FROM:<>") == "503 5.5.1 Send LHLO first"
        for verb in ("EHLO", "HELO"):
            assert (await talk.ask(f"{verb} client.example"))[:3] == "500"
        offered = (await talk.ask("LHLO client.example")).split("\n")
        # RFC 2033 §5: these two are a must, 8BITMIME a should.
        assert {"250-PIPELINING", "250-ENHANCEDSTATUSCODES", "250-8BITMIME"} <= set(offered)
        await talk.envelope()
        await talk.data(b"x\r\n")
        assert house.gate.intakes[0].session.protocol == "LMTP"


async def test_smtp_knows_no_lhlo() -> None:
    async with open_house() as house, house.dialog() as talk:
        await talk.reply()
        assert await talk.ask("LHLO x") == "500 5.5.1 Command not recognized"


async def test_each_accepted_recipient_gets_a_reply_in_order() -> None:
    """Those the next hop refused were refused at RCPT; the same mailbox twice is two recipients (RFC 2033 §4.2)."""
    script = SinkScript(recipients={b"gone@example.org": "550 5.1.1 no", b"full@example.org": "452 4.2.2 full"})
    async with open_house(listener=LMTP, script=script) as house, house.dialog() as talk:
        await talk.greeted("LHLO x")
        names = ("a", "gone", "b", "full", "a")
        said = await talk.envelope("<s@example.com>", *(f"<{name}@example.org>" for name in names))
        assert [line[:3] for line in said] == ["250", "250", "550", "250", "452", "250"]
        got = await replies_to_dot(talk, b"x\r\n", 3)
        assert len(set(got)) == 1
        assert got[0].startswith("250 2.0.0 from MTA(")
        assert await talk.ask("NOOP") == "250 2.0.0 Ok"
        assert [m.rcpts for m in house.sink.messages] == [
            (b"TO:<a@example.org>", b"TO:<b@example.org>", b"TO:<a@example.org>")
        ]
        assert [(t, r.code, n) for t, r, n in house.gate.deliveries] == [("t_1", 250, 1)]


async def test_a_refusal_is_everybodys() -> None:
    async with open_house(gate=FakeGate(reply=REFUSAL), listener=LMTP) as house, house.dialog() as talk:
        await talk.greeted("LHLO x")
        await talk.envelope("<>", "<a@example.org>", "<b@example.org>")
        assert await replies_to_dot(talk, b"x\r\n", 2) == [
            "550-5.7.1 Not this one\n550 5.7.1 and here is why"
        ] * 2
        assert await talk.ask("NOOP") == "250 2.0.0 Ok"
        assert not house.raws


@pytest.mark.parametrize(
    ("script", "seen"),
    [
        (SinkScript(replies={"dot": "451 4.3.0 later"}), "451 4.3.0 later"),
        (SinkScript(replies={"dot": "554 5.6.0 never"}), "554 5.6.0 never"),
        (SinkScript(replies={"data": "554 5.5.1 no"}), "554 5.5.1 no"),
        (SinkScript(hang_up=frozenset({"dot"})), "451 4.4.2 Connection to the next hop lost, try again later"),
    ],
)
async def test_what_the_next_hop_says_is_everybodys(script: SinkScript, seen: str) -> None:
    """No part of the recipients has the mail when another part is told to try again: nothing is delivered twice."""
    async with open_house(listener=LMTP, script=script) as house, house.dialog() as talk:
        await talk.greeted("LHLO x")
        await talk.envelope("<>", "<a@example.org>", "<b@example.org>", "<c@example.org>")
        assert await replies_to_dot(talk, b"x\r\n", 3) == [seen] * 3
        assert await talk.ask("NOOP") == "250 2.0.0 Ok"


async def test_our_own_trouble_is_everybodys() -> None:
    gate = FakeGate(enforce_error=RuntimeError())
    async with open_house(gate=gate, listener=LMTP) as house, house.dialog() as talk:
        await talk.greeted("LHLO x")
        await talk.envelope("<>", "<a@example.org>", "<b@example.org>")
        said = await replies_to_dot(talk, b"x\r\n", 2)
        assert [line[:9] for line in said] == ["451 4.3.0"] * 2
        assert await talk.ask("NOOP") == "250 2.0.0 Ok"


async def test_a_message_too_big_is_refused_for_each() -> None:
    async with open_house(listener=LMTP | {"max_message_bytes": 65_536}) as house, house.dialog() as talk:
        await talk.greeted("LHLO x")
        await talk.envelope("<>", "<a@example.org>", "<b@example.org>")
        said = await replies_to_dot(talk, b"x" * 70_000 + b"\r\n", 2)
        assert said == ["552 5.3.4 Message too big"] * 2
        assert await talk.ask("NOOP") == "250 2.0.0 Ok"
        assert not house.raws


async def test_data_without_a_recipient_gets_503() -> None:
    script = SinkScript(recipients={b"b@example.org": "550 5.1.1 no"})
    async with open_house(listener=LMTP, script=script) as house, house.dialog() as talk:
        await talk.greeted("LHLO x")
        await talk.envelope()
        assert await talk.ask("DATA") == "503 5.5.1 No valid recipients"
        assert await talk.ask("RSET") == "250 2.0.0 Ok"
        assert not house.raws


async def test_pipelined_transactions_on_one_connection() -> None:
    group = b"MAIL FROM:<>\r\nRCPT TO:<a@example.org>\r\nRCPT TO:<b@example.org>\r\nDATA\r\n"
    async with open_house(listener=LMTP) as house, house.dialog() as talk:
        await talk.greeted("LHLO x")
        for n in range(5):
            await talk.send(group)
            assert [(await talk.reply())[:3] for _ in range(4)] == ["250", "250", "250", "354"]
            await talk.send(b"mail %d\r\n.\r\n" % n + (b"RSET\r\n" if n % 2 else b""))
            said = [(await talk.reply())[:9] for _ in range(2 + n % 2)]
            assert said == ["250 2.0.0"] * (2 + n % 2)
        assert house.raws == [b"mail %d\r\n" % n for n in range(5)]


async def test_the_dialogue_of_a_delivering_server() -> None:
    """What Dovecot's proxy says to an LMTP server: XCLIENT, LHLO again, parameters of its own."""
    listener = LMTP | {"attribution": "xclient"}
    async with open_house(listener=listener) as house, house.dialog() as talk:
        offered = await talk.greeted("LHLO proxy.example")
        assert "XCLIENT NAME ADDR" in offered
        assert await talk.ask("XCLIENT ADDR=192.0.2.9 PORT=50000 HELO=laptop LOGIN=alice@example.com") == (
            "220 door.example LMTP filterd"
        )
        await talk.ask("LHLO proxy.example")
        said = await talk.envelope("<a@example.com> BODY=8BITMIME", "<b@example.org> ORCPT=rfc822;b@example.org")
        assert said == ["250 2.1.0 Ok", "250 2.1.5 Ok"]
        await talk.data("Grüße\r\n".encode())
        session = house.gate.intakes[0].session
        assert (session.login, session.client_address, session.helo) == ("alice@example.com", "192.0.2.9", "laptop")


async def test_starttls_in_lmtp(tmp_path: Path) -> None:
    chain, key = write_certificate(tmp_path)
    listener = LMTP | {"tls_certificate": str(chain), "tls_key": str(key), "tls_required": True}
    async with open_house(listener=listener) as house, house.dialog() as talk:
        assert "STARTTLS" in await talk.greeted("LHLO x")
        assert (await talk.ask("MAIL FROM:<>"))[:3] == "530"
        await talk.start_tls(client_context(chain))
        assert "STARTTLS" not in await talk.ask("LHLO x")
        await talk.envelope("<>", "<a@example.org>", "<b@example.org>")
        assert len(set(await replies_to_dot(talk, b"x\r\n", 2))) == 1


# --- UNIX sockets -----------------------------------------------------------------------------------------------------


def listener_at(path: Path, **keys: object) -> ListenerConfig:
    return ListenerConfig.model_validate({"bind": f"unix:{path}", "hostname": "door.example", **LMTP, **keys})


async def test_a_unix_socket_with_its_mode_and_its_end(tmp_path: Path) -> None:
    path = tmp_path / "lmtp"
    mask = os.umask(0o077)
    try:
        async with open_house() as house:
            server = await start_smtp(
                listener_at(path, socket_mode="0660"), house.gate, house.relay, on_error=lambda *_: None
            )
            assert stat.S_IMODE(path.stat().st_mode) == 0o660
            assert server.port == 0
            async with Dialog(path=str(path)) as talk:
                assert "XFORWARD" not in await talk.greeted("LHLO x")
                await talk.envelope("<>", "<a@example.org>", "<b@example.org>")
                assert len(await replies_to_dot(talk, b"x\r\n", 2)) == 2
            session = house.gate.intakes[0].session
            assert (session.peer_address, session.client_address, session.is_trusted_peer) == ("unix", None, False)
            # Nothing that is no address reaches the next hop.
            assert all(b"ADDR=[UNAVAILABLE]" in line for line in house.commands(b"XFORWARD"))
            assert await server.drain(60) == 0
            assert not path.exists()
    finally:
        os.umask(mask)


async def test_trust_in_a_unix_socket_is_said_by_name(tmp_path: Path) -> None:
    path = tmp_path / "lmtp"
    async with open_house() as house:
        settings = listener_at(path, trusted_peers=("unix",))
        server = await start_smtp(settings, house.gate, house.relay, on_error=lambda *_: None)
        async with Dialog(path=str(path)) as talk:
            assert "XFORWARD NAME" in await talk.greeted("LHLO x")
            assert await talk.ask("XFORWARD ADDR=192.0.2.4 PROTO=ESMTP HELO=far.example") == "250 2.0.0 Ok"
            await talk.envelope()
            await talk.data(b"x\r\n")
        session = house.gate.intakes[0].session
        assert (session.client_address, session.is_trusted_peer) == ("192.0.2.4", True)
        await server.drain(1)


async def test_what_a_killed_process_left_is_replaced_and_a_living_one_is_not(tmp_path: Path) -> None:
    path = tmp_path / "lmtp"
    left = socket.socket(socket.AF_UNIX)
    left.bind(str(path))
    left.close()
    async with open_house() as house:
        first = await start_smtp(listener_at(path), FakeGate(), house.relay, on_error=lambda *_: None)
        with pytest.raises(ConfigError, match="somebody listens there already"):
            await start_smtp(listener_at(path), FakeGate(), house.relay, on_error=lambda *_: None)
        async with Dialog(path=str(path)) as talk:
            await talk.greeted("LHLO x")
        await first.drain(0)
        # The next one may begin while the last still drains, and keeps its file.
        second = await start_smtp(listener_at(path), FakeGate(), house.relay, on_error=lambda *_: None)
        first.close()
        assert path.exists()
        await second.drain(0)


async def test_a_path_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    async with open_house() as house:
        with pytest.raises(ConfigError, match=r"nowhere/lmtp: bind: "):
            await start_smtp(listener_at(tmp_path / "nowhere/lmtp"), FakeGate(), house.relay, on_error=lambda *_: None)
        (tmp_path / "file").write_text("mine")
        with pytest.raises(ConfigError):
            await start_smtp(listener_at(tmp_path / "file"), FakeGate(), house.relay, on_error=lambda *_: None)
        assert (tmp_path / "file").read_text() == "mine"


async def test_several_doors_share_a_socket_that_was_opened_for_them(tmp_path: Path) -> None:
    path = tmp_path / "lmtp"
    unix_sockets.hold(f"unix:{path}", 0o666)
    unix_sockets.hold("127.0.0.1", 0o666)
    async with open_house() as house:
        gates = [FakeGate(), FakeGate()]
        servers = [
            await start_smtp(listener_at(path), gate, house.relay, on_error=lambda *_: None, reuse_port=True)
            for gate in gates
        ]
        await servers[0].drain(0)
        async with Dialog(path=str(path)) as talk:
            await talk.greeted("LHLO x")
            await talk.envelope()
            await talk.data(b"x\r\n")
        await soon(lambda: len(gates[1].intakes) == 1)
        await servers[1].drain(0)
        assert stat.S_IMODE(path.stat().st_mode) == 0o666
    unix_sockets.release()
    assert not path.exists()


def test_port_25_is_not_for_lmtp() -> None:
    with pytest.raises(ValueError, match="port 25"):
        ListenerConfig.model_validate(LMTP | {"port": 25})


@pytest.mark.parametrize("bind", ["unix:relative", "unix:/" + "x" * 107])
def test_a_path_that_no_socket_can_have(bind: str) -> None:
    with pytest.raises(ValueError, match="absolute path"):
        ListenerConfig.model_validate({"bind": bind})


async def test_under_uvloop_too(tmp_path: Path) -> None:
    import uvloop

    async def talk() -> None:
        path = tmp_path / "lmtp"
        async with open_house() as house:
            server = await start_smtp(listener_at(path), house.gate, house.relay, on_error=lambda *_: None)
            async with Dialog(path=str(path)) as talk:
                await talk.greeted("LHLO x")
                await talk.envelope("<>", "<a@example.org>", "<b@example.org>")
                assert len(await replies_to_dot(talk, b"x\r\n", 2)) == 2
            await server.drain(1)
            assert not path.exists()

    def run() -> None:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(talk())

    await asyncio.to_thread(run)
