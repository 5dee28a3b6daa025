"""A slow drip: the same text to hundreds of strangers, some each day.  STANDING 5.11, 7.3 story_s3 step 5."""

from __future__ import annotations

import random
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from filterd.errors import LedgerUnavailable
from filterd.ledger.drips import DAYS, NEAR_BITS, RUNS_AT_MOST, Drips, subject
from filterd.ledger.engine import LedgerEngine
from filterd.ledger.schema import COUNT_DAY
from filterd.mail.fingerprint import text_fp
from filterd.model.decision import NO_TEXT
from filterd.model.ids import keyed_hash
from filterd.pipeline.counting import veiled
from filterd.ports import CountRequest
from tests.kit.clock import FrozenClock
from tests.ledger.rig import KEYS, open_engine

pytestmark = pytest.mark.slow

TEXT = 0x0123456789ABCDEF
TODAY = date(2026, 3, 2).toordinal()
# Far from it, and from each other.
OTHERS = [random.Random(number).getrandbits(64) for number in range(500)]
ALICE = "a_1"


def mail(clock: FrozenClock, name: str, *people: str, text: int | None = TEXT, outside: bool = True) -> CountRequest:
    return CountRequest(
        account_id=ALICE,
        at=clock.now(),
        evidence_key=f"ev_{name}",
        delivery_keys=tuple(f"dl_{name}_{who}" for who in people),
        recipient_hashes=tuple(keyed_hash(KEYS.pseudonym, who) for who in people),
        is_external=(outside,) * len(people),
        text="" if text is None else f"{text:016x}",
    )


async def dripped(engine: LedgerEngine, clock: FrozenClock, day: int, per_day: int, *, text: int | None = TEXT) -> int:
    """Have alice write to so many strangers on a day; say what the last of these mails came to."""
    count = 0
    for number in range(per_day):
        name = f"{day}-{number}"
        count = (await engine.counters.count(mail(clock, name, f"{name}@x.example", text=text))).drip_strangers
    clock.advance(86_400)
    return count


# --- over days --------------------------------------------------------------------------------------------------------


async def test_three_hundred_strangers_in_ten_days_are_seen_as_one_run(
    engine: LedgerEngine, clock: FrozenClock
) -> None:
    assert [await dripped(engine, clock, day, 30) for day in range(10)] == [30 * (day + 1) for day in range(10)]
    # The day before yesterday's correspondents are not strangers, and nobody they heard of.
    assert (await engine.counters.count(mail(clock, "home", "bob@own.example", outside=False))).drip_strangers == 0


async def test_what_was_held_does_not_pass_at_the_second_try(engine: LedgerEngine, clock: FrozenClock) -> None:
    first = mail(clock, "one", "ann@x.example")
    assert (await engine.counters.count(first)).drip_strangers == 1
    assert (await engine.counters.count(first)).drip_strangers == 1
    again = mail(clock, "two", "ann@x.example")
    assert (await engine.counters.count(again)).drip_strangers == 1
    # Whom one has known for a month is no stranger, whatever else drips.
    clock.advance(86_400 * DAYS)
    await engine.counters.count(mail(clock, "three", "eve@x.example"))
    assert (await engine.counters.count(mail(clock, "four", "ann@x.example"))).drip_strangers == 0


async def test_who_wrote_first_is_answered_and_no_stranger(engine: LedgerEngine, clock: FrozenClock) -> None:
    """A help desk answers with one template; whoever else gets it is a stranger."""
    today = clock.now().date()

    def reply(name: str, who: str) -> CountRequest:
        return replace(mail(clock, name, who), tenant_id="t_1", wrote_since=today - timedelta(days=30))

    people = [f"{number}@x.example" for number in range(5)]
    rows = [("t_1", keyed_hash(KEYS.pseudonym, who), today) for who in people]
    # Too long ago, and to somebody else.
    rows += [("t_1", keyed_hash(KEYS.pseudonym, "old@x.example"), today - timedelta(days=31))]
    rows += [("t_2", keyed_hash(KEYS.pseudonym, "other@x.example"), today)]
    await engine.submit(lambda txn: txn.note_senders(rows))
    for again in ("", " again"):
        for who in people:
            assert (await engine.counters.count(reply(who + again, who))).drip_strangers == 0, (who, again)
    for number, who in enumerate(("old@x.example", "other@x.example", "eve@x.example")):
        assert (await engine.counters.count(reply(who, who))).drip_strangers == number + 1
    # And who is answered hears nothing of what drips to others.
    assert (await engine.counters.count(reply("once more", people[0]))).drip_strangers == 0


