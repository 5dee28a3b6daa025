"""Two heaps of made-up letters, easy to tell apart, and a data pack made of them."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import random
import tarfile
from pathlib import Path
from typing import Any

from filterd.learning.sample import Sample

CLEAN = [
    "meeting",
    "minutes",
    "agenda",
    "project",
    "budget",
    "review",
    "schedule",
    "report",
    "team",
    "office",
    "lunch",
    "train",
    "garden",
    "school",
]
BAD = [
    "casino",
    "bonus",
    "jackpot",
    "winner",
    "prize",
    "loan",
    "pills",
    "cheap",
    "offer",
    "click",
    "order",
    "guaranteed",
    "replica",
    "discount",
]
COMMON = ["the", "and", "of", "to", "in", "for", "you", "we", "is", "on"]


def words(rng: random.Random, kind: str, count: int = 40) -> str:
    own = BAD if kind == "spam" else CLEAN
    return " ".join(rng.choice(own if rng.random() < 0.5 else COMMON) for _ in range(count))


def samples(
    count: int = 150, source: str = "own", licence: str = "MIT", split: str = "train", seed: int = 1
) -> list[Sample]:
    """`count` texts of each kind."""
    rng = random.Random(f"{seed}{source}{split}")
    return [
        Sample(
            id=f"{source}:{split}:{kind}:{number}",
            source=source,
            text=words(rng, kind, rng.choice((8, 40, 120))),
            labels=frozenset({kind} - {"ham"}),
            split=split,
            cluster=f"{source}:{split}:{kind}:{number}",
            licence=licence,
        )
        for kind in ("ham", "spam")
        for number in range(count)
    ]


def pack(folder: Path, *, count: int = 4) -> Path:
    """A data pack: one archive of mail, one file of texts, and the manifest that binds them."""
    rng, index, mails = random.Random(3), [], {}
    for kind in ("ham", "spam"):
        for number in range(count):
            split = "dev" if number == 0 else "train"
            name = f"{split}/{kind}/{number}.eml"
            mails[name] = f"Subject: letter {number}\n\n{words(rng, kind)}\n".encode()
            row = {
                "id": f"made:{kind}{number}",
                "path": name,
                "label": kind,
                "split": split,
                "cluster": f"{kind}{number}",
            }
            index.append(row)
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:gz") as archive:
        for name, octets in {"index.jsonl": _lines(index), **mails}.items():
            member = tarfile.TarInfo(name)
            member.size = len(octets)
            archive.addfile(member, io.BytesIO(octets))
    (folder / "mail_made.tar.gz").write_bytes(out.getvalue())
    texts = [
        {"id": "t1", "text": "you have won a prize", "labels": ["phishing", "spam"], "source": "made_text"},
        {"id": "t2", "text": "see you at lunch", "labels": ["clean"], "source": "made_text"},
        {"id": "t3", "text": "you are an idiot", "labels": ["insult"], "source": "made_text"},
    ]
    rows = [{**row, "split": "train", "cluster": row["id"], "lang": "en"} for row in texts]
    (folder / "text_made.jsonl.gz").write_bytes(gzip.compress(_lines(rows)))
    files = [
        {"file": "mail_made.tar.gz", "licence": "CC BY-NC 4.0", "counts": {"train": {"ham": count}}},
        {"file": "mail_fixtures.tar.gz", "counts": {"unlabelled": 1}, "sha256": ""},
        {"file": "text_made.jsonl.gz"},
        {"file": "lexicons.tar.gz", "sha256": ""},
    ]
    for row in files:
        if "sha256" not in row:
            row["sha256"] = hashlib.sha256((folder / str(row["file"])).read_bytes()).hexdigest()
    sources = [{"name": "made_text", "licence": "CC0-1.0"}]
    (folder / "MANIFEST.json").write_text(json.dumps({"files": files, "text_sources": sources}))
    return folder


def _lines(rows: list[dict[str, Any]]) -> bytes:
    return b"".join(json.dumps(row).encode() + b"\n" for row in rows)
