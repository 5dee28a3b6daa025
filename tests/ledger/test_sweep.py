"""Sweeping: what nobody refers to goes, what an entry speaks of stays, and nothing young is touched."""

from __future__ import annotations

import os
import time
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from filterd.ledger import retention
from filterd.ledger.engine import LedgerEngine
from tests.kit.clock import NOON
from tests.ledger.evidence_rig import DIGEST, RAW, decide, spooled, vault_files
from tests.ledger.rig import violation


@pytest.mark.one_store("sqlite")
async def test_sweeping(engine: LedgerEngine, state_dir: Path) -> None:
    for name in ("t_kept", "t_new", "t_old", "t_named", "t_twice"):
        engine.spool.put(name, RAW + name.encode())
    # Crashed between the commit and the erasure of the spool: the copy in the vault is enough.
    await engine.submit(lambda txn: decide(txn, "t_kept"))
    engine.spool.put("t_kept", RAW)
    # An entry speaks of it, and its evidence is nowhere else.
    await engine.submit(lambda txn: txn.append(violation("a_1", "t_named"), account_id="a_1", tenant_id=None))
    await engine.submit(lambda txn: decide(txn, "t_twice"))
    orphan = state_dir / "vault" / "ab" / ("ab" + "0" * 30)
    orphan.parent.mkdir(exist_ok=True)
    orphan.write_bytes(b"left by a rollback")
    half = state_dir / "spool" / ".tmp-0123"
    half.write_bytes(b"half")
    assert await engine.sweep() == vault_and_spool(0, 0, 0)
    for path in state_dir.rglob("*"):
        if path.name != "t_new":
            os.utime(path, (1, 1))
    assert await engine.sweep() == vault_and_spool(2, 1, 1)
    assert spooled(state_dir) == ["t_named", "t_new"]
    assert len(vault_files(state_dir)) == 2


def vault_and_spool(spooled: int, orphaned: int, half_written: int) -> Any:
    from filterd.ledger.sweep import Swept

    return Swept(spooled=spooled, orphaned=orphaned, half_written=half_written)


async def test_kept_as_long_as_promised(engine: LedgerEngine, state_dir: Path) -> None:
    for name, days in (("t_1", 10), ("t_2", 30)):
        engine.spool.put(name, RAW)
        until = NOON + timedelta(days=days)
        await engine.submit(lambda txn, name=name, until=until: txn.promote_evidence(name, "a_1", until))
    assert (await engine.retention.expire(NOON + timedelta(days=20))).rows == 1
    await engine.sweep(age_s=-1)
    assert await engine.read_evidence(DIGEST, "a_1") == RAW
    assert (await engine.retention.expire(NOON + timedelta(days=40))).rows == 1
    await engine.sweep(age_s=-1)
    assert vault_files(state_dir) == []
    assert await engine.read_evidence(DIGEST, "a_1") is None


@pytest.mark.one_store("sqlite")
@pytest.mark.parametrize("kept", ["none", "full"])
async def test_a_crash_before_the_spool_is_erased_leaves_no_copy_that_stays(
    engine: LedgerEngine, state_dir: Path, kept: str
) -> None:
    """Of a mail of which nothing is kept there is no row of evidence; the entry itself says so."""
    engine.spool.put("t_1", RAW)
    said = replace(violation("a_1", "t_1"), evidence_kept=kept)
    await engine.submit(lambda txn: txn.append(said, account_id="a_1", tenant_id=None))
    assert (await engine.sweep(age_s=-1)).spooled == 1
    assert spooled(state_dir) == []


@pytest.mark.one_store("sqlite")
async def test_after_a_jump_of_the_clock_the_age_of_a_file_says_nothing(
    engine: LedgerEngine, state_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A mail on its way, a second old, looks a day old when the clock has jumped by one."""
    assert (await engine.sweep()).spooled == 0
    engine.spool.put("t_1", RAW)
    real = time.time
    monkeypatch.setattr(retention, "datetime", Later)
    monkeypatch.setattr(time, "time", lambda: real() + 86_400)
    assert (await engine.sweep()).spooled == 0
    assert (await engine.sweep_spool()).spooled == 0
    assert spooled(state_dir) == ["t_1"]


class Later(datetime):
    """A day ahead."""

    @classmethod
    def now(cls, tz: Any = None) -> datetime:
        return datetime.now(tz) + timedelta(days=1)
