"""Evidence: sealed, on disk before the entry that speaks of it, whole or refused."""

from __future__ import annotations

import asyncio
import errno
import hashlib
import os
from pathlib import Path
from typing import Any

import pytest

from filterd.errors import LedgerUnavailable, PortError, RefusedError, UsageError
from filterd.ledger import files, vault
from filterd.ledger.engine import LedgerEngine
from filterd.model.evidence import Kept, Portion
from tests.ledger.evidence_rig import DIGEST, RAW, UNTIL, all_files, all_tables, decide, spooled, vault_files
from tests.ledger.groups import in_one_group
from tests.ledger.rig import act

pytestmark = pytest.mark.slow


async def test_promoted_evidence_reads_back(engine: LedgerEngine, state_dir: Path) -> None:
    engine.spool.put("t_1", RAW)
    assert spooled(state_dir) == ["t_1"]
    assert await engine.submit(lambda txn: decide(txn, "t_1")) == DIGEST
    assert spooled(state_dir) == []
    assert await engine.read_evidence(DIGEST, "a_1") == RAW
    assert await engine.read_evidence(DIGEST, "a_2") is None
    assert b"secret offer" not in all_files(state_dir) + await engine.submit(all_tables)
    with pytest.raises(UsageError):
        await engine.read_evidence("../../ledger.sqlite3", "a_1")


@pytest.mark.one_store("sqlite")
async def test_promoting_twice_is_harmless(engine: LedgerEngine, state_dir: Path) -> None:
    engine.spool.put("t_1", RAW)
    for _ in range(2):
        assert await engine.submit(lambda txn: txn.promote_evidence("t_1", "a_1", UNTIL)) == DIGEST
    assert await engine.submit(lambda txn: txn.promote_evidence("t_none", "a_1", UNTIL)) is None
    assert len(vault_files(state_dir)) == 1


@pytest.mark.one_store("sqlite")
async def test_the_same_mail_of_two_accounts_is_two_files(engine: LedgerEngine, state_dir: Path) -> None:
    for number in range(3):
        engine.spool.put(f"t_{number}", RAW)
    done = await in_one_group(
        engine,
        [lambda txn, n=n, a=a: decide(txn, f"t_{n}", a) for n, a in enumerate(["a_1", "a_2", "a_1"])],
    )
    assert done == [DIGEST] * 3
    assert len(vault_files(state_dir)) == 2
    await engine.erase_subject("a_1")
    assert await engine.read_evidence(DIGEST, "a_2") == RAW


async def test_rolled_back_evidence_stays_in_the_spool(engine: LedgerEngine, state_dir: Path) -> None:
    engine.spool.put("t_1", RAW)

    def refuse(txn: Any) -> None:
        decide(txn, "t_1")
        raise RefusedError("no")

    with pytest.raises(RefusedError):
        await engine.submit(refuse)
    assert spooled(state_dir) == ["t_1"]
    assert vault_files(state_dir) == []
    assert await engine.submit(lambda txn: decide(txn, "t_1")) == DIGEST


