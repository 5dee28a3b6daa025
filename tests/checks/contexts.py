"""Contexts for checks: a small mail of an account of ours, each part replaceable."""

from __future__ import annotations

from typing import Any

from filterd.checks.spec import Context
from filterd.model.message import Field, Message
from filterd.model.principal import Basis, Principal, Strength
from filterd.model.session import Direction, Door, Envelope, ForwardPath, Path, Session, Transaction
from tests.kit.clock import NOON

RAW = b"From: a@example.com\r\nMessage-ID: <1@example.com>\r\n\r\nHello\r\n"
ACCOUNT = Principal(
    account_id="acc_1", tenant_id="ten_1", basis=Basis.XCLIENT, strength=Strength.STRONG, agreement="tencent-exmail"
)


def path(address: str) -> Path:
    local, _, domain = address.rpartition("@")
    return Path(raw=address.encode("utf-8", "surrogatepass"), local_part=local, domain=domain)


def transaction(raw: bytes = RAW, **changes: Any) -> Transaction:
    said: dict[str, Any] = {
        "id": "t_1",
        "received_at": NOON,
        "session": Session(
            id="s_1",
            door=Door.SMTP,
            listener="smtp",
            peer_address="127.0.0.1",
            client_address="192.0.2.7",
            helo="pc.example",
        ),
        "envelope": Envelope(
            reverse_path=path("alice@example.com"), forward_paths=(ForwardPath(path=path("bob@example.org")),)
        ),
        "message_fp": "f" * 32,
        "digest": "d" * 64,
        "size_bytes": len(raw),
    }
    return Transaction(**(said | changes))


def message(raw: bytes = RAW) -> Message:
    fields = (
        Field(name="From", raw=b"From: a@example.com\r\n", value="a@example.com"),
        Field(name="Message-ID", raw=b"Message-ID: <1@example.com>\r\n", value="<1@example.com>"),
    )
    return Message(raw=raw, body_offset=len(raw), fields=fields, parts=(), texts=("Hello",), links=())


def context(raw: bytes = RAW, **changes: Any) -> Context:
    said: dict[str, Any] = {
        "transaction": transaction(raw),
        "message": message(raw),
        "direction": Direction.OUTBOUND,
        "principal": ACCOUNT,
    }
    return Context(**(said | changes))
