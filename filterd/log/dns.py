"""Which DNS answers did a decision rest on, said without anybody's local part?  HOUSE rules 11 and 15.

An SPF record may build names of the sender's local part, whole or in pieces (RFC 7208 §7: `%{l}`, `%{s}`, `%{l1r-}`).
So a name is said in clear only where it is known not to be such a one: it is a name the event has in clear anyway, the
place where SPF, DKIM, DMARC or reverse DNS keep something of it, or it stood in an earlier answer and holds no piece of
the local part. Of every other name the labels on the left become one keyed hash, `h-` and 32 hex digits, and the domain
they stand under remains: the same name has the same hash in every event.
"""

from __future__ import annotations

import contextlib
import ipaddress
import re
from collections.abc import Iterator, Sequence
from typing import Any

from filterd.log.facts import without_addresses
from filterd.model.ids import keyed_hash
from filterd.model.session import Transaction
from filterd.model.verdict import Assessment

# Name, type, answer in brief.
Asked = Sequence[tuple[str, str, str]]

# A message may ask 40 questions (clients.resolver).
COUNT_MAX = 40
# Of names and answers together; 40 answers of an ordinary mail are less than half of it.
CHARACTERS_MAX = 8192
ANSWER_MAX = 256

# What can be a host name inside an answer; SPF macros are none.
_HOST = re.compile(r"(?<![A-Za-z0-9._%{}-])[A-Za-z0-9_-]+(?:\.[A-Za-z0-9_-]+)+(?![A-Za-z0-9._%{}@-])")
# At what a macro may split (RFC 7208 §7.1).
_DELIMITERS = re.compile(r"[.\-+,/_=]")
# A local part this short stands in many a word by chance.
_LONG_ENOUGH = 4


def dns_facts(key: bytes, transaction: Transaction, assessment: Assessment, asked: Asked) -> dict[str, Any]:
    """Say what was asked, in the order asked, as far as the bounds allow, and how many questions were left out."""
    names = _Names(key, transaction, assessment)
    said: list[dict[str, str]] = []
    room = CHARACTERS_MAX
    for name, rdtype, answer in asked[:COUNT_MAX]:
        item = {"name": names.said(name), "type": rdtype, "answer": names.answered(answer)[:ANSWER_MAX]}
        room -= len(item["name"]) + len(item["answer"])
        if room < 0:
            break
        said.append(item)
    return {"dns": said, "dns_left_out": len(asked) - len(said)}


class _Names:
    """The names of one mail: which are known to hold nothing of a local part."""

    def __init__(self, key: bytes, transaction: Transaction, assessment: Assessment):
        self._key = key
        path = transaction.envelope.reverse_path
        local_part = path.local_part.lower() if path is not None else ""
        self._pieces = {local_part, *_DELIMITERS.split(local_part)} - {""}
        self._long = local_part if len(local_part) >= _LONG_ENOUGH else None
        self._domains = frozenset(_domains(transaction, assessment))
        self._exact = {*self._domains, *_exact(transaction, assessment)}

    def said(self, name: str) -> str:
        """Say a name that was asked for."""
        name = name.lower()
        return name if self._is_known(name) else self._hashed(name)

    def answered(self, answer: str) -> str:
        """Say an answer: without mailboxes (a DMARC record has some), names that hold a local part hashed. The other
        names in it are known from here on."""
        return _HOST.sub(self._answered, without_addresses(answer))

    def _answered(self, found: re.Match[str]) -> str:
        name = found[0].lower()
        if not self._holds_local_part(name):
            self._exact.add(name)
        return found[0] if self._is_known(name) else self._hashed(name)

    def _is_known(self, name: str) -> bool:
        if name in self._exact:
            return True
        first, _, rest = name.partition(".")
        # RFC 9989 §4.10 walks up from a domain to its parents.
        return first == "_dmarc" and any(d == rest or d.endswith(f".{rest}") for d in self._domains)

    def _holds_local_part(self, name: str) -> bool:
        labels = name.split(".")
        if not self._pieces.isdisjoint(labels):
            return True
        return self._long is not None and self._long in name

    def _hashed(self, name: str) -> str:
        labels = name.split(".")
        below = (at for at in range(1, len(labels)) if ".".join(labels[at:]) in self._domains)
        # Of a name with one label nothing can stay.
        cut = next(below, max(1, len(labels) - 2))
        left = ".".join(labels[:cut]).encode("utf-8", "surrogateescape")
        return ".".join([f"h-{keyed_hash(self._key, 'dns', left)}", *labels[cut:]])


def _domains(transaction: Transaction, assessment: Assessment) -> Iterator[str]:
    """Say the domains this event has in clear anyway: of the envelope, of HELO, of the client, of signatures."""
    session, path = transaction.session, transaction.envelope.reverse_path
    given = [path.domain if path is not None else None, session.helo, session.client_name]
    given += [value for prop, value in _properties(assessment) if prop in ("header.d", "header.from", "smtp.mailfrom")]
    for name in given:
        if name and "@" not in name and "." in name:
            yield name.lower().removesuffix(".")


def _exact(transaction: Transaction, assessment: Assessment) -> Iterator[str]:
    """Say where DKIM keeps a key, and reverse DNS the client's name."""
    said = _properties(assessment)
    domains = [value.lower() for prop, value in said if prop == "header.d"]
    for prop, value in said:
        if prop == "header.s":
            yield from (f"{value.lower()}._domainkey.{domain}" for domain in domains)
    session = transaction.session
    with contextlib.suppress(ValueError):
        yield ipaddress.ip_address(session.client_address or session.peer_address).reverse_pointer


def _properties(assessment: Assessment) -> list[tuple[str, str]]:
    return [pair for verdict in assessment.verdicts for result in verdict.results for pair in result.properties]
