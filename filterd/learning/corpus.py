"""Labelled texts from a folder: the data pack, or mail of one's own.

    MANIFEST.json            the data pack (learning/packs), here or in `data/` below
    <label>                  `ham`, `clean`, or what is bad about it (`spam`, `phishing`, ...): a file or a folder,
                             an mbox (also `<label>.mbox`), a Maildir (cur/, new/), or a tree of .eml files
    *.jsonl, *.jsonl.gz      one object a line: `text` or `raw` (a whole mail), `labels` (a list; empty or ["clean"])

Own mail is split by its words: near-identical texts stay together, a tenth becomes `dev`. Mail that cannot be read does
not occur (mail/parse); a file that cannot be read raises ModelError naming it.
"""

from __future__ import annotations

import gzip
import hashlib
import json
import mailbox
from collections.abc import Iterator
from pathlib import Path

from filterd.checks.features import read
from filterd.errors import ModelError
from filterd.learning import packs
from filterd.learning.sample import BAD, Sample

CLEAN_NAMES = ("ham", "clean")
LABEL_NAMES = (*CLEAN_NAMES, *sorted(BAD))
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
            rows = _rows(place)
        elif label in LABEL_NAMES:
            rows = ((raw, frozenset({label} - {*CLEAN_NAMES})) for raw in _mails(place))
        else:
            continue
        for number, (content, labels) in enumerate(rows):
            found = True
            sample = _own(f"{place.name}:{number}", place, content, labels)
            if sample.split in splits:
                yield sample
    if not found:
        raise ModelError(f"{folder}: neither a data pack nor folders named {', '.join(LABEL_NAMES)} nor *.jsonl")


def _own(name: str, place: Path, content: bytes | str, labels: frozenset[str]) -> Sample:
    text = packs.mail_text(content) if isinstance(content, bytes) else packs.plain_text(content)
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
    )


def _mails(place: Path) -> Iterator[bytes]:
    """The mails of an mbox, a Maildir or a tree of .eml files."""
    try:
        if place.is_file():
            box = mailbox.mbox(place, create=False)
            yield from (box.get_bytes(key) for key in box.iterkeys())
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
                row = json.loads(line)
                labels = frozenset(map(str, row["labels"])) - {*CLEAN_NAMES}
                yield (row["raw"].encode("utf-8", "surrogateescape") if "raw" in row else str(row["text"])), labels
                done += 1
    except (OSError, EOFError, ValueError, KeyError, TypeError, AttributeError) as err:
        raise ModelError(f"{file}:{done + 1}: {type(err).__name__}: {err}") from err
