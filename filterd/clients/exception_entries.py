"""One file of exceptions: octets in, entries out.  ops/docs/EXCEPTIONS.md has the keys and why each fault is one."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime
from typing import Annotated, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field

from filterd.errors import PeerError
from filterd.mail.names import canonical_domain, canonical_login
from filterd.model.exception import DENY, GROUPS, NULL_SENDER, SPAM_AT, Denial, ExceptionEntry, Kind, Network
from filterd.model.toml_source import TomlSource, validate

_CONDITIONS = ("client", "sender", "account", "tenant", "from_domain", "recipient")
_FIRST, _LAST = datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC)
_HEADER = re.compile(r"^\s*\[\[\s*(deny|accept|exception)\s*\]\]\s*(?:#.*)?$")

V = TypeVar("V")
_Choice = Literal["reject", "quarantine", "tag", "accept"]
_Values = Annotated[tuple[str, ...], Field(max_length=200_000)]


class _Entry(BaseModel):
    """The keys that every entry may have."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    id: str = Field(pattern=r"^[a-z0-9][a-z0-9._-]{0,63}$")
    by: str = Field(min_length=1, max_length=200)
    reason: str = Field(min_length=3, max_length=500)
    until: datetime | date | None = None
    client: _Values = ()
    sender: _Values = ()
    account: _Values = ()
    tenant: _Values = ()
    from_domain: _Values = ()
    recipient: _Values = ()
    authenticated: tuple[Literal["spf", "dkim", "dmarc"], ...] = ()


class _Deny(_Entry):
    reply: Literal["reject", "defer"] = "reject"
    # RFC 3463 §2: class, subject, detail.
    enhanced: str | None = Field(None, pattern=r"^[45]\.\d{1,3}\.\d{1,3}$")
    # What every client can be told (RFC 6531 §3.7.4.2), on one line.
    text: str | None = Field(None, min_length=1, max_length=200, pattern=r"^[\x20-\x7e]+$")
    direction: Literal["inbound", "outbound", "any"] = "inbound"


class _Accept(_Entry):
    skip: tuple[Literal["deny", "attachments", "phishing", "spam", "impersonation", "dmarc"], ...] = Field(min_length=1)
    mark_only: bool = False


class _Exception(_Entry):
    # A virus is never passed on.
    virus: Literal["reject", "quarantine"] | None = None
    attachments: _Choice | None = None
    phishing: _Choice | None = None
    spam: _Choice | None = None
    impersonation: _Choice | None = None
    dmarc: _Choice | None = None
    spam_at: float | None = Field(None, gt=0, le=1)


