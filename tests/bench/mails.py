"""The mails the benchmark runs over: the dev split of the outside data, evenly over its sources."""

from __future__ import annotations

import os
import tarfile
from pathlib import Path

from filterd.mail.lines import canonical

ROOT = Path(__file__).resolve().parents[2]


def data_root() -> Path:
    """Say where the outside data is. Exits when there is none: a benchmark of nothing helps nobody."""
    given = os.environ.get("FILTERD_DATA")
    found = (Path(given) if given else ROOT.parent / "shared") / "data"
    if not (found / "MANIFEST.json").is_file():
        raise SystemExit(f"no data at {found}: set FILTERD_DATA")
    return found


def dev_mails(limit: int) -> list[bytes]:
    """Read at most `limit` mails, canonical, the same ones each time."""
    packs = sorted(data_root().glob("mail_*.tar.gz"))
    packs = [pack for pack in packs if "fixtures" not in pack.name]
    found: list[bytes] = []
    for pack in packs:
        found += _pack(pack, -(-limit // len(packs)))
    return found[:limit]


def _pack(pack: Path, limit: int) -> list[bytes]:
    mails: list[bytes] = []
    with tarfile.open(pack) as archive:
        for member in archive:
            if len(mails) >= limit:
                break
            if member.isfile() and "/dev/" in f"/{member.name}" and member.name.endswith(".eml"):
                file = archive.extractfile(member)
                if file is not None:
                    mails.append(canonical(file.read())[0])
    return mails
