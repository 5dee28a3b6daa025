"""Gates: from which probability on may a score count, for which texts?  STANDING 5.7-24.

A bucket of language and length gets a threshold for mode A and one for mode B from the out-of-fold scores of clean
train texts and from those of corpora left out as a whole, and keeps it when the dev split bears it out. What cannot be
shown is not claimed: the check is advisory there.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from filterd.checks.buckets import LANGUAGES, LENGTHS
from filterd.learning.figures import share, threshold_at


@dataclass(frozen=True, slots=True, kw_only=True)
class Mode:
    """What a gate of a mode must show.

    Args:
        key: in the manifest.
        rate: the highest clean-source false-positive rate (STANDING 5.7-24).
        min_texts: clean train texts in the bucket; fewer could not show the rate even without an error (rule of three).
        source_min_texts: every clean source with so many texts in the bucket keeps the rate by itself.
        dev_min_texts: clean dev texts in the bucket.
        mail_min_texts: mails among the clean train texts of the bucket. They keep the rate by themselves: what is only
            shown on posts and short messages is not shown for mail.
    """

    key: str
    rate: float
    min_texts: int
    source_min_texts: int
    dev_min_texts: int
    mail_min_texts: int


MODES = (
    Mode(key="a", rate=0.001, min_texts=3_000, source_min_texts=1_000, dev_min_texts=300, mail_min_texts=1_000),
    Mode(key="b", rate=0.01, min_texts=300, source_min_texts=100, dev_min_texts=100, mail_min_texts=100),
)

# All clean train texts of a bucket together keep half the rate: other mail is never quite like the known.
POOLED_SHARE = 0.5

# Corpora scored by models that saw nothing of them: mail from elsewhere, seen by a model that knows less than the
# shipped one. Together they keep twice the rate. Letters are not among them: they are there to fill a hole.
LEFT_OUT_FACTOR = 2.0

# Below it a model is not sure, however few texts that are not the label come near: where there are hardly any of the
# label either, as in long Chinese mail, the rate alone would allow anything.
LOWEST = 0.9

# A text in a language nobody trained on is never gated, however many of them a corpus may have.
GATED = tuple((language, length) for language in LANGUAGES if language != "other" for length in LENGTHS)


@dataclass(frozen=True, slots=True, kw_only=True)
class Scored:
    """Texts with their probabilities, row by row."""

    probability: NDArray[np.float64]
    is_bad: NDArray[np.bool_]
    sources: NDArray[np.str_]
    bucket: NDArray[np.str_]
    is_mail: NDArray[np.bool_]

    def rows(self, chosen: NDArray[np.bool_]) -> Scored:
        """Give some of the texts."""
        return Scored(
            probability=self.probability[chosen],
            is_bad=self.is_bad[chosen],
            sources=self.sources[chosen],
            bucket=self.bucket[chosen],
            is_mail=self.is_mail[chosen],
        )

    def part(self, bucket: str) -> Scored:
        """Give the texts of a bucket."""
        return self.rows(self.bucket == bucket)


def choose(
    train: Scored, dev: Scored, left_out: Scored | None = None, *, languages: Collection[str] = LANGUAGES
) -> list[dict[str, Any]]:
    """Make the gates of a label, with their figures.

    "Clean" is whatever is not the label, so that one that takes all advertising for gambling has no gate either.

    Args:
        languages: those that the label has shown itself in (evidence); there are no gates in others.
        train: out-of-fold.
        dev: by the finished model.
        left_out: the train texts, each by a model that knows nothing of its corpus; None when that was not tried.

    Returns:
        One row for each bucket of GATED: language, length, a, b (threshold or None), and `figures` for each mode.
    """
    rows = []
    for language, length in GATED:
        name = f"{language}/{length}"
        row: dict[str, Any] = {"language": language, "length": length}
        figures = {}
        for mode in MODES:
            if language not in languages:
                row[mode.key], figures[mode.key] = None, {"rate": mode.rate, "refused": "label not shown"}
                continue
            elsewhere = None if left_out is None else left_out.part(name)
            row[mode.key], figures[mode.key] = _gate(mode, train.part(name), dev.part(name), elsewhere)
        if row["a"] is not None and row["b"] is not None:
            # Mode B asks it of smaller sources too; what passes A must pass B.
            row["a"] = max(row["a"], row["b"])
        rows.append({**row, "figures": figures})
    return rows


def _gate(mode: Mode, train: Scored, dev: Scored, left_out: Scored | None) -> tuple[float | None, dict[str, Any]]:
    clean = ~train.is_bad
    figures: dict[str, Any] = {"rate": mode.rate, "train_clean": int(clean.sum())}
    if clean.sum() < mode.min_texts:
        return None, {**figures, "refused": "too few clean train texts"}
    mail = clean & train.is_mail
    figures["train_clean_mail"] = int(mail.sum())
    if mail.sum() < mode.mail_min_texts:
        return None, {**figures, "refused": "too few clean mails"}
    limits = [
        threshold_at(train.probability[clean], mode.rate * POOLED_SHARE),
        threshold_at(train.probability[mail], mode.rate),
    ]
    for source in np.unique(train.sources[clean]):
        texts = train.probability[clean & (train.sources == source)]
        if texts.size >= mode.source_min_texts:
            limits.append(threshold_at(texts, mode.rate))
    if left_out is not None:
        left_out = left_out.rows(~np.char.startswith(left_out.sources, "letters_"))
        limits.append(threshold_at(left_out.probability[~left_out.is_bad], mode.rate * LEFT_OUT_FACTOR))
    limit = max(LOWEST, *limits)
    figures["threshold"] = limit
    figures["train_false"] = _reached(train, limit, is_bad=False)
    figures["mail_false"] = _reached(train.rows(train.is_mail), limit, is_bad=False)
    if left_out is not None:
        figures["left_out_false"] = _reached(left_out, limit, is_bad=False)
    figures["train_caught"] = _reached(train, limit, is_bad=True)
    figures["dev_false"] = _reached(dev, limit, is_bad=False)
    figures["dev_caught"] = _reached(dev, limit, is_bad=True)
    if limit >= 1:
        return None, {**figures, "refused": "no threshold keeps the rate"}
    if figures["dev_false"]["of"] < mode.dev_min_texts:
        return None, {**figures, "refused": "too few clean dev texts"}
    if figures["dev_false"]["rate"] > mode.rate:
        return None, {**figures, "refused": "dev misses the rate"}
    return limit, figures


def _reached(scored: Scored, limit: float, *, is_bad: bool) -> dict[str, Any]:
    chosen = scored.probability[scored.is_bad == is_bad]
    return share(int((chosen >= limit).sum()), int(chosen.size))
