"""URLs in running text: what a mail client would make clickable, and no more."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from filterd.mail.links import MAX_URL_CHARS, find

pytestmark = pytest.mark.slow


@pytest.mark.parametrize(
    ("text", "links"),
    [
        ("see http://a.example/x?y=1#z now", ("http://a.example/x?y=1#z",)),
        ("HTTPS://A.example", ("HTTPS://A.example",)),
        ("ftp://a.example/f", ("ftp://a.example/f",)),
        ("(https://a.example/x_(y)).", ("https://a.example/x_(y)",)),
        ("<http://a.example>, 'http://b.example'!", ("http://a.example", "http://b.example")),
        ("http://user:pw@a.example:80/", ("http://user:pw@a.example:80/",)),
        ("http://192.0.2.1/x", ("http://192.0.2.1/x",)),
        ("www.a.example, WWW.B.example", ("www.a.example", "WWW.B.example")),
        ("a.com b.com/x c.org!", ("a.com", "b.com/x", "c.org")),
        ("a.com.cn", ("a.com.cn",)),
        ("http://a.com http://a.com", ("http://a.com",)),
        ("b.com http://a.com", ("b.com", "http://a.com")),
        ("bit.ly/x t.me/y", ("bit.ly/x", "t.me/y")),
        # CJK touches the URL.
        ("访问example.com吧", ("example.com",)),
        ("请看http://a.com点击", ("http://a.com",)),
        ("（http://a.com/x），好", ("http://a.com/x",)),
        ("http://例え.jp/x", ("http://例え.jp/x",)),
        # A look-alike letter does not end the host.
        ("http://gооgle.com/x", ("http://gооgle.com/x",)),
        ("http://аpple.com", ("http://аpple.com",)),
        # Nothing one would click.
        ("joe@a.com joe@www.a.example", ()),
        ("end.Start of.the sentence", ()),
        ("readme.md node.js setup.py a.io", ()),
        ("a.com.b ..com -.com x..com", ()),
        ("http:// http://x ://a.com://", ()),
        ("", ()),
    ],
)
def test_finding(text: str, links: tuple[str, ...]) -> None:
    assert find(text) == links


def test_there_is_a_limit() -> None:
    assert len(find(" ".join(f"http://a{n}.example" for n in range(50)), limit=10)) == 10
    assert all(len(url) <= MAX_URL_CHARS for url in find("http://a.example/" + "x" * 10_000))


@given(
    st.text(max_size=80)
    | st.lists(st.sampled_from(["http", "://", "www.", ".", "a", ".com", "/", "@", ")", "(", "[", "中", "о", " "])).map(
        "".join
    )
)
@settings(deadline=None, max_examples=300)
def test_any_text_is_read(text: str) -> None:
    for url in find(text):
        assert url in text


@pytest.mark.parametrize(
    "text",
    [
        "www." * 300_000,
        "http://" * 168_000,
        "a" * 1_200_000 + ".com",
        "a.com " * 192_000,
        "a.com/" * 192_000,
        "a." * 600_000,
        ".com" * 300_000,
        "www.x" * 240_000,
        "http://a.b/" + ")" * 1_200_000,
        "http://a.b/" + "." * 1_200_000,
        ("http://a.b/" + ")" * 8_000 + " ") * 500,
        ("-" * 250 + ".com") * 16_000,
        "".join(f"http://{n}.b " for n in range(84_000)),
    ],
    ids=lambda text: text[:12],
)
@pytest.mark.timeout(120)
def test_finding_is_linear(text: str) -> None:
    find(text)
