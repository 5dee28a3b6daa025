"""Hidden text: which start tags hide their element, and where the hiding ends. A first form: inline styles only.

Hiding errs towards showing: where a browser could end a hidden element before its end tag does, it ends; and what hides
only by inheritance (`font-size:0`, which layout tools write around every table, and `visibility:hidden`) ends at the
first element inside that sets the property anew.
"""

from __future__ import annotations

import re
from enum import Enum

_STYLE = re.compile(r"""(?i)(?<![\w-])style\s*+=\s*+(?:"([^"]*+)"|'([^']*+)'|([^\s>"'][^\s>]*+))""")
_HIDDEN_ATTRIBUTE = re.compile(r"(?i)(?<![^\s\"'/])hidden(?![^\s/=])")
_QUOTED = re.compile(r"\"[^\"]*+\"|'[^']*+'")
# Nothing, or less than one pixel.
_ZERO = re.compile(r"(?=[.0])0*+(?:(?>(?:\.0*+)?)(?>(?:px|pt|em|rem|ex|%|in|cm|mm)?)|\.[0-9]++p[xt])")
# Sizes that are a share of the size around them: of nothing, they are nothing.
_RELATIVE = re.compile(r"[0-9.]++(?:em|ex|%)|inherit|larger|smaller")
# End tags further back than this count as closing something outside.
_LOOK_BACK = 8
_VOIDS = "area base br col embed hr img input link meta param source track wbr"
_VOID = frozenset(_VOIDS.split())
# Start tags that end an element of this name, wherever they stand in it (WHATWG HTML §13.2.6.4).
_HEADINGS = frozenset({"h1", "h2", "h3", "h4", "h5", "h6"})
_CELLS = frozenset({"td", "th", "tr", "tbody", "thead", "tfoot", "caption", "colgroup"})
_BLOCK_NAMES = (
    "address article aside blockquote center dd details dialog dir div dl dt fieldset figcaption figure footer form "
    "header hgroup hr li main menu nav ol p pre search section summary table ul xmp"
)
_BLOCKS = frozenset(_BLOCK_NAMES.split())
_ENDED_BY = (
    {"p": _BLOCKS | _HEADINGS, "li": frozenset({"li"}), "a": frozenset({"a"}), "nobr": frozenset({"nobr"})}
    | {name: frozenset({"dt", "dd"}) for name in ("dt", "dd")}
    | {name: frozenset({"option", "optgroup"}) for name in ("option", "optgroup")}
    | dict.fromkeys(_HEADINGS, _HEADINGS)
    | dict.fromkeys(_CELLS, _CELLS)
    | {"button": frozenset({"button"})}
)


class Hiding(Enum):
    """How a start tag hides: with all that is inside, or by a property that elements inside can set anew."""

    ELEMENT = "element"
    SIZE = "size"
    VISIBILITY = "visibility"


def is_hint_in(lower: str) -> bool:
    """Say whether anything in a page (or in a tag), given in lower case, could hide an element; mostly nothing does."""
    return (
        "hid" in lower
        or ("display" in lower and "none" in lower)
        or "size:0" in lower
        or "size: 0" in lower
        or "size:." in lower
        or "opacity" in lower
    )


def hiding(attributes: str) -> Hiding | None:
    """Say how the attributes of a start tag hide its element, or None.

    Of several declarations the last one counts. A tag that closes itself (`/>`, in SVG) hides nothing.
    """
    if attributes.endswith("/") or not is_hint_in(attributes.lower()):
        return None
    if "idden" in attributes and _HIDDEN_ATTRIBUTE.search(_QUOTED.sub('""', attributes)):
        return Hiding.ELEMENT
    style = _declarations(attributes)
    if style.get("display") == "none" or style.get("mso-hide") == "all" or _is_zero(style.get("opacity")):
        return Hiding.ELEMENT
    if style.get("overflow") == "hidden" and _is_zero(style.get("max-height") or style.get("height")):
        return Hiding.ELEMENT
    if style.get("visibility") == "hidden":
        return Hiding.VISIBILITY
    return Hiding.SIZE if _is_zero(style.get("font-size")) else None


def _declarations(attributes: str) -> dict[str, str]:
    style = _STYLE.search(attributes)
    declared: dict[str, str] = {}
    for declaration in (style[1] or style[2] or style[3] or "").lower().split(";") if style else ():
        name, _, value = declaration.partition(":")
        declared[name.strip()] = value.replace("!important", "").strip()
    return declared


def _is_zero(value: str | None) -> bool:
    return bool(value) and _ZERO.fullmatch(value or "") is not None


class Hider:
    """Follows the tags of one page and says whether the reader sees what stands here."""

    def __init__(self) -> None:
        # The hidden element and what is open inside it.
        self._open: list[str] = []
        self._how: Hiding | None = None

    def tag(self, name: str, attributes: str) -> bool:
        """Say whether the reader sees what follows a tag.

        Args:
            name: in lower case; that of an end tag begins with `/`.
            attributes: as written. Tags without any need not be told while all is shown.
        """
        if name.startswith("/"):
            if self._open:
                self._end(name[1:])
        elif self._open:
            if name in _ENDED_BY.get(self._open[0], ()) or self._is_set_anew(name, attributes):
                self._open.clear()
                return self.tag(name, attributes)
            if name not in _VOID:
                self._open.append(name)
        elif ("tyle" in attributes or "idden" in attributes) and name not in _VOID:
            self._how = hiding(attributes)
            if self._how is not None:
                self._open.append(name)
        return not self._open

    def _is_set_anew(self, name: str, attributes: str) -> bool:
        if self._how is Hiding.SIZE:
            size = _declarations(attributes).get("font-size") or ("set" if name == "font" else None)
            return size is not None and not _is_zero(size) and not _RELATIVE.fullmatch(size)
        return self._how is Hiding.VISIBILITY and _declarations(attributes).get("visibility") == "visible"

    def _end(self, name: str) -> None:
        if name in self._open[-_LOOK_BACK:]:
            while self._open.pop() != name:
                pass
        elif name not in _VOID:
            # It closes something outside, and with it what is open here; or nothing, then text is shown too early.
            self._open.clear()
