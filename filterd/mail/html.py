"""HTML to the text a reader sees, and the links behind it. One pass, linear on any input.  WHATWG HTML §13.2.5.

Not a tree: libraries that build one have inputs on which they take minutes (a tag with 100,000 attributes: 123 s for
0.9 MB in resiliparse 2.0.1; `<a><div>` 50,000 times: 4 s; the parser of the standard library: FAULTS F18).
The page is cut into tags and text as a browser's tokenizer does; tags become line ends, blanks or nothing; scripts,
styles, comments and what inline styles hide are left out. On doubt text counts as visible.
"""

from __future__ import annotations

import re
from html import unescape
from typing import NamedTuple

from filterd.mail.hidden import Hider, is_hint_in
from filterd.mail.links import find, host
from filterd.model.message import Anchor

# Beyond these the rest is not read; 200,000 characters are some 80 printed pages.
MAX_TEXT_CHARS = 200_000
MAX_HTML_CHARS = 1_000_000
MAX_LINKS = 1_000
MAX_ANCHORS = 1_000
# Of the words of a link so many pieces and characters are searched for an address.
MAX_ANCHOR_CHARS = 400

# Elements whose content is not text for the reader, up to their end tag whatever stands in it.
_RAW = "script|style|title|iframe|noframes|noembed|template"
# `>` ends a tag outside of quotes, and a quote only means something right after `=`. A tag or a comment that never ends
# swallows the rest, as in a browser. Possessive throughout: linear.
_ATTRIBUTES = r"""(?>(?:[\s/]*+=?+[^\s/>=]++(?>(?:\s*+=\s*+(?:"[^"]*+"|'[^']*+'|(?!["'])[^\s>]*+))?)|[\s/]++|=)*)"""
_COMMENT = r"<!--(?:-?>|(?>(?:[^-]++|-(?!-!?>))*)(?:--!?>|\Z))"
_TAG = rf"<(/?[A-Za-z][^\s/>]*+)({_ATTRIBUTES})(?:>|\Z)"
_OTHER = r"<[!?/][^>]*+(?:>|\Z)"
_HIDING = rf"<(?P<raw>(?i:{_RAW}))(?=[\s/>]){_ATTRIBUTES}>(?>(?:[^<]++|<(?!/(?i:(?P=raw))[\s/>]))*)"
_TOKEN = re.compile(f"{_HIDING}|{_TAG}|{_COMMENT}|{_OTHER}")
# In SVG and MathML scripts and styles are ordinary elements and CDATA is text; there all of it is read.
_FOREIGN_TOKEN = re.compile(rf"(?P<raw>(?!))|<!\[CDATA\[|{_TAG}|{_COMMENT}|{_OTHER}")
_ATTRIBUTE = re.compile(r"""([^\s/>="'][^\s/>=]*+)(?>(?:\s*+=\s*+(?:"([^"]*+)"|'([^']*+)'|([^\s>"'][^\s>]*+)))?)""")

_BREAK = "\v"
_BREAKS = (
    "address article aside blockquote body br center dd details dialog dir div dl dt fieldset figcaption figure footer "
    "form h1 h2 h3 h4 h5 h6 head header hr html li main menu nav ol option p pre section summary table tbody tfoot "
    "thead tr ul"
)
_SPACES = ("td", "th", "button", "select", "input", "textarea", "img")
# What stands in the text for a start or end tag.
_IN_TEXT = {tag: _BREAK for name in _BREAKS.split() for tag in (name, f"/{name}")} | {
    tag: " " for name in _SPACES for tag in (name, f"/{name}")
}
# The attribute worth reading: a link target, or the words in place of a picture.
_WANTED = {
    "a": "href", "area": "href", "base": "href", "button": "formaction", "form": "action", "iframe": "src",
    "img": "alt",
}  # fmt: skip
_ENDS_LINK = frozenset({"a", "/a"})
_SCHEME = re.compile(r"(?i)(?:https?:|ftp:)?[/\\]{2}")
# WHATWG URL: tabs and line ends inside a URL are dropped, controls and blanks around it too.
_DROPPED = str.maketrans("", "", "\t\r\n")
_AROUND = "".join(map(chr, range(33)))
_LEADING_ZEROS = re.compile(r"&#([xX]?)0+(?=[0-9a-fA-F])")
# int() refuses more than 4,300 digits; no character has more than 7.
_LONG_NUMBER = re.compile(r"&#(?:[xX][0-9a-fA-F]{8,}|[0-9]{8,});?")


