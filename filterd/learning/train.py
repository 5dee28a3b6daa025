"""Training: from labelled texts to a model folder. Deterministic for the same texts, recipe and library versions.

The order of the work: choose the texts of every label (recipe) and make their features once; then, label by label,
cross-validate over clusters, calibrate, fit on everything, look at the dev split once, say in which languages the label
has shown itself (evidence) and set the gates; write the folder and its card.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from filterd.checks import buckets
from filterd.errors import UsageError
from filterd.learning import artefact, corpus, evidence, gates
from filterd.learning.calibrate import Platt, platt, sigmoid
from filterd.learning.card import write_card
from filterd.learning.dataset import Dataset, Progress, build, quiet, weights
from filterd.learning.evaluate import report
from filterd.learning.fit import Linear, fit, leave_one_out, out_of_fold, score
from filterd.learning.letters import digest as letters_digest
from filterd.learning.letters import is_letter, letters
from filterd.learning.recipe import Recipe
from filterd.learning.sample import LABELS, Sample

SPAM = "spam"
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
        inputs={"letters": letters_digest(), **corpus.digests(data)},
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
    inputs: Mapping[str, str] | None = None,
    with_leave_one_out: bool = False,
    progress: Progress = quiet,
) -> Trained:
    """Train on labelled texts and write a model folder; see `run_train`.

    Args:
        inputs: digests of what the texts were read from, for the manifest.
    """
    texts = list(samples)
    chosen = _choose(texts, recipe)
    rows = sorted({row for picked in chosen.values() for row in picked})
    dataset = build([texts[row] for row in rows], recipe, progress)
    dev = [row for row, sample in enumerate(texts) if sample.split == "dev" or not recipe.takes(sample)]
    looked_at = build([texts[row] for row in dev], recipe, progress, crops=False)
    labels, left_out, arrays = [], [], {}
    for number, (label, picked) in enumerate(chosen.items()):
        progress(f"label {label}", number, len(chosen))
        mine = np.isin(np.array(rows), np.array(picked))
        one = _Label(label, dataset.choose(mine, _says(dataset, label)), looked_at, recipe.of(label), progress)
        row, model = one.learn(with_leave_one_out=with_leave_one_out)
        # What is only advisory may still help where it was asked for by name: a model is a spam model first.
        if row["languages"] or label == SPAM:
            labels.append(row)
            arrays[label] = model.weights
        else:
            left_out.append({"name": label, "evidence": row["evidence"]})
    left_out += [{"name": name, "evidence": "too few texts"} for name in LABELS if name not in chosen]
    manifest = artefact.write(
        out,
        arrays=arrays,
        manifest={
            "name": name,
            "version": version,
            "created": created_at.isoformat(timespec="seconds"),
            "bits": recipe.bits,
            "labels": labels,
            "labels_left_out": left_out,
            "evidence_rule": evidence.RULE,
            "sources": _sources(texts, {id(texts[row]) for row in rows}),
            "split": split,
            "recipe": asdict(recipe),
            "inputs": dict(inputs or {}),
        },
    )
    write_card(out / "card.md", manifest)
    return Trained(folder=out, manifest=manifest)


def _choose(texts: list[Sample], recipe: Recipe) -> dict[str, list[int]]:
    """For each label with enough texts to learn from: the numbers of those it learns from.

    Raises:
        UsageError: no label has enough.
    """
    number = {id(sample): row for row, sample in enumerate(texts)}
    chosen, lacking = {}, []
    for label in LABELS:
        picked = recipe.pick(texts, label)
        bad = sum(sample.says(label) is True for sample in picked)
        # Letters of ours may make a model of little mail usable; a label is not there because we thought of it.
        ours = sum(sample.says(label) is True and is_letter(sample) for sample in picked)
        collected = bad if label == SPAM else bad - ours
        if min(collected, len(picked) - bad) >= MIN_TEXTS:
            chosen[label] = [number[id(sample)] for sample in picked]
        elif bad:
            lacking.append(f"{label}: {bad} bad and {len(picked) - bad} clean")
    if not chosen:
        said = "; ".join(lacking) or "none"
        raise UsageError(f"too few texts to train on ({said}): {MIN_TEXTS} of each are needed")
    return chosen


def _says(dataset: Dataset, label: str) -> NDArray[np.bool_]:
    return np.array([sample.says(label) is True for sample in dataset.samples], dtype=np.bool_)


class _Label:
    """The learning of one label.

    Args:
        texts: its training texts.
        looked_at: texts for figures: dev, and sources that are not trained on; of those, the ones that say something of
            the label are looked at.
    """

    def __init__(self, label: str, texts: Dataset, looked_at: Dataset, recipe: Recipe, progress: Progress):
        self._label, self._recipe, self._progress = label, recipe, progress
        languages = self._languages(texts)
        rows = np.isin(_language(texts), languages)
        self._texts = texts.choose(rows, texts.is_bad)
        says = [sample.says(label) for sample in looked_at.samples]
        known = np.array([said is not None for said in says], dtype=np.bool_) & np.isin(_language(looked_at), languages)
        self._looked_at = looked_at.choose(known, np.array([said is True for said in says], dtype=np.bool_))

    def learn(self, *, with_leave_one_out: bool) -> tuple[dict[str, Any], Linear]:
        """Fit, calibrate, set gates and measure; gives the label's row of the manifest, and the model."""
        texts, recipe = self._texts, self._recipe
        every = np.ones(len(texts.samples), np.bool_)
        weight = weights(texts, every, recipe.source_power, recipe.letters_weight)
        folds = out_of_fold(texts, recipe, self._progress)
        calibration = platt(folds, texts.is_bad, weight)
        model = fit(texts, every, recipe)
        train = _scored(texts, folds, calibration)
        trained_on = np.isin(self._looked_at.sources, texts.sources)
        is_dev = np.array([sample.split == "dev" for sample in self._looked_at.samples], dtype=np.bool_)
        looked_at = _scored(self._looked_at, score(model, self._looked_at), calibration)
        dev = looked_at.rows(trained_on & is_dev)
        elsewhere = looked_at.rows(~trained_on)
        left_out = None
        if with_leave_one_out:
            scores = leave_one_out(texts, recipe, self._progress, label=self._label)
            left_out = _scored(texts, scores, calibration).rows(~np.isnan(scores))
        shown = evidence.judge(train, dev)
        languages = evidence.present(shown)
        gate_rows = gates.choose(train, dev, left_out, languages=languages)
        figures = {"dev": report(dev, gate_rows), "out_of_fold": report(train, gate_rows)}
        if left_out is not None:
            figures["leave_one_out"] = report(left_out, gate_rows)
        figures["not_trained_on"] = report(elsewhere, gate_rows)
        row = {
            "name": self._label,
            "array": self._label,
            "bias": model.bias,
            "slope": calibration.slope,
            "offset": calibration.offset,
            "advisory": ADVISORY,
            "languages": languages,
            "evidence": shown,
            "gates": gate_rows,
            "figures": figures,
            "sources": _counts(texts),
        }
        return row, model

    def _languages(self, texts: Dataset) -> list[str]:
        """Which languages the label learns: those it has hardly any texts in could only teach it the language.

        For `spam` all: what other languages there are in training is what keeps it from taking them for spam.
        """
        collected = texts.is_bad & ~np.array([is_letter(sample) for sample in texts.samples], dtype=np.bool_)
        named = _language(texts)
        enough = [
            name
            for name in buckets.LANGUAGES
            if name != "other" and np.count_nonzero(collected & (named == name)) >= MIN_TEXTS
        ]
        return list(buckets.LANGUAGES) if self._label == SPAM or not enough else enough


