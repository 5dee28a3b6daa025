"""Links: one spelling for each place, the feed and its file, look-alikes, redirectors; bounded on any mail."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from filterd.checks import links
from filterd.checks.links import feed_file, judging, place
from filterd.checks.links.feed import EMPTY, MAX_FEED_BYTES, Feed, expressions, load, parse
from filterd.checks.links.feed_file import FeedFile
from filterd.checks.links.lookalike import Likeness, Protected
from filterd.checks.links.redirects import listed_parameter, nested
from filterd.errors import ConfigError
from filterd.mail.parse import parse as parse_mail
from filterd.model.message import Anchor, Message
from filterd.model.session import Direction
from filterd.model.verdict import Outcome, Verdict
from tests.checks.contexts import context, message

pytestmark = pytest.mark.slow

NOBODY = Protected(())


def mail(*urls: str, anchors: tuple[Anchor, ...] = ()) -> Message:
    said = message()
    return Message(raw=said.raw, body_offset=0, fields=said.fields, parts=(), texts=(), links=urls, anchors=anchors)


def feed(*lines: str) -> Feed:
    return parse("\n".join(lines).encode(), "feed.txt")


def judged(*urls: str, lines: tuple[str, ...] = (), protected: tuple[str, ...] = ()) -> Verdict:
    return links.judge(mail(*urls), feed(*lines), Protected(protected))


def codes(verdict: Verdict) -> list[str]:
    return [f.code for f in verdict.findings]


# --- One spelling -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "url",
    [
        "http://evil.example/a/b?x=1",
        "HTTP://EVIL.Example/a/b?x=1",
        "http:\\\\evil.example\\a\\b?x=1",
        "http:////evil.example/a/b?x=1",
        "//evil.example/a/b?x=1",
        "evil.example/a/b?x=1",
        " http://evil.example/a/b?x=1",
        "ht\ntp://evil.exa\tmple/a/b?x=1",
        "http://evil.example:80/a/b?x=1",
        "http://evil.example:/a/b?x=1",
        "http://evil.example:0080/a/b?x=1",
        "https://evil.example:443/a/b?x=1",
        "http://evil.example./a/b?x=1",
        "http://evil%2eexample/a/b?x=1",
        "http://ｅｖｉｌ。example/a/b?x=1",
        "http://user:word@evil.example/a/b?x=1",
        "http://good.example@evil.example/a/b?x=1",
        "http://a@b@evil.example/a/b?x=1",
        "http://evil.example/a//b?x=1",
        "http://evil.example/./a/c/../b?x=1",
        "http://evil.example/../a/b?x=1",
        "http://evil.example/%61/%2562?x=1",
        "http://evil.example/a/%25252562?%78=%31",
        "http://evil.example/a/b?x=1#fragment",
    ],
)
def test_every_spelling_is_one_place(url: str) -> None:
    found = place.read(url)
    assert found is not None
    assert (found.authority, found.path, found.query) == ("evil.example", "/a/b", "x=1")
    assert codes(judged(url, lines=("http://evil.example/a/b?x=1",)))[:1] == ["link.feed.match"]


@pytest.mark.parametrize(
    ("written", "host", "notation"),
    [
        ("192.0.2.7", "192.0.2.7", "dotted"),
        ("3221225991", "192.0.2.7", "decimal"),
        ("0xC0000207", "192.0.2.7", "hex"),
        ("0xc0.0.0x2.7", "192.0.2.7", "hex"),
        ("0300.0.02.07", "192.0.2.7", "octal"),
        ("192.519", "192.0.2.7", "short"),
        ("192.0.519", "192.0.2.7", "short"),
        ("１９２。０。２。７", "192.0.2.7", "dotted"),
        ("192.0.2.7.", "192.0.2.7", "dotted"),
        ("[::ffff:192.0.2.7]", "192.0.2.7", "ipv6"),
        ("[2001:DB8:0::1]", "2001:db8::1", "ipv6"),
        ("192.example", "192.example", ""),
    ],
)
def test_addresses_in_every_notation(written: str, host: str, notation: str) -> None:
    found = place.read(f"http://{written}:8080/")
    assert found is not None
    assert (found.host, found.notation, found.port) == (host, notation, "8080")


@pytest.mark.parametrize(
    "url",
    ["", "http://", "http:///", "http://256.1.1.1/", "http://1.2.3.4.5/", "http://08.1.1.1/", "http://4294967296/",
     "http://[::1", "http://[x]/", "http://a b/", "http://" + "a" * 300, "http://a..b/", "http://0xzz/", "http://a:b:c/",
     "http://a^b/", "http://%zz/", "http://\ud800.example/", "http://" + "1" * 10_000],
)  # fmt: skip
def test_what_no_browser_opens_is_no_place(url: str) -> None:
    assert place.read(url) is None


@given(st.text(max_size=80), st.sampled_from(["", "http://", "//", "https://a@"]))
@settings(deadline=None, max_examples=300)
def test_any_text_is_read(text: str, scheme: str) -> None:
    found = place.read(scheme + text)
    if found is not None:
        again = place.read(f"http://{found.host}" if ":" not in found.host else f"http://[{found.host}]")
        assert again is not None
        assert again.host == found.host
    judged(scheme + text, lines=("evil.example",), protected=("bank.example",))


# --- The feed -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("line", "url", "is_listed"),
    [
        ("evil.example", "http://evil.example/any?thing", True),
        ("evil.example", "http://a.b.evil.example:8080/", True),
        ("evil.example", "http://devil.example/", False),
        ("EVIL.example.", "http://evil.example/", True),
        ("恶.中国", "http://xn--5bu.xn--fiqs8s/x", True),
        ("xn--5bu.xn--fiqs8s", "http://恶。中国/x", True),
        ("http://evil.example/", "https://evil.example/x", True),
        ("http://evil.example/", "https://www.evil.example/x", False),
        ("evil.example/a/", "http://evil.example/a/b/c", True),
        ("evil.example/a/", "http://evil.example/ab", False),
        ("evil.example/a", "http://evil.example/a?token=1", True),
        ("evil.example/a", "http://evil.example/a/b", False),
        ("evil.example/a?x=1", "http://evil.example/a?x=1", True),
        ("evil.example/a?x=1", "http://evil.example/a?x=2", False),
        ("evil.example:8080", "http://evil.example:8080/a", True),
        ("evil.example:8080", "http://evil.example/a", False),
        ("192.0.2.7", "http://3221225991/", True),
        ("0xc0.0.2.7", "http://192.0.2.7/", True),
        ("2.7", "http://192.0.2.7/", False),
    ],
)
def test_what_an_entry_lists(line: str, url: str, is_listed: bool) -> None:
    found = place.read(url)
    assert found is not None
    assert (feed("# first", line).line_of(found) == 2) is is_listed
    if not line.startswith("2."):
        entry = next(iter(feed(line)._plain))
        digest = f"sha256:{hashlib.sha256(entry.encode()).hexdigest()}"
        assert (feed(digest).line_of(found) == 1) is is_listed


def test_a_long_url_has_few_expressions() -> None:
    found = place.read("http://" + "a." * 100 + "example/" + "b/" * 1_000 + "?x=1")
    assert found is not None
    assert len(expressions(found)) <= 20


@pytest.mark.parametrize(
    ("octets", "line"),
    [
        (b"good.example\nno host here\n", 2),
        (b"\n\n# x\nlocalhost\n", 4),
        (b"com\n", 1),
        (b"co.uk\n", 1),
        (b"sha256:12\n", 1),
        (b"a.example\r\n\xff\xfe.example\r\n", 2),
        (b"http://\n", 1),
        (b"a.example b.example\n", 1),
    ],
)
def test_a_wrong_line_is_named(octets: bytes, line: int, tmp_path: Path) -> None:
    file = tmp_path / "feed.txt"
    file.write_bytes(octets)
    with pytest.raises(ConfigError) as raised:
        load(file)
    assert (raised.value.file, raised.value.line) == (file, line)
    assert str(raised.value).startswith(f"{file}:{line}: ")


def test_a_feed_that_is_missing_or_too_large_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be read"):
        load(tmp_path / "none.txt")
    large = tmp_path / "large.txt"
    with large.open("wb") as out:
        out.truncate(MAX_FEED_BYTES + 1)
    with pytest.raises(ConfigError, match="larger than"):
        load(large)


async def test_a_changed_file_is_read_again_and_only_then(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "feed.txt"
    file.write_text("evil.example\n")
    reads: list[Path] = []

    def counted(path: Path) -> Feed:
        reads.append(path)
        return load(path)

    monkeypatch.setattr(feed_file, "load", counted)
    follows = FeedFile(file, look_every_s=0)
    first = await follows.current()
    assert await follows.current() is first
    file.write_text("evil.example\nworse.example\n")
    assert len(await follows.current()) == 2
    assert len(await follows.current()) == 2
    assert len(reads) == 2


async def test_a_file_that_goes_wrong_leaves_the_last_one_in_force(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "feed.txt"
    file.write_text("evil.example\n")
    follows = FeedFile(file, look_every_s=0)
    file.write_text("evil.example\nnot a host\n")
    assert len(await follows.current()) == 1
    assert len(await follows.current()) == 1
    said = capsys.readouterr()
    assert (said.out + said.err).count("link_feed_kept") == 1
    os.remove(file)
    assert len(await follows.current()) == 1
    file.write_text("a.example\nb.example\n")
    assert len(await follows.current()) == 2


async def test_between_two_looks_nothing_is_looked_at(tmp_path: Path) -> None:
    file = tmp_path / "feed.txt"
    file.write_text("evil.example\n")
    follows = FeedFile(file, look_every_s=3_600)
    file.write_text("a.example\nb.example\n")
    assert len(await follows.current()) == 1


def test_a_wrong_file_stops_the_start(tmp_path: Path) -> None:
    file = tmp_path / "feed.txt"
    file.write_text("not a host\n")
    with pytest.raises(ConfigError):
        FeedFile(file)


# --- Look-alikes --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("www.examp1e.com", Likeness("skeleton", "example.com")),
        ("example.com.evil.cn", Likeness("embedded", "example.com")),
        ("login.example.com.evil.cn", Likeness("embedded", "example.com")),
        # Whoever has this name has registered it whole: there are thousands of honest ones.
        ("example.com.cn", None),
        ("example.com", None),
        ("mail.example.com", None),
        ("notexample.com", None),
        ("xn--pypal-4ve.test", Likeness("mixed", None)),
        ("münchen.test", None),
    ],
)
def test_likeness(host: str, expected: Likeness | None) -> None:
    assert Protected(["Example.com", ""]).likeness(host) == expected


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("tencent.net", Likeness("suffix", "tencent.*")),
        ("login.tencent.co.uk", Likeness("suffix", "tencent.*")),
        ("xn--" + "tеncent".encode("punycode").decode() + ".net", Likeness("suffix", "tencent.*")),
        ("tencent.com", None),
        ("mail.tencent.com", None),
        ("tencent-fans.net", None),
        ("co.uk", None),
    ],
)
def test_a_name_protected_under_every_suffix(host: str, expected: Likeness | None) -> None:
    assert Protected(["tencent.com", "tencent.*"]).likeness(host) == expected


def test_a_star_is_no_host() -> None:
    assert not Protected(["tencent.*"]).has("tencent.*")
    assert Protected(["tencent.com"]).likeness("tencent.net") is None


def test_of_two_protected_domains_that_look_alike_neither_imitates_the_other() -> None:
    both = Protected(["example.com", "examp1e.com"])
    assert both.likeness("www.example.com") is None
    assert both.likeness("www.examp1e.com") is None
    assert both.likeness("exampIe.com".replace("I", "\u0456")) is not None


# --- Redirectors --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("https://www.google.com/url?sa=t&q=x", "q"),
        ("https://google.com/url?q=x", "q"),
        ("https://notgoogle.com/url?q=x", None),
        ("https://www.google.com/search?q=x", None),
        ("https://www.google.com/url?sq=x", None),
        ("https://link.zhihu.com/?target=https%3A//a.example", "target"),
    ],
)
def test_listed_redirectors(url: str, expected: str | None) -> None:
    found = place.read(url)
    assert found is not None
    assert listed_parameter(found) == expected


def test_nested_urls_are_those_that_stand_whole_in_a_parameter() -> None:
    found = place.read("http://a.example/?x=http%3A%2F%2Fb.example%2F%3Fy%3D1&q=see+http://c.example&u=//d.example&n=5")
    assert found is not None
    assert tuple(nested(found)) == (("x", "http://b.example/?y=1"), ("u", "//d.example"))


def test_a_feed_is_asked_about_what_is_nested_but_not_for_ever() -> None:
    inner = "http://evil.example/"
    for _ in range(3):
        inner = f"http://a.example/?u={inner.replace('%', '%25').replace('&', '%26')}"
    assert "link.feed.match" in codes(judged(inner, lines=("evil.example",)))
    inner = f"http://a.example/?u={inner.replace('%', '%25')}"
    assert "link.feed.match" not in codes(judged(inner, lines=("evil.example",)))


# --- Bounds: counted, not timed -----------------------------------------------------------------------------------


@pytest.fixture
def read_lengths(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How long the URLs were that were read."""
    lengths: list[int] = []
    real = place.read

    def counted(url: str) -> place.Place | None:
        lengths.append(len(url))
        return real(url)

    monkeypatch.setattr(place, "read", counted)
    return lengths


