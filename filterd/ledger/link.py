"""The link between the ledger process and everybody else: frames, verbs and errors.

A frame is two big-endian 32-bit lengths, a head (JSON object) and a body (JSON of the noun, see codec). Both ends begin
with {"hello": oldest, "upto": newest}, the versions they speak, and go by the newest that both do: while a node is
upgraded, workers of the version before talk to its ledger. Then, in any order and many at once:

    to the ledger       {"id": i, "verb": v} + arguments        {"forget": true} + [account_id, ...]
    from the ledger     {"id": i} + result                      {"id": i, "error": kind, "text": t, "temporary": b}
                        {"push": "history"} + History           {"push": "directory"}
                        {"push": "away"}                        {"push": "back"}

Besides the verbs the ledger was given, every ledger knows `history` (account_id → History), `count` (CountRequest →
Counts) and `domain_owner` (domain → tenant_id or null). `count_many` ([CountRequest, …]; since version 2) is answered
in several frames of the same id, each a list of {place, counts | error}; the first comes at once. A history is pushed
to whoever asked for it on this connection; "directory" says that copies of accounts and domains are stale, "away" that
the store cannot be asked, "back" (both since version 2) that it can be again and that every copy is stale.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

from filterd.errors import LedgerUnavailable, PeerError, PortError, RefusedError, UsageError
from filterd.ledger.codec import Undecodable, canonical, decode, decode_json, encode, escaped
from filterd.model.about import EVERYTHING, About
from filterd.ports import LedgerTxn

PROTOCOL = 2
OLDEST_PROTOCOL = 1
_HEAD_BYTES = 65_536
_BODY_BYTES = 64 * 1024 * 1024
# unix(7): sun_path holds 108 octets with the closing NUL.
_SOCKET_PATH_BYTES = 107


@dataclass(frozen=True, slots=True, kw_only=True)
class Verb:
    """Something the ledger can be asked to do.

    `run` is a plain function inside one transaction. `request` and `response` are the types of its argument and result;
    None stands for plain JSON: a dict of arguments, any tree as a result. `about` says of an argument whose matters it
    is about, so that nodes that share a store lock no more than that. `outside` stands in the place of `run` where
    somebody else has to be asked first, which no transaction may wait for; it submits functions of its own.
    """

    request: Any
    response: Any
    run: Callable[[LedgerTxn, Any], Any]
    about: Callable[[Any], About] = lambda _: EVERYTHING
    outside: Callable[[Any], Awaitable[Any]] | None = None


Verbs = Mapping[str, Verb]


def check_socket_path(path: str) -> None:
    """Raise UsageError for a path that no UNIX socket can have."""
    if len(path.encode("utf-8", "surrogateescape")) > _SOCKET_PATH_BYTES:
        raise UsageError(f"{path}: longer than the {_SOCKET_PATH_BYTES} octets of a socket's path")


def frame(head: Mapping[str, Any], body: bytes = b"") -> bytes:
    """Write a frame. Raises UsageError for a body that the other end would refuse."""
    if len(body) > _BODY_BYTES:
        raise UsageError(f"ledger link: {len(body)} octets are more than a frame takes; ask for less")
    octets = canonical(dict(head))
    return len(octets).to_bytes(4, "big") + len(body).to_bytes(4, "big") + octets + body


async def read_frame(reader: asyncio.StreamReader) -> tuple[dict[str, Any], bytes] | None:
    """Read a frame, None at the end. Raises PeerError for what is none."""
    try:
        lengths = await reader.readexactly(8)
        head_bytes, body_bytes = int.from_bytes(lengths[:4], "big"), int.from_bytes(lengths[4:], "big")
        if head_bytes > _HEAD_BYTES or body_bytes > _BODY_BYTES:
            raise PeerError(f"ledger link: a frame of {head_bytes} and {body_bytes} octets")
        head = decode_json(await reader.readexactly(head_bytes))
        body = await reader.readexactly(body_bytes)
    except (asyncio.IncompleteReadError, ConnectionError):
        return None
    except Undecodable as err:
        raise PeerError("ledger link: the head of a frame is not JSON") from err
    if not isinstance(head, dict):
        raise PeerError("ledger link: the head of a frame is no object")
    return head, body


def hello() -> bytes:
    """Write the first frame of either end."""
    return frame({"hello": OLDEST_PROTOCOL, "upto": PROTOCOL})


def check_hello(received: tuple[dict[str, Any], bytes] | None) -> int:
    """Say which version to go by. Raises PeerError when the other end speaks none of ours."""
    oldest = None if received is None else received[0].get("hello")
    newest = oldest if received is None else received[0].get("upto", oldest)
    if not isinstance(oldest, int) or not isinstance(newest, int) or not oldest <= newest:
        raise PeerError("ledger link: the other end does not say which versions it speaks")
    if oldest > PROTOCOL or newest < OLDEST_PROTOCOL:
        raise PeerError(
            f"ledger link: the other end speaks versions {oldest} to {newest}, this one {OLDEST_PROTOCOL} to {PROTOCOL}"
        )
    return min(newest, PROTOCOL)


def read_body(kind: Any, body: bytes) -> Any:
    """Read a body of type `kind`, None for plain JSON. Raises UsageError when it does not fit."""
    try:
        return decode_json(body) if kind is None else decode(kind, body)
    except Undecodable as err:
        raise UsageError(f"ledger: {err}") from err


def write_body(value: Any) -> bytes:
    return encode(value)


def error_head(request_id: int, err: BaseException) -> dict[str, Any]:
    """Write an error. What nobody raised on purpose keeps its text to itself."""
    temporary = False
    match err:
        case RefusedError():
            kind = "refused"
        case UsageError():
            kind = "usage"
        case LedgerUnavailable():
            kind, temporary = "unavailable", err.temporary
        case PortError():
            kind, temporary = "port", err.temporary
        case _:
            return {"id": request_id, "error": "internal", "text": "", "temporary": True}
    return {"id": request_id, "error": kind, "text": escaped(str(err))[:4000], "temporary": temporary}


def raise_error(verb: str, head: Mapping[str, Any]) -> None:
    """Raise what `error_head` wrote; nothing for a result."""
    words, is_temporary = str(head.get("text")), bool(head.get("temporary"))
    match head.get("error"):
        case None:
            return
        case "refused":
            raise RefusedError(words)
        case "usage":
            raise UsageError(words)
        case "unavailable":
            raise LedgerUnavailable(words, temporary=is_temporary)
        case "port":
            raise PortError(words, temporary=is_temporary)
        case _:
            raise PortError(f"ledger: internal error in {verb!r}", temporary=True)
