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
    log: list[tuple[int, str, set[str]]] = []
    base = int(NOON.timestamp() // 60)
    for minutes, (number, recipients) in sent:
        now = base + minutes
        request = mail(number, NOON + timedelta(minutes=minutes), recipients=recipients)
        window.add(request)
        fresh = {key for key in request.delivery_keys if not _seen(log, key, now)}
        log.append((now, "" if _seen(log, request.evidence_key, now) else request.evidence_key, fresh))
        counts = window.counts(request.at)
        for name, span in (("10min", 10), ("hour", 60), ("day", 1440)):
            inside = [row for row in log if 0 <= now - row[0] < span]
            assert getattr(counts, f"messages_{name}") == sum(1 for row in inside if row[1])
            assert getattr(counts, f"recipients_{name}") == sum(len(row[2]) for row in inside)


def _seen(log: list[tuple[int, str, set[str]]], key: str, now: int) -> bool:
    last = next((then for then, message, keys in reversed(log) if key == message or key in keys), None)
    return last is not None and abs(now - last) < 1440
