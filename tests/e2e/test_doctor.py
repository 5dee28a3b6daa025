"""The doctor beside a running Postfix and a running filterd: all is well but what the tests have made otherwise."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable

import pytest

from tests.e2e.site import Site
from tests.kit.node import Node
from tests.kit.waiting import PATIENCE_S

pytestmark = pytest.mark.e2e


def test_a_running_wiring(site: Site, make_node: Callable[..., Node]) -> None:
    node = make_node()
    node.start()
    command = [sys.executable, "-m", "filterd", "doctor", "--config", str(node.config_file), "--json"]
    command += ["--postfix", str(site.postfix.etc)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE_S)
    found = json.loads(done.stdout)["findings"]
    statuses = {item["probe"]: item["status"] for item in found}
    for name in ("listeners", "beliefs", "loop", "next_hop", "policy_service"):
        assert statuses[name] == "ok", found
    # The tests' own submission without a filter, to compare with, and a Postfix that takes larger mail than filterd.
    faults = [item for item in found if item["probe"] == "postfix"]
    assert ([item["fault"] for item in faults], done.returncode) == (["port-past-us", "size", "size"], 1), faults
    assert f"127.0.0.1:{site.ports.plain} takes logins" in faults[0]["what"]
