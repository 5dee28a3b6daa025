"""Evaluation: what a model makes of labelled texts, by corpus, language and gate."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from filterd.checks import buckets
from filterd.checks.opinion import Reader
from filterd.checks.textmodel import Head, TextModel
from filterd.errors import UsageError
from filterd.learning import corpus
from filterd.learning.dataset import Progress, quiet
from filterd.learning.figures import calibration, curve, share
from filterd.learning.gates import Scored
from filterd.learning.sample import Sample

_STEP = 2_000


def run_evaluate(
    model: TextModel, data: Path, *, label: str | None = None, split: str | None = "dev", progress: Progress = quiet
) -> dict[str, Any]:
    """Judge the labelled texts of a folder (learning/corpus) with a loaded model, just as the checks would.

    Args:
        label: one of the model's labels; None for all of them.
        split: "train", "dev", or None for both. Figures on texts a model was trained on flatter it.

    Returns:
        The model's name and version, the split, and `labels`: for each label of which there are texts, its `name`, the
        `languages` it is present in, and its `report`. JSON-safe.

    Raises:
        ModelError: the data is missing or broken, or the model needs other features.
        UsageError: the model has no such label, or there is nothing to judge.
    """
    if label is not None and label not in model.heads:
        raise UsageError(f"model {model.name}-{model.version} has no label {label}; it has {', '.join(model.heads)}")
    splits = ("train", "dev") if split is None else (split,)
    labels = tuple(model.heads) if label is None else (label,)
    samples = [s for s in corpus.samples(data, splits=splits) if any(s.says(name) is not None for name in labels)]
    judged = judge(samples, model, labels, progress)
    reports = [
        {
            "name": name,
            "languages": sorted(model.heads[name].languages),
            "report": report(scored, [_row(key, model.heads[name]) for key in model.heads[name].gates]),
        }
        for name, scored in judged.items()
        if scored.is_bad.any()
    ]
    if not reports:
        raise UsageError(f"{data}: nothing labelled {' or '.join(labels)} for split {split or 'all'}")
    return {"model": model.name, "version": model.version, "split": split or "all", "labels": reports}


def judge(
    samples: list[Sample], model: TextModel, labels: tuple[str, ...] = ("spam",), progress: Progress = quiet
) -> dict[str, Scored]:
    """Ask a model about samples, one by one, as the serving path does; each label about those that say something of it.

    Texts with too few words to judge are scored too, though the checks skip them: figures are those of the model.
    """
    reader = Reader(model)
    opinions = []
    for number, sample in enumerate(samples):
        opinions.append(reader.opinion(sample.text, min_words=0))
        if number % _STEP == 0:
            progress("judging", number, len(samples))
    judged = {}
    for label in labels:
        rows = [
            (sample, opinion, said)
            for sample, opinion in zip(samples, opinions, strict=True)
            if (said := sample.says(label)) is not None
        ]
        judged[label] = Scored(
            probability=np.array([opinion.chances.get(label, 0.0) for _, opinion, _ in rows], dtype=np.float64),
            is_bad=np.array([said for _, _, said in rows], dtype=np.bool_),
            sources=np.array([sample.source for sample, _, _ in rows], dtype=np.str_),
            bucket=np.array([f"{opinion.language}/{opinion.length}" for _, opinion, _ in rows], dtype=np.str_),
            is_mail=np.array([sample.is_mail for sample, _, _ in rows], dtype=np.bool_),
        )
    return judged


def report(scored: Scored, gates: Iterable[Mapping[str, Any]] = ()) -> dict[str, Any]:
    """Say everything: overall, by source, by language, by bucket with its gates, and the calibration of
    all and of each language."""
    languages = np.array([name.partition("/")[0] for name in scored.bucket], dtype=np.str_)
    thresholds = {f"{row['language']}/{row['length']}": row for row in gates}
    gated = {key: _gated(scored, thresholds, key) for key in ("a", "b")} if thresholds else {}
    by_source = {}
    for source in np.unique(scored.sources):
        rows = scored.sources == source
        by_source[str(source)] = {**_curve(scored, rows), **_reached(scored, rows, gated)}
    by_language = {
        name: {
            **_curve(scored, languages == name),
            **_reached(scored, languages == name, gated),
            "calibration": _calibration(scored.rows(languages == name)),
        }
        for name in buckets.LANGUAGES
    }
    by_bucket = {str(name): _reached(scored, scored.bucket == name, gated) for name in np.unique(scored.bucket)}
    everything = np.ones(len(scored.is_bad), np.bool_)
    return {
        "overall": {**_curve(scored, everything), **_reached(scored, everything, gated)},
        "by_source": by_source,
        "by_language": by_language,
        "by_bucket": by_bucket if gated else {},
        "calibration": _calibration(scored),
    }


def _calibration(scored: Scored) -> list[dict[str, Any]]:
    return calibration(scored.probability, scored.is_bad, _class_weights(scored))


def _curve(scored: Scored, rows: Any) -> dict[str, Any]:
    return curve(scored.probability[rows], scored.is_bad[rows])


def _gated(scored: Scored, thresholds: Mapping[str, Mapping[str, Any]], key: str) -> Any:
    """bool[n]: which texts pass the gate of their bucket; none does where there is no gate."""
    limits = [thresholds.get(str(name), {}).get(key) for name in scored.bucket]
    return scored.probability >= np.array([2.0 if limit is None else limit for limit in limits], dtype=np.float64)


def _reached(scored: Scored, rows: Any, gated: Mapping[str, Any]) -> dict[str, Any]:
    """For each gate: the share of clean texts that pass it (wrongly), and of bad ones."""
    clean, bad = rows & ~scored.is_bad, rows & scored.is_bad
    return {
        f"gate_{key}": {
            "false": share(int((passes & clean).sum()), int(clean.sum())),
            "caught": share(int((passes & bad).sum()), int(bad.sum())),
        }
        for key, passes in gated.items()
    }


def _class_weights(scored: Scored) -> Any:
    """Both classes alike, sources by the root of their size, as in training."""
    weight = np.zeros(len(scored.is_bad))
    for is_bad in (False, True):
        of_class = scored.is_bad == is_bad
        for source in np.unique(scored.sources[of_class]):
            rows = of_class & (scored.sources == source)
            weight[rows] = rows.sum() ** -0.5
        if total := weight[of_class].sum():
            weight[of_class] /= total
    return weight


def _row(key: tuple[str, str], head: Head) -> dict[str, Any]:
    gate = head.gates[key]
    return {"language": key[0], "length": key[1], "a": gate.a, "b": gate.b}
