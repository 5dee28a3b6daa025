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
    messages: list[tuple[int, str]] = []
    deliveries: list[tuple[int, str]] = []
    base = int(NOON.timestamp() // 60)
    for minutes, (number, recipients) in sent:
        now = base + minutes
        request = mail(number, NOON + timedelta(minutes=minutes), recipients=recipients)
        window.add(request)
        _place(messages, request.evidence_key, now)
        for key in request.delivery_keys:
            _place(deliveries, key, now)
        counts = window.counts(request.at)
        for name, span in (("10min", 10), ("hour", 60), ("day", 1440)):
            assert getattr(counts, f"messages_{name}") == sum(1 for then, _ in messages if 0 <= now - then < span)
            assert getattr(counts, f"recipients_{name}") == sum(1 for then, _ in deliveries if 0 <= now - then < span)


def _place(placed: list[tuple[int, str]], key: str, now: int) -> None:
    """Once a day; what is tried again an hour later counts in the hour it is tried in."""
    known = next((i for i in range(len(placed) - 1, -1, -1) if placed[i][1] == key), None)
    if known is None or abs(now - placed[known][0]) >= 1440:
        placed.append((now, key))
    elif now - placed[known][0] >= 60:
        placed[known] = (now, key)
