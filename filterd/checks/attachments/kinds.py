"""What is a file really? By its first octets, whatever its name and its declared type say.

A table one can read. Only what matters here is in it: what a computer may run, what holds other files, and the
harmless kinds that are often a dress. What is in none of the rows has no kind (None), which is no finding.
Sources: PE/COFF §2; System V ABI (ELF); Mach-O loader.h; MS-SHLLINK §2.1; MS-CFB §2.2; MS-ONESTORE §2.3.1; ECMA-119 §8;
JVMS §4.1; PKWARE APPNOTE; RFC 1952; RAR 4 and 5 technical notes; 7zFormat.txt.
"""

from __future__ import annotations

from collections.abc import Callable

# Every row but the last table's is decided by so many octets.
HEAD_BYTES = 1_024

# kind: (offset, octets), in order; the first row that fits decides.
_MAGIC: tuple[tuple[str, int, bytes], ...] = (
    ("elf", 0, b"\x7fELF"),
    ("macho", 0, b"\xfe\xed\xfa\xce"),
    ("macho", 0, b"\xfe\xed\xfa\xcf"),
    ("macho", 0, b"\xce\xfa\xed\xfe"),
    ("macho", 0, b"\xcf\xfa\xed\xfe"),
    ("lnk", 0, b"L\0\0\0\x01\x14\x02\0\0\0\0\0\xc0\0\0\0\0\0\0F"),
    ("chm", 0, b"ITSF\x03\0\0\0"),
    ("onenote", 0, b"\xe4\x52\x5c\x7b\x8c\xd8\xa7\x4d\xae\xb1\x53\x78\xd0\x29\x96\xd3"),
    ("cab", 0, b"MSCF\0\0\0\0"),
    ("vhd", 0, b"conectix"),
    ("vhdx", 0, b"vhdxfile"),
    ("flash", 0, b"FWS"),
    ("flash", 0, b"CWS"),
    ("flash", 0, b"ZWS"),
    ("dex", 0, b"dex\n03"),
    ("wasm", 0, b"\0asm\x01\0\0\0"),
    ("ole", 0, b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"),
    ("zip", 0, b"PK\x03\x04"),
    ("zip", 0, b"PK\x05\x06"),
    ("zip", 0, b"PK00PK\x03\x04"),
    ("rar", 0, b"Rar!\x1a\x07"),
    ("7z", 0, b"7z\xbc\xaf\x27\x1c"),
    ("gzip", 0, b"\x1f\x8b\x08"),
    ("bzip2", 0, b"BZh"),
    ("xz", 0, b"\xfd7zXZ\0"),
    ("zstd", 0, b"\x28\xb5\x2f\xfd"),
    ("tar", 257, b"ustar"),
    ("ace", 7, b"**ACE**"),
    ("lzh", 2, b"-lh"),
    ("pdf", 0, b"%PDF-"),
    ("png", 0, b"\x89PNG\r\n\x1a\n"),
    ("jpeg", 0, b"\xff\xd8\xff"),
    ("gif", 0, b"GIF8"),
    ("webp", 8, b"WEBP"),
    ("tiff", 0, b"II*\0"),
    ("tiff", 0, b"MM\0*"),
    ("rtf", 0, b"{\\rtf"),
)
_BY_FIRST: dict[int, tuple[tuple[str, int, bytes], ...]] = {
    first: tuple(row for row in _MAGIC if row[1] == 0 and row[2][0] == first) for first in {m[0] for _, _, m in _MAGIC}
}
_BY_OFFSET = tuple(row for row in _MAGIC if row[1] > 0)

# How texts begin that a program of Windows runs; compared in small letters, after blanks and a byte order mark.
_TEXT_MAGIC: tuple[tuple[str, bytes], ...] = (
    ("registry", b"windows registry editor version"),
    ("registry", b"regedit4"),
    ("url_file", b"[internetshortcut]"),
    ("scf", b"[shell]\r\ncommand="),
    ("shell", b"#!/"),
    ("batch", b"@echo off"),
)
_TEXT_STARTS = tuple(start for _, start in _TEXT_MAGIC)

# Run by a double click, or by the program that opens them: never sent for reading.
_RUN = "pe dos elf macho class jar lnk chm onenote cab iso udf vhd vhdx msi flash dex wasm svg_script"
# Texts that run under their own extension only; under another an editor shows them.
_RUN_BY_NAME = "registry url_file scf hta"
# Ordinary among those who write programs, and not run by a double click.
_SCRIPTS = "shell batch"
EXECUTABLE = frozenset(_RUN.split())
TEXTUAL = frozenset(f"{_RUN_BY_NAME} {_SCRIPTS}".split())
# Recognised, not opened here.
CLOSED_ARCHIVES = frozenset({"rar", "7z", "gzip", "bzip2", "xz", "zstd", "tar", "ace", "lzh"})

_MSI_CLASS = b"\x84\x10\x0c\0\0\0\0\0\xc0\0\0\0\0\0\0F"
# ECMA-119 §6.2: the volume descriptors begin at sector 16 of 2,048 octets; UDF's stand in the same place.
_SECTOR = 2_048
_DESCRIPTORS = range(16 * _SECTOR + 1, 20 * _SECTOR + 1, _SECTOR)


def sniff(content: bytes) -> str | None:
    """Say the kind of a file by its octets, or None when it is none of the table's."""
    if not content:
        return None
    head = content[:HEAD_BYTES]
    if refine := _REFINED.get(head[:2]):
        return refine(head)
    for kind, offset, magic in (*_BY_FIRST.get(head[0], ()), *_BY_OFFSET):
        if head.startswith(magic, offset):
            return "msi" if kind == "ole" and content.find(_MSI_CLASS, 0, 1 << 20) > 0 else kind
    return _image(content) or _text(head)


def _mz(head: bytes) -> str | None:
    """Tell a program from a text that begins with these two letters: a program's header holds octets no text has."""
    at = int.from_bytes(head[0x3C:0x40], "little")
    if head[at : at + 4] == b"PE\0\0":
        return "pe"
    if b"\0" not in head[:64] or len(head) < 64:
        return None
    return "pe" if 0x40 <= at < 1 << 24 else "dos"


def _cafebabe(head: bytes) -> str | None:
    if head[:4] != b"\xca\xfe\xba\xbe":
        return None
    # A universal Mach-O counts its architectures here, Java its version, from 45 on.
    return "macho" if int.from_bytes(head[4:8], "big") < 45 else "class"


_REFINED: dict[bytes, Callable[[bytes], str | None]] = {b"MZ": _mz, b"ZM": _mz, b"\xca\xfe": _cafebabe}


def _image(content: bytes) -> str | None:
    """Look where disk images have their marks, far behind the beginning."""
    if len(content) <= HEAD_BYTES:
        return None
    for at in _DESCRIPTORS:
        mark = content[at : at + 5]
        if mark == b"CD001":
            return "iso"
        if mark in {b"BEA01", b"NSR02", b"NSR03"}:
            return "udf"
    return "vhd" if content[-512:-504] == b"conectix" else None


def _text(head: bytes) -> str | None:
    if b"\0" in head and not head.startswith((b"\xff\xfe", b"\xfe\xff")):
        return None
    # Regedit writes UTF-16 with a byte order mark; dropping the zeros is enough to read its first words.
    text = head.removeprefix(b"\xef\xbb\xbf").removeprefix(b"\xff\xfe").replace(b"\0", b"").lstrip().lower()
    if text.startswith(b"<"):
        return _markup(text)
    if not text.startswith(_TEXT_STARTS):
        return None
    return next(kind for kind, start in _TEXT_MAGIC if text.startswith(start))


def _markup(text: bytes) -> str | None:
    if b"<hta:application" in text:
        return "hta"
    is_drawing = text.startswith((b"<svg", b"<?xml", b"<!--", b"<!doctype svg")) and b"<svg" in text
    return "svg" if is_drawing and b"<html" not in text else None


def svg_kind(content: bytes) -> str:
    """Say whether a drawing runs a script when it is opened."""
    lower = content[: 1 << 20].lower()
    return "svg_script" if b"<script" in lower or b"javascript:" in lower or b" onload" in lower else "svg"
