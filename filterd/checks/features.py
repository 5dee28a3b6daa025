"""What a learned text model sees of a mail: a sparse unit vector of hashed words, the same in training and in serving.

Text only: subject and prose; never header text, hosts, addresses, dates or recipients. The reading folds what tells
corpora apart but not spam from mail: letter case, punctuation, white space, accents, traditional and simplified
Chinese, the digits of numbers. URLs and mail addresses are taken out. Chinese (and kana) characters are words of their
own, so words and pairs of words cover English, and runs of one to three characters Chinese, without segmentation.

numpy only, no Python loop over the text. Deterministic across platforms; whoever changes an index or a value of any
text raises FEATURES_VERSION, and models trained on the older ones are no longer loaded.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from filterd.checks.hant import HANS, HANT
from filterd.mail.prose import fold, prose
from filterd.model.message import Message

FEATURES_VERSION = 2

# One window. Measured by leave-one-corpus-out: longer ones cost time and lose a little (quoted threads, disclaimers).
TEXT_CHARS = 1_500
# Of the first window, its share of the beginning; the rest is the end of the mail.
_HEAD_CHARS, _TAIL_CHARS = 1_125, 374
# A mail is read through at most so many windows. With one, spam in the middle of a padded mail was never seen; with
# four, a fifth to four fifths of it is, for one or two hundredths of what gates catch in long mail (train split).
WINDOWS = 4
READ_CHARS = _HEAD_CHARS + _TAIL_CHARS + (WINDOWS - 1) * TEXT_CHARS
WORD_GRAMS = 2
CJK_GRAMS = 3
# Longer words differ in their first letters only.
_WORD_CHARS = 32

# What the folding makes of a character, besides the letter itself.
_SPACE, _DIGIT, _DROP = 0, 1, 2
# Signs that are words. Private-use code points, which no folded character can be.
_MONEY, _PERCENT = 0xE000, 0xE001

_U64 = np.uint64
_AVALANCHE = (_U64(0xFF51AFD7ED558CCD), _U64(0xC4CEB9FE1A85EC53))
_HALF = _U64(32)


class Reading(NamedTuple):
    """A text as words. `words` are 64-bit hashes in order; `is_cjk` marks the words that are one character.

    `scripts` counts the words by the script of their first letter: Han, kana, Latin, other.
    """

    words: NDArray[np.uint64]
    is_cjk: NDArray[np.bool_]
    scripts: tuple[int, int, int, int]


class Features(NamedTuple):
    """A sparse vector of Euclidean length 1, or of nothing. `indices` ascend without duplicates."""

    indices: NDArray[np.uint32]
    values: NDArray[np.float32]


def text_of(message: Message) -> str:
    """Give the text of a mail that the models are trained on and asked about."""
    return prose(message, READ_CHARS)


def plain_text(text: str) -> str:
    """Give a text that never was a mail the form of a mail's text: that of a mail with this text and no subject."""
    return fold(text, READ_CHARS)


def windows(text: str) -> tuple[str, ...]:
    """Cut a text into what is scored separately, at most `WINDOWS` pieces of `TEXT_CHARS`; the highest score counts.

    The first has beginning and end, and is all of a short text. The others cover what lies between; the last of them
    reaches back as far as it must to be a whole one, since few words alone say anything.
    """
    if len(text) <= TEXT_CHARS:
        return (text,)
    text = text[:READ_CHARS]
    end = len(text) - _TAIL_CHARS
    starts = range(_HEAD_CHARS, end, TEXT_CHARS)
    between = (min(start, max(0, end - TEXT_CHARS)) for start in starts)
    return (f"{text[:_HEAD_CHARS]} {text[end:]}", *(text[start : start + TEXT_CHARS] for start in between))


def read(text: str) -> Reading:
    """Fold a text and cut it into words. Never raises, lone surrogates included."""
    text = text[:TEXT_CHARS]
    points = np.frombuffer(text.encode("utf-32-le", "surrogatepass"), dtype="<u4")
    points = np.minimum(points, _FOLD.size - 1)
    _blank_addresses(text, points)
    folded = _FOLD[points]
    # Runs of blanks are one blank, runs of digits one digit: sizes of numbers and layout mean nothing.
    keep = folded != _DROP
    keep[1:] &= (folded[1:] != folded[:-1]) | (folded[1:] > _DIGIT)
    folded = folded[keep]
    is_letter = folded != _SPACE
    stands_alone = _STANDS_ALONE[folded]
    starts = is_letter.copy()
    starts[1:] &= ~is_letter[:-1] | stands_alone[1:] | stands_alone[:-1]
    first = starts.nonzero()[0]
    if not first.size:
        return Reading(np.zeros(0, _U64), np.zeros(0, np.bool_), (0, 0, 0, 0))
    # A word is the sum of its letters, each times an odd number that belongs to its place. A blank counts nothing.
    folded, first = folded[first[0] :], first - first[0]
    sizes = np.concatenate((first[1:], [folded.size])) - first
    place = np.arange(folded.size) - first.repeat(sizes)
    words = np.add.reduceat(folded * _PLACES[np.minimum(place, _WORD_CHARS - 1)], first)
    words = (words ^ (words >> _HALF)) * _AVALANCHE[0]
    _, han, kana, latin, other = np.bincount(_SCRIPT[folded[first]], minlength=5).tolist()
    return Reading(words, _STANDS_ALONE[folded[first]], (han, kana, latin, other))


