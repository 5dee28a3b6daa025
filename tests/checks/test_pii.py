"""Personal numbers: what counts, what is chance, and that no value leaves."""

from __future__ import annotations

import datetime
import random

import pytest

from filterd.checks import pii
from filterd.checks.pii_numbers import MAX_CANDIDATES, Kind, count
from filterd.checks.pii_octets import plain_octets
from filterd.mail.parse import parse
from filterd.model.verdict import Verdict
from tests.checks.test_pii_cases import Limits

pytestmark = pytest.mark.slow

TODAY = datetime.date(2026, 11, 2)
# The order code 000 is never given out.
PERSON = "110101199001010007"


def tally(text: str, kind: Kind) -> tuple[int, int]:
    found = count([text], TODAY)[0][kind]
    return found.valid, found.shaped


def with_digit(seventeen: str) -> str:
    """Give a resident id its check digit, by the other way of reckoning it."""
    weights = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)
    return seventeen + "10X98765432"[sum(int(d) * w for d, w in zip(seventeen, weights, strict=True)) % 11]


def with_luhn(digits: str) -> str:
    for last in "0123456789":
        doubled = [int(d) * (2 if i % 2 else 1) for i, d in enumerate(reversed(digits + last))]
        if sum(d - 9 if d > 9 else d for d in doubled) % 10 == 0:
            return digits + last
    raise AssertionError(digits)


PERSON = with_digit(PERSON[:-1])


@pytest.mark.parametrize(
    ("text", "found"),
    [
        (PERSON, (1, 1)),
        (f"身份证{PERSON}。", (1, 1)),
        (f"ID{PERSON}", (1, 1)),
        (PERSON.lower(), (1, 1)),
        (f"{PERSON} {PERSON}", (1, 1)),
        (f"{PERSON[:6]} {PERSON[6:14]} {PERSON[14:]}", (1, 1)),
        (f"{PERSON[:6]}-{PERSON[6:14]}-{PERSON[14:]}", (1, 1)),
        (with_digit("99010119900101000"), (0, 0)),
        (with_digit("11010119901301000"), (0, 0)),
        (with_digit("11010120270101000"), (0, 0)),
        (with_digit("11010118500101000"), (0, 0)),
        (f"{PERSON[:-1]}{'1' if PERSON[-1] != '1' else '2'}", (0, 1)),
        (f"1{PERSON}", (0, 0)),
        (f"{PERSON}1", (0, 0)),
        (f"0.{PERSON}", (0, 0)),
        (f"{PERSON}.5", (0, 0)),
        (f"{PERSON}.", (1, 1)),
        (f"{PERSON},{PERSON}", (1, 1)),
    ],
)
def test_resident_ids(text: str, found: tuple[int, int]) -> None:
    assert tally(text, Kind.RESIDENT_ID) == found


def test_an_id_that_ends_in_x() -> None:
    ending = next(x for n in range(1000) if (x := with_digit(f"11010119900101{n:03d}")).endswith("X"))
    assert tally(f"{ending} {ending.lower()}", Kind.RESIDENT_ID) == (1, 1)


@pytest.mark.parametrize(
    ("text", "valid"),
    [
        ("4111 1111 1111 1111 4012 8888 8888 1881", 2),
        ("4111111111111111/12/25|4012888888881881|123", 2),
        (with_luhn("622202000000000000"), 1),
        (f"{with_luhn('622202000000000000')[:6]} {with_luhn('622202000000000000')[6:]}", 1),
        ("3782 822463 10005", 1),
        ("SKU4111111111111111", 0),
        ("4111-1111-1111-1111-1", 0),
        ("4111111111111112", 0),
    ],
)
def test_cards(text: str, valid: int) -> None:
    assert tally(text, Kind.CARD)[0] == valid


@pytest.mark.parametrize(
    ("text", "valid"),
    [
        ("15400001234", 1),
        ("+86 154 0000 1234, 0086-154-0000-1234, 8615400001234, 154-0000-1234", 1),
        ("+44 7700 900123 and +1 (555) 010-0199", 2),
        ("+8615400001234 15400001235", 2),
        ("12 154 0000 1234 5", 0),
        ("+83 123 4567 89", 0),
        ("+1234567", 0),
        ("25400001234", 0),
        ("154000012345", 0),
    ],
)
def test_phones(text: str, valid: int) -> None:
    assert tally(text, Kind.PHONE)[0] == valid


def test_a_number_inside_what_only_looks_like_an_iban() -> None:
    assert tally(f"IS12 {PERSON}", Kind.RESIDENT_ID) == (1, 1)


def test_digits_in_every_dress() -> None:
    assert plain_octets("１２\u200b３\u00a0４－５ ٦７𝟠①²") == b"123 4-5 6781?"


def many(number: int) -> str:
    return "\n".join(with_digit(f"110101{1950 + n % 70}0101000") for n in range(number))


def verdict_of(text: str) -> Verdict:
    raw = b"Subject: x\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n" + text.encode()
    return pii.judge(parse(raw), Limits(), TODAY)


def test_the_floor() -> None:
    assert verdict_of(many(9)).findings == ()
    assert [f.code for f in verdict_of(many(10)).findings] == ["pii.resident_id.bulk"]


def test_half_of_those_with_the_shape_must_be_right() -> None:
    wrong = "\n".join(f"110101{1950 + n}02010000" for n in range(60))
    right, shaped = tally(f"{many(12)}\n{wrong}", Kind.RESIDENT_ID)
    assert right < shaped / 2
    assert verdict_of(f"{many(12)}\n{wrong}").findings == ()


def test_no_value_is_in_the_verdict() -> None:
    text = many(30)
    said = repr(verdict_of(text))
    assert "('count', '30')" in said
    assert not any(value in said for value in text.split())


@pytest.mark.timeout(120)
def test_hostile_texts_are_linear() -> None:
    texts = (
        "1" * 1_000_000,
        "4000 " * 200_000,
        "+1 ( " * 200_000,
        "GB82 " * 200_000,
        "GB82WEST" * 125_000,
        "a@" * 500_000,
        "a" * 1_000_000 + "@",
        "1-" * 500_000,
        "１" * 300_000,
        "".join(random.Random(1).choices("0123456789 -.+@Xx()", k=1_000_000)),
    )
    for text in texts:
        count([text], TODAY)


def test_no_more_than_so_many_candidates_are_looked_at() -> None:
    text = " ".join(with_luhn(f"400000{n:09d}") for n in range(MAX_CANDIDATES + 50))
    assert tally(text, Kind.CARD)[0] == MAX_CANDIDATES
