"""The letters of this project: the same for a seed, whole, of both kinds, in buckets of both lengths."""

from __future__ import annotations

import re
import tomllib
from collections import Counter

import pytest

from filterd.checks import buckets
from filterd.checks.features import read
from filterd.learning.letters import FOLDER, GROUP, LANGUAGES, NEAR, digest, is_letter, letters
from filterd.learning.sample import LABELS

ALL = list(letters(1, per_topic=4))


def test_a_seed_always_makes_the_same_letters() -> None:
    assert list(letters(1, per_topic=4)) == ALL
    assert [s.text for s in letters(2, per_topic=4)] != [s.text for s in ALL]


def test_every_blank_is_filled_and_every_letter_says_something() -> None:
    assert [s.text for s in ALL if re.search(r"[{}]", s.text)] == []
    assert all(s.text.strip() for s in ALL)
    assert len({s.id for s in ALL}) == len(ALL)


def test_both_kinds_lengths_and_languages() -> None:
    kinds = Counter((s.source, s.says("spam"), buckets.length(s.text)) for s in ALL)
    assert set(kinds) == {
        (f"letters_{language}", is_bad, length)
        for language in LANGUAGES
        for is_bad in (False, True)
        for length in buckets.LENGTHS
    }
    said = Counter((s.source, buckets.language(read(s.text))) for s in ALL)
    assert said["letters_zh", "zh"] > 0.97 * sum(s.source == "letters_zh" for s in ALL)
    assert said["letters_en", "en"] > 0.97 * sum(s.source == "letters_en" for s in ALL)


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_books_are_in_order(language: str) -> None:
    topics = tomllib.loads((FOLDER / f"{language}.toml").read_text("utf-8"))["topic"]
    names = [topic["name"] for topic in topics]
    assert len(names) == len(set(names)) >= 80
    assert {topic["label"] for topic in topics} == {"ham", "spam"}
    assert all(topic["subjects"] and len(topic["lines"]) >= 3 for topic in topics)


def test_clusters_are_groups_of_topics_of_one_kind() -> None:
    clusters: dict[str, set[bool]] = {}
    for sample in ALL:
        clusters.setdefault(sample.cluster, set()).add(bool(sample.says("spam")))
    assert all(len(kinds) == 1 for kinds in clusters.values())
    assert max(Counter(s.cluster for s in ALL).values()) == 4 * GROUP


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_books_of_border_cases_are_in_order(language: str) -> None:
    topics = tomllib.loads((FOLDER / f"{language}_{NEAR}.toml").read_text("utf-8"))["topic"]
    names = [topic["name"] for topic in topics]
    assert len(names) == len(set(names)) >= 15
    assert all(set(topic["labels"]) <= set(LABELS) for topic in topics)
    # Whatever is bad is bad because somebody sends it unasked; most topics are on the good side.
    assert all("spam" in topic["labels"] for topic in topics if topic["labels"])
    assert sum(not topic["labels"] for topic in topics) > len(topics) / 2
    assert all(topic["subjects"] and len(topic["lines"]) >= 4 for topic in topics)


def test_border_cases_say_all_their_labels_and_the_others_only_spam() -> None:
    near = [sample for sample in ALL if f":{NEAR}:" in sample.id]
    assert near
    assert all(sample.says(label) is not None for sample in near for label in LABELS)
    rest = [sample for sample in ALL if f":{NEAR}:" not in sample.id and sample.labels]
    assert {(sample.says("spam"), sample.says("gambling"), sample.says("hate")) for sample in rest} == {
        (True, None, False)
    }


def test_other_books_have_another_digest() -> None:
    assert re.fullmatch("[0-9a-f]{64}", digest())
    assert all(is_letter(sample) for sample in ALL)
