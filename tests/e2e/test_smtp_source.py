"""smtp-source, Postfix's own load generator, through the proxy before the queue.  MAIL-PATH 4j 1.

Each mail has a recipient of its own, so that what arrives can be counted, and laid beside the two logs one by one.
"""

from __future__ import annotations

import subprocess
from collections.abc import Callable

import pytest

from tests.conftest import record_server
from tests.e2e.site import Site
from tests.e2e.test_differential import Delivered, Wiring, check_logs
from tests.kit.node import Node
from tests.kit.waiting import PATIENCE_S

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(1800)]

SENDER = "who@elsewhere.example"
BEFORE_QUEUE = Wiring(name="before-queue", through="mx", received=2, is_inbound=True)


def load(port: int, *, mails: int, sessions: int) -> None:
    """Send so many mails of four kilobytes to 1bob@, 2bob@ … Raises CalledProcessError when one is not taken."""
    command = ["smtp-source", "-N", "-c", "-s", str(sessions), "-m", str(mails), "-l", "4000", "-C", "10"]
    command += ["-f", SENDER, "-M", "client.example", "-t", "bob@corp.example", f"inet:127.0.0.1:{port}"]
    subprocess.run(command, check=True, capture_output=True, timeout=1500)


@pytest.mark.parametrize(
    ("mails", "workers"), [(150, 2), pytest.param(5000, 2, marks=[pytest.mark.nightly, pytest.mark.timeout(7200)])]
)
def test_nothing_is_lost_and_the_logs_fit_one_to_one(
    request: pytest.FixtureRequest, site: Site, make_node: Callable[..., Node], mails: int, workers: int
) -> None:
    node = make_node(workers=workers)
    node.start()
    record_server(request.config, "smtp-source (client)", site.postfix.version)
    since = len(site.postfix.log())
    load(site.ports.mx, mails=mails, sessions=8)
    site.postfix.wait_empty(10 * PATIENCE_S)
    sent = r"virtual\[\d+\]: (\w+): to=<(\S+)>.* status=sent"
    queue_ids = {to: queue_id for queue_id, to in site.postfix.wait_log(sent, mails, since)}
    arrived = site.postfix.elsewhere.read()
    recipients = [mail.recipient for mail in arrived]
    assert (len(recipients), len(set(recipients)), len(queue_ids)) == (mails, mails, mails)
    assert all(mail.sender == SENDER and mail.raw.count(b"X-Filterd-Id:") == 1 for mail in arrived)
    check_logs(site, node, Delivered(copies=dict(enumerate(arrived)), queue_ids=queue_ids), BEFORE_QUEUE)