def test_ten_thousand_links_are_judged_up_to_the_limit(read_lengths: list[int]) -> None:
    verdict = judged(*(f"http://8.8.{n // 256}.{n % 256}/" for n in range(10_000)))
    assert len(read_lengths) == judging.MAX_LINKS
    assert codes(verdict) == ["link.host.address"]
    many = judged(*(f"http://user@{n}.example/" for n in range(10_000)))
    assert len(many.findings) == judging.MAX_FINDINGS


def test_nested_urls_never_add_up_to_more_than_a_few_times_the_link(read_lengths: list[int]) -> None:
    url = "http://a.example/?" + "&".join("u=http%3A%2F%2Fb.example%2F%3Fu%3D//c.example" for _ in range(200))
    judged(url)
    assert sum(read_lengths) <= 8 * len(url)


def test_a_hundred_thousand_anchors_of_a_mail_are_judged_up_to_the_limit(read_lengths: list[int]) -> None:
    page = "".join(f"<a href=http://b{n}.example>www.a.example</a>" for n in range(100_000)).encode()
    read = parse_mail(b"Content-Type: text/html\r\n\r\n" + page)
    assert len(read.links) == len(read.anchors) == 1_000
    read_lengths.clear()
    verdict = links.judge(read, EMPTY, NOBODY)
    assert len(read_lengths) <= 5 * judging.MAX_LINKS
    assert len(verdict.findings) == judging.MAX_FINDINGS


