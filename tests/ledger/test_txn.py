"""What a function sees and may do: its own rows, one clock, ids, and nothing once it has ended."""

from __future__ import annotations

import asyncio
from datetime import datetime
from pathlib import Path

import pytest

from filterd.errors import ConfigError, UsageError
from filterd.ledger.engine import LedgerEngine
from filterd.ports import LedgerTxn
from tests.kit.clock import NOON, FrozenClock
from tests.ledger.groups import rows
from tests.ledger.rig import KEYS, WRITER, act, incident, incident_id, open_engine, sanction

pytestmark = pytest.mark.slow


async def test_rows_of_this_function_are_seen_by_it(engine: LedgerEngine) -> None:
    def look(txn: LedgerTxn) -> tuple[int, str | None, int]:
        act(txn, "a_1")
        return len(txn.records("a_1")), txn.account_of("x_a_1_1"), len(txn.history("a_1").sanctions)

    assert await engine.submit(look) == (3, "a_1", 1)


async def test_ids_lead_to_their_account(engine: LedgerEngine) -> None:
    for account_id in ("a_1", "a_2"):
        await engine.submit(lambda txn, account_id=account_id: act(txn, account_id))

    def owners(txn: LedgerTxn) -> list[str | None]:
        full = incident_id("a_2")
        digits = full.partition("_")[2]
        quoted = [full, "s_a_1_1", digits[:12], digits[:12].upper(), f"i_{digits[:20]}", digits[:11], "", "%", "0" * 12]
        return [txn.account_of(text) for text in quoted]

    assert await engine.submit(owners) == ["a_2", "a_1", "a_2", "a_2", "a_2", None, None, None, None]


async def test_a_coroutine_is_no_ledger_function(engine: LedgerEngine) -> None:
    async def wait(txn: LedgerTxn) -> None:
        act(txn, "a_1")

    with pytest.raises(UsageError, match="plain"):
        await engine.submit(wait)
    assert rows(engine) == ()


def test_a_function_does_not_wait_for_itself(engine: LedgerEngine) -> None:
    with pytest.raises(UsageError, match="must not submit another"):
        engine.run(lambda txn: engine.run(lambda inner: None))


def test_a_broken_clock_undoes_nothing(state_dir: Path) -> None:
    class Broken(FrozenClock):
        readings = 0

        def now(self) -> datetime:
            self.readings += 1
            if self.readings == 3:
                raise ConfigError("holds something else", file="clock")
            return super().now()

    # The first reading anchors the start, the second is the function's, the third anchors its sanction.
    engine = open_engine(state_dir, Broken())
    try:
        assert engine.run(lambda txn: act(txn, "a_1")) == 3
        assert engine.run(lambda txn: act(txn, "a_2")) == 6
        assert asyncio.run(engine.verify()).unanchored == 0
    finally:
        engine.stop()


async def test_a_transaction_cannot_be_kept(engine: LedgerEngine) -> None:
    kept = await engine.submit(lambda txn: txn)
    for use in (
        lambda: kept.history("a_1"),
        lambda: kept.append(incident("a_1"), account_id="a_1", tenant_id=None),
        lambda: kept.find_account("x"),
        lambda: kept.new_deliveries("a", None, ["k"]),
        lambda: kept.post("t", {}, due_at=NOON),
    ):
        with pytest.raises(UsageError, match="over"):
            use()


async def test_written_at_never_goes_back(engine: LedgerEngine, clock: FrozenClock) -> None:
    nows = []

    def note(txn: LedgerTxn) -> None:
        nows.append(txn.now)
        act(txn, "a_1", len(nows))

    for jump_s in (0.0, 86_400.0, -90_000.0, 1.0):
        clock.advance(jump_s)
        await engine.submit(note)
    day = NOON.replace(day=3)
    written = [entry.written_at for entry in rows(engine)]
    assert written == [NOON] * 3 + [day] * 9
    assert [(now - NOON).total_seconds() for now in nows] == [0, 86_400, -3_600, -3_599]


async def test_order_survives_a_restart_with_the_clock_set_back(state_dir: Path) -> None:
    clock = FrozenClock()
    for jump_s in (0, -3600):
        engine = open_engine(state_dir, clock)
        clock.advance(jump_s)
        await engine.submit(lambda txn, jump_s=jump_s: act(txn, "a_1", jump_s))
        history = engine.warm_history("a_1")
        written = [entry.written_at for entry in rows(engine)]
        engine.stop()
    assert history is not None
    assert [file.opened.evidence_key for file in history.incidents] == ["e0", "e-3600"]
    assert written == sorted(written)


def test_rows_bear_the_record(engine: LedgerEngine) -> None:
    engine.run(lambda txn: act(txn, "a_1"))
    first = rows(engine)[0]
    assert (first.writer, first.seq, first.kind, first.schema) == (WRITER, 1, "incident.opened", 1)
    assert (first.account_id, first.tenant_id, first.prev_hash) == ("a_1", "n_1", bytes(32))
    assert first.sealed is not None
    assert b"example.org" not in first.sealed
    assert b"example.org" not in first.body
    assert KEYS.chain not in first.row_hash
    assert sanction("a_1") == rows_as_records(engine)[2]


def rows_as_records(engine: LedgerEngine) -> list[object]:
    return list(engine.run(lambda txn: txn.records("a_1")))
