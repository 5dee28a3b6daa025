"""Ends nobody asked for: kill -9 in mid-group, a disk that fills up. What was promised is there, the rest never was."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.ledger.groups import rows
from tests.ledger.rig import open_engine

# Long enough to leave out of `make check`.
pytestmark = pytest.mark.slow

KILLED = """
import os, sys
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from pathlib import Path
from tests.ledger.rig import act, open_engine

engine = open_engine(Path(sys.argv[1]))

def whole(txn, name):
    for part in range(5):
        act(txn, name, part)

def work(worker):
    for turn in range(100_000):
        name = f"a_{worker}_{turn}"
        engine.run(lambda txn: whole(txn, name))
        os.write(1, f"{name}\\n".encode())

with ThreadPoolExecutor(8) as pool:
    list(pool.map(work, range(8)))
"""


@pytest.mark.parametrize("moment_s", [0.0, 0.013, 0.11])
def test_kill_in_mid_group(state_dir: Path, moment_s: float) -> None:
    process = subprocess.Popen([sys.executable, "-c", KILLED, str(state_dir)], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    promised = [process.stdout.readline().strip() for _ in range(9)]
    time.sleep(moment_s)
    os.kill(process.pid, signal.SIGKILL)
    promised += [line.strip() for line in process.stdout if line.endswith("\n")]
    process.wait()
    assert len(promised) >= 9
    engine = open_engine(state_dir)
    try:
        found = rows(engine)
        assert [entry.seq for entry in found] == list(range(1, len(found) + 1))
        assert asyncio.run(engine.verify()).is_sound
        counts: dict[str, int] = {}
        for entry in found:
            counts[entry.account_id] = counts.get(entry.account_id, 0) + 1
        assert set(counts.values()) == {15}
        assert set(promised) <= set(counts)
    finally:
        engine.stop()


LIMITED = """
import json, resource, signal, sys
from datetime import datetime
from pathlib import Path
from filterd.errors import ConfigError, LedgerUnavailable
from tests.ledger.rig import act, open_engine

signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
engine = open_engine(Path(sys.argv[1]))
soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
size = (Path(sys.argv[1]) / "ledger.sqlite3").stat().st_size
resource.setrlimit(resource.RLIMIT_FSIZE, (size + 40_000, hard))
stored, refused = [], 0
for turn in range(400):
    try:
        engine.run(lambda txn: act(txn, f"a_{turn}"))
        stored.append(turn)
    except LedgerUnavailable:
        refused += 1
        if refused == 3:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
engine.stop()
print(json.dumps([stored, refused]))
"""


@pytest.mark.one_store("sqlite")
def test_a_full_disk_costs_what_was_refused_and_nothing_else(state_dir: Path) -> None:
    command = [sys.executable, "-c", LIMITED, str(state_dir)]
    stored, refused = json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
    assert refused == 3
    assert len(stored) == 397
    engine = open_engine(state_dir)
    try:
        found = rows(engine)
        assert [entry.account_id for entry in found] == [f"a_{turn}" for turn in stored for _ in range(3)]
        assert asyncio.run(engine.verify()).is_sound
    finally:
        engine.stop()
