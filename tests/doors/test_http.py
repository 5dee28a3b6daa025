"""The HTTP door: three pages for monitors, the codes for senders, and firm with everything else."""

from __future__ import annotations

import asyncio
import base64
import hashlib
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from typing import Any

import orjson
import pytest

from filterd import metrics
from filterd.config import HttpConfig
from filterd.doors import http
from filterd.doors.http import start_http
from filterd.errors import PortError
from tests.kit.loops import settled, turn
from tests.kit.waiting import soon

# No limit is met but by turning the time.
pytestmark = pytest.mark.turned


@dataclass
class Site:
    """A running door and what its parts say."""

    port: int = 0
    health: Any = None
    exposition: Any = metrics.exposition
    asked: int = 0

    async def send(self, octets: bytes) -> bytes:
        """Say all the answer to `octets`."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        try:
            writer.write(octets)
            return await reader.read()
        finally:
            writer.close()

    async def get(self, target: str) -> tuple[int, dict[str, str], bytes]:
        head, _, body = (await self.send(f"GET {target} HTTP/1.1\r\nHost: x\r\n\r\n".encode())).partition(b"\r\n\r\n")
        first, *lines = head.decode().split("\r\n")
        return int(first.split()[1]), dict(line.split(": ", 1) for line in lines), body


def attended() -> int:
    """How many connections the door has a task for."""
    return sum(task.get_coro().__qualname__ == "start_http.<locals>.serve" for task in asyncio.all_tasks())


@pytest.fixture
async def site() -> AsyncIterator[Site]:
    one = Site(health={})

    async def health() -> Mapping[str, str | None]:
        one.asked += 1
        if isinstance(one.health, Exception):
            raise one.health
        if one.health is None:
            await asyncio.Event().wait()
        said: Mapping[str, str | None] = one.health
        return said

    server = await start_http(HttpConfig(port=0), lambda: one.exposition(), health)
    one.port = server.sockets[0].getsockname()[1]
    yield one
    server.close()


async def test_metrics_are_the_exposition(site: Site) -> None:
    status, fields, body = await site.get("/metrics")
    assert (status, fields["Content-Type"]) == (200, metrics.CONTENT_TYPE)
    assert int(fields["Content-Length"]) == len(body)
    assert b"filterd_build_info" in body


async def test_a_code_is_explained_without_a_script_or_a_log_in(site: Site) -> None:
    status, fields, body = await site.get("/why/F-LINKS?x=1")
    assert (status, fields["Content-Type"]) == (200, "text/html; charset=utf-8")
    assert fields["Content-Security-Policy"].startswith("default-src 'none'; style-src 'sha256-")
    assert (fields["X-Content-Type-Options"], fields["Referrer-Policy"]) == ("nosniff", "no-referrer")
    assert "不含链接的邮件" in body.decode()
    assert b"Mail without links" in body
    # The hash in the policy is that of the style on the page, or browsers would not use it.
    style = body.split(b"<style>")[1].split(b"</style>")[0]
    assert base64.b64encode(hashlib.sha256(style).digest()).decode() in fields["Content-Security-Policy"]


@pytest.mark.parametrize("target", ["/why", "/why/F-NONE", "/why/F-LINKS/", "/why/..%2fmetrics", "/why/%3Cscript%3E"])
async def test_no_page_for_what_is_no_code(site: Site, target: str) -> None:
    status, _, body = await site.get(target)
    assert (status, body) == (404, b"Not Found\n")


async def test_the_codes_are_listed(site: Site) -> None:
    status, _, body = await site.get("/why/")
    assert status == 200
    assert b'href="/why/S-SUSPENDED"' in body


async def test_process_that_answers_is_healthy(site: Site) -> None:
    site.health = {"ledger": "away"}
    status, _, body = await site.get("/healthz")
    assert (status, body) == (200, b"ok\n")


@pytest.mark.parametrize(
    ("health", "status", "parts"),
    [
        ({}, 200, {}),
        ({"ledger": None, "scanner": None}, 200, {"ledger": "ok", "scanner": "ok"}),
        ({"ledger": None, "scanner": "away"}, 503, {"ledger": "ok", "scanner": "away"}),
    ],
)
async def test_ready_says_which_part_is_not_well(site: Site, health: Any, status: int, parts: Any) -> None:
    site.health = health
    actual, fields, body = await site.get("/readyz")
    assert (actual, orjson.loads(body)) == (status, {"ready": status == 200, "parts": parts})
    assert fields["Content-Type"] == "application/json"


async def test_health_that_raises_is_not_ready_and_says_nothing_of_it(site: Site) -> None:
    site.health = ValueError("secret")
    status, _, body = await site.get("/readyz")
    assert (status, body) == (503, b"Service Unavailable\n")


async def test_health_that_never_answers_is_not_ready(site: Site) -> None:
    site.health = None
    answer = asyncio.create_task(site.get("/readyz"))
    await soon(lambda: site.asked)
    await turn(http.ANSWER_WITHIN_S)
    assert (await answer)[0] == 503


async def test_exposition_that_raises_is_500(site: Site) -> None:
    def fail() -> bytes:
        raise OSError("secret")

    site.exposition = fail
    status, _, body = await site.get("/metrics")
    assert (status, body) == (500, b"Internal Server Error\n")


async def test_query_is_passed_over(site: Site) -> None:
    assert (await site.get("/healthz?x=1"))[0] == 200


@pytest.mark.parametrize("target", ["/", "/metrics/", "/../metrics", "/Metrics", "//metrics", "/%6detrics"])
async def test_other_paths_are_not_found(site: Site, target: str) -> None:
    assert (await site.get(target))[0] == 404


@pytest.mark.parametrize(
    ("octets", "status"),
    [
        (b"POST /metrics HTTP/1.1\r\nHost: x\r\n\r\n", 405),
        (b"HEAD /metrics HTTP/1.1\r\nHost: x\r\n\r\n", 405),
        (b"GET /metrics HTTP/2.0\r\nHost: x\r\n\r\n", 505),
        (b"GET /metrics HTTP/1.0\r\n\r\n", 200),
        (b"GET /metrics HTTP/1.1\r\n\r\n", 400),
        (b"GET /metrics\r\n\r\n", 400),
        (b"GET  /metrics HTTP/1.1\r\nHost: x\r\n\r\n", 400),
        (b"GET metrics HTTP/1.1\r\nHost: x\r\n\r\n", 400),
        (b"GET /\xff HTTP/1.1\r\nHost: x\r\n\r\n", 400),
        (b"GET http://x/metrics HTTP/1.1\r\nHost: x\r\n\r\n", 400),
        (b"GET /metrics HTTP/1.1\r\nHost : x\r\n\r\n", 400),
        (b"GET /metrics HTTP/1.1\r\nHost: x\r\n folded\r\n\r\n", 400),
        (b"GET /metrics HTTP/1.1\r\nHost: x\nA: b\r\n\r\n", 400),
        (b"GET /metrics HTTP/1.1\r\nHost: x\r\nnonsense\r\n\r\n", 400),
        (b"GET /metrics HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc", 400),
        (b"GET /metrics HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400),
        (b"EHLO x\r\n\r\n", 400),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: x\r\nA: " + b"a" * 20_000 + b"\r\n\r\n", 431),
        (b"a" * 20_000, 431),
    ],
)
async def test_only_plain_requests_are_answered(site: Site, octets: bytes, status: int) -> None:
    assert int((await site.send(octets)).split()[1]) == status


async def test_method_not_allowed_says_which_is(site: Site) -> None:
    assert b"\r\nAllow: GET\r\n" in await site.send(b"PUT / HTTP/1.1\r\nHost: x\r\n\r\n")


async def test_client_that_says_nothing_is_let_go(site: Site) -> None:
    answer = asyncio.create_task(site.send(b"GET /metrics HT"))
    await soon(lambda: attended() == 1)
    await settled()
    await turn(http.READ_WITHIN_S)
    assert (await answer).startswith(b"HTTP/1.1 408 ")


async def test_client_that_leaves_harms_nobody(site: Site) -> None:
    for _ in range(5):
        _, writer = await asyncio.open_connection("127.0.0.1", site.port)
        writer.write(b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n")
        writer.transport.abort()
    assert (await site.get("/healthz"))[0] == 200


async def test_connections_are_bounded_and_come_free(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http, "CONNECTIONS_MAX", 2)
    held = [await asyncio.open_connection("127.0.0.1", site.port) for _ in range(2)]
    await soon(lambda: attended() == 2)
    await settled()
    try:
        answer = await site.send(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
    except ConnectionError:
        answer = b""
    assert answer == b""
    for _, writer in held:
        writer.close()
    await soon(lambda: attended() == 0)
    assert (await site.get("/healthz"))[0] == 200


async def test_address_in_use_is_a_port_error(site: Site) -> None:
    async def health() -> Mapping[str, str | None]:
        return {}

    with pytest.raises(PortError) as err:
        await start_http(HttpConfig(port=site.port), metrics.exposition, health)
    assert not err.value.temporary
