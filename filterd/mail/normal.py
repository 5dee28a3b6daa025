"""Normal form: the spelling in which a text and a term list meet, so that a disguise of letters hides no word.

`plain` folds what is the same word to every reader: NFKC (full-width, ligatures), letter case, accents and other marks,
invisible characters, one form of Chinese characters; symbols, emoji and spacing put between Chinese characters go.
`unmasked` gives the lines in which a known Latin word hides behind a look: foreign letters (mail/confusables), digits
and signs for letters (`cas1no`), blanks between its letters (`c a s i n o`).
Pure and linear; only good for comparing with what went through the same function. Lines stay apart.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Mapping

import re2

from filterd.mail.confusables import skeleton
from filterd.mail.prose import fold

# Some 15 printed pages of Chinese. Longer mail is cut in the middle, like prose.
LIMIT = 40_000
_HEAD_SHARE = 0.75
# Raw characters looked at: blanks and invisible characters are not yet gone.
_MOST_RAW = 100_000
# Ordinary text of that length has fewer; the rest is read as one line.
_MOST_LINES = 8_000

_HAN = "\u3007\u3400-\u4dbf\u4e00-\u9fff\U00020000-\U0003ffff"
# These end a thought: what stands on both sides of one is not one word. Brackets and quotation marks do the same.
_BARRIERS = r"\s。！？；：，、,!?;:()（）\[\]【】{}《》<>〈〉「」『』“”‘’\"'"
_MARKS = re.compile(
    "[\u0300-\u036f\u0483-\u0489\u0591-\u05c7\u0610-\u061a\u064b-\u065f\u1ab0-\u1aff\u1dc0-\u1dff\u20d0-\u20ff\ufe20-\ufe2f]+"
)
# Between two Chinese characters: blanks and anything that is neither a word nor a barrier.
_BETWEEN = re.compile(rf"(?<=[{_HAN}])(?>(?:[^\w{_BARRIERS}]|[ _])+)(?=[{_HAN}])")
# A blank beside a Chinese character that stands alone.
_ALONE = re.compile(rf"(?<=[{_HAN}])(?<![{_HAN}][{_HAN}]) (?=[{_HAN}])|(?<=[{_HAN}]) (?=[{_HAN}](?![{_HAN}]))")
_BREAKS = re.compile(r"[\r\n\v\f\x1c-\x1e\x85\u2028\u2029]+")


def _bare_letters() -> dict[int, str]:
    """Say which letters have an accent that can go."""
    table: dict[int, str] = {}
    for number in (*range(0xC0, 0x250), *range(0x370, 0x530), *range(0x1E00, 0x2000)):
        first = unicodedata.normalize("NFD", chr(number))[0]
        if first != chr(number):
            table[number] = first
    return table


_BARE = _bare_letters()


class Folding:
    """The way to the normal form.

    Args:
        simplified: Traditional Chinese characters (code points) and their simplified forms.
    """

    def __init__(self, simplified: Mapping[int, str]):
        self._table = _BARE | dict(simplified)

    def plain(self, text: str, limit: int = LIMIT) -> str:
        """Give the plain form: lines without blanks around them, none empty; at most `limit` characters."""
        lines: list[str] = []
        length = 0
        for line in _BREAKS.split(_cut(text, _MOST_RAW), maxsplit=_MOST_LINES):
            if folded := self._line(line):
                lines.append(folded)
                length += len(folded) + 1
        return _cut("\n".join(lines), limit)

    def _line(self, line: str) -> str:
        if line.isascii():
            # Most lines are printable: nothing to fold but blanks.
            return (" ".join(line.split()) if line.isprintable() else fold(line, _MOST_RAW)).lower()
        text = fold(line, _MOST_RAW).casefold()
        text = _MARKS.sub("", text.translate(self._table))
        text = _BETWEEN.sub(lambda found: " " if found[0].isspace() else "", text)
        return _ALONE.sub("", text)


# --- Disguise ---------------------------------------------------------------------------------------------------------

# Letters of scripts in which there are look-alikes of Latin ones, phonetic and styled letters.
_FOREIGN = (
    "\u0110-\u0111\u0131\u0141-\u0142\u0180-\u02af\u0370-\u058f\u10a0-\u10ff\u13a0-\u13ff\u1400-\u167f\u1d00-\u1dbf"
    "\u2c60-\u2dff\ua4d0-\ua4ff\ua640-\ua69f\ua720-\ua7ff\uab30-\uabbf\U00010280-\U0001056f\U000118a0-\U000118ff"
)
_SIGNS = "013457@$!|"
_LETTERS = str.maketrans(_SIGNS, "oleastasll")
# Only whether a closer look is worth its time, so re2's boundaries of ASCII words will do.
_HINT = re2.compile(rf"[{_FOREIGN}]|[a-z][{_SIGNS}]|[{_SIGNS}][a-z]|\b[a-z](?:[ ._*-][a-z]\b){{3}}")
_SPELLED = r"(?<![^\W_])[a-z](?>(?:[ ._*-][a-z](?![^\W_])){3,})"
# A word, perhaps with signs in it, which neither begins nor ends with one that is punctuation there.
_WORD = rf"(?:[^\W_{_HAN}]++|(?<![@$])[@$]++[^\W_{_HAN}]++)(?>(?:[@$!|]++[^\W_{_HAN}]++)*)\$*+"
_TOKEN = re.compile(rf"{_SPELLED}|{_WORD}")
_JOINTS = re.compile(r"[ ._*-]")
# Shorter words with digits are names of models and sizes, and so are those with fewer letters than signs.
_MIN_DISGUISED = 4
_MOST_WORD_CHARS = 64


def known_words(plain_terms: Iterable[str]) -> dict[str, tuple[str, ...]]:
    """Give the Latin words of terms in plain form by their look, for `unmasked`."""
    words: dict[str, dict[str, None]] = {}
    for term in plain_terms:
        for word in _LATIN_WORD.findall(term):
            words.setdefault(skeleton(word), {})[word] = None
    return {look: tuple(same) for look, same in words.items()}


_LATIN_WORD = re.compile(r"[a-z]{4,64}")


def unmasked(plain: str, words: Mapping[str, tuple[str, ...]]) -> str:
    """Give those lines of a plain text in which a disguised word was recognised, with the word in its place.

    Args:
        words: of `known_words`.
    """
    if not words:
        return ""
    lines = []
    octets = plain.encode("utf-8", "replace")
    at = 0
    # Over the whole text, since most lines have no hint, and a search of their own each would be what takes the time.
    while hint := _HINT.search(octets, at):
        start, end = octets.rfind(b"\n", 0, hint.end()) + 1, octets.find(b"\n", hint.end())
        line = octets[start : len(octets) if end < 0 else end].decode("utf-8")
        seen = _TOKEN.sub(lambda found: _recognised(found[0], words), line)
        if seen != line:
            lines.append(seen)
        if end < 0:
            break
        at = end + 1
    return "\n".join(lines)


def _recognised(token: str, words: Mapping[str, tuple[str, ...]]) -> str:
    """Give the word that a token is the disguise of, else the token."""
    if token.isalpha() and token.isascii():
        return token
    bare = _JOINTS.sub("", token)
    letters = sum(map(str.isalpha, bare))
    if not _MIN_DISGUISED <= len(bare) <= _MOST_WORD_CHARS or 2 * letters < len(bare):
        return token
    # Letters fold in pairs too (rn and m); a disguise goes letter by letter.
    return next((word for word in words.get(skeleton(bare.translate(_LETTERS)), ()) if len(word) == len(bare)), token)


def _cut(text: str, limit: int) -> str:
    if len(text) <= limit:
        return text
    head = int(limit * _HEAD_SHARE)
    return f"{text[:head]}\n{text[len(text) - (limit - head - 1) :]}"
