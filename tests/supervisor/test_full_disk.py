"""The volume with filterd's own files is full: what needs a record waits, nothing is lost or doubled.  MAIL-PATH 4j 4.

The node has a small file system of its own, which only it sees (unshare(1)); the test fills it from outside.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.kit.node import Node, Process, _filterd
from tests.kit.waiting import wait_until
from tests.supervisor.rig import Rig, rig

pytestmark = pytest.mark.slow

SIZE = "96m"
# $0 is the folder, "$@" the program.
IN_A_SMALL_VOLUME = f'mkdir -p "$0" && mount -t tmpfs -o size={SIZE} tmpfs "$0" && exec "$@"'


def in_a_small_volume(node: Node) -> Callable[[list[str]], Process]:
    def launch(arguments: list[str]) -> Process:
        alone = ["unshare", "--map-root-user", "--mount", "sh", "-c", IN_A_SMALL_VOLUME, str(node.state_dir)]
        command = ["setpriv", "--pdeathsig", "KILL", "--", *alone, *_filterd(), *arguments]
        with node.log_file.open("ab") as log:
            return subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=node.folder)

    return launch


def state(house: Rig) -> Path:
    """The node's files, as only its own processes see them."""
    return Path(f"/proc/{house.pid}/root") / str(house.node.state_dir).lstrip("/")


def fill(house: Rig) -> Path:
    """Take all there is left."""
    filler = state(house) / "filler"
    with filler.open("wb", buffering=0) as file:
        for size in (1 << 20, 4096, 1):
            try:
                while True:
                    file.write(b"x" * size)
            except OSError:
                continue
    found = os.statvfs(state(house))
    assert found.f_bavail == 0
    return filler


def test_a_violation_waits_until_there_is_room_and_nothing_is_lost() -> None:
    with rig(is_started=False) as house:
        house.node.launch = in_a_small_volume(house.node)
        house.node.start()
        assert house.send(house.spam(0)).code == 550
        assert house.send(house.clean("before")).code == 250
        filler = fill(house)
        # No record, no refusal for good: the mail is to come again.
        said = [house.send(house.spam(number, "full")) for number in range(1, 4)]
        assert {reply.code // 100 for reply in said} == {4}, said
        clean = house.send(house.clean("full"))
        assert clean.code // 100 in (2, 4), clean
        taken = house.arrived()
        assert taken["full@corp.example"] == (clean.code == 250)
        assert sum(taken.values()) == 1 + (clean.code == 250)
        filler.unlink()
        # As an MTA would: again and again, until it is settled.
        wait_until(lambda: house.send(house.spam(1, "full")).code == 550, "the violation is refused")
        if clean.code != 250:
            wait_until(lambda: house.send(house.clean("full")).code == 250, "the clean mail is taken")
        assert house.send(house.clean("after")).code == 250
        assert house.arrived() == {f"{tag}@corp.example": 1 for tag in ("before", "full", "after")}
