"""The servers of the story, and what must hold at the end of every node's life."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from filterd.clients.clamd_private import PrivateClamd
from tests.cli.rig import run
from tests.conftest import record_server
from tests.e2e.site import Site
from tests.kit.node import Node, remove_folder

pytest.register_assert_rewrite("tests.e2e.oracle")

# What the log of a process that stumbled looks like, whoever printed it.
_STUMBLED = re.compile(r"Traceback|was never retrieved|never awaited|Fatal Python|coredump|MemoryError", re.IGNORECASE)


@pytest.fixture(scope="session")
def site(request: pytest.FixtureRequest, clamd_server: PrivateClamd) -> Iterator[Site]:
    """Postfix and clamd, for the whole run."""
    site = Site.open(clamd_server)
    try:
        site.postfix.start()
        record_server(request.config, "postfix", site.postfix.version)
        said = subprocess.run(["dpkg-query", "-W", "-f", "${Version}", "libfaketime"], capture_output=True, text=True)
        record_server(request.config, "libfaketime (preloaded)", said.stdout or "of this system")
        yield site
    finally:
        site.close()


@pytest.fixture
def make_node(site: Site) -> Iterator[Callable[..., Node]]:
    """Make nodes for one test, on an empty site; arguments as for `Site.node`."""
    yield from _nodes(site)


@pytest.fixture(scope="module")
def make_module_node(site: Site) -> Iterator[Callable[..., Node]]:
    """The same for a module, whose tests tell one story."""
    yield from _nodes(site)


def _nodes(site: Site) -> Iterator[Callable[..., Node]]:
    site.postfix.empty()
    site.wire.forget()
    first = len(site.nodes)
    yield site.node
    mine, site.nodes[first:] = site.nodes[first:], []
    try:
        for node in mine:
            finish(node)
    finally:
        for node in mine:
            node.kill()
            remove_folder(node.folder)


def finish(node: Node) -> None:
    """End a node; check what must be true of every one, whatever it went through."""
    if not node.is_running:
        return
    code = node.stop()
    log = node.log()
    stumbles = [line for line in log.splitlines() if _STUMBLED.search(line)]
    assert stumbles == [], f"filterd's log:\n{log[-4000:]}"
    assert code == 0, f"exit code {code}:\n{log[-2000:]}"
    # Every row of the ledger is in the event stream, and nothing is there that the ledger does not hold.
    told = [(row.writer, row.seq, row.kind) for row in node.rows()]
    # Nodes that share a store each tell their own rows.
    mine = f"{node.config.get('node', {}).get('name', 'node1')}."
    assert told == [row for row in node.stored() if row[0].startswith(mine)]
    _verify(node)


def _verify(node: Node) -> None:
    """In this process, which has everything loaded; by the program where the node has a clock of its own."""
    if node.env:
        node.cli("ledger", "verify")
        return
    verified = run("ledger", "verify", "--config", node.config_file)
    assert verified.code == 0, verified.out + verified.err


# --- what a failure shows ---------------------------------------------------------------------------------------------


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[Any]) -> Iterator[None]:
    outcome = yield
    report = outcome.get_result()
    site = getattr(item, "funcargs", {}).get("site")
    if not report.failed or not isinstance(site, Site):
        return
    for number, node in enumerate(site.nodes):
        report.sections.append((f"filterd {number}, the end of its log", node.log()[-4000:]))
        events = [str(event)[:600] for event in node.events()[-12:]]
        report.sections.append((f"filterd {number}, its last events", "\n".join(events)))
    report.sections.append(("postfix, the end of its log", site.postfix.log()[-4000:]))
