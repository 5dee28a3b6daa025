"""What directories hold, read to `DirectoryFacts`: text, octets, numbers and days in the spellings of LDAP, AD and SQL.

A value that cannot be read is no reason to keep mail waiting: its fact is left out and named in `unreadable`. Only who
somebody is must be clear: two different values of a fact that has one raise PortError, and so does an id or a login
that cannot be read.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any

from filterd.errors import PeerError, PortError
from filterd.mail.names import canonical_domain, canonical_login
from filterd.model.directory import FACTS, DirectoryFacts

MAX_TEXT_CHARS = 500
MAX_VALUES = 500
_MAX_SEATS = 2**31 - 1
# Active Directory counts 100 ns since 1601 and says "never" in two ways (accountExpires).
_FILETIME_BEGAN = datetime(1601, 1, 1, tzinfo=UTC)
_NEVER = frozenset({"", "0", "-1", str(2**63 - 1)})
_GENERALIZED = re.compile(r"(\d{4})(\d\d)(\d\d)(?:\d{2,6}(?:[.,]\d+)?(?:Z|[+-]\d{2,4})?)?")
_SEPARATORS = re.compile(r"[\s,;]+")


def facts_from(source: str, values: Mapping[str, Sequence[Any]]) -> DirectoryFacts:
    """Make facts of raw values.

    Args:
        values: by fact, for all facts that the source has; none, or only None and blanks, where there is nothing.

    Raises:
        PortError: the answer does not say clearly who it is about.
    """
    found: dict[str, Any] = {}
    unreadable = []
    for fact in FACTS:
        if fact not in values:
            continue
        given = [value for value in values[fact] if value is not None and value not in ("", b"")]
        try:
            found[fact] = _READ[fact](given)
        except (PeerError, ValueError, OverflowError) as err:
            if fact in _IDENTITY:
                why = f"{source}: what it says of {fact} cannot be used: {_why(err)}"
                raise PortError(why, temporary=False) from None
            unreadable.append(fact)
    return DirectoryFacts(source=source, says=frozenset(found), unreadable=tuple(unreadable), **found)


def text_of(value: Any) -> str:
    """Say one value as text; octets that are no text as hex."""
    if isinstance(value, (bytes, bytearray, memoryview)):
        octets = bytes(value)
        try:
            value = octets.decode("utf-8")
        except UnicodeDecodeError:
            return octets.hex()
        if not value.isprintable():
            return octets.hex()
    return str(value).strip()


def _why(err: Exception) -> str:
    return str(err) if isinstance(err, PeerError) else "not of its kind"


def _words(given: Sequence[Any]) -> list[str]:
    """Say all values; one text may hold several."""
    words: list[str] = []
    for value in given:
        if isinstance(value, (list, tuple)):
            words += _words([item for item in value if item is not None])
        else:
            words += [word for word in _SEPARATORS.split(text_of(value)) if word]
    if len(words) > MAX_VALUES:
        raise PeerError(f"more than {MAX_VALUES} values")
    return words


def _one(given: Sequence[Any]) -> str | None:
    """Say the only value. Raises PeerError when there are two."""
    said = list(dict.fromkeys(text for value in given if (text := text_of(value))))
    if len(said) > 1:
        raise PeerError(f"{len(said)} different values")
    if said and len(said[0]) > MAX_TEXT_CHARS:
        raise PeerError("too long")
    if said and not said[0].isprintable():
        raise PeerError("holds characters that cannot be printed")
    return said[0] if said else None


def _first(given: Sequence[Any]) -> str | None:
    """Say the first of several values that are all as good: attributes of LDAP are sets."""
    return _one(sorted(given, key=text_of)[:1])


def _login(given: Sequence[Any]) -> str | None:
    said = _one(given)
    return canonical_login(said) if said is not None else None


def _logins(given: Sequence[Any]) -> tuple[str, ...]:
    # Exchange writes proxyAddresses as smtp:ann@example.com, other protocols among them.
    words = [word.removeprefix("smtp:").removeprefix("SMTP:") for word in _words(given)]
    return tuple(sorted({canonical_login(word) for word in words if ":" not in word}))


def _domains(given: Sequence[Any]) -> tuple[str, ...]:
    found = dict.fromkeys(canonical_domain(word) for word in _words(given))
    if any("." not in domain or domain.startswith("[") for domain in found):
        raise PeerError("not a domain name")
    return tuple(found)


def _number(given: Sequence[Any]) -> int | None:
    said = _one(given)
    if said is None:
        return None
    number = int(said)
    if not 0 < number <= _MAX_SEATS:
        raise PeerError("not a number of seats")
    return number


def _day(given: Sequence[Any]) -> date | None:
    """Read the last day of service, in UTC where an instant is given."""
    if len(given) == 1 and isinstance(given[0], date):
        value = given[0]
        if isinstance(value, datetime):
            return (value.astimezone(UTC) if value.tzinfo is not None else value).date()
        return value
    said = _one(given)
    if said is None or said in _NEVER:
        return None
    if re.fullmatch(r"\d{1,6}", said):
        # shadowExpire: days since 1970.
        return date(1970, 1, 1) + timedelta(days=int(said))
    if re.fullmatch(r"\d{9,11}", said):
        return datetime.fromtimestamp(int(said), UTC).date()
    if re.fullmatch(r"\d{17,19}", said):
        return (_FILETIME_BEGAN + timedelta(microseconds=int(said) // 10)).date()
    if found := _GENERALIZED.fullmatch(said):
        return date(*map(int, found.groups()))
    return _day([datetime.fromisoformat(said)])


_READ: dict[str, Callable[[Sequence[Any]], Any]] = {
    "external_id": _one,
    "login": _login,
    "aliases": _logins,
    "send_as": _logins,
    "contact": _first,
    "language": _first,
    "expires_on": _day,
    "tenant_external_id": _one,
    "tenant_name": _first,
    "tenant_contact": _first,
    "tenant_language": _first,
    "tenant_expires_on": _day,
    "domains": _domains,
    "seats": _number,
    "plan": _first,
    "dealer": _first,
    "agreement": _first,
}
_IDENTITY = frozenset({"external_id", "login", "tenant_external_id"})
