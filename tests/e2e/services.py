"""What single tests add to the site: services of Postfix, and a tap that writes down what goes over a wire."""

from __future__ import annotations

import socket
import socketserver
import subprocess
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field

from tests.kit.postfix import SNIPPETS, PrivatePostfix, replaced
from tests.kit.servers import free_ports, wait_for_port
from tests.kit.waiting import PATIENCE_S


def add_services(postfix: PrivatePostfix, master: str, *, transport: str = "", ports: tuple[int, ...] = ()) -> None:
    """Append to master.cf and to the transport map of a running Postfix; returns when the ports answer."""
    with (postfix.etc / "master.cf").open("a") as file:
        file.write(f"\n{master}\n")
    with (postfix.etc / "transport").open("a") as file:
        file.write(transport)
    subprocess.run(["postfix", "-c", str(postfix.etc), "reload"], check=True, capture_output=True, timeout=PATIENCE_S)
    for port in ports:
        wait_for_port(port)


@dataclass(frozen=True)
class MilterPorts:
    milter: int
    smtp: int
    submission: int


def milter_services(postfix: PrivatePostfix) -> Iterator[MilterPorts]:
    """Give Postfix two ports that are wired as milter.*.cf says, until the end; sendmail(1) goes through it, too."""
    ports = MilterPorts(*free_ports(3))
    services = replaced(
        (SNIPPETS / "milter.master.cf").read_text(),
        {
            "\nsmtp              inet": f"\n127.0.0.1:{ports.smtp} inet",
            "\nsubmission        inet": f"\n127.0.0.1:{ports.submission} inet",
            "\n127.0.0.1:10026   inet": f"\n127.0.0.1:{free_ports(1)[0]}   inet",
        },
    )
    settings = replaced((SNIPPETS / "milter.main.cf").read_text(), {"127.0.0.1:10028": f"127.0.0.1:{ports.milter}"})
    before = {name: (postfix.etc / name).read_text() for name in ("main.cf", "master.cf")}
    (postfix.etc / "main.cf").write_text(before["main.cf"] + "\n" + settings)
    try:
        add_services(postfix, services, ports=(ports.smtp, ports.submission))
        assert postfix.check() == ""
        yield ports
    finally:
        # The services go with what they name: another module may want the like.
        for name, text in before.items():
            (postfix.etc / name).write_text(text)
        subprocess.run(["postfix", "-c", str(postfix.etc), "reload"], check=True, capture_output=True, timeout=60)


@dataclass
class Heard:
    """One connection through the tap: what the client wrote, one entry a packet, and what it was told."""

    packets: list[bytes] = field(default_factory=list)
    told: bytes = b""

    @property
    def said(self) -> bytes:
        return b"".join(self.packets)


class Tap:
    """Listens on one port, hands everything on to another."""

    def __init__(self, port: int, to: int):
        self.heard: list[Heard] = []
        self.to = to
        tap = self

        class Handler(socketserver.BaseRequestHandler):
            def handle(self) -> None:
                tap._carry(self.request, to)

        class Server(socketserver.ThreadingTCPServer):
            allow_reuse_address = True
            daemon_threads = True

        self._server = Server(("127.0.0.1", port), Handler)
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    def _carry(self, client: socket.socket, to: int) -> None:
        try:
            door = socket.create_connection(("127.0.0.1", to), timeout=PATIENCE_S)
        except OSError:
            # filterd is away; Postfix sees a connection that ends at once.
            return
        # A connection may be kept for as long as either side likes.
        door.settimeout(None)
        heard = Heard()
        self.heard.append(heard)

        def back() -> None:
            while octets := _received(door):
                heard.told += octets
                client.sendall(octets)
            _half_close(client)

        thread = threading.Thread(target=back, daemon=True)
        thread.start()
        with door:
            while octets := _received(client):
                heard.packets.append(octets)
                door.sendall(octets)
            _half_close(door)
            thread.join(PATIENCE_S)


def _received(end: socket.socket) -> bytes:
    try:
        return end.recv(1 << 16)
    except OSError:
        return b""


def _half_close(end: socket.socket) -> None:
    try:
        end.shutdown(socket.SHUT_WR)
    except OSError:
        # The other side has closed it whole.
        return
