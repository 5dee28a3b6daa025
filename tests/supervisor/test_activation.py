"""Sockets that systemd holds: by name, TCP and UNIX, and nobody is refused while filterd is started again."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.e2e import letters
from tests.kit.client import Reply
from tests.kit.node import merged, toml
from tests.kit.waiting import PATIENCE_S
from tests.supervisor.rig import ALICE, CUSTOMER, Load, Rig, both, rig

pytestmark = pytest.mark.slow

# What systemd does between fork and exec: descriptors from 3 on, and the pid in the environment.
_HAND_OVER = """
import os, sys
fds = [int(x) for x in sys.argv[1].split(",")]
for to, fd in enumerate(fds, start=3):
    os.dup2(fd, to, inheritable=True)
os.environ |= {"LISTEN_PID": str(os.getpid()), "LISTEN_FDS": str(len(fds)), "LISTEN_FDNAMES": sys.argv[2]}
os.execv(sys.argv[3], sys.argv[3:])
"""
_TELL = """
import json
from filterd import systemd
print(json.dumps({name: [s.getsockname() for s in found] for name, found in systemd.sockets().items()}))
print(json.dumps(systemd.sockets()))
"""


def hand_over(sockets: list[socket.socket], names: str, *command: str, **options: Any) -> subprocess.Popen[str]:
    # Out of the way of the numbers they will have.
    high = [os.dup(s.fileno()) for s in sockets]
    while min(high) < 3 + len(high):
        high = [os.dup(fd) for fd in high]
    numbers = ",".join(map(str, high))
    try:
        return subprocess.Popen(
            [sys.executable, "-c", _HAND_OVER, numbers, names, *command], pass_fds=high, text=True, **options
        )
    finally:
        for fd in high:
            os.close(fd)


def told(sockets: list[socket.socket], names: str) -> subprocess.CompletedProcess[str]:
    with hand_over(
        sockets, names, sys.executable, "-c", _TELL, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        out, err = process.communicate(timeout=PATIENCE_S)
        return subprocess.CompletedProcess((), process.returncode, out, err)


def listening(port: int = 0) -> socket.socket:
    made = socket.create_server(("127.0.0.1", port))
    made.listen(128)
    return made


def test_sockets_come_by_their_names_once():
    one, other = listening(), listening()
    said = told([one, other], "mx:submission")
    lines = [json.loads(line) for line in said.stdout.splitlines()]
    assert lines == [{"mx": [list(one.getsockname())], "submission": [list(other.getsockname())]}, {}]


@pytest.mark.parametrize(
    ("kind", "names", "error"),
    [
        ("listening", "", "1 sockets were handed over with 0 names"),
        ("datagram", "mx", "descriptor 3 (mx) is no listening stream socket"),
        ("connected", "mx", "descriptor 3 (mx) is no listening stream socket"),
        ("file", "mx", "descriptor 3 (mx) is no socket"),
    ],
)
def test_what_is_no_listening_socket_is_refused(kind: str, names: str, error: str, tmp_path: Path):
    made = {
        "listening": listening,
        "datagram": lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM),
        "connected": lambda: socket.socketpair()[0],
        "file": lambda: (tmp_path / "f").open("w"),
    }[kind]()
    assert error in told([made], names).stderr


def test_sockets_for_another_process_are_left_alone(monkeypatch: pytest.MonkeyPatch):
    from filterd import systemd

    monkeypatch.setenv("LISTEN_PID", "1")
    monkeypatch.setenv("LISTEN_FDS", "1")
    assert systemd.sockets() == {}


class Activated:
    """A node whose doors the test holds open, as systemd does."""

    def __init__(self, house: Rig, sockets: list[socket.socket], names: str, workers: int):
        self.house, self.sockets, self.names, self.workers = house, sockets, names, workers

    def start(self) -> None:
        node = self.house.node
        command = [sys.executable, "-m", "filterd", "serve", "--config", str(node.config_file)]
        with node.log_file.open("a") as log:
            node._process = hand_over(  # type: ignore[assignment]
                self.sockets, self.names, *command, "--workers", str(self.workers), stdout=log, stderr=log,
                cwd=node.folder,
            )  # fmt: skip

    def stop(self) -> None:
        os.kill(self.house.pid, signal.SIGTERM)
        assert self.house.node.wait_dead() == 0


@pytest.mark.slow
@both
def test_whoever_connects_while_filterd_is_started_again_is_served(workers: int):
    with rig(workers, is_started=False) as house:
        house.node.folder.mkdir(exist_ok=True)
        path = house.node.folder / "lmtp.sock"
        local = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        local.bind(str(path))
        local.listen(16)
        with listening(house.port) as door, local:
            _configure(house, path)
            node = Activated(house, [door, local], "submission:local", workers)
            # Nobody is there yet: the connection waits in the socket.
            waiting = _later(house)
            node.start()
            assert waiting().code == 250
            house.wait_log("filterd ready")
            assert _greeting(path).startswith(b"220 ")
            with Load(house, senders=3) as load:
                load.wait(10)
                node.stop()
                # The socket's file is not ours to remove.
                assert path.is_socket()
                again = _later(house)
                node.start()
                assert again().code == 250
                load.wait(10)
            node.stop()
        tries = [reply for replies in load.answers.values() for reply in replies]
        refused = [str(reply) for reply in tries if reply.code == 0 and "refused" in reply.text]
        assert refused == []
        copies = house.arrived()
        assert {tag: copies[tag] for tag in load.answers} == dict.fromkeys(load.answers, 1)


@pytest.mark.slow
def test_a_name_that_no_listener_bears_refuses_the_start():
    with rig(2, is_started=False) as house, listening() as door:
        house.node.folder.mkdir(exist_ok=True)
        _configure(house, None)
        node = Activated(house, [door], "submision", 2)
        node.start()
        assert house.node.wait_dead() == 2
        assert "FileDescriptorName=: no listener is called submision; there are submission" in house.node.log()


def _configure(house: Rig, path: Path | None) -> None:
    config = merged(house.node.config, {"node": {"state_dir": str(house.node.state_dir)}})
    if path is not None:
        # It is handed over; what stands here would be another one, and in a folder that is not there.
        config["listener"].append({"name": "local", "bind": "unix:/nowhere/lmtp.sock"})
    house.node.config_file.write_text(toml(config))


def _later(house: Rig) -> Callable[[], Reply]:
    """Connect now, and say later how a mail went."""
    said: list[Reply] = []
    tag = f"waiting.{time.monotonic_ns()}"
    connection = socket.create_connection(("127.0.0.1", house.port))

    def work() -> None:
        with house.connect(over=connection) as client:
            said.append(client.deliver(letters.letter(ALICE, CUSTOMER, letters.clean(ALICE, CUSTOMER, tag=tag))))

    thread = threading.Thread(target=work, daemon=True)
    thread.start()

    def wait() -> Reply:
        thread.join(PATIENCE_S)
        return said[0]

    return wait


def _greeting(path: Path) -> bytes:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as client:
        client.settimeout(PATIENCE_S)
        client.connect(str(path))
        return client.recv(1024)
