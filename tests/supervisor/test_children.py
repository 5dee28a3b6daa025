"""What the family makes of a child's life and words, without a process."""

from __future__ import annotations

import socket
from types import SimpleNamespace

import pytest

from filterd.errors import ConfigError, ModelError
from filterd.supervisor import children, family
from filterd.supervisor.channel import Channel, Fault, written
from filterd.supervisor.children import Child
from filterd.supervisor.family import Family
from filterd.supervisor.patience import Patience

PATIENCE = Patience()


async def nothing(*_: object) -> None:
    return None


def child(**more: object) -> Child:
    return Child(name="w0", role="worker", start=nothing, **more)  # type: ignore[arg-type]


def parent_of(*children: Child) -> Family:
    """A family that has no processes."""
    parent = Family.__new__(Family)
    parent._sink, parent._workers, parent._ledger, parent._patience = [], list(children[1:]), children[0], PATIENCE
    return parent


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The monotonic clock of the family, which the test turns."""
    now = [5000.0]
    for room in (children, family):
        monkeypatch.setattr(room, "time", SimpleNamespace(monotonic=lambda: now[0]))
    return now


def test_the_pause_doubles_to_a_limit_and_a_long_life_forgives_all(clock: list[float]):
    one = child()
    pauses = []
    for _ in range(8):
        one.born_at = clock[0]
        pauses.append(one.ended(PATIENCE))
    assert pauses == [0.4, 0.8, 1.6, 3.2, 6.4, 10.0, 10.0, 10.0]
    clock[0] += 11
    assert one.ended(PATIENCE) == 0.2
    assert one.not_before == clock[0] + 0.2


def test_who_hung_has_failed_however_long_it_lived(clock: list[float]):
    one = child(born_at=clock[0] - 1000, has_hung=True)
    assert one.ended(PATIENCE) == 0.4


@pytest.mark.parametrize(
    ("age_s", "quiet_s", "is_ready", "expected"),
    [(1000, 29, True, False), (1000, 31, True, True), (59, 59, False, False), (61, 61, False, True)],
)
def test_silence_is_judged_by_where_it_is_in_its_life(age_s: float, quiet_s: float, is_ready: bool, expected: bool):
    now = 5000.0
    one = child(pid=1, born_at=now - age_s, heard_at=now - quiet_s, is_ready=is_ready)
    assert one.is_silent(PATIENCE, now) is expected
    one.pid = 0
    assert not one.is_silent(PATIENCE, now)


def test_nobody_feeds_the_watchdog_while_a_child_is_silent(clock: list[float], monkeypatch: pytest.MonkeyPatch):
    fed: list[float] = []
    monkeypatch.setattr(family.systemd, "notify", lambda *_: fed.append(clock[0]))
    one = child(pid=1, heard_at=clock[0], is_ready=True)
    parent = parent_of(one, child(pid=2, heard_at=clock[0] + 1000, is_ready=True))
    parent._watchdog_s, parent._fed_at = 10.0, 0.0
    begin = clock[0]
    for _ in range(61):
        parent._feed()
        clock[0] += 1
    # Every third of the asked time; not once more after thirty seconds without a word.
    assert fed == [begin, begin + 10, begin + 20, begin + 30]
    one.heard_at = clock[0]
    parent._feed()
    assert fed[-1] == clock[0]


def test_a_supervisor_that_was_asleep_blames_nobody(clock: list[float]):
    one = child(pid=1, heard_at=clock[0], is_ready=True)
    parent = parent_of(one)
    parent._turned_at = clock[0]
    clock[0] += 1000
    parent._excuse()
    assert not one.is_silent(PATIENCE, parent._turned_at)
    # One that is awake does.
    for _ in range(301):
        clock[0] += 0.1
        parent._excuse()
    assert one.is_silent(PATIENCE, parent._turned_at)


def test_words_come_whole_and_in_order_however_they_are_cut():
    ours, theirs = socket.socketpair()
    one = child(channel=Channel(ours))
    octets = written({"say": "ready"}) + written({"say": "done", "number": 7})
    theirs.send(octets[:5])
    one.hear()
    assert not one.is_ready
    theirs.send(octets[5:])
    one.hear()
    assert (one.is_ready, set(one.answers)) == (True, {7})
    theirs.close()
    one.hear()
    assert one.channel is None
    assert one.tell({"do": "drop"}) is False


def test_a_fault_tells_what_was_said_on_purpose_and_nothing_else():
    wrong = ConfigError("is no number", file="c.toml", line=3, key="a.b")
    assert Fault.of(wrong) == Fault(text="c.toml:3: a.b: is no number", file="c.toml", line=3, key="a.b")
    assert Fault.of(ModelError("m: truncated")).text == "m: truncated"
    assert Fault.of(ValueError("words of the mail")).text == "internal error: ValueError"
    assert Fault.of(PermissionError(13, "Permission denied", "/x")).text == "/x: Permission denied"
