"""Which DMARC record applies to an author domain, and which domains belong to one organisation?  RFC 9989 §4.10.

By default the DNS tree walk, at most eight questions a domain; as RFC 7489 wants it, the Public Suffix List.
`Policies` is of one mail and remembers what was asked. Raises PortError where DNS does not answer.
"""

from __future__ import annotations

from dataclasses import dataclass

from filterd.checks.dmarc_record import Record, Request, read_record
from filterd.checks.psl import SuffixList
from filterd.errors import PortError
from filterd.ports import Lookups

# §4.10 step 4: beyond the name itself, nothing with more labels is asked for.
MAX_LABELS = 7


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """The record that applies, and the domain it was found at: the author domain's own or an inherited one."""

    record: Record
    domain: str
    is_inherited: bool

    def requested(self, *, exists: bool = True) -> Request:
        """Say what is wanted for mail of the author domain that fails; `exists` says whether DNS knows that domain."""
        record = self.record
        if not self.is_inherited:
            return record.p
        if not exists and record.np is not None:
            return record.np
        return record.sp if record.sp is not None else record.p


class Policies:
    """The look-ups of one mail.

    Args:
        suffixes: the list for RFC 7489 behaviour; None for RFC 9989.
    """

    def __init__(self, dns: Lookups, suffixes: SuffixList | None = None):
        self._dns, self._suffixes = dns, suffixes
        self._organisations: dict[str, str] = {}

    async def policy(self, author: str) -> Policy | None:
        """Find the record for an author domain; None: DMARC does not apply."""
        record = await self._record(author)
        if record is not None:
            return Policy(record=record, domain=author, is_inherited=False)
        if self._suffixes is not None:
            organisation = self._registered(author)
            record = await self._record(organisation) if organisation != author else None
            return Policy(record=record, domain=organisation, is_inherited=True) if record else None
        found = await self._walk(author)
        organisation = _organisation(author, found)
        # The organisation's record, or else the one of the public suffix above it.
        for domain, record in found:
            if domain == organisation or record.psd == "y":
                return Policy(record=record, domain=domain, is_inherited=True)
        return None

    async def organisation(self, domain: str) -> str:
        """Say the organisational domain of `domain`."""
        if self._suffixes is not None:
            return self._registered(domain)
        if domain not in self._organisations:
            self._organisations[domain] = _organisation(domain, await self._walk(domain))
        return self._organisations[domain]

    async def exists(self, domain: str) -> bool:
        """Say whether DNS knows a domain (RFC 8020). Where it does not answer: yes, which is the milder policy."""
        try:
            return (await self._dns.query(domain, "A")).exists
        except PortError:
            return True

    async def _walk(self, domain: str) -> list[tuple[str, Record]]:
        """The domains with a record, from the longest to the shortest, up to the first that says what it is."""
        found = []
        for target in targets(domain):
            record = await self._record(target)
            if record is not None:
                found.append((target, record))
                if record.psd != "u":
                    break
        return found

    async def _record(self, domain: str) -> Record | None:
        answer = await self._dns.query(f"_dmarc.{domain}", "TXT")
        is_old = self._suffixes is not None
        records = [record for text in answer.records if (record := read_record(tuple(text), rfc7489=is_old))]
        # Several are none.
        return records[0] if len(records) == 1 else None

    def _registered(self, domain: str) -> str:
        found: str | None = self._suffixes.registrable(domain) if self._suffixes else None
        return found or domain


def targets(domain: str) -> tuple[str, ...]:
    """Say the domains a tree walk asks about, in order: the domain itself, then at most seven."""
    labels = domain.split(".")
    parents = labels[1:][-MAX_LABELS:]
    return (domain, *(".".join(parents[i:]) for i in range(len(parents))))


def _organisation(domain: str, found: list[tuple[str, Record]]) -> str:
    """Choose the organisational domain among the records of a walk that started at `domain`.  §4.10.2."""
    for name, record in found:
        if record.psd == "n":
            return name
        if record.psd == "y" and name != domain:
            # One label below the public suffix.
            return ".".join(domain.split(".")[-(name.count(".") + 2) :])
    return found[-1][0] if found else domain
