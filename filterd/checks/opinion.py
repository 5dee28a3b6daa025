"""One reading of a mail for every check that asks the same model: what language is it, how probable is each label?

Text, words and features are made once for a mail, and all labels are scored in one go; checks/spam and
checks/prohibited share the outcome through one `Reader`. `filterd scan-text` and `filterd evaluate` ask the same
function, so that they say what service would say.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from filterd.checks import buckets
from filterd.checks.features import FEATURES_VERSION, features, read, text_of, windows
from filterd.checks.spec import skipped
from filterd.checks.textmodel import TextModel
from filterd.errors import ModelError
from filterd.model.message import Message
from filterd.model.verdict import Finding, Outcome, Verdict

SIGNAL = "content"
NO_MODEL, NO_TEXT, LANGUAGE = "no_model", "no_text", "language"

# Of the model's digest, enough to find it again.
_DIGEST_CHARS = 16
# Mails on their way through the checks at the same time; past that the oldest is read again.
_SLOTS = 4


class Opinion(NamedTuple):
    """What a model makes of a text. `chances` is empty when there are too few words to judge."""

    language: str
    length: str
    chances: Mapping[str, float]


class Reader:
    """A model, ready to be asked. One for all checks of a process.

    Raises:
        ModelError: the model was trained on other features.
    """

    def __init__(self, model: TextModel):
        if model.features_version != FEATURES_VERSION:
            raise ModelError(
                f"model {model.name}-{model.version}: trained on features version {model.features_version}, "
                f"this filterd makes version {FEATURES_VERSION}"
            )
        self.model = model
        self._version = f"{model.name}-{model.version} {model.digest[:_DIGEST_CHARS]}"
        heads = tuple(model.heads.values())
        # float32[2**bits, labels]: the weights of one place lie together, and one look fetches them for all labels.
        self._weights = np.zeros((1 << model.bits, len(heads)), np.float32)
        for column, head in enumerate(heads):
            self._weights[:, column] = head.weights
        self._numbers = np.array([(h.bias, h.slope, h.offset) for h in heads], np.float64).reshape(-1, 3).T
        self._labels = tuple(model.heads)
        self._takers = 0
        self._kept: tuple[_Kept, ...] = ()

    def version(self, check_version: str) -> str:
        """Say the version of a check that asks this model."""
        return f"{check_version} {self._version}"

    def opinion(self, text: str, *, min_words: int = buckets.MIN_WORDS) -> Opinion:
        """Judge a text (as `features.text_of` gives it). Of several windows the highest probability counts.

        Args:
            min_words: with fewer there is no opinion; 0 to hear what the model would say all the same.
        """
        parts = windows(text)
        first = read(parts[0])
        length = buckets.length(text)
        if first.words.size < min_words:
            return Opinion("other", length, {})
        bias, slope, offset = self._numbers
        best = None
        for number, part in enumerate(parts):
            found = features(read(part) if number else first, self.model.bits)
            scores = found.values.astype(np.float64) @ self._weights.take(found.indices, axis=0)
            exponents = slope * (scores + bias) + offset
            best = exponents if best is None else np.maximum(best, exponents)
        # Beyond 500 exp leaves the floats; the probability is 0 or 1 there anyway.
        numbers = np.clip(best, -500.0, 500.0).tolist() if best is not None else []
        chances = (1.0 / (1.0 + math.exp(-number)) for number in numbers)
        return Opinion(buckets.language(first), length, dict(zip(self._labels, chances, strict=True)))

    def join(self) -> None:
        """Count one more check that will ask about every mail."""
        self._takers += 1

    def of(self, message: Message) -> Opinion:
        """Judge a mail, or say again what was said of it. A mail is let go when every check has asked.

        Threads may ask at once (checks/spec.in_place): at worst a mail is read twice, since what is kept is replaced
        as a whole and never changed.
        """
        for kept in self._kept:
            if kept.message is message:
                kept.asked += 1
                if kept.asked >= self._takers:
                    self._kept = tuple(k for k in self._kept if k is not kept)
                return kept.opinion
        opinion = self.opinion(text_of(message))
        if self._takers > 1:
            self._kept = (_Kept(message, opinion), *self._kept[: _SLOTS - 1])
        return opinion


class _Kept:
    __slots__ = ("asked", "message", "opinion")

    def __init__(self, message: Message, opinion: Opinion):
        self.message, self.opinion, self.asked = message, opinion, 1


def answer(check: str, version: str, label: str, opinion: Opinion, model: TextModel, *, is_strict: bool) -> Verdict:
    """Make a check's verdict about one label out of an opinion.

    Args:
        is_strict: say nothing (`no_model`) in languages the label was not shown for; else a text in a language nobody
            trained on may still be advisory, and is `skipped` with `language` when it is not.

    Returns:
        `found` with one finding whose confidence is the probability and whose `why` has the model's digest, the bucket,
        the threshold passed and the gate ("A", "B" or "none"); else `clean` or `skipped`.
    """
    head = model.heads.get(label)
    if head is None:
        return skipped(check, version, NO_MODEL)
    if not opinion.chances:
        return skipped(check, version, NO_TEXT)
    if is_strict and opinion.language not in head.languages:
        return skipped(check, version, NO_MODEL)
    chance = opinion.chances[label]
    scores = ((label, chance),)
    gate = head.gates.get((opinion.language, opinion.length))
    passed: tuple[str, str, float] | None = None
    if gate is not None and gate.a is not None and chance >= gate.a:
        passed = ("model", "A", gate.a)
    elif gate is not None and gate.b is not None and chance >= gate.b:
        passed = ("model", "B", gate.b)
    elif chance >= head.advisory:
        passed = ("advisory", "none", head.advisory)
    if passed is None:
        is_known = opinion.language != "other"
        outcome = Outcome.CLEAN if is_known else Outcome.SKIPPED
        reason = None if is_known else LANGUAGE
        return Verdict(check=check, version=version, outcome=outcome, scores=scores, reason=reason)
    state, name, threshold = passed
    why = (
        ("model", f"{model.name}-{model.version}"),
        ("digest", model.digest[:_DIGEST_CHARS]),
        ("language", opinion.language),
        ("length", opinion.length),
        ("threshold", f"{threshold:.6f}"),
        ("gate", name),
    )
    finding = Finding(code=f"content.{label}.{state}", confidence=chance, why=why, signal=SIGNAL)
    return Verdict(check=check, version=version, outcome=Outcome.FOUND, findings=(finding,), scores=scores)
