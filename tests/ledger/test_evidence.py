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
from tests.ledger.evidence_rig import DIGEST, RAW, UNTIL, decide, spooled, vault_files
from tests.ledger.groups import in_one_group
from tests.ledger.rig import act
from tests.ledger.test_directory import everything


async def test_promoted_evidence_reads_back(engine: LedgerEngine, state_dir: Path) -> None:
    engine.spool.put("t_1", RAW)
    assert spooled(state_dir) == ["t_1"]
    assert await engine.submit(lambda txn: decide(txn, "t_1")) == DIGEST
    assert spooled(state_dir) == []
    assert await engine.read_evidence(DIGEST, "a_1") == RAW
    assert await engine.read_evidence(DIGEST, "a_2") is None
    assert b"secret offer" not in everything(state_dir)
    with pytest.raises(UsageError):
        await engine.read_evidence("../../ledger.sqlite3", "a_1")


async def test_promoting_twice_is_harmless(engine: LedgerEngine, state_dir: Path) -> None:
    engine.spool.put("t_1", RAW)
    for _ in range(2):
        assert await engine.submit(lambda txn: txn.promote_evidence("t_1", "a_1", UNTIL)) == DIGEST
    assert await engine.submit(lambda txn: txn.promote_evidence("t_none", "a_1", UNTIL)) is None
    assert len(vault_files(state_dir)) == 1


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
