"""The normal form: one spelling for what reads the same, and no more than that."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from filterd.mail.normal import LIMIT, Folding, known_words, unmasked

pytestmark = pytest.mark.slow

FOLDING = Folding({ord("風"): "风", ord("箏"): "筝"})
WORDS = known_words(["velvet teapot", "marmalade", "click", "dick", "tea"])


@pytest.mark.parametrize(
    ("text", "plain"),
    [
        ("  Ａ Téa\u200bpot  ", "a teapot"),
        ("ﬁne ① Straße", "fine 1 strasse"),
        ("a\u0301\u0327\u20dd b̸", "a b"),
        ("Łódź", "łodz"),
        ("風箏", "风筝"),
        ("风*筝 风 ~ 筝 风😀筝 风_筝", "风筝 风筝 风筝 风筝"),
        ("风。筝 风，筝 风！筝 风：筝 风(筝)", "风。筝风,筝风!筝风:筝风(筝)"),
        ("蓝 色 风 筝", "蓝色风筝"),
        ("蓝色 风筝", "蓝色 风筝"),
        ("打风 筝博", "打风 筝博"),
        ("打 风筝 博", "打风筝博"),
        ("风 a 筝", "风 a 筝"),
        ("风\n筝", "风\n筝"),
        ("a\r\n\r\n \u2028b", "a\nb"),
        ("カナ・カナ", "カナ・カナ"),
        ("", ""),
        ("\u200b \n", ""),
    ],
)
def test_plain(text: str, plain: str) -> None:
    assert FOLDING.plain(text) == plain


@pytest.mark.parametrize(
    ("line", "seen"),
    [
        ("m4rm4l4de", "marmalade"),
        ("mаrmаlаde", "marmalade"),
        ("ma\u0280malade", "marmalade"),
        ("a m a r m a l a d e b", ""),
        ("m.a.r.m.a.l.a.d.e!", "marmalade!"),
        ("best te@p0t$", ""),
        ("v3lvet te@p0t", "velvet teapot"),
        ("吃m@rmalade吗", "吃marmalade吗"),
        ("cl1ck", "click"),
        ("d1ck", "dick"),
        ("dlck", ""),
        ("marmalade", ""),
        ("t3a", ""),
        ("12 1234567 0x1f", ""),
        ("a@b.example", ""),
    ],
)
def test_unmasked(line: str, seen: str) -> None:
    assert unmasked(line, WORDS) == seen


def test_lines_without_a_disguise_are_left_out() -> None:
    assert unmasked("marmalade\nm4rmalade\nv2 of it", WORDS) == "marmalade"
    assert unmasked("m4rmalade", {}) == ""


def test_long_text_is_cut_in_the_middle() -> None:
    plain = FOLDING.plain("first\n" + "word " * LIMIT + "\nlast")
    assert len(plain) <= LIMIT
    assert plain.startswith("first\n")
    assert plain.endswith("\nlast")


@given(st.text(max_size=120))
@settings(deadline=None)
def test_plain_never_raises_and_has_no_empty_line(text: str) -> None:
    plain = FOLDING.plain(text)
    assert "" not in plain.split("\n") or plain == ""
    unmasked(plain, WORDS)


@pytest.mark.parametrize(
    "unit",
    ["1", "@", "a@", "赌 ", "赌*", "a1\n", "\u0301", "cas1no ", "сasіno ", "a ", "a$", "a!", "\n", "*", "\u200b"],
)
@pytest.mark.timeout(120)
def test_hostile_text_is_linear(unit: str) -> None:
    text = "x" + unit * (4_000_000 // len(unit))
    unmasked(FOLDING.plain(text), WORDS)