def test_a_megabyte_of_one_url_is_read() -> None:
    lines = ("evil.example",)
    assert codes(judged("http://" + "a@" * 500_000 + "evil.example", lines=lines))[0] == "link.feed.match"
    assert codes(judged("http://evil.example/" + "%25" * 300_000, lines=lines)) == ["link.feed.match"]
    assert codes(judged("http://" + "%" * 900_000, lines=lines)) == []


# --- The check ----------------------------------------------------------------------------------------------------


def html(page: str) -> Message:
    return parse_mail(b"Content-Type: text/html; charset=utf-8\r\n\r\n" + page.encode())


@pytest.mark.parametrize("direction", list(Direction))
async def test_the_check_runs_for_every_direction(direction: Direction) -> None:
    check = links.make(protected_domains=("bank.example",))
    found = await check.run(context(message=mail("http://8.8.8.8/"), direction=direction))
    assert (found.check, found.outcome, codes(found)) == ("links", Outcome.FOUND, ["link.host.address"])
    assert (await check.run(context(message=mail()))).outcome is Outcome.CLEAN


async def test_the_tenants_own_domains_are_protected_too() -> None:
    check = links.make(protected_domains=("bank.example",))
    read = mail("http://examp1e.com/")
    assert codes(await check.run(context(message=read, own_domains=("example.com",)))) == ["link.host.lookalike"]
    assert codes(await check.run(context(message=read))) == []


