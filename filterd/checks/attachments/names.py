"""What does a file name promise, and does it hide what it is?  MAIL-PATH item 31; FAULTS row 47.

A name is judged in every reading some program has: up to a NUL, without folders, streams and the dots and blanks that
Windows drops at the end, and with full-width letters made plain. What any reading says counts.
"""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache
from typing import NamedTuple

# Run by a double click on some system, or installed, mounted or opened by a program that runs what is inside.
_PROGRAMS = "exe com scr pif cpl dll ocx sys drv xll wll msi msp mst msix msixbundle appx appxbundle application gadget"
_SCRIPTS = "bat cmd js jse vbs vbe vb ws wsf wsc wsh hta ps1 psm1 ps1xml ps2 psc1 sct shb shs msh msh1 mshxml"
_SETTINGS = (
    "lnk url scf reg inf ins isp job library-ms search-ms searchconnector-ms settingcontent-ms appref-ms theme "
    "themepack website diagcab diagpkg msc mde ade adp chm hlp cab"
)
_ADD_INS = "one onepkg ppa ppam xla xlam slk iqy"
_IMAGES = "iso img vhd vhdx udf"
_OTHER_SYSTEMS = "jar jnlp class apk aab dex dmg pkg mpkg app command workflow deb rpm appimage"
BLOCKED = frozenset(" ".join((_PROGRAMS, _SCRIPTS, _SETTINGS, _ADD_INS, _IMAGES, _OTHER_SYSTEMS)).split())
_WITH_MACROS = "docm dotm xlsm xltm xlsb pptm potm ppsm sldm"
MACRO = frozenset(_WITH_MACROS.split())
# What people open without a second thought: the first half of a double extension, and a dress.
_DOCUMENTS = "pdf doc docx dot dotx rtf odt ods odp xls xlsx csv ppt pptx pps ppsx wps et dps ofd txt log md"
_PICTURES = "jpg jpeg png gif bmp tif tiff webp heic svg psd mp3 mp4 m4a wav avi mov wmv mkv"
_OTHERS = "htm html xml json eml msg zip rar 7z gz ics vcf"
HARMLESS = frozenset(" ".join((_DOCUMENTS, _PICTURES, _OTHERS)).split())
# The bidi controls that change the order of what is shown. Marks (LRM, RLM) stand in honest Hebrew and Arabic names.
_REORDERING = re.compile("[\u202a-\u202e\u2066-\u2069]")
_INVISIBLE = re.compile("[\u00ad\u200b-\u200f\u202a-\u202e\u2060-\u2069\ufeff\x01-\x1f\x7f]+")
_FOLDER = re.compile(r"[/\\]")
# Blanks enough to push the extension out of the column in which programs show names.
_PADDED = re.compile(r"\s{8}")
_MAX_EXTENSION = 24
# No file system keeps a longer one.
_MAX_NAME = 256
# Two extensions and more. 2,000 long names of U+FDFA, packed into 20 kB, took seconds to be normalised.
_MAX_NORMALISED = 64


class Name(NamedTuple):
    """What a file name says: every extension some program reads, and whether the name is made to deceive.

    `extensions` are in small letters, the one most programs read first; `inner` stands before the last dot but one
    ("pdf" in `a.pdf.exe`), empty when there is none.
    """

    extensions: tuple[str, ...]
    inner: str
    is_tricky: bool


def read(name: str | None) -> Name:
    """Read a file name; None, and a name without dots, have no extensions."""
    if not name:
        return Name((), "", is_tricky=False)
    name = name if len(name) <= _MAX_NAME else name[-_MAX_NAME:]
    plain = _plain(name)
    readings = [plain]
    is_tricky = _REORDERING.search(name) is not None or _PADDED.search(plain) is not None
    if "\0" in name:
        readings += [_plain(name.partition("\0")[0]), _plain(name.replace("\0", ""))]
        is_tricky = True
    if not name.isascii():
        # Full-width letters and dots; the ideographic full stop is a dot in host names only, yet looks like one.
        end = "".join(map(_compatible, name.rstrip()[-_MAX_NORMALISED:]))
        readings.append(_plain(end.replace("\u3002", ".")))
    extensions = tuple(dict.fromkeys(filter(None, map(_extension, readings))))
    parts = readings[-1].rsplit(".", 2)
    inner = parts[1].strip().lower() if len(parts) == 3 else ""
    return Name(extensions, inner if len(inner) <= _MAX_EXTENSION else "", is_tricky or len(extensions) > 1)


def _plain(name: str) -> str:
    """Give the name as a file system of Windows would keep it."""
    name = _FOLDER.split(name)[-1] if "/" in name or "\\" in name else name
    if not (name.isascii() and name.isprintable()):
        name = _INVISIBLE.sub("", name.replace("\0", " "))
    if ":" in name:
        name = name.removesuffix("::$DATA").removesuffix("::$data")
        # The stream: from the first colon behind the last dot on.
        colon = name.find(":", name.rfind(".") + 1)
        name = name if colon < 0 else name[:colon]
    return name.strip(" \t\"'").rstrip(". \t\"'\u00a0\u3000")


@lru_cache(maxsize=4_096)
def _compatible(character: str) -> str:
    """Give the plain form of a letter; what stands for a whole word is no letter of an extension."""
    plain = unicodedata.normalize("NFKC", character)
    return plain if len(plain) <= 4 else character


def _extension(name: str) -> str:
    _, dot, extension = name.rpartition(".")
    return extension.strip().lower() if dot and len(extension) <= _MAX_EXTENSION else ""
