"""swaks, a client that is not ours, at Postfix and at our own doors.  MAIL-PATH 4j 2, 7."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.conftest import record_server
from tests.e2e import letters
from tests.e2e.site import ALICE, Site
from tests.kit.node import Node
from tests.kit.servers import free_ports
from tests.kit.waiting import PATIENCE_S

pytestmark = pytest.mark.e2e

TO = "bob@wire.example"
STRANGER = "127.0.0.2"


@pytest.fixture(scope="module")
def lmtp_port() -> int:
    return free_ports(1)[0]


@pytest.fixture(scope="module")
def node(request: pytest.FixtureRequest, make_module_node: Callable[..., Node], lmtp_port: int) -> Node:
    node = make_module_node()
    lmtp = node.config["listener"][0] | {"name": "lmtp", "port": lmtp_port, "protocol": "lmtp", "attribution": "none"}
    node.config["listener"].append(lmtp | {"direction": "inbound"})
    node.start()
    said = subprocess.run(["swaks", "--version"], capture_output=True, text=True, timeout=PATIENCE_S)
    record_server(request.config, "swaks (client)", said.stdout.split("\n")[0].removeprefix("swaks version "))
    return node


def swaks(*arguments: str) -> tuple[int, str]:
    """Run it; say its exit code (0: accepted, 24: all recipients refused, 26: refused after the dot) and what was said.

    Nobody's ~/.swaksrc plays a part.
    """
    command = ["swaks", "--timeout", f"{PATIENCE_S:g}s", "--helo", "client.example", *arguments]
    env = {name: value for name, value in os.environ.items() if not name.startswith("SWAKS_")}
    done = subprocess.run(
        command,
        capture_output=True,
        encoding="utf-8",
        errors="replace",
        env=env | {"HOME": "/nonexistent"},
        timeout=300,
    )
    return done.returncode, done.stdout + done.stderr


@pytest.mark.parametrize("sender", [ALICE, "<>"], ids=["sender", "null sender"])
def test_every_octet_arrives(site: Site, node: Node, tmp_path: Path, sender: str) -> None:
    """Eight bits, dots, lines of 2,048 octets: below the added fields nothing has changed."""
    body = "您好\r\n".encode() + b"\xff\xfe\r\n.\r\n..\r\n.x\r\n" + b"y" * 2048 + b"\r\n \t \r\nend\r\n"
    to = f"swaks{len(sender)}@customers.example"
    raw = letters.clean(ALICE, to, tag="swaks") + body
    file = tmp_path / "mail"
    # swaks ends a file's lines itself, and protects its dots.
    file.write_bytes(raw.replace(b"\r\n", b"\n"))
    server = ["--server", "127.0.0.1", "--port", str(site.ports.filterd_submission)]
    code, said = swaks(*server, "--from", sender, "--to", to, "--data", f"@{file}")
    assert code == 0, said
    (arrived,) = site.postfix.elsewhere.wait(1, of=lambda mail: mail.recipient == to)
    assert arrived.sender == ("" if sender == "<>" else ALICE)
    # swaks ends what it reads from a file with an empty line of its own.
    assert arrived.raw.rstrip(b"\r\n").endswith(raw.rstrip(b"\r\n"))


def test_a_virus_is_refused_after_the_dot(site: Site, node: Node, tmp_path: Path) -> None:
    file = tmp_path / "mail"
    file.write_bytes(letters.virus("mallory@corp.example", TO, tag="swaks-virus"))
    arguments = ["--server", "127.0.0.1", "--port", str(site.ports.mx), "--from", "who@elsewhere.example"]
    code, said = swaks(*arguments, "--to", "bob@corp.example", "--data", f"@{file}")
    assert code == 26, said
    assert re.search(r"<\*\* +550[ -]5\.7\.1 ", said), said


def test_each_recipient_of_lmtp_gets_a_reply(site: Site, node: Node, lmtp_port: int) -> None:
    arguments = ["--server", "127.0.0.1", "--port", str(lmtp_port), "--protocol", "LMTP", "--from", ALICE]
    code, said = swaks(*arguments, "--to", "one@corp.example,two@corp.example", "--body", "Minutes of Tuesday")
    assert code == 0, said
    assert len(re.findall(r"<-  250 2\.0\.0 from MTA\(", said)) >= 1, said
    copies = site.postfix.elsewhere.wait(2, of=lambda mail: mail.recipient in ("one@corp.example", "two@corp.example"))
    assert len({mail.fields("x-filterd-id")[0] for mail in copies}) == 1


def test_a_stranger_is_not_offered_to_speak_for_others(site: Site, node: Node) -> None:
    """swaks looks for XCLIENT before it uses it; that it is refused unasked is in tests/doors/test_strangers.py."""
    arguments = ["--server", "127.0.0.1", "--port", str(site.ports.untrusted), "--local-interface", STRANGER]
    code, said = swaks(*arguments, "--from", ALICE, "--to", TO, "--xclient", f"ADDR=192.0.2.1 LOGIN={ALICE}")
    assert "Host did not advertise XCLIENT" in said, said
    assert "XFORWARD" not in said
    assert code != 0


def test_a_proxy_header_of_a_stranger_is_refused(site: Site, node: Node) -> None:
    before = len(node.events("decided"))
    arguments = ["--server", "127.0.0.1", "--port", str(site.ports.untrusted), "--local-interface", STRANGER]
    arguments += ["--proxy-version", "1", "--proxy-family", "TCP4", "--proxy-source", "192.0.2.1"]
    arguments += ["--proxy-source-port", "1234", "--proxy-dest", "192.0.2.2", "--proxy-dest-port", "25"]
    code, said = swaks(*arguments, "--from", ALICE, "--to", TO, "--quit-after", "BANNER")
    assert "PROXY TCP4 192.0.2.1" in said, said
    # Whoever it was who read it as a header would bear the address; here it is no command.
    assert len(node.events("decided")) == before
    assert code in (0, 20, 21, 22), said
