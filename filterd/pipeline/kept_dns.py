"""DNS as it was when a mail was decided: a resolver over the answers that the event `decided` keeps.  HOUSE rule 15.

With it, and the same mail, envelope and client, the checks come to the same verdict, whatever DNS says today. What the
event has nothing of, or not the whole answer, is in `missing`; then nothing is promised.
Names that hold a piece of a local part stand in the event as a keyed hash, so the key of the pseudonyms is needed.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from filterd.errors import DnsBudgetSpent, PortError
from filterd.log.dns import kept_names
from filterd.ports import Asked, DnsAnswer

# What the resolver says to a question beyond the budget (clients.resolver).
_TOO_MUCH = "the message has asked too much"
_EMPTY = ("nodata", "nxdomain")
# Why nobody answered: the resolver's words (clients.resolver, clients.resolver_wire), or the response code of a server.
_SILENT = re.compile(
    r"no answer|no answer in time|timeout|broken answer|the message has (?:asked too much|waited too long)"
    r"|formerr|servfail|notimp|refused|yxdomain|yxrrset|nxrrset|notauth|notzone|dsotypeni|bad[a-z]+|(?:rcode)?[0-9]{1,4}"
)
# In the place of a mailbox that the log leaves out, and of records that no method reads.
_MAILBOX, _OTHER = "somebody@replay.invalid", (b"not kept",)


class KeptLookups:
    """`ports.Lookups` over the `dns` of an event.

    Args:
        rows: the event's `dns`. key: `Keys.pseudonym` of the node that wrote it.
    """

    def __init__(self, rows: Iterable[Mapping[str, Any]], key: bytes):
        self._rows = {(str(row["name"]), str(row["type"])): row for row in rows}
        self._key = key
        self.missing: list[tuple[str, str]] = []

    async def query(self, name: str, rdtype: str) -> DnsAnswer:
        return self.known(name, rdtype)

    def known(self, name: str, rdtype: str) -> DnsAnswer:
        """Say the answer of then. Raises what was raised then."""
        name = name.lower().removesuffix(".")
        rows = (self._rows.get((kept, rdtype)) for kept in kept_names(self._key, name))
        row = next((row for row in rows if row is not None), None)
        if row is None or row.get("is_cut") or (row.get("records_left_out") and _reads_all(name, rdtype)):
            self.missing.append((name, rdtype))
        if row is None:
            raise PortError("DNS: not kept", temporary=True)
        word = row.get("answer")
        if word is None:
            return DnsAnswer(records=_records(row, rdtype))
        if word in _EMPTY:
            return DnsAnswer(exists=word == "nodata")
        if not _SILENT.fullmatch(str(word)):
            # Events once had the records here, in one text that was cut.
            self.missing.append((name, rdtype))
        raise (DnsBudgetSpent if word == _TOO_MUCH else PortError)(f"DNS: {word}", temporary=True)

    @property
    def asked(self) -> tuple[Asked, ...]:
        """Nothing: a replay writes no event."""
        return ()


class KeptResolver:
    """`ports.Resolver` for one mail: every message asks the same event."""

    def __init__(self, lookups: KeptLookups):
        self._lookups = lookups

    def for_message(self) -> KeptLookups:
        return self._lookups


def _reads_all(name: str, rdtype: str) -> bool:
    """Say whether records that were left out may have mattered: of a domain's TXT, the event has SPF's alone."""
    return rdtype != "TXT" or "_domainkey." in name or name.startswith("_dmarc.")


def _records(row: Mapping[str, Any], rdtype: str) -> tuple[Any, ...]:
    records = [_record("".join(pieces), rdtype) for pieces in row.get("records", ())]
    # Records of which none is read are not the same as no records (RFC 7208 §4.6.4, void look-ups).
    return tuple(records) or ((_OTHER,) if row.get("records_left_out") else ())


def _record(text: str, rdtype: str) -> Any:
    match rdtype:
        case "MX":
            preference, _, host = text.partition(" ")
            return int(preference), host
        case "TXT":
            octets = text.replace("…@…", _MAILBOX).encode("ascii", "replace")
            return (octets.decode("unicode_escape", "ignore").encode("latin-1", "replace"),)
        case _:
            return text
