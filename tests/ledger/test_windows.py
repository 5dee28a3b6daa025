"""One account's windows: the same as counting by hand, in bounded memory."""

from __future__ import annotations

from datetime import timedelta

from hypothesis import given, settings
from hypothesis import strategies as st

from filterd.ledger.windows import Window
from tests.kit.clock import NOON
from tests.ledger.mails import mail


def test_memory_has_an_end() -> None:
    window = Window()
    for number in range(45_000):
        window.add(mail(number, NOON + timedelta(seconds=number), recipients=2, to=f"{number}-"))
    assert window.weight < 70_000
    counts = window.counts(NOON + timedelta(seconds=44_999))
    assert (counts.messages_day, counts.messages_hour) == (45_000, 3_600)


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
    window = Window()
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
        counts = window.counts(request.at)
        for name, span, is_day in (("10min", 10, 0), ("hour", 60, 0), ("day", 1440, 1)):
            for what, placed in (("messages", messages[is_day]), ("recipients", deliveries[is_day])):
                assert getattr(counts, f"{what}_{name}") == sum(1 for then, _ in placed if 0 <= now - then < span)


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
    window, waiting, passed = Window(), list(range(120)), [0, 0, 0]
    for minutes in range(0, 3 * 1440, 60):
        at = NOON + timedelta(minutes=minutes)
        for number in tuple(waiting):
            window.add(mail(number, at, to=f"{number}-"))
            if window.counts(at).messages_day <= 50:
                waiting.remove(number)
                passed[minutes // 1440] += 1
    assert passed == [50, 50, 20]
