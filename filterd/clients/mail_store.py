"""The operator's mail store is asked to take a copy of a campaign out of a mailbox.  STANDING 5.7-14.

How it is asked: clients/hook. It answers `{"ok": true, "moved": 1}`: so many mails were moved, and no copy is left;
0 where there was none any more.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from filterd.clients.hook import CommandHook, WebhookHook
from filterd.errors import PortError

_NAME = "the mail store"


class CommandMailStore(CommandHook):
    """Fulfils ports.MailStore by a program."""

    name = _NAME

    async def take_back(self, request: Mapping[str, str]) -> int:
        return _moved(await self.ask(request))


class WebhookMailStore(WebhookHook):
    """Fulfils ports.MailStore by a POST."""

    name, key = _NAME, "effectors.claw_back"

    async def take_back(self, request: Mapping[str, str]) -> int:
        return _moved(await self.ask(request))


def _moved(answer: dict[str, Any]) -> int:
    moved = answer.get("moved")
    # A flag is a whole number for Python, and says nothing of how many.
    if not isinstance(moved, int) or isinstance(moved, bool) or moved < 0:
        raise PortError(f"{_NAME} did not say how many it moved")
    return moved
