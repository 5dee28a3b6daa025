"""RFC 7208 `check_host` by pyspf, without a blocking look-up, a thread, or pyspf's own DNS.  FAULTS F1-F3.

pyspf asks DNS in the middle of its work, through a name of its module. `_Evaluation` overrides the one method all its
questions go through: known answers are given; an unknown one raises `_Missing` out of pyspf. `check_host` then resolves
it without blocking, and evaluates once more from the start with what is known by then. The module itself is not
touched, so nothing is shared between two mails. Evaluations of one mail: at most `MAX_QUESTIONS` + 1, one when the
cache has everything.

Other changes of pyspf, each bounded to what is said here:
- `exp=` is never resolved: a stranger's explanation is not quoted by us, and it changes no result (§6.2).
- A DNS error under `ptr` and `%{p}` does not match instead of ending the evaluation (§5.5, §7.3).
- The local part is not cut at its first `@`, which may stand in quotes.
- `ip4:` and `ip6:` terms are parsed once, and addresses compared as numbers.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import spf

from filterd.errors import DnsBudgetSpent, PortError
from filterd.ports import DnsAnswer, Lookups

# RFC 7208 §4.6.4 allows 10 terms, and 10 addresses for each `mx` and `ptr`: 111 questions for one mail (FAULTS F2).
# Of a message's 40, this many are SPF's; real records need fewer than 15. DKIM and DMARC keep the rest.
MAX_QUESTIONS = 24
# §3.4 advises 450 octets; what is beyond these is not evaluated, because pyspf is quadratic in the length of a term.
MAX_RECORD_BYTES = 4096
MAX_TERM_BYTES = 512
# All records of one evaluation: eleven of full length with 300 addresses each held the event loop for 70 ms a run.
MAX_RECORDS_BYTES = 16_384
# Addresses and networks of records that were parsed, each less than 100 octets.
KEPT = 8192

# In the place of a local part that is told to nobody. It holds nothing at which a macro may split.
UNTOLD = "thelocalpartthatisnottold"

_IP_TERM = re.compile(r"[-+?~]?ip[46]:[0-9A-Fa-f:./]{1,50}\Z", re.IGNORECASE)

Key = tuple[str, str]
Client = ipaddress.IPv4Address | ipaddress.IPv6Address


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What `check_host` says: a result of RFC 7208 §2.6, and for an error a code of why.

    `problem`: `budget` (too many questions; temperror), `dns` (temperror), `record` (permerror), `exception`
    (permerror: it was pyspf that gave up), `local_part` (neutral: we do not tell it), or None.
    """

    result: str
    problem: str | None = None


class Questions:
    """The DNS answers one mail's SPF evaluations have seen so far; MAIL FROM and HELO share it and its bound."""

    def __init__(self, dns: Lookups):
        self._dns = dns
        # Says an answer that needs no waiting; where the resolver has no such thing, every answer takes a round.
        self._known: Callable[[str, str], DnsAnswer | None] | None = getattr(dns, "known", None)
        self._answers: dict[Key, DnsAnswer | PortError] = {}

    def now(self, key: Key) -> DnsAnswer:
        """Say the answer, or raise `_Missing` when it must be waited for, PortError when there is none."""
        found = self._answers.get(key)
        if found is None:
            if len(self._answers) >= MAX_QUESTIONS:
                raise DnsBudgetSpent("SPF has asked too much", temporary=True)
            try:
                found = self._known(*key) if self._known else None
            except PortError as err:
                found = err
            if found is None:
                raise _Missing(key)
            self._answers[key] = found
        if isinstance(found, PortError):
            raise found.with_traceback(None)
        return found

    async def fetch(self, key: Key) -> None:
        try:
            self._answers[key] = await self._dns.query(*key)
        except PortError as err:
            self._answers[key] = err


async def check_host(
    questions: Questions, client: Client, domain: str, *, local_part: str, helo: str, may_tell: bool = True
) -> Answer:
    """Say whether `client` may send for `domain`.

    Args:
        domain: of the identity, A-labels. local_part: of the reverse-path; `postmaster` for the HELO identity.
        helo: what the client called itself, for macros only.
        may_tell: False: a record that wants the local part in a question (§7.2, `l` and `s`) says nothing: neutral.
    """
    # §4.3: a malformed or single-label domain, and an address literal, have no SPF.
    if not is_multi_label(domain):
        return Answer(result="none")
    while True:
        try:
            evaluation = _Evaluation(questions, client, domain, local_part=local_part, helo=helo, may_tell=may_tell)
            result = str(evaluation.check()[0])
        except _Missing as missing:
            await questions.fetch(missing.key)
            continue
        except _Private:
            return Answer(result="neutral", problem="local_part")
        except DnsBudgetSpent:
            return Answer(result="temperror", problem="budget")
        # FAULTS F3: AssertionError, ValueError, IndexError and others, for records and identities strangers write.
        except Exception:
            return Answer(result="permerror", problem="exception")
        return Answer(result=result, problem={"temperror": "dns", "permerror": "record"}.get(result))