async def test_many_links_are_judged_in_a_thread_just_the_same() -> None:
    many = mail(*(f"http://{n}.example/" for n in range(links.IN_PLACE_MAX_LINKS)), "http://8.8.8.8/")
    assert codes(await links.make().run(context(message=many))) == ["link.host.address"]


def test_findings_name_domains_and_nothing_else_of_a_link() -> None:
    page = '<a href="http://victim@login.evil.example/secret-path?secret-query">https://www.bank.example/secret-words</a>'
    verdict = links.judge(html(page), feed("evil.example"), Protected(["bank.example"]))
    assert {"link.feed.match", "link.text.mismatch", "link.userinfo.present"} == set(codes(verdict))
    assert "secret" not in repr(verdict)
    assert "victim" not in repr(verdict)
    assert {f.signal for f in verdict.findings} == {"link"}
    assert {f.code for f in verdict.findings} <= {code.code for code in links.CODES}


@pytest.mark.parametrize(
    ("page", "confidence"),
    [
        ("<a href=http://evil.example>www.bank.example</a>", 0.9),
        ("<a href=http://evil.example>www.shop.example</a>", 0.5),
        ("<a href=http://evil.example>visit www.shop.example today</a>", 0.3),
        ("<a href=http://www.shop.example/x>shop.example/y is ours: www.shop.example</a>", None),
        ("<a href=http://bank.example>www.bank.example.</a>", None),
        ("<a href=http://192.0.2.7/>192.0.2.7/x</a>", None),
    ],
)
def test_words_that_show_another_domain(page: str, confidence: float | None) -> None:
    found = links.judge(html(page), EMPTY, Protected(["bank.example"])).findings
    mismatch: list[Any] = [f.confidence for f in found if f.code == "link.text.mismatch"]
    assert mismatch == ([] if confidence is None else [confidence])


def test_addresses_without_dots_are_found_in_plain_text() -> None:
    read = parse_mail("Content-Type: text/plain\r\n\r\n打开 http://3221225991/x 或 http://localhost/".encode())
    assert read.links == ("http://3221225991/x",)
    assert [dict(f.why)["notation"] for f in links.judge(read, EMPTY, NOBODY).findings] == ["decimal"]
