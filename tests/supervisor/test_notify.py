"""What systemd hears, over a real datagram socket.  sd_notify(3)."""

from __future__ import annotations

import os
import re
import signal
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from filterd import systemd
from tests.kit.waiting import continue_processes, stop_processes, wait_until
from tests.supervisor.rig import rig


class Ear:
    """The service manager's end. `name` as NOTIFY_SOCKET has it."""

    def __init__(self, name: str):
        self.name = name
        self.heard: list[str] = []
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(f"\0{name[1:]}" if name.startswith("@") else name)
        # It must be read all the time: the kernel queues ten.
        threading.Thread(target=self._listen, daemon=True).start()

    def said(self, *lines: str) -> list[str]:
        """Say every message so far with these lines in it."""
        return [text for text in self.heard if all(line in text.split("\n") for line in lines)]

    def catch_up(self) -> None:
        """Wait until everything that was sent before now has been heard."""
        end = f"END={time.monotonic_ns()}"
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
            sender.sendto(end.encode(), f"\0{self.name[1:]}" if self.name.startswith("@") else self.name)
        wait_until(lambda: end in self.heard, end)

    def close(self) -> None:
        self._socket.close()

    def _listen(self) -> None:
        while True:
            try:
                self.heard.append(self._socket.recv(65536).decode())
            except OSError:
                return


@pytest.fixture(params=["path", "abstract"])
def ear(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Ear]:
    ear = Ear(str(tmp_path / "n") if request.param == "path" else f"@filterd-test-{os.getpid()}-{time.monotonic_ns()}")
    yield ear
    ear.close()


def test_a_state_is_one_datagram(ear: Ear, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("NOTIFY_SOCKET", ear.name)
    assert systemd.notify("READY=1", systemd.status("two\nlines"))
    wait_until(lambda: ear.heard, "one datagram")
    assert ear.heard == ["READY=1\nSTATUS=two lines"]


@pytest.mark.parametrize("address", ["", "relative", "vsock:2:1", "/nobody/listens/here"])
def test_without_a_manager_nothing_happens(monkeypatch: pytest.MonkeyPatch, address: str):
    monkeypatch.setenv("NOTIFY_SOCKET", address)
    assert systemd.notify("READY=1") is False


def test_the_instant_of_a_reload_is_monotonic():
    before = time.monotonic_ns() // 1000
    first, second = systemd.reloading()
    assert first == "RELOADING=1"
    assert before <= int(second.removeprefix("MONOTONIC_USEC=")) <= time.monotonic_ns() // 1000


@pytest.mark.parametrize(
    ("usec", "pid", "expected"),
    [("", "", None), ("0", "", None), ("x", "", None), ("3000000", "", 1.0), ("3000000", "1", None)],
)
def test_the_watchdog_is_fed_three_times_as_often_as_asked(
    monkeypatch: pytest.MonkeyPatch, usec: str, pid: str, expected: float | None
):
    monkeypatch.setenv("WATCHDOG_USEC", usec)
    if pid:
        monkeypatch.setenv("WATCHDOG_PID", pid)
    assert systemd.watchdog_s() == expected


@pytest.mark.slow
@pytest.mark.parametrize("workers", [0, 2])
def test_a_life_as_systemd_hears_it(tmp_path: Path, workers: int):
    ear = Ear(str(tmp_path / "n"))
    with rig(workers, is_started=False) as house:
        # Seldom enough that what a slow listener has not read yet does not fill the queue.
        house.node.env |= {"NOTIFY_SOCKET": ear.name, "WATCHDOG_USEC": "3000000"}
        house.node.start()
        wait_until(lambda: ear.said("READY=1"), "ready")
        # Ready means that the door is open.
        assert house.send(house.clean("first")).code == 250
        assert re.search(r"^STATUS=.*tencent-exmail", ear.said("READY=1")[0], re.MULTILINE)
        fed = len(ear.said("WATCHDOG=1"))
        wait_until(lambda: len(ear.said("WATCHDOG=1")) > fed, "the watchdog is fed")
        house.put_agreement(1)
        assert house.node.run("reload").returncode == 0
        wait_until(lambda: len(ear.said("READY=1")) == 2, "ready again")
        (reload,) = ear.said("RELOADING=1")
        assert re.search(r"^MONOTONIC_USEC=\d+$", reload, re.MULTILINE)
        # Between the two.
        order = [text for text in ear.heard if "READY=1" in text or "RELOADING=1" in text]
        assert [text.split("\n")[0] for text in order] == ["READY=1", "RELOADING=1", "READY=1"]
        os.kill(house.pid, signal.SIGTERM)
        assert house.node.wait_dead() == 0
        ear.catch_up()
        assert len(ear.said("STOPPING=1")) == 1
    ear.close()


@pytest.mark.slow
def test_nobody_feeds_the_watchdog_of_a_process_that_hangs(tmp_path: Path):
    """Neither a process of its own nor anybody else: where there are several, test_children."""
    ear = Ear(str(tmp_path / "n"))
    with rig(0, is_started=False) as house:
        house.node.env |= {"NOTIFY_SOCKET": ear.name, "WATCHDOG_USEC": "300000"}
        house.node.start()
        wait_until(lambda: ear.said("WATCHDOG=1"), "the watchdog is fed")
        stop_processes([house.pid])
        ear.catch_up()
        fed = len(ear.said("WATCHDOG=1"))
        # Time for whoever else might feed it; who stands still cannot, however long this takes.
        time.sleep(0.6)
        ear.catch_up()
        assert len(ear.said("WATCHDOG=1")) == fed
        continue_processes([house.pid])
        wait_until(lambda: len(ear.said("WATCHDOG=1")) > fed, "and again")
    ear.close()