async def test_while_nobody_can_say_who_wrote_first_nobody_is_taken_for_a_stranger(
    engine: LedgerEngine, clock: FrozenClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    since = clock.now().date()

    async def count(name: str) -> int:
        request = replace(mail(clock, name, f"{name}@x.example"), tenant_id="t_1", wrote_since=since)
        return (await engine.counters.count(request)).drip_strangers

    assert await count("ann") == 1

    async def away(*_: Any, **__: Any) -> Any:
        raise LedgerUnavailable("away")

    with monkeypatch.context() as patched:
        patched.setattr(engine.counters, "_submit", away)
        assert await count("bob") == 0
    assert await count("eve") == 2


async def test_a_month_later_it_is_forgotten(engine: LedgerEngine, clock: FrozenClock) -> None:
    assert await dripped(engine, clock, 0, 5) == 5
    clock.advance(86_400 * (DAYS - 2))
    assert await dripped(engine, clock, 1, 1) == 6
    assert await dripped(engine, clock, 2, 1) == 2


async def test_texts_that_differ_are_no_run_and_no_text_is_none(engine: LedgerEngine, clock: FrozenClock) -> None:
    near = TEXT ^ ((1 << NEAR_BITS) - 1)
    assert await dripped(engine, clock, 0, 3) == 3
    assert await dripped(engine, clock, 1, 1, text=near) == 4
    assert await dripped(engine, clock, 2, 1, text=~TEXT & (2**64 - 1)) == 1
    assert await dripped(engine, clock, 3, 3, text=None) == 0


# --- restart, erasure, bounds -----------------------------------------------------------------------------------------


async def test_it_outlives_a_restart(state_dir: Path, clock: FrozenClock) -> None:
    first = open_engine(state_dir, clock)
    await dripped(first, clock, 0, 7)
    await first.counters.flush()
    await dripped(first, clock, 1, 2)
    await first.counters.flush()
    await first.close()
    second = open_engine(state_dir, clock)
    assert await dripped(second, clock, 2, 1) == 10
    await second.close()


async def test_an_erased_account_leaves_no_run(engine: LedgerEngine, clock: FrozenClock) -> None:
    await dripped(engine, clock, 0, 2)
    await engine.counters.flush()

    def rows() -> list[str]:
        names = engine.run(lambda txn: txn.connection.execute(select(COUNT_DAY.c.subject_id)).scalars().all())
        return [name for name in names if name.startswith("d_")]

    assert rows() == [subject(ALICE, TEXT)]
    engine.run(lambda txn: txn.erase_subject(f"{ALICE}_longer"))
    assert len(rows()) == 1
    engine.run(lambda txn: txn.erase_subject(ALICE))
    assert rows() == []


def test_noise_does_not_hide_what_drips_and_memory_is_bounded() -> None:
    drips, said = Drips(), 0
    for day in range(10):
        said = drips.take(TEXT, 30, TODAY + day)
        for noise in OTHERS[day * 50 : day * 50 + 50]:
            drips.take(noise, 1, TODAY + day)
    assert said == 300
    assert len(drips.own) <= RUNS_AT_MOST
    assert drips.weight <= RUNS_AT_MOST * DAYS


def test_what_other_nodes_counted_is_added_once_however_often_it_is_heard() -> None:
    drips = Drips()
    drips.take(TEXT, 10, TODAY)
    for _ in range(3):
        drips.hear({TEXT ^ 1: {TODAY: 5}, OTHERS[0]: {TODAY: 7}})
    assert drips.take(TEXT, 1, TODAY) == 16
    drips.hear({TEXT ^ 1: {TODAY: 6}})
    assert drips.take(TEXT, 1, TODAY) == 18
    assert drips.take(TEXT, 0, TODAY + DAYS) == 0


async def test_two_nodes_on_one_store_know_each_other_s_runs(state_dir: Path, clock: FrozenClock) -> None:
    """Each reads what the other wrote when it looks the account up, and after it has written of it itself."""
    one = open_engine(state_dir, clock)
    await dripped(one, clock, 0, 4)
    await one.counters.flush()
    name = subject(ALICE, TEXT ^ 3)
    day = (clock.now().date() - timedelta(days=1)).isoformat()
    row = {"subject_id": name, "day": day, "node": "another", "messages": 0, "recipients": 9}
    one.run(lambda txn: txn.connection.execute(COUNT_DAY.insert(), row))
    await one.close()
    two = open_engine(state_dir, clock)
    assert await dripped(two, clock, 1, 1) == 14
    await two.close()


# --- the fingerprint --------------------------------------------------------------------------------------------------


def test_a_veiled_print_keeps_nearness_within_an_account_and_shows_nothing_else() -> None:
    letters = [
        f"Dear {who}, your lucky evening begins with us. Open an account today and play with twice of what you bring;"
        " our tables are open day and night, the croupiers are friendly, and what you win is yours within the hour."
        " Write to the number in the picture, and somebody will show you how."
        for who in ("Ann", "Bob Smith", "Clarissa")
    ]
    prints = [text_fp(x) for x in letters]
    veils = [veiled(KEYS.pseudonym, ALICE, x) for x in prints]
    for left, right, one, other in zip(prints, prints[1:], veils, veils[1:], strict=False):
        plain = (int(left, 16) ^ int(right, 16)).bit_count()
        assert (int(one, 16) ^ int(other, 16)).bit_count() == plain <= NEAR_BITS
    assert set(veils).isdisjoint(prints)
    # Of two accounts the same text has two prints, so that a store does not show who sends alike.
    assert (int(veiled(KEYS.pseudonym, "a_2", prints[0]), 16) ^ int(veils[0], 16)).bit_count() > NEAR_BITS
    assert veiled(KEYS.pseudonym, ALICE, NO_TEXT) == veiled(KEYS.pseudonym, ALICE, "") == ""
