"""The same hands in real stores: whatever SQLite or PostgreSQL lets anybody put into the table is found.

test_tampered_rows does it without a store, and with every bit; here the table, its types and its order count.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import pytest

from filterd.ledger.anchor import FILE_NAME as ANCHOR
from filterd.ledger.anchor import AnchorFile
from filterd.ledger.store import open_store
from filterd.ledger.verify import damage, verify_store
from tests.ledger.rig import KEYS, act, open_engine, opened, url_of
from tests.ledger.tampering import Changed, Refused, TamperedStore, bit_flips, rearrangements, retypings, tamper
from tests.ledger.test_tampered_rows import OTHER, STRANGER, written

# Long enough to leave out of `make check`.
pytestmark = pytest.mark.slow


@pytest.fixture
def table(state_dir: Path) -> Iterator[TamperedStore]:
    """A small ledger: a decision with a sealed field, and two openings, one of them sealed."""
    engine = open_engine(state_dir)
    engine.run(lambda txn: act(txn, "a_1"))
    engine.run(lambda txn: txn.append(opened("a_2"), account_id="a_2", tenant_id="n_1", personal={"login": "x"}))
    engine.run(lambda txn: txn.append(opened("a_3"), account_id="a_3", tenant_id=None))
    engine.stop()
    anchors, wrong = AnchorFile(state_dir / ANCHOR, KEYS).read()
    assert wrong is None
    store = open_store(state_dir, KEYS.chain, url=url_of(state_dir))
    yield TamperedStore(store.connection, anchors)
    store.close()


def tried(table: TamperedStore, changes: Iterable[Changed]) -> Counter[str]:
    """Try every change; say how many were found, refused by the store, and the same as before."""
    said: Counter[str] = Counter()
    for changed in changes:
        try:
            found = table.verified_with(changed.rows)
        except Refused:
            said["refused"] += 1
            continue
        if found.is_sound and found.unseen_writers:
            # The true first row of another node that has our key: nothing of ours was touched.
            assert found.unseen_writers == (OTHER,)
            assert [row for row in table.stored_last if row.writer != OTHER] == table.rows
            said["another"] += 1
        elif found.is_sound:
            # The store made of it what was there before, for example a number of the same number as text.
            assert table.stored_last == table.rows, changed.name
            said["same"] += 1
        else:
            said["found"] += 1
    return said


# One bit of nearly each octet in turn, and by night all of them.
@pytest.mark.parametrize("every", [9, pytest.param(1, marks=pytest.mark.nightly)])
def test_every_octet_of_every_column_counts(table: TamperedStore, every: int) -> None:
    def changes() -> Iterator[Changed]:
        for at, row in enumerate(table.rows):
            for number, (name, other) in enumerate(bit_flips(row)):
                if number % every == 0:
                    yield one(table.rows, at, f"row {at + 1}: {name}", other)
            for name, other in retypings(row):
                yield one(table.rows, at, f"row {at + 1}: {name}", other)

    said = tried(table, changes())
    assert said["found"] > 1_500


def test_every_row_removed_swapped_inserted_forged_cut_or_grafted_is_found(table: TamperedStore) -> None:
    strangers = [*written(STRANGER, "node1")[0], *written(KEYS, "node0")[0]]
    changes = (x for x in rearrangements(table.rows, strangers, STRANGER.chain) if list(x.rows) != table.rows)
    said = tried(table, changes)
    assert said["found"] > 400
    # Two rows of one number are refused by the key of the table.
    assert said["refused"] > 50


def one(rows: Sequence[object], at: int, name: str, other: object) -> Changed:
    return Changed(name=name, rows=[*rows[:at], other, *rows[at + 1 :]], at=at)  # type: ignore[list-item]


@pytest.mark.one_store("postgresql")
@pytest.mark.parametrize(
    "statement",
    [
        "ALTER TABLE entry DROP CONSTRAINT entry_pkey",
        "ALTER TABLE entry ENABLE ROW LEVEL SECURITY",
        "ALTER TABLE entry RENAME TO entry_of_old; CREATE VIEW entry AS SELECT * FROM entry_of_old",
        "CREATE RULE quiet AS ON UPDATE TO entry DO INSTEAD NOTHING",
    ],
)
def test_a_table_that_may_show_different_rows_to_different_readers_is_noticed(state_dir: Path, statement: str) -> None:
    engine = open_engine(state_dir)
    engine.run(lambda txn: act(txn, "a_1"))
    engine.stop()
    assert verify_store(state_dir, KEYS, url=url_of(state_dir)).is_sound
    tamper(state_dir, (statement, ()))
    fault = verify_store(state_dir, KEYS, url=url_of(state_dir)).fault
    assert str(fault) == "`entry` is no longer a plain table with its key"


def test_an_untouched_store_is_not_damaged(state_dir: Path) -> None:
    engine = open_engine(state_dir)
    engine.run(lambda txn: act(txn, "a_1"))
    engine.stop()
    store = open_store(state_dir, KEYS.chain, url=url_of(state_dir))
    try:
        assert damage(store.connection) is None
    finally:
        store.close()
