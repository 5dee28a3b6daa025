"""How long may a message take from the end of its data to our answer?  MAIL-PATH 4a and 4h, FAULTS 4 and 8.

The mail server in front waits so long and no longer (Postfix: smtpd_proxy_timeout, a milter's content_timeout), and its
client comes again whatever we say later. So the checks and the next hop have one limit between them. Until the message
is handed on, a limit that is spent costs a 451 and nothing more: nothing has gone out, and nothing will. Behind that
only the next hop knows, so it keeps a part of the time for itself (decision 0027).

No mail is stopped here: what the house has begun it ends, and writes down.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from math import inf
from typing import Any

# Of the whole, what the house may take before a next hop is asked.
BEFORE_NEXT_HOP = 2 / 3


class AnswerTime:
    """The time of one message, from now on, by the loop's clock.

    Args:
        limit_s: until our answer.
        before_next_hop: which part of it may have passed when the message is handed on; 1 where no next hop is asked.
    """

    def __init__(self, limit_s: float, *, before_next_hop: float = 1.0) -> None:
        self._loop = asyncio.get_running_loop()
        now_s = self._loop.time()
        self._judged_by_s, self._until_s = now_s + limit_s * before_next_hop, now_s + limit_s
        self._is_spent = self._is_handed_on = False

    @property
    def left_s(self) -> float:
        """What is left of the whole; 0 when it is spent."""
        return max(0.0, self._until_s - self._loop.time())

    def hand_on(self) -> bool:
        """Ask whether the message may go on to the next hop. False: the client has its 451, or is to have it."""
        if self._loop.time() >= self._judged_by_s:
            self._is_spent = True
        self._is_handed_on = not self._is_spent
        return self._is_handed_on

    async def wait(
        self,
        work: asyncio.Task[Any],
        *,
        every_s: float = inf,
        meanwhile: Callable[[], Awaitable[None]] | None = None,
    ) -> bool:
        """Wait for the end of `work`, calling `meanwhile` every so often. False: the time was over before the message
        was handed on. `work` goes on; who waits may leave."""
        while not work.done():
            left_s = inf if self._is_handed_on else self._judged_by_s - self._loop.time()
            if left_s <= 0:
                self._is_spent = True
                return False
            wait_s = min(left_s, every_s)
            await asyncio.wait((work,), timeout=None if wait_s == inf else wait_s)
            if meanwhile is not None and not work.done():
                await meanwhile()
        return True
