"""One question to the name servers, one answer or a PortError: UDP, TCP when truncated.  RFC 1035, 2308, 6891, 7766.

A server that says it cannot do EDNS is asked once more without it (RFC 6891 §7); one that is silent is not, for
silence says nothing.

A reply with another id, another question, or no DNS in it is passed over, and the wait goes on (CVE-2023-29483): a
forged packet must not end a look-up. Temporary: silence, SERVFAIL and every other code but NOERROR and NXDOMAIN.
A server that was silent three times running is asked last, and with little patience, until it answers again.
"""

from __future__ import annotations

import ipaddress
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import dns.asyncquery
import dns.exception
import dns.message
import dns.name
import dns.rcode
import dns.rdataclass
import dns.rdatatype
import dns.resolver

from filterd.clients.resolver_sockets import Sockets
from filterd.errors import ConfigError, PortError
from filterd.ports import DnsAnswer

RESOLV_CONF = "/etc/resolv.conf"
# A recursive server answers within this unless the far end is silent. Two tries stay below what SPF and DKIM may wait.
PATIENCE_S = 1.5
SUSPECT_PATIENCE_S = 0.5
SUSPECT_AFTER = 3
SUSPECT_FOR_S = 10.0
TRIES = 2
# DNS flag day 2020: what passes without fragments.
EDNS_BYTES = 1232
# What servers without EDNS say to a question with it.
NO_EDNS = (dns.rcode.FORMERR, dns.rcode.NOTIMP, dns.rcode.BADVERS)
# BIND follows 16 before it gives up.
MAX_CHAIN = 16
TYPES = {name: dns.rdatatype.from_text(name) for name in ("A", "AAAA", "CNAME", "MX", "NS", "PTR", "TXT")}


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """An answer, and for how long its sender wants it kept; 0 where it did not say."""

    answer: DnsAnswer
    ttl_s: int


@dataclass(slots=True)
class _Server:
    host: str
    port: int
    silent: int = 0
    suspect_until: float = 0.0


class NameServers:
    """The servers that are asked.

    Args:
        addresses: each `host`, `host:port` or `[host]:port`, numeric; None: those of /etc/resolv.conf.
        patience_s: how long one try waits.

    Raises:
        ConfigError: an address that is none, or no server at all.
    """

    def __init__(
        self,
        addresses: Sequence[str] | None,
        *,
        patience_s: float = PATIENCE_S,
        clock: Callable[[], float] = time.monotonic,
    ):
        self._servers = [_Server(*read_address(a)) for a in (system_servers() if addresses is None else addresses)]
        self._patience_s, self._clock = patience_s, clock
        # What dnspython calls a backend; its own class has no name that type checkers see.
        self._sockets: Any = Sockets()
        if not self._servers:
            raise ConfigError("no name server; give at least one")

    async def ask(self, labels: tuple[bytes, ...], rdtype: str) -> Reply:
        """Ask until somebody answers, in at most `TRIES` tries. Raises PortError(temporary=True)."""
        question = dns.name.Name((*labels, b""))
        problem = "no answer"
        for server in self._order():
            said = await self._exchange(server, question, TYPES[rdtype])
            if not isinstance(said, str) and said.rcode() in NO_EDNS:
                said = await self._exchange(server, question, TYPES[rdtype], edns=False)
            if isinstance(said, str):
                problem = said
                continue
            server.silent, server.suspect_until = 0, 0.0
            if said.rcode() in (dns.rcode.NOERROR, dns.rcode.NXDOMAIN):
                return read_response(said, question, TYPES[rdtype])
            problem = dns.rcode.to_text(said.rcode()).lower()
        raise PortError(f"DNS: {problem}", temporary=True)

    async def _exchange(
        self, server: _Server, question: dns.name.Name, rdtype: dns.rdatatype.RdataType, *, edns: bool = True
    ) -> dns.message.Message | str:
        """Ask one server once; says its response, or why there is none."""
        options = {"use_edns": 0, "payload": EDNS_BYTES} if edns else {"use_edns": False}
        query = dns.message.make_query(question, rdtype, **options)
        try:
            response, _ = await dns.asyncquery.udp_with_fallback(
                query,
                server.host,
                timeout=self._patience(server),
                port=server.port,
                ignore_unexpected=True,
                ignore_errors=True,
                backend=self._sockets,
            )
        except dns.exception.Timeout:
            self._note_silence(server)
            return "no answer in time"
        # Over TCP a reply that is no DNS cannot be passed over; the parser's own exceptions are many.
        except (OSError, EOFError, ValueError, dns.exception.DNSException):
            return "broken answer"
        return response

    def _order(self) -> list[_Server]:
        now = self._clock()
        servers = sorted(self._servers, key=lambda server: server.suspect_until > now)
        if len(servers) == 1 and servers[0].suspect_until <= now:
            # RFC 1035 §4.2.1: UDP loses packets. A lone server is asked again, but not one that is silent anyway.
            return servers * TRIES
        return servers[:TRIES]

    def _patience(self, server: _Server) -> float:
        return min(self._patience_s, SUSPECT_PATIENCE_S) if server.suspect_until > self._clock() else self._patience_s

    def _note_silence(self, server: _Server) -> None:
        server.silent += 1
        if server.silent >= SUSPECT_AFTER:
            server.suspect_until = self._clock() + SUSPECT_FOR_S


