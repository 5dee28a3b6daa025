"""What every run needs: tiers, the outside data, private servers, and an honest last word on what did not run.

Tiers are markers (pyproject.toml); `e2e`, and a server fixture, imply `server`; PostgreSQL implies `database`, which
may run side by side with others. A missing server program is a failure.
Missing outside data is a skip that the summary names loudly; with FILTERD_REQUIRE_DATA=1 it is a failure.
A run in which nothing ran fails.
"""

from __future__ import annotations

import asyncio
import logging
import os
import shutil
import tempfile
from collections.abc import Callable, Coroutine, Iterator
from pathlib import Path
from typing import Any, TypeVar

import pytest
import structlog
from hypothesis import HealthCheck, settings

from filterd.clients.clamd_private import PrivateClamd, start_private_clamd

T = TypeVar("T")

NEEDS_DATA = "NOT RUN: needs FILTERD_DATA"
SERVER_FIXTURES = {"clamd_server"}
ROOT = Path(__file__).resolve().parent.parent

# No example fails for having taken long, which says something about the machine (tests/bench measures), and no test for
# how many histories it had to pass over: chance decides that.
settings.register_profile(
    "patient", deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much]
)
settings.load_profile("patient")


# --- The outside data ---------------------------------------------------------------------------------------------


def find_data() -> Path | None:
    """The outside data folder, or None; for parameters made while tests are collected. Else use `data_dir`."""
    folder = Path(os.environ.get("FILTERD_DATA") or ROOT.parent / "shared")
    return folder.resolve() if (folder / "data" / "MANIFEST.json").is_file() else None


def need_data() -> Path:
    """The outside data folder. Without it the calling test is skipped, or fails when data was promised."""
    if folder := find_data():
        return folder
    if os.environ.get("FILTERD_DATA"):
        pytest.fail(f"FILTERD_DATA={os.environ['FILTERD_DATA']} holds no data/MANIFEST.json", pytrace=False)
    if os.environ.get("FILTERD_REQUIRE_DATA") == "1":
        pytest.fail("FILTERD_REQUIRE_DATA=1, and there is no ../shared/data/MANIFEST.json", pytrace=False)
    pytest.skip(NEEDS_DATA)


@pytest.fixture(scope="session")
def data_dir() -> Path:
    """FILTERD_DATA, by default ../shared beside the checkout."""
    return need_data()


def pytest_runtest_setup(item: pytest.Item) -> None:
    if item.get_closest_marker("data"):
        need_data()


# --- Tiers --------------------------------------------------------------------------------------------------------


@pytest.hookimpl(tryfirst=True)  # before `-m` chooses
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        fixtures = set(getattr(item, "fixturenames", ()))
        if item.get_closest_marker("e2e") or fixtures & SERVER_FIXTURES:
            item.add_marker("server")
        if "postgres_server" in fixtures:
            item.add_marker("database")
        if "data_dir" in fixtures:
            item.add_marker("data")


# --- Time ---------------------------------------------------------------------------------------------------------


def pytest_asyncio_loop_factories(config: pytest.Config, item: pytest.Item) -> dict[str, Callable[[], Any]]:
    """The event loop of an async test: asyncio's own, or the one that its mark names."""
    for name in ("turned", "leaping"):
        if item.get_closest_marker(name):
            from tests.kit.loops import LOOPS

            return {"loop": LOOPS[name]}
    return {"loop": asyncio.new_event_loop}


# --- Servers ------------------------------------------------------------------------------------------------------


def record_server(config: pytest.Config, name: str, version: str) -> None:
    """Have the summary name a server that was started; `config` is `request.config` or `pytestconfig`."""
    record = config.pluginmanager.get_plugin(RunRecord.NAME)
    record.servers[name] = version


@pytest.fixture(scope="session")
def clamd_server(request: pytest.FixtureRequest) -> Iterator[PrivateClamd]:
    """A clamd of our own that knows EICAR and MARKER. A test that awaits `stop()` awaits `start()` afterwards."""
    # A short path: a UNIX socket name holds 107 bytes. Below /tmp: Debian's AppArmor profile wants it so.
    folder = Path(tempfile.mkdtemp(prefix="filterd-clamd-", dir="/tmp"))
    try:
        clamd = _wait_for(start_private_clamd(folder))
        record_server(request.config, "clamd", clamd.version)
        yield clamd
        _wait_for(clamd.stop())
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def postgres_server(request: pytest.FixtureRequest) -> Iterator[Any]:
    """A PostgreSQL of our own; whoever takes a database drops it. A test that kills it starts it again."""
    from tests.kit.postgres import Postgres

    with Postgres() as server:
        record_server(request.config, "postgresql", server.version)
        yield server


