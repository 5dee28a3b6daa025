"""Whose act was it?  The tenant's own, its reseller's, the provider's, the system's.  AL-1.2, AL-6.1, TX-3.2.2.

A row names a person, and people come, go and change their roles. Which side somebody stood on then is read from the
rows that gave them their roles, so that it can be told years later, too.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from filterd.model import records as r
from filterd.pipeline.people import BY_FIRST, BY_ROOT, RESELLER, TENANT_ADMIN

PROVIDER, SYSTEM, DIRECTORY, USER = "provider", "system", "directory", "user"
# What names of rows begin with that are no person's.
_MACHINES = {"system": SYSTEM, "clock": SYSTEM, "directory": DIRECTORY}
_LISTED = "import:"


class Sides:
    """The roles of everybody, by name, as they were given. `site`: the rows of the site."""

    def __init__(self, site: Iterable[r.Record]):
        self._given: dict[str, list[tuple[datetime, str]]] = {}
        for row in site:
            if isinstance(row, r.PersonAdded):
                self._given.setdefault(row.person, []).append((row.at, row.role))

    def of(self, by: str, at: datetime) -> str:
        """Say on which side somebody stood at an instant: `tenant_admin`, `reseller`, `provider`, `directory`,
        `system`; `user` for whoever was nobody of ours, as an account's own user on the signed page."""
        name = by.removeprefix(_LISTED)
        given = [role for since, role in self._given.get(name, ()) if since <= at]
        if given:
            return given[-1] if given[-1] in (TENANT_ADMIN, RESELLER) else PROVIDER
        if name in (BY_ROOT, BY_FIRST):
            return PROVIDER
        return _MACHINES.get(name.partition(":")[0], USER)

    def of_row(self, row: r.Record) -> str | None:
        """Say whose act a row is; None for one that names nobody."""
        by = getattr(row, "by", None) or getattr(row, "source", None)
        return self.of(by, row.at) if isinstance(by, str) and by else None
