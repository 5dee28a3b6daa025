"""`filterd train` and `filterd evaluate`: models from labelled mail, and how good they are."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from filterd.cli.options import Json


def train(
    data: Annotated[Path, typer.Option("--data", metavar="DIR", help="The folder of the data pack.")],
    out: Annotated[Path, typer.Option("--out", metavar="DIR", help="Where the model goes; made if need be.")],
    as_json: Json = False,
) -> None:
    """Train a text model.

    Trains, calibrates, and writes artefact, manifest and model card.
    """
    raise NotImplementedError


def evaluate(
    data: Annotated[Path, typer.Option("--data", metavar="DIR", help="The folder of the data pack.")],
    as_json: Json = False,
) -> None:
    """Measure a model on mail it has not seen."""
    raise NotImplementedError