class _File(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    deny: tuple[_Deny, ...] = ()
    accept: tuple[_Accept, ...] = ()
    exception: tuple[_Exception, ...] = ()


def read_entries(octets: bytes, name: str, rank: int) -> Iterator[ExceptionEntry]:
    """Read the entries of one file.

    Args:
        rank: the number of the file among those of the configuration.

    Raises:
        ConfigError: for the first thing wrong, with file, line and key.
    """
    source = TomlSource.of(octets, name)
    said = validate(_File, source)
    for kind, entries in ((Kind.DENY, said.deny), (Kind.ACCEPT, said.accept), (Kind.EXCEPTION, said.exception)):
        lines = _lines(source, kind, len(entries))
        for number, (entry, line) in enumerate(zip(entries, lines, strict=True)):
            if fault := _fault(kind, entry):
                raise source.error(fault[1], (kind.value, number, fault[0]))
            yield _made(source, kind, entry, number, line, rank)


def _lines(source: TomlSource, kind: Kind, count: int) -> list[int]:
    """Say where the entries of a kind begin. In one go: a list may have 100,000 of them."""
    found = [n for n, line in enumerate(source.text.splitlines(), 1) if (m := _HEADER.match(line)) and m[1] == kind]
    if len(found) == count:
        return found
    # Written as inline tables, or with such a line within a text.
    return [source.line_of((kind.value, number)) or 1 for number in range(count)]


def _fault(kind: Kind, entry: _Entry) -> tuple[str, str] | None:
    """Say the key and what is wrong with it, None when the entry may stand."""
    if not any(getattr(entry, name) for name in _CONDITIONS):
        return "id", f"no condition: one of {', '.join(_CONDITIONS)}"
    if entry.from_domain and not {"dkim", "dmarc"} & set(entry.authenticated):
        return "from_domain", 'anybody can write a From field: needs authenticated = ["dmarc"], or "dkim", or both'
    if entry.authenticated and not (entry.sender or entry.from_domain):
        return "authenticated", "vouches for sender or from_domain, and there is neither"
    if isinstance(entry, _Deny):
        return _fault_of_denial(entry)
    if entry.account or entry.tenant:
        key = "account" if entry.account else "tenant"
        return key, f"who has signed in answers for his mail: no {kind.value} entry changes that"
    if entry.sender and not entry.authenticated:
        return "sender", 'anybody can write an envelope sender: needs authenticated, of "spf", "dkim", "dmarc"'
    if NULL_SENDER in entry.sender:
        return "sender", "nothing vouches for the null sender"
    if isinstance(entry, _Exception) and not _choices(entry):
        return "id", f"changes nothing: one of {', '.join((*GROUPS, SPAM_AT))}"
    return None


def _fault_of_denial(entry: _Deny) -> tuple[str, str] | None:
    expected = "5" if entry.reply == "reject" else "4"
    if entry.enhanced is not None and not entry.enhanced.startswith(expected):
        return "enhanced", f'reply = "{entry.reply}" goes with {expected}.x.x'
    is_ours = entry.direction != "inbound"
    if (entry.account or entry.tenant) and not is_ours:
        return "direction", 'account and tenant are of our own mail: needs direction = "outbound"'
    if is_ours and not (entry.recipient or entry.client):
        # HOUSE rule 8: it would stop an account without ground, notice or objection.
        return "direction", (
            "a suspension by another name: needs recipient or client; to stop an account, `filterd security hold`"
        )
    if is_ours and entry.authenticated:
        return "authenticated", "is about mail from outside: not with this direction"
    return None


def _choices(entry: _Entry) -> tuple[tuple[str, str], ...]:
    if isinstance(entry, _Deny):
        return ((DENY, entry.reply),)
    if isinstance(entry, _Accept):
        marked = "tag" if entry.mark_only else "accept"
        return tuple((topic, "accept" if topic == DENY else marked) for topic in dict.fromkeys(entry.skip))
    said = ((topic, getattr(entry, topic)) for topic in (*GROUPS, SPAM_AT))
    return tuple((topic, str(choice)) for topic, choice in said if choice is not None)


def _made(source: TomlSource, kind: Kind, entry: _Entry, number: int, line: int, rank: int) -> ExceptionEntry:
    def names(key: str, read: Callable[[str], V]) -> tuple[V, ...]:
        out: list[V] = []
        for value in getattr(entry, key):
            try:
                out.append(read(value))
            except (PeerError, ValueError) as err:
                raise source.error(f"{value!r}: {err}", (kind.value, number, key)) from err
        return tuple(dict.fromkeys(out))

    direction = entry.direction if isinstance(entry, _Deny) else "inbound"
    until = _instant(entry.until)
    if until is None and entry.until is not None:
        raise source.error("needs an offset, as in 2026-06-30T00:00:00Z", (kind.value, number, "until"))
    return ExceptionEntry(
        id=entry.id,
        kind=kind,
        file=source.file,
        line=line,
        rank=rank,
        by=entry.by,
        reason=entry.reason,
        client=names("client", _network),
        sender=names("sender", _name),
        account=names("account", canonical_login),
        tenant=names("tenant", str.lower),
        from_domain=names("from_domain", _domain),
        recipient=names("recipient", _name),
        authenticated=tuple(dict.fromkeys(entry.authenticated)),
        is_inbound=direction != "outbound",
        is_outbound=direction != "inbound",
        choices=_choices(entry),
        denial=_denial(entry) if isinstance(entry, _Deny) else None,
        until=until,
    )


def _denial(entry: _Deny) -> Denial:
    is_final = entry.reply == "reject"
    return Denial(is_final=is_final, enhanced=entry.enhanced or ("5.7.1" if is_final else "4.7.1"), text=entry.text)


def _instant(value: datetime | date | None) -> datetime | None:
    """Say the instant; of a date midnight UTC, None for one without an offset."""
    if value is None:
        return None
    if not isinstance(value, datetime):
        return datetime(value.year, value.month, value.day, tzinfo=UTC)
    if value.tzinfo is None:
        return None
    try:
        return value.astimezone(UTC)
    except OverflowError:
        # The end of time in one zone is beyond it in another.
        return _LAST if value.year > 1 else _FIRST


def _network(value: str) -> Network:
    found = ipaddress.ip_network(value)
    if found.prefixlen == 0:
        raise ValueError("is everybody")
    return found


def _name(value: str) -> str:
    """Say an address or a domain in the spelling of the mail path; a leading dot stands for all that is below."""
    if value == NULL_SENDER:
        return value
    local, sign, domain = value.rpartition("@")
    if not sign:
        return _domain(value)
    if not local:
        raise ValueError("an address, or a domain without @")
    return f"{local.lower()}@{canonical_domain(domain)}"


def _domain(value: str) -> str:
    if "@" in value:
        raise ValueError("a domain, no address")
    below = value.startswith(".")
    return f"{'.' if below else ''}{canonical_domain(value[1:] if below else value)}"
