"""The programs behind effectors: what they are given, what is read of them, and when it counts as failed."""

from __future__ import annotations

import asyncio
import http.server
import json
import threading
from collections.abc import Callable, Coroutine, Iterator
from pathlib import Path
from typing import Any

import pytest
import uvloop

from filterd.clients.credentials import CommandCredentials, WebhookCredentials
from filterd.clients.mta_queue import PostfixQueue
from filterd.clients.programs import run
from filterd.errors import PortError, UsageError
from tests.kit.waiting import PATIENCE_S

pytestmark = pytest.mark.slow

REQUEST = {"effect_id": "e_1", "act": "revoke", "login": "alice@cust.example"}
MAIL = {
    "queue_name": "hold",
    "queue_id": "4F1A2200AB",
    "arrival_time": 1772413200,
    "message_size": 400,
    "sender": "alice@cust.example",
    "recipients": [{"address": "bob@other.example", "delay_reason": "refused"}],
}


def program(folder: Path, text: str) -> list[str]:
    """Write a program; it is given its folder as its first argument."""
    file = folder / "program"
    file.write_text(f"#!/bin/sh\n{text}\n")
    file.chmod(0o755)
    return [str(file)]


def queue(folder: Path, listed: str = "", *, fails: bool = False, timeout_s: float = PATIENCE_S) -> PostfixQueue:
    (folder / "listed").write_text(listed)
    lists = program(folder, f"cat {folder}/listed")
    tells = folder / "postsuper"
    tells.write_text(f'#!/bin/sh\necho "$@" >> {folder}/told\ncat >> {folder}/told\n{"exit 1" if fails else ""}\n')
    tells.chmod(0o755)
    return PostfixQueue(postqueue=lists, postsuper=[str(tells)], timeout_s=timeout_s)


async def test_the_queue_is_read_and_lines_that_are_no_mail_are_passed_over(tmp_path: Path) -> None:
    odd = ["", "no json", "[]", "{}", json.dumps(MAIL | {"queue_id": "ALL"}), json.dumps(MAIL | {"arrival_time": "x"})]
    (mail,) = await queue(tmp_path, "\n".join([*odd, json.dumps(MAIL)])).mails()
    assert (mail.queue_id, mail.is_held, mail.sender) == ("4F1A2200AB", True, "alice@cust.example")
    assert mail.recipients == ("bob@other.example",)
    assert mail.arrived_at.timestamp() == 1772413200


async def test_a_program_that_is_given_nothing_has_no_input_that_could_break(tmp_path: Path) -> None:
    """It may have ended before its input is closed, which uvloop takes for an error of ours."""
    assert await run(program(tmp_path, "readlink /proc/self/fd/0"), b"", timeout_s=PATIENCE_S) == b"/dev/null\n"


@pytest.mark.parametrize("given", [b"4F1A2200AB\n", b"4F1A2200AB\n" * 100_000], ids=["short", "more than a pipe holds"])
@pytest.mark.parametrize("run_loop", [asyncio.run, uvloop.run], ids=["asyncio", "uvloop"])
def test_a_program_gone_before_it_has_read_is_judged_by_what_it_ended_with(
    tmp_path: Path, run_loop: Callable[[Coroutine[Any, Any, bytes]], bytes], given: bytes
) -> None:
    failing = program(tmp_path, "exec 0<&-; echo no right to do this >&2; exit 3")
    with pytest.raises(PortError, match="program ended with 3: no right to do this"):
        run_loop(run(failing, given, timeout_s=PATIENCE_S))
    assert run_loop(run(program(tmp_path, "exec 0<&-; echo done"), given, timeout_s=PATIENCE_S)) == b"done\n"


@pytest.mark.parametrize(("act", "option"), [("hold", "-h"), ("release", "-H"), ("delete", "-d")])
async def test_ids_go_to_standard_input_and_none_is_no_call(tmp_path: Path, act: str, option: str) -> None:
    mta = queue(tmp_path)
    await mta.change(act, [])
    assert not (tmp_path / "told").exists()
    await mta.change(act, ["4F1A2200AB", "4F1A2200AA", "4F1A2200AB"])
    assert (tmp_path / "told").read_text() == f"{option} -\n4F1A2200AA\n4F1A2200AB\n"


