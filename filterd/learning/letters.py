"""Everyday letters in English and Chinese, written for this project: what no collected corpus has.

The mail corpora hold hardly any modern business, notification or private mail, and none in Chinese. A model trained on
them alone takes every invoice for spam. The topics are in letters/*.toml; this module makes mail texts of them: an
opening, some lines of one topic (of several for long letters), a closing, the blanks filled in. `cluster` is a group of
topics, so that cross-validation asks about topics the model has not seen.
"""

from __future__ import annotations

import random
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from filterd.learning.sample import Sample

FOLDER = Path(__file__).parent / "letters"
LANGUAGES = ("en", "zh")
LABELS = ("ham", "spam")
LICENCE = "Apache-2.0 (written for this project)"

# How many letters are made of one topic: about as many as its lines and openings can be put together without tedium.
PER_TOPIC = 30

# So many neighbouring topics make one cluster.
GROUP = 3

_BLANK = re.compile(r"\{(\w+)\}")
_MONEY = {"en": ("${}", "EUR {}", "{} USD", "£{}"), "zh": ("{}元", "¥{}", "人民币{}元")}
_DATE = {"en": ("{} May", "Monday, {} October", "{} June", "Friday"), "zh": ("{}月9日", "本周五", "下周{}", "{}日")}
_MONTH = {"en": ("January", "March", "August", "November"), "zh": ("一月", "三月份", "上月", "十一月")}
_TIME = {"en": ("{}:30", "{} am", "{} pm", "noon"), "zh": ("{}点", "上午{}点", "下午{}:30", "晚上{}点")}


def letters(seed: int, per_topic: int = PER_TOPIC) -> Iterator[Sample]:
    """Make the letters; the same ones for the same seed."""
    for language in LANGUAGES:
        # Not for secrets: a fixed seed must give the same letters.
        rng = random.Random(f"{seed}:{language}")  # noqa: S311
        book = tomllib.loads((FOLDER / f"{language}.toml").read_text("utf-8"))
        for label in LABELS:
            topics = [topic for topic in book["topic"] if topic["label"] == label]
            for first in range(0, len(topics), GROUP):
                group = topics[first : first + GROUP]
                for number in range(per_topic * len(group)):
                    yield Sample(
                        id=f"letters_{language}:{label}:{first // GROUP}:{number}",
                        source=f"letters_{language}",
                        text=_letter(rng, book, group, language),
                        labels=frozenset({label} - {"ham"}),
                        split="train",
                        cluster=f"letters_{language}:{label}:{first // GROUP}",
                        licence=LICENCE,
                    )


def _letter(rng: random.Random, book: dict[str, Any], group: list[dict[str, Any]], language: str) -> str:
    """One letter. Two in five are short notes, two use one topic, one is long and goes from topic to topic."""
    topic = rng.choice(group)
    lines: list[str] = topic["lines"]
    kind = rng.random()
    if kind < 0.8:
        count = rng.randint(1, min(3, len(lines))) if kind < 0.4 else rng.randint(2, len(lines))
        chosen = [lines[i] for i in sorted(rng.sample(range(len(lines)), count))]
    else:
        pool = [line for part in group for line in part["lines"]]
        chosen = rng.sample(pool, rng.randint(min(7, len(pool)), min(16, len(pool))))
    body = ("" if language == "zh" else " ").join(chosen) if rng.random() < 0.7 else "\n".join(chosen)
    opening = rng.choice(book["openings"]) if rng.random() < 0.8 else ""
    closing = rng.choice(book["closings"]) if rng.random() < 0.8 else ""
    subject = rng.choice(topic["subjects"]) if rng.random() < 0.9 else ""
    text = "\n".join(piece for piece in (subject, opening, body, closing) if piece)
    return _BLANK.sub(lambda blank: _fill(rng, book, blank[1], language), text)


def _fill(rng: random.Random, book: dict[str, Any], blank: str, language: str) -> str:
    number = str(rng.choice((rng.randint(2, 12), rng.randint(10, 99), rng.randint(1_000, 99_999))))
    match blank:
        case "name":
            return str(rng.choice(book["names"]))
        case "company":
            return str(rng.choice(book["companies"]))
        case "money":
            return rng.choice(_MONEY[language]).format(number)
        case "date":
            return rng.choice(_DATE[language]).format(rng.randint(1, 12))
        case "time":
            return rng.choice(_TIME[language]).format(rng.randint(1, 12))
        case "month":
            return rng.choice(_MONTH[language])
        case _:
            return number