def _wait_for(work: Coroutine[Any, Any, T]) -> T:
    # Not asyncio.run, which would take away the loop that pytest-asyncio has set.
    loop = asyncio.new_event_loop()
    try:
        return loop.run_until_complete(work)
    finally:
        loop.close()


# --- The last word ------------------------------------------------------------------------------------------------


class RunRecord:
    """What ran, what did not, and with which servers.

    With FILTERD_TEST_RECORD set, several runs add up in that file: lines `ran N`, `server NAME VERSION`,
    `notrun TEST`.
    """

    NAME = "filterd-run-record"

    def __init__(self) -> None:
        self.ran: set[str] = set()
        self.ran_before = 0
        self.not_run: set[str] = set()
        self.servers: dict[str, str] = {}

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.skipped and NEEDS_DATA in str(report.longrepr):
            self.not_run.add(report.nodeid)
        elif report.failed or (report.when == "call" and not report.skipped) or hasattr(report, "wasxfail"):
            self.ran.add(report.nodeid)

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        if report.skipped and NEEDS_DATA in str(report.longrepr):
            self.not_run.add(report.nodeid)

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodedown(self, node: Any) -> None:
        self.servers |= getattr(node, "workeroutput", {}).get(self.NAME, {})

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        if hasattr(session.config, "workeroutput"):
            session.config.workeroutput[self.NAME] = self.servers
        elif session.exitstatus == pytest.ExitCode.OK and not self.ran and not session.config.option.collectonly:
            session.exitstatus = pytest.ExitCode.NO_TESTS_COLLECTED

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        if hasattr(terminalreporter.config, "workeroutput"):
            # A worker of xdist: its controller has every report too.
            return
        if path := os.environ.get("FILTERD_TEST_RECORD"):
            self._add_up(Path(path))
        say = terminalreporter
        if self.servers:
            say.section("servers started", sep="=", bold=True)
            for name, version in sorted(self.servers.items()):
                say.write_line(f"{name}: {version}")
        if self.not_run:
            say.section(NEEDS_DATA, sep="!", red=True, bold=True)
            suites = [test.partition("::")[0] for test in self.not_run]
            for suite in sorted(set(suites)):
                say.write_line(f"{suite}: {suites.count(suite)} not run", red=True)
            say.write_line("FILTERD_DATA names the folder that holds data/MANIFEST.json; default ../shared.", red=True)
            say.section(f"{len(self.not_run)} not run", sep="!", red=True, bold=True)
        if not self.ran and not say.config.option.collectonly:
            say.section("NO TEST HAS RUN: that is a failure", sep="!", red=True, bold=True)

    def _add_up(self, path: Path) -> None:
        for line in path.read_text().splitlines() if path.exists() else ():
            kind, _, rest = line.partition(" ")
            if kind == "ran":
                self.ran_before = int(rest)
            elif kind == "notrun":
                self.not_run.add(rest)
            elif kind == "server":
                name, _, version = rest.partition(" ")
                self.servers.setdefault(name, version)
        lines = [f"ran {self.ran_before + len(self.ran)}"]
        lines += [f"server {name} {version}" for name, version in sorted(self.servers.items())]
        lines += [f"notrun {test}" for test in sorted(self.not_run)]
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("\n".join(lines) + "\n")


def pytest_configure(config: pytest.Config) -> None:
    config.pluginmanager.register(RunRecord(), RunRecord.NAME)


@pytest.fixture(autouse=True)
def _log_as_it_was() -> Iterator[None]:
    """Put logging back: a command that was run inside a test leaves it writing to a stream that is closed by then."""
    root, config = logging.getLogger(), structlog.get_config()
    handlers, level = list(root.handlers), root.level
    yield
    structlog.configure(**config)
    root.handlers, root.level = handlers, level
