"""STARTTLS (RFC 3207): offered once, nothing said before it counts, nothing in clear text gets into it (FAULTS 31)."""

from __future__ import annotations

import asyncio
import os
import shutil
import smtplib
import socket
import ssl
import subprocess
from pathlib import Path
from typing import Any

import pytest

from filterd.config import ListenerConfig
from filterd.doors import smtp_tls
from filterd.doors.smtp_settings import Bounds
from filterd.errors import ConfigError
from tests.dialogs.client import Dialog
from tests.dialogs.house import FakeGate, House, open_house
from tests.dialogs.tls import client_context, write_certificate
from tests.doors.test_smtp_leaving import on_both_loops
from tests.kit.loops import turn
from tests.kit.waiting import soon

pytestmark = pytest.mark.slow

ANYBODY = client_context()


@pytest.fixture
def tls(tmp_path: Path) -> dict[str, Any]:
    """The keys of a listener with a certificate."""
    chain, key = write_certificate(tmp_path)
    return {"tls_certificate": str(chain), "tls_key": str(key)}


async def still_serves(house: House) -> None:
    async with house.dialog() as talk:
        await talk.greeted()
        assert (await talk.start_tls(ANYBODY)).startswith("220 ")
        await talk.ask("EHLO again.example")
        await talk.envelope()
        assert (await talk.data(b"still\r\n")).startswith("250 ")


# --- what it is for ---------------------------------------------------------------------------------------------------


@on_both_loops
async def test_a_mail_through_tls(tls: dict[str, Any]) -> None:
    async with open_house(listener=tls) as house, house.dialog() as talk:
        assert "250-STARTTLS" in (await talk.greeted()).split("\n")
        assert await talk.start_tls(ANYBODY) == "220 2.0.0 Ready to start TLS"
        assert await talk.ask("MAIL FROM:<a@example.com>") == "503 5.5.1 Send EHLO first"
        offered = await talk.ask("EHLO client.example")
        assert "STARTTLS" not in offered
        assert "XFORWARD" in offered
        assert await talk.ask("STARTTLS") == "503 5.5.1 TLS is already active"
        await talk.envelope()
        raw = b"Subject: x\r\n\r\n" + b"y" * 500_000 + b"\r\n"
        assert (await talk.data(raw)).startswith("250 ")
        assert house.raws == [raw]
        session = house.gate.intakes[0].session
        assert session.tls_version == "TLSv1.3"
        assert (session.tls_cipher or "").startswith("TLS_")
        assert session.client_address == "127.0.0.1"
        assert await talk.ask("QUIT") == "221 2.0.0 Bye"
        assert await talk.ended()
        await soon(lambda: house.server.connections == 0)
        assert not house.errors


async def test_without_it_a_session_has_no_tls(tls: dict[str, Any]) -> None:
    async with open_house(listener=tls) as house, house.dialog() as talk:
        await talk.greeted()
        await talk.envelope()
        await talk.data(b"x\r\n")
        session = house.gate.intakes[0].session
        assert (session.tls_version, session.tls_cipher) == (None, None)


async def test_without_a_certificate_there_is_none() -> None:
    async with open_house() as house, house.dialog() as talk:
        assert "STARTTLS" not in await talk.greeted()
        assert await talk.ask("STARTTLS") == "500 5.5.1 Command not recognized"


async def test_the_standard_librarys_client(tls: dict[str, Any]) -> None:
    """With every check of the certificate."""

    def send(port: int) -> dict[str, tuple[int, bytes]]:
        with smtplib.SMTP("127.0.0.1", port, timeout=60) as client:
            client.starttls(context=client_context(Path(tls["tls_certificate"])))
            return client.sendmail("a@example.com", ["b@example.org"], b"Subject: lib\r\n\r\nbody\r\n")

    async with open_house(listener=tls | {"tls_required": True}) as house:
        assert await asyncio.to_thread(send, house.port) == {}
        assert house.raws == [b"Subject: lib\r\n\r\nbody\r\n"]


