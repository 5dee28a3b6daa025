"""`[effectors]`: what filterd may do outside itself. All of it is off until it is configured (STANDING 5.7-17)."""

from __future__ import annotations

from pathlib import Path
from typing import Self

from pydantic import Field, model_validator

from filterd.config.section import Seconds, Section


class MtaQueueConfig(Section):
    """`[effectors.mta_queue]`: mail of a suspended account that is in Postfix's queue already is put on hold there."""

    enabled: bool = Field(False, description="Needs Postfix on this machine, or programs that reach it.")
    postqueue: tuple[str, ...] = Field(
        ("/usr/sbin/postqueue",), min_length=1, description="Program and arguments in front of `-j`; no shell."
    )
    postsuper: tuple[str, ...] = Field(
        ("sudo", "-n", "/usr/sbin/postsuper"), min_length=1, description="In front of `-h -`, `-H -`, `-d -`."
    )
    timeout_s: Seconds = Field(60, description="For one call of either.")
    look_s: Seconds = Field(300, description="How often the queue of an account that may not send is looked at again.")


class HookConfig(Section):
    """Something of the operator's that is asked: a program, or a URL."""

    command: tuple[str, ...] = Field((), description="Gets the request as JSON on standard input; no shell.")
    url: str | None = Field(None, pattern=r"^https?://", description="Or it is posted there. Redirects are refused.")
    secret_file: Path | None = Field(None, description="Signs what is posted (Standard Webhooks, HMAC-SHA256).")
    timeout_s: Seconds = Field(20, description="For one request.")

    @property
    def enabled(self) -> bool:
        return bool(self.command) or self.url is not None

    @model_validator(mode="after")
    def _one_way(self) -> Self:
        if self.command and self.url is not None:
            raise ValueError("give either command or url: who is asked twice does it twice")
        if self.secret_file is not None and self.url is None:
            raise ValueError("secret_file signs what is posted: it needs url")
        return self


class CredentialsConfig(HookConfig):
    """`[effectors.credentials]`: the identity system is asked to revoke sessions and force a new password."""


class ClawBackConfig(HookConfig):
    """`[effectors.claw_back]`: the mail store is asked to take campaign copies out of mailboxes of your users."""


class DeliveryLogConfig(Section):
    """`[effectors.delivery_log]`: who got campaign copies, from the mail server's log, for the tenant's contact."""

    command: tuple[str, ...] = Field((), description="Gets queue ids, one a line; writes `QUEUEID ADDRESS`; no shell.")
    timeout_s: Seconds = Field(60, description="For one call.")


class EffectorsConfig(Section):
    """`[effectors]`: what filterd does outside itself; off until it is configured (ops/docs/EFFECTORS.md)."""

    mta_queue: MtaQueueConfig = MtaQueueConfig()
    credentials: CredentialsConfig = CredentialsConfig()
    claw_back: ClawBackConfig = ClawBackConfig()
    delivery_log: DeliveryLogConfig = DeliveryLogConfig()

    @property
    def names(self) -> frozenset[str]:
        """Say which there are, as ledger rows call them."""
        return frozenset(x for x in ("mta_queue", "credentials", "claw_back") if getattr(self, x).enabled)