@pytest.mark.parametrize("queue_id", ["ALL", "-d", "4F1A2200AB deferred", "../etc", "", "4F1A2200AB\nALL", "Ａ" * 10])
async def test_what_is_no_queue_id_is_given_to_nobody(tmp_path: Path, queue_id: str) -> None:
    with pytest.raises(UsageError, match="not a queue id"):
        await queue(tmp_path).change("delete", ["4F1A2200AB", queue_id])
    assert not (tmp_path / "told").exists()


async def test_a_program_that_fails_hangs_or_is_not_there_has_not_done_it(tmp_path: Path) -> None:
    with pytest.raises(PortError, match="postsuper ended with 1: it said nothing"):
        await queue(tmp_path, fails=True).change("hold", ["4F1A2200AB"])
    slow = PostfixQueue(postqueue=program(tmp_path, "exec sleep 600"), postsuper=["x"], timeout_s=0.2)
    with pytest.raises(PortError, match=r"did not end within 0\.2 s"):
        await slow.mails()
    with pytest.raises(PortError, match="cannot be run"):
        await PostfixQueue(postqueue=["/nonexistent/x"], postsuper=["x"], timeout_s=PATIENCE_S).mails()
    loud = PostfixQueue(
        postqueue=program(tmp_path, "echo 'fatal: no' >&2; exit 69"), postsuper=["x"], timeout_s=PATIENCE_S
    )
    with pytest.raises(PortError, match="program ended with 69: fatal: no"):
        await loud.mails()


@pytest.mark.parametrize(("answer", "is_verified"), [('{"ok": true}', False), ('{"ok": true, "verified": true}', True)])
async def test_a_clear_yes_counts(tmp_path: Path, answer: str, is_verified: bool) -> None:
    command = program(tmp_path, f"cat > {tmp_path}/given; echo '{answer}'")
    assert (await CommandCredentials(command, timeout_s=PATIENCE_S).revoke(REQUEST)).is_verified is is_verified
    assert json.loads((tmp_path / "given").read_text()) == REQUEST


@pytest.mark.parametrize("answer", ["", "ok", "{}", "[true]", '{"ok": 1}', '{"ok": "true"}', '{"ok": false}', "null"])
async def test_nothing_else_does(tmp_path: Path, answer: str) -> None:
    with pytest.raises(PortError):
        await CommandCredentials(program(tmp_path, f"echo '{answer}'"), timeout_s=PATIENCE_S).revoke(REQUEST)


class _Identity(http.server.BaseHTTPRequestHandler):
    answer = (200, b'{"ok": true}')
    taken: list[tuple[dict[str, str], bytes]] = []  # noqa: RUF012  # shared on purpose: one server a test

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        self.taken.append(({k.lower(): v for k, v in self.headers.items()}, body))
        self.send_response(self.answer[0])
        self.send_header("Location", "http://127.0.0.1:1/")
        self.end_headers()
        self.wfile.write(self.answer[1])

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture
def identity() -> Iterator[tuple[str, type[_Identity]]]:
    _Identity.answer, _Identity.taken = (200, b'{"ok": true}'), []
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Identity)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/revoke?x=1", _Identity
    server.shutdown()
    server.server_close()


async def test_a_posted_request_is_signed_and_names_itself(identity: tuple[str, type[_Identity]]) -> None:
    url, server = identity
    secret = "whsec_" + "QUFB" * 11
    await WebhookCredentials(url, lambda: secret, timeout_s=PATIENCE_S).revoke(REQUEST)
    await WebhookCredentials(url, None, timeout_s=PATIENCE_S).revoke(REQUEST)
    (signed, body), (bare, _) = server.taken
    assert json.loads(body) == REQUEST
    assert (signed["webhook-id"], signed["content-type"]) == ("e_1", "application/json")
    assert signed["webhook-signature"].startswith("v1,")
    assert (bare["webhook-id"], "webhook-signature" in bare) == ("e_1", False)


@pytest.mark.parametrize("status", [302, 404, 503])
async def test_a_redirect_and_an_error_have_not_done_it(identity: tuple[str, type[_Identity]], status: int) -> None:
    url, server = identity
    server.answer = (status, b'{"ok": true}')
    with pytest.raises(PortError, match=f"answered {status}"):
        await WebhookCredentials(url, None, timeout_s=PATIENCE_S).revoke(REQUEST)
    assert len(server.taken) == 1
