"""Links whose words show an address: what the reader sees, and where it leads; bounded on any page."""

from __future__ import annotations

import pytest

from filterd.mail import html
from filterd.mail.html import MAX_ANCHORS, to_text
from filterd.mail.links import host
from filterd.mail.parse import parse
from filterd.model.message import Anchor

pytestmark = pytest.mark.slow


def anchor(shown: str, target: str, *, is_whole: bool = True) -> Anchor:
    return Anchor(shown=shown, target=target, is_whole=is_whole)


EVIL = "http://evil.example/x"


@pytest.mark.parametrize(
    ("page", "anchors"),
    [
        (f"<a href={EVIL}>www.bank.example</a>", (anchor("www.bank.example", EVIL),)),
        (f"<a href={EVIL}>https://User@Bank.example:443/login?x=1</a>", (anchor("bank.example", EVIL),)),
        (f"<a href={EVIL}><b>www.</b>bank<i>.example</i></a>", (anchor("www.bank.example", EVIL),)),
        (f"<a href={EVIL}> Log in at www.bank.example now</a>", (anchor("www.bank.example", EVIL, is_whole=False),)),
        (f"<a href={EVIL}>登录 www.bank.example。</a>", (anchor("www.bank.example", EVIL, is_whole=False),)),
        (f"<a href={EVIL}>www&#46;bank&period;example</a>", (anchor("www.bank.example", EVIL),)),
        # A link ends where the next one begins, and at the end of the page.
        (f"<a href={EVIL}>www.a.example<a href=//b.example>www.c.example", (
            anchor("www.a.example", EVIL), anchor("www.c.example", "//b.example"),
        )),
        (f"<a href={EVIL}>www.a.example</a><a href={EVIL}>www.a.example</a>", (anchor("www.a.example", EVIL),)),
        # Words, pictures, addresses of people and what nobody sees name no place.
        (f"<a href={EVIL}>Click here.</a>", ()),
        (f"<a href={EVIL}>me@bank.example</a>", ()),
        (f"<a href={EVIL}>notes.txt</a>", ()),
        (f'<a href={EVIL}><span style="display:none">www.bank.example</span>here</a>', ()),
        ("<a href=mailto:a@b.example>www.bank.example</a>", ()),
        ("<a name=x>www.bank.example</a>", ()),
        (f"<a href={EVIL}>x</a> www.bank.example", ()),
    ],
)  # fmt: skip
def test_anchors(page: str, anchors: tuple[Anchor, ...]) -> None:
    assert to_text(page).anchors == anchors


def test_a_message_holds_the_anchors_of_all_its_pages() -> None:
    raw = (
        b"From: a@example.com\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n"
        b'--b\r\nContent-Type: text/html\r\n\r\n<a href="http://x.example">www.y.example</a>\r\n'
        b"--b\r\nContent-Type: text/plain\r\n\r\nhttp://z.example\r\n"
        b'--b\r\nContent-Type: text/html\r\n\r\n<a href="http://p.example">www.q.example</a>\r\n--b--\r\n'
    )
    assert parse(raw).anchors == (anchor("www.y.example", "http://x.example"), anchor("www.q.example", "http://p.example"))


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("http://A.example/x", "a.example"),
        ("https://u:p@a.example:8080?x", "a.example"),
        ("http://[2001:db8::1]:80/", "[2001:db8::1]"),
        ("a.com\\b", "a.com"),
        ("a.com/?u=http://b.com", "a.com"),
        ("http://", ""),
        ("", ""),
    ],
)
def test_the_host_of_a_found_url(url: str, expected: str) -> None:
    assert host(url) == expected


def test_a_page_of_anchors_is_searched_so_many_times_and_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    searched: list[int] = []

    def counted(text: str, limit: int) -> tuple[str, ...]:
        searched.append(len(text))
        return (f"http://{len(searched)}.example",)

    monkeypatch.setattr(html, "find", counted)
    page = to_text("<a href=http://b.example>www.a.example</a>" * 20_000)
    assert len(searched) == len(page.anchors) == MAX_ANCHORS
    searched.clear()
    to_text("<a href=http://b.example>" + "www.a.example " * 1_000)
    assert searched == [html.MAX_ANCHOR_CHARS]


def test_a_hundred_thousand_anchors_are_read() -> None:
    page = to_text("".join(f"<a href=//{n}.cn>" for n in range(100_000)))
    assert len(page.links) == html.MAX_LINKS
    assert page.anchors == ()
