"""How long the doors drain: as long as mail may take, and a few seconds more once somebody hurries."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any, cast

from structlog.testing import capture_logs

from filterd.app.mail_half import DRAIN_S, HURRY_S, MailHalf
from filterd.doors.serving import DoorServer
from tests.kit.waiting import soon


class Door:
    """A door with one mail in hand, which is never finished: the long drain has no end."""

    def __init__(self) -> None:
        self.asked: list[float] = []
        self.was_cut = False

    async def drain(self, grace_s: float) -> int:
        self.asked.append(grace_s)
        if grace_s < DRAIN_S:
            return 1
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            self.was_cut = True
            raise
        return 0


def half(hurry: asyncio.Event, flushed: list[str]) -> MailHalf:
    """As much of it as draining needs."""

    async def flush() -> None:
        flushed.append("flushed")

    gate = SimpleNamespace(gate=SimpleNamespace(flush=flush))
    return cast(MailHalf, SimpleNamespace(_hurry=hurry, _gate=gate))


async def test_a_second_signal_leaves_what_is_under_way_some_seconds() -> None:
    hurry, flushed, door = asyncio.Event(), cast("list[str]", []), Door()
    doors: Any = [cast(DoorServer, door)]
    draining = asyncio.create_task(MailHalf._drain(half(hurry, flushed), doors))
    await soon(lambda: door.asked)
    assert (door.asked, flushed) == ([DRAIN_S], [])
    hurry.set()
    with capture_logs() as said:
        await draining
    assert (door.asked, door.was_cut, flushed) == ([DRAIN_S, HURRY_S], True, ["flushed"])
    assert 0 < HURRY_S < DRAIN_S
    assert [(line["event"], line["mails"]) for line in said] == [("unfinished", 1)]


async def test_who_was_told_to_hurry_before_ends_with_the_short_drain() -> None:
    hurry, flushed, door = asyncio.Event(), cast("list[str]", []), Door()
    hurry.set()
    doors: Any = [cast(DoorServer, door)]
    await MailHalf._drain(half(hurry, flushed), doors)
    assert (door.asked[-1], flushed) == (HURRY_S, ["flushed"])
