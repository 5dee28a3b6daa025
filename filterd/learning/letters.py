"""Everyday letters in English and Chinese, written for this project: what no collected corpus has.

The mail corpora hold hardly any modern business, notification or private mail, and none in Chinese. A model trained on
them alone takes every invoice for spam. The topics are in letters/*.toml; this module makes mail texts of them: an
opening, some lines of one topic (of several for long letters), a closing, the blanks filled in. `cluster` is a group of
topics, so that cross-validation asks about topics the model has not seen.
"""

from __future__ import annotations

import hashlib
import random
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from filterd.learning.sample import ABUSE, Sample
from filterd.learning.sample import LABELS as KNOWN

FOLDER = Path(__file__).parent / "letters"
LANGUAGES = ("en", "zh")
LABELS = ("ham", "spam")
# Letters near the border of a label, on both sides of it: each topic is whole by itself and says all its labels.
NEAR = "near"
LICENCE = "Apache-2.0 (written for this project)"

# How many letters are made of one topic: about as many as its lines and openings can be put together without tedium.
PER_TOPIC = 30

# So many neighbouring topics make one cluster.
GROUP = 3

_SOURCES = frozenset(f"letters_{language}" for language in LANGUAGES)
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
        book = _book(language)
        for label in LABELS:
            topics = [topic for topic in book["topic"] if topic["label"] == label]
            for first in range(0, len(topics), GROUP):
                group = topics[first : first + GROUP]
                cluster = f"letters_{language}:{label}:{first // GROUP}"
                for number in range(per_topic * len(group)):
                    # Nobody wrote down which of them are gambling or fraud.
                    text = _letter(rng, book, group, language)
                    yield _sample(f"{cluster}:{number}", text, frozenset({label} - {"ham"}), cluster, ABUSE)
        near = _book(f"{language}_{NEAR}")
        for topic in near["topic"]:
            cluster = f"letters_{language}:{NEAR}:{topic['name']}"
            for number in range(per_topic):
                text = _letter(rng, {**book, "topic": ()}, [topic], language)
                yield _sample(f"{cluster}:{number}", text, frozenset(topic["labels"]), cluster, frozenset(KNOWN))


def is_letter(sample: Sample) -> bool:
    """Say whether a text is one of these."""
    return sample.source in _SOURCES


def digest() -> str:
    """SHA-256 over the books, for the manifest: other letters make another model."""
    books = sorted(FOLDER.glob("*.toml"))
    return hashlib.sha256(b"".join(book.read_bytes() for book in books)).hexdigest()


def _book(name: str) -> dict[str, Any]:
    return tomllib.loads((FOLDER / f"{name}.toml").read_text("utf-8"))


def _sample(name: str, text: str, labels: frozenset[str], cluster: str, known: frozenset[str]) -> Sample:
    return Sample(
        id=name,
        source=name.partition(":")[0],
        text=text,
        labels=labels,
        split="train",
        cluster=cluster,
        licence=LICENCE,
        known=known,
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
