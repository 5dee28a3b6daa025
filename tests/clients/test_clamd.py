"""The clamd client: a scripted clamd that does everything wrong, then the real one."""

from __future__ import annotations

import asyncio
import base64
import io
import socket
import struct
import zipfile
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from filterd.clients import clamd as clamd_module
from filterd.clients.clamd import CHUNK_BYTES, ClamdScanner, locate, read_reply
from filterd.clients.clamd_private import EICAR, MARKER, PrivateClamd, start_private_clamd
from filterd.errors import ConfigError, PortError
from tests.kit.loops import turn
from tests.kit.servers import free_ports
from tests.kit.waiting import PATIENCE_S, soon

pytestmark = pytest.mark.slow

Talk = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
MAIL = b"Subject: hello\r\n\r\nHello\r\n"


# --- A clamd that follows a script ----------------------------------------------------------------------------------


class FakeClamd:
    """Answers each INSTREAM with the next line of the script (the last one for ever), VERSION and PING as told.

    Attributes:
        streams: the octets of every stream that came whole.
        most: how many streams were open at once.
    """

    def __init__(
        self, *script: Talk, version: bytes = b"ClamAV 1.4.6/27800/Mon Nov  2 08:00:00", ping: bytes = b"PONG"
    ):
        self.script = list(script)
        self.version, self.ping = version, ping
        self.streams: list[bytes] = []
        self.open = self.most = self.versions = 0

    async def talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            first = await reader.readexactly(1)
            command = await reader.readuntil(b"\0" if first == b"z" else b"\n")
            if command[:-1] == b"INSTREAM":
                self.open += 1
                self.most = max(self.most, self.open)
                try:
                    await (self.script.pop(0) if len(self.script) > 1 else self.script[0])(reader, writer)
                finally:
                    self.open -= 1
            elif command[:-1] == b"VERSION":
                self.versions += 1
                writer.write(self.version + command[-1:])
            elif command[:-1] == b"PING":
                writer.write(self.ping + command[-1:])
            elif command[:-1] == b"STATS":
                writer.write(b"POOLS: 1\n\nEND" + command[-1:])
            await writer.drain()
        except (OSError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    async def read_stream(self, reader: asyncio.StreamReader) -> None:
        data = b""
        while size := int.from_bytes(await reader.readexactly(4), "big"):
            data += await reader.readexactly(size)
        self.streams.append(data)

    def says(self, reply: bytes, *, after: asyncio.Event | None = None) -> Talk:
        """Read the whole stream, then say `reply` as it is."""

        async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await self.read_stream(reader)
            if after is not None:
                await after.wait()
            writer.write(reply)

        return talk


async def close_at_once(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.close()


async def reset_in_mid_stream(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.readexactly(4)
    sock = writer.get_extra_info("socket")
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


async def never(_reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
    await asyncio.Event().wait()


async def refuse_size_without_reading_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """As clamd does: says so at the chunk that is too much, and closes."""
    await reader.readexactly(4)
    writer.write(b"INSTREAM size limit exceeded. ERROR\0")
    await writer.drain()


@asynccontextmanager
async def listening(fake: FakeClamd, kind: str, folder: Path) -> AsyncIterator[str]:
    """Say the address at which `fake` listens."""
    if kind == "unix":
        server: asyncio.Server = await asyncio.start_unix_server(fake.talk, folder / "c.sock")
        address = f"unix:{folder / 'c.sock'}"
    else:
        server = await asyncio.start_server(fake.talk, "127.0.0.1", 0)
        address = f"tcp:127.0.0.1:{server.sockets[0].getsockname()[1]}"
    try:
        yield address
    finally:
        server.close()


def scanner(address: str, *, timeout_s: float = PATIENCE_S, max_connections: int = 4) -> ClamdScanner:
    return ClamdScanner(address, timeout_s=timeout_s, max_connections=max_connections)


@pytest.fixture(params=["unix", "tcp"])
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


async def scan(fake: FakeClamd, kind: str, folder: Path, data: bytes = MAIL) -> str | None:
    async with listening(fake, kind, folder) as address:
        return (await scanner(address).scan(data)).signature


# --- Answers --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [0, 1, len(MAIL), CHUNK_BYTES, CHUNK_BYTES + 1, 3_000_000])
async def test_all_octets_arrive_and_ok_is_clean(kind: str, tmp_path: Path, size: int) -> None:
    fake = FakeClamd()
    fake.script = [fake.says(b"stream: OK\0")]
    data = bytes(range(256)) * (size // 256 + 1)
    assert await scan(fake, kind, tmp_path, data[:size]) is None
    assert fake.streams == [data[:size]]


async def test_found_names_the_signature_and_the_engine(kind: str, tmp_path: Path) -> None:
    fake = FakeClamd()
    fake.script = [fake.says(b"stream: Win.Trojan.Agent-1 FOUND\0")]
    async with listening(fake, kind, tmp_path) as address:
        answer = await scanner(address).scan(MAIL)
    assert (answer.signature, answer.version) == ("Win.Trojan.Agent-1", "ClamAV 1.4.6/27800")


@pytest.mark.parametrize(
    ("reply", "signature"),
    [
        ("stream: OK", None),
        ("stream: Eicar FOUND", "Eicar"),
        ("stream: A B FOUND", "A B"),
        ("stream: X FOUND FOUND", "X FOUND"),
        (f"stream: Eicar({'0' * 32}:68) FOUND", "Eicar"),
    ],
)
def test_replies_that_are_answers(reply: str, signature: str | None) -> None:
    assert read_reply(reply) == signature


@pytest.mark.parametrize(
    "reply",
    [
        "",
        "OK",
        "stream:OK",
        "stream: OK ",
        "stream: OK\n",
        "stream:  FOUND",
        "stream: \x1b[2J FOUND",
        "stream: Can't allocate memory ERROR",
        "INSTREAM: Socket read error ERROR",
        "UNKNOWN COMMAND",
        "1: stream: OK",
        "stream: OK\0stream: OK",
    ],
)
def test_replies_that_are_none_are_temporary_errors_and_never_clean(reply: str) -> None:
    with pytest.raises(PortError) as err:
        read_reply(reply)
    assert err.value.temporary


# --- Failures (FAULTS 7-10) -----------------------------------------------------------------------------------------


async def test_absent_socket_is_temporary(tmp_path: Path) -> None:
    with pytest.raises(PortError, match="No such file") as err:
        await scanner(f"unix:{tmp_path / 'none'}").scan(MAIL)
    assert err.value.temporary


async def test_refused_connection_is_temporary() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        with pytest.raises(PortError) as err:
            await scanner(f"tcp:127.0.0.1:{free.getsockname()[1]}").scan(MAIL)
    assert err.value.temporary


@pytest.mark.turned
@pytest.mark.parametrize("size", [100, 30_000_000])
async def test_clamd_that_never_answers_ends_at_the_deadline(kind: str, tmp_path: Path, size: int) -> None:
    fake = FakeClamd(never)
    scanning = asyncio.create_task(scan(fake, kind, tmp_path, b"x" * size))
    await soon(lambda: fake.open)
    await turn(PATIENCE_S)
    with pytest.raises(PortError, match="no answer within 120 s") as err:
        await scanning
    assert err.value.temporary


async def test_full_backlog_ends_at_the_deadline(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as full:
        full.bind(str(tmp_path / "c.sock"))
        full.listen(0)
        waiting = [socket.socket(socket.AF_UNIX) for _ in range(2)]
        for one in waiting:
            one.setblocking(False)
            one.connect_ex(str(tmp_path / "c.sock"))
        with pytest.raises(PortError) as err:
            await scanner(f"unix:{tmp_path / 'c.sock'}", timeout_s=0.2).scan(MAIL)
        assert err.value.temporary
        for one in waiting:
            one.close()


@pytest.mark.parametrize(
    "reply", [b"stream: OK", b"stream: ", b"\xff\xfe\0", b"HTTP/1.1 400 Bad Request\r\n\r\n", b"x" * 10_000]
)
async def test_half_or_unreadable_answer_is_temporary(kind: str, tmp_path: Path, reply: bytes) -> None:
    fake = FakeClamd()
    fake.script = [fake.says(reply)]
    with pytest.raises(PortError) as err:
        await scan(fake, kind, tmp_path)
    assert err.value.temporary


@pytest.mark.parametrize("size", [10, 3_000_000])
async def test_stream_beyond_clamd_s_limit_is_not_temporary(kind: str, tmp_path: Path, size: int) -> None:
    with pytest.raises(PortError, match="StreamMaxLength") as err:
        await scan(FakeClamd(refuse_size_without_reading_on), kind, tmp_path, b"x" * size)
    assert not err.value.temporary


@pytest.mark.parametrize("failure", [close_at_once, reset_in_mid_stream])
async def test_end_in_mid_stream_is_tried_once_more(kind: str, tmp_path: Path, failure: Talk) -> None:
    fake = FakeClamd()
    fake.script = [failure, fake.says(b"stream: Eicar FOUND\0")]
    assert await scan(fake, kind, tmp_path, b"x" * 2_000_000) == "Eicar"
    assert fake.versions == 2


@pytest.mark.parametrize("failure", [close_at_once, reset_in_mid_stream])
async def test_second_end_in_mid_stream_is_temporary(kind: str, tmp_path: Path, failure: Talk) -> None:
    fake = FakeClamd()
    fake.script = [failure, failure, fake.says(b"stream: OK\0")]
    with pytest.raises(PortError, match="closed before it answered") as err:
        await scan(fake, kind, tmp_path, b"x" * 2_000_000)
    assert err.value.temporary


@pytest.mark.parametrize("version", [b"", b"UNKNOWN COMMAND", b"\xff\xff", b"ClamAV \x1b[2J"])
async def test_clamd_without_a_version_is_temporary(kind: str, tmp_path: Path, version: bytes) -> None:
    fake = FakeClamd(version=version)
    fake.script = [fake.says(b"stream: OK\0")]
    with pytest.raises(PortError) as err:
        await scan(fake, kind, tmp_path)
    assert err.value.temporary


# --- Turns and versions ---------------------------------------------------------------------------------------------


async def test_no_more_scans_at_once_than_allowed(tmp_path: Path) -> None:
    fake = FakeClamd()
    go_on = asyncio.Event()
    fake.script = [fake.says(b"stream: OK\0", after=go_on)]
    async with listening(fake, "unix", tmp_path) as address:
        one = scanner(address, max_connections=2)
        scanning = asyncio.gather(*(one.scan(MAIL) for _ in range(10)))
        # Two are there and eight know that it is not their turn.
        await soon(lambda: fake.open == 2 and len(one._turns._waiters or ()) == 8)
        go_on.set()
        await scanning
    assert (fake.most, len(fake.streams)) == (2, 10)


@pytest.mark.turned
async def test_waiting_for_a_turn_counts_against_the_deadline(tmp_path: Path) -> None:
    fake = FakeClamd(never)
    async with listening(fake, "unix", tmp_path) as address:
        one = scanner(address, max_connections=1)
        scanning = asyncio.gather(*(one.scan(MAIL) for _ in range(100)), return_exceptions=True)
        await soon(lambda: fake.open == 1 and len(one._turns._waiters or ()) == 99)
        # For all of them, once: one after the other they would need it a hundred times.
        await turn(PATIENCE_S)
        answers = await scanning
    assert {type(answer) for answer in answers} == {PortError}


async def test_cancelled_scan_gives_its_turn_back(tmp_path: Path) -> None:
    fake = FakeClamd()
    fake.script = [never, fake.says(b"stream: OK\0")]
    async with listening(fake, "unix", tmp_path) as address:
        one = scanner(address, max_connections=1)
        task = asyncio.create_task(one.scan(MAIL))
        await soon(lambda: fake.open)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert (await one.scan(MAIL)).signature is None


async def test_a_version_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clamd_module, "VERSION_KEPT_S", 3600.0)
    fake = FakeClamd()
    fake.script = [fake.says(b"stream: OK\0")]
    async with listening(fake, "unix", tmp_path) as address:
        one = scanner(address)
        for _ in range(3):
            await one.scan(MAIL)
        assert fake.versions == 1
        monkeypatch.setattr(clamd_module, "VERSION_KEPT_S", 0.0)
        one = scanner(address)
        for _ in range(3):
            await one.scan(MAIL)
        assert fake.versions == 4


# --- PING, STATS, addresses -----------------------------------------------------------------------------------------


async def test_ping_says_the_version(kind: str, tmp_path: Path) -> None:
    async with listening(FakeClamd(), kind, tmp_path) as address:
        assert await scanner(address).ping() == "ClamAV 1.4.6/27800"


@pytest.mark.parametrize("ping", [b"", b"PING", b"\xff"])
async def test_ping_without_pong_is_an_error(kind: str, tmp_path: Path, ping: bytes) -> None:
    async with listening(FakeClamd(ping=ping), kind, tmp_path) as address:
        with pytest.raises(PortError):
            await scanner(address).ping()


async def test_dead_daemon_is_an_error_where_the_package_says_nothing(tmp_path: Path) -> None:
    async def close(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.close()

    server = await asyncio.start_unix_server(close, tmp_path / "c.sock")
    dead = scanner(f"unix:{tmp_path / 'c.sock'}")
    for ask in (dead.ping, dead.stats):
        with pytest.raises(PortError):
            await ask()
    server.close()


async def test_stats(tmp_path: Path) -> None:
    async with listening(FakeClamd(), "unix", tmp_path) as address:
        assert (await scanner(address).stats()).startswith("POOLS: 1")


async def test_locate_says_the_first_that_answers(tmp_path: Path) -> None:
    absent = f"unix:{tmp_path / 'absent'}"
    assert await locate([absent]) is None
    async with listening(FakeClamd(), "unix", tmp_path) as address:
        assert await locate([absent, address], timeout_s=PATIENCE_S) == address


@pytest.mark.parametrize(
    "address", ["", "auto", "/run/clamd", "unix:relative", "tcp:host", "tcp::3310", "tcp:host:port", "tcp:[::1:3310"]
)
def test_address_that_is_none_is_refused(address: str) -> None:
    with pytest.raises(ConfigError, match=r"clamd\.address"):
        scanner(address)


# --- The real one ---------------------------------------------------------------------------------------------------


def with_attachment(content: bytes) -> bytes:
    """A mail with `content` as a base64 attachment."""
    encoded = base64.encodebytes(content).replace(b"\n", b"\r\n")
    return (
        b"From: a@example.com\r\nSubject: file\r\nMIME-Version: 1.0\r\n"
        b'Content-Type: multipart/mixed; boundary="b"\r\n\r\n--b\r\nContent-Type: text/plain\r\n\r\nSee file.\r\n'
        b'--b\r\nContent-Type: application/octet-stream; name="f"\r\nContent-Transfer-Encoding: base64\r\n'
        b'Content-Disposition: attachment; filename="f"\r\n\r\n' + encoded + b"--b--\r\n"
    )


def zipped(content: bytes) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("f.txt", content)
    return packed.getvalue()


def real(clamd: PrivateClamd) -> ClamdScanner:
    return scanner(f"unix:{clamd.socket_path}")


@pytest.mark.parametrize(
    ("data", "signature"),
    [
        (MAIL, None),
        (with_attachment(b"harmless"), None),
        (EICAR, "Filterd.Test.Eicar.UNOFFICIAL"),
        (with_attachment(EICAR), "Filterd.Test.Eicar.UNOFFICIAL"),
        (with_attachment(zipped(EICAR)), "Filterd.Test.Eicar.UNOFFICIAL"),
        (with_attachment(zipped(zipped(EICAR))), "Filterd.Test.Eicar.UNOFFICIAL"),
        (MAIL + MARKER, "Filterd.Test.Marker.UNOFFICIAL"),
    ],
    ids=["clean", "clean file", "plain", "in a mail", "in a zip in a mail", "in a zip in a zip", "marker"],
)
async def test_real_clamd_judges(clamd_server: PrivateClamd, data: bytes, signature: str | None) -> None:
    answer = await real(clamd_server).scan(data)
    assert (answer.signature, answer.version.split("/")[0]) == (signature, clamd_server.version)


async def test_real_clamd_refuses_what_is_too_long(clamd_server: PrivateClamd) -> None:
    with pytest.raises(PortError, match="StreamMaxLength") as err:
        await real(clamd_server).scan(b"x" * (41 * 1024 * 1024))
    assert not err.value.temporary


async def test_real_clamd_answers_the_package(clamd_server: PrivateClamd) -> None:
    assert (await real(clamd_server).ping()).startswith("ClamAV 1.")
    assert "THREADS" in await real(clamd_server).stats()


async def test_real_clamd_away_and_back(clamd_server: PrivateClamd) -> None:
    one = real(clamd_server)
    await clamd_server.stop()
    try:
        with pytest.raises(PortError) as err:
            await one.scan(MAIL)
        assert err.value.temporary
    finally:
        await clamd_server.start()
    assert (await one.scan(EICAR)).signature == "Filterd.Test.Eicar.UNOFFICIAL"


@pytest.mark.server
async def test_real_clamd_over_tcp(tmp_path_factory: pytest.TempPathFactory) -> None:
    (port,) = free_ports(1)
    clamd = await start_private_clamd(tmp_path_factory.mktemp("tcp"), tcp_port=port)
    try:
        one = scanner(f"tcp:127.0.0.1:{port}")
        assert (await one.scan(with_attachment(EICAR))).signature == "Filterd.Test.Eicar.UNOFFICIAL"
        with pytest.raises(PortError, match="StreamMaxLength") as err:
            await one.scan(b"x" * (41 * 1024 * 1024))
        assert not err.value.temporary
    finally:
        await clamd.stop()
