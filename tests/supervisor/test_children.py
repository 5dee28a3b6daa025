"""What the family makes of a child's life and words, without a process."""

from __future__ import annotations

import socket
import time

import pytest

from filterd.errors import ConfigError, ModelError
from filterd.supervisor.channel import Channel, Fault, written
from filterd.supervisor.children import Child
from filterd.supervisor.patience import Patience

PATIENCE = Patience()


async def nothing(*_: object) -> None:
    return None


def child(**more: object) -> Child:
    return Child(name="w0", role="worker", start=nothing, **more)  # type: ignore[arg-type]


def test_the_pause_doubles_to_a_limit_and_a_long_life_forgives_all():
    one = child()
    pauses = []
    for _ in range(8):
        one.born_at = time.monotonic()
        pauses.append(one.ended(PATIENCE))
    assert pauses == [0.4, 0.8, 1.6, 3.2, 6.4, 10.0, 10.0, 10.0]
    one.born_at = time.monotonic() - 11
    assert one.ended(PATIENCE) == 0.2


def test_who_hung_has_failed_however_long_it_lived():
    one = child(born_at=time.monotonic() - 1000, has_hung=True)
    assert one.ended(PATIENCE) == 0.4


@pytest.mark.parametrize(
    ("age_s", "quiet_s", "is_ready", "expected"),
    [(1000, 29, True, False), (1000, 31, True, True), (59, 59, False, False), (61, 61, False, True)],
)
def test_silence_is_judged_by_where_it_is_in_its_life(age_s: float, quiet_s: float, is_ready: bool, expected: bool):
    now = time.monotonic()
    one = child(pid=1, born_at=now - age_s, heard_at=now - quiet_s, is_ready=is_ready)
    assert one.is_silent(PATIENCE) is expected
    one.pid = 0
    assert not one.is_silent(PATIENCE)


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
