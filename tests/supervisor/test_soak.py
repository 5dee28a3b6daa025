"""Half an hour under load, another agreement every minute: memory does not grow, nobody is cut off.  MAIL-PATH 4j 8.

FILTERD_SOAK_S says for how long; a day in a site that is like yours is for you to run.
"""

from __future__ import annotations

import os
import re
import time
from pathlib import Path

import pytest

from tests.supervisor.rig import Load, Rig, rig

pytestmark = [pytest.mark.nightly, pytest.mark.timeout(100_000)]

SECONDS = float(os.environ.get("FILTERD_SOAK_S", "1800"))
RELOAD_S = min(60.0, SECONDS / 10)
# Of what there was once all was warm: arenas of the allocator, not mail that is kept.
GROWTH, SLACK_KB = 1.2, 32_768


def resident_kb(house: Rig) -> int:
    """Say how much memory all its processes have."""
    found = 0
    for pid in (house.pid, *house.children()):
        status = Path(f"/proc/{pid}/status").read_text()
        found += int(re.findall(r"^VmRSS:\s+(\d+) kB", status, re.MULTILINE)[0])
    return found


def test_half_an_hour() -> None:
    # The same three people write all day: their pace is nobody's business here.
    with rig(2, {"rate": {"enabled": False}}) as house:
        pids, sizes = set(house.children()), []
        until = time.monotonic() + SECONDS
        with Load(house) as load:
            for version in range(1_000_000):
                if time.monotonic() >= until:
                    break
                time.sleep(RELOAD_S)
                house.put_agreement(version)
                house.node.cli("reload")
                load.wait(10)
                sizes.append(resident_kb(house))
        tries = [reply for replies in load.answers.values() for reply in replies]
        print(f"{len(tries)} mails in {SECONDS:g} s, {len(sizes)} reloads, resident kB: {sizes}")
        # Taken at the first try, on the connection that each sender has opened at the start.
        assert [str(reply) for reply in tries if reply.code != 250] == []
        assert len(tries) == len(load.answers)
        assert house.arrived() == dict.fromkeys(load.answers, 1)
        assert set(house.children()) == pids
        warm = sizes[: max(1, len(sizes) // 3)]
        assert max(sizes[-len(warm) :]) <= max(warm) * GROWTH + SLACK_KB, sizes
