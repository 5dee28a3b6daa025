"""What does a DMARC policy record say?  RFC 9989 §4.7, §4.8; RFC 7489 §6.3 as an option.

The version must come first and match to the letter; of the rest, what is unknown or wrong is as if it were not there.
Only wrong policy words have a consequence of their own (§4.10.1): with a reporting address the record means `none`,
without one it means nothing.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache

_VERSION = re.compile(r"[vV][ \t]*+=[ \t]*+DMARC1[ \t]*+(?:;|$)")
# Any URI will do here: reports are not sent by us, but asking for them shows that the record is meant.
_URI = re.compile(r"(?i)[a-z][a-z0-9+.-]*+:[^\s,;]")
# A record is a few hundred octets; what is beyond this is not read.
MAX_BYTES = 4096
KEPT = 4096


class Request(StrEnum):
    """What the domain owner wants done with mail that fails (dmarc-request)."""

    NONE = "none"
    QUARANTINE = "quarantine"
    REJECT = "reject"

    @property
    def tested(self) -> Request:
        """One level below: what `t=y` asks for."""
        return Request.QUARANTINE if self is Request.REJECT else Request.NONE


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """A policy record.

    Args:
        p, sp, np: for the domain, its subdomains, subdomains that do not exist; None where nothing is said.
        psd: "y", "n" or "u". is_strict_*: alignment must be identity. is_test: `t=y` (RFC 7489: `pct=0`).
        is_usable: False when its policy cannot be understood; DMARC then does not apply.
    """

    p: Request = Request.NONE
    sp: Request | None = None
    np: Request | None = None
    psd: str = "u"
    is_strict_dkim: bool = False
    is_strict_spf: bool = False
    is_test: bool = False
    is_usable: bool = True


def read_record(strings: tuple[bytes, ...], *, rfc7489: bool = False) -> Record | None:
    """Read one TXT record; None for what is no DMARC policy record."""
    # Cut before it is kept: strangers' names can give a different 64 kB each time.
    return _read(b"".join(strings)[:MAX_BYTES], rfc7489)


@lru_cache(maxsize=KEPT)
def _read(octets: bytes, rfc7489: bool) -> Record | None:
    text = octets.decode("ascii", "replace")
    if not _VERSION.match(text):
        return None
    tags: dict[str, str] = {}
    for part in text.split(";")[1:]:
        name, equals, value = part.partition("=")
        if equals:
            # Said twice: the first counts.
            tags.setdefault(name.strip(" \t").lower(), value.strip(" \t").lower())
    requests = {name: _request(tags[name]) for name in ("p", "sp", "np") if name in tags}
    is_broken = None in requests.values() or (rfc7489 and "p" not in tags)
    record = Record(
        p=requests.get("p") or Request.NONE,
        sp=requests.get("sp"),
        np=None if rfc7489 else requests.get("np"),
        psd=tags["psd"] if tags.get("psd") in ("y", "n") else "u",
        is_strict_dkim=tags.get("adkim") == "s",
        is_strict_spf=tags.get("aspf") == "s",
        # RFC 9989 appendix A.6: of pct, only 0 and 100 ever worked as meant.
        is_test=tags.get("pct") == "0" if rfc7489 else tags.get("t") == "y",
    )
    if not is_broken:
        return record
    has_address = any(_URI.match(uri.strip(" \t")) for uri in tags.get("rua", "").split(","))
    return Record(
        psd=record.psd,
        is_strict_dkim=record.is_strict_dkim,
        is_strict_spf=record.is_strict_spf,
        is_usable=has_address,
    )


def _request(word: str) -> Request | None:
    try:
        return Request(word)
    except ValueError:
        return None
