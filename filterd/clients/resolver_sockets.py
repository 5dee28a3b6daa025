"""Sockets that look at the head of a DNS reply before it is parsed.  RFC 1035 §4.1.1.

dnspython parses a reply in one go: 64 kB of tiny records under a long name of a stranger's choice, which an honest
recursive server hands on, held the event loop for 1.6 s. So the records are counted first, by what the head says:
the parser reads no more than that. Over UDP such a reply is passed over as noise, over TCP it is a broken answer.
"""

from __future__ import annotations

import socket
from typing import Any, Self

import dns.asyncbackend

# Answer, authority and additional section together. The largest sets of real names have some 100 records.
MAX_RECORDS = 256
_HEAD_BYTES = 12
_LENGTH_BYTES = 2


def is_modest(head: bytes) -> bool:
    """Say whether a reply that begins with these twelve octets has one question at most, and not too many records."""
    questions, *records = (int.from_bytes(head[at : at + 2], "big") for at in range(4, _HEAD_BYTES, 2))
    return questions <= 1 and sum(records) <= MAX_RECORDS


class Sockets:
    """A backend of dnspython: makes the sockets of asyncio, each behind such a look."""

    def __init__(self) -> None:
        self._plain: Any = dns.asyncbackend.get_backend("asyncio")

    def name(self) -> str:
        return "asyncio"

    async def make_socket(self, af: int, socktype: int, *args: Any, **more: Any) -> Any:
        plain = await self._plain.make_socket(af, socktype, *args, **more)
        return _Datagrams(plain) if socktype == socket.SOCK_DGRAM else _Stream(plain)

    def datagram_connection_required(self) -> bool:
        return bool(self._plain.datagram_connection_required())


class _Socket:
    """A socket of dnspython, as far as it is not changed here."""

    def __init__(self, plain: Any):
        self._plain = plain

    def __getattr__(self, name: str) -> Any:
        return getattr(self._plain, name)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._plain.close()


class _Datagrams(_Socket):
    async def recvfrom(self, size: int, *until: Any) -> tuple[bytes, Any]:
        octets, sender = await self._plain.recvfrom(size, *until)
        # Nothing at all is no DNS either, and is passed over.
        return (octets if is_modest(octets[:_HEAD_BYTES]) else b""), sender


class _Stream(_Socket):
    """For one reply: two octets of length, then the reply."""

    def __init__(self, plain: Any):
        super().__init__(plain)
        self._head = b""

    async def recv(self, size: int, *until: Any) -> bytes:
        octets: bytes = await self._plain.recv(size, *until)
        if len(self._head) < _LENGTH_BYTES + _HEAD_BYTES:
            self._head = (self._head + octets)[: _LENGTH_BYTES + _HEAD_BYTES]
            if not is_modest(self._head[_LENGTH_BYTES:]):
                raise EOFError("too many records")
        return octets
