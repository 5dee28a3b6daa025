"""Labelled texts from a folder: the data pack, or mail of one's own.

    MANIFEST.json            the data pack (learning/packs), here or in `data/` below
    <label>                  `ham`, `clean`, or what is bad about it (`spam`, `gambling`, ...): a file or a folder,
                             an mbox (also `<label>.mbox`), a Maildir (cur/, new/), or a tree of .eml files
    *.jsonl, *.jsonl.gz      one object a line: `text` or `raw` (a whole mail), `labels` (a list; empty or ["clean"]);
                             `lang` may stand there, though texts tell their language themselves

A folder says one thing of its mails: those in `spam` may be gambling or not. The labels of a line are all of them.
Own mail is split by its words: near-identical texts stay together, a tenth becomes `dev`. Mail that cannot be read does
not occur (mail/parse); a file that cannot be read, or holds nothing, raises ModelError naming it, and the line.
"""

from __future__ import annotations

import gzip
import hashlib
import json
import mailbox
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from filterd.checks.features import plain_text, read
from filterd.errors import ModelError
from filterd.learning import packs
from filterd.learning.sample import LABELS, NEUTRAL, Sample

CLEAN_NAMES = ("ham", "clean")
LABEL_NAMES = (*CLEAN_NAMES, *LABELS)
OWN_LICENCE = "own mail"

_DEV_SHARE = 0.1
# A cluster is a text's first words: replies and campaigns that differ in their tail or in numbers stay together.
_CLUSTER_WORDS = 60


def samples(folder: Path, *, splits: tuple[str, ...] = ("train", "dev")) -> Iterator[Sample]:
    """Read the labelled texts of a folder, in an order that depends on the names of the files only.

    Raises:
        ModelError: there is nothing labelled in it, or a file in it cannot be read.
    """
    if pack := packs.find(folder):
        yield from packs.samples(pack, splits=splits)
        return
    found = False
    for place in sorted(folder.iterdir() if folder.is_dir() else ()):
        label = place.name.removesuffix(".mbox")
        if place.name.endswith((".jsonl", ".jsonl.gz")):
            rows, known = _rows(place), frozenset(LABELS)
        elif label in LABEL_NAMES:
            rows, known = _labelled(place, label), frozenset({label})
        else:
            continue
        for number, (content, labels) in enumerate(rows):
            found = True
            sample = _own(f"{place.name}:{number}", place, content, labels, known)
            if sample.split in splits:
                yield sample
    if not found:
        raise ModelError(f"{folder}: neither a data pack nor folders named {', '.join(LABEL_NAMES)} nor *.jsonl")


def digests(folder: Path) -> dict[str, str]:
    """SHA-256 of what names all inputs, where there is such a thing: the manifest of the data pack."""
    pack = packs.find(folder)
    return {"data": hashlib.sha256((pack / packs.MANIFEST).read_bytes()).hexdigest()} if pack else {}


def _own(name: str, place: Path, content: bytes | str, labels: frozenset[str], known: frozenset[str]) -> Sample:
    text = packs.mail_text(content) if isinstance(content, bytes) else plain_text(content)
    cluster = hashlib.sha256(read(text).words[:_CLUSTER_WORDS].tobytes()).hexdigest()[:16]
    is_dev = int(cluster[:8], 16) < _DEV_SHARE * 2**32
    return Sample(
        id=name,
        source=place.name,
        text=text,
        labels=labels,
        split="dev" if is_dev else "train",
        cluster=cluster,
        licence=OWN_LICENCE,
        known=known,
    )


def _labelled(place: Path, label: str) -> Iterator[tuple[bytes | str, frozenset[str]]]:
    count = 0
    for raw in _mails(place):
        count += 1
        yield raw, frozenset({label} - {*CLEAN_NAMES})
    if not count:
        raise ModelError(f"{place}: no mail in it: neither an mbox, nor a Maildir, nor a folder with .eml files")


def _mails(place: Path) -> Iterator[bytes]:
    """The mails of an mbox, a Maildir or a tree of .eml files."""
    try:
        if place.is_file():
            box = mailbox.mbox(place, create=False)
            try:
                yield from (box.get_bytes(key) for key in box.iterkeys())
            finally:
                box.close()
        else:
            folders = [place / name for name in ("cur", "new") if (place / name).is_dir()]
            files = [file for folder in folders for file in folder.iterdir()] or place.rglob("*.eml")
            yield from (file.read_bytes() for file in sorted(files) if file.is_file())
    except (OSError, mailbox.Error) as err:
        raise ModelError(f"{place}: cannot be read: {err}") from err


def _rows(file: Path) -> Iterator[tuple[bytes | str, frozenset[str]]]:
    done = 0
    try:
        with gzip.open(file, "rt", encoding="utf-8") if file.suffix == ".gz" else file.open(encoding="utf-8") as lines:
            for line in lines:
                yield _row(json.loads(line))
                done += 1
    except (OSError, EOFError, ValueError, KeyError, TypeError, AttributeError) as err:
        raise ModelError(f"{file}:{done + 1}: {type(err).__name__.lstrip('_')}: {err}") from err


class _RowError(ValueError):
    """A line holds JSON, but not a labelled text."""


def _row(row: dict[str, Any]) -> tuple[bytes | str, frozenset[str]]:
    if missing := [key for key in ("labels", "text") if key not in row and not (key == "text" and "raw" in row)]:
        raise _RowError(f"{missing[0]}: missing; a line has labels, and text or raw")
    labels, content = row["labels"], row["raw"] if "raw" in row else row["text"]
    if not isinstance(labels, list) or not all(isinstance(label, str) for label in labels):
        raise _RowError("labels: not a list of names")
    if unknown := sorted({*labels} - {*LABEL_NAMES, *NEUTRAL}):
        raise _RowError(f"labels: {unknown[0]!r} is none of {', '.join(LABEL_NAMES)}")
    if not isinstance(content, str) or not isinstance(row.get("lang", ""), str):
        raise _RowError("text, raw or lang: not a string")
    return (content.encode("utf-8", "surrogateescape") if "raw" in row else content), frozenset(labels) - {*CLEAN_NAMES}
