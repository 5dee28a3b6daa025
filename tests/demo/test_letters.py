"""The sample mail of the demonstration: whole, synthetic, and the same in both languages."""

from __future__ import annotations

from datetime import UTC, date, datetime

import pytest
from stdnum import luhn
from stdnum.cn import ric

from filterd.checks.pii_numbers import Kind, count
from filterd.clients.clamd_private import EICAR
from filterd.demo import letters
from filterd.demo.letters import TEXTS, Header
from filterd.demo.samples import samples
from filterd.demo.setting import Signer
from filterd.mail.limits import Limits
from filterd.mail.parse import parse

AT = datetime(2026, 3, 2, 7, 0, tzinfo=UTC)
HEAD = Header(sender="a@northwind.example", to="b@partner.example", at=AT, tag="x")
# Gambling has a model in Chinese only, and so has its words there.
ONLY_CHINESE = {"gambling", "tip"}


def test_both_languages_have_the_same_texts() -> None:
    assert set(TEXTS["zh"]) - set(TEXTS["en"]) == ONLY_CHINESE
    assert set(TEXTS["en"]) <= set(TEXTS["zh"])


def test_the_numbers_are_valid_and_as_many_as_said() -> None:
    lines = parse(letters.numbers("zh", HEAD), Limits()).attachments[0].content.decode().split()
    assert len(set(lines)) == 200
    assert all(ric.is_valid(line) for line in lines)
    cards = parse(letters.numbers("en", HEAD), Limits()).attachments[0].content.decode().split()
    assert len(set(cards)) == 40
    assert all(luhn.is_valid(card) for card in cards)
    tallies, _ = count(["\n".join(lines), "\n".join(cards)], date(2026, 3, 2))
    assert (tallies[Kind.RESIDENT_ID].valid, tallies[Kind.CARD].valid) == (200, 40)


@pytest.mark.parametrize("language", ["en", "zh"])
def test_files_hang_on_the_letters(language: str) -> None:
    def only(raw: bytes) -> tuple[str | None, bytes]:
        (part,) = parse(raw, Limits()).attachments
        return part.filename, part.content

    assert only(letters.virus(language, HEAD))[1] == EICAR
    name, content = only(letters.program(language, HEAD))
    assert (str(name)[-8:], content[:2], set(content[2:])) == (".pdf.exe", b"MZ", {0})
    assert only(letters.drawings(language, HEAD))[1].startswith(b"%PDF-")


def test_every_sample_can_be_read_without_a_defect() -> None:
    signer = Signer.make()
    for number, sample in enumerate(samples(), 1):
        head = sample.head(number, AT)
        message = parse(sample.raw(head, signer), Limits())
        assert message.defects == (), sample.what
        assert b"\n" not in sample.raw(head, signer).replace(b"\r\n", b"")
        assert [f.value.strip() for f in message.fields if f.key == "message-id"] == [head.message_id]


def test_samples_come_in_both_languages() -> None:
    told = {(sample.what, sample.language) for sample in samples()}
    single = {what for what, language in told if (what, "zh" if language == "en" else "en") not in told}
    assert single == {
        "a gambling advert to 60 people",
        "a gambling tip to one friend",
        "40 card numbers, made up",
        "200 resident ids, made up",
    }
