"""HTML to text: what the reader sees, what is hidden, where the links lead, and never slowly."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from filterd.mail.html import MAX_TEXT_CHARS, to_text

pytestmark = pytest.mark.slow


@pytest.mark.parametrize(
    ("html", "text"),
    [
        ("plain", "plain"),
        ("<p>a</p><p>b</p>", "a\nb"),
        ("a<br>b<BR/>c", "a\nb\nc"),
        ("wor<b>d</b>s", "words"),
        ("<table><tr><td>a</td><td>b</td></tr><tr><td>c</table>", "a b\nc"),
        ("  a\n  b\t c ", "a b c"),
        ("a&nbsp;b &amp; &lt;c&gt; &#65;&#x42;&#0000067;", "a b & <c> ABC"),
        ("&#99999999999; &#" + "1" * 5000 + ";", "\ufffd \ufffd"),
        ("1 < 2 > 1 <3", "1 < 2 > 1 <3"),
        ("<script>var a = '<p>x</p>';</script>y", "y"),
        ("<STYLE>p { }</sTyLe >y", "y"),
        ("<title>t</title>y", "y"),
        ("<script>a</scriptx>b</script>c", "c"),
        ("a<!-- b -->c<!-->d<!--->e<!-- f --!>g", "acdeg"),
        ("a<!doctype html><?xml x?></>b", "ab"),
        ('<img alt="two words" src=x>end', "two words end"),
        ('<img alt="<!--">seen<img alt="-->">', "<!-- seen -->"),
        ('<p title="a>b">c', "c"),
        ("<p title='a>b' x=\">\">c", "c"),
        ("<p a=b>c", "c"),
        ("a<b", "a"),
        ("a<!-- b", "a"),
        # A quote that never ends swallows the rest in browsers; we read on.
        ('<p title="open>seen', "seen"),
        ("<svg><style><p>seen</style></svg>", "seen"),
    ],
)
def test_text(html: str, text: str) -> None:
    assert to_text(html)[0] == text


@pytest.mark.parametrize(
    ("html", "text"),
    [
        ('<div style="display:none">no</div>yes', "yes"),
        ('<div style="DISPLAY : none !important">no</div>yes', "yes"),
        ("<div style='visibility:hidden'>no</div>yes", "yes"),
        ("<div hidden>no</div>yes", "yes"),
        ("<span style=font-size:0>no</span>yes", "yes"),
        ('<span style="font-size: 0px">no</span>yes', "yes"),
        ('<span style="opacity:0">no</span>yes', "yes"),
        ('<div style="max-height:0;overflow:hidden">no</div>yes', "yes"),
        ('<div style="display:none"><div>no</div>no</div>yes', "yes"),
        ('<div style="display:none">no<br>no<img alt="no">no</div>yes', "yes"),
        # What a later declaration, or the rules of HTML, make visible.
        ('<div style="display:none;display:block">yes</div>', "yes"),
        ('<b style="font-size:0.9em">yes</b>', "yes"),
        ('<b style="opacity:0.5">yes</b>', "yes"),
        # Layout tools set the size to nothing around everything, and set it anew inside.
        ('<td style="font-size:0px">no<div style="font-size:14px">yes</div></td>', "yes"),
        ('<td style="font-size:0px">no<font size=3>yes</font></td>', "yes"),
        ('<td style="font-size:0px">no<b style="font-size:2em">no</b></td>yes', "yes"),
        ('<div style="visibility:hidden">no<b style="visibility:visible">yes</b></div>', "yes"),
        ('<p class="hidden">yes</p>', "yes"),
        ('<p title="hidden">yes</p>', "yes"),
        ('<p style="display:none">no<div>yes</div>', "yes"),
        ('<p style="display:none"><b>no<p>yes', "yes"),
        ('<td style="display:none">no<td>yes', "yes"),
        ('<li style="display:none">no<li>yes', "yes"),
        ('<div><span style="display:none">no</div>yes', "yes"),
        ('<svg style="display:none"/>yes', "yes"),
        ('<br style="display:none">yes', "yes"),
        ('<textarea><div style="display:none"></textarea>yes', "yes"),
    ],
)
def test_hidden_text_is_left_out_and_nothing_else(html: str, text: str) -> None:
    assert to_text(html)[0] == text


@pytest.mark.parametrize(
    ("html", "links"),
    [
        ('<a href="http://a.example/?x=1&amp;y=2">t</a>', ("http://a.example/?x=1&y=2",)),
        ("<A HREF=https://a.example/>t", ("https://a.example/",)),
        ("<a href=' ht\ntps://a.example/\t'>t", ("https://a.example/",)),
        ("<a href=//a.example/x>t", ("//a.example/x",)),
        ("<a href='http:\\\\a.example'>t", ("http:\\\\a.example",)),
        (
            '<form action="http://a.example/f"><button formaction=http://b.example>',
            ("http://a.example/f", "http://b.example"),
        ),
        ('<area href="http://a.example"><base href="http://b.example/">', ("http://a.example", "http://b.example/")),
        ('<a href="http://a.example"><a href="http://a.example">', ("http://a.example",)),
        ('<a title="href=\'http://good.example\'" href="http://evil.example">', ("http://evil.example",)),
        ("<a href=mailto:a@b.example><a href='javascript:x'><a href=#x><a href><a>", ()),
        ('<div style="display:none"><a href="http://hidden.example">x</a></div>', ("http://hidden.example",)),
    ],
)
def test_links(html: str, links: tuple[str, ...]) -> None:
    assert to_text(html)[1] == links


PIECES = [
    "<",
    ">",
    "/",
    "!",
    "--",
    "a",
    "p",
    "script",
    " ",
    "=",
    '"',
    "'",
    "style",
    "display:none",
    "href",
    "http://x.y",
    "&",
    "#",
    "1",
    ";",
    "\n",
]


@given(st.lists(st.sampled_from(PIECES), max_size=60).map("".join) | st.text(max_size=60))
@settings(deadline=None, max_examples=300)
def test_any_text_is_read(html: str) -> None:
    to_text(html)


@pytest.mark.parametrize(
    "html",
    [
        "<a " * 396_000,
        '<a b=">"' * 144_000,
        "<a b='" * 192_000,
        "<!--" * 300_000,
        "<!-- -->" * 144_000,
        "<!-- -" * 192_000,
        "<![CDATA[" * 132_000,
        "<div>" * 240_000,
        "<b>" * 396_000,
        "<a><div>" * 144_000,
        "<table><tr><td>" * 79_200,
        "<a " + " ".join(f"a{n}=1" for n in range(120_000)) + ">",
        '<a href="' + "x" * 1_200_000,
        "<a " + "x " * 600_000 + ">",
        "<a " + "=" * 1_200_000 + ">",
        "<a " + '"' * 1_200_000 + ">",
        '<p style="' * 120_000,
        "<p style=display:none><b>" * 48_000,
        "<div style=display:none>" * 48_000 + "</div>" * 48_000,
        "<script>" * 144_000,
        "<script>" + "</script " * 120_000,
        "</" * 600_000,
        "<" * 1_200_000,
        "&" * 1_200_000,
        "&#" + "1" * 1_200_000,
        "&#x" + "0" * 1_200_000 + "41;",
        "\0" * 1_200_000,
        "<img src='data:image/svg+xml;base64," + "A" * 1_200_000 + "'>",
    ],
    ids=lambda html: html[:12],
)
@pytest.mark.timeout(120)
def test_reading_is_linear(html: str) -> None:
    text = to_text(html).text
    assert len(text) <= MAX_TEXT_CHARS
