"""What do monitors and refused senders ask us?  GET /metrics, /healthz, /readyz, /why/CODE, /appeal/TOKEN.  RFC 9112,
MAIL-PATH §5, STANDING 5.6.

A small HTTP/1.1 of our own: one request a connection, limits and deadlines for everything. `/healthz` says that the
process lives; `/readyz` says 503 and which part is not well while mail would have to wait. `/why/CODE` tells what the
short code of a refusal means, `/appeal/TOKEN` is the page an account objects on, and the only one that takes a form.
These two are the parts to let the world see, through a proxy of the operator's. Binds to loopback unless configured
otherwise; there is no log-in, and nothing said here needs one.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Protocol

import orjson

from filterd.errors import PeerError, PortError
from filterd.metrics import CONTENT_TYPE
from filterd.pipeline.appeal_link import PATH as _APPEAL
from filterd.pipeline.appeal_page import BODY_MAX_BYTES, AppealPage, Page
from filterd.pipeline.appeal_page import FIELDS as _APPEAL_FIELDS
from filterd.pipeline.why import CONTENT_SECURITY_POLICY, page

_WHY = "/why/"
_FORM = "application/x-www-form-urlencoded"

# A scraper sends a few hundred octets.
HEAD_MAX_BYTES = 8 * 1024
READ_WITHIN_S = 5.0
ANSWER_WITHIN_S = 10.0
# Scrapers, probes and a curious operator. More are hung up on.
CONNECTIONS_MAX = 32

REASONS = {
    200: "OK",
    303: "See Other",
    400: "Bad Request",
    404: "Not Found",
    405: "Method Not Allowed",
    408: "Request Timeout",
    411: "Length Required",
    413: "Content Too Large",
    415: "Unsupported Media Type",
    429: "Too Many Requests",
    431: "Request Header Fields Too Large",
    500: "Internal Server Error",
    503: "Service Unavailable",
    505: "HTTP Version Not Supported",
}

Exposition = Callable[[], bytes]
# Part → None when it is well, else in a word what it is not (`away`, `starting`).
Health = Callable[[], Awaitable[Mapping[str, str | None]]]


class Where(Protocol):
    """Where to listen; the `[http]` table has these keys."""

    @property
    def bind(self) -> str: ...
    @property
    def port(self) -> int: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class _Response:
    status: int
    body: bytes
    content_type: str = "text/plain; charset=utf-8"
    fields: tuple[tuple[str, str], ...] = ()


async def start_http(
    config: Where,
    exposition: Exposition,
    health: Health,
    *,
    appeals_address: str | None = None,
    appeal: AppealPage | None = None,
) -> asyncio.Server:
    """Listen and answer until the server is closed.

    Args:
        config: port 0 takes a free one; see `server.sockets`.
        exposition: `metrics.exposition`; called in a thread, for with many processes it reads many files.
        health: asked at each `/readyz`; what it raises or does not say in time counts as not ready.
        appeals_address: named by `/why/`; None: it speaks of the one in the reply.
        appeal: answers `/appeal/`; None: there is no such page.

    Raises:
        PortError: the address cannot be had.
    """
    talking: set[asyncio.StreamWriter] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if len(talking) >= CONNECTIONS_MAX:
            writer.transport.abort()
            return
        talking.add(writer)
        try:
            response = await _respond(reader, exposition, health, appeals_address, appeal)
            async with asyncio.timeout(ANSWER_WITHIN_S):
                writer.write(_octets(response))
                await writer.drain()
                writer.write_eof()
                # RFC 9112 §9.6: closing over unread octets would reset the connection and lose the answer.
                while await reader.read(HEAD_MAX_BYTES):
                    pass
        except (OSError, TimeoutError, asyncio.CancelledError):
            # The client is gone or does not end, or the process does.
            writer.transport.abort()
        finally:
            talking.discard(writer)
            writer.close()

    try:
        return await asyncio.start_server(serve, config.bind, config.port, limit=HEAD_MAX_BYTES)
    except OSError as err:
        raise PortError(f"cannot listen on {config.bind}:{config.port}: {err.strerror}", temporary=False) from err


async def _respond(
    reader: asyncio.StreamReader,
    exposition: Exposition,
    health: Health,
    appeals_address: str | None,
    appeal: AppealPage | None,
) -> _Response:
    try:
        async with asyncio.timeout(READ_WITHIN_S):
            head = await reader.readuntil(b"\r\n\r\n")
    except asyncio.LimitOverrunError:
        return _plain(431)
    except asyncio.IncompleteReadError:
        return _plain(400)
    except TimeoutError:
        return _plain(408)
    if appeal is not None and (asked := _appeal_request(head)) is not None:
        return await _appealed(appeal, reader, *asked)
    try:
        status, path = read_request(head)
    except PeerError:
        return _plain(400)
    if status != 200:
        return _plain(status)
    try:
        async with asyncio.timeout(ANSWER_WITHIN_S):
            match path:
                case "/metrics":
                    said = await asyncio.to_thread(exposition)
                    return _Response(status=200, body=said, content_type=CONTENT_TYPE)
                case "/healthz":
                    return _plain(200, "ok")
                case "/readyz":
                    return _ready(await health())
                case _ if path.startswith(_WHY):
                    return _explained(path.removeprefix(_WHY), appeals_address)
                case _:
                    return _plain(404)
    # Whatever a part raises, the monitor is to read that it is not well; the part logs its own trouble.
    except Exception:
        return _plain(503 if path == "/readyz" else 500)


def _appeal_request(head: bytes) -> tuple[str, str, dict[str, str]] | None:
    """Say (method, token, fields) of a request for the page of an appeal; None for any other, and for no request."""
    try:
        method, target, version, fields = _read_head(head)
    except PeerError:
        return None
    path = target.partition("?")[0]
    is_one = method in ("GET", "POST") and version in ("HTTP/1.1", "HTTP/1.0") and path.startswith(_APPEAL)
    if not is_one or not target.isascii() or not target.isprintable():
        return None
    if version == "HTTP/1.1" and "host" not in fields:
        return None
    if method == "GET" and (fields.get("content-length", "0") != "0" or "transfer-encoding" in fields):
        return None
    return method, path.removeprefix(_APPEAL), fields


async def _appealed(
    appeal: AppealPage, reader: asyncio.StreamReader, method: str, token: str, fields: dict[str, str]
) -> _Response:
    try:
        async with asyncio.timeout(ANSWER_WITHIN_S):
            if method == "GET":
                return _page_response(await appeal.get(token, fields))
            # RFC 9112 §6.3: without a length there is no telling where a body ends; chunks are for larger things.
            length = fields.get("content-length", "")
            if "transfer-encoding" in fields or not (length.isascii() and length.isdigit()):
                return _plain(411)
            if int(length) > BODY_MAX_BYTES:
                return _plain(413)
            if fields.get("content-type", "").partition(";")[0].strip().lower() != _FORM:
                return _plain(415)
            body = await reader.readexactly(int(length))
            return _page_response(await appeal.post(token, fields, body))
    except asyncio.IncompleteReadError:
        return _plain(400)
    # Neither a token nor a word of the form goes into any log: the ledger tells its own trouble.
    except Exception:
        return _plain(503)


def _page_response(said: Page) -> _Response:
    return _Response(
        status=said.status,
        body=said.body,
        content_type="text/html; charset=utf-8",
        fields=(*_APPEAL_FIELDS, *said.fields),
    )


def read_request(head: bytes) -> tuple[int, str]:
    """Read a request's head, up to and with its empty line.

    Returns:
        200 and the path without its query, or the status to refuse with and "".

    Raises:
        PeerError: it is no request.
    """
    method, target, version, fields = _read_head(head)
    if version not in ("HTTP/1.1", "HTTP/1.0"):
        return 505, ""
    if version == "HTTP/1.1" and "host" not in fields:
        raise PeerError("no Host")
    if method != "GET":
        return 405, ""
    if fields.get("content-length", "0") != "0" or "transfer-encoding" in fields:
        raise PeerError("a body")
    if not target.startswith("/") or not target.isascii() or not target.isprintable():
        raise PeerError("no path")
    return 200, target.partition("?")[0]


def _read_head(head: bytes) -> tuple[str, str, str, dict[str, str]]:
    """Say (method, target, version, fields by lower-case name). Raises PeerError: it is no request."""
    lines = head[:-4].decode("latin-1").split("\r\n")
    words = lines[0].split(" ")
    if len(words) != 3 or not words[2].startswith("HTTP/"):
        raise PeerError("no request line")
    method, target, version = words
    fields: dict[str, str] = {}
    for line in lines[1:]:
        name, colon, value = line.partition(":")
        # RFC 9112 §5.1: no space before the colon. Also no line of its own that continues another (§5.2).
        if not colon or not name or name != name.strip() or "\r" in value or "\n" in line:
            raise PeerError("no field line")
        fields[name.lower()] = value.strip()
    return method, target, version, fields


def _ready(parts: Mapping[str, str | None]) -> _Response:
    is_ready = all(trouble is None for trouble in parts.values())
    body = orjson.dumps({"ready": is_ready, "parts": {name: trouble or "ok" for name, trouble in parts.items()}})
    return _Response(status=200 if is_ready else 503, body=body + b"\n", content_type="application/json")


def _explained(code: str, appeals_address: str | None) -> _Response:
    body = page(code, appeals_address)
    if body is None:
        return _plain(404)
    fields = (("Content-Security-Policy", CONTENT_SECURITY_POLICY), ("Referrer-Policy", "no-referrer"))
    return _Response(status=200, body=body, content_type="text/html; charset=utf-8", fields=fields)


def _plain(status: int, text: str | None = None) -> _Response:
    return _Response(status=status, body=f"{text or REASONS[status]}\n".encode())


def _octets(response: _Response) -> bytes:
    lines = [
        f"HTTP/1.1 {response.status} {REASONS[response.status]}",
        f"Content-Type: {response.content_type}",
        f"Content-Length: {len(response.body)}",
        "Cache-Control: no-store",
        "X-Content-Type-Options: nosniff",
        "Connection: close",
        *(f"{name}: {value}" for name, value in response.fields),
    ]
    if response.status == 405:
        lines.append("Allow: GET")
    return "\r\n".join([*lines, "", ""]).encode("ascii") + response.body
