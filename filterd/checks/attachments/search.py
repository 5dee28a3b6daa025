"""One search through the files of one mail, with one budget for all of them."""

from __future__ import annotations

from collections.abc import Collection
from typing import Protocol

from filterd.checks.attachments import closed, kinds, names, office, zips
from filterd.checks.attachments.codes import BLOCKED, DISGUISED, ENCRYPTED, MACRO, SIGNAL, UNSCANNABLE
from filterd.checks.attachments.names import Name
from filterd.mail import tnef
from filterd.model.verdict import Finding

# Of one code; the next ones say nothing new.
MAX_FINDINGS = 10
# Deflate reaches 1,032 to 1. Above this a file that has grown past `_FREE_BYTES` is a bomb, not a document.
MAX_RATIO = 200
_FREE_BYTES = 1 << 20
# A flat bomb: we never inflate it, yet whoever opens it does.
_BOMB_RATIO, _BOMB_BYTES = 500, 100 << 20

_ARCHIVE_EXTENSIONS = frozenset({"zip", "rar", "7z", "gz"})
_ZIPS = frozenset({"zip", "docx", "xlsx", "pptx", "docm", "xlsm", "pptm", "jar"})
_TEXT_EXTENSIONS = frozenset({"txt", "log", "md", "csv", "htm", "html", "xml", "json", "eml"})
_DRESS_TYPES = (
    "image/", "audio/", "video/", "application/pdf", "application/msword", "application/rtf",
    "application/vnd.ms-", "application/vnd.openxmlformats", "application/vnd.oasis",
)  # fmt: skip
# Inside an archive these are read whole: they hold files, macros or a password.
_DEEP = frozenset({"zip", "ole", "rar", "7z"})
# What an operator means by letting an extension pass.
_KIND_OF = {
    "exe": "pe", "dll": "pe", "one": "onenote", "reg": "registry", "url": "url_file", "swf": "flash",
    "svg": "svg_script", "img": "iso",
}  # fmt: skip


class Limits(Protocol):
    """What an operator may set; the `[attachments]` table has these keys."""

    @property
    def block_extensions(self) -> Collection[str]: ...
    @property
    def allow_extensions(self) -> Collection[str]: ...
    @property
    def max_unpacked_bytes(self) -> int: ...
    @property
    def max_entries(self) -> int: ...
    @property
    def max_depth(self) -> int: ...


class Rules:
    """The limits, made ready once for all mail: which extensions and kinds are blocked, and the size of the budget."""

    def __init__(self, limits: Limits) -> None:
        allowed = frozenset(_plain(limits.allow_extensions))
        self.blocked = (names.BLOCKED | frozenset(_plain(limits.block_extensions))) - allowed
        self.executable = kinds.EXECUTABLE - {_KIND_OF.get(e, e) for e in allowed} - allowed
        self.max_unpacked_bytes = limits.max_unpacked_bytes
        self.max_entries = limits.max_entries
        self.max_depth = limits.max_depth


