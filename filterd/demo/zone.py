"""A small DNS server on loopback that serves one zone file: for the demonstration, and for trying filterd by hand.

The zone is TOML, one table a name, names without a trailing dot:

    ["example.org"]
    TXT = ["v=spf1 mx -all"]            # text; a list of texts is one record of several character strings
    MX = [[10, "mx.example.org"]]       # preference, host
    ["mx.example.org"]
    A = ["192.0.2.1"]
    TTL = 0                             # seconds, 60 where it is not said
    ["www.example.org"]
    CNAME = ["mx.example.org"]
    ["dead.example.org"]
    FAIL = "timeout"                    # whatever is asked: timeout, servfail, refused, truncate (UDP only)
    ["half.example.org"]
    A = ["192.0.2.1"]
    FAIL = { AAAA = "servfail" }        # one type; `else` is every type without records and without a word of its own

Types: A, AAAA, CNAME, MX, NS, PTR, TXT. A name without records below which there are names exists (NODATA); a name that
is not there at all does not (NXDOMAIN). It answers for the whole of DNS: nothing is ever asked elsewhere.
"""

from __future__ import annotations

import contextlib
import socket
import socketserver
import struct
import threading
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import dns.exception
import dns.flags
import dns.message
import dns.name
import dns.rcode
import dns.rdata
import dns.rdataclass
import dns.rdatatype
import dns.rrset
from dns.rdatatype import RdataType

TYPES = ("A", "AAAA", "CNAME", "MX", "NS", "PTR", "TXT")
DEFAULT_TTL_S = 60
MAX_CHAIN = 16
IN = dns.rdataclass.IN


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """What the zone says to one question.

    Args:
        chain: the (owner, target) of each CNAME that was followed, in order; a loop ends where it closes.
        owner: the name at the end of the chain, whose `records` these are, in the zone's own form.
        exists: False for NXDOMAIN. fail: the word of FAIL for the end of the chain, None when there is none.
    """

    chain: tuple[tuple[str, str], ...] = ()
    owner: str
    records: tuple[Any, ...] = ()
    exists: bool = True
    fail: str | None = None
    ttl_s: int = DEFAULT_TTL_S


class Zone:
    """A zone in memory. `Zone.read(text)` for TOML; the constructor takes the tables themselves."""

    def __init__(self, tables: Mapping[str, Mapping[str, Any]]):
        self._tables: dict[str, dict[str, Any]] = {}
        for name, table in tables.items():
            self._tables.setdefault(plain(name), {}).update({key: _listed(key, said) for key, said in table.items()})
        self._parents = {parent for name in self._tables for parent in _parents(name)}

    @classmethod
    def read(cls, text: str) -> Zone:
        return cls(tomllib.loads(text))

    def find(self, name: str, rdtype: str) -> Found:
        """Answer one question, following CNAMEs unless CNAME itself is asked for."""
        owner = plain(name)
        chain: list[tuple[str, str]] = []
        while True:
            table = self._tables.get(owner, {})
            aliases = table.get("CNAME", ())
            if not aliases or rdtype == "CNAME" or rdtype in table or len(chain) >= MAX_CHAIN:
                break
            chain.append((owner, plain(aliases[0])))
            owner = chain[-1][1]
            if owner in (seen for seen, _ in chain):
                return Found(chain=tuple(chain), owner=owner)
        return Found(
            chain=tuple(chain),
            owner=owner,
            records=tuple(table.get(rdtype, ())),
            exists=owner in self._tables or owner in self._parents,
            fail=_fail(table, rdtype),
            ttl_s=table.get("TTL", DEFAULT_TTL_S),
        )


def plain(name: str) -> str:
    """Give a name as the zone keeps it: lower case, no trailing dot."""
    return name.lower().rstrip(".")


def _listed(key: str, said: Any) -> Any:
    return [said] if key in TYPES and not isinstance(said, list) else said


def _parents(name: str) -> Iterator[str]:
    labels = name.split(".")
    return (".".join(labels[i:]) for i in range(1, len(labels)))


def _fail(table: Mapping[str, Any], rdtype: str) -> str | None:
    said = table.get("FAIL")
    if not isinstance(said, Mapping):
        return said
    word: str | None = said.get(rdtype) or (None if rdtype in table else said.get("else"))
    return word


# --- The wire ---------------------------------------------------------------------------------------------------------


