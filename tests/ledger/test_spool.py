"""The spool: sealed, durable when `put` returns, under a name that leads nowhere else."""

from __future__ import annotations

from pathlib import Path

import pytest

from filterd.errors import PortError, UsageError
from filterd.ledger import spool
from filterd.ledger.engine import LedgerEngine
from filterd.ledger.spool import Spool
from tests.ledger.evidence_rig import RAW
from tests.ledger.rig import KEYS


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
