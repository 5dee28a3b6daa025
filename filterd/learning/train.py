"""Training: from labelled texts to a model folder. Deterministic for the same texts, recipe and library versions.

The order of the work: choose the texts (recipe), cross-validate over clusters, calibrate and set the gates on what the
folds said, fit on everything, look at the dev split once, write the folder and its card.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np

from filterd.errors import UsageError
from filterd.learning import artefact, corpus, gates
from filterd.learning.calibrate import Platt, platt, sigmoid
from filterd.learning.card import write_card
from filterd.learning.dataset import Dataset, Progress, bucket, build, quiet, vectorise, weights
from filterd.learning.evaluate import report
from filterd.learning.fit import Linear, fit, leave_one_out, out_of_fold, score
from filterd.learning.letters import letters
from filterd.learning.recipe import Recipe
from filterd.learning.sample import Sample

LABEL = "spam"
# From this probability on a person may want to know.
ADVISORY = 0.5
# Of each kind; with fewer neither folds nor gates mean anything.
MIN_TEXTS = 100

SPLIT = (
    "Train and dev are parted by clusters of near-duplicates (min-hashes over letters), so that no two near-identical "
    "texts are on both sides. Settings were chosen on the train split alone; calibration and gates come from its "
    "out-of-fold scores (folds by cluster). Dev gives the figures, and refuses gates that it does not bear out. A "
    "further part of each source, and whole other sources, were held back and never seen."
)
OWN_SPLIT = (
    "Train and dev are parted by the first words of a text; letters are train only. Calibration and gates come from "
    "out-of-fold scores of the train split; dev was used for the figures and to refuse gates."
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Trained:
    """What came out: the folder and its manifest (clients/modelstore loads it)."""

    folder: Path
    manifest: Mapping[str, Any]


def run_train(
    data: Path,
    out: Path,
    *,
    created_at: datetime,
    name: str = "default",
    version: str = "1",
    recipe: Recipe | None = None,
    with_leave_one_out: bool = True,
    progress: Progress = quiet,
) -> Trained:
    """Train on a folder (learning/corpus) and this project's letters, and write a model folder.

    Args:
        recipe: None: that of models/default.
        with_leave_one_out: also tell how the recipe does on corpora it has seen nothing of; doubles the time.

    Raises:
        ModelError: the data is missing or broken.
        UsageError: there are too few texts to learn from.
    """
    recipe = recipe or Recipe()
    samples = list(_counted(corpus.samples(data), progress))
    return train(
        chain(samples, letters(recipe.seed)),
        out,
        recipe=recipe,
        created_at=created_at,
        name=name,
        version=version,
        split=OWN_SPLIT if any(s.licence == corpus.OWN_LICENCE for s in samples) else SPLIT,
        with_leave_one_out=with_leave_one_out,
        progress=progress,
    )


def train(
    samples: Iterable[Sample],
    out: Path,
    *,
    recipe: Recipe,
    created_at: datetime,
    name: str = "default",
    version: str = "1",
    split: str = SPLIT,
    with_leave_one_out: bool = False,
    progress: Progress = quiet,
) -> Trained:
    """Train on labelled texts and write a model folder; see `run_train`."""
    texts = list(samples)
    chosen = recipe.pick(texts)
    bad = sum(sample.is_bad for sample in chosen)
    if min(bad, len(chosen) - bad) < MIN_TEXTS:
        raise UsageError(f"{bad} bad and {len(chosen) - bad} clean texts to train on: {MIN_TEXTS} of each are needed")
    dataset = build(chosen, recipe, progress)
    rows = np.ones(len(chosen), np.bool_)
    weight = weights(dataset, rows, recipe.source_power, recipe.letters_weight)

    folds = out_of_fold(dataset, recipe, progress)
    calibration = platt(folds, dataset.is_bad, weight)
    model = fit(dataset, rows, recipe)
    scored = _scored(dataset, sigmoid(calibration.slope * folds + calibration.offset))
    trained_on = {sample.source for sample in chosen}
    clear = [sample for sample in texts if sample.is_bad or sample.is_clean]
    dev = _judge(
        [s for s in clear if s.split == "dev" and s.source in trained_on], model, calibration, recipe, progress
    )
    rest = _judge([s for s in clear if s.source not in trained_on], model, calibration, recipe, progress)
    left_out = None
    if with_leave_one_out:
        chance = sigmoid(calibration.slope * leave_one_out(dataset, recipe, progress) + calibration.offset)
        left_out = _scored(dataset, chance).rows(~np.isnan(chance))
    gate_rows = gates.choose(scored, dev, left_out)
    figures = {"dev": report(dev, gate_rows), "out_of_fold": report(scored, gate_rows)}
    if left_out is not None:
        figures["leave_one_out"] = report(left_out, gate_rows)
    figures["not_trained_on"] = report(rest, gate_rows)
    manifest = artefact.write(
        out,
        arrays={LABEL: model.weights},
        manifest={
            "name": name,
            "version": version,
            "created": created_at.isoformat(timespec="seconds"),
            "bits": recipe.bits,
            "labels": [
                {
                    "name": LABEL,
                    "array": LABEL,
                    "bias": model.bias,
                    "slope": calibration.slope,
                    "offset": calibration.offset,
                    "advisory": ADVISORY,
                    "gates": gate_rows,
                    "figures": figures,
                }
            ],
            "sources": _sources(texts, chosen),
            "split": split,
            "recipe": asdict(recipe),
        },
    )
    write_card(out / "card.md", manifest)
    return Trained(folder=out, manifest=manifest)


def _scored(dataset: Dataset, probability: Any) -> gates.Scored:
    return gates.Scored(probability=probability, is_bad=dataset.is_bad, sources=dataset.sources, bucket=dataset.bucket)


def _judge(
    samples: list[Sample], model: Linear, calibration: Platt, recipe: Recipe, progress: Progress
) -> gates.Scored:
    x = vectorise([sample.text for sample in samples], recipe.bits, progress, "figures")
    return gates.Scored(
        probability=sigmoid(calibration.slope * score(model, x) + calibration.offset),
        is_bad=np.array([sample.is_bad for sample in samples], dtype=np.bool_),
        sources=np.array([sample.source for sample in samples], dtype=np.str_),
        bucket=np.array([bucket(sample.text) for sample in samples], dtype=np.str_),
    )


def _sources(texts: list[Sample], chosen: list[Sample]) -> list[dict[str, Any]]:
    """Every source with its licence and counts: trained on, looked at in dev, or left out and used for figures only."""
    rows: dict[str, dict[str, Any]] = {}
    for sample in texts:
        row = rows.setdefault(sample.source, {"name": sample.source, "licence": sample.licence})
        for key in ("train_clean", "train_bad", "dev_clean", "dev_bad"):
            row.setdefault(key, 0)
        if sample.split == "dev" and (sample.is_bad or sample.is_clean):
            row["dev_bad" if sample.is_bad else "dev_clean"] += 1
    for sample in chosen:
        rows[sample.source]["train_bad" if sample.is_bad else "train_clean"] += 1
    for row in rows.values():
        row["trained_on"] = bool(row["train_clean"] + row["train_bad"])
    return [rows[name] for name in sorted(rows)]


def _counted(samples: Iterable[Sample], progress: Progress) -> Iterable[Sample]:
    for number, sample in enumerate(samples):
        if number % 2_000 == 0:
            progress("reading", number, 0)
        yield sample
