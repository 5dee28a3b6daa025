"""Sender identity: what is asked of the directory, and what broken From fields cannot hide."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from filterd.checks import sender
from filterd.checks.sender_fields import MAX_MAILBOXES, mailboxes
from filterd.checks.sender_names import Guard, Protected, originals
from filterd.errors import ConfigError, LedgerUnavailable
from filterd.mail.parse import parse
from filterd.model.principal import NOBODY
from filterd.model.session import Direction
from filterd.model.verdict import Outcome
from tests.checks.contexts import context


def domains_of(field: bytes) -> list[str | None]:
    return [box.domain for box in mailboxes(parse(b"From: " + field + b"\r\n\r\n"), "from")]


@pytest.mark.parametrize(
    ("field", "domains"),
    [
        (b"Ann <ann@a.example>", ["a.example"]),
        (b"ann@a.example", ["a.example"]),
        (b'"x@b.example" <ann@a.example>', ["a.example"]),
        (b"=?utf-8?q?=3Cx=40b=2Eexample=3E?= <ann@a.example>", ["a.example"]),
        (b"<ann@a.example> <x@b.example>", ["a.example", "b.example"]),
        (b"G: ann@a.example, x@b.example;", ["a.example", "b.example"]),
        (b"<@r.example:ann@a.example>", ["a.example"]),
        (b"ann @ a . example", ["a.example"]),
        (b'"a@b"@a.example', ["a.example"]),
        (b"x@b.example@a.example", ["b.example", "a.example"]),
        (b"(x@b.example) ann@a.example", ["a.example"]),
        (b"ann@A.EXAMPLE.", ["a.example"]),
        ("ann@例子.example".encode(), ["xn--fsqu00a.example"]),
        (b"ann@localhost", [None]),
        (b"ann@[192.0.2.1]", [None]),
        (b"ann", []),
        (b"", []),
    ],
)
def test_authors(field: bytes, domains: list[str | None]) -> None:
    assert domains_of(field) == domains


@pytest.mark.parametrize(
    "field",
    [
        b'"Ann <x@b.example>',
        b"(open <x@b.example>",
        b"((a) x@b.example) ann@a.example",
        b"Ann <ann@a.example x@b.example",
        b"=?utf-8?q?x=40b.example?=",
        b"ann@a.example =?utf-8?q?=2C_x=40b.example?=",
        rb'"\" <x@b.example>',
        rb"\<x@b.example>",
        b'"' + b"a" * 1200 + b'" <x@b.example>',
    ],
)
def test_a_broken_field_hides_nobody(field: bytes) -> None:
    assert "b.example" in domains_of(field)


def test_names_are_decoded() -> None:
    field = b"From: =?gb2312?b?z7XNs7ncwO3UsQ==?= <x@b.example>, y@b.example (=?utf-8?q?C?=)\r\n\r\n"
    assert [box.name for box in mailboxes(parse(field), "from")] == ["系统管理员", "C"]


@pytest.mark.parametrize("piece", [b'\\"', b"(\\(", b'<"\\"', b"@", b"<a@", b" . @", b'"a@', b"a@b.c,"])
@pytest.mark.timeout(120)
def test_hostile_fields_are_linear(piece: bytes) -> None:
    message = parse(b'From: "' + piece * (500_000 // len(piece)) + b"\r\n\r\n")
    found = mailboxes(message, "from")
    assert len(found) <= MAX_MAILBOXES


def test_what_is_not_read_is_an_unreadable_author() -> None:
    assert domains_of(b"a" * 9_000 + b" <x@b.example>")[-1] is None
    assert domains_of(b", ".join(b"a@d%d.example" % n for n in range(100)))[-1] is None


@pytest.mark.parametrize(
    ("domain", "guessed"),
    [
        ("k1tes.example", "kites.example"),
        ("pay.0ffice.example", "pay.office.example"),
        ("rnail.example", "mail.example"),
        ("vvind.example", "wind.example"),
        ("xn--" + "kіtes".encode("punycode").decode() + ".example", "kites.example"),
        ("xn--" + "мail".encode("punycode").decode() + ".example", "mail.example"),
    ],
)
def test_originals(domain: str, guessed: str) -> None:
    assert guessed in originals(domain)


def test_an_ordinary_domain_is_no_imitation_of_anything() -> None:
    assert originals("kites.example") == ()
    assert originals("xn--fsqu00a.example") == ()


def test_the_shown_address_of_a_protected_domain() -> None:
    guard = Guard(Protected(domains=("bank.example",)))
    assert guard.misuses_name("service＠bank.example", "other.example", ())
    assert guard.misuses_name("a@mail.bank.example", None, ())
    assert not guard.misuses_name("a@mail.bank.example", "bank.example", ())
    assert not guard.misuses_name("a@bank.example.other.example", "other.example", ())


@pytest.mark.parametrize(
    "name",
    [
        "service @ bank.example",
        "service@ bank.example",
        "service @ bank . example",
        "service @ bank . example . Thank you",
        "s e r v i c e @ b a n k . e x a m p l e",
        "service (at) bank.example",
        "service [ AT ] Bank.Example",
        "service＠bank。example",
        # Cyrillic, Greek, digits, capitals, accents.
        "service@bаnk.example",
        "service @ ваnk.example",
        "service@BΑNK.example",
        "service@bànk.example",
        "service@mail.bаnk.example (secure)",
        "service@xn--bnk-5cd.example service@bank.exampIe",
    ],
)
def test_the_shown_address_of_a_protected_domain_in_disguise(name: str) -> None:
    guard = Guard(Protected(domains=("bank.example",)))
    assert guard.misuses_name(name, "other.example", ())
    assert guard.misuses_name(name, None, ())
    # Its owner may write it as he likes.
    assert not guard.misuses_name(name, "mail.bank.example", ())


@pytest.mark.parametrize(
    "name",
    [
        "",
        "Ann",
        "Ann @ Bank",
        "Bank . Example",
        "meet at bank.example",
        "a@bank.example.other.example",
        "a@riverbank.example",
    ],
)
def test_a_name_that_shows_no_protected_address_is_left_alone(name: str) -> None:
    assert not Guard(Protected(domains=("bank.example",))).misuses_name(name, "other.example", ())


def test_ones_own_address_in_a_name_is_no_misuse_though_it_looks_like_another() -> None:
    guard = Guard(Protected(domains=("mail.example",)))
    assert not guard.misuses_name("a@rnail.example", "rnail.example", ())
    assert guard.misuses_name("a@rnail.example", "other.example", ())


@pytest.mark.parametrize(
    ("domain", "like"),
    [
        ("tencent.example", "tencent.*"),
        ("mail.tencent.co.uk", "tencent.*"),
        ("tеncent.net".encode("idna").decode(), "tencent.*"),
        ("tencent.com", None),
        ("mail.tencent.com", None),
        ("tencent-fans.net", None),
        ("tencent.kites.example", None),
        ("co.uk", None),
    ],
)
def test_a_name_protected_under_every_suffix(domain: str, like: str | None) -> None:
    assert Guard(Protected(domains=("tencent.com", "tencent.*"))).imitated(domain) == like


def test_without_the_star_another_suffix_is_another_name() -> None:
    assert Guard(Protected(domains=("tencent.com",))).imitated("tencent.net") is None


class Asked:
    """A directory that notes what it is asked, or is away."""

    def __init__(self, *, is_away: bool = False):
        self.names: list[str] = []
        self._is_away = is_away

    async def __call__(self, name: str) -> str | None:
        self.names.append(name)
        if self._is_away:
            raise LedgerUnavailable("away")
        return None


def mail(field: bytes) -> bytes:
    return b"From: " + field + b"\r\n\r\nHello\r\n"


async def test_nobody_is_asked_about_ones_own_domain() -> None:
    asked = Asked(is_away=True)
    raw = mail(b"alice@example.com")
    check = sender.make(asked, is_declared=lambda _: True)
    verdict = await check.run(context(raw, message=parse(raw), own_domains=("example.com",)))
    assert (verdict.outcome, asked.names) == (Outcome.CLEAN, [])


async def test_a_foreign_domain_is_asked_about_up_to_the_registered_one() -> None:
    asked = Asked()
    raw = mail(b"x@a.b.other.co.uk")
    await sender.make(asked).run(context(raw, message=parse(raw), own_domains=("example.com",)))
    assert asked.names == ["a.b.other.co.uk", "b.other.co.uk", "other.co.uk"]


async def test_a_hundred_labels_do_not_use_up_the_time() -> None:
    asked = Asked()
    raw = mail(b"x@" + b"a." * 100 + b"other.co.uk")
    await sender.make(asked).run(context(raw, message=parse(raw), own_domains=("example.com",)))
    assert asked.names[0].startswith("a.a.a.")
    assert asked.names[1:] == ["a." * count + "other.co.uk" for count in (4, 3, 2, 1, 0)]


async def test_a_directory_that_is_away_is_an_error_and_no_finding() -> None:
    raw = mail(b"x@other.example")
    with pytest.raises(LedgerUnavailable):
        await sender.make(Asked(is_away=True)).run(context(raw, message=parse(raw), own_domains=("example.com",)))


async def test_ordinary_inbound_mail_asks_nothing() -> None:
    asked = Asked(is_away=True)
    raw = mail(b"x@other.example")
    verdict = await sender.make(asked).run(
        context(raw, message=parse(raw), direction=Direction.INBOUND, principal=NOBODY)
    )  # fmt: skip
    assert (verdict.outcome, asked.names) == (Outcome.CLEAN, [])


async def test_configured_domains_may_be_written_in_any_way() -> None:
    raw = mail(b"x@xn--fsqu00a.example")
    check = sender.make(Asked(), delegated={"Example.COM": ("例子.Example",)}, is_declared=lambda _: True)
    verdict = await check.run(context(raw, message=parse(raw), own_domains=("example.com",)))
    assert verdict.outcome is Outcome.CLEAN
    with pytest.raises(ConfigError, match=r"sender\.protected_domains"):
        sender.make(Asked(), protected=Protected(domains=("a b.example",)))
    with pytest.raises(ConfigError, match=r"sender\.reserved_domains"):
        sender.make(Asked(), reserved=("a b.example",))


async def test_without_a_login_look_up_no_other_account_is_found() -> None:
    raw = mail(b"bob@example.com")
    verdict = await sender.make(Asked()).run(context(raw, message=parse(raw), own_domains=("example.com",)))
    assert verdict.outcome is Outcome.CLEAN


def test_one_exchanged_character_of_a_protected_name_is_seen(data_dir: Path) -> None:
    """TR39's table, letter by letter; the figure is what the small table of mail/confusables reaches."""
    table = json.loads((data_dir / "conformance/unicode/confusables.json").read_text(encoding="utf-8"))
    guard = Guard(Protected(names=(("mailservice", ()),)))
    seen = missed = 0
    for index, letter in enumerate("mailservice"):
        for look in [row["c"] for row in table.get(letter, []) if len(row["c"]) == 1 and row["c"].isalpha()]:
            if guard.misuses_name("mailservice"[:index] + look + "mailservice"[index + 1 :], "x.example", ()):
                seen += 1
            else:
                missed += 1
    assert seen + missed > 100
    assert seen / (seen + missed) > 0.95
