"""The operator's identity system is asked to revoke an account's sessions and force a new password.  STANDING 5.4-9.

How it is asked: clients/hook. It answers `{"ok": true}`, and `"verified": true` where the system itself says that
nothing of the old credentials works any more.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from filterd.clients.hook import CommandHook, WebhookHook
from filterd.ports import Revoked

_NAME = "the identity system"


class CommandCredentials(CommandHook):
    """Fulfils ports.Credentials by a program."""

    name = _NAME

    async def revoke(self, request: Mapping[str, str]) -> Revoked:
        return _revoked(await self.ask(request))


class WebhookCredentials(WebhookHook):
    """Fulfils ports.Credentials by a POST."""

    name, key = _NAME, "effectors.credentials"

    async def revoke(self, request: Mapping[str, str]) -> Revoked:
        return _revoked(await self.ask(request))


def _revoked(answer: dict[str, Any]) -> Revoked:
    return Revoked(is_verified=answer.get("verified") is True)
