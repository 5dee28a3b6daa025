"""Which mails are there: in files, folders, mailboxes, archives, and what cannot be read."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import os
import sys
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest

from filterd.cli.mails import Mail, looks_like_mail, mails

MAIL = b"From: a@b.example\nSubject: x\n\nhello\n"
MBOX = (
    b"From a@b.example Mon Nov  2 12:00:00 2026\nSubject: 1\n\nFrom here on it is text.\n>From me\n>>From you\n\n"
    b"From nobody at all Mon Nov  2 12:00:00 2026\nSubject: 2\n\nFrom the second mail, 10:30\n\nFrom: no\n\n"
    b"From - Mon Nov  2 12:00:00 2026\r\nSubject: 3\r\n\r\nend"
)
LIMIT = 10_000


def found(*paths: Path | str) -> list[Mail]:
    return list(mails([str(p) for p in paths], max_bytes=LIMIT))


def archive(file: Path, members: dict[str, bytes], mode: str = "w:gz") -> Path:
    with tarfile.open(file, mode) as tar:
        for name, content in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
        link = tarfile.TarInfo("link.eml")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        tar.addfile(link)
    return file


def test_a_named_file_is_one_mail_whatever_it_holds(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_bytes(b"\0no mail\xff")
    (tmp_path / "empty").write_bytes(b"")
    assert [m.raw for m in found(tmp_path / "a.txt", tmp_path / "empty")] == [b"\0no mail\xff", b""]


def test_a_folder_is_read_sorted_with_everything_below_that_looks_like_mail(tmp_path: Path) -> None:
    for name, content in {
        "b/2.eml": MAIL,
        "b/10": MAIL,
        "a/z.eml": b"not a header at all",
        "a/index.jsonl": b'{"subject": "x"}\n',
        "README.md": b"Note: this\nis no mail\n",
        "c/.hidden.eml": MAIL,
        ".git/x.eml": MAIL,
    }.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(content)
    os.mkfifo(tmp_path / "pipe.eml")
    (tmp_path / "loop").symlink_to(tmp_path)
    assert [m.path for m in found(tmp_path)] == [f"{tmp_path}/{n}" for n in ("a/z.eml", "b/10", "b/2.eml")]


def test_a_mailbox_is_parted_where_a_from_line_follows_a_blank_one(tmp_path: Path) -> None:
    (tmp_path / "box").write_bytes(MBOX)
    one, two, three = found(tmp_path / "box")
    assert one.raw == b"Subject: 1\n\nFrom here on it is text.\nFrom me\n>From you\n"
    assert two.raw == b"Subject: 2\n\nFrom the second mail, 10:30\n\nFrom: no\n"
    assert three.raw == b"Subject: 3\r\n\r\nend"
    assert [m.path for m in (one, two, three)] == [f"{tmp_path}/box#{n}" for n in (1, 2, 3)]
    assert [m.member for m in (one, two, three)] == ["1", "2", "3"]


def test_an_eml_with_a_from_line_is_one_mail(tmp_path: Path) -> None:
    (tmp_path / "a.eml").write_bytes(MBOX)
    assert [m.raw for m in found(tmp_path / "a.eml")] == [MBOX]


@pytest.mark.parametrize(("name", "mode"), [("m.tar.gz", "w:gz"), ("m.tgz", "w:gz"), ("m.tar", "w"), ("odd", "w:gz")])
def test_an_archive_gives_its_regular_members_that_look_like_mail(tmp_path: Path, name: str, mode: str) -> None:
    members = {"index.jsonl": b"{}", "train/ham/1.eml": MAIL, "x/email.14": MAIL, "x/picture.png": b"\x89PNG\r\n"}
    file = archive(tmp_path / name, members, mode)
    assert [(m.path, m.member, m.raw) for m in found(file)] == [
        (f"{file}/train/ham/1.eml", "train/ham/1.eml", MAIL),
        (f"{file}/x/email.14", "x/email.14", MAIL),
    ]


def test_archives_and_mailboxes_in_a_folder_are_opened_too(tmp_path: Path) -> None:
    archive(tmp_path / "1.tar.gz", {"a.eml": MAIL})
    (tmp_path / "2.mbox").write_bytes(MBOX)
    assert len(found(tmp_path)) == 4


def test_a_torn_archive_gives_what_it_has_and_an_error(tmp_path: Path) -> None:
    whole = archive(tmp_path / "w.tar.gz", {f"{n}.eml": MAIL + os.urandom(3000) for n in range(20)}).read_bytes()
    (tmp_path / "torn.tar.gz").write_bytes(whole[: len(whole) // 2])
    *good, last = found(tmp_path / "torn.tar.gz")
    assert 0 < len(good) < 20
    assert last.error is not None
    assert "cannot be read further" in last.error


@pytest.mark.parametrize(
    "content",
    [b"", b"no archive", gzip.compress(MAIL), gzip.compress(MAIL)[:20]],
    ids=["empty", "text", "packed", "torn"],
)
def test_what_only_claims_to_be_an_archive_is_an_error(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "x.tar.gz").write_bytes(content)
    (said,) = found(tmp_path / "x.tar.gz")
    assert said.error is not None


@pytest.mark.parametrize("pack", [gzip.compress, bz2.compress, lzma.compress], ids=["gz", "bz2", "xz"])
def test_a_packed_mail_or_mailbox_is_unpacked(tmp_path: Path, pack: Callable[[bytes], bytes]) -> None:
    (tmp_path / "mail").write_bytes(pack(MAIL))
    (tmp_path / "box").write_bytes(pack(MBOX))
    (tmp_path / "other").write_bytes(pack(b"no mail at all"))
    assert [m.member for m in found(tmp_path)] == ["1", "2", "3", None]
    assert found(tmp_path / "other")[0].raw == b"no mail at all"


def test_what_cannot_be_read_is_an_error_and_the_rest_goes_on(tmp_path: Path) -> None:
    (tmp_path / "good.eml").write_bytes(MAIL)
    (tmp_path / "dangling.eml").symlink_to(tmp_path / "nowhere")
    said = {m.path: m.error for m in found(tmp_path / "missing", tmp_path)}
    assert said == {
        f"{tmp_path}/missing": "No such file or directory",
        f"{tmp_path}/dangling.eml": "No such file or directory",
        f"{tmp_path}/good.eml": None,
    }


def test_too_large_a_mail_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "a.eml").write_bytes(b"x" * (LIMIT + 1))
    (tmp_path / "b.eml").write_bytes(b"x" * LIMIT)
    (tmp_path / "c.mbox").write_bytes(MBOX.replace(b"From me", b"y\n" * LIMIT))
    file = archive(tmp_path / "d.tar.gz", {"e.eml": b"z" * (LIMIT + 1), "f.eml": MAIL})
    assert [bool(m.error) for m in found(tmp_path)] == [True, False, True, False, False, True, False]
    assert found(file)[0].raw == b""


def test_a_name_that_is_not_utf8_is_said_in_escapes(tmp_path: Path) -> None:
    os.mkdir(os.fsencode(tmp_path) + b"/\xff")
    with open(os.fsencode(tmp_path) + b"/\xff/\xe4.eml", "wb") as file:
        file.write(MAIL)
    assert [m.path for m in found(tmp_path)] == [f"{tmp_path}/\\xff/\\xe4.eml"]


@pytest.mark.parametrize(("octets", "number"), [(MAIL, 1), (MBOX, 3), (b"", 1)])
def test_standard_input_is_read_like_a_file(monkeypatch: pytest.MonkeyPatch, octets: bytes, number: int) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(octets)))
    assert len(found("-")) == number


def test_standard_input_can_be_an_archive(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    octets = archive(tmp_path / "a.tar.gz", {"a.eml": MAIL, "b.eml": MAIL}).read_bytes()
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(octets)))
    assert [m.path for m in found("-")] == ["-/a.eml", "-/b.eml"]


@pytest.mark.parametrize(
    ("name", "head", "is_mail"),
    [
        ("a.EML", b"", True),
        ("a", b"Received: from x\n", True),
        ("a", b"\r\n\r\nX-Odd: 1\r\nSubject: y\r\n\r\n", True),
        ("a", b"From a@b Mon Nov  2 12:00:00 2026\nX: 1\nTo: c\n", True),
        ("a", b"X-Only: 1\n\nSubject: in the body\n", False),
        ("a", b'{"subject": 1}\nSubject: x\n', False),
        ("a", b"http://example.org\n", False),
        ("a.py", b"#!/usr/bin/python\nfrom: x\n", False),
        ("a", b"", False),
    ],
)
def test_mail_is_told_by_its_name_or_its_header(name: str, head: bytes, is_mail: bool) -> None:
    assert looks_like_mail(name, head) is is_mail
