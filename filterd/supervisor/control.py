"""The control socket `serve.sock` in the state directory: who may connect asks for a reload and waits for its outcome.

One line of JSON each way: {"do": "reload"}, and an Outcome. Only root and the user filterd runs as are heard.
"""

from __future__ import annotations

import os
import socket
import struct
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import orjson

from filterd.errors import PortError
from filterd.supervisor.channel import LINE_BYTES, Fault, Word

FILE_NAME = "serve.sock"
_REQUEST = {"do": "reload"}
# A reload waits for every process to read everything.
_ANSWER_WITHIN_S = 300.0
# One write of a program on this machine, which may stand still with it for some seconds; only our own may keep us so.
ASK_WITHIN_S = 10.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What became of a reload. `changed` is what app.changes says; `fault` None: it was taken."""

    fault: Fault | None = None
    policies: dict[str, str] = field(default_factory=dict)
    changed: dict[str, Any] = field(default_factory=dict)

    @property
    def is_taken(self) -> bool:
        return self.fault is None


def listen(state_dir: Path) -> socket.socket:
    """Open the socket, mode 0600. Whoever holds the ledger's lock holds this, so that an old one is a dead one's."""
    path = state_dir / FILE_NAME
    made = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        path.unlink(missing_ok=True)
        os.fchmod(made.fileno(), 0o600)
        made.bind(str(path))
        path.chmod(0o600)
        made.listen(8)
        made.setblocking(False)
    except OSError as err:
        made.close()
        raise PortError(f"{path}: cannot listen there: {err.strerror or err}", temporary=False) from err
    return made


def is_own(connection: socket.socket) -> bool:
    """Say whether the other end is root or our own user (SO_PEERCRED: pid, uid, gid)."""
    peer = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
    return int(struct.unpack("3i", peer)[1]) in (0, os.getuid())


def is_request(line: bytes) -> bool:
    try:
        return bool(orjson.loads(line) == _REQUEST)
    except orjson.JSONDecodeError:
        return False


def answer(outcome: Outcome) -> bytes:
    return orjson.dumps(asdict(outcome)) + b"\n"


def accept(listening: socket.socket) -> socket.socket | None:
    """Take one who asks, and has said so in time; None for everybody else."""
    try:
        connection, _ = listening.accept()
    except OSError:
        return None
    try:
        connection.settimeout(ASK_WITHIN_S)
        if is_own(connection) and is_request(_line(connection)):
            return connection
    except OSError:
        pass
    connection.close()
    return None


def reply(connection: socket.socket, outcome: Outcome) -> None:
    """Say the outcome to whoever still waits for it."""
    try:
        with connection:
            connection.sendall(answer(outcome))
    except OSError:
        return


def ask(state_dir: Path) -> Outcome:
    """Have the filterd that runs in `state_dir` reload. Raises PortError when there is none, or no answer."""
    path = state_dir / FILE_NAME
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
            connection.settimeout(_ANSWER_WITHIN_S)
            connection.connect(str(path))
            connection.sendall(orjson.dumps(_REQUEST) + b"\n")
            said: Word = orjson.loads(_line(connection))
    except (FileNotFoundError, ConnectionRefusedError) as err:
        raise PortError(f"{path}: no filterd runs here") from err
    except (OSError, orjson.JSONDecodeError) as err:
        raise PortError(f"{path}: no answer: {getattr(err, 'strerror', None) or 'it hung up'}") from err
    fault = said.pop("fault")
    return Outcome(fault=Fault(**fault) if fault is not None else None, **said)


def _line(connection: socket.socket) -> bytes:
    found = b""
    while not found.endswith(b"\n") and len(found) < LINE_BYTES:
        octets = connection.recv(65536)
        if not octets:
            break
        found += octets
    return found
