"""Prose: the one reading text of a mail that content checks and the learned models see, in training and in serving.

Subject first, then each text on its own line; NFKC, no control and no invisible characters, white space folded; a text
that says the same as an earlier one (the HTML half of an alternative) only once. Deterministic: whoever changes a
character of the outcome raises PROSE_VERSION, and models trained on the older prose are no longer loaded.
"""

from __future__ import annotations

import re
import unicodedata

from filterd.model.message import Message

PROSE_VERSION = 1

# Some eight printed pages. Longer mail is cut in the middle, so that padding at the front does not hide the rest.
LIMIT = 20_000
_HEAD_SHARE = 0.75

# Normalising is quadratic in a run of combining marks; pieces bound the run.
_PIECE_CHARS = 1_024
# Characters that take no room: controls but white space, soft hyphen, joiners, bidi and interlinear controls, Hangul
# and other fillers, variation selectors, tags, noncharacters, surrogates.
_INVISIBLE = re.compile(
    "[\x00-\x08\x0e-\x1b\x7f-\x84\x86-\x9f\xad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u202a-\u202e"
    "\u2060-\u206f\u3164\ud800-\udfff\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufffb\ufffe\uffff\U0001bca0-\U0001bca3"
    "\U0001d173-\U0001d17a\U000e0000-\U000e0fff]+"
)
_ASCII_INVISIBLE = bytes([*range(9), *range(14, 28), 127])
# Four separators are white space to `str` and not to `bytes`.
_ASCII_BLANKS = bytes.maketrans(b"\x1c\x1d\x1e\x1f", b"    ")


def prose(message: Message, limit: int = LIMIT) -> str:
    """Give the reading text of a mail, at most `limit` characters. Lines are the subject and the texts."""
    lines = [fold(message.subject, limit)]
    length = len(lines[0])
    for text in message.texts:
        # The next texts matter for the tail of an over-long mail; beyond twice the limit they are not looked at.
        if length > 2 * limit:
            break
        line = fold(text, limit)
        if line and line not in lines:
            lines.append(line)
            length += len(line)
    return _cut("\n".join(lines).strip(), limit)


def fold(text: str, limit: int = LIMIT) -> str:
    """Normalise one text to a single line of at most `limit` characters."""
    if text.isascii():
        # As octets it takes half the time.
        words = text.encode("ascii").translate(_ASCII_BLANKS, _ASCII_INVISIBLE).split()
        return _cut(b" ".join(words).decode("ascii"), limit)
    # Blanks and invisible characters go first: else padding with them would push the words out.
    short = _cut(" ".join(_INVISIBLE.sub("", text).split()), limit)
    return _cut(" ".join(_INVISIBLE.sub("", _nfkc(short)).split()), limit)


def _cut(text: str, limit: int) -> str:
    if len(text) <= limit:
        return text
    head = int(limit * _HEAD_SHARE)
    return f"{text[:head]} {text[len(text) - (limit - head - 1) :]}" if limit > head + 1 else text[:limit]


def _nfkc(text: str) -> str:
    if len(text) <= _PIECE_CHARS:
        return unicodedata.normalize("NFKC", text)
    pieces = (text[at : at + _PIECE_CHARS] for at in range(0, len(text), _PIECE_CHARS))
    return "".join(unicodedata.normalize("NFKC", piece) for piece in pieces)