def features(reading: Reading, bits: int) -> Features:
    """Hash words and their n-grams into 2**bits places; values 1 + ln(count), scaled to length 1."""
    words, is_cjk = reading.words, reading.is_cjk
    if not words.size:
        return Features(np.zeros(0, np.uint32), np.zeros(0, np.float32))
    grams = [words]
    for n in range(2, 1 + max(WORD_GRAMS, CJK_GRAMS)):
        count = words.size - n + 1
        if count <= 0:
            break
        gram = words[:count] * _ORDERS[0]
        for k in range(1, n):
            gram = gram + words[k : count + k] * _ORDERS[k]
        if n > WORD_GRAMS:
            gram = gram[is_cjk[:count] & is_cjk[n - 1 :]]
        grams.append(gram)
    hashes = np.concatenate(grams)
    hashes = (hashes ^ (hashes >> _HALF)) * _AVALANCHE[1]
    places = (hashes >> _U64(64 - bits)).astype(np.uint32)
    places.sort()
    changes = (places[1:] != places[:-1]).nonzero()[0] + 1
    edges = np.concatenate((_ZERO, changes, [places.size]))
    values = _LOG[np.minimum(edges[1:] - edges[:-1], _LOG.size - 1)]
    return Features(places[edges[:-1]], values / np.sqrt(values @ values))


def word_hashes(words: str) -> NDArray[np.uint64]:
    """Give the hashes of space-separated words, sorted, for look-ups in `Reading.words`."""
    return np.unique(read(words).words)


def _blank_addresses(text: str, points: NDArray[np.uint32]) -> None:
    """Blank, in place, the runs of address characters that hold `@`, `://` or `www.`."""
    marks = [at for sign in _MARKS if sign in text for at in _places_of(sign, text)]
    if not marks:
        return
    breaks = (~_ADDRESS[np.minimum(points, _ADDRESS.size - 1)]).nonzero()[0]
    after = breaks.searchsorted(marks)
    edges = np.concatenate(([-1], breaks, [points.size]))
    for start, end in zip(edges[after].tolist(), edges[after + 1].tolist(), strict=True):
        points[start + 1 : end] = _BLANK


def _places_of(sign: str, text: str) -> Iterator[int]:
    at = text.find(sign)
    while at >= 0:
        yield at
        at = text.find(sign, at + 1)


def _fold_table() -> NDArray[np.uint16]:
    """What each code point up to U+FFFF becomes; the last entry stands for all above, which become blanks."""
    table = np.zeros(0x1_0001, np.uint16)
    for point in (*range(0x3400), *range(0xA000, 0xAC00), *range(0xD7B0, 0xD800), *range(0xF900, 0xFFF0)):
        # The prose is NFKC already. Folding decomposes: an accent is a letter's ornament, and spammers' play.
        base = unicodedata.normalize("NFKD", chr(point))[:1].lower()[:1]
        match unicodedata.category(base)[0] if ord(base) < 0x1_0000 else "Z":
            case "L":
                table[point] = ord(_LOOKALIKE.get(base, base))
            case "N":
                table[point] = _DIGIT
            case "M":
                table[point] = _DROP
            case _:
                table[point] = _DROP if unicodedata.category(chr(point)) == "Cf" else _SPACE
    for low, high in ((0x3400, 0xA000), (0xAC00, 0xD7B0)):
        table[low:high] = np.arange(low, high, dtype=np.uint16)
    for hant, hans in zip(HANT, HANS, strict=True):
        table[ord(hant)] = ord(hans)
    for sign in "$¢£¤¥₩€₽￥＄￡":
        table[ord(sign)] = _MONEY
    for sign in "%‰％":
        table[ord(sign)] = _PERCENT
    return table


def _script_table() -> NDArray[np.uint8]:
    """Script of a folded letter: 1 Han, 2 kana, 3 Latin, 4 any other letter, 0 none."""
    table = np.zeros(0x1_0001, np.uint8)
    table[_DROP + 1 :] = 4
    table[[_MONEY, _PERCENT]] = 0
    table[ord("a") : ord("z") + 1] = 3
    table[0xC0:0x250] = 3
    table[0x3040:0x3100] = 2
    table[0x3400:0xA000] = 1
    return table


# Cyrillic and Greek letters that look like Latin ones, as used to dodge filters.
_LOOKALIKE = dict(zip("аеорсхуіјѕοανικ", "aeopcxyijsoavik", strict=True))

_FOLD = _fold_table()
_SCRIPT = _script_table()
_STANDS_ALONE = (_SCRIPT == 1) | (_SCRIPT == 2)
_STANDS_ALONE[[_MONEY, _PERCENT]] = True
_MARKS = ("@", "://", "www.")
_BLANK = 0x20
_ADDRESS = np.zeros(0x80, np.bool_)
_ADDRESS[[p for p in range(0x21, 0x7F) if chr(p) not in "<>\"'()[]{},;|*"]] = True

_ODD = np.random.Generator(np.random.PCG64(20_261_122)).integers(0, 1 << 63, 40, dtype=np.uint64) * _U64(2) + _U64(1)
_PLACES, _ORDERS = _ODD[:_WORD_CHARS], _ODD[_WORD_CHARS:]
_ZERO = np.zeros(1, np.int64)
_LOG = np.concatenate((_ZERO, 1 + np.log(np.arange(1, 4 * TEXT_CHARS)))).astype(np.float32)
