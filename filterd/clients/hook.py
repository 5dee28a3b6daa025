"""Something of the operator's that is asked to do something: a program, or a URL.

The request is JSON with ids, logins and nothing else, on the standard input of a program or posted to a URL, signed as
Standard Webhooks asks (`id.timestamp.body`, v1, HMAC-SHA256). The answer is JSON; nothing but `"ok": true` in it counts
as a yes. A redirect is refused: the request names an account.
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

_ANSWER_BYTES = 65_536


class CommandHook:
    """Asks a program. `name` is what errors call whoever answers."""

    name = "the program"

    def __init__(self, command: Sequence[str], *, timeout_s: float):
        self._command, self._timeout_s = tuple(command), timeout_s

    async def ask(self, request: Mapping[str, str]) -> dict[str, Any]:
        """Say the answer, which is a yes. Raises PortError for anything else."""
        return _yes(self.name, await run(self._command, orjson.dumps(dict(request)), timeout_s=self._timeout_s))


class WebhookHook:
    """Asks by a POST. `secrets` says the signing secrets as text; None: not signed. `key`: of the configuration."""

    name = "the program"
    key = ""

    def __init__(self, url: str, secrets: Callable[[], str] | None, *, timeout_s: float):
        self._url, self._secrets, self._timeout_s = urllib.parse.urlsplit(url), secrets, timeout_s

    async def ask(self, request: Mapping[str, str]) -> dict[str, Any]:
        """Say the answer, which is a yes. Raises PortError for anything else."""
        body = orjson.dumps(dict(request))
        return _yes(self.name, await asyncio.to_thread(self._post, request["effect_id"], body))

    def _post(self, request_id: str, body: bytes) -> bytes:
        url = self._url
        kind = http.client.HTTPSConnection if url.scheme == "https" else http.client.HTTPConnection
        place = f"{url.path or '/'}?{url.query}" if url.query else url.path or "/"
        connection = kind(url.hostname or "", url.port, timeout=self._timeout_s)
        try:
            fields = {"webhook-id": request_id}
            if self._secrets is not None:
                keys = read_secrets(self._secrets(), self.key)
                fields = signed_headers(keys, request_id, datetime.now(UTC), body)
            fields["content-type"] = "application/json"
            connection.request("POST", place, body, fields)
            response = connection.getresponse()
            said = response.read(_ANSWER_BYTES)
        except (OSError, http.client.HTTPException) as err:
            raise PortError(f"{self.name} cannot be asked: {type(err).__name__}") from err
        finally:
            connection.close()
        if response.status != http.client.OK:
            raise PortError(f"{self.name} answered {response.status}")
        return said


def _yes(name: str, said: bytes) -> dict[str, Any]:
    try:
        answer: Any = orjson.loads(said)
    except ValueError as err:
        raise PortError(f"{name}: the answer is no JSON") from err
    if not isinstance(answer, dict) or answer.get("ok") is not True:
        raise PortError(f"{name} did not say that it has done it")
    return answer
