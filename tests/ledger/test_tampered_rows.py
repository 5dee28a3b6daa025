"""Every bit of every column of every row; every row removed, swapped, repeated, inserted, forged, cut off or grafted.

All of it lies before the last anchor, and all of it is found, at the first row that is not what it was.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from filterd.clients.keys import derive
from filterd.ledger.anchor import FILE_NAME as ANCHOR
from filterd.ledger.anchor import AnchorFile
from filterd.ledger.chain import Row
from filterd.ledger.checkpoint import Checkpoint
from filterd.ledger.codec import canonical
from filterd.ledger.verify import page, verify_rows
from filterd.ports import Keys
from tests.ledger.rig import KEYS, WRITER, act, open_engine, opened
from tests.ledger.tampering import Changed, bit_flips, forged, rearrangements, retypings

pytestmark = pytest.mark.slow

STRANGER = derive(b"\x07" * 32)
OTHER = "node0.ledger"


def written(keys: Keys, node: str) -> tuple[list[Row], Sequence[Checkpoint]]:
    """Have a real ledger write rows, and say them with their anchors."""
    with tempfile.TemporaryDirectory(prefix="filterd-") as directory:
        engine = open_engine(Path(directory), keys=keys, node=node)
        engine.run(lambda txn: act(txn, "a_1"))
        engine.run(lambda txn: txn.append(opened("a_2"), account_id="a_2", tenant_id="n_1", personal={"login": "x"}))
        engine.run(lambda txn: txn.append(opened("a_3"), account_id="a_3", tenant_id=None))
        rows = engine.run(lambda txn: page(txn.connection, "", 0, 100))  # type: ignore[attr-defined]
        engine.stop()
        anchors, wrong = AnchorFile(Path(directory) / ANCHOR, keys).read()
        assert wrong is None
        return rows, anchors


@pytest.fixture(scope="module")
def ledger() -> tuple[list[Row], Sequence[Checkpoint]]:
    return written(KEYS, "node1")


@pytest.fixture(scope="module")
def strangers() -> list[Row]:
    """Rows of a ledger with another key, and of another node with ours."""
    return [*written(STRANGER, "node1")[0], *written(KEYS, "node0")[0]]


def assert_named(rows: Sequence[Row], changed: Changed, anchors: Sequence[Checkpoint]) -> None:
    found = verify_rows(changed.rows, KEYS.chain, anchors)
    if is_joined_by_another(rows, changed):
        # Nothing of ours was touched; whose rows have come is said.
        assert (found.is_sound, found.unseen_writers) == (True, (OTHER,))
        return
    fault = found.fault
    assert fault is not None, changed.name
    expected = {(WRITER, changed.at + 1)}
    if changed.at < len(changed.rows) and changed.rows[changed.at].writer != WRITER:
        # The first row of what claims to be another writer's, or the first that our writer now lacks.
        there = changed.rows[changed.at]
        expected |= {(str(there.writer), 1), (str(there.writer), int(str(there.seq)))}
    assert (fault.writer, fault.seq) in expected, (changed.name, fault)


def is_joined_by_another(rows: Sequence[Row], changed: Changed) -> bool:
    """Say whether all that was done is to put the true chain of another node with our key, or its beginning, beside."""
    others = [row for row in changed.rows if row not in rows]
    is_chain = [(row.writer, row.seq) for row in others] == [(OTHER, seq + 1) for seq in range(len(others))]
    return bool(others) and is_chain and list(changed.rows) in ([*others, *rows], [*rows, *others])


def one_row_changed(rows: Sequence[Row]) -> Iterator[Changed]:
    for at, row in enumerate(rows):
        for make in (bit_flips, retypings):
            for name, other in make(row):
                yield Changed(name=f"row {at + 1}: {name}", rows=[*rows[:at], other, *rows[at + 1 :]], at=at)


def test_every_bit_of_every_column_counts(ledger: tuple[list[Row], Sequence[Checkpoint]]) -> None:
    rows, anchors = ledger
    assert verify_rows(rows, KEYS.chain, anchors).is_sound
    number = 0
    for changed in one_row_changed(rows):
        number += 1
        if changed.rows[changed.at].writer != WRITER or not isinstance(changed.rows[changed.at].seq, int):
            assert verify_rows(changed.rows, KEYS.chain, anchors).fault is not None, changed.name
        else:
            assert_named(rows, changed, anchors)
    # Eight for each octet of each row.
    assert number > 15_000


def test_every_row_removed_swapped_inserted_forged_cut_or_grafted_is_found(
    ledger: tuple[list[Row], Sequence[Checkpoint]], strangers: list[Row]
) -> None:
    rows, anchors = ledger
    number = 0
    for changed in rearrangements(rows, strangers, STRANGER.chain):
        if list(changed.rows) == rows:
            continue
        number += 1
        assert_named(rows, changed, anchors)
    assert number > 800


def test_a_chain_that_comes_twice_is_named(ledger: tuple[list[Row], Sequence[Checkpoint]]) -> None:
    rows, anchors = ledger
    other, _ = written(KEYS, "node0")
    assert verify_rows([*other, *rows], KEYS.chain, anchors).is_sound
    assert str(verify_rows([*rows, *rows], KEYS.chain, anchors).fault) == f"{WRITER} row 6: is followed by row 1"
    fault = verify_rows([*rows, *other, *rows], KEYS.chain, anchors).fault
    assert str(fault) == f"{WRITER} row 6: stands behind the rows of another writer"


def test_rows_that_a_person_accepted_as_lost_are_counted_and_no_fault(
    ledger: tuple[list[Row], Sequence[Checkpoint]],
) -> None:
    rows, _ = ledger
    lost = [Checkpoint(writer=WRITER, seq=seq, row_hash=b"\x01" * 32, at="2026") for seq in (3, 7)]

    def bridged(key: bytes, after_seq: int) -> list[Row]:
        body = canonical({"after_seq": after_seq})
        return [*rows[:3], forged(replace(rows[4], seq=8, kind="ledger.restored", body=body), rows[:3], key)]

    anchors = [replace(lost[0], row_hash=rows[2].row_hash), lost[1]]
    found = verify_rows(bridged(KEYS.chain, 3), KEYS.chain, anchors)
    assert (found.fault, found.rows, found.lost) == (None, 4, 4)
    # Not from anybody, not for other numbers, and not by its word alone.
    assert str(verify_rows(bridged(STRANGER.chain, 3), KEYS.chain, anchors).fault) == f"{WRITER} row 8: was altered"
    assert str(verify_rows(bridged(KEYS.chain, 2), KEYS.chain, anchors).fault) == f"{WRITER} row 4: is missing"
    said = str(verify_rows(bridged(KEYS.chain, 3), None, anchors).fault)
    assert said == f"{WRITER} row 4: is missing; row 8 says it was lost, which only the master key can prove"


def test_without_the_key_only_hashes_are_followed(ledger: tuple[list[Row], Sequence[Checkpoint]]) -> None:
    rows, anchors = ledger
    found = verify_rows(rows, None, anchors)
    assert (found.is_sound, found.has_read_contents) == (True, False)
    seen = {anchor.seq for anchor in anchors}
    for changed in one_row_changed(rows):
        row = changed.rows[changed.at]
        is_sound = verify_rows(changed.rows, None, anchors).is_sound
        is_placed = (row.writer, repr(row.seq)) == (WRITER, repr(changed.at + 1))
        if is_placed and row.prev_hash == rows[changed.at].prev_hash:
            # What a row says is not proven; its hash is where a checkpoint has it or a next row follows it.
            is_hash_kept = row.row_hash == rows[changed.at].row_hash
            assert is_sound == is_hash_kept, changed.name
        else:
            assert not is_sound, changed.name
    assert len(rows) in seen
