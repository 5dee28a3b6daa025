"""Counters of several nodes, and of several lives of one: the same as counting by hand, within the stated bound."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import create_engine, select
from sqlalchemy.pool import StaticPool

from filterd.ledger import volumes
from filterd.ledger.counters import Counters
from filterd.ledger.engine import LedgerEngine
from filterd.ledger.schema import COUNT_MINUTE, METADATA
from filterd.model.about import NOTHING, About
from filterd.model.decision import Counts
from filterd.ports import CountRequest
from tests.kit.clock import NOON, FrozenClock
from tests.kit.postgres import Postgres
from tests.ledger.mails import mail
from tests.ledger.naive_counts import SPANS, NaiveNode, minute
from tests.ledger.nodes import nodes

pytestmark = pytest.mark.slow

WHOSE = {"": "account_id", "tenant_": "tenant_id", "client_": "client_id"}


@dataclass
class Table:
    """The tables of the counters and nothing else: functions run one after the other, as in a writer thread."""

    now: datetime = NOON
    connection: Any = None
    submitted: list[About] = field(default_factory=list)

    def __post_init__(self) -> None:
        engine = create_engine("sqlite://", poolclass=StaticPool)
        METADATA.create_all(engine)
        self.connection = engine.connect()

    async def submit(self, function: Callable[[Any], Any], about: About = NOTHING) -> Any:
        self.submitted.append(about)
        await asyncio.sleep(0)
        return function(self)


@pytest.fixture
def table() -> Iterator[Table]:
    table = Table()
    yield table
    table.connection.close()


def pair(table: Table) -> list[Counters]:
    return [Counters(table.submit, node=f"node{number}", is_shared=True) for number in (1, 2)]


def submission(number: int, minutes: int, recipients: int, *, who: int = 0) -> CountRequest:
    at = NOON + timedelta(minutes=minutes)
    ids = {"account_id": f"a_{who}", "tenant_id": "n_1", "client_id": f"c_{number % 2}"}
    return mail(f"{who}-{number}", at, recipients=recipients, **ids)


# --- by hand ----------------------------------------------------------------------------------------------------------

# Which node; a submission (its number, minutes that pass before it or run back, recipients, account), or what happens:
# a flush, the process's end and a new one, with everything written before or not.
STEPS = st.lists(
    st.tuples(
        st.integers(0, 1),
        st.one_of(
            st.tuples(st.integers(0, 4), st.integers(-20, 90), st.integers(1, 3), st.integers(0, 1)),
            st.sampled_from(["flush", "flush", "restart", "crash"]),
        ),
    ),
    min_size=1,
    max_size=40,
)


@settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(STEPS)
def test_against_counting_by_hand(steps: list[tuple[int, Any]]) -> None:
    asyncio.run(_against_counting_by_hand(steps))


async def _against_counting_by_hand(steps: list[tuple[int, Any]]) -> None:
    table = Table()
    real = pair(table)
    # What was written by lives that are over, of the life that goes on, and how much of that is written.
    past: list[NaiveNode] = [NaiveNode(), NaiveNode()]
    life: list[NaiveNode] = [NaiveNode(), NaiveNode()]
    written: list[int] = [0, 0]
    clock = 0
    for node, step in steps:
        if step == "flush":
            await _exchange(real)
            written = [len(naive.minutes) for naive in life]
        elif step in ("restart", "crash"):
            if step == "restart":
                await real[node].flush()
                written[node] = len(life[node].minutes)
            past[node].minutes += life[node].minutes[: written[node]]
            life[node], written[node] = NaiveNode(), 0
            real[node] = pair(table)[node]
        else:
            number, minutes, recipients, who = step
            # Within a day in all, so that nothing is forgotten that would count again.
            clock = min(max(clock + minutes, 0), 1439)
            request = submission(number, clock, recipients, who=who)
            counts = await real[node].count(request)
            life[node].count(request)
            table.now = max(table.now, request.at)
            for what in ("messages", "recipients"):
                for span in SPANS:
                    for prefix, subject_field in WHOSE.items():
                        subject, now = getattr(request, subject_field), minute(request)
                        own = [life[node], past[node]]
                        other = [past[1 - node], life[1 - node]]
                        least = sum(naive.sum(subject, what, span, now) for naive in own)
                        most = least + sum(naive.sum(subject, what, span, now) for naive in other)
                        found = getattr(counts, f"{prefix}{what}_{span}")
                        # Never more than was sent, whoever has written and read what how often; our own all of it.
                        assert least <= found <= most
    await _exchange(real)
    # Once both have flushed twice, nothing is missing anywhere.
    now = int(NOON.timestamp()) // 60 + clock
    for subject in ("a_0", "a_1", "n_1", "c_0", "c_1"):
        for window in (counters._live.get(subject) for counters in real):
            if window is not None:
                for place, what in enumerate(("messages", "recipients")):
                    everything = sum(naive.sum(subject, what, "day", now) for naive in (*past, *life))
                    assert window.rates(now).day[place] == everything


async def _exchange(real: list[Counters]) -> None:
    for _ in range(2):
        for counters in real:
            await counters.flush()


# --- the bound --------------------------------------------------------------------------------------------------------


async def test_what_another_node_counted_is_there_after_two_flushes(table: Table) -> None:
    one, two = pair(table)
    await two.count(submission(0, 0, 1))
    await one.count(submission(1, 0, 3))
    assert (await two.count(submission(2, 0, 1))).messages_10min == 2
    await one.flush()
    await two.flush()
    counts = await two.count(submission(3, 0, 1))
    assert (counts.messages_10min, counts.recipients_10min) == (4, 6)
    assert (counts.tenant_messages_day, counts.tenant_recipients_hour) == (4, 6)
    # Nothing is added twice, however often it is written and read.
    for _ in range(4):
        await one.flush()
        await two.flush()
    counts = await two.count(submission(4, 0, 1))
    assert (counts.messages_10min, counts.recipients_10min) == (5, 7)
    assert (await one.count(submission(5, 0, 1))).messages_10min == 5


async def test_a_minute_that_grows_on_both_nodes(table: Table) -> None:
    one, two = pair(table)
    for number in range(6):
        await one.count(submission(2 * number, 0, 1))
        counts = await two.count(submission(2 * number + 1, 0, 1))
        await one.flush()
        await two.flush()
        assert counts.messages_10min == 2 * number + 1
    rows = table.connection.execute(
        select(COUNT_MINUTE.c.node, COUNT_MINUTE.c.messages).where(COUNT_MINUTE.c.subject_id == "a_0")
    ).all()
    assert sorted(map(tuple, rows)) == [("node1", 6), ("node2", 6)]


@pytest.mark.parametrize("ahead_s", [-3600, -1, 0, 1, 3600])
async def test_clocks_that_differ_hide_nothing(table: Table, ahead_s: int) -> None:
    """A stamp comes after every stamp that is stored, whatever the clock of the node that writes says."""
    one, two = pair(table)
    for counters in (one, two):
        await counters.count(submission(99, 0, 1))
    for number in range(5):
        table.now = NOON + timedelta(seconds=number)
        await one.count(submission(number, 0, 1))
        await one.flush()
        table.now = NOON + timedelta(seconds=number + ahead_s)
        await two.flush()
        counts = await two.count(submission(100 + number, 0, 1))
        # Its own, the other's first one, and all that the other has counted since.
        assert counts.messages_10min == 2 + 2 * (number + 1)


async def test_a_backlog_is_read_in_pages(table: Table, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(volumes, "_READ_AT_ONCE", 7)
    monkeypatch.setattr("filterd.ledger.counters._SAVED_AT_ONCE", 5)
    one, two = pair(table)
    for who in range(40):
        await two.count(submission(0, 0, 1, who=who))
        await one.count(submission(1, 0, 1, who=who))
    await one.flush()
    before = len(table.submitted)
    await two._hear()
    assert len(table.submitted) - before >= 5
    for who in range(40):
        assert (await two.count(submission(2, 0, 1, who=who))).messages_10min == 3


async def test_a_window_loaded_while_the_other_node_writes_misses_nothing(table: Table) -> None:
    one, two = pair(table)
    for number in range(10):
        await one.count(submission(number, 0, 1, who=number))
        # What two looks up now, and hears of in the same breath, it counts once.
        _, counts, _ = await asyncio.gather(one.flush(), two.count(submission(50, 0, 1, who=number)), two.flush())
        await two.flush()
        assert counts.messages_10min in (1, 2)
        assert (await two.count(submission(51, 0, 1, who=number))).messages_10min == 3


async def test_who_sends_through_another_node_now_is_put_away_here(table: Table) -> None:
    one, two = pair(table)
    await two.count(submission(0, 0, 1))
    await two.flush()
    for days in range(3):
        table.now = NOON + timedelta(days=days)
        await one.count(submission(days + 1, 1440 * days, 1))
        await one.flush()
        await two.flush()
    assert not two._windows
    assert (await two.count(submission(9, 2 * 1440 + 1, 1))).messages_day == 2


async def test_a_node_whose_clock_is_days_off_changes_nothing_here(table: Table) -> None:
    one, two = pair(table)
    await two.count(submission(0, 0, 1))
    for days in (40, -40):
        await one.count(submission(1 + days, 1440 * days, 1))
        await one.flush()
        table.now = NOON
        await two.flush()
    counts = await two.count(submission(9, 1, 1))
    assert (counts.messages_day, counts.baseline_recipients_day) == (2, 0.0)


async def test_only_writers_take_the_lock(table: Table) -> None:
    one, _ = pair(table)
    await one.count(submission(0, 0, 1))
    await one.flush()
    assert [about.names for about in table.submitted] == [frozenset(), frozenset({(4, "counters")}), frozenset()]


# --- real nodes -------------------------------------------------------------------------------------------------------


@pytest.mark.database
async def test_two_nodes_on_one_database(tmp_path: Path, postgres_server: Postgres) -> None:
    with nodes(tmp_path, postgres_server.new_database(), clock=FrozenClock()) as (one, two):
        asked = 0

        async def send(engine: LedgerEngine, number: int) -> Counts:
            nonlocal asked
            asked += 1
            return await engine.counters.count(submission(number, 0, 2, who=number % 3))

        async def flush(engine: LedgerEngine) -> None:
            for _ in range(20):
                await engine.counters.flush()

        for start in range(0, 300, 100):
            await asyncio.gather(
                *(send(engine, start + number) for number in range(50) for engine in (one,)),
                *(send(engine, start + 50 + number) for number in range(50) for engine in (two,)),
                flush(one),
                flush(two),
            )
        for engine in (one, two, one, two):
            await engine.counters.flush()
        counts = [await send(engine, 1000 + number) for number, engine in enumerate((one, two))]
        assert asked == 302
        assert [found.tenant_messages_day for found in counts] == [301, 301]
        assert [found.tenant_recipients_day for found in counts] == [602, 602]


@pytest.mark.database
async def test_a_node_that_comes_later_knows_it_all(tmp_path: Path, postgres_server: Postgres) -> None:
    url = postgres_server.new_database()
    with nodes(tmp_path, url, 1) as (one,):
        for number in range(10):
            await one.counters.count(submission(number, number, 1))
        await one.counters.flush()
    with nodes(tmp_path, url, 2) as (one, two):
        for engine, expected in ((two, 11), (one, 11)):
            assert (await engine.counters.count(submission(20, 10, 1))).messages_day == expected
