"""The MIME tree: a header and a body to leaves.  RFC 2045, 2046, tolerant; every reading at hand.

One walk with one budget for all readings. Where readers differ (two Content-Type fields, two boundaries, an unknown
encoding, a header that a broken line ends) the first reading is what Postfix and the standards say; the others are
walked too and their leaves come last, under paths that start with `~`. Another reading opens no readings of its own, so
that the work stays linear in depth times size.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from filterd.mail import content, delimiters, fields, leaf, transfer
from filterd.mail.content import Content
from filterd.mail.leaf import Leaf
from filterd.mail.limits import Limits
from filterd.mail.params import Value

_EMBEDDED = frozenset({"message/rfc822", "message/global", "message/news"})
# Of several types or boundaries so many are followed.
_MOST_READINGS = 3
# Encoded multiparts and attached mails (forbidden, RFC 2045 §6.4) whose encoding is undone. Each costs a pass over all
# that is inside, twice: 45 of them in each other took minutes for one megabyte.
_MOST_UNDONE = 8
# How many times the octets of the mail other readings may look at, all together.
_OTHER_PASSES = 32


class _Place(NamedTuple):
    """Where in the tree we are: the path of this entity if it is a leaf, what the paths of its parts begin with."""

    own: str
    inside: str
    depth: int
    is_other: bool

    def part(self, number: int, is_other: bool) -> _Place:
        path = f"{self.inside}{number}"
        return _Place(path, f"{path}.", self.depth + 1, self.is_other or is_other)

    def attached(self) -> _Place:
        return _Place(f"{self.own}.1", f"{self.own}.", self.depth + 1, self.is_other)

    def other(self) -> _Place:
        return self._replace(is_other=True)


class Tree:
    """One walk over one mail; after `walk` the leaves are in order, the other readings' last, and each defect once."""

    def __init__(self, limits: Limits) -> None:
        self.defects: dict[str, None] = {}
        self._limits = limits
        self._first: list[Leaf] = []
        self._others: list[Leaf] = []
        self._entities_left = limits.parts
        self._content_left = limits.content_bytes
        self._undone_left = _MOST_UNDONE
        self._other_octets_left = 0

    def walk(self, data: bytes, block: fields.Block) -> list[Leaf]:
        """Read the mail of which `block` is the header."""
        self._other_octets_left = _OTHER_PASSES * len(data)
        self._entity(data, block, len(data), _Place("1", "", 0, is_other=False), content.PLAIN)
        return self._first + self._others

    def _say(self, defects: Iterable[str], place: _Place) -> None:
        # What another reading stumbles over was never meant to be read so; limits count for all.
        for defect in defects:
            if not place.is_other or defect.endswith(".exceeded"):
                self.defects[defect] = None

    def _entity(self, data: bytes, block: fields.Block, end: int, place: _Place, default: Value) -> None:
        self._entities_left -= 1
        if self._entities_left < 0:
            self._say(["mime.parts.exceeded"], place)
            return
        if place.is_other:
            self._other_octets_left -= end - block.body
            if self._other_octets_left < 0:
                self._say(["mime.parts.exceeded"], place)
                return
        self._say(block.defects, place)
        said = content.read(block, default)
        self._say(said.defects, place)
        self._body(data, block.body, end, said, said.types[0], place)
        if place.is_other:
            return
        for other in said.types[1:_MOST_READINGS]:
            self._body(data, block.body, end, said, other, place.other())
        if block.broken is not None:
            self._stepped_over(data, block, end, place)
        if block.blank is not None:
            short = fields.Block(block.fields[: block.blank_fields], block.blank)
            self._entity(data, short, end, place.other(), default)

    def _stepped_over(self, data: bytes, block: fields.Block, end: int, place: _Place) -> None:
        """Read on as those do who step over a broken line, or who take it for the first line of the body."""
        rest, lines = fields.sift(data, block.broken or 0, end, self._limits)
        if rest.fields:
            self._entity(data, rest._replace(fields=block.fields + rest.fields), end, place.other(), content.PLAIN)
            self._keep([leaf.plain(lines + data[rest.body : end], place.own)])

    def _body(self, data: bytes, start: int, end: int, said: Content, value: Value, place: _Place) -> None:
        is_multipart = value.main.startswith("multipart/")
        if is_multipart or value.main in _EMBEDDED:
            composite = self._within_undone(said, place)
            if place.depth >= self._limits.depth:
                self._say(["mime.depth.exceeded"], place)
            elif is_multipart:
                if self._multipart(data, start, end, composite, value, place):
                    return
            else:
                self._attached(data, start, end, composite, value, place)
                return
            # Without readable parts it is one text, whatever it claims.
            value, said = content.PLAIN, said._replace(is_typed=False)
        if value.main == "message/partial":
            self._say(["mime.message.partial"], place)
        leaves, defects = leaf.read(data[start:end], said, value, place.own, place.is_other)
        self._say(defects, place)
        self._keep(leaves)

    def _multipart(self, data: bytes, start: int, end: int, said: Content, value: Value, place: _Place) -> bool:
        """Read the parts; False when there are none in any reading but a guessed one."""
        boundaries = _boundaries(value)
        if len(boundaries) != 1:
            self._say(["mime.boundary.duplicate" if boundaries else "mime.boundary.missing"], place)
        found = 0
        for octets, first, last in self._undone(data, start, end, said, place):
            for boundary in boundaries[:_MOST_READINGS]:
                layout = delimiters.lay_out(octets, first, last, boundary, self._entities_left)
                if not layout.spans or (found and place.is_other):
                    continue
                self._say(layout.defects, place)
                self._parts(octets, layout.spans, value, place, is_other=found > 0)
                if layout.lenient and not place.is_other:
                    self._parts(octets, layout.lenient, value, place, is_other=True)
                found += 1
        if found:
            return True
        if boundaries:
            self._say(["mime.boundary.unmatched"], place)
        guessed = delimiters.guess_boundary(data, start, end)
        if guessed and not place.is_other:
            layout = delimiters.lay_out(data, start, end, guessed, self._entities_left)
            self._parts(data, layout.spans, value, place, is_other=True)
        return False

    def _parts(self, data: bytes, spans: list[tuple[int, int]], value: Value, place: _Place, *, is_other: bool) -> None:
        default = content.ATTACHED if value.main == "multipart/digest" else content.PLAIN
        for number, (start, end) in enumerate(spans, 1):
            if self._entities_left < 0:
                break
            block = fields.split(data, start, end, self._limits)
            self._entity(data, block, end, place.part(number, is_other), default)

    def _attached(self, data: bytes, start: int, end: int, said: Content, value: Value, place: _Place) -> None:
        """Read a mail inside the mail: the part itself, then what is in it."""
        leaves, defects = leaf.read(data[start:end], said, value, place.own, place.is_other)
        self._say(defects, place)
        self._keep(leaves)
        inside = place.attached()
        for number, (octets, first, last) in enumerate(self._undone(data, start, end, said, place)):
            block = fields.split(octets, first, last, self._limits)
            self._entity(octets, block, last, inside.other() if number else inside, content.PLAIN)

    def _within_undone(self, said: Content, place: _Place) -> Content:
        """Give what a composite entity says, as if it were not encoded once too many encodings have been undone."""
        if transfer.is_identity(said.encodings[0] if said.encodings else ""):
            return said
        self._undone_left -= 1
        if self._undone_left >= 0:
            return said
        self._say(["mime.encoding.composite"], place)
        self._say(["mime.depth.exceeded"], place)
        return said._replace(encodings=[])

    def _undone(
        self, data: bytes, start: int, end: int, said: Content, place: _Place
    ) -> Iterator[tuple[bytes, int, int]]:
        """Give the readings of a composite body that is itself encoded, which RFC 2045 §6.4 forbids."""
        encoding = said.encodings[0] if said.encodings else ""
        if transfer.is_identity(encoding):
            yield data, start, end
            return
        self._say(["mime.encoding.composite"], place)
        decoded = transfer.decode(data[start:end], encoding).content
        readings = [(decoded, 0, len(decoded)), (data, start, end)]
        # Where lines begin with dashes there are delimiters to be seen without decoding, and most readers see them.
        if data.find(b"\n--", max(0, start - 1), end) >= 0:
            readings.reverse()
        yield from readings[:1] if place.is_other else readings

    def _keep(self, leaves: list[Leaf]) -> None:
        for found in leaves:
            self._content_left -= len(found.part.content)
            if self._content_left < 0:
                self.defects["mime.content.exceeded"] = None
                return
            (self._others if found.is_other else self._first).append(found)


def _boundaries(value: Value) -> list[bytes]:
    """Give the different boundaries, the preferred first. One that ends in blanks, which is forbidden, counts twice."""
    written = [boundary.encode("utf-8", "replace") for boundary in value.every("boundary")]
    both = [reading for octets in written for reading in (octets, octets.rstrip())]
    return [boundary for boundary in dict.fromkeys(both) if boundary]
