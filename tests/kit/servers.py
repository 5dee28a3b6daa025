"""Small servers of the tests' own: ports that nobody else has, and a next hop that keeps every octet it was sent."""

from __future__ import annotations

import fcntl
import os
import random
import socket
import socketserver
import tempfile
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path

from tests.kit.waiting import PATIENCE_S, wait_until

# Below the range from which the kernel takes ports for outgoing connections (32768 on Linux).
_PORTS = range(20_000, 32_000)
# Those that this process has been given, and the file they are locked in.
_ours: set[int] = set()
_locks: list[int] = []
_KEYWORDS = ("PIPELINING", "SIZE 104857600", "8BITMIME", "SMTPUTF8", "DSN", "ENHANCEDSTATUSCODES")


def free_ports(count: int, host: str = "127.0.0.1") -> list[int]:
    """Say ports on which nobody listens now, and which no other test is given while this process lives: whoever is to
    listen there may be long in coming, or be started again."""
    found: list[int] = []
    for port in random.sample(_PORTS, len(_PORTS)):
        if not _reserved(port):
            continue
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((host, port))
            except OSError:
                continue
        found.append(port)
        if len(found) == count:
            return found
    raise RuntimeError(f"fewer than {count} free ports on {host}")


def _reserved(port: int) -> bool:
    """Reserve a port among all that run tests: a lock on one octet of a file, which ends with this process."""
    if port in _ours:
        return False
    if not _locks:
        name = Path(tempfile.gettempdir()) / f"filterd-test-ports-{os.getuid()}"
        _locks.append(os.open(name, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
    try:
        fcntl.lockf(_locks[0], fcntl.LOCK_EX | fcntl.LOCK_NB, 1, port)
    except OSError:
        return False
    _ours.add(port)
    return True


def wait_for_port(port: int, host: str = "127.0.0.1", patience_s: float = PATIENCE_S) -> None:
    """Wait until somebody accepts connections. Raises TimeoutError."""

    def is_there() -> bool:
        try:
            socket.create_connection((host, port), timeout=patience_s).close()
        except OSError:
            return False
        return True

    wait_until(is_there, f"somebody listens on {host}:{port}", patience_s)


@dataclass(frozen=True, kw_only=True)
class Taken:
    """One transaction as it came over the wire. `mail` and `rcpts` are whole command lines without CRLF; `data` is
    without the dots that protected its lines and without the one that ended it."""

    mail: bytes
    rcpts: tuple[bytes, ...]
    data: bytes


@dataclass
class _Open:
    mail: bytes = b""
    rcpts: list[bytes] = field(default_factory=list)


class WireSink:
    """An SMTP server that takes everything and writes down what it was told, octet by octet.

    Attributes:
        rcpt: other replies to RCPT, by a part of the address.
        after_dot: another reply to the dot; b"" hangs up instead.
        pause_s: before the reply to the dot, which also waits while the sink is held.
        accepted: what it has answered 2xx for, in order.
    """

    def __init__(self, port: int, *, keywords: tuple[str, ...] = _KEYWORDS):
        self.port = port
        self.rcpt: dict[bytes, bytes] = {}
        self.after_dot = b"250 2.0.0 Ok"
        self.pause_s = 0.0
        self._may_go_on = threading.Event()
        self._may_go_on.set()
        self._taken: list[Taken] = []
        self.accepted: list[Taken] = []
        self._lock = threading.Lock()
        sink = self

        class Handler(socketserver.StreamRequestHandler):
            def handle(self) -> None:
                sink._talk(self.rfile, self.wfile, keywords)

        class Server(socketserver.ThreadingTCPServer):
            allow_reuse_address = True
            daemon_threads = True

        self._server = Server(("127.0.0.1", port), Handler)
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    @property
    def taken(self) -> tuple[Taken, ...]:
        with self._lock:
            return tuple(self._taken)

    def wait(self, count: int, patience_s: float = PATIENCE_S) -> tuple[Taken, ...]:
        """Wait until so many transactions are in. Raises TimeoutError."""
        wait_until(lambda: len(self.taken) >= count, f"{count} mails at the next hop", patience_s)
        return self.taken

    def forget(self) -> None:
        with self._lock:
            self._taken.clear()

    def hold(self) -> None:
        """Answer no dot from now on until `go_on`."""
        self._may_go_on.clear()

    def go_on(self) -> None:
        self._may_go_on.set()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    def _talk(self, rfile, wfile, keywords: tuple[str, ...]) -> None:
        wfile.write(b"220 sink.example ESMTP\r\n")
        now = _Open()
        while line := rfile.readline(1 << 20):
            line = line.rstrip(b"\r\n")
            match line.split(b" ")[0].upper():
                case b"EHLO":
                    said = "".join(f"250-{word}\r\n" for word in keywords)
                    wfile.write(b"250-sink.example\r\n" + said.encode() + b"250 HELP\r\n")
                case b"MAIL":
                    now = _Open(mail=line)
                    wfile.write(b"250 2.1.0 Ok\r\n")
                case b"RCPT":
                    reply = next((said for part, said in self.rcpt.items() if part in line), b"250 2.1.5 Ok")
                    if reply.startswith(b"2"):
                        now.rcpts.append(line)
                    wfile.write(reply + b"\r\n")
                case b"DATA":
                    wfile.write(b"354 Go on\r\n")
                    data = _read_data(rfile)
                    taken = Taken(mail=now.mail, rcpts=tuple(now.rcpts), data=data)
                    with self._lock:
                        self._taken.append(taken)
                    time.sleep(self.pause_s)
                    self._may_go_on.wait()
                    said = self.after_dot
                    if not said:
                        return
                    if said.startswith(b"2"):
                        self.accepted.append(taken)
                    wfile.write(said + b"\r\n")
                case b"QUIT":
                    wfile.write(b"221 2.0.0 Bye\r\n")
                    return
                case _:
                    wfile.write(b"250 2.0.0 Ok\r\n")


class OddScanner:
    """Something on clamd's port that is no clamd.

    Attributes:
        reply: what it says when a whole stream is in; None says nothing at all and keeps the connection.
        is_cut: it hangs up in the middle of a stream.
        streams: how many came.
    """

    def __init__(self, port: int):
        self.port = port
        self.reply: bytes | None = b"stream: OK\0"
        self.is_cut = False
        self.streams = 0
        self._lock = threading.Lock()
        self._over = threading.Event()
        scanner = self

        class Handler(socketserver.StreamRequestHandler):
            def handle(self) -> None:
                scanner._talk(self.rfile, self.wfile)

        class Server(socketserver.ThreadingTCPServer):
            allow_reuse_address = True
            daemon_threads = True

        self._server = Server(("127.0.0.1", port), Handler)
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def close(self) -> None:
        self._over.set()
        self._server.shutdown()
        self._server.server_close()

    def speak(self, reply: bytes) -> None:
        """Say this from now on, also to those who wait."""
        self.reply = reply
        self._over.set()
        self._over = threading.Event()

    def _talk(self, rfile, wfile) -> None:
        first = rfile.read(1)
        command, octet = b"", rfile.read(1)
        end = b"\0" if first == b"z" else b"\n"
        while octet not in (end, b""):
            command, octet = command + octet, rfile.read(1)
        if command == b"VERSION":
            wfile.write(b"ClamAV 9.9.9/1/now" + end)
        elif command == b"INSTREAM":
            with self._lock:
                self.streams += 1
            while (size := int.from_bytes(rfile.read(4), "big")) and not self.is_cut:
                rfile.read(size)
            over = self._over
            if self.reply is None:
                over.wait()
            if self.reply is not None and not self.is_cut:
                wfile.write(self.reply)


def _read_data(rfile) -> bytes:
    """Read up to the line that is a single dot, as RFC 5321 §4.5.2 says; only CRLF ends a line."""
    out: list[bytes] = []
    line = b""
    while True:
        piece = rfile.readline()
        if not piece:
            return b"".join(out)
        line += piece
        if not line.endswith(b"\r\n"):
            continue
        if line == b".\r\n":
            return b"".join(out)
        out.append(line[1:] if line.startswith(b".") else line)
        line = b""
