"""Random functions, succeeding and failing, in random groups: gap-free, sound, and the cache equal to the store."""

from __future__ import annotations

import asyncio
import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from filterd.errors import LedgerUnavailable, RefusedError
from filterd.ledger import entries
from filterd.ledger.engine import LedgerEngine
from filterd.model.standing import History
from tests.ledger.conftest import MEMORY
from tests.ledger.groups import in_one_group, refold
from tests.ledger.rig import WRITER, incident, open_engine, sanction, strike

# Long enough to leave out of `make check`.
pytestmark = pytest.mark.slow

ACCOUNTS = ("a_1", "a_2", "a_3")

steps = st.lists(
    st.tuples(
        st.sampled_from(ACCOUNTS),
        st.lists(st.sampled_from(["incident", "strike", "sanction", "delivery", "post"]), max_size=4),
        st.sampled_from(["succeed", "succeed", "succeed", "fail", "fill", "restart"]),
    ),
    max_size=12,
)


class Step:
    """One function of a group. What it did counts only when its caller was told so."""

    def __init__(self, number: int, account_id: str, acts: list[str], ending: str):
        self.number, self.account_id, self.acts, self.ending = number, account_id, acts, ending

    def __call__(self, txn: Any) -> int:
        rows = 0
        for position, act in enumerate(self.acts):
            name = f"{self.number}.{position}"
            match act:
                case "delivery":
                    txn.mark_deliveries(self.account_id, "i", [name], txn.now)
                case "post":
                    txn.post("notice", {"names": [name]}, due_at=txn.now, merge_key=self.account_id)
                case _:
                    record = {"incident": incident, "strike": strike, "sanction": sanction}[act](self.account_id, name)
                    txn.append(record, account_id=self.account_id, tenant_id=None, personal={"who": name})
                    rows += 1
        if self.ending == "fail":
            raise RefusedError("on purpose")
        if self.ending == "fill":
            txn.connection.exec_driver_sql("PRAGMA max_page_count = 1")
            txn.append(incident(self.account_id, "x" * 100_000), account_id=self.account_id, tenant_id=None)
        return rows


@settings(max_examples=25, deadline=None)
@given(st.lists(steps, min_size=1, max_size=4))
def test_any_interleaving(groups: list[list[tuple[str, list[str], str]]]) -> None:
    asyncio.run(interleave(groups))


async def interleave(groups: list[list[tuple[str, list[str], str]]]) -> None:
    with tempfile.TemporaryDirectory(dir=MEMORY if MEMORY.is_dir() else None) as directory:
        engine = open_engine(Path(directory))
        told: dict[str, History] = {}
        seqs: list[int] = []
        try:
            listen(engine, told, seqs)
            expected: list[tuple[str, int]] = []
            for turn, group in enumerate(groups):
                functions = [Step(turn * 100 + i, *step) for i, step in enumerate(group) if step[2] != "restart"]
                done = await in_one_group(engine, functions)
                for step, outcome in zip(functions, done, strict=True):
                    assert isinstance(outcome, (int, RefusedError, LedgerUnavailable))
                    if isinstance(outcome, int):
                        expected.append((step.account_id, outcome))
                await check(engine, told, seqs, expected)
                if any(step[2] == "restart" for step in group):
                    await engine.close()
                    engine = open_engine(Path(directory))
                    listen(engine, told, seqs)
                    await check(engine, told, seqs, expected)
        finally:
            engine.stop()


def listen(engine: LedgerEngine, told: dict[str, History], seqs: list[int]) -> None:
    engine.on_history(lambda history: told.update({history.account_id: history}))
    engine.on_entries(lambda found: seqs.extend(entry.seq for entry in found))


async def check(
    engine: LedgerEngine, told: dict[str, History], seqs: list[int], expected: list[tuple[str, int]]
) -> None:
    found = engine.run(lambda txn: entries.after(txn.connection, WRITER, 0, 10_000))
    owners = [account_id for account_id, rows in expected for _ in range(rows)]
    assert [entry.account_id for entry in found] == owners
    assert [entry.seq for entry in found] == list(range(1, len(owners) + 1)) == seqs
    assert (await engine.verify()).fault is None
    for account_id in ACCOUNTS:
        history = refold(engine, account_id)
        assert await engine.history(account_id) == history
        assert told.get(account_id, History(account_id=account_id)) == history
        for opened in await engine.opened_entries(account_id):
            assert opened.personal
