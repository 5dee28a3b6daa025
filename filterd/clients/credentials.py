"""The operator's identity system is asked to revoke an account's sessions and force a new password.  STANDING 5.4-9.

The request is JSON with ids, the login and nothing else, on the standard input of a program or posted to a URL, signed
as Standard Webhooks asks (`id.timestamp.body`, v1, HMAC-SHA256). The answer is JSON: `{"ok": true}`, and
`"verified": true` where the system itself says that nothing of the old credentials works any more. Nothing but a clear
yes counts as one. A redirect is refused: the request names an account.
"""

from __future__ import annotations

import asyncio
import http.client
import urllib.parse
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import orjson

from filterd.clients.programs import run
from filterd.clients.webhook import read_secrets, signed_headers
from filterd.errors import PortError
from filterd.ports import Revoked

_ANSWER_BYTES = 65_536


class CommandCredentials:
    """Fulfils ports.Credentials by a program."""

    def __init__(self, command: Sequence[str], *, timeout_s: float):
        self._command, self._timeout_s = tuple(command), timeout_s

    async def revoke(self, request: Mapping[str, str]) -> Revoked:
        return _answer(await run(self._command, orjson.dumps(dict(request)), timeout_s=self._timeout_s))


class WebhookCredentials:
    """Fulfils ports.Credentials by a POST. `secrets` says the signing secrets as text; None: not signed."""

    def __init__(self, url: str, secrets: Callable[[], str] | None, *, timeout_s: float):
        self._url, self._secrets, self._timeout_s = urllib.parse.urlsplit(url), secrets, timeout_s

    async def revoke(self, request: Mapping[str, str]) -> Revoked:
        return _answer(await asyncio.to_thread(self._post, request["effect_id"], orjson.dumps(dict(request))))

    def _post(self, request_id: str, body: bytes) -> bytes:
        url = self._url
        kind = http.client.HTTPSConnection if url.scheme == "https" else http.client.HTTPConnection
        place = f"{url.path or '/'}?{url.query}" if url.query else url.path or "/"
        connection = kind(url.hostname or "", url.port, timeout=self._timeout_s)
        try:
            fields = {"webhook-id": request_id}
            if self._secrets is not None:
                keys = read_secrets(self._secrets(), "effectors.credentials")
                fields = signed_headers(keys, request_id, datetime.now(UTC), body)
            fields["content-type"] = "application/json"
            connection.request("POST", place, body, fields)
            response = connection.getresponse()
            said = response.read(_ANSWER_BYTES)
        except (OSError, http.client.HTTPException) as err:
            raise PortError(f"the identity system cannot be asked: {type(err).__name__}") from err
        finally:
            connection.close()
        if response.status != http.client.OK:
            raise PortError(f"the identity system answered {response.status}")
        return said


def _answer(said: bytes) -> Revoked:
    try:
        answer: Any = orjson.loads(said)
    except ValueError as err:
        raise PortError("the identity system's answer is no JSON") from err
    if not isinstance(answer, dict) or answer.get("ok") is not True:
        raise PortError("the identity system did not say that it has done it")
    return Revoked(is_verified=answer.get("verified") is True)
