"""Kill the process at each marked place: what the client, the gate and the next hop have seen then (FAULTS row 1)."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from filterd.clients.sink import start_sink
from filterd.markers import MARKERS
from tests.dialogs.client import Dialog

# Long enough to leave out of `make check`.
pytestmark = pytest.mark.slow

# Those that a mail passes after its end, in a door with the gate of the tests.
AFTER_THE_DOT = (
    "smtp.after_dot",
    "smtp.enforced",
    "relay.data",
    "smtp.relaying",
    "smtp.relayed",
    "smtp.recorded",
    "smtp.replied",
)
# From here on the next hop has the mail.
RELAYED = {"smtp.relayed", "smtp.recorded", "smtp.replied"}

ROOT = Path(__file__).resolve().parents[2]
# A door in a process of its own; prints its port, and each call of its gate.
CHILD = """
import asyncio, sys
from filterd.clients.relay import NextHopRelay
from filterd.config import ListenerConfig, NextHopConfig
from filterd.doors.smtp import start_smtp
from tests.dialogs.house import FakeGate

async def main():
    if sys.argv[2] == "uvloop":
        import uvloop
        assert isinstance(asyncio.get_running_loop(), uvloop.Loop)
    gate = FakeGate()
    server = await start_smtp(
        ListenerConfig(port=0), gate, NextHopRelay(NextHopConfig(address=sys.argv[1])), on_error=print
    )
    print(server.port, flush=True)
    await asyncio.Event().wait()

if sys.argv[2] == "uvloop":
    import uvloop
    uvloop.run(main())
else:
    asyncio.run(main())
"""


@pytest.mark.parametrize("loop", ["asyncio", "uvloop"])
@pytest.mark.parametrize("marker", AFTER_THE_DOT)
async def test_each_marker_kills_where_it_says(marker: str, loop: str) -> None:
    sink = await start_sink()
    # The second time: the first mail goes through.
    environment = os.environ | {"FILTERD_KILL_AT": f"{marker}:2", "PYTHONPATH": str(ROOT)}
    child = subprocess.Popen(
        [sys.executable, "-c", CHILD, sink.address, loop], env=environment, cwd=ROOT, stdout=subprocess.PIPE, text=True
    )
    try:
        assert child.stdout is not None
        port = int(await asyncio.to_thread(child.stdout.readline))
        async with Dialog(port) as talk:
            await talk.greeted()
            await talk.envelope()
            assert (await talk.data(b"first\r\n")).startswith("250 ")
            await talk.envelope()
            await talk.ask("DATA")
            await talk.send(b"second\r\n.\r\n")
            said = await talk.reader.read()
        # What we said 250 for is at the next hop; the rest is there at most once, and the client will try again.
        assert (b"250 " in said) == (marker == "smtp.replied")
        assert [m.raw for m in sink.messages][1:] == ([b"second\r\n"] if marker in RELAYED else [])
        assert await asyncio.to_thread(child.wait) == -signal.SIGKILL
    finally:
        child.kill()
        child.communicate()
        await sink.close()


def test_without_the_variable_nothing_happens() -> None:
    from filterd.markers import reach

    assert "FILTERD_KILL_AT" not in os.environ
    for name, _ in MARKERS:
        reach(name)