class Search:
    """Looks at files and gathers findings. `bytes_left` and `entries_left` are the budget of the whole mail."""

    def __init__(self, rules: Rules) -> None:
        self.findings: dict[tuple[str, str, tuple[tuple[str, str], ...]], Finding] = {}
        self.bytes_left = rules.max_unpacked_bytes
        self.entries_left = rules.max_entries
        self._rules = rules
        self._counts: dict[str, int] = {}

    def file(self, content: bytes, name: Name, declared: str, where: str, depth: int = 0) -> None:
        """Look at a file, and into it. `declared` is the content type, empty inside archives."""
        if tnef.is_tnef(content):
            self._tnef(content, where, depth)
            return
        self._kind(kinds.sniff(content), content, name, declared, where, depth)

    def _kind(self, kind: str | None, content: bytes, name: Name, declared: str, where: str, depth: int) -> None:
        if kind == "svg":
            kind = kinds.svg_kind(content)
        if kind == "zip":
            kind = self._zip(content, where, depth)
        elif kind not in kinds.EXECUTABLE and not _ZIPS.isdisjoint(name.extensions) and zips.is_behind(content):
            # Octets in front do not keep unpackers from finding the directory at the end.
            kind = self._zip(content, where, depth)
        elif kind == "ole":
            self._ole(content, where, depth)
        elif kind in kinds.CLOSED_ARCHIVES and closed.is_encrypted(kind, content):
            self._say(ENCRYPTED, where, depth, ("kind", kind))
        self._judge(kind, name, declared, where, depth)

    def _judge(self, kind: str | None, name: Name, declared: str, where: str, depth: int) -> None:
        """Say what the name, the declared type and the real kind mean together."""
        why: tuple[tuple[str, str], ...] = ()
        dress = ""
        if blocked := next((e for e in name.extensions if e in self._rules.blocked), None):
            why = (("extension", blocked),)
            dress = name.inner if name.inner in names.HARMLESS else "name" if name.is_tricky else ""
        if kind in self._rules.executable or kind in kinds.TEXTUAL:
            worn = _dress(kind, name, declared)
            if worn or _is_run(kind, name, declared):
                why += (("kind", kind),)
            dress = dress or worn
        if why:
            self._say(BLOCKED, where, depth, *why)
        if dress:
            self._say(DISGUISED, where, depth, *why, ("as", dress))
        if macro := next((e for e in name.extensions if e in names.MACRO), None):
            # The name alone: the macros themselves are seen in the container, with more certainty.
            self._say(MACRO, where, depth, ("extension", macro), confidence=0.7)

    def _ole(self, content: bytes, where: str, depth: int) -> None:
        if office.is_ole_encrypted(content):
            self._say(ENCRYPTED, where, depth, ("kind", "office"))
        if macro := office.ole_macro(content):
            self._say(MACRO, where, depth, ("kind", macro))

    def _zip(self, content: bytes, where: str, depth: int) -> str:
        """Look at the entries; say "zip", or what kind of zip it is."""
        if depth >= self._rules.max_depth:
            self._say(UNSCANNABLE, where, depth, ("limit", "depth"))
            return "zip"
        directory = zips.read(content, self.entries_left)
        is_overlapping = "overlap" in directory.problems
        self.entries_left -= len(directory.entries)
        for problem in directory.problems:
            self._say(UNSCANNABLE, where, depth, ("limit", problem))
        if any(entry.is_encrypted for entry in directory.entries):
            self._say(ENCRYPTED, where, depth, ("kind", "zip"))
        if macro := office.zip_macro(entry.name for entry in directory.entries):
            self._say(MACRO, where, depth, ("kind", macro))
        declared = sum(entry.declared_bytes for entry in directory.entries)
        if declared > _BOMB_BYTES and declared > _BOMB_RATIO * len(content):
            self._say(UNSCANNABLE, where, depth, ("limit", "ratio"))
        for entry in directory.entries:
            if is_overlapping:
                # The same octets would be inflated again and again.
                self._judge(None, names.read(entry.name), "", where, depth + 1)
            elif not entry.name.endswith("/") or entry.packed_bytes:
                self._entry(content, entry, where, depth)
        return "jar" if _is_java(directory) else "zip"

    def _tnef(self, content: bytes, where: str, depth: int) -> None:
        """Look at the files in a winmail.dat, each under its own name."""
        if depth >= self._rules.max_depth:
            self._say(UNSCANNABLE, where, depth, ("limit", "depth"))
            return
        name = names.read(None)
        for piece in tnef.pieces(content):
            if piece.is_name:
                name = names.read(piece.content.decode("latin-1"))
            elif not piece.is_text:
                self.file(piece.content, name, "", where, depth + 1)

    def _entry(self, content: bytes, entry: zips.Entry, where: str, depth: int) -> None:
        name = names.read(entry.name)
        most = min(kinds.HEAD_BYTES, self.bytes_left)
        head = zips.inflate(content, entry, most)
        self.bytes_left -= len(head.content)
        if head.is_broken:
            self._say(UNSCANNABLE, where, depth, ("limit", "broken"))
        elif not most and not entry.is_encrypted:
            self._say(UNSCANNABLE, where, depth, ("limit", "bytes"))
        kind = kinds.sniff(head.content)
        if kind not in _DEEP:
            self._kind(kind, head.content, name, "", where, depth + 1)
            return
        whole = self._whole(content, entry, where, depth)
        if whole is None:
            self._judge(None, name, "", where, depth + 1)
        else:
            self.file(whole, name, "", where, depth + 1)

    def _whole(self, content: bytes, entry: zips.Entry, where: str, depth: int) -> bytes | None:
        """Inflate an entry; None when the budget does not reach, which is said."""
        by_ratio = max(_FREE_BYTES, MAX_RATIO * entry.packed_bytes)
        most = min(self.bytes_left, by_ratio)
        inflated = zips.inflate(content, entry, most)
        self.bytes_left -= len(inflated.content)
        if inflated.is_whole and not inflated.is_broken:
            return inflated.content
        limit = "broken" if inflated.is_broken else "ratio" if most == by_ratio else "bytes"
        self._say(UNSCANNABLE, where, depth, ("limit", limit))
        return None

    def _say(self, code: str, where: str, depth: int, *why: tuple[str, str], confidence: float = 1.0) -> None:
        if depth:
            why += (("depth", str(depth)),)
        key = (code, where, why)
        if key not in self.findings and self._counts.get(code, 0) < MAX_FINDINGS:
            self._counts[code] = self._counts.get(code, 0) + 1
            self.findings[key] = Finding(code=code, confidence=confidence, where=where, why=why, signal=SIGNAL)


def _is_java(directory: zips.Directory) -> bool:
    entries = [entry.name for entry in directory.entries]
    return "META-INF/MANIFEST.MF" in entries and any(name.endswith(".class") for name in entries)


def _dress(kind: str, name: Name, declared: str) -> str:
    """Say what a program passes for: a harmless extension, "type" for its declared type, or nothing."""
    extension = name.extensions[0] if name.extensions else ""
    harmless = names.HARMLESS
    if kind in kinds.TEXTUAL:
        harmless -= _TEXT_EXTENSIONS
    elif kind == "svg_script":
        harmless -= _TEXT_EXTENSIONS | {"svg"}
    elif kind in {"jar", "cab"}:
        harmless -= _ARCHIVE_EXTENSIONS
    if extension in harmless:
        return extension
    is_drawing = kind == "svg_script" and declared == "image/svg+xml"
    return "type" if declared.startswith(_DRESS_TYPES) and not is_drawing else ""


def _is_run(kind: str, name: Name, declared: str) -> bool:
    """Say whether opening the file runs it; texts run by their extension, which is judged as such."""
    if kind == "svg_script":
        return "svg" in name.extensions or declared == "image/svg+xml"
    return kind not in kinds.TEXTUAL


def _plain(extensions: Collection[str]) -> list[str]:
    return [extension.lower().removeprefix("*").removeprefix(".") for extension in extensions]
