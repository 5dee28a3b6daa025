"""Which DNS answers did a decision rest on, said without anybody's local part?  HOUSE rules 11 and 15.

The records are kept whole, so that the decision can be made once more from them (pipeline.kept_dns).

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

# Name, type, and the records as text (`ports.Lookups.asked`), or the word for why there are none.
Asked = Sequence[tuple[str, str, str | tuple[str, ...]]]

# A message may ask 40 questions (clients.resolver); these, and some that it was refused.
COUNT_MAX = 60
# Of names and records together: ten keys of 4096 bits beside SPF, DMARC and ARC. An ordinary mail has two thousand.
CHARACTERS_MAX = 16_384
# Of one answer. An SPF record that is evaluated has 4,096 octets at most (checks.spf_query), a key some 1,400.
ANSWER_MAX = 5_000
# The stream cuts text at 256 characters: what is longer is kept in pieces.
PIECE_MAX = 250

# What can be a host name inside an answer; SPF macros are none.
_HOST = re.compile(r"(?<![A-Za-z0-9._%{}-])[A-Za-z0-9_-]+(?:\.[A-Za-z0-9_-]+)+(?![A-Za-z0-9._%{}@-])")
# An IPv4 address is none, whatever numbers a local part has.
_NUMBERS = re.compile(r"[0-9]{1,3}(?:\.[0-9]{1,3}){3}")
# Between the words of a record.
_BETWEEN_WORDS = " \t\r\n<>\"',;:"
# At what a macro may split (RFC 7208 §7.1).
_DELIMITERS = re.compile(r"[.\-+,/_=]")
# RFC 1035 §2.3.4; what is longer is no name.
_NAME_MAX = 253
# A local part this short stands in many a word by chance.
_LONG_ENOUGH = 4


def dns_facts(key: bytes, transaction: Transaction, assessment: Assessment, asked: Asked) -> dict[str, Any]:
    """Say what was asked, in the order asked, as far as the bounds allow, and how many questions were left out.

    Each has `records`, one text or a list of its pieces for each record, or `answer`, a word for why there are none.
    Records that no method reads, or beyond the bounds, are counted in `records_left_out`; `is_cut`: the last is not
    whole.
    """
    names = _Names(key, transaction, assessment)
    said: list[dict[str, Any]] = []
    room = CHARACTERS_MAX
    for name, rdtype, answer in asked[:COUNT_MAX]:
        item = {"name": names.said(name), "type": rdtype, **names.answered(name, rdtype, answer)}
        if _size(item) > room and "records" in item:
            item |= {"records": [], "records_left_out": len(answer)}
        if _size(item) <= room:
            room -= _size(item)
            said.append(item)
    return {"dns": said, "dns_left_out": len(asked) - len(said)}


def kept_names(key: bytes, name: str) -> Iterator[str]:
    """Say under which names an event may have the answer about `name`: in clear, and with labels on the left hashed."""
    labels = name.split(".")
    yield name
    yield from (_hashed(key, labels, cut) for cut in range(1, len(labels) + 1))


def _hashed(key: bytes, labels: Sequence[str], cut: int) -> str:
    left = ".".join(labels[:cut]).encode("utf-8", "surrogateescape")
    return ".".join([f"h-{keyed_hash(key, 'dns', left)}", *labels[cut:]])


def _size(item: dict[str, Any]) -> int:
    records = sum(len(piece) for record in item.get("records", ()) for piece in record)
    return len(item["name"]) + len(item.get("answer", "")) + records


def _is_read(name: str, rdtype: str, record: str) -> bool:
    """Say whether any method reads a record: of a domain's own TXT records SPF's alone (RFC 7208 §4.5)."""
    labels = name.lower().split(".")
    return rdtype != "TXT" or "_domainkey" in labels or "_dmarc" in labels or record[:6].lower() == "v=spf1"


class _Names:
    """The names of one mail: which are known to hold nothing of a local part."""

    def __init__(self, key: bytes, transaction: Transaction, assessment: Assessment):
        self._key = key
        # Characters of records that may still be looked at: what strangers publish must not keep the loop.
        self._left = CHARACTERS_MAX
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

    def answered(self, asked: str, rdtype: str, answer: str | tuple[str, ...]) -> dict[str, Any]:
        """Say an answer: without mailboxes (a DMARC record has some), names that hold a local part hashed. The other
        names in it are known from here on."""
        if isinstance(answer, str):
            return {"answer": answer[:PIECE_MAX]}
        records: list[str | list[str]] = []
        room, is_cut = min(ANSWER_MAX, self._left), False
        for record in answer:
            if room > 0 and _is_read(asked, rdtype, record):
                self._left -= min(len(record), room)
                if len(record) > room:
                    # A stranger's record may have 64 kB. The last word goes, too: half a mailbox looks like none.
                    record, is_cut = _whole_words(record[:room]), True
                text = _HOST.sub(self._answered, without_addresses(record))
                room -= len(record) + 1
                records.append(text if len(text) <= PIECE_MAX else _pieces(text))
        said: dict[str, Any] = {"records": records}
        if left_out := len(answer) - len(records):
            said["records_left_out"] = left_out
        return said | ({"is_cut": True} if is_cut else {})

    def _answered(self, found: re.Match[str]) -> str:
        if _NUMBERS.fullmatch(found[0]):
            return found[0]
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
        if len(name) > _NAME_MAX:
            return _hashed(self._key, labels, len(labels))
        below = (at for at in range(1, len(labels)) if ".".join(labels[at:]) in self._domains)
        # Of a name with one label nothing can stay.
        cut = next(below, max(1, len(labels) - 2))
        return _hashed(self._key, labels, cut)


def _whole_words(text: str) -> str:
    """Leave out the last word. Linear, whatever strangers publish."""
    return text[: max(text.rfind(mark) for mark in _BETWEEN_WORDS) + 1]


def _pieces(text: str) -> list[str]:
    return [text[at : at + PIECE_MAX] for at in range(0, len(text), PIECE_MAX)]


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
        yield ipaddress.ip_address(session.known_client or "").reverse_pointer


def _properties(assessment: Assessment) -> list[tuple[str, str]]:
    return [pair for verdict in assessment.verdicts for result in verdict.results for pair in result.properties]
