"""Octets to Message: the one reader of mail in this house.  RFC 5322, 2045-2049, 2231; FAULTS 42-47.

Pure; never raises on any octets; linear within the limits. What is wrong becomes a defect (mail/defects), what readers
could see differently is read in every way at hand (mail/tree, mail/second).
The order of the work: header fields, tree of parts, texts of the text parts, links of the texts.
"""

from __future__ import annotations

from filterd.mail import charset, fields, html, links, second
from filterd.mail.defects import AMBIGUOUS, FAILED, is_ambiguous
from filterd.mail.leaf import Leaf
from filterd.mail.limits import DEFAULT, Limits
from filterd.mail.tree import Tree
from filterd.model.message import Anchor, Message, Part

__all__ = ["Limits", "parse"]

# In the charsets of mail; only rare characters and UTF-32 take more.
_MAX_CHARACTER_BYTES = 3
# 400 texts under three charsets each, beside one of 500 kB, took 4 s without it.
_MOST_LOOKS = 4
_HTML_TYPES = frozenset({"text/html", "application/xhtml+xml"})
# What a browser-like client takes for a page when the mail does not say what it is.
_HTML_STARTS = (b"<html", b"<!doctype html", b"<body", b"<head")


def parse(raw: bytes, limits: Limits = DEFAULT) -> Message:
    """Read a mail. `raw` should be canonical (mail/lines); anything else is read as well as can be."""
    try:
        return _parse(raw, limits)
    # The promise to the callers: whatever a mail does to the reader, it is not lost and not clean.
    except Exception:
        part = Part(path="1", content_type="text/plain", disposition=None, filename=None, charset=None, content=raw)
        text = raw[: limits.text_chars].decode("latin-1")
        return Message(
            raw=raw, body_offset=0, fields=(), parts=(part,), texts=(text,), links=(), defects=(FAILED, AMBIGUOUS)
        )


def _parse(raw: bytes, limits: Limits) -> Message:
    data = raw
    tree = Tree(limits)
    if b"\n" not in raw and b"\r" in raw:
        # A mail of the days when CR ended a line: the same offsets.
        data = raw.replace(b"\r", b"\n")
    if not raw.count(b"\n") == raw.count(b"\r\n") == raw.count(b"\r"):
        tree.defects["lines.ends.stray"] = None
    block = fields.split(data, limits=limits)
    leaves = tree.walk(data, block)
    header = raw[: block.body]
    if b"\0" in header:
        tree.defects["header.octet.null"] = None
    if any(blanks for _, _, blanks, _ in block.fields):
        tree.defects["header.name.space"] = None
    if not header.isascii():
        tree.defects["header.octets.eightbit"] = None
    if is_ambiguous(tree.defects):
        tree.defects[AMBIGUOUS] = None
        found = second.other_parts(data, [leaf.part.content for leaf in leaves], limits.parts)
        leaves += [Leaf(part, is_typed=True, is_other=True) for part in found]
    texts, targets, anchors = _texts(leaves, limits, tree.defects)
    return Message(
        raw=raw,
        body_offset=block.body,
        fields=fields.nouns(block),
        parts=tuple(leaf.part for leaf in leaves),
        texts=texts,
        links=targets,
        defects=tuple(tree.defects),
        anchors=anchors,
    )


def _texts(
    leaves: list[Leaf], limits: Limits, defects: dict[str, None]
) -> tuple[tuple[str, ...], tuple[str, ...], tuple[Anchor, ...]]:
    """Read the text parts, and the links in them."""
    texts: dict[str, None] = {}
    targets: dict[str, None] = {}
    anchors: dict[Anchor, None] = {}
    left = limits.text_chars
    # Of another reading it is only worth so much looking whether a text is part of one that is known.
    looks_left = _MOST_LOOKS * limits.text_chars
    for leaf in leaves:
        kind = _kind(leaf)
        if kind is None:
            continue
        if left <= 0:
            defects["text.size.exceeded"] = None
            break
        octets = leaf.part.content
        most = _MAX_CHARACTER_BYTES * (html.MAX_HTML_CHARS if kind == "html" else left)
        if len(octets) > most:
            defects["text.size.exceeded"] = None
            octets = octets[:most]
        text, defect = charset.decode_saying(octets, leaf.part.charset)
        if defect and not leaf.is_other:
            defects[defect] = None
        hrefs: tuple[str, ...] = ()
        found: tuple[Anchor, ...] = ()
        if kind == "html":
            if len(text) > html.MAX_HTML_CHARS:
                defects["text.size.exceeded"] = None
            text, hrefs, found = html.to_text(text)
        if len(text) > left:
            defects["text.size.exceeded"] = None
            text = text[:left]
        left -= len(text)
        if leaf.is_other and looks_left > 0:
            looks_left -= sum(map(len, texts))
            if any(text in known for known in texts):
                continue
        texts[text] = None
        if len(targets) < limits.links:
            targets |= dict.fromkeys((*links.find(text, limits.links), *hrefs))
            anchors |= dict.fromkeys(found)
    return tuple(texts), tuple(targets)[: limits.links], tuple(anchors)[: limits.links]


def _kind(leaf: Leaf) -> str | None:
    """Say how a part is read as text: "html", "plain", or None when it is not text."""
    content_type = leaf.part.content_type
    if content_type in _HTML_TYPES:
        return "html"
    if not content_type.startswith("text/"):
        return None
    if not leaf.is_typed and leaf.part.content[:200].lstrip().lower().startswith(_HTML_STARTS):
        return "html"
    return "plain"
