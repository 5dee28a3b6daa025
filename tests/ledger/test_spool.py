"""The spool: sealed, durable when `put` returns, under a name that leads nowhere else."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest

from filterd.errors import PortError, UsageError
from filterd.ledger import spool
from filterd.ledger.engine import LedgerEngine
from filterd.ledger.spool import Spool
from tests.ledger.evidence_rig import RAW
from tests.ledger.rig import KEYS

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("transaction_id", ["", "../x", "a/b", ".", "..", "t\x00", "t\n", "x" * 81, ".tmp-1"])
def test_a_name_that_leads_elsewhere_is_refused(engine: LedgerEngine, transaction_id: str) -> None:
    for use in (engine.spool.discard, engine.spool.read, lambda name: engine.spool.put(name, b"")):
        with pytest.raises(UsageError):
            use(transaction_id)


def test_a_spooled_mail_opens_only_under_its_name(tmp_path: Path) -> None:
    one = Spool(tmp_path, KEYS.spool)
    one.put("t_1", RAW)
    assert one.read("t_1") == RAW
    (tmp_path / "t_1").rename(tmp_path / "t_2")
    with pytest.raises(PortError, match="t_2"):
        one.read("t_2")
    one.put("t_2", b"")
    assert one.read("t_2") == b""
    one.discard("t_2")
    one.discard("t_2")
    assert one.read("t_2") is None


def test_the_spool_is_durable_when_put_returns(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    synced = []
    monkeypatch.setattr("filterd.ledger.files.sync", lambda path: synced.append(path.is_dir()))
    spool.Spool(tmp_path, KEYS.spool).put("t_1", RAW)
    assert synced == [False, True]


def test_above_its_quota_the_spool_takes_no_more(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    now = [0.0]
    monkeypatch.setattr("filterd.ledger.spool.time", SimpleNamespace(monotonic=lambda: now[0]))
    one, other = (Spool(tmp_path, KEYS.spool, quota_bytes=3 * len(RAW)) for _ in range(2))
    for number in range(2):
        one.put(f"t_{number}", RAW)
    with pytest.raises(PortError, match="spool_mb") as caught:
        one.put("t_3", RAW + RAW)
    assert caught.value.temporary
    # Another process sees what is there, and this one sees what that one did a second later.
    other.put("t_4", RAW[:-200])
    with pytest.raises(PortError):
        other.put("t_5", RAW)
    one.discard("t_0")
    one.discard("t_1")
    now[0] += 1.0
    one.put("t_5", RAW)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["t_4", "t_5"]


def test_the_quota_is_measured_once_a_second(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    measured, now = [], [0.0]
    monkeypatch.setattr("filterd.ledger.spool.time", SimpleNamespace(monotonic=lambda: now[0]))
    monkeypatch.setattr(spool, "measured", lambda directory: measured.append(directory) or 0)
    one = Spool(tmp_path, KEYS.spool, quota_bytes=1 << 30)
    for number in range(50):
        one.put(f"t_{number}", b"x")
    assert len(measured) == 1
    now[0] += 1.0
    for number in range(50):
        one.put(f"u_{number}", b"x")
    assert len(measured) == 2
