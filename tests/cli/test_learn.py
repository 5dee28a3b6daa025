"""A model trained from folders of one's own mail, measured, and used: all through the command line."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from tests.cli.rig import run

# Long enough to leave out of `make check`.
pytestmark = pytest.mark.slow

WORDS = {
    "ham": ("meeting", "minutes", "agenda", "project", "budget", "review", "schedule", "report", "team", "office"),
    "spam": ("casino", "bonus", "jackpot", "winner", "prize", "loan", "pills", "cheap", "offer", "click", "order"),
}


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Letters of made-up words: enough to learn two heaps apart."""
    folder, rng = tmp_path_factory.mktemp("data"), random.Random(7)
    for label, words in WORDS.items():
        (folder / label).mkdir()
        for number in range(160):
            body = " ".join(rng.choice(words) for _ in range(40))
            (folder / label / f"{number}.eml").write_text(
                f"From: a@b.example\nSubject: {rng.choice(words)}\n\n{body}\n"
            )
    return folder


@pytest.fixture(scope="module")
def model(data: Path) -> Path:
    out = data.parent / "model"
    said = run("train", "--data", data, "--out", out, "--name", "own", "--model-version", "9", "--quick", "--json")
    # So few texts prove nothing.
    assert said.code == 0
    assert "no label is present" in said.err
    assert (said.json["name"], said.json["version"]) == ("own", "9")
    return out


@pytest.mark.slow
def test_a_model_of_ones_own_is_measured(data: Path, model: Path) -> None:
    assert {file.name for file in model.iterdir()} >= {"manifest.json", "weights.npz", "card.md"}
    said = run("evaluate", "--data", data, "--model", model, "--split", "all", "--json")
    assert said.code == 0
    (label,) = said.json["labels"]
    assert (said.json["model"], said.json["split"], label["name"]) == ("own", "all", "spam")
    overall = label["report"]["overall"]
    assert (overall["clean"], overall["bad"]) == (160, 160)
    assert overall["roc_auc95"][0] <= overall["roc_auc"] > 0.9
    assert {"0.001", "0.01"} == set(overall["caught_at_rate"])
    lines = run("evaluate", "--data", data, "--model", model, "--split", "all", "--label", "spam").out.splitlines()
    assert lines[0] == "own 9, split all"
    assert lines[1].split()[:5] == ["LABEL", "LANGUAGE", "PRESENT", "CLEAN", "BAD"]
    assert any(line.endswith("probabilities said, and how often it was so") for line in lines)
    said = run("evaluate", "--data", data, "--model", model, "--label", "gambling")
    assert (said.code, said.err) == (1, "filterd: model own-9 has no label gambling; it has spam\n")


@pytest.mark.slow
def test_a_model_of_ones_own_is_used(data: Path, model: Path, tmp_path: Path) -> None:
    config = tmp_path / "c.toml"
    config.write_text(f'[spam]\nmodel = "{model}"\n')
    scan = ("scan", "--json", "--no-clamd", "--config", config)
    scores = [run(*scan, data / label / "3.eml").objects[0]["scores"]["spam"] for label in ("ham", "spam")]
    assert scores[0] < 0.5 < scores[1]


def test_what_is_not_there_is_said(tmp_path: Path) -> None:
    said = run("train", "--data", tmp_path, "--out", tmp_path / "m")
    assert (said.code, said.out) == (1, "")
    assert said.err.startswith(f"filterd: {tmp_path}: ")
    said = run("evaluate", "--data", tmp_path, "--model", "no-such-model")
    assert (said.code, "models/no-such-model" in said.err) == (1, True)
    said = run("train", "--data", tmp_path, "--out", tmp_path / "m", "--licences", "mine")
    assert (said.code, said.err) == (2, "filterd: command line: --licences: 'mine' is none of free, all\n")
    said = run("evaluate", "--data", tmp_path, "--split", "test")
    assert (said.code, said.err) == (2, "filterd: command line: --split: 'test' is none of dev, train, all\n")
