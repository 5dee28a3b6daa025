"""What is cut out of a mail holds what findings point to, and no more than its bounds."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from filterd.mail.excerpt import MAX_HEADER_BYTES, MAX_PLACES, excerpt, header_block

HEAD = b"From: <a@x.example>\r\nSubject: hello\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n"
LONG = b"z" * 5000
MAIL = (
    HEAD
    + b"--b\r\nContent-Type: text/plain\r\n\r\n"
    + b"first words "
    + LONG
    + b" https://bad.example/path more\r\n"
    + b"--b\r\nContent-Type: text/html\r\n\r\n"
    + b'<a href="https://other.example/?a=1&amp;b=2">x</a>\r\n'
    + b"--b\r\nContent-Type: application/pdf; name=x.pdf\r\nContent-Transfer-Encoding: base64\r\n\r\nJVBERi0xLjQK\r\n"
    + b"--b--\r\n"
)


def body(*places: str, around: int = 40) -> bytes:
    kept = excerpt(MAIL, places, around)
    assert kept.startswith(HEAD)
    return kept.removeprefix(HEAD)


def test_the_header_block_is_the_header_and_nothing_else() -> None:
    assert header_block(MAIL) == HEAD
    assert header_block(b"no header at all\r\n\r\nbody") == b""
    assert header_block(b"") == b""
    assert len(header_block(b"X: " + b"y" * 2 * MAX_HEADER_BYTES + b"\r\n\r\n")) == MAX_HEADER_BYTES


@pytest.mark.parametrize(
    ("place", "expected"),
    [
        ("text", b"[part 1: octets 0 to 40 of 5042]\r\nfirst words " + b"z" * 28 + b"\r\n"),
        ("1", b"[part 1: octets 0 to 40 of 5042]\r\nfirst words " + b"z" * 28 + b"\r\n"),
        ("3", b"[part 3: octets 0 to 9 of 9]\r\n%PDF-1.4\n\r\n"),
        # Around the link, not from the beginning.
        ("link.1", b"[part 1: octets 5005 to 5042 of 5042]\r\nzzzzzzz https://bad.example/path more\r\n"),
        # Written with an entity, so that it stands nowhere as it is.
        ("link.2", b"[link.2]\r\nhttps://other.example/?a=1&b=2\r\n"),
        # In the header, or nowhere: the beginning of the text.
        ("header.from", b"[part 1: octets 0 to 40 of 5042]\r\nfirst words " + b"z" * 28 + b"\r\n"),
        ("7.7", b"[part 1: octets 0 to 40 of 5042]\r\nfirst words " + b"z" * 28 + b"\r\n"),
        ("link.0", b"[part 1: octets 0 to 40 of 5042]\r\nfirst words " + b"z" * 28 + b"\r\n"),
    ],
)
def test_each_place_with_a_bounded_context(place: str, expected: bytes) -> None:
    assert body(place) == expected


def test_several_places_each_once_in_order() -> None:
    assert body("3", "text", "3", "1") == body("3") + body("text")


def test_many_places_are_bounded() -> None:
    parts = b"".join(b"--b\r\n\r\n%d\r\n" % number for number in range(100))
    kept = excerpt(HEAD + parts + b"--b--\r\n", [str(n) for n in range(1, 101)], 40)
    assert kept.count(b"[part ") == MAX_PLACES


@settings(max_examples=150, deadline=None)
@given(
    raw=st.binary(max_size=400) | st.lists(st.sampled_from(MAIL.split(b"\r\n")), max_size=30).map(b"\r\n".join),
    places=st.lists(st.sampled_from(["text", "1", "2", "1.1", "link.1", "anchor.1", "header.x", "", "\ud800"])),
    around=st.integers(0, 50),
)
def test_it_never_raises_and_never_grows(raw: bytes, places: list[str], around: int) -> None:
    kept = excerpt(raw, places, around)
    assert len(kept) <= len(raw) + 2 + MAX_PLACES * (around + 120)