@pytest.mark.one_store("sqlite")
async def test_nothing_is_decided_when_evidence_cannot_be_synced(
    engine: LedgerEngine, state_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(3):
        engine.spool.put(f"t_{number}", RAW + bytes([number]))
    real, calls = os.fsync, []

    def broken(fd: int) -> None:
        calls.append(fd)
        if "/vault/" in os.readlink(f"/proc/self/fd/{fd}"):
            raise OSError(errno.EIO, "Input/output error")
        real(fd)

    monkeypatch.setattr(files.os, "fsync", broken)
    done = await in_one_group(engine, [lambda txn, n=n: decide(txn, f"t_{n}") for n in range(3)])
    assert [type(err) for err in done] == [LedgerUnavailable] * 3
    assert "Input/output error" in str(done[0])
    monkeypatch.undo()
    assert await engine.entries_after(0) == ()
    assert spooled(state_dir) == ["t_0", "t_1", "t_2"]
    assert await engine.submit(lambda txn: decide(txn, "t_0")) is not None
    assert (await engine.verify()).is_sound


@pytest.mark.one_store("sqlite")
@pytest.mark.parametrize("kind", ["spool", "vault"])
async def test_a_full_volume_is_temporary(
    engine: LedgerEngine, state_dir: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    def full(fd: int, octets: bytes) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    if kind == "vault":
        engine.spool.put("t_1", RAW)
    monkeypatch.setattr(files.os, "write", full)

    async def keep() -> None:
        if kind == "spool":
            engine.spool.put("t_1", RAW)
        else:
            await engine.submit(lambda txn: decide(txn, "t_1"))

    with pytest.raises(PortError, match="No space left") as caught:
        await keep()
    assert caught.value.temporary
    monkeypatch.undo()
    assert vault_files(state_dir) == []
    assert spooled(state_dir) == (["t_1"] if kind == "vault" else [])
    assert await engine.submit(lambda txn: act(txn, "a_1")) == 3


@pytest.mark.one_store("sqlite")
async def test_altered_evidence_is_refused(engine: LedgerEngine, state_dir: Path) -> None:
    other = RAW + b"other"
    for number, raw in enumerate((RAW, other)):
        engine.spool.put(f"t_{number}", raw)
        await engine.submit(lambda txn, number=number: decide(txn, f"t_{number}"))
    first, second = vault_files(state_dir)
    whole = first.read_bytes(), second.read_bytes()
    digests = (DIGEST, hashlib.sha256(other).hexdigest())

    async def damaged() -> int:
        reads = (engine.read_evidence(digest, "a_1") for digest in digests)
        read = await asyncio.gather(*reads, return_exceptions=True)
        return sum(isinstance(err, PortError) and not err.temporary for err in read)

    first.write_bytes(whole[0][:-1] + bytes([whole[0][-1] ^ 1]))
    assert await damaged() == 1
    first.write_bytes(b"")
    assert await damaged() == 1
    # Swapped: each is whole, neither is what its name says.
    first.write_bytes(whole[1])
    second.write_bytes(whole[0])
    assert await damaged() == 2


@pytest.mark.one_store("sqlite")
async def test_links_are_not_followed(engine: LedgerEngine, state_dir: Path) -> None:
    engine.spool.put("t_1", RAW)
    await engine.submit(lambda txn: decide(txn, "t_1"))
    (file,) = vault_files(state_dir)
    outside = state_dir / "outside"
    file.rename(outside)
    file.symlink_to(outside)
    with pytest.raises(PortError):
        await engine.read_evidence(DIGEST, "a_1")
    # Promoted again, it replaces the link and leaves what the link pointed at.
    engine.spool.put("t_2", RAW)
    await engine.submit(lambda txn: decide(txn, "t_2"))
    assert not file.is_symlink()
    assert await engine.read_evidence(DIGEST, "a_1") == RAW
    engine.spool.file_of("t_3").symlink_to(outside)
    with pytest.raises(PortError):
        engine.spool.read("t_3")


@pytest.mark.one_store("sqlite")
def test_order_on_disk(engine: LedgerEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    """File synced, renamed, directory synced, and only then the commit."""
    engine.spool.put("t_1", RAW)
    order: list[str] = []
    sync, settle = vault.sync, vault.settle

    def note_sync(path: Path) -> None:
        order.append("sync dir" if path.is_dir() else "sync file")
        sync(path)

    def note_settle(staged: Any) -> Path:
        directory = settle(staged)
        order.append("renamed")
        return directory

    monkeypatch.setattr("filterd.ledger.vault.sync", note_sync)
    monkeypatch.setattr("filterd.ledger.book.sync", note_sync)
    monkeypatch.setattr("filterd.ledger.book.settle", note_settle)
    engine.on_entries(lambda _: order.append("committed"))
    engine.run(lambda txn: decide(txn, "t_1"))
    # The first sync is that of the vault, which got a new directory.
    assert order == ["sync dir", "sync file", "renamed", "sync dir", "committed"]


async def test_many_at_once(engine: LedgerEngine) -> None:
    for number in range(40):
        engine.spool.put(f"t_{number}", RAW + bytes([number]))
    digests = await asyncio.gather(
        *(engine.submit(lambda txn, number=number: decide(txn, f"t_{number}")) for number in range(40))
    )
    for number, digest in enumerate(digests):
        assert digest is not None
        assert await engine.read_evidence(digest, "a_1") == RAW + bytes([number])


# --- classes ----------------------------------------------------------------------------------------------------------


HEAD = b"Subject: a secret offer\r\n\r\n"


@pytest.mark.parametrize(
    ("portion", "content"),
    [
        (Portion(kept=Kept.HASH), None),
        (Portion(kept=Kept.HEADERS), HEAD),
        (
            Portion(kept=Kept.EXCERPT, places=("text",), around_bytes=8),
            HEAD + b"[part 1: octets 0 to 8 of 10000]\r\nbuy now \r\n",
        ),
        (Portion(kept=Kept.FULL), RAW),
    ],
    ids=lambda value: value.kept.word if isinstance(value, Portion) else "",
)
async def test_each_class_keeps_its_part_and_the_digest_of_the_whole(
    engine: LedgerEngine, state_dir: Path, portion: Portion, content: bytes | None
) -> None:
    engine.spool.put("t_1", RAW)
    assert await engine.submit(lambda txn: decide(txn, "t_1", portion=portion)) == DIGEST
    assert spooled(state_dir) == []
    assert await engine.read_evidence(DIGEST, "a_1") == content
    assert await engine.submit(lambda txn: txn.read_evidence("t_1")) == content
    (kept,) = await engine.submit(lambda txn: txn.evidence_of("a_1"))
    assert (kept.digest, kept.kept, kept.retention_until) == (DIGEST, portion.kept, UNTIL)


async def test_of_the_class_none_there_is_not_even_a_row(engine: LedgerEngine, state_dir: Path) -> None:
    engine.spool.put("t_1", RAW)
    assert await engine.submit(lambda txn: decide(txn, "t_1", portion=Portion(kept=Kept.NONE))) is None
    assert await engine.submit(lambda txn: txn.evidence_of("a_1")) == ()
    assert spooled(state_dir) == []
    assert vault_files(state_dir) == []
    assert DIGEST.encode() not in all_files(state_dir) + await engine.submit(all_tables)


async def test_what_is_cut_off_is_sealed_nowhere(engine: LedgerEngine, state_dir: Path) -> None:
    """Sealed octets have the length of their content: the object is as small as what it may hold."""
    engine.spool.put("t_1", RAW)
    await engine.submit(lambda txn: decide(txn, "t_1", portion=Portion(kept=Kept.HEADERS)))
    assert len(all_files(state_dir / "vault")) < len(RAW) / 10
    if files := vault_files(state_dir):
        assert [file.stat().st_size for file in files] == [len(HEAD) + 29]


async def test_the_same_mail_kept_twice_reads_as_the_most_that_is_kept(engine: LedgerEngine) -> None:
    for name, kept in (("t_1", Kept.HEADERS), ("t_2", Kept.FULL), ("t_3", Kept.HASH)):
        engine.spool.put(name, RAW)
        portion = Portion(kept=kept)
        await engine.submit(lambda txn, name=name, portion=portion: decide(txn, name, portion=portion))
    assert await engine.read_evidence(DIGEST, "a_1") == RAW
    assert await engine.submit(lambda txn: txn.read_evidence("t_1")) == HEAD


@pytest.mark.one_store("sqlite")
async def test_what_a_failed_group_left_is_written_anew(
    engine: LedgerEngine, state_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first mail of an account makes its key. A group that fails after the file is in its place undoes that key:
    the file left behind opens with no key there is, and must not be taken for the next one's."""
    engine.spool.put("t_1", RAW)
    real = os.fsync

    def broken(fd: int) -> None:
        place = os.readlink(f"/proc/self/fd/{fd}")
        if "/vault/" in place and os.path.isdir(place):
            raise OSError(errno.EIO, "Input/output error")
        real(fd)

    with monkeypatch.context() as patch:
        patch.setattr(files.os, "fsync", broken)
        with pytest.raises(LedgerUnavailable):
            await engine.submit(lambda txn: decide(txn, "t_1"))
    (left,) = vault_files(state_dir)
    before = left.read_bytes()
    assert await engine.submit(lambda txn: decide(txn, "t_1")) == DIGEST
    assert left.read_bytes() != before
    assert await engine.read_evidence(DIGEST, "a_1") == RAW


@pytest.mark.one_store("sqlite")
async def test_a_file_that_is_there_already_is_synced_into_its_directory_again(
    engine: LedgerEngine, state_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("t_1", "t_2"):
        engine.spool.put(name, RAW)
    await engine.submit(lambda txn: decide(txn, "t_1"))
    (file,) = vault_files(state_dir)
    synced: list[Path] = []
    monkeypatch.setattr("filterd.ledger.book.sync", synced.append)
    await engine.submit(lambda txn: decide(txn, "t_2"))
    assert synced == [file.parent]

