"""`filterd demo`: the whole house on embedded defaults, with sample mail, on simulated days.  `make run` calls it.

Starts a private clamd when no system one answers, a DNS server for a few made-up domains, and filterd with SQLite and
the built-in sink as next hop; sends mail by SMTP, and prints what the ledger and the event stream say. Every mail of
its table carries what has to become of it (`samples`), and what is otherwise is said. Then it stays up until a signal.
"""

from __future__ import annotations

import asyncio
import signal
import sys
import tempfile
from contextlib import AsyncExitStack
from datetime import UTC, datetime
from pathlib import Path

from filterd import app
from filterd.cli.say import dumps
from filterd.clients.clamd import locate
from filterd.clients.clamd_private import start_private_clamd
from filterd.clients.clock import FILE_NAME, set_clock
from filterd.clients.keys import load_keys
from filterd.demo.outcome import read_back
from filterd.demo.report import Report
from filterd.demo.setting import Signer, config_for, zone
from filterd.demo.story import Story
from filterd.demo.zone import ZoneServer
from filterd.errors import ConfigError
from filterd.ledger.store import FILE_NAME as STORE_FILE
from filterd.log import set_up


async def run(
    state_dir: Path | None, *, once: bool = False, check: bool = False, log_level: str = "error", as_json: bool = False
) -> bool:
    """Run the demonstration.

    Args:
        state_dir: a folder without a ledger; None: one for this run, removed at the end.
        once: end after the tables. check: end after the tables when they are not as claimed.

    Returns:
        whether everything came out as the sample mail claims.

    Raises:
        ConfigError: the folder holds a ledger already: what that remembers would change the story.
    """
    set_up(log_level)
    async with AsyncExitStack() as stack:
        folder = state_dir or Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="filterd-demo-")))
        if (folder / STORE_FILE).exists():
            raise ConfigError(f"{folder} holds a ledger already; give an empty folder", key="--state-dir")
        report = await _told(folder.absolute(), stack)
        if as_json:
            print(dumps(report.as_json()), flush=True)
        else:
            print("\n".join(report.lines()), flush=True)
        if once and not as_json:
            print("\nIt ends here, and these commands with it: leave --once out to try them.", flush=True)
        if not once and not (check and report.wrongs):
            print("\nfilterd stays up; end it with Ctrl-C.", file=sys.stderr if as_json else sys.stdout, flush=True)
            await _until_signal()
        return not report.wrongs


async def _told(folder: Path, stack: AsyncExitStack) -> Report:
    signer = Signer.make()
    dns = stack.enter_context(ZoneServer(zone(signer)))
    clamd = await _clamd(stack)
    config = config_for(folder, clamd, dns.address)
    # Where signatures are made, the clock is the system's: the simulated days begin today.
    start = datetime.now(UTC).replace(microsecond=0)
    set_clock(folder / FILE_NAME, start)
    half = await app.run_all_in_one(config, stack)
    ports = ", ".join(f"{name} on port {port}" for name, port in half.ports.items())
    print(f"filterd is up on 127.0.0.1: {ports}; clamd at {clamd}; sending mail …", file=sys.stderr, flush=True)
    told = await Story(half, folder, signer, start).tell()
    read_back(folder, load_keys(folder / app.KEY_FILE, may_create=False).pseudonym, told.sent)
    terms = app.load_agreements(config)[config.agreement.default]
    return Report(told, terms, folder, f"http://127.0.0.1:{config.http.port}/metrics")


async def _clamd(stack: AsyncExitStack) -> str:
    found = await locate()
    if found is not None:
        return found
    private = await start_private_clamd(Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="filterd-clamd-"))))
    stack.push_async_callback(private.stop)
    return f"unix:{private.socket_path}"


async def _until_signal() -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    await stop.wait()
