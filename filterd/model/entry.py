"""Entry: one ledger row (HOUSE rule 16)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

SCHEMA_VERSION = 1

# The subject of rows that are about no account and no tenant.
SITE = "site"


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """A row of the ledger.

    Args:
        writer: who wrote it; `seq` has no gap within a writer, from 1.
        written_at: the clock at the commit.
        kind: a key of model.records.KINDS.
        account_id, tenant_id: the subjects, None where the row is about neither.
        body: canonical JSON of the record (sorted keys, UTF-8), with no personal field in clear.
        sealed: personal fields sealed under the subject's key, None when there are none.
        prev_hash, row_hash: HMAC-SHA-256 chain of this writer, 32 octets.
    """

    writer: str
    seq: int
    written_at: datetime
    kind: str
    account_id: str | None
    tenant_id: str | None
    schema: int
    body: bytes
    sealed: bytes | None
    prev_hash: bytes
    row_hash: bytes

    @property
    def subject_id(self) -> str:
        """Say whose history it is part of: the account's, else the tenant's, else the site's."""
        return self.account_id or self.tenant_id or SITE
