"""Which kind of text is this? The two axes of a text model's gates are language and length.  STANDING 5.7-24.

Language is a histogram of scripts, and for Latin script a count of the commonest words of other languages. It only
decides which gate applies; it never raises a score.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from filterd.checks.features import Reading, word_hashes

LANGUAGES = ("zh", "en", "other")
LENGTHS = ("short", "long")
SHORT_CHARS = 200

# A text with fewer words (Chinese: characters) says too little to judge: one word never decides.
MIN_WORDS = 6

_HAN_SHARE = 0.3
_KANA_PER_HAN = 0.2
_LATIN_SHARE = 0.7

_ENGLISH = word_hashes(
    "the and to of is in for you your with this that are on be we have from it not will can our or as if by at was"
)
# German, French, Spanish, Portuguese, Italian, Dutch, Polish, Scandinavian, Turkish, Indonesian, Vietnamese: common
# words that English does not have. Accents are folded, as in the reading.
_FOREIGN = word_hashes(
    "der das und ist nicht mit ihre fur auf wir sie ein eine werden bei zu les des est vous votre pour dans une "
    "avec sur nous du qui el los las que por su para del se usted nao voce uma seu sua em os dos da il di che "
    "della sono gli het een van uw voor niet je op bij ook wij nie jest na och att det som inte din ditt og til "
    "af ikke ve bir bu icin ile dan yang untuk anda dengan ini cua khong nguoi"
)


def language(reading: Reading) -> str:
    """Say "zh", "en" or "other"; "other" also for a text without words."""
    han, kana, latin, other = reading.scripts
    total = han + kana + latin + other
    if not total:
        return "other"
    if han >= _HAN_SHARE * total:
        return "zh" if kana <= _KANA_PER_HAN * han else "other"
    if latin < _LATIN_SHARE * total:
        return "other"
    english, foreign = _hits(reading.words, _ENGLISH), _hits(reading.words, _FOREIGN)
    # A name or a phrase of two words is no language.
    return "other" if foreign > max(2, english) else "en"


def _hits(words: NDArray[np.uint64], known: NDArray[np.uint64]) -> int:
    """Say how many of the words stand in `known`, which ascends; a tenth of the time of numpy.isin at this size."""
    places = known.searchsorted(words)
    places[places == known.size] = 0
    return int(np.count_nonzero(known[places] == words))


def length(text: str) -> str:
    """Say "short" or "long" (200 characters or more)."""
    return "short" if len(text) < SHORT_CHARS else "long"
