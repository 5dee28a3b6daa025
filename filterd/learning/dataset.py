"""Dataset: samples as a sparse matrix, with labels, weights and passages. scipy lives here and in fit."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

from filterd.checks import buckets
from filterd.checks.features import features, read, windows
from filterd.learning.recipe import Recipe
from filterd.learning.sample import Sample

# Told the stage, how many steps are done, and how many there are.
Progress = Callable[[str, int, int], None]

# Passages teach short mail; texts shorter than this are short already.
_CROP_MIN_CHARS = 400
_CROP_CHARS = (60, 500)
_STEP = 2_000


def quiet(stage: str, done: int, total: int) -> None:
    """The progress callback of those who do not want to know."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Dataset:
    """Samples, row by row.

    Args:
        x: float32 csr_matrix, one row a sample: its first window (features.windows).
        is_bad: bool[n], for the label it was built or chosen for.
        is_mail: bool[n].
        sources: str[n].
        bucket: str[n], "language/length".
        passages: csr_matrix, one row for each long sample; `passage_of` has its row in `x`.
        more: csr_matrix of the further windows of long samples; `more_of` has their row in `x`.
    """

    samples: Sequence[Sample]
    x: Any
    is_bad: NDArray[np.bool_]
    sources: NDArray[np.str_]
    bucket: NDArray[np.str_]
    passages: Any
    passage_of: NDArray[np.int64]
    more: Any
    more_of: NDArray[np.int64]
    is_mail: NDArray[np.bool_]

    def choose(self, rows: NDArray[np.bool_], is_bad: NDArray[np.bool_]) -> Dataset:
        """Give some of the samples, with what they are for another label.

        Args:
            is_bad: bool[n] of all samples; only those of `rows` are looked at.
        """
        place = np.cumsum(rows) - 1
        passages, more = rows[self.passage_of], rows[self.more_of]
        return Dataset(
            samples=[sample for sample, is_in in zip(self.samples, rows, strict=True) if is_in],
            x=self.x[rows],
            is_bad=is_bad[rows],
            sources=self.sources[rows],
            bucket=self.bucket[rows],
            passages=self.passages[passages],
            passage_of=place[self.passage_of[passages]],
            more=self.more[more],
            more_of=place[self.more_of[more]],
            is_mail=self.is_mail[rows],
        )


def vectorise(texts: Sequence[str], bits: int, progress: Progress = quiet, stage: str = "features") -> Any:
    """Make the csr_matrix of some texts."""
    indices, values, ends = [], [], [0]
    for number, text in enumerate(texts):
        found = features(read(text), bits)
        indices.append(found.indices)
        values.append(found.values)
        ends.append(ends[-1] + found.indices.size)
        if number % _STEP == 0:
            progress(stage, number, len(texts))
    progress(stage, len(texts), len(texts))
    columns = np.concatenate(indices).astype(np.int32) if indices else np.zeros(0, np.int32)
    data = np.concatenate(values) if values else np.zeros(0, np.float32)
    return csr_matrix((data, columns, np.array(ends)), shape=(len(texts), 1 << bits))


def build(
    samples: Sequence[Sample], recipe: Recipe, progress: Progress = quiet, *, label: str = "spam", crops: bool = True
) -> Dataset:
    """Make the dataset of some samples; the passages depend on the recipe's seed.

    Args:
        crops: False for samples that are only looked at: they need no passages.
    """
    # Not for secrets: the same seed must give the same passages.
    rng = random.Random(recipe.seed)  # noqa: S311
    parts = [windows(sample.text) for sample in samples]
    long_rows = [row for row, part in enumerate(parts) if crops and len(part[0]) > _CROP_MIN_CHARS]
    passages = [_crop(parts[row][0], rng) for row in long_rows]
    more = [(row, text) for row, part in enumerate(parts) for text in part[1:]]
    return Dataset(
        samples=samples,
        x=vectorise([part[0] for part in parts], recipe.bits, progress),
        is_bad=np.array([bool(sample.says(label)) for sample in samples], dtype=np.bool_),
        sources=np.array([sample.source for sample in samples], dtype=np.str_),
        bucket=np.array([bucket(sample.text) for sample in samples], dtype=np.str_),
        passages=vectorise(passages, recipe.bits, progress, "passages"),
        passage_of=np.array(long_rows, dtype=np.int64),
        more=vectorise([text for _, text in more], recipe.bits, progress, "windows"),
        more_of=np.array([row for row, _ in more], dtype=np.int64),
        is_mail=np.array([sample.is_mail for sample in samples], dtype=np.bool_),
    )


def bucket(text: str) -> str:
    """Say which bucket of gates a text falls in: "zh/short"."""
    return f"{buckets.language(read(windows(text)[0]))}/{buckets.length(text)}"


def weights(dataset: Dataset, rows: NDArray[np.bool_], power: float, letters: float) -> NDArray[np.float64]:
    """Weigh the samples of `rows` (0 elsewhere): by source and class n**power, both classes alike, 1 on average."""
    weight = np.zeros(len(dataset.is_bad))
    for is_bad in (False, True):
        of_class = rows & (dataset.is_bad == is_bad)
        for source in np.unique(dataset.sources[of_class]):
            chosen = of_class & (dataset.sources == source)
            factor = letters if source.startswith("letters_") else 1.0
            weight[chosen] = factor * float(np.count_nonzero(chosen)) ** (power - 1)
        if total := float(weight[of_class].sum()):
            weight[of_class] *= np.count_nonzero(rows) / 2 / total
    return weight


def _crop(text: str, rng: random.Random) -> str:
    count = rng.randint(*_CROP_CHARS)
    start = rng.randint(0, max(0, len(text) - count))
    return text[start : start + count]
