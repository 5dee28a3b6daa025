"""A mail that breaches something, what a decision does with it, and what lies on disk then."""

from __future__ import annotations

import hashlib
import os
from datetime import timedelta
from pathlib import Path
from typing import Any

from tests.kit.clock import NOON
from tests.ledger.rig import violation

RAW = b"Subject: a secret offer\r\n\r\n" + b"buy now \xff\x00" * 1000


DIGEST = hashlib.sha256(RAW).hexdigest()


UNTIL = NOON + timedelta(days=90)


def decide(txn: Any, transaction_id: str, account_id: str = "a_1") -> str | None:
    digest = txn.promote_evidence(transaction_id, account_id, UNTIL)
    txn.append(violation(account_id, transaction_id), account_id=account_id, tenant_id=None)
    return digest


def vault_files(state_dir: Path) -> list[Path]:
    return [path for path in (state_dir / "vault").rglob("*") if path.is_file()]


def spooled(state_dir: Path) -> list[str]:
    return sorted(os.listdir(state_dir / "spool"))
