"""DNS for tests: one zone, read by an in-memory `Lookups` and by a real server on loopback.

A zone.toml has one table a name (the format, with FAIL and TTL, stands in filterd/demo/zone.py):

    ["example.org"]
    TXT = ["v=spf1 -all"]
    A = ["192.0.2.1"]
    MX = [[10, "mx.example.org"]]
    ["dead.example.org"]
    FAIL = "timeout"

In memory, without the network:     dns = ZoneLookups.read(text)           → Context(dns=dns)
                                     dns = ZoneLookups({"example.org": {"TXT": ["v=spf1 -all"]}})
Over UDP and TCP on loopback:        with ZoneServer(Zone.read(text)) as server: ... server.address ("127.0.0.1:port")
                                     patient_resolver(server).for_message()
With replies that a server of good faith would not send: `ZoneServer(zone, responder=Mischief(zone, {...}))`.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import dns.message

from filterd.clients.resolver import DnsResolver, published
from filterd.clients.resolver_wire import NameServers
from filterd.demo.zone import Found, Responder, Zone, ZoneServer
from filterd.errors import DnsBudgetSpent, PortError
from filterd.ports import Asked, DnsAnswer
from tests.kit.waiting import PATIENCE_S

__all__ = ["Mischief", "Zone", "ZoneLookups", "ZoneResolver", "ZoneServer", "patient_resolver", "read_zone"]

BUDGET = 40


def read_zone(path: Path) -> Zone:
    """Read a zone file; a case folder without one has an empty zone."""
    return Zone.read(path.read_text(encoding="utf-8") if path.is_file() else "")


class ZoneLookups:
    """`ports.Lookups` over a zone in memory, with a message's budget. A FAIL word (but truncate) is a PortError."""

    def __init__(self, zone: Zone | Mapping[str, Mapping[str, Any]], *, budget: int = BUDGET):
        self._zone = zone if isinstance(zone, Zone) else Zone(zone)
        self._budget = budget
        self._asked: dict[tuple[str, str], DnsAnswer | PortError] = {}

    @classmethod
    def read(cls, text: str) -> ZoneLookups:
        return cls(Zone.read(text))

    @property
    def asked(self) -> tuple[Asked, ...]:
        return tuple((name, rdtype, published(found)) for (name, rdtype), found in self._asked.items())

    async def query(self, name: str, rdtype: str) -> DnsAnswer:
        return self.known(name, rdtype)

    def known(self, name: str, rdtype: str) -> DnsAnswer:
        """Say the answer at once, as `query` would."""
        key = (name.lower().rstrip("."), rdtype)
        if key not in self._asked and len(self._asked) >= self._budget:
            raise DnsBudgetSpent("budget spent")
        found = self._zone.find(name, rdtype)
        if found.fail and found.fail != "truncate":
            self._asked[key] = PortError(f"DNS: {found.fail}", temporary=True)
            raise PortError(f"DNS {found.fail}", temporary=True)
        answer = DnsAnswer(records=tuple(_record(rdtype, r) for r in found.records), exists=found.exists)
        self._asked[key] = answer
        return answer


def patient_resolver(server: ZoneServer, **limits: Any) -> DnsResolver:
    """Give a resolver that waits for the server for as long as the machine takes, and whose cache does not age.

    Args:
        limits: of `DnsResolver`, in place of these.
    """
    ask = NameServers([server.address], patience_s=PATIENCE_S).ask
    return DnsResolver(ask, **{"deadline_s": 10 * PATIENCE_S, "clock": lambda: 0.0} | limits)


class ZoneResolver:
    """`ports.Resolver` over a zone in memory."""

    def __init__(self, zone: Zone):
        self._zone = zone

    def for_message(self) -> ZoneLookups:
        return ZoneLookups(self._zone)


def _record(rdtype: str, record: Any) -> Any:
    """Turn a record of the zone into the form of `DnsAnswer`."""
    match rdtype:
        case "MX":
            return record[0], record[1].rstrip(".")
        case "TXT":
            texts = [record] if isinstance(record, str) else record
            octets = [text.encode("utf-8", "surrogateescape") for text in texts]
            return tuple(text[i : i + 255] for text in octets for i in range(0, max(1, len(text)), 255))
        case "A" | "AAAA":
            return record
        case _:
            return record.rstrip(".")


class Mischief(Responder):
    """Spoils the UDP replies to some names.

    Args:
        spoiled: name → `wrong_id` (a forged answer with another id comes first), `garbage` (octets that are no DNS come
            first), `only_garbage`, `other_question` (the answer to another question comes first).
        forged: what a forged answer says, a TXT record.
    """

    def __init__(self, zone: Zone, spoiled: Mapping[str, str], *, forged: str = "forged"):
        super().__init__(zone)
        self._spoiled, self._forged = spoiled, forged
        self.seen: list[tuple[str, str, bool]] = []

    def replies(self, wire: bytes, *, is_udp: bool) -> list[bytes]:
        query = dns.message.from_wire(wire)
        question = query.question[0]
        name = question.name.to_text(omit_final_dot=True).lower()
        self.seen.append((name, question.rdtype.name, is_udp))
        honest = super().replies(wire, is_udp=is_udp)
        match self._spoiled.get(name) if is_udp else None:
            case "wrong_id":
                query.id ^= 1
                return [self._forgery(query, name), *honest]
            case "other_question":
                other = dns.message.make_query(f"other.{name}", question.rdtype)
                other.id = query.id
                return [self._forgery(other, f"other.{name}"), *honest]
            case "garbage":
                return [b"\x00", wire[:12], b"\xff" * 40, *honest]
            case "only_garbage":
                return [wire[:2] + b"\xff" * 40]
            case _:
                return honest

    def _forgery(self, query: dns.message.Message, name: str) -> bytes:
        found = Found(owner=name, records=(self._forged,))
        return self.response(query, found, query.question[0].rdtype).to_wire()
