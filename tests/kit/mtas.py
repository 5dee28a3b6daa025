"""Mail servers that are not installed: Debian's packages, unpacked by ops/install/other-mtas.sh."""

from __future__ import annotations

import socket
import subprocess
from collections.abc import Iterable
from pathlib import Path

from tests.kit.waiting import PATIENCE_S, wait_until

MTAS = Path(__file__).resolve().parents[2] / ".venv/.filterd/mtas"


class MtaError(Exception):
    """It is not there, did not start, or did something else than it was told to."""


def unpacked(path: str) -> Path:
    """Say where a file of theirs lies. Raises MtaError when it does not."""
    file = MTAS / path
    if not file.exists():
        raise MtaError(f"{file} is missing: run ops/install/other-mtas.sh (make install)")
    return file


def wait_for_ports(server: subprocess.Popen[bytes], ports: Iterable[int], said: Path) -> None:
    """Wait until it listens on all of them. Raises MtaError with what it said when it ends instead."""
    for port in ports:
        try:
            wait_until(lambda port=port: server.poll() is not None or _listens(port), f"port {port}")
        except TimeoutError as err:
            raise MtaError(f"{err}\n{said.read_text(errors='replace')}") from err
        if server.poll() is not None:
            raise MtaError(f"it has ended:\n{said.read_text(errors='replace')}")


def end(server: subprocess.Popen[bytes]) -> None:
    server.terminate()
    try:
        server.wait(PATIENCE_S)
    except subprocess.TimeoutExpired:
        server.kill()
        server.wait()


def _listens(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=PATIENCE_S).close()
    except OSError:
        return False
    return True
