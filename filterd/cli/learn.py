"""`filterd train` and `filterd evaluate`: a text model out of labelled mail, and how good it is."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from filterd.cli.options import Json
from filterd.cli.say import Progress, complain, result, table
from filterd.errors import ConfigError

if TYPE_CHECKING:
    from filterd.clients.modelstore import StoredModel

Data = Annotated[
    Path,
    typer.Option(
        "--data",
        metavar="DIR",
        help="Labelled texts: the data pack, or folders and mailboxes called ham, spam, gambling, …, or *.jsonl.",
    ),
]
_SPLITS = ("dev", "train", "all")
_LICENCES = ("free", "all")


def train(
    data: Data,
    out: Annotated[Path, typer.Option("--out", metavar="DIR", help="The model folder; made if need be.")],
    name: Annotated[str | None, typer.Option("--name", help="What the model is called; default: its folder's.")] = None,
    version: Annotated[str, typer.Option("--model-version", help="Of the model; verdicts carry it.")] = "1",
    licences: Annotated[
        str,
        typer.Option(
            "--licences",
            help="free: leave out sources under non-commercial, share-alike and GPL terms. all: take them too; the "
            "model is for research then.",
        ),
    ] = "free",
    quick: Annotated[
        bool, typer.Option("--quick", help="Do not measure on sources left out of training; half the time.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Train a text model, with every label there are texts enough for.

    Trains, calibrates, sets the gates, and writes weights, manifest and model card. To use it: spam.model = "DIR".
    """
    from datetime import UTC, datetime

    from filterd.learning.recipe import Recipe
    from filterd.learning.train import run_train

    if licences not in _LICENCES:
        raise ConfigError(f"{licences!r} is none of {', '.join(_LICENCES)}", key="--licences")
    progress, tell = _progress()
    trained = run_train(
        data,
        out,
        created_at=datetime.now(UTC),
        name=name or out.resolve().name,
        version=version,
        recipe=Recipe() if licences == "free" else Recipe(exclude_licences=()),
        with_leave_one_out=not quick,
        progress=tell,
    )
    progress.end()
    result(trained.manifest, as_json=as_json, text=lambda: _train_lines(trained.folder, trained.manifest))
    present = [label for label in trained.manifest["labels"] if _is_present(label)]
    if not present:
        from filterd.learning.evidence import RULE

        complain(f"WARNING: no label is present in any language; this model refuses and marks nothing. {RULE}")


def _is_present(label: Any) -> bool:
    return any(row["is_present"] for row in label["evidence"].values())


def evaluate(
    data: Data,
    model: Annotated[
        str, typer.Option("--model", metavar="NAME|DIR", help="A name under models/, or a model folder.")
    ] = "default",
    label: Annotated[str | None, typer.Option("--label", help="One of the model's labels; default: all.")] = None,
    split: Annotated[
        str, typer.Option("--split", help="dev, train or all. Figures on what a model was trained on flatter it.")
    ] = "dev",
    as_json: Json = False,
) -> None:
    """Measure a model on labelled texts.

    Judges them as the checks would in service. For every label and language: the area under the ROC curve, how much is
    caught at 0.1 % and 1 % false positives, with 95 % intervals, whether the probabilities are right, and what the
    gates do, by source too.
    """
    from filterd.learning.evaluate import run_evaluate

    if split not in _SPLITS:
        raise ConfigError(f"{split!r} is none of {', '.join(_SPLITS)}", key="--split")
    loaded = stored_model(model)
    progress, tell = _progress()
    said = run_evaluate(loaded, data, label=label, split=None if split == "all" else split, progress=tell)
    progress.end()
    result(said, as_json=as_json, text=lambda: _report_lines(said))


def stored_model(model: str) -> StoredModel:
    """Load a model by its name under models/, or its folder."""
    from filterd.clients.modelstore import load_model
    from filterd.share import path

    folder = Path(model)
    return load_model(folder if folder.is_dir() else path(f"models/{model}"))


def _progress() -> tuple[Progress, Callable[[str, int, int], None]]:
    """Make what tells a terminal how far the work is."""
    shown = Progress("")

    def tell(stage: str, done: int, total: int) -> None:
        shown.say(f"{stage} {done}/{total}" if total else f"{stage} {done}")

    return shown, tell


def _train_lines(folder: Path, manifest: Any) -> Iterator[str]:
    yield f"{manifest['name']} {manifest['version']} in {folder}"
    yield from _languages(manifest["labels"], key="dev", of=lambda label: label["figures"]["dev"])
    for label in manifest["labels_left_out"]:
        why = label["evidence"]
        if not isinstance(why, str):
            why = ", ".join(f"{language} {row.get('lacking', '')}" for language, row in why.items())
        yield f"without {label['name']}: {why}"
    yield f"the card for people: {folder / 'card.md'}"


def _report_lines(said: Any) -> Iterator[str]:
    yield f"{said['model']} {said['version']}, split {said['split']}"
    yield from _languages(said["labels"], key=said["split"], of=lambda label: label["report"])
    for label in said["labels"]:
        report = label["report"]
        yield ""
        yield f"{label['name']} by source, and what the gates let act:"
        head = ("source", "clean", "bad", "area", "gate a: false", "caught", "gate b: false", "caught")
        rows = []
        for name, part in report["by_source"].items():
            gates = [
                _number(part.get(f"gate_{gate}", {}).get(key, {}).get("rate"))
                for gate in "ab"
                for key in ("false", "caught")
            ]
            rows.append((name, part["clean"], part["bad"], _number(part["roc_auc"]), *gates))
        yield from table(head, rows)
        for language, part in report["by_language"].items():
            if part["bad"] and part["clean"]:
                yield ""
                yield f"{label['name']}, {language}: probabilities said, and how often it was so"
                bins = part["calibration"]
                yield from table(
                    ("from", "texts", "said", "was"),
                    [(row["from"], row["texts"], _number(row["said"]), _number(row["was"])) for row in bins],
                )


def _languages(labels: Any, *, key: str, of: Callable[[Any], Any]) -> Iterator[str]:
    """One row for each label and language: ranking, and what is caught at a rate, with intervals."""
    head = ("label", "language", "present", "clean", "bad", f"area ({key})", "caught at 0.1 %", "caught at 1 %")
    rows = []
    for label in labels:
        for language, part in of(label)["by_language"].items():
            if not part["bad"]:
                continue
            caught = [_share(part["caught_at_rate"].get(rate)) for rate in ("0.001", "0.01")]
            present = "yes" if language in label["languages"] else "no"
            area = _interval(part["roc_auc"], part["roc_auc95"])
            rows.append((label["name"], language, present, part["clean"], part["bad"], area, *caught))
    yield from table(head, rows)


def _share(share: Any) -> str | None:
    return None if share is None else _interval(share["rate"], share["wilson95"])


def _interval(value: float | None, ends: Any) -> str | None:
    if value is None or ends is None:
        return _number(value)
    return f"{value:.4f} [{ends[0]:.4f}, {ends[1]:.4f}]"


def _number(value: float | None) -> str | None:
    return None if value is None else f"{value:.4f}"
