"""Calls whoever is on call: a program, or a signed POST.  STANDING 5.3 (S4).

The page is JSON with ids, codes and instants, for it leaves the house: nothing of the mail, no address, not even the
kind of case. The program ends with 0, the server answers 2xx; nothing else counts as called.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime

import orjson

from filterd.clients.programs import run
from filterd.clients.webhook import Endpoint, post


class CommandPager:
    """Fulfils ports.Pager by a program."""

    def __init__(self, command: Sequence[str], *, timeout_s: float):
        self._command, self._timeout_s = tuple(command), timeout_s

    async def page(self, request: Mapping[str, str]) -> None:
        await run(self._command, orjson.dumps(dict(request)), timeout_s=self._timeout_s)


class WebhookPager:
    """Fulfils ports.Pager by a POST, signed as Standard Webhooks asks."""

    def __init__(self, url: str, secrets: Callable[[], str], *, timeout_s: float):
        self._endpoint = Endpoint(name="paging", url=url, secrets=secrets, timeout_s=timeout_s)

    async def page(self, request: Mapping[str, str]) -> None:
        await post(self._endpoint, request["page_id"], datetime.now(UTC), orjson.dumps(dict(request)))
