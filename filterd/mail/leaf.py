"""One leaf of the tree: encoding undone, file name and charset read, in every reading there is."""

from __future__ import annotations

from typing import NamedTuple

from filterd.mail import transfer
from filterd.mail.content import Content
from filterd.mail.params import Value
from filterd.model.message import Part

_MAX_FILENAME = 1_024
# A part with more names than this is ambiguous anyway.
_MOST_NAMES = 20


class Leaf(NamedTuple):
    """A part; whether its type was declared; whether only another reading than the first sees it."""

    part: Part
    is_typed: bool
    is_other: bool


def read(octets: bytes, content: Content, value: Value, path: str, is_other: bool) -> tuple[list[Leaf], list[str]]:
    """Make the leaf of an encoded body, and the leaves that other readings make of it; also the defects."""
    defects: list[str] = []
    encodings = content.encodings or [""]
    if len(encodings) == 1 and not transfer.is_known(encodings[0]):
        defects.append("mime.encoding.unknown")
    decoded = transfer.decode(octets, encodings[0])
    defects += decoded.defects
    bodies = [decoded.content, *decoded.others]
    bodies += [transfer.decode(octets, other).content for other in encodings[1:3]]
    names = _filenames(content, value)
    if len({_extension(name) for name in names}) > 1:
        defects.append("mime.filename.duplicate")
    else:
        names = names[:1]
    if any(len(name) > _MAX_FILENAME for name in names):
        defects.append("mime.filename.long")
    charsets = value.every("charset")
    if len(charsets) > 1:
        defects.append("mime.charset.duplicate")
    # Each other reading differs in one thing: all combinations would multiply.
    first = (bodies[0], names[0] if names else None, charsets[0] if charsets else None)
    readings = [first]
    readings += [(body, *first[1:]) for body in dict.fromkeys(bodies[1:]) if body != first[0]]
    readings += [(first[0], name, first[2]) for name in names[1:]]
    readings += [(*first[:2], charset) for charset in charsets[1:3]]
    return [
        Leaf(_part(*reading, content, value, path, is_other or number > 0), content.is_typed, is_other or number > 0)
        for number, reading in enumerate(readings)
    ], defects


def plain(octets: bytes, path: str) -> Leaf:
    """Make a leaf of octets that another reading takes for running text."""
    return Leaf(
        Part(path=f"~{path}", content_type="text/plain", disposition=None, filename=None, charset=None, content=octets),
        is_typed=False,
        is_other=True,
    )


def _part(
    body: bytes, name: str | None, charset: str | None, content: Content, value: Value, path: str, is_other: bool
) -> Part:
    return Part(
        path=f"~{path}" if is_other else path,
        content_type=value.main,
        disposition=content.dispositions[0].main if content.dispositions else None,
        filename=_short(name),
        charset=charset,
        content=body,
    )


def _filenames(content: Content, value: Value) -> list[str]:
    """Give every file name the fields hold, the preferred one first: the disposition's before the type's."""
    names: list[str] = []
    for disposition in content.dispositions[:3]:
        names += disposition.every("filename")
    names += value.every("name")
    return [name for name in dict.fromkeys(names) if name][:_MOST_NAMES]


def _extension(name: str) -> str:
    return name.rstrip(". \t\0").rpartition(".")[2].lower()


def _short(name: str | None) -> str | None:
    # The end is kept: it holds the extension.
    return name if name is None or len(name) <= _MAX_FILENAME else name[:256] + name[-256:]
