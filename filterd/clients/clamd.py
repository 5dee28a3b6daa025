"""clamd, as the port `Scanner`.  clamd(8), FAULTS rows 7-10.

INSTREAM is ours: the `clamd` package answers None when the daemon dies in mid-scan, hands an ERROR back as if it were
a result, and sends without `sendall`. PING, VERSION and STATS are the package's, in a thread, its other traps closed.

Clean is only what clamd calls `stream: OK` and ends with NUL. Temporary: no socket, no answer in time, half an answer,
garbage, any other ERROR, and the end of the stream, which is tried once more because clamd closes connections when it
restarts. Not temporary: `INSTREAM size limit exceeded`, for the next attempt would end the same way.
"""

from __future__ import annotations

import asyncio
import re
import socket
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

import clamd

from filterd.errors import ConfigError, PortError
from filterd.ports import ScanAnswer

# Where Debian's clamd listens (package clamav-daemon).
DEBIAN_SOCKETS = ("unix:/run/clamav/clamd.ctl", "unix:/var/run/clamav/clamd.ctl")
# Ordinary mail in one write; clamd takes chunks of any size up to StreamMaxLength.
CHUNK_BYTES = 256 * 1024
# Longer than any signature name; more is not an answer.
REPLY_MAX_BYTES = 4096
# How old a noted version may be; freshclam brings a new database a few times a day.
VERSION_KEPT_S = 60.0

_ADDRESS = re.compile(r"unix:(?P<path>/.+)|tcp:(?:\[(?P<six>[0-9A-Fa-f:.]+)\]|(?P<host>[^:\[\]]+)):(?P<port>\d{1,5})")
_VERSION = re.compile(r"ClamAV [\x20-\x7e]{1,200}")
_FOUND = re.compile(r"stream: (?P<name>[\x21-\x7e][\x20-\x7e]{0,255}) FOUND")
# With ExtendedDetectionInfo, digest and size of the mail follow the name.
_DETAIL = re.compile(r"\([0-9a-f]{32}:\d+\)$")
_TOO_LARGE = "INSTREAM size limit exceeded. ERROR"


class ClamdScanner:
    """Scans mail. Safe for any number of tasks of one event loop.

    Args:
        address: `unix:/path`, `tcp:host:port` or `tcp:[v6]:port`.
        timeout_s: for one whole `scan` or `ping`: waiting for a turn, the second attempt, everything.
        max_connections: scans at once; not above clamd's MaxThreads (10).

    Raises:
        ConfigError: the address is none of these.
    """

    def __init__(self, address: str, *, timeout_s: float, max_connections: int):
        self._where = _Address.read(address)
        self._timeout_s = timeout_s
        self._turns = asyncio.Semaphore(max_connections)
        self._version = ""
        self._version_until = 0.0

    async def scan(self, data: bytes) -> ScanAnswer:
        """Scan one mail.

        Raises:
            PortError: no clear answer; not temporary when `data` is beyond clamd's StreamMaxLength.
        """
        try:
            async with asyncio.timeout(self._timeout_s), self._turns:
                try:
                    return await self._scan_once(data)
                except _EndOfStream:
                    # The clamd that comes back may know other signatures.
                    self._version_until = 0.0
                    return await self._scan_once(data)
        except TimeoutError as err:
            raise PortError(f"clamd at {self._where}: no answer within {self._timeout_s:g} s") from err

    async def _scan_once(self, data: bytes) -> ScanAnswer:
        if time.monotonic() >= self._version_until:
            self._version = await self._ask_version()
            self._version_until = time.monotonic() + VERSION_KEPT_S
        reply = await _instream(self._where, data)
        return ScanAnswer(signature=read_reply(reply), version=self._version)

    async def ping(self) -> str:
        """Say engine and database, for example `ClamAV 1.4.6/27800`, after a PONG. Raises PortError."""
        if await self._card(clamd.ClamdNetworkSocket.ping) != "PONG":
            raise PortError(f"clamd at {self._where}: no PONG")
        return await self._ask_version()

    async def _ask_version(self) -> str:
        version = await self._card(clamd.ClamdNetworkSocket.version)
        if not _VERSION.fullmatch(version):
            raise PortError(f"clamd at {self._where}: no version")
        # Without the date: engine and number of the database say it all.
        return "/".join(version.split("/")[:2])

    async def stats(self) -> str:
        """Say what clamd tells of its queue and memory, in its own words. Raises PortError."""
        return await self._card(clamd.ClamdNetworkSocket.stats)

    async def _card(self, command: Callable[[clamd.ClamdNetworkSocket], str | None]) -> str:
        """Have the package ask. Raises PortError also where it says nothing: so it does when the daemon has died."""
        try:
            async with asyncio.timeout(self._timeout_s):
                said = await asyncio.to_thread(command, _Card(self._where, self._timeout_s))
        except (OSError, TimeoutError, ValueError, clamd.ClamdError) as err:
            raise PortError(f"clamd at {self._where}: {_why(err)}") from err
        if not said:
            raise PortError(f"clamd at {self._where}: closed before it answered")
        return said


