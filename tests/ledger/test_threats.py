"""The rows of ops/docs/LEDGER.md, "Who can do what": what answers each, and what nothing answers."""

from __future__ import annotations

import asyncio
import re
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from filterd.clients.keys import derive
from filterd.errors import ModelError, PortError
from filterd.ledger import entries
from filterd.ledger.anchor import FILE_NAME as ANCHOR
from filterd.ledger.anchor import AnchorFile, read_file
from filterd.ledger.chain import GENESIS, Head, Row, row_hash
from filterd.ledger.checkpoint import Trust, trust_of
from filterd.ledger.dump import read_dump, write_dump
from filterd.ledger.engine import LedgerEngine
from filterd.ledger.store import FILE_NAME, open_store
from filterd.ledger.verify import Verification, verify_rows, verify_store
from tests.kit.clock import NOON
from tests.ledger.rig import ACCOUNT, KEYS, TENANT, WRITER, act, open_engine, people_the_directory, url_file, url_of
from tests.ledger.tampering import ROWS, dump_of, tamper, verified

pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parents[2]


def verified_with(state_dir: Path, *copies: Path) -> Verification:
    more = [item for copy in copies for item in read_file(copy, trust_of(KEYS)).checkpoints]
    return verify_store(state_dir, KEYS, more, url=url_of(state_dir))


def chained_anew(rows: list[Row], key: bytes) -> list[Row]:
    """Chain rows as somebody does who has the key."""
    prev_hash, chained = GENESIS, []
    for row in rows:
        row = replace(row, prev_hash=prev_hash)
        row = replace(row, row_hash=row_hash(key, row, prev_hash))
        chained.append(row)
        assert isinstance(row.row_hash, bytes)
        prev_hash = row.row_hash
    return chained


# --- who can write the store and the state directory ----------------------------------------------------------------


@pytest.mark.parametrize("kept", [1, 6, 9, 11])
def test_rows_and_anchors_cut_off_together_show_only_against_a_copy(closed: Path, tmp_path: Path, kept: int) -> None:
    copy = tmp_path / "copy"
    shutil.copy(closed / ANCHOR, copy)
    tamper(closed, ("DELETE FROM entry WHERE seq > ?", (kept,)))
    lines = (closed / ANCHOR).read_bytes().splitlines(keepends=True)
    seen, _ = AnchorFile(closed / ANCHOR, KEYS).read()
    (closed / ANCHOR).write_bytes(b"".join(x for x, item in zip(lines, seen, strict=True) if item.seq <= kept))
    assert verified(closed).is_sound
    found = verified_with(closed, copy)
    assert found.fault is not None
    assert (found.fault.writer, found.fault.seq) == (WRITER, kept + 1)


def test_anchors_taken_away_are_missed(closed: Path) -> None:
    (closed / ANCHOR).unlink()
    assert "is missing" in str(verified(closed).fault)


def test_a_start_after_a_roll_back_is_refused(closed: Path) -> None:
    tamper(closed, ("DELETE FROM entry WHERE seq > ?", (5,)))
    with pytest.raises(ModelError, match=f"ends at row 5, and its anchors have seen row {ROWS}"):
        open_engine(closed)


# --- who can read everything but the master key ---------------------------------------------------------------------


@pytest.mark.one_store("sqlite")
def test_a_stolen_state_directory_says_nothing_personal_without_the_key(state_dir: Path) -> None:
    mail = b"From: a@b\r\n\r\nDear Ms Oster, the meeting is at noon.\r\n"
    engine = open_engine(state_dir)
    engine.run(people_the_directory)
    engine.spool.put("t_1", mail)
    engine.run(lambda txn: txn.promote_evidence("t_1", "a_1", NOON))
    engine.run(lambda txn: act(txn, "a_1"))
    engine.run(lambda txn: txn.post("notice", {"to": ACCOUNT.login}, due_at=NOON))
    engine.spool.put("t_2", mail)
    engine.stop()
    kept = {file: file.read_bytes() for file in state_dir.rglob("*") if file.is_file()}
    assert len(kept) >= 5
    said = [TENANT.name, TENANT.contact, ACCOUNT.login, ACCOUNT.contact, "somebody@example.org", "Ms Oster"]
    for word in said:
        assert word is not None
        assert [file.name for file, octets in kept.items() if word.encode() in octets] == []
    # What stands there in clear, so that nobody believes otherwise: domains, ids, kinds and times.
    assert b"example.net" in kept[state_dir / FILE_NAME]


def test_another_master_key_opens_nothing(closed: Path) -> None:
    stranger = derive(b"\x09" * 32)
    with pytest.raises(ModelError, match="another master key"):
        open_engine(closed, keys=stranger)
    with pytest.raises(ModelError, match="another master key"):
        verify_store(closed, stranger, url=url_of(closed))


def test_a_sealed_field_put_into_another_row_does_not_open(state_dir: Path) -> None:
    engine = open_engine(state_dir)
    for number in (1, 2):
        engine.run(lambda txn, number=number: act(txn, "a_1", number))
    engine.stop()
    tamper(state_dir, ("UPDATE entry SET sealed = (SELECT sealed FROM entry WHERE seq = 1) WHERE seq = 4", ()))
    engine = open_engine(state_dir)
    try:
        with pytest.raises(PortError, match=r"node1\.ledger\|4\|incident\.opened: sealed octets were altered, moved"):
            asyncio.run(engine.opened_entries("a_1"))
    finally:
        engine.stop()


# --- who has the master key ---------------------------------------------------------------------------------------


