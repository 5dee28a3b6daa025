"""The features: the same for the same text everywhere, folding what tells corpora apart, never raising."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from filterd.checks.features import (
    FEATURES_VERSION,
    READ_CHARS,
    TEXT_CHARS,
    Features,
    features,
    plain_text,
    read,
    text_of,
)
from filterd.mail.parse import parse

BITS = 18

# Golden: whoever changes one of these raises FEATURES_VERSION and trains anew.
GOLDEN = {
    "hello hello world": [38683, 71326, 95031, 218697],
    "发票": [58283, 93733, 244533],
    "only $5": [10859, 145280, 160600, 201581, 247498],
}


def of(text: str) -> Features:
    return features(read(text), BITS)


def same(one: str, other: str) -> bool:
    first, second = of(one), of(other)
    return bool(np.array_equal(first.indices, second.indices) and np.array_equal(first.values, second.values))


def test_the_vectors_of_a_version_never_change() -> None:
    assert FEATURES_VERSION == 2
    assert {text: of(text).indices.tolist() for text in GOLDEN} == GOLDEN


def test_counts_are_damped_and_the_length_is_one() -> None:
    found = of("hello hello world")
    # hello twice, world, hello hello, hello world
    raw = sorted([1 + np.log(2), 1.0, 1.0, 1.0], reverse=True)
    expected = np.array(raw) / np.sqrt(np.square(raw).sum())
    assert sorted(found.values.tolist(), reverse=True) == pytest.approx(expected.tolist(), abs=1e-6)
    assert found.indices.dtype == np.uint32
    assert found.values.dtype == np.float32


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Cheap Pills", "cheap pills"),
        ("cheap, pills!", "cheap pills"),
        ("it ' s cheap", "it's cheap"),
        ("免費代開發票", "免费代开发票"),
        ("代开，发票。", "代开发票"),
        ("代 开 发 票", "代开发票"),
        ("call 555 1234 now", "call 7 9 now"),
        ("vi\u00e1gra", "viagra"),
        ("vi\u0430gra", "viagra"),
        ("vi\u200bagra", "viagra"),
        ("see http://shop.example.com/a?b=1 now", "see now"),
        ("write to bob.smith@mail.example now", "write to now"),
        ("www.shop.example 代开发票", "代开发票"),
        ("网址http://shop.example/x代开发票", "网址 代开发票"),
        ("US$ 5", "us ￥ 9"),
    ],
)
def test_what_only_tells_corpora_apart_is_folded(one: str, other: str) -> None:
    assert same(one, other)


@pytest.mark.parametrize(("one", "other"), [("no pills", "pills no"), ("100 %", "100"), ("代开发票", "发票代开")])
def test_order_and_signs_count(one: str, other: str) -> None:
    assert not same(one, other)


@pytest.mark.parametrize(
    ("text", "grams"), [("one", 1), ("one two", 3), ("one two three", 5), ("一", 1), ("一二三", 6)]
)
def test_english_has_pairs_and_chinese_has_triples(text: str, grams: int) -> None:
    assert of(text).indices.size == grams


def test_text_beyond_the_bound_is_not_read() -> None:
    head = "word " * TEXT_CHARS
    assert same(head, head[:TEXT_CHARS] + "viagra")


def test_a_text_that_is_no_mail_reads_like_a_mail_of_it() -> None:
    text = "Minutes\r\nof the  meeting​Ａ"
    assert plain_text(text) == text_of(parse(b"Content-Type: text/plain; charset=utf-8\r\n\r\n" + text.encode()))
    assert len(plain_text("word " * READ_CHARS)) == READ_CHARS


@pytest.mark.parametrize("text", ["", " ", "!?", "\ud800", "@", "://", "www.", "a@b", "\U0001f600", "\u0301", "\x00"])
def test_a_text_of_no_words_is_an_empty_vector(text: str) -> None:
    assert of(text).indices.size == 0


@given(st.text(alphabet=st.characters(codec=None), max_size=400))
def test_any_text_has_a_vector(text: str) -> None:
    found = of(text)
    assert bool((np.diff(found.indices.astype(np.int64)) > 0).all())
    assert found.indices.size == 0 or (float(np.square(found.values).sum()) == pytest.approx(1.0, abs=1e-4))
    assert same(text, text)
    assert found.indices.size == 0 or int(found.indices.max()) < 2**BITS


def test_headers_do_not_count() -> None:
    body = b"\r\nMinutes of the meeting are attached.\r\n"
    plain = parse(b"Subject: Minutes\r\n" + body)
    dressed = parse(
        b"Received: from spam.example (casino.example [192.0.2.1])\r\nFrom: Viagra <x@casino.example>\r\n"
        b"To: bob@example.org\r\nMessage-ID: <1@pills.example>\r\nX-Spam: yes\r\nSubject: Minutes\r\n" + body
    )
    assert text_of(plain) == text_of(dressed) == "Minutes\nMinutes of the meeting are attached."
