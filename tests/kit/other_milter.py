"""Somebody else's milter: it takes everything and puts one field at the end of the header, as signers do.

Written from the protocol alone; it shares no code with filterd.
"""

from __future__ import annotations

import socketserver
import struct
import threading


class OtherMilter:
    """A milter on loopback. `ended`: how many messages it has seen to their end."""

    def __init__(self, port: int, *, field: tuple[bytes, bytes] = (b"X-Other-Milter", b"was here")) -> None:
        self.port, self.ended = port, 0
        self._field, self._lock = field, threading.Lock()
        milter = self

        class Handler(socketserver.StreamRequestHandler):
            def handle(self) -> None:
                while len(size := self.rfile.read(4)) == 4:
                    letter = self.rfile.read(int.from_bytes(size, "big"))[:1]
                    if letter == b"Q":
                        return
                    self.wfile.write(milter._answer(letter))

        class Server(socketserver.ThreadingTCPServer):
            allow_reuse_address = True
            daemon_threads = True

        self._server = Server(("127.0.0.1", port), Handler)
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    def _answer(self, letter: bytes) -> bytes:
        match letter:
            case b"O":
                # Version 6, SMFIF_ADDHDRS, an answer to every step.
                return _packet(b"O" + struct.pack(">III", 6, 0x1, 0))
            case b"D" | b"A" | b"K":
                return b""
            case b"E":
                with self._lock:
                    self.ended += 1
                name, value = self._field
                return _packet(b"h" + name + b"\0" + value + b"\0") + _packet(b"a")
            case _:
                return _packet(b"c")


def _packet(octets: bytes) -> bytes:
    return struct.pack(">I", len(octets)) + octets
