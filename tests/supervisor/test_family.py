"""What becomes of a child that hangs, that dies again and again, and of the others meanwhile."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.kit.waiting import continue_processes, stop_processes, wait_until
from tests.supervisor.impatient import HURRIED
from tests.supervisor.rig import Rig, rig

pytestmark = pytest.mark.slow


@pytest.fixture
def house(monkeypatch: pytest.MonkeyPatch) -> Iterator[Rig]:
    """Two workers, and a supervisor that starts again at once."""
    monkeypatch.setenv("FILTERD_PROGRAM", f"{sys.executable} {Path(__file__).with_name('impatient.py')}")
    with rig(2) as house:
        yield house


def test_who_hangs_is_killed_and_another_works_in_its_place(house: Rig):
    hung = house.workers()[0]
    stop_processes([hung])
    house.wait_log("gives no sign of life")
    assert f"pid={hung}" in house.node.log()
    wait_until(lambda: hung not in house.children() and len(house.workers()) == 2, "another worker")
    wait_until(lambda: house.node.log().count("event=started") == 3, "it listens")
    assert house.metric('filterd_process_ends_total{outcome="hung",role="worker"}') == 1
    for number in range(6):
        assert house.send(house.clean(f"hung.{number}")).code == 250
    ledger = set(house.children()) - set(house.workers())
    stop_processes(ledger)
    house.wait_log("gives no sign of life", count=2)
    wait_until(lambda: not ledger & set(house.children()), "it is gone")
    wait_until(lambda: house.send(house.clean("again")).code == 250, "the ledger is back")


def test_the_watchdog_s_signal_has_it_say_where_it_was(house: Rig):
    """SIGABRT: the place in the code, and no core file, which would hold mail."""
    os.kill(house.workers()[0], signal.SIGABRT)
    house.wait_log("ended with -6")
    assert "Fatal Python error: Aborted" in house.node.log()
    assert list(house.node.folder.glob("core*")) == []
    wait_until(lambda: house.node.log().count("event=started") == 3, "another worker")


def test_a_worker_that_dies_at_once_again_and_again_is_an_alarm_and_the_rest_goes_on(house: Rig):
    key = house.node.state_dir / "master.key"
    # What no start accepts: a key that others may read.
    key.chmod(0o644)
    os.kill(house.workers()[0], signal.SIGKILL)
    house.wait_log("event=process_failing")
    assert house.node.log().count("lets others read the master key") >= 9
    wait_until(lambda: house.readyz()[0] == 503, "not ready")
    assert "ends again and again" in house.readyz()[1]
    assert house.metric("filterd_processes_failing") == 1
    for number in range(6):
        assert house.send(house.clean(f"meanwhile.{number}")).code == 250
    key.chmod(0o600)
    wait_until(lambda: house.readyz()[0] == 200, "ready again")
    assert len(house.workers()) == 2


def test_a_supervisor_that_was_asleep_blames_nobody(house: Rig):
    """SIGSTOP of all, as when a machine pauses: nobody was silent longer than the supervisor itself."""
    everybody = [house.pid, *house.children()]
    stop_processes(everybody)
    # Longer than a child may be silent; how much longer does not matter.
    time.sleep(HURRIED.silent + 1)
    continue_processes(reversed(everybody))
    # The supervisor answers in a turn in which it has looked at everybody, and in another one.
    for _ in range(2):
        assert house.node.run("reload").returncode == 0
    assert house.children() == everybody[1:]
    assert "sign of life" not in house.node.log()
