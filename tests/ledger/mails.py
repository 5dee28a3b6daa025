"""Submissions to count."""

from __future__ import annotations

from datetime import datetime

from filterd.ports import CountRequest
from tests.kit.clock import NOON


def mail(
    number: int | str,
    at: datetime = NOON,
    *,
    account_id: str = "a_1",
    recipients: int = 1,
    first: int = 0,
    unknown: int = 0,
    to: str = "r",
    tenant_id: str | None = None,
    client_id: str | None = None,
) -> CountRequest:
    return CountRequest(
        account_id=account_id,
        at=at,
        evidence_key=f"e{number}",
        delivery_keys=tuple(f"k{number}.{n}" for n in range(first, first + recipients)),
        recipient_hashes=tuple(f"{to}{n}" for n in range(first, first + recipients)),
        unknown=unknown,
        tenant_id=tenant_id,
        client_id=client_id,
    )
