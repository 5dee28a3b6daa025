"""The outside mail: the dev split of every pack, and the fixtures of mail libraries and parsers."""

from __future__ import annotations

import os
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from filterd.mail import fields
from filterd.mail.lines import canonical

ROOT = Path(__file__).resolve().parents[2]


class DevMail(NamedTuple):
    """A labelled mail. `raw` is canonical; `pack` without `mail_`; `label` is ham, spam or phishing."""

    pack: str
    label: str
    raw: bytes


def shared_root() -> Path:
    """Say where the outside data is. Exits when there is none: numbers about nothing help nobody."""
    given = os.environ.get("FILTERD_DATA")
    found = Path(given) if given else ROOT.parent / "shared"
    if not (found / "data" / "MANIFEST.json").is_file():
        raise SystemExit(f"no data at {found / 'data'}: set FILTERD_DATA")
    return found


def dev_mails(limit: int) -> list[bytes]:
    """Read at most `limit` mails, canonical, evenly over the packs, the same ones each time."""
    packs = _packs()
    found: list[bytes] = []
    for pack in packs:
        rest = -(-limit // len(packs))
        found += [mail.raw for mail, _ in zip(_members(pack), range(rest), strict=False)]
    return found[:limit]


def labelled(sample: int | None = None) -> Iterator[DevMail]:
    """Give every dev mail, or about `sample` of them: every n-th of each pack, so that all labels are among them."""
    packs = _packs()
    for pack in packs:
        if sample is None:
            yield from _members(pack)
            continue
        mails = list(_members(pack))
        step = max(1, len(mails) * len(packs) // sample)
        yield from mails[::step]


def came_signed() -> Iterator[bytes]:
    """Give every mail of the packs, of both splits, that bears a DKIM-Signature."""
    for pack in _packs():
        for mail in _members(pack, splits=("train", "dev")):
            block = fields.split(mail.raw, limits=None)
            if any(name.lower() == b"dkim-signature" for _, name, *_ in block.fields):
                yield mail.raw


def fixtures(shared: Path) -> Iterator[tuple[str, bytes]]:
    """Give every parser fixture by name, as it lies on disk."""
    with tarfile.open(shared / "data/mail_fixtures.tar.gz") as archive:
        for member in archive:
            if member.isfile() and not member.name.endswith(".jsonl") and (file := archive.extractfile(member)):
                yield member.name, file.read()
    mime = shared / "conformance/mime"
    for path in sorted(mime.rglob("*")):
        if path.suffix in (".eml", ".txt"):
            yield path.relative_to(mime).as_posix(), path.read_bytes()


def _packs() -> list[Path]:
    packs = sorted((shared_root() / "data").glob("mail_*.tar.gz"))
    return [pack for pack in packs if "fixtures" not in pack.name]


def _members(pack: Path, splits: tuple[str, ...] = ("dev",)) -> Iterator[DevMail]:
    name = pack.name.removeprefix("mail_").removesuffix(".tar.gz")
    with tarfile.open(pack) as archive:
        for member in archive:
            if member.isfile() and member.name.endswith(".eml") and set(member.name.split("/")[:-1]) & set(splits):
                file = archive.extractfile(member)
                if file is not None:
                    yield DevMail(name, member.name.split("/")[-2], canonical(file.read())[0])