@pytest.mark.skipif(shutil.which("openssl") is None, reason="no openssl here")
@pytest.mark.parametrize("version", ["-tls1_2", "-tls1_3"])
async def test_openssl(tls: dict[str, Any], version: str) -> None:
    def talk(port: int) -> str:
        command = ["openssl", "s_client", "-starttls", "smtp", "-connect", f"127.0.0.1:{port}", "-quiet", version]
        command += ["-CAfile", tls["tls_certificate"], "-verify_return_error"]
        said = subprocess.run(command, input=b"EHLO x\r\nQUIT\r\n", capture_output=True, timeout=60)
        return said.stdout.decode()

    async with open_house(listener=tls) as house:
        said = await asyncio.to_thread(talk, house.port)
        assert "250-door.example" in said
        assert "221 2.0.0 Bye" in said


# --- nothing from before ----------------------------------------------------------------------------------------------


async def test_what_was_said_before_is_forgotten(tls: dict[str, Any]) -> None:
    """Somebody in between could have said it: the login above all."""
    listener = tls | {"attribution": "xclient"}
    async with open_house(listener=listener) as house, house.dialog() as talk:
        await talk.greeted()
        assert (await talk.ask("XCLIENT ADDR=192.0.2.1 LOGIN=victim@example.com")).startswith("220 ")
        await talk.ask("EHLO before.example")
        assert await talk.ask("XFORWARD NAME=forged.example ADDR=192.0.2.2") == "250 2.0.0 Ok"
        await talk.start_tls(ANYBODY)
        await talk.ask("EHLO after.example")
        await talk.envelope()
        await talk.data(b"x\r\n")
        session = house.gate.intakes[0].session
        assert (session.login, session.client_address, session.client_name) == (None, "127.0.0.1", None)
        assert session.helo == "after.example"


async def test_not_in_a_transaction_not_before_ehlo_and_without_argument(tls: dict[str, Any]) -> None:
    async with open_house(listener=tls) as house, house.dialog() as talk:
        await talk.reply()
        assert await talk.ask("STARTTLS") == "503 5.5.1 Send EHLO first"
        await talk.ask("EHLO x")
        assert await talk.ask("STARTTLS now") == "501 5.5.4 This command takes no argument"
        await talk.ask("MAIL FROM:<>")
        assert await talk.ask("STARTTLS") == "503 5.5.1 Mail transaction in progress"
        await talk.ask("RSET")
        assert (await talk.start_tls(ANYBODY)).startswith("220 ")


# --- nothing from beside ----------------------------------------------------------------------------------------------

INJECTED = b"STARTTLS\r\nEHLO evil.example\r\nMAIL FROM:<evil@example.com>\r\nRCPT TO:<b@example.org>\r\n"


@on_both_loops
async def test_what_comes_along_with_the_command_is_never_carried_out(tls: dict[str, Any]) -> None:
    async with open_house(listener=tls) as house:
        async with house.dialog() as talk:
            await talk.greeted()
            await talk.send(INJECTED)
            assert await talk.reply() == "503 5.5.1 Nothing may follow STARTTLS before the handshake"
            assert await talk.ended()
        await still_serves(house)
        assert len(house.commands(b"MAIL")) == 1


async def test_nor_wherever_the_packet_is_cut(tls: dict[str, Any]) -> None:
    """Behind the CRLF the handshake has begun: then it is no handshake, and the connection ends."""
    async with open_house(listener=tls) as house:
        for at in range(1, len(INJECTED), 3):
            async with house.dialog() as talk:
                await talk.greeted()
                await talk.send(INJECTED[:at])
                # The first part is read alone.
                said = b""
                if b"\n" in INJECTED[:at]:
                    said = await talk.reader.read(1)
                else:
                    await house.heard(at)
                await talk.send(INJECTED[at:])
                said += await talk.reader.read(-1)
                # A refusal, or 220 and a TLS alert: nothing inside was a command.
                assert said.startswith((b"503 5.5.1 Nothing may follow", b"220 2.0.0 Ready")), (at, said)
                assert said.count(b"250 ") == 0
            await soon(lambda: house.server.connections == 0)
        assert not house.commands(b"MAIL")
        await still_serves(house)
        assert not house.errors


