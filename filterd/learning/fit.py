"""Fitting: a linear model by stochastic gradient descent, and what it says of texts it has not seen.

scikit-learn is imported in here only. Deterministic for a recipe: one thread, fixed seeds, fixed order.
"""

from __future__ import annotations

import zlib
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import vstack
from sklearn.linear_model import SGDClassifier

from filterd.learning.dataset import Dataset, Progress, quiet, weights
from filterd.learning.recipe import Recipe, family


class Linear(NamedTuple):
    """A linear model: the score of a text is features · weights + bias. The weights are as exact as they are stored."""

    weights: NDArray[np.float16]
    bias: float


def fit(dataset: Dataset, rows: NDArray[np.bool_], recipe: Recipe) -> Linear:
    """Fit on the samples of `rows` and on the passages cut from them."""
    weight = weights(dataset, rows, recipe.source_power, recipe.letters_weight)
    has_passage = np.zeros(len(weight), np.bool_)
    has_passage[dataset.passage_of] = True
    of_passage = rows[dataset.passage_of]
    origin = dataset.passage_of[of_passage]
    whole = np.where(has_passage, 1 - recipe.crop_share, 1.0) * weight
    model = SGDClassifier(
        loss="log_loss", alpha=recipe.alpha, max_iter=recipe.epochs, tol=None, average=True, random_state=recipe.seed
    )
    model.fit(
        vstack([dataset.x[rows], dataset.passages[of_passage]]).tocsr(),
        np.concatenate([dataset.is_bad[rows], dataset.is_bad[origin]]),
        sample_weight=np.concatenate([whole[rows], weight[origin] * recipe.crop_share]),
    )
    return Linear(model.coef_[0].astype(np.float16), float(model.intercept_[0]))


def score(model: Linear, dataset: Dataset) -> NDArray[np.float64]:
    """Score every sample: the highest of its windows, as the serving path does (checks/opinion)."""
    weights = model.weights.astype(np.float64)
    scores: NDArray[np.float64] = dataset.x @ weights + model.bias
    np.maximum.at(scores, dataset.more_of, dataset.more @ weights + model.bias)
    return scores


def out_of_fold(dataset: Dataset, recipe: Recipe, progress: Progress = quiet) -> NDArray[np.float64]:
    """Score every sample by a model that saw neither it nor anything of its cluster."""
    clusters = [zlib.crc32(sample.cluster.encode()) for sample in dataset.samples]
    fold = np.array(clusters, dtype=np.int64) % recipe.folds
    return _held_out(dataset, recipe, [fold == k for k in range(recipe.folds)], "cross-validation", progress)


def leave_one_out(
    dataset: Dataset, recipe: Recipe, progress: Progress = quiet, *, label: str = "spam"
) -> NDArray[np.float64]:
    """Score every sample by a model that saw nothing of its corpus, nor of the corpora akin to it.

    NaN where what is left has not both kinds of texts.
    """
    families = np.array([family(str(source), label) for source in dataset.sources])
    parts = [families == name for name in np.unique(families)]
    return _held_out(dataset, recipe, parts, "leave one corpus out", progress)


def _held_out(
    dataset: Dataset, recipe: Recipe, parts: list[NDArray[np.bool_]], stage: str, progress: Progress
) -> NDArray[np.float64]:
    scores = np.full(len(dataset.is_bad), np.nan)
    for number, part in enumerate(parts):
        progress(stage, number, len(parts))
        both = np.unique(dataset.is_bad[~part]).size == 2
        if part.any() and both:
            scores[part] = score(fit(dataset, ~part, recipe), dataset.choose(part, dataset.is_bad))
    progress(stage, len(parts), len(parts))
    return scores
