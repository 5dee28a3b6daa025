"""Submissions to count, many in a frame: nobody waits longer for it, and everybody gets an answer of their own."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from filterd.errors import LedgerUnavailable, PortError, RefusedError, UsageError
from filterd.ledger import link, remote, server
from filterd.ledger.batches import CountAnswer, CountBatches
from filterd.ledger.engine import LedgerEngine
from filterd.model.decision import Counts
from filterd.ports import CountRequest
from tests.kit.waiting import PATIENCE_S, soon
from tests.ledger.link_house import House
from tests.ledger.mails import mail

pytestmark = [pytest.mark.one_store("sqlite"), pytest.mark.slow]


@pytest.fixture
def frames(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """The heads of all frames that either end writes."""
    seen: list[dict[str, Any]] = []

    def frame(head: Any, body: bytes = b"") -> bytes:
        seen.append(dict(head))
        return link.frame(head, body)

    monkeypatch.setattr(remote, "frame", frame)
    monkeypatch.setattr(server, "frame", frame)
    return seen


def verbs(frames: list[dict[str, Any]]) -> list[str]:
    return [head["verb"] for head in frames if "verb" in head]


class Slow:
    """Loads of an engine's counters wait until told."""

    def __init__(self, engine: LedgerEngine, monkeypatch: pytest.MonkeyPatch):
        self.gate = asyncio.Event()
        self.asked = 0
        self._submit = engine.counters._submit
        monkeypatch.setattr(engine.counters, "_submit", self)

    async def __call__(self, function: Callable[[Any], Any], *about: Any) -> Any:
        self.asked += 1
        await self.gate.wait()
        return await self._submit(function, *about)


async def test_what_is_asked_in_one_turn_goes_in_one_frame(house: House, frames: list[dict[str, Any]]) -> None:
    remote = await house.client()
    await remote.count(mail("warm"))
    frames.clear()
    counts = await asyncio.gather(*(remote.count(mail(number)) for number in range(50)))
    assert [found.messages_hour for found in counts] == list(range(2, 52))
    assert len(frames) == 2
    assert verbs(frames) == ["count_many"]


async def test_whoever_is_alone_goes_at_once(house: House, frames: list[dict[str, Any]]) -> None:
    remote = await house.client()
    await remote.count(mail("warm"))
    frames.clear()
    for number in range(5):
        await remote.count(mail(number))
    assert len(frames) == 10


async def test_what_comes_while_a_frame_is_under_way_goes_together(house: House, frames: list[dict[str, Any]]) -> None:
    remote = await house.client()
    await remote.count(mail("warm"))
    frames.clear()
    asking = []
    for number in range(20):
        asking.append(asyncio.create_task(remote.count(mail(number))))
        # Each in a turn of its own, and none of them long enough for an answer.
        await asyncio.sleep(0)
    await asyncio.gather(*asking)
    assert len(verbs(frames)) <= 6


async def test_nobody_waits_for_another_one_s_look_up(
    house: House, monkeypatch: pytest.MonkeyPatch, frames: list[dict[str, Any]]
) -> None:
    remote = await house.client()
    await remote.count(mail("warm"))
    slow = Slow(house.engine, monkeypatch)
    cold = [asyncio.create_task(remote.count(mail(n, account_id="a_cold"))) for n in range(3)]
    with_it = asyncio.create_task(remote.count(mail(1)))
    assert (await asyncio.wait_for(with_it, PATIENCE_S)).messages_hour == 2
    # Nor does the next frame.
    assert (await asyncio.wait_for(remote.count(mail(2)), PATIENCE_S)).messages_hour == 3
    assert not any(task.done() for task in cold)
    slow.gate.set()
    assert sorted(found.messages_hour for found in await asyncio.gather(*cold)) == [1, 2, 3]


