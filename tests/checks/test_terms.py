"""Term lists in a check: made ready once, made anew on change, silent about words, and never for locked labels."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from filterd.checks import terms, terms_book
from filterd.checks.terms_book import Book
from filterd.clients.term_lists import LABELS, LOCKED
from filterd.errors import ModelError
from filterd.mail.parse import parse
from tests.checks.contexts import context
from tests.checks.test_terms_cases import Listed, Lists

pytestmark = pytest.mark.slow

AT = datetime(2026, 11, 2, tzinfo=UTC)
RAW = b"Subject: x\r\n\r\nmarmalade and 12 teapots\r\n"


def found(text: str, *listed: Listed) -> list[tuple[str, tuple[int, ...]]]:
    return [(hit.list.id, hit.terms) for hit in Book(listed).find(text, AT)]


def kites(*words: str, **changes: object) -> Listed:
    return Listed(**({"id": "kites", "label": "gambling", "terms": words} | changes))  # type: ignore[arg-type]


def test_labels_are_those_of_the_loader_and_none_is_locked() -> None:
    assert terms.LABELS == LABELS
    assert set(LABELS).isdisjoint(LOCKED)
    assert {code.code for code in terms.CODES} == {f"content.{label}.terms" for label in LABELS}


@pytest.mark.parametrize(
    ("text", "is_found"),
    [
        ("tea", True),
        ("(tea)", True),
        ("茶tea茶", True),
        ("steam", False),
        ("teas", False),
        ("tea2", False),
        ("teа", False),
        ("été tea", True),
    ],
)
def test_boundaries(text: str, is_found: bool) -> None:
    assert bool(found(text, kites("tea"))) is is_found


def test_ordinary_words_that_differ_by_a_pair_of_letters_are_not_taken_for_disguises() -> None:
    assert found("cl1cks on the modern burn v2.0, h0use", kites("dicks", "modem", "bums")) == []


def test_patterns_that_do_not_match() -> None:
    assert found("marmalade", kites(patterns=("teapots?",))) == []


def test_one_term_in_two_lists() -> None:
    assert found("marmalade", kites("x1x", "marmalade"), kites("marmalade", id="jams")) == [
        ("kites", (2,)),
        ("jams", (1,)),
    ]


def test_the_verdict_names_no_word() -> None:
    verdict = terms.judge(parse(RAW), Book((kites("marmalade", patterns=("[0-9]+ teapots",)),)), AT)
    assert verdict.findings[0].why == (
        ("list", "kites"),
        ("digest", "0" * 16),
        ("entry", "t1"),
        ("entry", "p1"),
        ("entries", "2"),
    )
    assert "marmalade" not in repr(verdict)
    assert "teapots" not in repr(verdict)


def test_no_more_than_five_entries_are_named() -> None:
    words = [f"jam{'abcdefgh'[n]}jam" for n in range(8)]
    raw = f"Subject: x\r\n\r\n{' '.join(words)}\r\n".encode()
    why = terms.judge(parse(raw), Book((kites(*words),)), AT).findings[0].why
    assert [value for key, value in why if key == "entry"] == ["t1", "t2", "t3", "t4", "t5"]
    assert why[-1] == ("entries", "8")


async def test_lists_are_compiled_once_and_again_on_change(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[tuple[object, ...]] = []

    class Counted(Book):
        def __init__(self, lists: tuple[Listed, ...]):
            made.append(lists)
            super().__init__(lists)

    monkeypatch.setattr(terms_book, "Book", Counted)
    lists = Lists((kites("marmalade"),))
    check = terms.make(lists, timeout_s=5)
    mail = context(RAW, message=parse(RAW))
    first = await check.run(mail)
    assert (await check.run(mail), len(made)) == (first, 1)
    lists._lists = (kites("absent"),)
    assert (await check.run(mail)).findings == ()
    assert len(made) == 2


async def test_lists_that_cannot_be_compiled_are_tried_once(monkeypatch: pytest.MonkeyPatch) -> None:
    tried = []

    def refuse(lists: tuple[Listed, ...]) -> Book:
        tried.append(lists)
        raise ModelError("too much memory")

    monkeypatch.setattr(terms_book, "Book", refuse)
    check = terms.make(Lists((kites("marmalade"),)), timeout_s=5)
    for _ in range(2):
        with pytest.raises(ModelError):
            await check.run(context(RAW, message=parse(RAW)))
    assert len(tried) == 1


def test_patterns_that_need_too_much_memory_are_an_error_and_not_silence() -> None:
    with pytest.raises(ModelError, match="memory"):
        Book((kites(patterns=tuple(f".{{0,100}}x{n}y" for n in range(500))),))


async def test_a_long_mail_is_judged_in_a_thread() -> None:
    raw = b"Subject: x\r\n\r\n" + b"word " * 5_000 + b"marmalade"
    verdict = await terms.make(Lists((kites("marmalade"),)), timeout_s=5).run(context(raw, message=parse(raw)))
    assert len(verdict.findings) == 1


@pytest.mark.timeout(120)
def test_many_terms_and_a_hostile_text_are_linear() -> None:
    words = [f"{a}{b}{c}jam" for a in "abcdefghijklmnopqrst" for b in "abcdefghijklmnopqrst" for c in "abcdefghij"]
    book = Book((kites(*words),))
    for text in ("赌 " * 1_000_000, "a1b2 " * 400_000, "aaajam " * 280_000, "🈲*" * 1_000_000, "с" * 2_000_000):
        book.find(text, AT)
