"""The data pack: labelled mail and texts in archives, with a manifest of sources and licences.

Needs a folder with MANIFEST.json. Raises ModelError naming the file when one is missing, broken, or not the one the
manifest speaks of.
"""

from __future__ import annotations

import gzip
import hashlib
import json
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from filterd.checks.features import plain_text, text_of
from filterd.errors import ModelError
from filterd.learning.artefacts import clean
from filterd.learning.sample import ABUSE, Sample
from filterd.mail.lines import canonical
from filterd.mail.parse import parse

MANIFEST = "MANIFEST.json"
_CLEAN = frozenset({"clean", "ham"})

# Which labels a source's annotators looked for (Sample.known), beyond what every unsolicited mail is not. Phishing is
# presumed absent from spam of the years before it was common: what little there is lowers our figures a little.
_SOUGHT: dict[str, frozenset[str]] = {
    "fbs_sms": frozenset({"spam", "advertising", "phishing", "fraud", "sexual", "gambling"}) | ABUSE,
    "chineseharm": frozenset({"advertising", "fraud", "sexual", "gambling", "insult"}),
    "davidson": frozenset({"hate"}),
    "olid": frozenset({"harassment", "hate", "insult"}),
    "ethos": frozenset({"hate", "violence"}),
    "edos": frozenset({"hate", "violence"}),
    "vicomtech": frozenset({"hate"}),
    "surge": frozenset({"insult"}),
    "cold": frozenset({"hate"}),
    "swsr": frozenset({"hate"}),
    "enron_text": ABUSE | {"phishing"},
    "uci_sms": ABUSE | {"phishing"},
    "spamassassin": ABUSE | {"phishing"},
}
# Text packs whose texts were mail once.
_MAIL_TEXTS = ("enron_text", "nazario_text")


def find(folder: Path) -> Path | None:
    """Give the folder of the data pack at or directly below `folder`, or None."""
    return next((place for place in (folder, folder / "data") if (place / MANIFEST).is_file()), None)


def samples(folder: Path, *, splits: tuple[str, ...] = ("train", "dev")) -> Iterator[Sample]:
    """Read every labelled text of the pack, source by source, in the order of the files."""
    manifest = _manifest(folder)
    licences = {source["name"]: source["licence"] for source in manifest["text_sources"]}
    for entry in manifest["files"]:
        name = entry["file"]
        if name.startswith("mail_") and "counts" in entry and "unlabelled" not in entry["counts"]:
            yield from _mails(_checked(folder / name, entry["sha256"]), _source(name), entry["licence"], splits)
        elif name.startswith("text_"):
            yield from _texts(_checked(folder / name, entry["sha256"]), licences, splits)


def licences(folder: Path) -> dict[str, str]:
    """Say the licence of every source of the pack, as its data sheet words it."""
    manifest = _manifest(folder)
    mails = {entry["file"]: entry["licence"] for entry in manifest["files"] if "licence" in entry}
    texts = {source["name"]: source["licence"] for source in manifest["text_sources"]}
    return {_source(file): licence for file, licence in mails.items()} | texts


def _source(file: str) -> str:
    return file.removeprefix("mail_").removesuffix(".tar.gz")


def mail_text(raw: bytes) -> str:
    """Give the text of a mail just as the check sees it."""
    return text_of(parse(canonical(raw)[0]))


def _mails(file: Path, source: str, licence: str, splits: tuple[str, ...]) -> Iterator[Sample]:
    try:
        with tarfile.open(file) as archive:
            index: dict[str, dict[str, Any]] = {}
            for member in archive:
                content = archive.extractfile(member)
                if content is None:
                    continue
                if member.name == "index.jsonl":
                    index = {row["path"]: row for row in map(json.loads, content)}
                elif (row := index.get(member.name)) and row["split"] in splits:
                    yield Sample(
                        id=row["id"],
                        source=source,
                        text=clean(source, mail_text(content.read())),
                        labels=frozenset({row["label"]} - _CLEAN),
                        split=row["split"],
                        cluster=row["cluster"],
                        licence=licence,
                        known=_SOUGHT.get(source, ABUSE),
                    )
    except (OSError, EOFError, tarfile.TarError, ValueError, KeyError) as err:
        raise ModelError(f"{file}: not a mail pack: {type(err).__name__}: {err}") from err


def _texts(file: Path, licences: dict[str, str], splits: tuple[str, ...]) -> Iterator[Sample]:
    try:
        with gzip.open(file, "rt", encoding="utf-8") as lines:
            for row in map(json.loads, lines):
                if row["split"] in splits:
                    yield Sample(
                        id=row["id"],
                        source=row["source"],
                        text=plain_text(clean(row["source"], row["text"])),
                        labels=frozenset(row["labels"]) - _CLEAN,
                        split=row["split"],
                        cluster=row["cluster"],
                        licence=licences.get(row["source"], "unknown"),
                        known=_SOUGHT.get(row["source"], frozenset()),
                        is_mail=row["source"] in _MAIL_TEXTS,
                    )
    except (OSError, EOFError, ValueError, KeyError) as err:
        raise ModelError(f"{file}: not a text pack: {type(err).__name__}: {err}") from err


def _manifest(folder: Path) -> dict[str, Any]:
    file = folder / MANIFEST
    try:
        manifest: dict[str, Any] = json.loads(file.read_bytes())
        if not {"files", "text_sources"} <= manifest.keys():
            raise ValueError("no files or no text_sources")
    except (OSError, ValueError, KeyError) as err:
        raise ModelError(f"{file}: not the manifest of a data pack: {type(err).__name__}: {err}") from err
    return manifest


def _checked(file: Path, sha256: str) -> Path:
    try:
        digest = hashlib.sha256(file.read_bytes()).hexdigest()
    except OSError as err:
        raise ModelError(f"{file}: {err.strerror}") from err
    if digest != sha256:
        raise ModelError(f"{file}: sha256 is {digest}, the manifest says {sha256}")
    return file
