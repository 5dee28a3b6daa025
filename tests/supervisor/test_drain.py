"""SIGTERM: mail in hand is finished, nobody new is let in, nothing lost, nothing twice, exit code 0."""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import pytest

from tests.kit.waiting import PATIENCE_S
from tests.supervisor.rig import Load, both, rig

pytestmark = pytest.mark.slow

T = TypeVar("T")


def later(work: Callable[[], T]) -> tuple[threading.Thread, list[T]]:
    said: list[T] = []
    thread = threading.Thread(target=lambda: said.append(work()), daemon=True)
    thread.start()
    return thread, said


@both
def test_mail_in_hand_is_finished_and_nobody_new_is_let_in(workers: int):
    with rig(workers) as house:
        house.sink.hold()
        client = house.connect()
        thread, said = later(lambda: client.deliver(house.clean("in-hand")))
        house.sink.wait(1)
        os.kill(house.pid, signal.SIGTERM)
        house.wait_closed()
        assert said == []
        house.sink.go_on()
        thread.join(PATIENCE_S)
        assert [reply.code for reply in said] == [250]
        assert house.node.wait_dead() == 0
        assert house.arrived() == {"in-hand@corp.example": 1}
        # In order: each worker says so.
        assert len(house.node.events("stopped")) == max(1, workers)


@both
def test_stopped_under_load_nothing_is_lost_and_nothing_comes_twice(workers: int):
    with rig(workers) as house:
        house.sink.pause_s = 0.02
        with Load(house, senders=4) as load:
            load.wait(20)
            os.kill(house.pid, signal.SIGTERM)
            assert house.node.wait_dead() == 0
            house.node.start()
            load.wait(20)
        tries = [reply for replies in load.answers.values() for reply in replies]
        print(f"{workers} workers: {len(load.answers)} mails, {len(tries)} tries, 1 restart")
        # Whoever had sent the end of a mail had an answer.
        assert [str(reply) for reply in tries if reply.code == 0 and reply.after == "."] == []
        assert house.arrived() == dict.fromkeys(load.answers, 1)


def test_a_second_signal_hurries(monkeypatch: pytest.MonkeyPatch):
    """Where neither the next hop nor the drain comes to an end by itself; how long it takes: tests/app/test_drain."""
    monkeypatch.setenv("FILTERD_PROGRAM", f"{sys.executable} {Path(__file__).with_name('impatient.py')}")
    with rig(2) as house:
        house.sink.hold()
        client = house.connect()
        thread, said = later(lambda: client.deliver(house.clean("slow")))
        house.sink.wait(1)
        os.kill(house.pid, signal.SIGTERM)
        house.wait_closed()
        assert house.node.is_running
        os.kill(house.pid, signal.SIGTERM)
        assert house.node.wait_dead() == 0
        thread.join(PATIENCE_S)
        assert [reply.code for reply in said] == [0], "no answer: the client sends it again"
        assert "event=unfinished mails=1" in house.node.log()


def test_ctrl_c_reaches_the_whole_group_and_still_ends_the_workers_first():
    with rig(2) as house:
        client = house.connect()
        thread, said = later(lambda: client.deliver(house.spam(1)))
        thread.join(PATIENCE_S)
        assert [reply.code for reply in said] == [550]
        house.sink.hold()
        thread, said = later(lambda: client.deliver(house.clean("ctrl-c")))
        house.sink.wait(1)
        for pid in (house.pid, *house.children()):
            os.kill(pid, signal.SIGINT)
        house.wait_closed()
        house.sink.go_on()
        thread.join(PATIENCE_S)
        assert [reply.code for reply in said] == [250]
        assert house.node.wait_dead() == 0
