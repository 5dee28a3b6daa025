"""Which recipients can a suspended account still write to?  HOUSE §4 step 0, MAIL-PATH §4g.

The appeals address, whole addresses the operator lists, and abuse and postmaster at the tenant's own domains.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from filterd.model.session import Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Reach:
    """`addresses` and `local_parts` in lower case; the appeals address is always in."""

    appeals_address: str
    addresses: frozenset[str] = frozenset()
    local_parts: frozenset[str] = frozenset({"postmaster", "abuse"})

    def covers(self, path: Path, tenant_domains: Collection[str]) -> bool:
        """Say whether mail to `path` is never refused by standing."""
        address = path.address.lower()
        if address == self.appeals_address.lower() or address in self.addresses:
            return True
        local = path.local_part.lower()
        return local in self.local_parts and (not path.domain or path.domain in tenant_domains)

    def is_desk(self, path: Path, tenant_domains: Collection[str]) -> bool:
        """Say whether `path` is a desk whose mail is never judged: appeals, and abuse at the tenant's own domains."""
        own = not path.domain or path.domain in tenant_domains
        return self.is_appeal(path) or (own and path.local_part.lower() == "abuse" and "abuse" in self.local_parts)

    def is_appeal(self, path: Path) -> bool:
        return path.address.lower() == self.appeals_address.lower()
