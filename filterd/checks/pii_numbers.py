"""Which numbers of people stand in a text?  Resident ids, cards, IBANs, US social security numbers, phones; addresses.

One pass of re2 finds what has the shape, the check digits decide:
resident id  GB 11643-1999: region, birth date, ISO 7064 MOD 11-2      card   ISO/IEC 7812: issuer range, length, Luhn
IBAN         ISO 13616: length and shape of its country, MOD 97-10     SSN    the ranges never issued are out
phone        mobile numbers of mainland China; `+` and 8 to 15 digits (ITU-T E.164)
Distinct values are counted; the values themselves never leave this file. Linear: what has been looked at is not looked
at again but for some 60 octets, and no more than `MAX_CANDIDATES` shapes are examined.
"""

from __future__ import annotations

import datetime
import functools
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

import re2
from stdnum import iban, luhn, numdb
from stdnum.cn import ric
from stdnum.us import ssn

from filterd.checks.pii_octets import add_addresses, plain_octets

# Some 8 µs each. A list with more numbers than this has long been found to be one.
MAX_CANDIDATES = 4_000


class Kind(StrEnum):
    RESIDENT_ID = "resident_id"
    CARD = "card"
    IBAN = "iban"
    PHONE = "phone"
    SSN = "ssn"


@dataclass(frozen=True, slots=True, kw_only=True)
class Tally:
    """How many distinct values: `valid` passed everything, `shaped` everything but the check digit (valid included)."""

    valid: int = 0
    shaped: int = 0


@dataclass(slots=True)
class _Found:
    valid: set[bytes] = field(default_factory=set)
    shaped: set[bytes] = field(default_factory=set)


def count(texts: Iterable[str], today: datetime.date) -> tuple[dict[Kind, Tally], int]:
    """Count the distinct values of each kind, and the distinct mail addresses.

    Args:
        today: nobody is born later.
    """
    found = {kind: _Found() for kind in Kind}
    addresses: set[bytes] = set()
    left = MAX_CANDIDATES
    for text in texts:
        octets = plain_octets(text)
        left = _scan(octets, found, today, left)
        if b"@" in octets:
            add_addresses(octets, addresses)
    tallies = {kind: Tally(valid=len(x.valid), shaped=len(x.shaped)) for kind, x in found.items()}
    return tallies, len(addresses)


# --- Shapes -----------------------------------------------------------------------------------------------------------

# At one place the first that fits wins, so the longer shapes come first.
_SHAPES = (
    rb"[0-9]{17}[Xx]",
    rb"[0-9]{12,19}",
    rb"[0-9]{6}[ -][0-9]{8}[ -][0-9]{3}[0-9Xx]",
    rb"[0-9]{6}[ -][0-9]{4}[ -][0-9]{4}[ -][0-9]{3}[0-9Xx]",
    rb"[0-9]{4}[ -][0-9]{4}[ -][0-9]{4}[ -][0-9]{4}(?:[ -][0-9]{3})?",
    rb"[0-9]{4}[ -][0-9]{6}[ -][0-9]{4,5}",
    rb"[0-9]{6}[ -][0-9]{10,13}",
    rb"\+[0-9(][0-9 ().-]{6,22}[0-9]",
    rb"(?:00)?86[ -]?1[3-9][0-9][ -]?[0-9]{4}[ -]?[0-9]{4}",
    rb"1[3-9][0-9](?:[0-9]{8}| [0-9]{4} [0-9]{4}|-[0-9]{4}-[0-9]{4})",
    rb"[0-9]{3}(?:-[0-9]{2}-| [0-9]{2} |\.[0-9]{2}\.)[0-9]{4}",
)
_SEPARATORS = re.compile(rb"[ ().-]+")