def is_multi_label(domain: str) -> bool:
    """Say whether `domain` has two labels or more, each of 1 to 63 printable ASCII octets."""
    labels = domain.removesuffix(".").split(".")
    if len(labels) < 2 or len(domain) > 253 or domain.startswith("[") or not domain.isascii():
        return False
    return domain.isprintable() and all(0 < len(label) <= 63 for label in labels)


def read_client(text: str | None) -> Client | None:
    """Read a client's address; None for what is none. A zone (`fe80::1%eth0`) is of this machine and falls away."""
    try:
        address = ipaddress.ip_address((text or "").partition("%")[0])
    except ValueError:
        return None
    # §5: an IPv4 client seen through an IPv6 socket is an IPv4 client.
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return mapped or address


class _Missing(Exception):
    """An answer is not known yet."""

    def __init__(self, key: Key):
        super().__init__()
        self.key = key


class _Private(Exception):
    """The record wants to put the local part into a question."""


# pyspf has no types: its classes are Any, which a subclass may not be without saying so.
class _Evaluation(spf.query):  # type: ignore[misc]
    """One run of pyspf over the known answers."""

    def __init__(
        self, questions: Questions, client: Client, domain: str, *, local_part: str, helo: str, may_tell: bool
    ):
        super().__init__(i=str(client), s=f"postmaster@{domain}", h=helo)
        self._questions = questions
        self._client = (client.version, int(client))
        self.l, self.o, self.d = local_part if may_tell else UNTOLD, domain, domain
        self.s = f"{self.l}@{domain}"
        self._record_bytes = 0

    def dns(self, name: str, qtype: str, cnames: object = None, ignore_void: bool = False) -> list[Any]:
        name = str(name).removesuffix(".").lower()
        if UNTOLD in name:
            raise _Private
        labels = name.split(".")
        if "" in labels or len(max(labels, key=len)) > 63:
            return []
        try:
            found = self._questions.now((name, qtype))
        except DnsBudgetSpent:
            raise
        except PortError as err:
            raise spf.TempError("no answer") from err
        if qtype == "TXT":
            records: list[Any] = [strings for strings in found.records if strings]
            self._bound(records)
        else:
            records = list(found.records)
        # §4.6.4: both NXDOMAIN and NODATA are void.
        if not records and not ignore_void:
            self.void_lookups += 1
            if self.void_lookups > spf.MAX_VOID_LOOKUPS:
                raise spf.PermError("too many void lookups")
        return records

    def _bound(self, records: list[tuple[bytes, ...]]) -> None:
        for record in map(b"".join, records):
            if record[:7].lower() != b"v=spf1 ":
                continue
            self._record_bytes += len(record)
            is_long = len(record) > MAX_RECORD_BYTES or self._record_bytes > MAX_RECORDS_BYTES
            if is_long or max(map(len, record.split(b" "))) > MAX_TERM_BYTES:
                raise spf.PermError("record too long")

    def get_explanation(self, spec: object) -> None:
        return None

    def validate_mechanism(self, mech: str) -> tuple[Any, ...]:
        if _IP_TERM.match(mech):
            return _ip_term(mech, self.A == "AAAA")
        term: tuple[Any, ...] = super().validate_mechanism(mech)
        return term

    def validated_ptrs(self) -> list[str]:
        try:
            names = self.dns_ptr(self.i)[: spf.MAX_PTR]
        except spf.TempError:
            return []
        return [name for name in names if self._leads_here(name)]

    def _leads_here(self, name: str) -> bool:
        try:
            return self.cidrmatch(self.dns_a(name, self.A), self.cidrmax)
        except spf.TempError:
            return False

    def cidrmatch(self, ipaddrs: list[str], n: int) -> bool:
        version, mine = self._client
        for text in ipaddrs:
            other_version, other = _number(text)
            if other_version == version and (mine ^ other) >> (self.cidrmax - n) == 0:
                return True
        return False


@lru_cache(maxsize=KEPT)
def _ip_term(mech: str, is_six: bool) -> tuple[Any, ...]:
    """What pyspf makes of `ip4:…` or `ip6:…`, which nothing but the family of the client enters into."""
    term: tuple[Any, ...] = spf.query(i="::1" if is_six else "192.0.2.1", s="a@b", h="b").validate_mechanism(mech)
    return term


@lru_cache(maxsize=KEPT)
def _number(text: str) -> tuple[int, int]:
    try:
        address = ipaddress.ip_address(text)
    except ValueError as err:
        raise spf.PermError("invalid address") from err
    return address.version, int(address)
