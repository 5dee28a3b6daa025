"""Webhooks: one signed POST, as Standard Webhooks 1.0 says.

Headers `webhook-id`, `webhook-timestamp` (seconds since 1970) and `webhook-signature`: `v1,` and the base64 of
HMAC-SHA-256 over `id.timestamp.body`; one signature a secret, parted by blanks, so that a secret can be changed without
a gap. Only URLs of the configuration are asked, no redirect is followed, no proxy is used, and nothing that the other
side says is read beyond its status.
Temporary: no answer in time, anything but 2xx and 410.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import hashlib
import hmac
import http.client
import ssl
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from urllib.parse import urlsplit

from filterd.errors import ConfigError, PortError

# Standard Webhooks: a secret is base64 behind this prefix, 24 to 64 octets.
_PREFIX = "whsec_"
_SECRET_BYTES = range(24, 65)
_GONE = 410
_AGENT = "filterd"


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """Where to. `secrets` are read anew each time, the newest first, one a line."""

    name: str
    url: str
    secrets: Callable[[], str]
    timeout_s: float = 10.0
    counts_as_notice: bool = False


class Gone(PortError):
    """The receiver does not want any more of it (410)."""

    def __init__(self, name: str):
        super().__init__(f"webhook {name}: 410, it wants no more", temporary=False)


async def post(endpoint: Endpoint, webhook_id: str, at: datetime, body: bytes) -> int:
    """Send one event; say the status, a 2xx. Raises Gone, PortError, ConfigError for a secret that is none."""
    keys = read_secrets(endpoint.secrets(), endpoint.name)
    headers = signed_headers(keys, webhook_id, at, body)
    try:
        async with asyncio.timeout(endpoint.timeout_s + 1):
            status = await asyncio.to_thread(_post, endpoint.url, headers, body, endpoint.timeout_s)
    except (OSError, TimeoutError, http.client.HTTPException) as err:
        raise PortError(f"webhook {endpoint.name}: {type(err).__name__}") from err
    if status == _GONE:
        raise Gone(endpoint.name)
    if not 200 <= status < 300:
        raise PortError(f"webhook {endpoint.name}: {status}")
    return status


def signed_headers(keys: Sequence[bytes], webhook_id: str, at: datetime, body: bytes) -> dict[str, str]:
    """Make the headers of one attempt."""
    seconds = str(int(at.timestamp()))
    signed = f"{webhook_id}.{seconds}.".encode() + body
    signatures = (base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode() for key in keys)
    return {
        "webhook-id": webhook_id,
        "webhook-timestamp": seconds,
        "webhook-signature": " ".join(f"v1,{x}" for x in signatures),
        "content-type": "application/cloudevents+json",
        "user-agent": _AGENT,
    }


def read_secrets(text: str, name: str) -> tuple[bytes, ...]:
    """Read the secrets, one a line. Raises ConfigError for one that is none; it is not in the error."""
    keys = []
    for line in text.split():
        try:
            key = base64.b64decode(line.removeprefix(_PREFIX), validate=True)
        except (binascii.Error, ValueError):
            key = b""
        if len(key) not in _SECRET_BYTES:
            raise ConfigError(f"a secret is {_PREFIX} and the base64 of 24 to 64 octets", key=_key(name))
        keys.append(key)
    if not keys:
        raise ConfigError("holds no secret", key=_key(name))
    return tuple(keys)


def _key(name: str) -> str:
    return f"webhook.{name}.secret_file"


def _post(url: str, headers: dict[str, str], body: bytes, timeout_s: float) -> int:
    parts = urlsplit(url)
    host, path = parts.hostname or "", (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    connection: http.client.HTTPConnection
    if parts.scheme == "https":
        context = ssl.create_default_context()
        connection = http.client.HTTPSConnection(host, parts.port, timeout=timeout_s, context=context)
    else:
        connection = http.client.HTTPConnection(host, parts.port, timeout=timeout_s)
    try:
        connection.request("POST", path, body=body, headers=headers)
        return connection.getresponse().status
    finally:
        connection.close()
