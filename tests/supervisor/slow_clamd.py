"""A clamd that finds nothing, and says so when it is told to: mail stays in hand as long as a test wants."""

from __future__ import annotations

import socketserver
import threading
from pathlib import Path
from typing import BinaryIO


class SlowClamd:
    """`go` is set when it answers; `asked` is set by the first mail."""

    def __init__(self, path: Path):
        self.go, self.asked = threading.Event(), threading.Event()
        slow = self

        class Handler(socketserver.StreamRequestHandler):
            def handle(self) -> None:
                slow._talk(self.rfile, self.wfile)

        self._server = socketserver.ThreadingUnixStreamServer(str(path), Handler)
        self._server.daemon_threads = True
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()

    def close(self) -> None:
        self.go.set()
        self._server.shutdown()
        self._server.server_close()

    def _talk(self, read: BinaryIO, write: BinaryIO) -> None:
        # clamd(8): z ends commands and answers with NUL, n with a line end.
        end = b"\0" if read.read(1) == b"z" else b"\n"
        command = b""
        while not command.endswith(end):
            command += read.read(1) or end
        match command[:-1]:
            case b"VERSION":
                write.write(b"ClamAV 1.4.6/27800/Mon Nov  2 08:00:00" + end)
            case b"PING":
                write.write(b"PONG" + end)
            case b"INSTREAM":
                while length := int.from_bytes(read.read(4), "big"):
                    read.read(length)
                self.asked.set()
                self.go.wait()
                write.write(b"stream: OK" + end)