class Responder:
    """Turns a query's octets into the octets that answer it; none means silence."""

    def __init__(self, zone: Zone):
        self._zone = zone

    def replies(self, wire: bytes, *, is_udp: bool) -> list[bytes]:
        try:
            query = dns.message.from_wire(wire)
        except dns.exception.DNSException:
            return []
        if len(query.question) != 1:
            return []
        question = query.question[0]
        found = self._zone.find(_text(question.name), dns.rdatatype.to_text(question.rdtype))
        if found.fail == "timeout":
            return []
        response = self.response(query, found, question.rdtype)
        if is_udp and found.fail == "truncate":
            response.answer, response.flags = [], response.flags | dns.flags.TC
        return [response.to_wire(max_size=self._room(query) if is_udp else 65535, prefer_truncation=True)]

    def response(self, query: dns.message.Message, found: Found, rdtype: RdataType) -> dns.message.Message:
        response = dns.message.make_response(query, recursion_available=True)
        if found.fail in ("servfail", "refused"):
            response.set_rcode(dns.rcode.SERVFAIL if found.fail == "servfail" else dns.rcode.REFUSED)
            return response
        for owner, target in found.chain:
            response.answer.append(_rrset(owner, dns.rdatatype.CNAME, [target], found.ttl_s))
        if found.records:
            response.answer.append(_rrset(found.owner, rdtype, found.records, found.ttl_s))
        else:
            if not found.exists:
                response.set_rcode(dns.rcode.NXDOMAIN)
            # RFC 2308 §2: what makes a negative answer one that may be kept.
            soa = f"ns.invalid. hostmaster.invalid. 1 3600 600 86400 {found.ttl_s}"
            response.authority.append(dns.rrset.from_text(dns.name.root, found.ttl_s, "IN", "SOA", soa))
        return response

    @staticmethod
    def _room(query: dns.message.Message) -> int:
        # RFC 6891 §6.2.3: what is below 512 counts as 512.
        return max(512, query.payload) if query.edns >= 0 else 512


def _rrset(owner: str, rdtype: RdataType, records: Any, ttl_s: int) -> dns.rrset.RRset:
    made = (_rdata(rdtype, record) for record in records)
    return dns.rrset.from_rdata_list(_name(owner), ttl_s, list(made))


def _rdata(rdtype: RdataType, record: Any) -> dns.rdata.Rdata:
    match rdtype:
        case dns.rdatatype.TXT:
            texts = [record] if isinstance(record, str) else record or [""]
            octets = [text.encode("utf-8", "surrogateescape") for text in texts]
            pieces = [text[i : i + 255] for text in octets for i in range(0, max(1, len(text)), 255)]
            wire = b"".join(bytes([len(piece)]) + piece for piece in pieces)
        case dns.rdatatype.MX:
            wire = struct.pack("!H", record[0]) + _wire(record[1])
        case dns.rdatatype.A:
            wire = socket.inet_pton(socket.AF_INET, record)
        case dns.rdatatype.AAAA:
            wire = socket.inet_pton(socket.AF_INET6, record)
        case _:
            wire = _wire(record)
    return dns.rdata.from_wire(IN, rdtype, wire, 0, len(wire))


def _name(text: str) -> dns.name.Name:
    # Not from_text, which reads a backslash as an escape.
    labels = [label.encode("utf-8", "surrogateescape") for label in plain(text).split(".") if label]
    return dns.name.Name((*labels, b""))


def _wire(text: str) -> bytes:
    return _name(text).to_wire() or b""


def _text(name: dns.name.Name) -> str:
    return ".".join(label.decode("utf-8", "surrogateescape") for label in name.labels[:-1])


# --- The server -------------------------------------------------------------------------------------------------------


class _Udp(socketserver.UDPServer):
    max_packet_size: ClassVar[int] = 65535
    responder: Responder


class _Tcp(socketserver.ThreadingTCPServer):
    daemon_threads = True
    allow_reuse_address = True
    responder: Responder


class _UdpHandler(socketserver.BaseRequestHandler):
    server: _Udp

    def handle(self) -> None:
        wire, here = self.request
        for reply in self.server.responder.replies(wire, is_udp=True):
            with contextlib.suppress(OSError):
                here.sendto(reply, self.client_address)


class _TcpHandler(socketserver.StreamRequestHandler):
    server: _Tcp
    timeout = 10

    def handle(self) -> None:
        with contextlib.suppress(OSError):
            while len(head := self.rfile.read(2)) == 2:
                wire = self.rfile.read(struct.unpack("!H", head)[0])
                for reply in self.server.responder.replies(wire, is_udp=False):
                    self.wfile.write(struct.pack("!H", len(reply)) + reply)


class ZoneServer:
    """Serves on 127.0.0.1, UDP and TCP on one port, from threads of its own: `with ZoneServer(zone) as server:`.

    Args:
        port: 0 for a free one; `server.port` says which, `server.address` gives it as `host:port`.
    """

    def __init__(self, zone: Zone, *, port: int = 0, responder: Responder | None = None):
        self._udp, self._tcp = _bind(port)
        self._udp.responder = self._tcp.responder = responder or Responder(zone)
        self.port: int = self._udp.server_address[1]
        self.address = f"127.0.0.1:{self.port}"
        self._threads: list[threading.Thread] = []

    def __enter__(self) -> ZoneServer:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(self) -> None:
        for server in (self._udp, self._tcp):
            # A short poll, so that stop() is quick.
            thread = threading.Thread(target=server.serve_forever, args=(0.05,), name="zone server", daemon=True)
            thread.start()
            self._threads.append(thread)

    def stop(self) -> None:
        for server in (self._udp, self._tcp):
            if self._threads:
                server.shutdown()
            server.server_close()
        for thread in self._threads:
            thread.join()
        self._threads = []


def _bind(port: int, tries: int = 20) -> tuple[_Udp, _Tcp]:
    while True:
        udp = _Udp(("127.0.0.1", port), _UdpHandler)
        try:
            return udp, _Tcp(("127.0.0.1", udp.server_address[1]), _TcpHandler)
        except OSError:
            # Somebody else has that TCP port; where the port was left to us, another will do.
            udp.server_close()
            tries -= 1
            if port or not tries:
                raise
