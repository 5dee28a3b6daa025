"""Runs chosen tests in a forked child: under a mutant, or under coverage.

The child begins where this process stands: pytest and everything foreign is imported, the package under test is not,
so it is read anew from the tree every time. A mutant that never ends, or eats all memory, is ended by the kernel:
limits count CPU time, which a busy machine does not change.
"""

from __future__ import annotations

import contextlib
import os
import resource
import signal
import time
from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, settings

from tests.mutation.mutants import Mutant

_MEMORY_BYTES = 6 << 30
# A child that sleeps uses no CPU. Twenty times what it may compute is more than a loaded machine makes of it.
_PATIENCE = 20
_ARGUMENTS = ("-q", "-x", "-p", "no:cacheprovider", "-p", "no:xdist", "-p", "no:warnings", "--no-header", "-m", "")


class Outcome(StrEnum):
    KILLED = "killed"
    TIMEOUT = "timeout"
    SURVIVED = "survived"


class Brief:
    """A pytest plugin: properties try the same examples every time and do not look for a smaller one that fails."""

    def pytest_configure(self) -> None:
        settings.register_profile(
            "mutation",
            settings.default,
            phases=(Phase.explicit, Phase.generate),
            derandomize=True,
            database=None,
            suppress_health_check=list(HealthCheck),
        )
        settings.load_profile("mutation")


@dataclass(frozen=True)
class Chosen:
    """A pytest plugin: only these tests, in this order."""

    order: Mapping[str, int]

    @pytest.hookimpl(trylast=True)
    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        items[:] = sorted((i for i in items if i.nodeid in self.order), key=lambda item: self.order[item.nodeid])


def run(root: Path, mutant: Mutant, source: str, tests: tuple[str, ...], cpu_s: int) -> Outcome:
    """Say what becomes of a mutant; the tree is as before afterwards.

    Args:
        source: the whole file with the fault in it.
        tests: node ids, the first to run first.
        cpu_s: what pytest may compute before the mutant counts as one that never ends.
    """
    path = root / mutant.path
    original = path.read_bytes()
    chosen = Chosen({test: place for place, test in enumerate(tests)})
    files = sorted({test.partition("::")[0] for test in tests})
    try:
        path.write_text(source, encoding="utf-8")
        _forget_bytecode(path)
        status = in_child(lambda: int(pytest.main([*_ARGUMENTS, *files], plugins=[Brief(), chosen])), cpu_s)
    finally:
        path.write_bytes(original)
        _forget_bytecode(path)
    if status is None:
        return Outcome.TIMEOUT
    return Outcome.SURVIVED if status == 0 else Outcome.KILLED


def in_child(work: Callable[[], int], cpu_s: int) -> int | None:
    """The exit code of `work` in a forked child with its own process group; None when a limit ended it."""
    return ended(started(work, cpu_s), cpu_s)


def started(work: Callable[[], int], cpu_s: int) -> int:
    pid = os.fork()
    if pid == 0:
        _become(work, cpu_s)
    return pid


def ended(pid: int, cpu_s: int) -> int | None:
    ends_at = time.monotonic() + cpu_s * _PATIENCE
    try:
        while True:
            done, status = os.waitpid(pid, os.WNOHANG)
            if done:
                return os.WEXITSTATUS(status) if os.WIFEXITED(status) else None
            if time.monotonic() > ends_at:
                os.kill(pid, signal.SIGKILL)
            time.sleep(0.02)
    finally:
        # What a test had started ends with it.
        with contextlib.suppress(ProcessLookupError):
            os.killpg(pid, signal.SIGKILL)


def _become(work: Callable[[], int], cpu_s: int) -> None:
    code = 3
    try:
        os.setsid()
        resource.setrlimit(resource.RLIMIT_CPU, (cpu_s, cpu_s + 2))
        resource.setrlimit(resource.RLIMIT_AS, (_MEMORY_BYTES, _MEMORY_BYTES))
        with open(os.devnull, "r+b") as null:
            for stream in (0, 1, 2):
                os.dup2(null.fileno(), stream)
        code = work()
    finally:
        os._exit(code)


def _forget_bytecode(path: Path) -> None:
    # It is known by second and size, and two mutants of one second can have the same size.
    for stale in (path.parent / "__pycache__").glob(f"{path.stem}.*.pyc"):
        stale.unlink(missing_ok=True)


@dataclass
class Timed:
    """A pytest plugin: what each test costs, which fail, and to whom each line is due."""

    begin: Callable[[str], object]
    seconds: dict[str, float]
    failed: set[str]

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Generator[None, object, object]:
        self.begin(item.nodeid)
        start = time.process_time()
        try:
            return (yield)
        finally:
            self.seconds[item.nodeid] = time.process_time() - start
            self.begin("")

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.outcome != "passed":
            self.failed.add(report.nodeid)