def rewrite(closed: Path, change: Callable[[Row], Row]) -> None:
    """Write another past: every row from the changed one on chained anew, and new anchors signed."""
    rows = list(read_dump(dump_of(closed)))
    forged = chained_anew([change(row) for row in rows], KEYS.chain)
    store = open_store(closed, KEYS.chain, url=url_of(closed))
    try:
        with store.connection.begin():
            store.connection.exec_driver_sql("DELETE FROM entry")
            entries.add(store.connection, forged)
    finally:
        store.close()
    (closed / ANCHOR).unlink()
    anchors = AnchorFile(closed / ANCHOR, KEYS)
    for row in forged:
        assert isinstance(row.seq, int)
        assert isinstance(row.row_hash, bytes)
        anchors.append(WRITER, Head(seq=row.seq, row_hash=row.row_hash), NOON)


def test_who_has_the_master_key_writes_a_past_of_his_own_and_only_copies_contradict_him(
    closed: Path, tmp_path: Path
) -> None:
    copy = tmp_path / "copy"
    shutil.copy(closed / ANCHOR, copy)
    rewrite(closed, lambda row: replace(row, kind="hold.placed") if row.seq == 5 else row)
    # Nothing on the host tells.
    assert verified(closed).is_sound
    found = verified_with(closed, copy)
    assert found.fault is not None
    # The first checkpoint behind the row that was changed.
    assert (found.fault.writer, found.fault.seq) == (WRITER, 6)
    assert found.fault.what.startswith("is not the row that the anchor of ")
    # The same for whoever has no more than the public key and a dump.
    public = Trust(public_key=trust_of(KEYS).public_key)
    witnessed = read_file(copy, public).checkpoints
    assert verify_rows(read_dump(dump_of(closed)), None, witnessed).fault is not None


def test_what_came_after_the_last_copy_is_nobodys_to_contradict(closed: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    lines = (closed / ANCHOR).read_bytes().splitlines(keepends=True)
    seen, _ = AnchorFile(closed / ANCHOR, KEYS).read()
    copy.write_bytes(b"".join(x for x, item in zip(lines, seen, strict=True) if item.seq <= 9))
    rewrite(closed, lambda row: replace(row, kind="hold.placed") if row.seq == 11 else row)
    assert verified_with(closed, copy).is_sound


# --- who keeps the copies -----------------------------------------------------------------------------------------


def test_who_keeps_a_copy_learns_no_name_and_forges_nothing(closed: Path, tmp_path: Path) -> None:
    octets = (closed / ANCHOR).read_bytes()
    for word in ("a_1", "n_1", "example", "sanction"):
        assert word.encode() not in octets
    forged = tmp_path / "forged"
    own = AnchorFile(forged, derive(b"\x09" * 32))
    own.append(WRITER, Head(seq=3, row_hash=b"\x01" * 32), NOON)
    assert read_file(forged, trust_of(KEYS)).wrong == f"{forged}:1: was altered, or signed with another key"


# --- a database that nodes share ----------------------------------------------------------------------------------


@pytest.mark.one_store("postgresql")
def test_each_nodes_anchors_watch_its_own_rows(closed: Path, tmp_path: Path) -> None:
    other = tmp_path / "other" / "state"
    other.parent.mkdir()
    url_file(other).write_text(url_of(closed) or "")
    engine: LedgerEngine = open_engine(other, node="node2")
    engine.run(lambda txn: act(txn, "a_9"))
    engine.stop()
    found = verified(closed)
    assert (found.is_sound, found.rows, found.unseen_writers) == (True, ROWS + 3, ("node2.ledger",))
    tamper(closed, ("DELETE FROM entry WHERE writer = ? AND seq = ?", ("node2.ledger", 3)))
    # Our anchors have never seen the other node's rows; its own have.
    assert verified(closed).is_sound
    for found in (verified(other), verified_with(closed, other / ANCHOR)):
        assert str(found.fault).startswith("node2.ledger row 3: is missing; the anchor of ")


# --- erasure --------------------------------------------------------------------------------------------------------


def test_erasure_leaves_the_chain_and_takes_the_person(state_dir: Path) -> None:
    mail = b"Subject: x\r\n\r\ny\r\n"
    engine = open_engine(state_dir)
    engine.spool.put("t_1", mail)
    digest = engine.run(lambda txn: (act(txn, "a_1"), txn.promote_evidence("t_1", "a_1", NOON))[1])
    assert digest is not None
    assert asyncio.run(engine.read_evidence(digest, "a_1")) == mail
    before = list(write_dump(asyncio.run(engine.rows_after("", 0))))
    assert asyncio.run(engine.erase_subject("a_1"))
    assert asyncio.run(engine.read_evidence(digest, "a_1")) is None
    assert asyncio.run(engine.opened_entries("a_1"))[0].personal is None
    assert asyncio.run(engine.verify()).is_sound
    engine.stop()
    assert verified(state_dir).is_sound
    after = dump_of(state_dir)
    anchors, _ = AnchorFile(state_dir / ANCHOR, KEYS).read()
    assert verify_rows(read_dump(after), KEYS.chain, anchors).is_sound
    seen = [item for item in anchors if item.seq <= len(before)]
    assert verify_rows(read_dump(before), KEYS.chain, seen).is_sound


# --- the page -------------------------------------------------------------------------------------------------------


def test_every_test_that_the_page_names_is_there() -> None:
    page = (ROOT / "ops" / "docs" / "LEDGER.md").read_text()
    named = set(re.findall(r"`(test_[a-z_0-9]+)`", page))
    assert len(named) >= 15
    there = "\n".join(file.read_text() for file in (ROOT / "tests").rglob("test_*.py"))
    missing = {name for name in named if f"def {name}(" not in there and not list((ROOT / "tests").rglob(f"{name}.py"))}
    assert missing == set()
