"""A mail that breaches something, what a decision does with it, and what lies on disk then."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from filterd.ledger import files
from filterd.ledger.schema import METADATA
from filterd.model.evidence import WHOLE, Portion
from filterd.model.session import Envelope, ForwardPath
from filterd.model.session import Path as MailPath
from tests.kit.clock import NOON
from tests.ledger.rig import violation

RAW = b"Subject: a secret offer\r\n\r\n" + b"buy now \xff\x00" * 1000


DIGEST = hashlib.sha256(RAW).hexdigest()


UNTIL = NOON + timedelta(days=90)

# Octets that are no UTF-8, a lone surrogate, a NUL: whatever a client may have said.
ENVELOPE = Envelope(
    reverse_path=MailPath(raw=b"wilhelm\xff@cust.example", local_part="wilhelm\udcff", domain="cust.example"),
    parameters=(b"BODY=8BITMIME", b"ENVID=\xfe\x00x"),
    forward_paths=(
        ForwardPath(path=MailPath(raw=b"Bertha@Other.example", local_part="Bertha", domain="other.example")),
        ForwardPath(
            path=MailPath(raw=b"\xc3\x28@x.example", local_part="\ud800\udfff\x00", domain="x.example"),
            parameters=(b"NOTIFY=NEVER", b"ORCPT=rfc822;\xff"),
        ),
    ),
)


def decide(txn: Any, transaction_id: str, account_id: str = "a_1", portion: Portion = WHOLE) -> str | None:
    digest: str | None = txn.promote_evidence(transaction_id, account_id, UNTIL, portion)
    txn.append(violation(account_id, transaction_id), account_id=account_id, tenant_id=None)
    return digest


def hold(txn: Any, transaction_id: str, account_id: str = "a_1") -> str:
    """What a decision does that keeps the mail: the violation, and the mail whole in quarantine."""
    item_id: str = txn.hold_mail(
        transaction_id, account_id, "n_1", "virus.unscannable.limits", ENVELOPE, NOON + timedelta(days=7)
    )
    return item_id


def vault_files(state_dir: Path) -> list[Path]:
    return [path for path in (state_dir / "vault").rglob("*") if path.is_file()]


def spooled(state_dir: Path) -> list[str]:
    return sorted(os.listdir(state_dir / "spool"))


def all_tables(txn: Any) -> bytes:
    """Say all that stands in the store's tables."""
    rows = [row for table in METADATA.sorted_tables for row in txn.connection.execute(select(table))]
    return b"\n".join(bytes(c) if isinstance(c, (bytes, memoryview)) else str(c).encode() for row in rows for c in row)


def all_files(directory: Path) -> bytes:
    """Say all that stands in the files of a directory, and their names."""
    files = [file for file in directory.rglob("*") if file.is_file() and not file.is_symlink()]
    return b"\n".join([file.read_bytes() for file in files] + [str(file).encode() for file in files])


class Fault:
    """Breaks the k-th file operation of its kind, and says whether it came to that."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, kind: str, number: int, error: int):
        self.has_struck = False
        self._patch, self._kind, self._left, self._error = monkeypatch, kind, number, error

    @contextmanager
    def armed(self) -> Iterator[None]:
        where = (Path, "rename") if self._kind == "rename" else (files.os, self._kind)
        real = getattr(*where)

        def maybe(*arguments: Any) -> Any:
            self._left -= 1
            if self._left == 0:
                self.has_struck = True
                raise OSError(self._error, os.strerror(self._error))
            return real(*arguments)

        with self._patch.context() as patch:
            patch.setattr(*where, maybe)
            yield
