"""The mails in files, folders, mailboxes and archives, one after the other, never all in memory.

A file named on the command line is taken as it is. In folders and archives only what looks like mail is taken: a name
that ends in .eml, or a header with a field that every mail has. A file that begins with `From ` is a mailbox (mboxrd),
but not one that ends in .eml: collections of single mails keep that line. Any of them may be packed (gz, bz2, xz).
"""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import os
import re
import stat
import sys
import tarfile
import zlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import IO, cast

_HEAD_BYTES = 8192
_MAIL_NAME = ".eml"
_ARCHIVE_NAME = re.compile(r"\.(tar|tgz|tbz|txz|tar\.(gz|bz2|xz))$", re.I)
_PACKED: tuple[tuple[bytes, Callable[[IO[bytes]], object]], ...] = (
    (b"\x1f\x8b", lambda file: gzip.GzipFile(fileobj=file)),
    (b"BZh", bz2.BZ2File),
    (b"\xfd7zXZ\0", lzma.LZMAFile),
)
# RFC 5322 allows any name; what people send begins with a letter.
_FIELD = re.compile(rb"(?:From |>From |[A-Za-z][A-Za-z0-9_-]{0,75}[ \t]*:)")
# One of these stands in every mail that anybody sent.
_USUAL = re.compile(
    rb"^(?:received|from|to|cc|subject|date|message-id|return-path|delivered-to|mime-version|content-type)[ \t]*:",
    re.I | re.M,
)
# RFC 4155, Appendix A: who, then a date as ctime(3) writes it.
_FROM_LINE = re.compile(rb"From .*\b(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun)\b.*\d\d:\d\d")
_QUOTED_FROM = re.compile(rb"^>(>*From )", re.M)
_BROKEN = (tarfile.TarError, EOFError, zlib.error, lzma.LZMAError)


@dataclass(frozen=True, slots=True, kw_only=True)
class Mail:
    """One mail, or why it could not be read: then `error` says so and `raw` is empty.

    `member` is its name or number inside an archive or mailbox, None for a file of its own.
    """

    path: str
    raw: bytes = b""
    member: str | None = None
    error: str | None = None


def mails(paths: Iterable[str], *, max_bytes: int) -> Iterator[Mail]:
    """Read every mail under the paths, in order; `-` is standard input. Raises nothing for what cannot be read.

    Args:
        max_bytes: a mail with more is not read.
    """
    for path in paths:
        try:
            if path == "-":
                yield from _opened(_peekable(sys.stdin.buffer), path, max_bytes)
            elif os.path.isdir(path):
                yield from _folder(path, max_bytes)
            else:
                with open(path, "rb") as file:
                    yield from _opened(file, path, max_bytes)
        except OSError as err:
            yield _unread(path, err)


def looks_like_mail(name: str, head: bytes) -> bool:
    """Say whether what stands in a folder or archive is a mail, by its name and its first octets."""
    if name.lower().endswith(_MAIL_NAME):
        return True
    header = head.lstrip(b"\r\n").replace(b"\r\n", b"\n").partition(b"\n\n")[0]
    return _FIELD.match(header) is not None and _USUAL.search(header) is not None


def _folder(folder: str, max_bytes: int) -> Iterator[Mail]:
    """Read the files below a folder, sorted; hidden ones are left out, links to folders not followed."""
    unread: list[OSError] = []
    for base, folders, files in os.walk(folder, onerror=unread.append):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(files):
            path = os.path.join(base, name)
            try:
                # A pipe would be waited on for ever.
                if name.startswith(".") or not stat.S_ISREG(os.stat(path).st_mode):
                    continue
                with open(path, "rb") as file:
                    yield from _opened(file, path, max_bytes, is_sure=False)
            except OSError as err:
                yield _unread(path, err)
    for error in unread:
        yield _unread(os.fsdecode(error.filename), error)


def _opened(file: io.BufferedReader, path: str, max_bytes: int, *, is_sure: bool = True) -> Iterator[Mail]:
    """Read one file, whatever it is; nothing when it is no mail and nobody is sure that it should be."""
    try:
        head = file.peek(_HEAD_BYTES)
        for magic, unpacked in _PACKED:
            if head.startswith(magic):
                file = io.BufferedReader(cast(io.RawIOBase, unpacked(file)))
                head = file.peek(_HEAD_BYTES)
                break
        if _ARCHIVE_NAME.search(path) or head[257:262] == b"ustar":
            yield from _archive(file, path, max_bytes)
        elif not is_sure and not looks_like_mail(path, head):
            return
        elif head.startswith(b"From ") and not path.lower().endswith(_MAIL_NAME):
            yield from _mailbox(file, path, max_bytes)
        else:
            yield _mail(path, file.read(max_bytes + 1), max_bytes)
    except _BROKEN as err:
        yield Mail(path=_text(path), error=f"cannot be read further: {type(err).__name__}")


def _archive(file: io.BufferedReader, path: str, max_bytes: int) -> Iterator[Mail]:
    with tarfile.open(fileobj=file, mode="r|") as archive:
        for member in archive:
            content = archive.extractfile(member) if member.isreg() else None
            if content is None:
                continue
            raw = content.read(max_bytes + 1)
            if looks_like_mail(member.name, raw[:_HEAD_BYTES]):
                yield _mail(f"{path}/{member.name}", raw, max_bytes, member.name)
    # A packed file that was cut off says so only at its end.
    while file.read(_HEAD_BYTES):
        pass


def _mailbox(file: io.BufferedReader, path: str, max_bytes: int) -> Iterator[Mail]:
    number, lines, octets = 0, list[bytes](), 0
    is_after_blank = True
    for line in file:
        if number == 0 or (is_after_blank and _FROM_LINE.match(line)):
            if number:
                yield _boxed(path, number, lines, max_bytes)
            number, lines, octets = number + 1, [], 0
        elif octets <= max_bytes:
            lines.append(line)
            octets += len(line)
        is_after_blank = line in (b"\n", b"\r\n")
    yield _boxed(path, number, lines, max_bytes)


def _boxed(path: str, number: int, lines: list[bytes], max_bytes: int) -> Mail:
    """Make a mail of its lines in a mailbox, without what the mailbox added."""
    if lines and lines[-1] in (b"\n", b"\r\n"):
        lines.pop()
    return _mail(f"{path}#{number}", _QUOTED_FROM.sub(rb"\1", b"".join(lines)), max_bytes, str(number))


def _mail(path: str, raw: bytes, max_bytes: int, member: str | None = None) -> Mail:
    member = None if member is None else _text(member)
    if len(raw) > max_bytes:
        return Mail(path=_text(path), member=member, error=f"larger than {max_bytes} octets")
    return Mail(path=_text(path), member=member, raw=raw)


def _unread(path: str, err: OSError) -> Mail:
    return Mail(path=_text(path), error=err.strerror or type(err).__name__)


def _peekable(file: object) -> io.BufferedReader:
    return file if isinstance(file, io.BufferedReader) else io.BufferedReader(cast(io.RawIOBase, file))


def _text(name: str) -> str:
    """Say a name as text; octets that are not UTF-8 as `\\xNN`."""
    return os.fsencode(name).decode("utf-8", "backslashreplace")
