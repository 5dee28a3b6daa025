"""Which gate a text belongs to: language by script and common words, length by characters."""

from __future__ import annotations

import pytest

from filterd.checks.buckets import SHORT_CHARS, language, length
from filterd.checks.features import read


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Please send me the minutes of the last meeting.", "en"),
        ("FREE PILLS ORDER NOW", "en"),
        ("请把上次会议的纪要发给我", "zh"),
        ("請把上次會議的紀要發給我", "zh"),
        ("请把 project plan 和 budget 发给我，谢谢", "zh"),
        ("会議の議事録を送ってください", "other"),
        ("Bitte senden Sie mir das Protokoll der Sitzung und die Liste, wir warten auf Ihre Antwort.", "other"),
        ("Nous vous prions de bien vouloir nous envoyer les documents pour votre dossier.", "other"),
        ("Пришлите, пожалуйста, протокол собрания", "other"),
        ("회의록을 보내 주세요", "other"),
        ("12345 !!!", "other"),
        ("", "other"),
    ],
)
def test_language(text: str, expected: str) -> None:
    assert language(read(text)) == expected


def test_a_foreign_name_is_no_language() -> None:
    assert language(read("Please call Mr Van der Berg when you are back in the office")) == "en"


@pytest.mark.parametrize(("chars", "expected"), [(0, "short"), (SHORT_CHARS - 1, "short"), (SHORT_CHARS, "long")])
def test_length(chars: int, expected: str) -> None:
    assert length("x" * chars) == expected