class Page(NamedTuple):
    """What a page shows: its visible text, its link targets as written, and the links that show an address."""

    text: str
    links: tuple[str, ...]
    anchors: tuple[Anchor, ...]


def to_text(html: str) -> Page:
    """Give the visible text, the link targets (http, https, ftp; without duplicates) and the anchors of a page.

    Lines of the text are the page's blocks; white space is folded.
    """
    html = html[:MAX_HTML_CHARS]
    lower = html.lower()
    is_foreign = "<svg" in lower or "<math" in lower
    tokens = (_FOREIGN_TOKEN if is_foreign else _TOKEN).split(html)
    out, links, anchors = _read(tokens, Hider() if is_hint_in(lower) else None)
    lines = _unescaped("".join(out)).split(_BREAK)
    text = "\n".join(filter(None, (" ".join(line.split()) for line in lines)))[:MAX_TEXT_CHARS]
    return Page(text, tuple(links), anchors)


def _read(tokens: list[str], hider: Hider | None) -> tuple[list[str], dict[str, None], tuple[Anchor, ...]]:
    """Walk over text, tag, text and so on, as `_TOKEN.split` gives them; a comment has no name."""
    out = [tokens[0]]
    links: dict[str, None] = {}
    anchors = _Anchors(out)
    length = len(tokens[0])
    is_shown = True
    in_text, wanted = _IN_TEXT.get, _WANTED.get
    for written, attributes, text in zip(tokens[2::4], tokens[3::4], tokens[4::4], strict=True):
        if written:
            name = written if written.islower() else written.lower()
            if hider and (attributes or not is_shown):
                is_shown = hider.tag(name, attributes)
            if is_shown and (instead := in_text(name)):
                out.append(instead)
            if name in _ENDS_LINK:
                anchors.end()
            if attributes and (attribute := wanted(name)):
                value = _attribute(attribute, attributes)
                if attribute != "alt":
                    target = _keep_link(value, links)
                    if name == "a":
                        anchors.begin(target)
                elif value and is_shown:
                    out.append(f" {value} ")
        if text and is_shown:
            out.append(text)
            length += len(text)
            if length > MAX_TEXT_CHARS:
                break
    anchors.end()
    return out, links, tuple(anchors.found)


def _attribute(wanted: str, attributes: str) -> str:
    return next((a or b or c for name, a, b, c in _ATTRIBUTE.findall(attributes) if name.lower() == wanted), "")


def _keep_link(value: str, links: dict[str, None]) -> str:
    """Keep a link target that is one, and say how it was kept; empty when it is none, or one too many."""
    target = _unescaped(value).translate(_DROPPED).strip(_AROUND)
    if len(links) >= MAX_LINKS or not _SCHEME.match(target):
        return ""
    links[target] = None
    return target


class _Anchors:
    """Finds the links whose words show an address; `out` is the text as it grows."""

    def __init__(self, out: list[str]) -> None:
        self.found: dict[Anchor, None] = {}
        self._out = out
        # The link we are in, and where in `out` its words begin.
        self._target = ""
        self._begin = 0
        self._searches_left = MAX_ANCHORS

    def begin(self, target: str) -> None:
        self._target, self._begin = target, len(self._out)

    def end(self) -> None:
        """End the link we are in: at its end tag, or where the next one begins (WHATWG HTML §13.2.6.4.7)."""
        target, self._target = self._target, ""
        if not target or not self._searches_left:
            return
        words = "".join(self._out[self._begin : self._begin + MAX_ANCHOR_CHARS])[:MAX_ANCHOR_CHARS]
        words = " ".join(_unescaped(words).split())
        if "." not in words:
            return
        self._searches_left -= 1
        if urls := find(words, 1):
            anchor = Anchor(shown=host(urls[0]), target=target, is_whole=len(words) <= len(urls[0]) + 2)
            self.found[anchor] = None


def _unescaped(text: str) -> str:
    if "&" not in text:
        return text
    if "&#" in text:
        text = _LONG_NUMBER.sub("\ufffd", _LEADING_ZEROS.sub(r"&#\1", text))
    return unescape(text)
