"""Training: deterministic, loadable, scoring as scikit-learn does, and true to the licences it was told to keep to."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.sparse import csr_matrix
from sklearn.linear_model import SGDClassifier

from filterd.checks.features import FEATURES_VERSION, READ_CHARS
from filterd.checks.opinion import Reader
from filterd.clients.modelstore import load_model
from filterd.errors import ModelError, UsageError
from filterd.learning.calibrate import sigmoid
from filterd.learning.dataset import build, vectorise, weights
from filterd.learning.evaluate import judge, report, run_evaluate
from filterd.learning.fit import fit, leave_one_out, out_of_fold, score
from filterd.learning.recipe import Recipe
from filterd.learning.sample import Sample
from filterd.learning.train import run_train, train
from tests.checks.fake_model import FakeModel
from tests.checks.fake_model import head as fake_head
from tests.learning import heaps

pytestmark = pytest.mark.slow

AT = datetime(2026, 1, 2, tzinfo=UTC)
RECIPE = Recipe(bits=12, epochs=3)


@pytest.fixture(scope="module")
def samples() -> list[Sample]:
    return [
        *heaps.samples(),
        *heaps.samples(60, source="second"),
        *heaps.samples(120, split="dev"),
        *heaps.samples(60, source="walled", licence="CC BY-NC 4.0"),
    ]


@pytest.fixture(scope="module")
def folder(samples: list[Sample], tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("model")
    train(samples, out, recipe=RECIPE, created_at=AT, name="small", version="2", with_leave_one_out=True)
    return out


@pytest.fixture(scope="module")
def manifest(folder: Path) -> dict[str, Any]:
    made: dict[str, Any] = json.loads((folder / "manifest.json").read_text("utf-8"))
    return made


def test_the_same_texts_make_the_same_files(samples: list[Sample], folder: Path, tmp_path: Path) -> None:
    train(samples, tmp_path, recipe=RECIPE, created_at=AT, name="small", version="2", with_leave_one_out=True)
    for file in ("weights.npz", "manifest.json", "card.md"):
        assert (tmp_path / file).read_bytes() == (folder / file).read_bytes()
    assert sorted(os.listdir(tmp_path)) == ["card.md", "manifest.json", "weights.npz"]


def test_the_model_loads_and_tells_the_heaps_apart(samples: list[Sample], folder: Path) -> None:
    model = load_model(folder, features_version=FEATURES_VERSION)
    scored = judge([s for s in samples if s.split == "dev"], model)["spam"]
    assert report(scored)["overall"]["roc_auc"] > 0.99


def test_serving_scores_as_scikit_learn_decides(samples: list[Sample], tmp_path: Path) -> None:
    texts = [sample.text for sample in samples]
    x, y = vectorise(texts, 12), [sample.says("spam") for sample in samples]
    model = SGDClassifier(loss="log_loss", max_iter=5, tol=None, average=True, random_state=1).fit(x, y)
    # What is stored is float16: scikit-learn decides with the same numbers.
    model.coef_ = model.coef_.astype(np.float16).astype(np.float64)
    reader = Reader(_stored(model, tmp_path))
    ours = np.array([reader.opinion(text).chances["spam"] for text in texts])
    theirs = 1 / (1 + np.exp(-model.decision_function(x.astype(np.float64))))
    assert np.abs(ours - theirs).max() < 1e-6


def _stored(model: Any, folder: Path) -> Any:
    from filterd.learning import artefact

    numbers = {"bias": float(model.intercept_[0]), "slope": 1.0, "offset": 0.0, "advisory": 0.5}
    label = {"name": "spam", "array": "spam", "languages": ["en"], "gates": [], **numbers}
    made = {"name": "x", "version": "1", "bits": 12, "labels": [label]}
    artefact.write(folder, arrays={"spam": model.coef_[0].astype(np.float16)}, manifest=made)
    return load_model(folder)


def test_training_scores_as_serving_does(samples: list[Sample]) -> None:
    """Windows of long texts included: thresholds set in one mean the same in the other."""
    texts = build([*samples[::8], long_one(samples)], RECIPE)
    model = fit(texts, np.ones(len(texts.samples), np.bool_), RECIPE)
    head = replace(
        fake_head(0.5), bias=model.bias, weights=model.weights.astype(np.float32), languages=frozenset({"en"})
    )
    reader = Reader(FakeModel(heads={"spam": head}, bits=RECIPE.bits))
    ours = [reader.opinion(sample.text).chances["spam"] for sample in texts.samples]
    assert ours == pytest.approx(sigmoid(score(model, texts)).tolist())
    assert texts.more.shape[0] == 3


def long_one(samples: list[Sample]) -> Sample:
    text = " ".join(sample.text for sample in samples if sample.says("spam"))[:READ_CHARS]
    return replace(samples[0], id="long", text=text)


def test_a_label_learns_from_what_is_known_of_it(tmp_path: Path) -> None:
    """Spam of people who did not look for gambling says nothing of gambling; texts labelled otherwise do."""
    texts = [*heaps.samples(120), *labelled("gambling"), *labelled("fraud")]
    made = train([*texts, *dev_of(texts)], tmp_path, recipe=RECIPE, created_at=AT)
    rows = {row["name"]: row for row in made.manifest["labels"]}
    assert set(rows) == {"spam", "gambling", "fraud"}
    assert rows["gambling"]["languages"] == ["en"]
    assert rows["gambling"]["sources"] == [
        {"name": "fraud", "bad": 0, "clean": 120},
        {"name": "gambling", "bad": 120, "clean": 0},
        {"name": "own", "bad": 0, "clean": 120},
    ]
    # Those labelled as gambling may be spam or not; fraud is.
    assert [row["name"] for row in rows["spam"]["sources"]] == ["fraud", "own"]
    assert {row["name"] for row in made.manifest["labels_left_out"]} >= {"terror", "drugs", "weapons", "hate"}
    model = load_model(tmp_path, features_version=FEATURES_VERSION)
    assert set(model.heads) == set(rows)
    said = Reader(model).opinion(texts[-1].text)
    assert set(said.chances) == set(rows)


def labelled(label: str) -> list[Sample]:
    """Texts of one label, by people who looked for two of them."""
    bad = [sample for sample in heaps.samples(120, source=label) if sample.says("spam")]
    known = frozenset({"gambling", "fraud"})
    return [replace(s, text=f"{label} {s.text} {label}", labels=frozenset({label}), known=known) for s in bad]


def dev_of(texts: list[Sample]) -> list[Sample]:
    return [replace(sample, id=f"dev {sample.id}", split="dev") for sample in texts]


def test_a_label_that_dev_does_not_show_is_left_out(tmp_path: Path) -> None:
    texts = [*heaps.samples(120), *labelled("gambling")]
    made = train(texts, tmp_path, recipe=RECIPE, created_at=AT)
    # A model is a spam model first: it stays, without a language.
    assert [(row["name"], row["languages"]) for row in made.manifest["labels"]] == [("spam", [])]
    (row,) = [row for row in made.manifest["labels_left_out"] if row["name"] == "gambling"]
    assert row["evidence"]["en"]["lacking"] == "too few dev texts"
    assert "| gambling | en | no: too few dev texts | 120 | 0 | 0 |  |" in (tmp_path / "card.md").read_text("utf-8")


def test_sources_under_unfree_terms_are_not_trained_on(manifest: dict[str, Any]) -> None:
    rows = {row["name"]: row for row in manifest["sources"]}
    assert (rows["own"]["trained_on"], rows["walled"]["trained_on"]) == (True, False)
    assert (rows["own"]["train_clean"], rows["own"]["train_bad"], rows["own"]["dev_bad"]) == (150, 150, 120)
    figures = manifest["labels"][0]["figures"]
    assert set(figures["not_trained_on"]["by_source"]) == {"walled"}
    assert "walled" not in {**figures["dev"]["by_source"], **figures["out_of_fold"]["by_source"]}


def test_the_manifest_says_what_the_store_and_people_need(manifest: dict[str, Any]) -> None:
    assert (manifest["format"], manifest["name"], manifest["version"], manifest["bits"]) == (1, "small", "2", 12)
    assert manifest["created"] == "2026-01-02T00:00:00+00:00"
    assert manifest["recipe"]["seed"] == RECIPE.seed
    (label,) = manifest["labels"]
    assert label["languages"] == ["en"]
    evidence = label["evidence"]["en"]
    assert (evidence["train_bad"], evidence["dev_bad"], evidence["dev_clean"]) == (210, 120, 120)
    assert evidence["roc_auc95"][0] <= evidence["roc_auc"] <= evidence["roc_auc95"][1]
    assert set(label["figures"]) == {"dev", "out_of_fold", "leave_one_out", "not_trained_on"}
    refused = [gate["figures"]["a"]["refused"] for gate in label["gates"]]
    assert refused == ["label not shown"] * 2 + ["too few clean train texts"] * 2


def test_the_card_has_its_parts(folder: Path) -> None:
    card = (folder / "card.md").read_text("utf-8")
    for part in (
        "# Model card: small, version 2",
        "## Limits",
        "## Gates",
        "## Labels",
        "### Gates of spam",
        "## Figures of spam",
        "### Dev split",
        "### Corpora left out",
        "## Data",
    ):
        assert part in card
    assert "| walled | no | 0 | 0 | 0 | 0 | CC BY-NC 4.0 |" in card


def test_too_little_to_learn_from_is_said(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"train on \(spam: 99 bad and 99 clean\): 100 of each are needed"):
        train(heaps.samples(99), tmp_path, recipe=RECIPE, created_at=AT)


def test_caps_and_seeds_choose_the_texts(samples: list[Sample]) -> None:
    one = Recipe(caps={"own": 50}).pick(samples)
    assert sum(s.source == "own" for s in one) == 50
    assert one == Recipe(caps={"own": 50}).pick(samples)
    assert one != Recipe(caps={"own": 50}, seed=2).pick(samples)
    assert {s.source for s in Recipe(exclude_licences=(), exclude_sources=("own",)).pick(samples)} == {
        "second",
        "walled",
    }


def test_labels_have_caps_of_their_own_for_those_that_are_it_and_those_that_are_not(samples: list[Sample]) -> None:
    texts = [*samples, *labelled("gambling"), *labelled("fraud")]
    picked = Recipe(label_caps=(30, 20)).pick(texts, "gambling")
    said = [(s.source, s.says("gambling"), s.is_clean) for s in picked]
    assert {row: said.count(row) for row in said} == {
        ("gambling", True, False): 30,
        ("fraud", False, False): 20,
        ("own", False, True): 20,
        ("second", False, True): 20,
    }


def test_weights_make_classes_alike_and_small_sources_heard(samples: list[Sample]) -> None:
    dataset = build(RECIPE.pick(samples), RECIPE)
    weight = weights(dataset, np.ones(len(dataset.samples), np.bool_), 0.5, 3.0)
    assert weight[dataset.is_bad].sum() == pytest.approx(weight[~dataset.is_bad].sum())
    assert weight.mean() == pytest.approx(1.0)
    own, second = (weight[dataset.sources == name] for name in ("own", "second"))
    assert own.sum() / second.sum() == pytest.approx((150 / 60) ** 0.5)


def test_held_out_scores_come_from_models_that_did_not_see_the_text(samples: list[Sample]) -> None:
    dataset = build(RECIPE.pick(samples), RECIPE)
    inside = fit(dataset, np.ones(len(dataset.samples), np.bool_), RECIPE)
    for scores in (out_of_fold(dataset, RECIPE), leave_one_out(dataset, RECIPE)):
        assert np.isfinite(scores).all()
        assert not np.allclose(scores, score(inside, dataset))
        assert (scores[dataset.is_bad].mean() - scores[~dataset.is_bad].mean()) > 0


def test_a_corpus_without_which_nothing_is_left_is_not_scored() -> None:
    dataset = build(RECIPE.pick(heaps.samples()), RECIPE)
    assert np.isnan(leave_one_out(dataset, RECIPE)).all()


def test_vectors_are_rows() -> None:
    x = vectorise(["one two", "", "one"], 12)
    assert isinstance(x, csr_matrix)
    assert x.shape == (3, 1 << 12)
    assert [x[row].nnz for row in range(3)] == [3, 0, 1]
    assert vectorise([], 12).shape == (0, 1 << 12)


@pytest.mark.slow
def test_from_a_folder_of_mail_to_figures(tmp_path: Path) -> None:
    heaps.pack(tmp_path, count=6)
    seen: list[str] = []
    trained = run_train(
        tmp_path,
        tmp_path / "out",
        created_at=AT,
        with_leave_one_out=False,
        progress=lambda stage, *_: seen.append(stage),
    )
    assert {row["name"] for row in trained.manifest["sources"]} == {"made", "made_text", "letters_en", "letters_zh"}
    assert {"reading", "features", "cross-validation"} <= set(seen)
    model = load_model(trained.folder)
    said = run_evaluate(model, tmp_path, split=None)
    (label,) = said["labels"]
    assert label["report"]["overall"]["clean"] + label["report"]["overall"]["bad"] == 14
    assert run_evaluate(model, tmp_path, split=None, label="spam") == said
    json.dumps(said)
    with pytest.raises(UsageError, match="no label fraud; it has spam"):
        run_evaluate(model, tmp_path, label="fraud")
    with pytest.raises(ModelError):
        run_evaluate(model, tmp_path / "nowhere")
