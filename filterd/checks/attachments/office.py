"""Office documents: do they hold macros, or a password?  MS-OVBA §2.2.1, ECMA-376 part 2, MS-OFFCRYPTO §1.3.

Only names inside the container are looked at: those of the zip entries, or of the streams of an OLE file, which stand
in its directory in UTF-16. The programs themselves are the virus scanner's matter.
"""

from __future__ import annotations

from collections.abc import Iterable

_VBA_STREAM = "_VBA_PROJECT".encode("utf-16-le")
_ENCRYPTED_STREAM = "EncryptedPackage".encode("utf-16-le")
# An Excel 4.0 macro sheet is a part of its own; LibreOffice keeps Basic and scripts in folders of these names.
_VBA_ENTRY = "vbaproject.bin"
_MACRO_FOLDERS = ("xl/macrosheets/", "basic/", "scripts/")
_DOCUMENT_MARKS = frozenset({"[content_types].xml", "mimetype"})


def zip_macro(names: Iterable[str]) -> str | None:
    """Say which kind of macro the entries of a document hold ("vba", "xlm", "basic"), or None."""
    lower = [name.lower().replace("\\", "/") for name in names]
    if any(name.endswith(_VBA_ENTRY) for name in lower):
        return "vba"
    if _DOCUMENT_MARKS.isdisjoint(lower):
        return None
    folder = next((f for name in lower for f in _MACRO_FOLDERS if name.startswith(f) and name != f), None)
    return None if folder is None else "xlm" if folder == _MACRO_FOLDERS[0] else "basic"


def ole_macro(content: bytes) -> str | None:
    """Say "vba" when an OLE file has the stream every VBA project has."""
    return "vba" if _VBA_STREAM in content else None


def is_ole_encrypted(content: bytes) -> bool:
    """Say whether an OLE file is the wrapping of a document with a password."""
    return _ENCRYPTED_STREAM in content