def read_address(text: str) -> tuple[str, int]:
    """Read `192.0.2.1`, `192.0.2.1:5353`, `2001:db8::1` or `[2001:db8::1]:53`. Raises ConfigError."""
    host, port = text, "53"
    if text.startswith("["):
        host, bracket, rest = text[1:].partition("]")
        port = rest[1:] if rest.startswith(":") else "" if rest or not bracket else port
    elif text.count(":") == 1:
        host, _, port = text.partition(":")
    try:
        ipaddress.ip_address(host)
        if 0 < int(port) < 65536:
            return host, int(port)
    except ValueError:
        pass
    raise ConfigError(f"name server {text!r} is not a numeric address with an optional port")


def system_servers() -> list[str]:
    """Say the servers of /etc/resolv.conf. Raises ConfigError when there are none."""
    try:
        found = dns.resolver.Resolver(filename=RESOLV_CONF).nameservers
    except (OSError, dns.exception.DNSException) as err:
        raise ConfigError("no name server; name them in the configuration", file=RESOLV_CONF) from err
    return [str(server) for server in found]


def read_response(response: dns.message.Message, question: dns.name.Name, rdtype: dns.rdatatype.RdataType) -> Reply:
    """Take the answer out of a response with code NOERROR or NXDOMAIN. A CNAME loop has no data: that is an answer."""
    sets = {(rrset.name, rrset.rdtype): rrset for rrset in response.answer if rrset.rdclass == dns.rdataclass.IN}
    owner = question
    ttls: list[int] = []
    for _ in range(MAX_CHAIN):
        if (found := sets.get((owner, rdtype))) is not None:
            records = tuple(_record(rdata) for rdata in found)
            return Reply(answer=DnsAnswer(records=records), ttl_s=min([*ttls, found.ttl]))
        alias = sets.get((owner, dns.rdatatype.CNAME))
        if alias is None:
            break
        ttls.append(alias.ttl)
        owner = next(iter(alias)).target
    # RFC 2308 §5: without SOA a negative answer is not kept.
    kept = [min(s.ttl, next(iter(s)).minimum) for s in response.authority if s.rdtype == dns.rdatatype.SOA]
    exists = response.rcode() != dns.rcode.NXDOMAIN
    return Reply(answer=DnsAnswer(exists=exists), ttl_s=min([*ttls, *kept]) if kept else 0)


def _record(rdata: Any) -> Any:
    match rdata.rdtype:
        case dns.rdatatype.A | dns.rdatatype.AAAA:
            return rdata.address
        case dns.rdatatype.MX:
            return rdata.preference, _text(rdata.exchange)
        case dns.rdatatype.TXT:
            return rdata.strings
        case _:
            return _text(rdata.target)


def _text(name: dns.name.Name) -> str:
    # RFC 7505: the root as an exchange means that there is none.
    return "" if name == dns.name.root else name.to_text(omit_final_dot=True)
