"""What the family knows of each child."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from typing import Protocol

from filterd.app.policy import Policy
from filterd.supervisor.channel import Channel, Word
from filterd.supervisor.patience import Patience


class Half(Protocol):
    """What a process runs, as far as a reload goes."""

    @property
    def policy(self) -> Policy: ...
    async def prepare(self, policy: Policy) -> None: ...
    async def take(self) -> None: ...
    def drop(self) -> None: ...


# Starts a process's parts on the stack; the event is set when their end is to be hurried. None: nothing to reload.
Start = Callable[[AsyncExitStack, asyncio.Event], Awaitable[Half | None]]


@dataclass
class Child:
    """One process. `pid` 0: there is none now, and there will be one at `not_before`."""

    name: str
    role: str
    start: Start
    pid: int = 0
    failures: int = 0
    born_at: float = 0.0
    not_before: float = 0.0
    heard_at: float = 0.0
    killed_at: float = 0.0
    is_ready: bool = False
    has_hung: bool = False
    channel: Channel | None = None
    answers: dict[int, Word] = field(default_factory=dict)

    def hear(self) -> None:
        """Take in what it has said."""
        words = self.channel.read() if self.channel is not None else None
        if words is None:
            self.hang_up()
            return
        for word in words:
            self.heard_at = time.monotonic()
            match word.get("say"):
                case "ready":
                    self.is_ready = True
                case "done" | "refused":
                    self.answers[word["number"]] = word

    def tell(self, word: Word) -> bool:
        return self.channel is not None and self.channel.send(word)

    def is_silent(self, patience: Patience, now: float) -> bool:
        """Say whether it should have been heard of by `now` (monotonic)."""
        if not self.pid:
            return False
        if not self.is_ready:
            return now > self.born_at + max(patience.ready, patience.silent)
        return now > self.heard_at + patience.silent

    def come_round(self, patience: Patience) -> None:
        """Forget its failures once it has lived long enough."""
        if self.is_ready and time.monotonic() > self.born_at + patience.longest_pause:
            self.failures = 0

    def kill_hung(self) -> None:
        """End it whatever it does: SIGABRT, so that it says where it was, and SIGKILL when even that does not help."""
        if not self.has_hung:
            self.has_hung, self.killed_at = True, time.monotonic()
            self.signal(signal.SIGABRT)
        elif time.monotonic() > self.killed_at + 2:
            self.signal(signal.SIGKILL)

    def signal(self, number: signal.Signals) -> None:
        if self.pid:
            try:
                os.kill(self.pid, number)
            except ProcessLookupError:
                self.pid = 0

    def hang_up(self) -> None:
        if self.channel is not None:
            self.channel.close()
            self.channel = None

    def ended(self, patience: Patience) -> float:
        """Note that it has ended unasked; says after which pause there will be another."""
        lived_s = time.monotonic() - self.born_at
        self.failures = 0 if lived_s > patience.longest_pause and not self.has_hung else self.failures + 1
        pause = min(patience.first_pause * float(2**self.failures), patience.longest_pause)
        self.pid, self.not_before = 0, time.monotonic() + pause
        self.is_ready = self.has_hung = False
        self.answers.clear()
        return pause
