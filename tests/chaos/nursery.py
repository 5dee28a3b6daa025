"""Starts filterd quickly and again and again: a process that has imported everything and forks what is asked for.

    python -m tests.chaos.nursery LOG METRICS

What is forked runs `filterd ARGUMENTS` as the program on the path would, with its output in LOG; only the seconds of
importing are saved. Reads one JSON list of arguments a line, says `pid N`; says `end N STATUS` when a child has ended.
METRICS is the directory of the node's metrics, or "" for a node that is one process: prometheus_client chooses its
storage when it is first imported. Children are killed with the nursery, and it ends when its input does.
"""

from __future__ import annotations

import ctypes
import gc
import importlib
import json
import os
import select
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

from tests.kit.waiting import PATIENCE_S

_PR_SET_PDEATHSIG = 1


class Nursling:
    """A filterd that a nursery has started; as subprocess.Popen, as far as a Node needs it."""

    def __init__(self, pid: int):
        self.pid = pid
        self.returncode: int | None = None
        self._ended = threading.Event()

    def poll(self) -> int | None:
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        """Wait until it has ended. Raises subprocess.TimeoutExpired."""
        if not self._ended.wait(timeout) or self.returncode is None:
            raise subprocess.TimeoutExpired("filterd", timeout or 0)
        return self.returncode

    def send_signal(self, number: int) -> None:
        if self.returncode is None:
            os.kill(self.pid, number)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)

    def end(self, status: int) -> None:
        self.returncode = status
        self._ended.set()


class Nursery:
    """The nursery of one node."""

    def __init__(self, log: Path, *, metrics: Path | None, env: dict[str, str]):
        command = [sys.executable, "-m", "tests.chaos.nursery", str(log), str(metrics or "")]
        command = ["setpriv", "--pdeathsig", "KILL", "--", *command]
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1, env=os.environ | env
        )
        self._children: dict[int, Nursling] = {}
        self._born: list[Nursling] = []
        self._changed = threading.Condition()
        threading.Thread(target=self._listen, daemon=True).start()

    def start(self, arguments: list[str]) -> Nursling:
        """Fork a filterd. Raises TimeoutError when the nursery does not answer."""
        assert self._process.stdin is not None
        with self._changed:
            self._process.stdin.write(json.dumps(arguments) + "\n")
            self._process.stdin.flush()
            if not self._changed.wait_for(lambda: bool(self._born), PATIENCE_S):
                raise TimeoutError("the nursery does not answer")
            return self._born.pop()

    def close(self) -> None:
        self._process.kill()
        self._process.wait()

    def _listen(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            what, pid, *rest = line.split()
            with self._changed:
                if what == "pid":
                    self._children[int(pid)] = child = Nursling(int(pid))
                    self._born.append(child)
                    self._changed.notify_all()
                else:
                    self._children.pop(int(pid)).end(int(rest[0]))


# --- the program ------------------------------------------------------------------------------------------------------


def _run(log: str, metrics: str) -> None:
    if metrics:
        Path(metrics).mkdir(mode=0o700, parents=True, exist_ok=True)
        os.environ["PROMETHEUS_MULTIPROC_DIR"] = metrics
    for module in ("uvloop", "filterd.app", "filterd.supervisor"):
        importlib.import_module(module)
    from filterd.cli import main

    # What is there now is there for good: no child needs to look at it again, and its pages stay shared.
    gc.collect()
    gc.freeze()
    waking, woken = os.pipe()
    os.set_blocking(woken, False)
    signal.set_wakeup_fd(woken, warn_on_full_buffer=False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    pending = b""
    while True:
        ready, _, _ = select.select([0, waking], [], [])
        if waking in ready:
            os.read(waking, 4096)
        while (ended := _ended()) is not None:
            os.write(1, b"end %d %d\n" % ended)
        if 0 in ready:
            octets = os.read(0, 65536)
            if not octets:
                return
            *lines, pending = (pending + octets).split(b"\n")
            for line in lines:
                pid = os.fork()
                if pid == 0:
                    _be(main, json.loads(line), log)
                os.write(1, b"pid %d\n" % pid)


def _ended() -> tuple[int, int] | None:
    try:
        pid, status = os.waitpid(-1, os.WNOHANG)
    except ChildProcessError:
        return None
    return (pid, os.waitstatus_to_exitcode(status)) if pid else None


def _be(main: Any, arguments: list[str], log: str) -> None:
    """Be filterd; never returns."""
    signal.set_wakeup_fd(-1)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    status = 1
    try:
        out = os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
        null = os.open(os.devnull, os.O_RDONLY)
        for source, target in ((null, 0), (out, 1), (out, 2)):
            os.dup2(source, target)
        sys.argv = ["filterd", *arguments]
        os.chdir(Path(log).parent)
        main()
        status = 0
    except SystemExit as err:
        status = err.code if isinstance(err.code, int) else 1
    except BaseException:
        import traceback

        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)


if __name__ == "__main__":
    _run(*sys.argv[1:3])
