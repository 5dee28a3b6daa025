"""Labelled texts from the data pack and from mail of one's own; what cannot be read is named."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from pathlib import Path

import pytest

from filterd.errors import ModelError
from filterd.learning import corpus, packs
from filterd.learning.sample import LABELS, Sample
from tests.learning import heaps

MAIL = b"Subject: =?utf-8?b?5Lya6K6u?=\r\n\r\nminutes are attached\r\n"


def by_id(found: list[Sample]) -> dict[str, Sample]:
    return {sample.id: sample for sample in found}


def test_the_pack_is_read_with_labels_splits_and_licences(tmp_path: Path) -> None:
    found = by_id(list(corpus.samples(heaps.pack(tmp_path))))
    assert len(found) == 8 + 3
    ham, spam = found["made:ham0"], found["made:spam1"]
    assert (ham.labels, ham.split, ham.source, ham.licence) == (frozenset(), "dev", "made", "CC BY-NC 4.0")
    assert (spam.labels, spam.split, spam.cluster) == (frozenset({"spam"}), "train", "spam1")
    assert ham.text.startswith("letter 0\n")
    assert (ham.is_clean, ham.says("spam"), spam.is_clean, spam.says("spam")) == (True, False, False, True)
    # Whoever labelled spam did not look whether it was gambling; it is no insult, though.
    assert (ham.says("gambling"), spam.says("gambling"), spam.says("insult")) == (False, None, False)
    assert found["t1"].labels == {"phishing", "spam"}
    # An insult is neither spam nor clean: it says nothing of either.
    assert (found["t3"].says("spam"), found["t3"].is_clean, found["t3"].licence) == (None, False, "CC0-1.0")
    assert (found["t3"].is_mail, ham.is_mail) == (False, True)
    assert packs.licences(tmp_path) == {"made": "CC BY-NC 4.0", "made_text": "CC0-1.0"}


def test_the_pack_may_be_in_data_and_splits_can_be_chosen(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    heaps.pack(tmp_path / "data")
    assert {sample.split for sample in corpus.samples(tmp_path, splits=("dev",))} == {"dev"}


@pytest.mark.parametrize(
    ("file", "content", "reason"),
    [
        ("MANIFEST.json", b"{", "not the manifest"),
        ("MANIFEST.json", b"{}", "no files or no text_sources"),
        ("mail_made.tar.gz", b"no archive", "sha256 is"),
        ("text_made.jsonl.gz", None, "No such file"),
    ],
)
def test_a_broken_pack_is_named(file: str, content: bytes | None, reason: str, tmp_path: Path) -> None:
    heaps.pack(tmp_path)
    if content is None:
        (tmp_path / file).unlink()
    else:
        (tmp_path / file).write_bytes(content)
    with pytest.raises(ModelError, match=reason) as caught:
        list(corpus.samples(tmp_path))
    assert str(caught.value).startswith(f"{tmp_path / file}: ")


def write_eml(folder: Path) -> None:
    (folder / "ham" / "2026").mkdir(parents=True)
    (folder / "ham" / "2026" / "1.eml").write_bytes(MAIL)


def write_maildir(folder: Path) -> None:
    for name in ("cur", "new", "tmp"):
        (folder / "ham" / name).mkdir(parents=True)
    (folder / "ham" / "cur" / "1.host:2,S").write_bytes(MAIL)


def write_mbox(folder: Path) -> None:
    (folder / "ham.mbox").write_bytes(b"From a@b Sat Jan  3 01:05:34 2026\n" + MAIL.replace(b"\r\n", b"\n"))


def write_raw_lines(folder: Path) -> None:
    (folder / "own.jsonl").write_text(json.dumps({"raw": MAIL.decode(), "labels": []}) + "\n")


@pytest.mark.parametrize("write", [write_eml, write_maildir, write_mbox, write_raw_lines])
def test_own_mail_is_read_as_the_check_reads_it(write: object, tmp_path: Path) -> None:
    assert callable(write)
    write(tmp_path)
    (sample,) = corpus.samples(tmp_path)
    assert (sample.text, sample.labels, sample.licence) == ("会议\nminutes are attached", frozenset(), "own mail")


def test_own_texts_and_labels(tmp_path: Path) -> None:
    rows = [{"text": "win a  prize", "labels": ["spam", "fraud"]}, {"text": "lunch?", "labels": ["clean"]}]
    lines = "".join(json.dumps(row) + "\n" for row in rows)
    (tmp_path / "own.jsonl.gz").write_bytes(gzip.compress(lines.encode()))
    (tmp_path / "spam").mkdir()
    (tmp_path / "spam" / "1.eml").write_bytes(MAIL)
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes" / "1.eml").write_bytes(MAIL)
    found = [(s.id, s.text, sorted(s.labels)) for s in corpus.samples(tmp_path)]
    assert found == [
        ("own.jsonl.gz:0", "win a prize", ["fraud", "spam"]),
        ("own.jsonl.gz:1", "lunch?", []),
        ("spam:0", "会议\nminutes are attached", ["spam"]),
    ]


def test_own_mail_that_is_alike_stays_together(tmp_path: Path) -> None:
    texts = [f"minutes of meeting {n} are attached, regards, team {'abcdefghij'[n % 10] * 5}" for n in range(200)]
    rows = [{"text": text, "labels": []} for text in texts] + [{"text": texts[0], "labels": []}]
    (tmp_path / "own.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    found = list(corpus.samples(tmp_path))
    assert len({sample.cluster for sample in found}) == 10
    assert all(len({s.split for s in found if s.cluster == c}) == 1 for c in {s.cluster for s in found})


@pytest.mark.parametrize(
    "line",
    [
        "{",
        "[]",
        '{"text": "x"}',
        '{"labels": []}',
        '{"text": "x", "labels": 7}',
        '{"text": "x", "labels": "spam"}',
        '{"text": "x", "labels": ["gamling"]}',
        '{"text": 7, "labels": []}',
        '{"raw": ["x"], "labels": []}',
        '{"text": "x", "labels": [], "lang": 7}',
    ],
)
def test_a_broken_line_is_named(line: str, tmp_path: Path) -> None:
    (tmp_path / "own.jsonl").write_text('{"text": "x", "labels": []}\n' + line + "\n")
    with pytest.raises(ModelError) as caught:
        list(corpus.samples(tmp_path))
    assert str(caught.value).startswith(f"{tmp_path / 'own.jsonl'}:2: ")


def test_every_label_may_be_a_folder_and_says_only_itself(tmp_path: Path) -> None:
    for label in LABELS:
        (tmp_path / label).mkdir()
        (tmp_path / label / "1.eml").write_bytes(MAIL)
    found = {sample.source: sample for sample in corpus.samples(tmp_path)}
    assert set(found) == set(LABELS)
    assert all(found[label].says(label) is True for label in LABELS)
    assert (found["gambling"].says("fraud"), found["gambling"].says("spam")) == (None, None)
    assert (found["phishing"].says("spam"), found["phishing"].says("hate")) == (True, None)


def test_the_labels_of_a_line_are_all_of_them(tmp_path: Path) -> None:
    row = {"text": "bet now and win a prize", "labels": ["spam", "gambling"], "lang": "en"}
    (tmp_path / "own.jsonl").write_text(json.dumps(row) + "\n")
    (sample,) = corpus.samples(tmp_path)
    assert [sample.says(label) for label in ("spam", "gambling", "fraud")] == [True, True, False]


def write_nothing(place: Path) -> None:
    place.mkdir()


def write_another_file(place: Path) -> None:
    place.mkdir()
    (place / "notes.txt").write_text("x")


def write_no_mbox(place: Path) -> None:
    place.write_text("Subject: not an mbox\n\nsince no line begins with From\n")


@pytest.mark.parametrize("write", [write_nothing, write_another_file, write_no_mbox])
def test_a_place_without_mail_is_named(write: Callable[[Path], None], tmp_path: Path) -> None:
    write(tmp_path / "gambling")
    with pytest.raises(ModelError, match="no mail in it") as caught:
        list(corpus.samples(tmp_path))
    assert str(caught.value).startswith(f"{tmp_path / 'gambling'}: ")


def test_a_packed_file_that_breaks_off_is_named(tmp_path: Path) -> None:
    lines = b"".join(json.dumps({"text": f"text {n}", "labels": []}).encode() + b"\n" for n in range(3_000))
    (tmp_path / "own.jsonl.gz").write_bytes(gzip.compress(lines)[:-30])
    with pytest.raises(ModelError, match=r"own\.jsonl\.gz:\d+: EOFError"):
        list(corpus.samples(tmp_path))


def test_nothing_labelled_is_said(tmp_path: Path) -> None:
    for folder in (tmp_path, tmp_path / "missing"):
        with pytest.raises(ModelError, match="neither a data pack nor folders named ham, clean"):
            list(corpus.samples(folder))