async def test_commands_in_the_first_flight_inside_tls_are_not_lost(tls: dict[str, Any]) -> None:
    """The client's Finished and its first commands may come in one packet."""
    async with open_house(listener=tls) as house:

        def at_once(port: int) -> bytes:
            raw = socket.create_connection(("127.0.0.1", port), timeout=60)
            raw.recv(1000)
            raw.sendall(b"EHLO x\r\n")
            raw.recv(1000)
            raw.sendall(b"STARTTLS\r\n")
            raw.recv(1000)
            incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
            secure = ANYBODY.wrap_bio(incoming, outgoing)
            while True:
                try:
                    secure.do_handshake()
                    break
                except ssl.SSLWantReadError:
                    raw.sendall(outgoing.read())
                    incoming.write(raw.recv(65_536))
            secure.write(b"EHLO x\r\nMAIL FROM:<>\r\nRCPT TO:<b@example.org>\r\nNOOP\r\n")
            raw.sendall(outgoing.read())
            said = b""
            while said.count(b"\r\n250 2.0.0 Ok\r\n") < 1:
                try:
                    said += secure.read(65_536)
                except ssl.SSLWantReadError:
                    incoming.write(raw.recv(65_536))
            raw.close()
            return said

        said = await asyncio.to_thread(at_once, house.port)
        assert said.endswith(b"250 2.1.0 Ok\r\n250 2.1.5 Ok\r\n250 2.0.0 Ok\r\n")


# --- when it is a must ------------------------------------------------------------------------------------------------


async def test_where_tls_is_required_nothing_else_is_heard_before(tls: dict[str, Any]) -> None:
    async with open_house(listener=tls | {"tls_required": True}) as house, house.dialog() as talk:
        await talk.greeted()
        refused = "530 5.7.0 Must issue a STARTTLS command first"
        for line in ("MAIL FROM:<>", "RCPT TO:<b@example.org>", "DATA", "RSET", "VRFY x", "XFORWARD NAME=x"):
            assert await talk.ask(line) == refused
        assert await talk.ask("NOOP") == "250 2.0.0 Ok"
        assert await talk.ask("HELO x") == "250 door.example"
        assert not house.commands(b"MAIL")
        assert (await talk.start_tls(ANYBODY)).startswith("220 ")
        await talk.ask("EHLO x")
        assert await talk.envelope() == ["250 2.1.0 Ok", "250 2.1.5 Ok"]
        assert (await talk.data(b"x\r\n")).startswith("250 ")


# --- what goes wrong --------------------------------------------------------------------------------------------------


