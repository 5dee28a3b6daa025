"""One account's windows: the same as counting by hand, in bounded memory."""

from __future__ import annotations

from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from filterd.ledger.seen import Seen
from filterd.ledger.sliding import Sliding
from filterd.ledger.windows import Window, minute_of
from tests.kit.clock import NOON
from tests.ledger.mails import mail

pytestmark = pytest.mark.slow


def test_memory_has_an_end() -> None:
    window = Window(seen=Seen())
    for number in range(45_000):
        window.add(mail(number, NOON + timedelta(seconds=number), recipients=2, to=f"{number}-"))
    assert window.weight < 70_000
    rates = window.rates(minute_of(NOON + timedelta(seconds=44_999)))
    assert (rates.day[0], rates.hour[0]) == (45_000, 3_600)


# Minute and key.
Placed = list[tuple[int, str]]
MAILS = st.tuples(st.integers(0, 5), st.integers(1, 4))
# Out of order within a day, or in order over many: in both nothing that counts is forgotten.
WITHIN_A_DAY = st.lists(st.tuples(st.integers(0, 1439), MAILS), max_size=40)
IN_ORDER = st.lists(st.tuples(st.integers(0, 1500), MAILS), max_size=40).map(
    lambda steps: [(sum(step for step, _ in steps[: i + 1]), sent) for i, (_, sent) in enumerate(steps)]
)


@settings(deadline=None)
@given(WITHIN_A_DAY | IN_ORDER)
def test_against_a_naive_count(sent: list[tuple[int, tuple[int, int]]]) -> None:
    window = Window(seen=Seen())
    messages: tuple[Placed, Placed] = ([], [])
    deliveries: tuple[Placed, Placed] = ([], [])
    base = int(NOON.timestamp() // 60)
    for minutes, (number, recipients) in sent:
        now = base + minutes
        request = mail(number, NOON + timedelta(minutes=minutes), recipients=recipients)
        window.add(request)
        _place(*messages, request.evidence_key, now)
        for key in request.delivery_keys:
            _place(*deliveries, key, now)
        rates = window.rates(now)
        for name, span, is_day in (("ten", 10, 0), ("hour", 60, 0), ("day", 1440, 1)):
            for what, placed in enumerate((messages[is_day], deliveries[is_day])):
                assert getattr(rates, name)[what] == sum(1 for then, _ in placed if 0 <= now - then < span)


def _place(hours: Placed, days: Placed, key: str, now: int) -> None:
    """Once a day, where it was first; what is tried again an hour later counts in the hour it is tried in."""
    first = next((then for then, name in reversed(days) if name == key), None)
    last = next((then for then, name in reversed(hours) if name == key), None)
    if first is None or last is None or abs(now - first) >= 1440:
        days.append((now, key))
        hours.append((now, key))
    elif now - last >= 60:
        hours.append((now, key))


def test_what_waits_for_a_limit_a_day_does_not_use_up_the_next_one() -> None:
    window, waiting, passed = Window(seen=Seen()), list(range(120)), [0, 0, 0]
    for minutes in range(0, 3 * 1440, 60):
        at = NOON + timedelta(minutes=minutes)
        for number in tuple(waiting):
            window.add(mail(number, at, to=f"{number}-"))
            if window.rates(minute_of(at)).day[0] <= 50:
                waiting.remove(number)
                passed[minutes // 1440] += 1
    assert passed == [50, 50, 20]


@settings(deadline=None)
@given(
    st.lists(
        st.tuples(st.integers(-3000, 3000), st.integers(1, 5), st.sampled_from(["add", "add", "look", "forget"])),
        max_size=60,
    )
)
def test_sums_that_slide_are_those_counted_anew(steps: list[tuple[int, int, str]]) -> None:
    sliding, kept = Sliding((10, 60, 1440)), dict[int, int]()
    for minute, number, what in steps:
        match what:
            case "add":
                sliding.add(minute, (number, 0, 0, 2 * number))
                kept[minute] = kept.get(minute, 0) + number
            case "forget":
                sliding.forget(minute, 1440)
                kept = {then: n for then, n in kept.items() if abs(minute - then) <= 1440}
        if what != "add":
            expected = [sum(n for then, n in kept.items() if 0 <= minute - then < span) for span in (10, 60, 1440)]
            assert list(sliding.look(minute)) == [(n, 0, 0, 2 * n) for n in expected]


@pytest.mark.parametrize("step", [1, 3, 70, 1500])
def test_a_way_back_and_forth_ends_where_it_began(step: int) -> None:
    sliding = Sliding((10, 60, 1440))
    for minute in range(6000):
        sliding.add(minute, (1, 0, 0, 0))
    for now in (4000, 4000 + step, 4000, 4000 - step, 4000):
        assert [sums[0] for sums in sliding.look(now)] == [min(span, now + 1) for span in (10, 60, 1440)]


def test_what_an_account_costs_does_not_grow_with_its_recipients(monkeypatch: pytest.MonkeyPatch) -> None:
    window, gone_through, true = Window(seen=Seen()), list[int](), Seen.forget

    def forget(seen: Seen, now: int) -> None:
        gone_through.append(seen.weight)
        true(seen, now)

    monkeypatch.setattr(Seen, "forget", forget)
    for number in range(400):
        window.add(mail(number, NOON + timedelta(seconds=number // 10), recipients=1000, to=f"{number}-"))
        window.rates(minute_of(NOON))
    assert window.weight < 70_000
    assert window.rates(minute_of(NOON + timedelta(seconds=100))).hour[1] == 400_000
    # All keys are gone through when there are too many, and then a tenth makes room: not at every mail.
    assert 50 < len(gone_through) < 200
    assert max(gone_through) < 70_000


def test_what_another_node_said_is_forgotten_with_its_minute() -> None:
    window, now = Window(seen=Seen()), minute_of(NOON)
    window.add(mail(1, NOON))
    for age in range(100):
        window.hear("node2", now - age, (1, 1, 0, 0))
    assert window.rates(now).day[0] == 101
    window.add(mail(2, NOON + timedelta(days=2)))
    assert (window.others, window.rates(now + 2880).day[0]) == ({}, 1)
    # An old one said again would be added to its day a second time.
    days = dict(window.days)
    window.hear("node2", now, (1, 1, 0, 0))
    assert window.days == days