def _language(texts: Dataset) -> NDArray[np.str_]:
    return np.array([name.partition("/")[0] for name in texts.bucket], dtype=np.str_)


def _scored(dataset: Dataset, scores: NDArray[np.float64], calibration: Platt) -> gates.Scored:
    return gates.Scored(
        probability=sigmoid(calibration.slope * scores + calibration.offset),
        is_bad=dataset.is_bad,
        sources=dataset.sources,
        bucket=dataset.bucket,
        is_mail=dataset.is_mail,
    )


def _counts(texts: Dataset) -> list[dict[str, Any]]:
    """What a label was trained on, source by source."""
    return [
        {
            "name": str(source),
            "bad": int((texts.is_bad & (texts.sources == source)).sum()),
            "clean": int((~texts.is_bad & (texts.sources == source)).sum()),
        }
        for source in np.unique(texts.sources)
    ]


def _sources(texts: list[Sample], chosen: set[int]) -> list[dict[str, Any]]:
    """Every source with its licence and counts; "bad" is whatever has a label. `chosen` are ids of the objects."""
    rows: dict[str, dict[str, Any]] = {}
    for sample in texts:
        row = rows.setdefault(sample.source, {"name": sample.source, "licence": sample.licence})
        for key in ("train_clean", "train_bad", "dev_clean", "dev_bad"):
            row.setdefault(key, 0)
        if sample.split == "dev" or id(sample) in chosen:
            row[f"{sample.split}_{'clean' if sample.is_clean else 'bad'}"] += 1
    for row in rows.values():
        row["trained_on"] = bool(row["train_clean"] + row["train_bad"])
    return [rows[name] for name in sorted(rows)]


def _counted(samples: Iterable[Sample], progress: Progress) -> Iterable[Sample]:
    for number, sample in enumerate(samples):
        if number % 2_000 == 0:
            progress("reading", number, 0)
        yield sample
