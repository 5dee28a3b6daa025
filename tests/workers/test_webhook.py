"""Webhooks against a real server: signed as the standard says, repeated, given up, never redirected.  STANDING 2.8."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta

import pytest
from pydantic import ValidationError

from filterd.clients.webhook import Endpoint, Gone, post, read_secrets
from filterd.config import WebhookConfig
from filterd.errors import ConfigError, PortError
from filterd.model.records import NoticeSent
from filterd.pipeline.notice_events import check_facts
from filterd.pipeline.notice_requests import EventRequest
from filterd.pipeline.notice_samples import sample_facts
from filterd.ports import OutboxItem
from filterd.workers.outbox import GIVE_UP_AFTER, Again, Done
from filterd.workers.webhook import TOPIC, Webhooks, event_of
from tests.kit.clock import FrozenClock
from tests.kit.terms import tencent
from tests.kit.waiting import PATIENCE_S
from tests.workers.rig import at

KEY = bytes(range(32))
OLD = bytes(range(1, 33))
SECRET = "whsec_" + base64.b64encode(KEY).decode()
NOW = at(1)


@dataclass
class Receiver:
    """A web server that answers with `statuses` in turn and keeps what it was sent."""

    statuses: list[str]
    seen: list[tuple[str, dict[str, str], bytes]] = field(default_factory=list)
    port: int = 0

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        headers = {k.lower(): v for k, _, v in (line.partition(": ") for line in head[1:] if line)}
        body = await reader.readexactly(int(headers.get("content-length", 0)))
        self.seen.append((head[0], headers, body))
        status = self.statuses.pop(0) if len(self.statuses) > 1 else self.statuses[0]
        writer.write(f"HTTP/1.1 {status}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n".encode())
        await writer.drain()
        writer.close()

    def endpoint(self, *, secret: str = SECRET, counts_as_notice: bool = False) -> Endpoint:
        url = f"http://127.0.0.1:{self.port}/hook?x=1"
        return Endpoint(
            name="desk", url=url, secrets=lambda: secret, timeout_s=PATIENCE_S, counts_as_notice=counts_as_notice
        )


@asynccontextmanager
async def receiver(*statuses: str) -> AsyncIterator[Receiver]:
    found = Receiver(statuses=list(statuses or ("204 No Content",)))
    server = await asyncio.start_server(found.answer, "127.0.0.1", 0)
    found.port = server.sockets[0].getsockname()[1]
    try:
        yield found
    finally:
        server.close()


def sent() -> NoticeSent:
    return NoticeSent(
        at=NOW,
        notice_id="m_" + "ab" * 20,
        account_id="a_dave",
        tenant_id="n_corp",
        incident_ids=("i_1234567890ab",),
        template="stepped_down",
        template_version="1.1",
        languages=("en",),
        channel="account+tenant",
        outcome="accepted",
        deemed_at=NOW,
        body_digest="00",
    )


def told() -> EventRequest:
    payload = {
        "event": "stepped_down",
        "account_id": "a_dave",
        "tenant_id": "n_corp",
        "audiences": ["account"],
        "facts": [check_facts("stepped_down", sample_facts("stepped_down", NOW, tencent()))],
    }
    return EventRequest.read(OutboxItem(item_id="o_1", topic="notice", payload=payload, attempts=1, created_at=NOW))


def item(attempts: int = 1) -> OutboxItem:
    payload = {"endpoint": "desk", "event": event_of(sent(), told(), "filterd/node1")}
    return OutboxItem(item_id="o_2", topic=TOPIC, payload=payload, attempts=attempts, created_at=NOW)


def hooks(endpoint: Endpoint) -> Webhooks:
    return Webhooks([endpoint], post, FrozenClock(NOW), source="filterd/node1")


async def test_the_signature_is_what_the_standard_says() -> None:
    async with receiver() as there:
        assert await post(there.endpoint(), "w_1", NOW, b'{"a":1}') == 204
    [(line, headers, body)] = there.seen
    assert line == "POST /hook?x=1 HTTP/1.1"
    assert (headers["webhook-id"], headers["webhook-timestamp"]) == ("w_1", str(int(NOW.timestamp())))
    assert body == b'{"a":1}'
    signed = b"w_1." + str(int(NOW.timestamp())).encode() + b'.{"a":1}'
    expected = base64.b64encode(hmac.digest(KEY, signed, hashlib.sha256)).decode()
    assert headers["webhook-signature"] == f"v1,{expected}"


async def test_while_a_secret_is_changed_both_sign() -> None:
    two = SECRET + "\nwhsec_" + base64.b64encode(OLD).decode() + "\n"
    async with receiver() as there:
        await post(there.endpoint(secret=two), "w_1", NOW, b"{}")
    [(_, headers, _)] = there.seen
    signed = f"w_1.{int(NOW.timestamp())}.{{}}".encode()
    signatures = [base64.b64encode(hmac.digest(key, signed, hashlib.sha256)).decode() for key in (KEY, OLD)]
    assert headers["webhook-signature"] == " ".join(f"v1,{x}" for x in signatures)


async def test_an_event_is_a_cloud_event_of_codes_ids_and_numbers() -> None:
    async with receiver() as there:
        assert isinstance(await hooks(there.endpoint()).carry(item(), NOW), Done)
    [(_, headers, body)] = there.seen
    event = json.loads(body)
    assert event["id"] == headers["webhook-id"]
    assert (event["specversion"], event["source"], event["type"]) == (
        "1.0",
        "filterd/node1",
        "filterd.notice.stepped_down",
    )
    assert event["data"]["facts"][0]["to_rung"] == "restrict"
    assert b"@" not in body
    assert "text" not in event["data"]


async def test_a_second_copy_bears_the_same_id() -> None:
    async with receiver("500 No", "200 OK") as there:
        carrier = hooks(there.endpoint())
        assert isinstance(await carrier.carry(item(), NOW), Again)
        assert isinstance(await carrier.carry(item(2), NOW + timedelta(minutes=1)), Done)
    assert there.seen[0][1]["webhook-id"] == there.seen[1][1]["webhook-id"]
    assert there.seen[0][1]["webhook-timestamp"] != there.seen[1][1]["webhook-timestamp"]


@pytest.mark.parametrize("status", ["302 Found\r\nLocation: http://127.0.0.1:1/", "404 No", "503 Busy"])
async def test_no_redirect_is_followed_and_it_is_tried_again(status: str) -> None:
    async with receiver(status) as there:
        answer = await hooks(there.endpoint()).carry(item(), NOW)
    assert isinstance(answer, Again)
    assert len(there.seen) == 1


async def test_410_ends_it() -> None:
    closed: list[str] = []
    async with receiver("410 Gone") as there:
        carrier = Webhooks(
            [there.endpoint()], post, FrozenClock(NOW), source="s", on_closed=closed.append
        )
        assert isinstance(await carrier.carry(item(), NOW), Done)
        assert isinstance(await carrier.carry(item(), NOW), Done)
        with pytest.raises(Gone):
            await post(there.endpoint(), "w", NOW, b"{}")
    assert closed == ["desk"]
    assert set(carrier.closed) == {"desk"}
    assert len(there.seen) == 2


async def test_after_three_days_it_is_given_up_and_on_record() -> None:
    async with receiver("500 No") as there:
        answer = await hooks(there.endpoint()).carry(item(99), NOW + GIVE_UP_AFTER)
    assert isinstance(answer, Done)


async def test_nobody_there_is_a_temporary_failure() -> None:
    async with receiver() as there:
        endpoint = there.endpoint()
    with pytest.raises(PortError) as caught:
        await post(Endpoint(name="x", url="http://127.0.0.1:1/", secrets=endpoint.secrets), "w", NOW, b"{}")
    assert caught.value.temporary


@pytest.mark.parametrize("text", ["", "whsec_", "whsec_!!!!", base64.b64encode(b"short").decode(), "hunter2hunter2"])
def test_a_secret_that_is_none_is_refused_and_not_repeated(text: str) -> None:
    with pytest.raises(ConfigError, match=r"webhook\.desk\.secret_file") as caught:
        read_secrets(text, "desk")
    assert not text or text not in str(caught.value).replace("whsec_ and", "")


@pytest.mark.parametrize(
    "url",
    [
        "http://example.com/",
        "ftp://127.0.0.1/",
        "https://user:pass@example.com/",
        "https://example.com/#x",
        "https:///x",
        "file:///etc/passwd",
        "http://169.254.169.254/",
        "https://example.com/\r\nX: y",
    ],
)
def test_only_a_plain_https_address_or_this_machine_is_taken(url: str) -> None:
    with pytest.raises(ValidationError):
        WebhookConfig(name="x", url=url, secret_file="/x")
