"""prop_hold_conserves_mail: whatever people, clocks, next hops and crashes do, no held mail is ever just gone.

STANDING 7.1. Every mail that had a 250 is at the next hop, in a report to its sender, or still in our hands;
and what is there twice was doubled by a crash between the answer and the row.
"""

from __future__ import annotations

import asyncio
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from filterd.clients.sink_wire import SinkScript
from filterd.errors import PortError, RefusedError
from tests.kit.house import letter
from tests.pipeline.holding import CONTESTABLE, HoldingOffice, open_holding
from tests.pipeline.people import ALICE

pytestmark = pytest.mark.slow

_ACTS = ("release", "return", "delete", "confirm")
_STEP = st.one_of(
    st.tuples(st.just("send"), st.integers(0, 5)),
    st.tuples(st.sampled_from(_ACTS), st.integers(0, 5)),
    st.tuples(st.just("hours"), st.sampled_from([1, 3, 12, 25])),
    st.tuples(st.just("carry"), st.just(0)),
    st.tuples(st.just("crash"), st.just(0)),
    st.tuples(st.just("weather"), st.sampled_from(["fine", "deferring", "refusing"])),
)
_WEATHER = {"fine": None, "deferring": "451 4.3.0 later", "refusing": "550 5.1.1 no"}


def _to(number: int) -> str:
    return f"p{number}@other.example"


class _Run:
    """One history of events."""

    def __init__(self, office: HoldingOffice):
        self.office = office
        self.promised: set[int] = set()
        self.deleted: set[int] = set()
        self.items: dict[int, str] = {}
        self.crashes = 0

    async def step(self, what: str, value: int | str) -> None:
        office = self.office
        match what:
            case "send":
                await self._send(int(value))
            case "hours":
                await office.strike(hours=float(value))
            case "carry":
                await office.carry()
            case "crash":
                await self._crash()
            case "weather":
                answer = _WEATHER[str(value)]
                office.sink.script = SinkScript(
                    recipients={_to(n).encode(): answer for n in range(6)} if answer is not None else {}
                )
            case _:
                await self._act(what, int(value))

    async def _send(self, number: int) -> None:
        answer = await self.office.submit(letter(f"mail {number}"), _to(number))
        if answer.reply is not None and answer.reply.code == 250:
            self.promised.add(number)
            self.items[number] = next(w.strip(",") for w in answer.reply.text.split() if w.startswith("q_"))
            self.deleted.discard(number)

    async def _act(self, verb: str, number: int) -> None:
        if number not in self.items:
            return
        try:
            await self.office.act("mona", f"quarantine.{verb}", item=self.items[number], reason="as drawn")
        except RefusedError:
            return
        if verb == "delete":
            self.deleted.add(number)

    async def _crash(self) -> None:
        """Die between the next hop's answer and our row, and start anew."""
        done = self.office.engine.done
        self.crashes += 1

        async def die(*_: object) -> bool:
            raise PortError("killed", temporary=True)

        self.office.engine.done = die  # type: ignore[method-assign,assignment]
        await self.office.worker.drain_once(self.office.clock.now())
        self.office.engine.done = done  # type: ignore[method-assign]
        self.office.anew()

    async def end(self) -> None:
        """Let time do the rest, in fine weather."""
        self.office.sink.script = SinkScript()
        for _ in range(3):
            await self.office.strike(hours=25)
            self.office.clock.advance(hours=2)
            await self.office.carry()


async def _holds(steps: list[tuple[str, int | str]]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        async with open_holding(Path(folder)) as office:
            office.script.codes = CONTESTABLE
            run = _Run(office)
            for what, value in steps:
                await run.step(what, value)
            await run.end()
            assert await office.items() == [], "nothing waits for ever"
            on = [m for m in office.sink.messages if m.rcpts != (f"TO:<{ALICE}>".encode(),)]
            back = [m for m in office.sink.messages if m.rcpts == (f"TO:<{ALICE}>".encode(),)]
            for number in run.promised - run.deleted:
                is_on = any(m.rcpts == (f"TO:<{_to(number)}>".encode(),) for m in on)
                is_back = any(f"rfc822; {_to(number)}".encode() in m.raw for m in back)
                assert is_on or is_back, f"mail {number} is gone"
            names = [m.raw.split(b"\r\n", 1)[0] for m in on]
            assert len(names) - len(set(names)) <= run.crashes, "a double without a crash"


@settings(max_examples=10, deadline=None)
@given(st.lists(_STEP, min_size=3, max_size=14))
def test_prop_hold_conserves_mail(steps: list[tuple[str, int | str]]) -> None:
    asyncio.run(_holds(steps))