@functools.cache
def _iban_lengths() -> dict[bytes, int]:
    """Say how many characters the IBAN of each country has, by its code."""
    lengths = {}
    letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
    for code in (a + b for a in letters for b in letters):
        bban = numdb.get("iban").info(code + "00")[0][1].get("bban", "")
        if bban:
            lengths[code.encode()] = 4 + sum(map(int, re.findall(r"([0-9]+)!", bban)))
    return lengths


@functools.cache
def _shapes() -> Any:
    codes = b"|".join(code + b"|" + code.lower() for code in sorted(_iban_lengths()))
    bank = rb"(?:%b)[0-9]{2}(?:[ -]?[0-9A-Za-z]){11,30}" % codes
    options = re2.Options()
    options.encoding = re2.Options.Encoding.LATIN1
    options.never_capture = True
    return re2.compile(b"|".join((bank, *_SHAPES)), options)


def _scan(octets: bytes, found: dict[Kind, _Found], today: datetime.date, left: int) -> int:
    """Look at every candidate; says how many may still be looked at."""
    shapes, position = _shapes(), 0
    while left > 0 and (match := shapes.search(octets, position)) is not None:
        left -= 1
        start, end = match.span()
        if octets[start : start + 1].isalpha():
            # Within what only looked like an IBAN there may be numbers of other kinds.
            position = _iban(octets, start, end, found[Kind.IBAN]) or start + 2
        else:
            position = _number(octets, start, end, found, today)
    return left


def _number(octets: bytes, start: int, end: int, found: dict[Kind, _Found], today: datetime.date) -> int:
    """Judge a candidate of digits; says where to look on."""
    written = octets[start:end]
    if written.startswith(b"+"):
        return _international(octets, start, end, found[Kind.PHONE])
    digits = _SEPARATORS.sub(b"", written)
    is_grouped = len(digits) < len(written)
    if not _stands_apart(octets, start, end, is_grouped):
        # A fifth group may be the beginning of the next number.
        if not (is_grouped and len(digits) == 19 and _stands_apart(octets, start, end - 4, is_grouped=False)):
            return end
        digits, end = digits[:16], end - 4
    # Check digits, region and date are enough where a letter stands before a resident id; not so for the others.
    is_bound = not octets[start - 1 : start].isalpha()
    if len(digits) == 18 and _is_person(digits, today):
        _add(found[Kind.RESIDENT_ID], digits.upper(), _has_ric_digit(digits))
    elif is_bound and _is_phone(digits) and _is_clear(octets, start, end):
        _add(found[Kind.PHONE], digits[-11:], True)
    elif is_bound and _is_card(digits):
        _add(found[Kind.CARD], digits, luhn.is_valid(digits.decode()))
    elif is_bound and len(digits) == 9 and _is_clear(octets, start, end):
        _add(found[Kind.SSN], digits, ssn.is_valid(digits.decode()))
    return end


def _add(found: _Found, value: bytes, is_valid: bool) -> None:
    found.shaped.add(value)
    if is_valid:
        found.valid.add(value)


def _stands_apart(octets: bytes, start: int, end: int, is_grouped: bool) -> bool:
    """Say whether a number ends where the shape ends: no digits or letters beside it, no fraction, no longer serial."""
    joints = b".-" if is_grouped else b"."
    before, after = octets[max(0, start - 2) : start], octets[end : end + 2]
    if before[-1:].isdigit() or after[:1].isalnum():
        return False
    if before[-1:] and before[-1] in joints and (before[:-1].isdigit() or len(before) == 1):
        return False
    return not (after[:1] and after[0] in joints and after[1:].isdigit())


def _is_clear(octets: bytes, start: int, end: int) -> bool:
    """Say whether a number without check digit is not a stretch of a row of numbers, if blanks part its groups."""
    before, after = octets[max(0, start - 2) : start], octets[end : end + 2]
    is_behind = before[:1].isdigit() and before[1:] == b" "
    is_ahead = after[:1] == b" " and after[1:].isdigit()
    return b" " not in octets[start:end] or not (is_behind or is_ahead)