async def test_errors_are_each_one_s_own(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    remote = await house.client()
    await remote.count(mail("warm"))
    count_warm = house.engine.counters.count_warm
    wrong: dict[str, Exception] = {
        "a_away": LedgerUnavailable("disk full"),
        "a_bug": ZeroDivisionError("secret"),
        "a_usage": UsageError("no such thing"),
    }

    def fail_some(request: CountRequest) -> Counts | None:
        if request.account_id in wrong:
            raise wrong[request.account_id]
        return count_warm(request)

    monkeypatch.setattr(house.engine.counters, "count_warm", fail_some)
    names = ["a_1", *wrong, "a_1"]
    found = await asyncio.gather(
        *(remote.count(mail(n, account_id=name)) for n, name in enumerate(names)), return_exceptions=True
    )
    assert [type(item) for item in found] == [Counts, LedgerUnavailable, PortError, UsageError, Counts]
    assert [str(item) for item in found[1:4]] == ["disk full", "ledger: internal error in 'count'", "no such thing"]


async def test_a_look_up_that_fails_is_its_own_request_s_error(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    remote = await house.client()
    await remote.count(mail("warm"))

    async def away(function: Any, about: Any = None) -> Any:
        raise LedgerUnavailable("disk full")

    monkeypatch.setattr(house.engine.counters, "_submit", away)
    cold, warm = await asyncio.gather(
        remote.count(mail(1, account_id="a_2")), remote.count(mail(1)), return_exceptions=True
    )
    assert (str(cold), type(warm)) == ("disk full", Counts)


async def test_each_has_a_deadline_and_disturbs_nobody(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    remote = await house.client()
    await remote.count(mail("warm"))
    slow = Slow(house.engine, monkeypatch)
    remote._deadline_s = 0.2
    with pytest.raises(LedgerUnavailable, match=r"no answer to 'count' in 0\.2 s"):
        await remote.count(mail(1, account_id="a_cold"))
    remote._deadline_s = PATIENCE_S
    assert (await remote.count(mail(2))).messages_hour == 2
    slow.gate.set()
    # The late answer belongs to nobody.
    await soon(lambda: not remote._counts._frames)
    assert (await remote.count(mail(3))).messages_hour == 3


async def test_whoever_gives_up_before_the_frame_is_not_counted(house: House) -> None:
    remote = await house.client()
    await remote.count(mail("warm"))
    asking = asyncio.create_task(remote.count(mail(1)))
    held = [asyncio.create_task(remote.count(mail(n))) for n in (2, 3)]
    await asyncio.sleep(0)
    held[0].cancel()
    await asyncio.gather(asking, *held, return_exceptions=True)
    assert (await remote.count(mail(4))).messages_hour == 4


async def test_a_broken_connection_fails_all(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    remote = await house.client()
    await remote.count(mail("warm"))
    slow = Slow(house.engine, monkeypatch)
    cold = [asyncio.create_task(remote.count(mail(n, account_id="a_cold"))) for n in range(3)]
    await soon(lambda: slow.asked)
    for client in house.server._clients:
        client.writer.transport.abort()
    for task in cold:
        with pytest.raises(LedgerUnavailable, match="the connection broke"):
            await asyncio.wait_for(task, PATIENCE_S)
    slow.gate.set()
    await soon(lambda: remote.is_connected)
    assert (await remote.count(mail(9))).messages_hour == 2


async def test_a_ledger_of_the_version_before_is_asked_one_by_one(house: House, frames: list[dict[str, Any]]) -> None:
    remote = await house.client()
    remote._version = 1
    frames.clear()
    counts = await asyncio.gather(*(remote.count(mail(number)) for number in range(5)))
    assert [found.messages_hour for found in counts] == [1, 2, 3, 4, 5]
    assert verbs(frames) == ["count"] * 5


async def test_only_filterd_itself_may_ask(house: House) -> None:
    remote = await house.client()
    await soon(lambda: house.server._clients)
    for client in house.server._clients:
        client._is_own = False
    with pytest.raises(RefusedError, match="own processes"):
        await remote.count(mail(1))


async def test_a_frame_has_an_end(monkeypatch: pytest.MonkeyPatch) -> None:
    sent: list[int] = []
    batches: CountBatches

    def send(requests: tuple[CountRequest, ...]) -> int:
        sent.append(sum(len(request.delivery_keys) for request in requests))
        number, count = len(sent), len(requests)
        answers = [CountAnswer(place=place, counts=Counts()) for place in range(count)]
        asyncio.get_running_loop().call_soon(lambda: batches.take(number, {}, answers))
        return number

    batches = CountBatches(send)
    sizes = [1] * 600 + [9_000, 9_000, 9_000, 50_000, 3]
    asking = asyncio.gather(*(batches.count(mail(n, recipients=k)) for n, k in enumerate(sizes)))
    await asyncio.wait_for(asking, PATIENCE_S)
    assert sent == [256, 256, 88 + 18_000, 9_000, 50_000, 3]
    assert not batches._frames


async def test_what_cannot_be_sent_fails_and_the_next_goes() -> None:
    async def ask(number: int) -> str:
        try:
            await batches.count(mail(number))
        except UsageError as err:
            return str(err)
        return "counted"

    def send(requests: tuple[CountRequest, ...]) -> int:
        raise UsageError(f"too large: {len(requests)}")

    batches = CountBatches(send)
    assert await asyncio.gather(*(ask(n) for n in range(3))) == ["too large: 3"] * 3
    assert await ask(9) == "too large: 1"


async def test_many_clients_at_once(house: House, tmp_path: Path) -> None:
    remotes = [await house.client() for _ in range(4)]
    asking = [remotes[n % 4].count(mail(n, account_id=f"a_{n % 7}", tenant_id="n_1")) for n in range(280)]
    counts = await asyncio.gather(*asking)
    assert sorted(found.tenant_messages_day for found in counts) == list(range(1, 281))
