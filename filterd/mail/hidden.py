"""Hidden text: which start tags hide their element, and where that element ends. A first form: inline styles only.

Hiding errs towards showing. An element that is never closed, or that a browser would close before its end tag, hides
nothing beyond what surely is inside it: else an unclosed `<p style="display:none">` would hide the mail from us only.
"""

from __future__ import annotations

import re

_STYLE = re.compile(r"""(?i)(?<![\w-])style\s*+=\s*+(?:"([^"]*+)"|'([^']*+)'|([^\s>"'][^\s>]*+))""")
_HIDDEN_ATTRIBUTE = re.compile(r"(?i)(?<![^\s\"'/])hidden(?![^\s/=])")
_QUOTED = re.compile(r"\"[^\"]*+\"|'[^']*+'")
_ZERO = re.compile(r"(?=[.0])0*+(?:\.0*+)?+(?:px|pt|em|rem|ex|%|in|cm|mm)?+")
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


def hides(attributes: str) -> bool:
    """Say whether the attributes of a start tag hide its element.

    Of several declarations the last one counts. A tag that closes itself (`/>`, in SVG) hides nothing.
    """
    if attributes.endswith("/") or not is_hint_in(attributes.lower()):
        return False
    if "idden" in attributes and _HIDDEN_ATTRIBUTE.search(_QUOTED.sub('""', attributes)):
        return True
    style = _STYLE.search(attributes)
    if style is None:
        return False
    declared: dict[str, str] = {}
    for declaration in (style[1] or style[2] or style[3] or "").lower().split(";"):
        name, _, value = declaration.partition(":")
        declared[name.strip()] = value.replace("!important", "").strip()
    if declared.get("display") == "none" or declared.get("visibility") == "hidden" or declared.get("mso-hide") == "all":
        return True
    if _is_zero(declared.get("font-size")) or _is_zero(declared.get("opacity")):
        return True
    return declared.get("overflow") == "hidden" and _is_zero(declared.get("max-height") or declared.get("height"))


def _is_zero(value: str | None) -> bool:
    return bool(value) and _ZERO.fullmatch(value or "") is not None


class Hider:
    """Follows the tags of one page and says whether the reader sees what stands here."""

    def __init__(self) -> None:
        # The hidden element and what is open inside it.
        self._open: list[str] = []

    @property
    def is_hiding(self) -> bool:
        return bool(self._open)

    def tag(self, name: str, *, is_hidden: bool) -> None:
        """Take note of a start tag, or of an end tag: then `name`, in lower case, begins with `/`."""
        if not (self._open or is_hidden):
            return
        if name.startswith("/"):
            self._end(name[1:])
        elif name not in _VOID:
            if self._open and name in _ENDED_BY.get(self._open[0], ()):
                self._open.clear()
            if self._open or is_hidden:
                self._open.append(name)

    def _end(self, name: str) -> None:
        if name in self._open[-_LOOK_BACK:]:
            while self._open.pop() != name:
                pass
        elif name not in _VOID:
            # It closes something outside, and with it what is open here; or nothing, then text is shown too early.
            self._open.clear()
