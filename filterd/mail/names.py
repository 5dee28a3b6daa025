"""Names of people and hosts in the one spelling under which they are looked up: logins and domains.

FAULTS 65: letter case, full-width letters, a trailing blank, an internationalised domain in either form, all lead to
one account; nothing leads to a neighbour's. Plus tags (`user+tag`) are not folded: a login is what a password belongs
to, and whether the server treats a tag as the same mailbox is not ours to guess.
Both forms are idempotent: the canonical form of a canonical form is itself.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable

from filterd.errors import PeerError

# RFC 5321 §4.5.3.1: 64 for the local part, 1 for the sign, 255 for the domain.
MAX_LOGIN_BYTES = 320
MAX_DOMAIN_BYTES = 255
MAX_LABEL_BYTES = 63

# Control, format (zero-width, bidi), surrogate, private, unassigned; line and paragraph separators.
_REFUSED = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})
_PLAIN = re.compile(r"[A-Za-z0-9_-]++(?>(?:\.[A-Za-z0-9_-]++)*)")
# UTS 46 §2.3: what else counts as the dot between labels.
_DOTS = str.maketrans("\u3002\uff0e\uff61", "...")


def canonical_login(login: str | bytes, default_domain: str | None = None) -> str:
    """Give the spelling of a login under which its account is known.

    Args:
        login: as the SASL layer, a header or a client said it.
        default_domain: added to a login without `@`; None leaves it bare.

    Raises:
        PeerError: empty, over 320 octets, not UTF-8, or with control or invisible characters.
    """
    text = login if isinstance(login, str) else _utf8(login)
    if len(text) > MAX_LOGIN_BYTES:
        raise PeerError("login too long")
    local_part, at, domain = _stable(text, str).strip().partition("@")
    if "@" in domain:
        raise PeerError("login has two domains")
    local_part = _stable(local_part, str.casefold).strip()
    _check(local_part, "login")
    if at:
        full = f"{local_part}@{canonical_domain(domain)}"
    else:
        full = f"{local_part}@{canonical_domain(default_domain)}" if default_domain else local_part
    if len(full.encode("utf-8")) > MAX_LOGIN_BYTES:
        raise PeerError("login too long")
    return full


def canonical_domain(text: str) -> str:
    """Give a domain in lower case with A-labels and without the root dot. Raises PeerError when it cannot be one.

    Encodes labels by RFC 3492 after NFKC and lower case. The `idna` codec of the standard library is of 2003: it makes
    `straße` and `strasse` one domain, which today are two.
    """
    if len(text) > MAX_DOMAIN_BYTES + 1:
        raise PeerError("domain too long")
    if len(text) <= MAX_LABEL_BYTES and _PLAIN.fullmatch(text):
        # Nearly all: nothing to do. Below 64 octets every label is short enough.
        return text.lower()
    name = text.lower() if text.isascii() else _stable(text, str.lower).translate(_DOTS)
    name = name.strip(" \t").removesuffix(".")
    if len(name) > MAX_DOMAIN_BYTES:
        raise PeerError("domain too long")
    _check(name, "domain")
    domain = ".".join(map(_a_label, name.split(".")))
    if " " in domain or "@" in domain or len(domain) > MAX_DOMAIN_BYTES:
        raise PeerError("syntax error in domain")
    return domain


def _a_label(label: str) -> str:
    # Its A-label is never shorter, and the encoder is quadratic: 18 characters for each U+FDFA, 27 ms for 255 of them.
    if len(label) > MAX_LABEL_BYTES:
        raise PeerError("syntax error in domain")
    encoded = label if label.isascii() else "xn--" + label.encode("punycode").decode("ascii").lower()
    if not 0 < len(encoded) <= MAX_LABEL_BYTES:
        raise PeerError("syntax error in domain")
    return encoded


def _stable(text: str, fold: Callable[[str], str]) -> str:
    """Repeat NFKC and `fold` until nothing changes: for some characters one round is not enough."""
    for _ in range(4):
        folded = fold(unicodedata.normalize("NFKC", text))
        if folded == text:
            break
        text = folded
    return text


def _check(text: str, what: str) -> None:
    if not text:
        raise PeerError(f"{what} is empty")
    if not (text.isascii() and text.isprintable()) and any(unicodedata.category(c) in _REFUSED for c in text):
        raise PeerError(f"control character in {what}")


def _utf8(octets: bytes) -> str:
    try:
        return octets.decode("utf-8")
    except UnicodeDecodeError as err:
        raise PeerError("login is not UTF-8") from err
