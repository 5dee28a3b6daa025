"""Postfix's queue: what is in it, and putting it on hold, back, or away.  postqueue(1), postsuper(1), MAIL-PATH §3.

`postqueue -j` lists, one JSON object a line; `postsuper -h|-H|-d -` reads queue ids from standard input. postsuper says
nothing of an id that is gone, which is no failure: whoever asks looks again. It needs the superuser, so the operator
puts a helper in front of it (`sudo -n`), for these three options only (ops/docs/EFFECTORS.md).
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Any

import orjson

from filterd.clients.programs import run
from filterd.errors import UsageError
from filterd.ports import QueuedMail

# Short ids are upper-case hex, long ones letters and digits (postconf(5), enable_long_queue_ids). Anything else, `ALL`
# before all, is never given to postsuper.
_QUEUE_ID = re.compile(r"[0-9A-Za-z]{6,20}")
_HELD = "hold"
_OPTIONS = {"hold": "-h", "release": "-H", "delete": "-d"}


class PostfixQueue:
    """Fulfils ports.MtaQueue."""

    def __init__(self, *, postqueue: Sequence[str], postsuper: Sequence[str], timeout_s: float):
        self._postqueue, self._postsuper, self._timeout_s = tuple(postqueue), tuple(postsuper), timeout_s
        self._listing = asyncio.Lock()

    async def mails(self) -> tuple[QueuedMail, ...]:
        async with self._listing:
            said = await run((*self._postqueue, "-j"), b"", timeout_s=self._timeout_s)
        # A hundred thousand mails are a second's work.
        return await asyncio.to_thread(_mails, said)

    async def change(self, act: str, queue_ids: Iterable[str]) -> None:
        ids = sorted(set(queue_ids))
        for queue_id in ids:
            if not _QUEUE_ID.fullmatch(queue_id):
                raise UsageError(f"not a queue id: {queue_id[:40]!r}")
        if ids:
            given = "".join(f"{queue_id}\n" for queue_id in ids).encode("ascii")
            await run((*self._postsuper, _OPTIONS[act], "-"), given, timeout_s=self._timeout_s)


def _mails(said: bytes) -> tuple[QueuedMail, ...]:
    found = (_mail(line) for line in said.split(b"\n"))
    return tuple(mail for mail in found if mail is not None)


def _mail(line: bytes) -> QueuedMail | None:
    """Read one line; None for one that is no mail we could do anything with."""
    try:
        said: Any = orjson.loads(line.decode("utf-8", "replace"))
        queue_id, at = said["queue_id"], said["arrival_time"]
        recipients = tuple(str(x["address"]) for x in said["recipients"])
        if not isinstance(queue_id, str) or not _QUEUE_ID.fullmatch(queue_id):
            return None
        return QueuedMail(
            queue_id=queue_id,
            is_held=said["queue_name"] == _HELD,
            arrived_at=datetime.fromtimestamp(int(at), UTC),
            sender=str(said["sender"]),
            recipients=recipients,
        )
    except (ValueError, KeyError, TypeError, OverflowError, OSError):
        return None