async def locate(candidates: Iterable[str] = DEBIAN_SOCKETS, *, timeout_s: float = 2.0) -> str | None:
    """Say the first address at which a clamd answers PING, for `address = "auto"`; None when none does."""
    for candidate in candidates:
        try:
            await ClamdScanner(candidate, timeout_s=timeout_s, max_connections=1).ping()
        except PortError:
            continue
        return candidate
    return None


def read_reply(reply: str) -> str | None:
    """Say which signature a reply to INSTREAM names, or None for clean.

    Args:
        reply: without its NUL.

    Raises:
        PortError: it is neither; not temporary for a stream that was too long.
    """
    if reply == "stream: OK":
        return None
    if found := _FOUND.fullmatch(reply):
        return _DETAIL.sub("", found["name"])
    if reply == _TOO_LARGE:
        raise PortError("clamd: beyond its StreamMaxLength", temporary=False)
    # Not the reply itself, which may quote what clamd has read.
    raise PortError(f"clamd: {'an error' if reply.endswith('ERROR') else 'an unreadable answer'}")


class _EndOfStream(PortError):
    """clamd closed the connection before it answered anything."""


async def _instream(where: _Address, data: bytes) -> str:
    """Hand `data` over and return the reply without its NUL.

    Bare sockets rather than streams: what clamd said before it closed can still be read after sending has failed.
    """
    loop = asyncio.get_running_loop()
    broken: OSError | None = None
    reply = bytearray()
    with socket.socket(where.family, socket.SOCK_STREAM) as sock:
        sock.setblocking(False)
        try:
            await loop.sock_connect(sock, where.target)
        except OSError as err:
            raise PortError(f"clamd at {where}: {_why(err)}") from err
        try:
            for piece in _pieces(data):
                await loop.sock_sendall(sock, piece)
        except OSError as err:
            broken = err
        try:
            while not reply.endswith(b"\0") and (more := await loop.sock_recv(sock, REPLY_MAX_BYTES)):
                reply += more
                if len(reply) > REPLY_MAX_BYTES:
                    raise PortError(f"clamd at {where}: an endless answer")
        except OSError as err:
            broken = err
    if not reply:
        raise _EndOfStream(f"clamd at {where}: closed before it answered") from broken
    if not reply.endswith(b"\0"):
        raise PortError(f"clamd at {where}: half an answer") from broken
    return reply[:-1].decode("ascii", "replace")


def _pieces(data: bytes) -> Iterator[bytes]:
    """Cut what is sent: command, chunks each with its length, the empty chunk that ends it. Most mail is one piece."""
    ahead = b"zINSTREAM\0"
    for start in range(0, len(data), CHUNK_BYTES):
        chunk = data[start : start + CHUNK_BYTES]
        end = bytes(4) if start + CHUNK_BYTES >= len(data) else b""
        yield b"".join((ahead, len(chunk).to_bytes(4, "big"), chunk, end))
        ahead = b""
    if ahead:
        yield ahead + bytes(4)


@dataclass(frozen=True, slots=True)
class _Address:
    family: socket.AddressFamily
    target: str | tuple[str, int]
    text: str

    @classmethod
    def read(cls, text: str) -> _Address:
        found = _ADDRESS.fullmatch(text)
        if found is None:
            raise ConfigError(f"{text!r} is not unix:/path, tcp:host:port or tcp:[v6]:port", key="clamd.address")
        if found["path"]:
            return cls(socket.AF_UNIX, found["path"], text)
        family = socket.AF_INET6 if found["six"] else socket.AF_INET
        return cls(family, (found["six"] or found["host"], int(found["port"])), text)

    def __str__(self) -> str:
        return self.text


# The package has no annotations, so that its classes are Any.
class _Card(clamd.ClamdNetworkSocket):  # type: ignore[misc]
    """The package's client, with a deadline for connecting too: a full backlog would hold its thread for ever."""

    def __init__(self, where: _Address, timeout_s: float):
        super().__init__(timeout=timeout_s)
        self._where = where

    def _init_socket(self) -> None:
        self.clamd_socket = socket.socket(self._where.family, socket.SOCK_STREAM)
        try:
            self.clamd_socket.settimeout(self.timeout)
            self.clamd_socket.connect(self._where.target)
        except OSError:
            self.clamd_socket.close()
            raise


def _why(err: Exception) -> str:
    return (err.strerror if isinstance(err, OSError) else None) or type(err).__name__
