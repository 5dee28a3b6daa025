"""A second opinion on our milter: OpenDKIM's miltertest(8), with scripts of tests/dialogs/milter (MAIL-PATH 4j.5).

It knows no QUIT_NC and shows no texts of replies: those are tests/doors/test_milter.py's.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from filterd.config import MilterConfig
from filterd.doors.milter import start_milter
from filterd.model.reply import Reply
from filterd.ports import HeaderEdits
from tests.conftest import record_server
from tests.dialogs.house import FakeGate
from tests.kit.waiting import PATIENCE_S

pytestmark = pytest.mark.e2e

SCRIPTS = Path(__file__).resolve().parents[1] / "dialogs/milter"
HOST = "filterd.mail.example.com"
EDITS = HeaderEdits(added=(f"X-Filterd-Id: t_1 {HOST}\r\n".encode(),), removed=((b"X-Spam-Flag", 1),))


@asynccontextmanager
async def door(gate: FakeGate) -> AsyncIterator[int]:
    """A milter door; says its port. Whatever goes wrong in it fails the test."""
    errors: list[BaseException] = []
    config = MilterConfig.model_validate({"address": "inet:127.0.0.1:0"})
    server = await start_milter(config, gate, on_error=lambda _, err: errors.append(err))
    try:
        yield server.port
    finally:
        await server.drain(1)
    assert errors == []


async def run(script: str, **variables: object) -> None:
    """Run a script of ours. What it misses ends it with another code than 0, behind the last command written here."""
    named = [word for name, value in variables.items() for word in ("-D", f"{name}={value}")]
    process = await asyncio.create_subprocess_exec(
        *("miltertest", "-v", "-v", "-s", str(SCRIPTS / f"{script}.lua"), *named),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    async with asyncio.timeout(PATIENCE_S):
        said, _ = await process.communicate()
    assert process.returncode == 0, said.decode()


async def test_fields_on_top_and_forged_ones_out(pytestconfig: pytest.Config) -> None:
    version = await asyncio.create_subprocess_exec("miltertest", "-V", stdout=asyncio.subprocess.PIPE)
    said, _ = await version.communicate()
    record_server(pytestconfig, "miltertest", said.decode().split("\n")[0])
    gate = FakeGate(edits=EDITS)
    async with door(gate) as port:
        await run("header", port=port, host=HOST)
    (intake,) = gate.intakes
    assert intake.raw == b"From: a@example.com\r\nX-Spam-Flag: YES\r\n\r\nbody\r\n"
    assert intake.session.login == "a@example.com"
    assert intake.envelope.parameters == (b"SIZE=100",)
    assert [path.parameters for path in intake.envelope.forward_paths] == [(b"NOTIFY=NEVER",)]


async def test_messages_on_one_connection_and_one_given_up() -> None:
    gate = FakeGate()
    async with door(gate) as port:
        await run("two_and_abort", port=port)
    assert [intake.raw for intake in gate.intakes] == [
        b"From: <%s@example.com>\r\n\r\nof <%s@example.com>\r\n" % (name, name) for name in (b"one", b"three")
    ]
    assert [[path.path.address for path in intake.envelope.forward_paths] for intake in gate.intakes] == [
        ["b1@example.org"],
        ["b3@example.org"],
    ]


@pytest.mark.parametrize(
    ("last", "reply"),
    [
        ("refused", Reply(code=550, enhanced="5.7.1", text="100% refused\nSee the agreement")),
        # Held by filterd, which has it on record.
        ("discarded", Reply(code=250, enhanced="2.7.1", text="held as q_1")),
    ],
)
async def test_refusals(last: str, reply: Reply) -> None:
    suspended = Reply(code=550, enhanced="5.7.13", text="Account suspended: 100% of it")
    gate = FakeGate(refusals={"refused@example.org": suspended}, reply=reply, edits=EDITS)
    async with door(gate) as port:
        await run("refused", port=port, last=last)
    (intake,) = gate.intakes
    assert [path.path.address for path in intake.envelope.forward_paths] == ["b@example.org"]


async def test_a_body_of_a_mebibyte(tmp_path: Path) -> None:
    body = b"".join(b"%09d of a body\r\n" % number for number in range(1 << 20))[: 1 << 20] + b"\r\n"
    (tmp_path / "body").write_bytes(body)
    gate = FakeGate()
    async with door(gate) as port:
        await run("large", port=port, body=tmp_path / "body")
    (intake,) = gate.intakes
    assert intake.raw == b"From: a@example.com\r\n\r\n" + body
