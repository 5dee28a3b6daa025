"""Rows about evidence: which transaction's mail is kept where, for whom, until when."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Connection, delete, insert, select, update

from filterd.ledger.schema import EVIDENCE


def kept_digest(connection: Connection, transaction_id: str) -> str | None:
    """Say the digest of a transaction promoted before, or None."""
    return connection.execute(select(EVIDENCE.c.digest).where(EVIDENCE.c.transaction_id == transaction_id)).scalar()


def note(
    connection: Connection,
    *,
    transaction_id: str,
    account_id: str,
    digest: str,
    address: str,
    now: datetime,
    retention_until: datetime,
) -> None:
    """Write down that a transaction's mail is in the vault."""
    values = {
        "transaction_id": transaction_id,
        "account_id": account_id,
        "digest": digest,
        "address": address,
        "stored_at": now,
        "retention_until": retention_until,
    }
    connection.execute(insert(EVIDENCE), values)


def extend(connection: Connection, transaction_id: str, retention_until: datetime) -> None:
    """Keep it at least until then; never less long than promised before."""
    row = (EVIDENCE.c.transaction_id == transaction_id) & (EVIDENCE.c.retention_until < retention_until)
    connection.execute(update(EVIDENCE).where(row).values(retention_until=retention_until))


def known_addresses(connection: Connection, addresses: list[str]) -> set[str]:
    """Say which of these files a row speaks of."""
    return set(connection.execute(select(EVIDENCE.c.address).where(EVIDENCE.c.address.in_(addresses))).scalars())


def expire(connection: Connection, at: datetime) -> int:
    """Forget what is kept no longer than before `at`; `sweep` collects the files. Says how many rows."""
    return connection.execute(delete(EVIDENCE).where(EVIDENCE.c.retention_until < at)).rowcount


def forget(connection: Connection, account_id: str) -> int:
    """Forget all evidence of an erased account; `sweep` collects the files. Says how many rows."""
    return connection.execute(delete(EVIDENCE).where(EVIDENCE.c.account_id == account_id)).rowcount