# --- Kinds ------------------------------------------------------------------------------------------------------------

# GB/T 2260: the first two digits of the region; 81 to 83 are residence permits for Hong Kong, Macau and Taiwan.
_REGIONS = frozenset(
    b"11 12 13 14 15 21 22 23 31 32 33 34 35 36 37 41 42 43 44 45 46 50 51 52 53 54 61 62 63 64 65 71 81 82 83".split()
)
_FIRST_BIRTH = 1900
# Not assigned by ITU-T E.164: codes beginning so.
_NO_COUNTRY = (b"0", b"28", b"83", b"89")


def _is_person(digits: bytes, today: datetime.date) -> bool:
    if digits[:2] not in _REGIONS:
        return False
    try:
        born = ric.get_birth_date(digits.decode())
    except ValueError:
        return False
    return born.year >= _FIRST_BIRTH and born <= today


def _has_ric_digit(digits: bytes) -> bool:
    text = digits.decode().upper()
    return ric.calc_check_digit(text) == text[-1]


def _is_card(digits: bytes) -> bool:
    """Say whether issuer and length go together: the schemes in common use, not those of airlines and fuel."""
    length, two, four = len(digits), int(digits[:2]), int(digits[:4])
    if digits[:1] == b"4":
        return length in (13, 16, 19)
    if 51 <= two <= 55 or 2221 <= four <= 2720 or 2200 <= four <= 2204:
        return length == 16
    if two in (34, 37):
        return length == 15
    if two == 62:
        # UnionPay: 16 for credit cards, up to 19 for the bank cards of China.
        return 16 <= length <= 19
    if four == 6011 or two == 65 or 6440 <= four <= 6499 or 3528 <= four <= 3589 or 8100 <= four <= 8171:
        return 16 <= length <= 19
    if 3000 <= four <= 3059 or four == 3095 or two in (36, 38, 39):
        return 14 <= length <= 19
    if four in (5018, 5019, 5020, 5038, 5893, 6304, 6759, 6761, 6762, 6763, 6799):
        return 12 <= length <= 19
    return False


def _is_phone(digits: bytes) -> bool:
    """Say whether this is a mobile number of mainland China, with or without the country code."""
    local = digits.removeprefix(b"00").removeprefix(b"86") if len(digits) > 11 else digits
    return len(local) == 11 and local[:1] == b"1" and local[1:2] in b"3456789"


def _international(octets: bytes, start: int, end: int, found: _Found) -> int:
    """Judge a number behind a `+`; where the shape ran into the next number, the longest part that can be one."""
    written = octets[start:end]
    if octets[start - 1 : start].isalnum():
        return end
    while True:
        digits = _SEPARATORS.sub(b"", written[1:])
        if len(digits) <= 15:
            break
        cut = max(written.rfind(b" "), written.rfind(b"-"), written.rfind(b"."))
        if cut <= 0:
            return end
        written = written[:cut]
    end = start + len(written)
    if len(digits) < 8 or digits.startswith(_NO_COUNTRY) or octets[end : end + 1].isalnum():
        return end
    is_local = digits.startswith(b"86") and _is_phone(digits)
    _add(found, digits[-11:] if is_local else b"+" + digits, True)
    return end


def _iban(octets: bytes, start: int, end: int, found: _Found) -> int | None:
    """Judge what begins like an IBAN; says where it ends, or None when it is none."""
    length = _iban_lengths()[octets[start : start + 2].upper()]
    if octets[start - 1 : start].isalnum():
        return None
    value = bytearray()
    for position in range(start, end):
        if octets[position] not in b" -":
            value.append(octets[position])
        if len(value) == length:
            text = value.decode()
            if octets[position + 1 : position + 2].isalnum() or text not in (text.upper(), text.lower()):
                return None
            is_valid = iban.is_valid(text, check_country=False)
            _add(found, bytes(value.upper()), is_valid)
            return position + 1 if is_valid else None
    return None
