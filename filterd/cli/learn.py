"""`filterd train` and `filterd evaluate`: a text model out of labelled mail, and how good it is."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Annotated, Any

import typer

from filterd.cli.options import Json
from filterd.cli.say import Progress, count, result, table
from filterd.errors import ConfigError

Data = Annotated[
    Path,
    typer.Option(
        "--data",
        metavar="DIR",
        help="Labelled texts: the data pack, or folders and mailboxes called ham, spam, …, or *.jsonl.",
    ),
]
_SPLITS = ("dev", "train", "all")


def train(
    data: Data,
    out: Annotated[Path, typer.Option("--out", metavar="DIR", help="The model folder; made if need be.")],
    name: Annotated[str, typer.Option("--name", help="What the model is called.")] = "default",
    version: Annotated[str, typer.Option("--model-version", help="Of the model; verdicts carry it.")] = "1",
    quick: Annotated[
        bool, typer.Option("--quick", help="Do not measure on sources left out of training; half the time.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Train a text model.

    Trains, calibrates, sets the gates, and writes weights, manifest and model card. To use it: spam.model = "DIR".
    """
    from datetime import UTC, datetime

    from filterd.learning.train import run_train

    progress, tell = _progress()
    trained = run_train(
        data,
        out,
        created_at=datetime.now(UTC),
        name=name,
        version=version,
        with_leave_one_out=not quick,
        progress=tell,
    )
    progress.end()
    result(trained.manifest, as_json=as_json, text=lambda: _train_lines(trained.folder, trained.manifest))


def evaluate(
    data: Data,
    model: Annotated[
        str, typer.Option("--model", metavar="NAME|DIR", help="A name under models/, or a model folder.")
    ] = "default",
    label: Annotated[str, typer.Option("--label", help="Which of the model's labels.")] = "spam",
    split: Annotated[
        str, typer.Option("--split", help="dev, train or all. Figures on what a model was trained on flatter it.")
    ] = "dev",
    as_json: Json = False,
) -> None:
    """Measure a model on labelled texts.

    Judges them as the check would in service: ranking by source and language, what the gates let act by themselves, and
    whether the probabilities are right.
    """
    from filterd.clients.modelstore import load_model
    from filterd.learning.evaluate import run_evaluate
    from filterd.share import path

    if split not in _SPLITS:
        raise ConfigError(f"{split!r} is none of {', '.join(_SPLITS)}", key="--split")
    folder = Path(model)
    loaded = load_model(folder if folder.is_dir() else path(f"models/{model}"))
    progress, tell = _progress()
    said = run_evaluate(loaded, data, label=label, split=None if split == "all" else split, progress=tell)
    progress.end()
    result(said, as_json=as_json, text=lambda: _report_lines(said))


def _progress() -> tuple[Progress, Callable[[str, int, int], None]]:
    """Make what tells a terminal how far the work is."""
    shown = Progress("")

    def tell(stage: str, done: int, total: int) -> None:
        shown.say(f"{stage} {done}/{total}" if total else f"{stage} {done}")

    return shown, tell


def _train_lines(folder: Path, manifest: Any) -> Iterator[str]:
    yield f"{manifest['name']} {manifest['version']} in {folder}"
    for label in manifest["labels"]:
        for name, report in label.get("figures", {}).items():
            yield f"{label['name']}, {name}:"
            yield from (f"  {line}" for line in _report_lines(report))
    yield f"the card for people: {folder / 'card.md'}"


def _report_lines(report: Any) -> Iterator[str]:
    """Say how well ham and spam are told apart, and what the gates do."""
    overall = report["overall"]
    clean, bad = count(overall["clean"], "clean text"), count(overall["bad"], "bad one")
    yield f"{clean}, {bad}, area under the curve {_number(overall['roc_auc'])}"
    rates = list(overall["caught_at_rate"])
    head = ("part", "clean", "bad", "area", *(f"caught at {rate}" for rate in rates), "gate a: false", "gate a: caught")
    parts = [("all", overall), *report["by_language"].items(), *report["by_source"].items()]
    rows = []
    for name, part in parts:
        caught = [_number(part["caught_at_rate"].get(rate, {}).get("rate")) for rate in rates]
        gate = part.get("gate_a", {})
        gates = [_number(gate.get(key, {}).get("rate")) for key in ("false", "caught")]
        rows.append((name, part["clean"], part["bad"], _number(part["roc_auc"]), *caught, *gates))
    yield from table(head, rows)


def _number(value: float | None) -> str | None:
    return None if value is None else f"{value:.4f}"
