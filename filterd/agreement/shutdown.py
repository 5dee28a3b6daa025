"""The end of a whole installation.  TX-8.2.8: told beforehand, then no mail, then nothing personal is left."""

from __future__ import annotations

from datetime import datetime

from filterd.model.records import SiteDecommissioned
from filterd.model.standing import History


def decommission(site: History | None) -> SiteDecommissioned | None:
    """Say the order in force, None when there is none or it was taken back."""
    last = next(reversed(site.of(SiteDecommissioned)), None) if site is not None else None
    return None if last is None or last.is_off else last


def closes_at(site: History | None) -> datetime | None:
    """Say from when on no mail is taken; None: nobody closes anything."""
    order = decommission(site)
    return None if order is None else order.closes_at
