"""A child: runs its parts until it is told to end, shows that it lives, and takes another policy when asked.

Its answer to SIGINT is none: Ctrl-C reaches the whole group, and the workers must end before the ledger.
"""

from __future__ import annotations

import asyncio
import ctypes
import faulthandler
import gc
import resource
import signal
import socket
import sys
from contextlib import AsyncExitStack
from pathlib import Path

import orjson

from filterd import markers
from filterd.app.ledger_half import LedgerHalf
from filterd.app.parts import make_clock
from filterd.app.policy import reread
from filterd.errors import ConfigError, FilterdError, UsageError
from filterd.supervisor.channel import LINE_BYTES, Fault, Word, written
from filterd.supervisor.children import Half, Start
from filterd.supervisor.patience import Patience

_PR_SET_PDEATHSIG = 1


def be_child(name: str, start: Start, end: socket.socket, file: Path | None, patience: Patience) -> int:
    """Be the child; says its exit code. A start that is refused says why on one line."""
    # Nobody would restart or stop it any more when the supervisor is killed.
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
    for number in (signal.SIGINT, signal.SIGHUP, signal.SIGPIPE):
        signal.signal(number, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    # SIGABRT of the watchdog: say where it hangs, and leave no core file, which would hold mail.
    faulthandler.enable()
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    gc.freeze()
    markers.become(name)
    import uvloop

    try:
        uvloop.run(_main(start, end, file, patience))
    except FilterdError as err:
        say(str(err))
        return 1
    except BaseException:
        import traceback

        traceback.print_exc()
        return 1
    return 0


async def _main(start: Start, end: socket.socket, file: Path | None, patience: Patience) -> None:
    stop, hurry = on_signals(signal.SIGTERM)
    end.setblocking(False)
    reader, writer = await asyncio.open_unix_connection(sock=end, limit=LINE_BYTES)
    tasks = {asyncio.create_task(_beat(writer, patience.beat))}
    async with AsyncExitStack() as stack:
        half = await start(stack, hurry)
        writer.write(written({"say": "ready"}))
        tasks.add(asyncio.create_task(_obey(reader, writer, half, file)))
        await stop.wait()
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    writer.close()


def on_signals(*numbers: signal.Signals) -> tuple[asyncio.Event, asyncio.Event]:
    """Say the event of the first of these signals, and that of the second, which hurries."""
    stop, hurry = asyncio.Event(), asyncio.Event()

    def told() -> None:
        if stop.is_set():
            hurry.set()
        stop.set()

    loop = asyncio.get_running_loop()
    for number in numbers:
        loop.add_signal_handler(number, told)
    return stop, hurry


async def _beat(writer: asyncio.StreamWriter, every_s: float) -> None:
    while True:
        writer.write(written({"say": "beat"}))
        await asyncio.sleep(every_s)


async def _obey(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, half: Half | None, file: Path | None
) -> None:
    while line := await reader.readline():
        word: Word = orjson.loads(line)
        number = word.get("number")
        answer: Word = {"say": "done", "number": number}
        try:
            await _do(word, half, file)
        except Exception as err:
            answer = {"say": "refused", "number": number, "fault": Fault.of(err).plain()}
        if number is not None:
            writer.write(written(answer))


async def _do(word: Word, half: Half | None, file: Path | None) -> None:
    """Do as we are told. Raises what stands in the way."""
    if half is None:
        raise UsageError("this process has no policy")
    match word["do"]:
        case "prepare":
            old = half.policy
            policy = await asyncio.to_thread(reread, file, old, make_clock(old.config))
            if policy.fingerprint != word["fingerprint"]:
                raise ConfigError("a file changed while it was being read: reload again", file=file)
            await half.prepare(policy)
        case "take":
            await half.take()
        case "drop":
            half.drop()
        case "refused" if isinstance(half, LedgerHalf):
            half.refused(word["file"], word["line"], word["key"])
        case "failing" if isinstance(half, LedgerHalf):
            half.failing(word["names"])


def say(text: str) -> None:
    """Say something on the one line that people see, whatever the service log is set to."""
    print(f"filterd: {text}", file=sys.stderr, flush=True)
