"""Single bytes flipped, in a dump and in the file: noticed, or of no meaning."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from filterd.errors import ModelError
from filterd.ledger.anchor import FILE_NAME as ANCHOR
from filterd.ledger.dump import read_dump
from filterd.ledger.store import FILE_NAME
from filterd.ledger.verify import verify_rows, verify_store
from tests.ledger.rig import KEYS, WRITER

# Twelve rows, the last two after the last sanction; the close anchors them too.
from tests.ledger.tampering import ROWS, dump_of, rows_of

# Long enough to leave out of `make check`.
pytestmark = pytest.mark.slow


def test_every_byte_of_a_dump_counts(closed: Path) -> None:
    lines = dump_of(closed)
    assert verify_rows(read_dump(lines), KEYS.chain).rows == ROWS
    for seq in (1, 7, ROWS):
        rows = list(read_dump(lines))
        for position in range(len(lines[seq - 1])):
            for flip in (0x01, 0x20):
                changed = bytearray(lines[seq - 1])
                changed[position] ^= flip
                damaged = [*lines[: seq - 1], bytes(changed), *lines[seq:]]
                fault = verify_rows(read_dump(damaged), KEYS.chain).fault
                if fault is None:
                    # Another spelling of the same row, for example a line end that became a tab.
                    assert list(read_dump(damaged)) == rows
                else:
                    assert (fault.writer, fault.seq) == (WRITER, seq) or fault.writer != WRITER


def test_flipped_bytes_of_the_file_do_not_pass(closed: Path) -> None:
    file = closed / FILE_NAME
    whole = file.read_bytes()
    anchors = (closed / ANCHOR).read_bytes()
    sound = rows_of(closed)
    chance = random.Random(4)
    unnoticed = 0
    for _ in range(120):
        changed = bytearray(whole)
        changed[chance.randrange(len(whole))] ^= 1 << chance.randrange(8)
        file.write_bytes(changed)
        (closed / ANCHOR).write_bytes(anchors)
        try:
            is_sound = verify_store(closed, KEYS.chain).is_sound
        except ModelError:
            continue
        if is_sound:
            # Unused space, an index, another table: the record itself must be what it was.
            unnoticed += 1
            assert rows_of(closed) == sound
    assert unnoticed < 120