@on_both_loops
@pytest.mark.parametrize("how", ["garbage", "silence", "reset", "end"])
async def test_a_handshake_that_comes_to_nothing_holds_no_slot(
    tls: dict[str, Any], how: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if how == "silence":
        monkeypatch.setattr(smtp_tls, "HANDSHAKE_S", 0.3)
    async with open_house(listener=tls, bounds=Bounds(handshakes=1)) as house:
        async with house.dialog() as talk:
            await talk.greeted()
            assert (await talk.ask("STARTTLS")).startswith("220 ")
            match how:
                case "garbage":
                    await talk.send(b"\x16\x03\x01\xff\xff" + b"\0" * 50)
                case "reset":
                    talk.writer.transport.abort()
                case "end":
                    talk.writer.write_eof()
                case _:
                    pass
            await soon(lambda: house.server.connections == 0)
        monkeypatch.setattr(smtp_tls, "HANDSHAKE_S", 60)
        await still_serves(house)
        assert not house.errors


async def test_too_many_handshakes_at_once_wait(tls: dict[str, Any]) -> None:
    async with open_house(listener=tls, bounds=Bounds(handshakes=1)) as house:
        async with house.dialog() as slow, house.dialog() as talk:
            await slow.greeted()
            await slow.ask("STARTTLS")
            await talk.greeted()
            assert await talk.ask("STARTTLS") == "454 4.7.0 TLS not available now, try again later"
            # RFC 3207 §4: the client decides whether to go on in clear text.
            assert (await talk.envelope())[1] == "250 2.1.5 Ok"
            slow.writer.transport.abort()
        await soon(lambda: house.server.connections == 0)
        await still_serves(house)


@on_both_loops
@pytest.mark.parametrize("how", ["close", "reset"])
async def test_who_leaves_after_the_dot_changes_nothing(tls: dict[str, Any], how: str) -> None:
    gate, entered, go_on = FakeGate(), asyncio.Event(), asyncio.Event()

    async def think() -> None:
        entered.set()
        await go_on.wait()

    gate.on_enforce = think
    async with open_house(gate=gate, listener=tls) as house, house.dialog() as talk:
        await talk.greeted()
        await talk.start_tls(ANYBODY)
        await talk.ask("EHLO x")
        await talk.envelope()
        await talk.ask("DATA")
        await talk.send(b"x\r\n.\r\n")
        await entered.wait()
        connection = house.connection
        talk.writer.transport.abort() if how == "reset" else talk.writer.close()
        await soon(lambda: connection._reader._is_ended)
        go_on.set()
        await soon(lambda: len(gate.deliveries) == 1)
        assert house.raws == [b"x\r\n"]
        assert not house.errors
        await soon(lambda: house.server.connections == 0)


@pytest.mark.turned
async def test_draining_and_time_limits_hold_inside_tls(tls: dict[str, Any]) -> None:
    async with open_house(listener=tls | {"command_timeout_s": 100}) as house:
        async with house.dialog() as slow:
            await slow.greeted()
            await slow.start_tls(ANYBODY)
            await slow.ask("EHLO x")
            await turn(100)
            assert await slow.reply() == "421 4.4.2 Timeout"
            assert await slow.ended()
        async with house.dialog() as idle:
            await idle.greeted()
            await idle.start_tls(ANYBODY)
            await idle.ask("EHLO x")
            draining = asyncio.create_task(house.server.drain(60))
            assert await idle.reply() == "421 4.3.2 Shutting down"
            assert await idle.ended()
            assert await draining == 0


# --- the certificate --------------------------------------------------------------------------------------------------


async def serial(house: House) -> int:
    async with house.dialog() as talk:
        await talk.greeted()
        await talk.start_tls(ANYBODY)
        from cryptography import x509

        octets = talk.writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
        return x509.load_der_x509_certificate(octets).serial_number


async def test_a_changed_certificate_is_used_and_a_broken_one_is_not(
    tls: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(smtp_tls, "LOOK_EVERY_S", 0)
    async with open_house(listener=tls) as house:
        first = await serial(house)
        assert await serial(house) == first
        chain, _ = write_certificate(tmp_path)
        # Two writes within one tick of the file system's clock would have one time.
        os.utime(chain, ns=(0, chain.stat().st_mtime_ns + 1))
        second = await serial(house)
        assert second != first
        # Half a renewal, then no file at all: the last good one stays, and each change is told once.
        (tmp_path / "tls.key").write_text("-----BEGIN PRIVATE KEY-----\n")
        assert [await serial(house) for _ in range(3)] == [second] * 3
        (tmp_path / "tls.key").unlink()
        assert [await serial(house) for _ in range(3)] == [second] * 3
        assert [(name, type(err)) for name, err in house.errors] == [("smtp", ConfigError)] * 2
        assert "tls.key" in str(house.errors[1][1])
        write_certificate(tmp_path)
        assert await serial(house) not in {first, second}
        assert len(house.errors) == 2


@pytest.mark.parametrize("how", ["missing", "no key", "other key", "encrypted", "no PEM"])
async def test_a_start_without_a_usable_certificate_is_refused(tmp_path: Path, how: str) -> None:
    chain, key = write_certificate(tmp_path, password=b"secret" if how == "encrypted" else None)
    match how:
        case "missing":
            chain.unlink()
        case "no key":
            key.unlink()
        case "other key":
            kept = key.read_bytes()
            write_certificate(tmp_path)
            key.write_bytes(kept)
        case "no PEM":
            chain.write_text("certificate")
        case _:
            pass
    with pytest.raises(ConfigError, match=r"tls\.(crt|key): tls_certificate: "):
        async with open_house(listener={"tls_certificate": str(chain), "tls_key": str(key)}):
            pass


def test_certificate_and_key_may_be_one_file(tmp_path: Path) -> None:
    chain, key = write_certificate(tmp_path)
    chain.write_bytes(key.read_bytes() + chain.read_bytes())
    context = smtp_tls.Certificate(chain, None, on_error=print).context()
    assert context.minimum_version == ssl.TLSVersion.TLSv1_2


@pytest.mark.parametrize("keys", [{"tls_required": True}, {"tls_key": "/x"}])
def test_keys_that_make_no_sense_alone(keys: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="need tls_certificate"):
        ListenerConfig.model_validate(keys)


async def test_a_client_in_clear_text_that_speaks_tls_at_once_is_told(tls: dict[str, Any]) -> None:
    """Row 32: TLS from the first octet is another port's business."""
    async with open_house(listener=tls) as house, Dialog(house.port) as talk:
        await talk.reply()
        await talk.send(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03")
        assert await talk.reply() == "421 4.7.0 This is SMTP"
        assert await talk.ended()
