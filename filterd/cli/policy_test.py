"""`filterd policy test`: what the examples of agreements say, and what came out."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from filterd.cli.entry import FAILED
from filterd.cli.options import Json
from filterd.cli.say import complain, count, result, table
from filterd.errors import ConfigError

if TYPE_CHECKING:
    from filterd.agreement.examples import Claim
    from filterd.agreement.terms import Agreement

_HEAD = ("result", "agreement", "name", "expected", "actual")
# Of a cell whose example comes out.
_WIDTH = 80


def run_examples(
    places: Annotated[
        list[Path],
        typer.Argument(metavar="PATH…", help="Agreement files, or folders of them (or with a folder `agreements`)."),
    ],
    as_json: Json = False,
) -> None:
    """Run every example of every agreement, and print what was expected and what came out.

    Exit 1 when one does not come out; 2, naming file, line and key, when a file cannot be read.
    """
    from filterd.agreement.load import read
    from filterd.checks import ALL_CODES

    said: list[dict[str, Any]] = []
    errors: list[ConfigError] = []
    for file in [file for place in places for file in _files(place)]:
        try:
            octets = file.read_bytes()
        except OSError as err:
            errors.append(ConfigError(f"cannot be read: {err.strerror}", file=file))
            continue
        try:
            said += _run(read(octets, str(file), ALL_CODES), file)
        except ConfigError as err:
            errors.append(err)
    failed = [one for one in said if not one["is_right"]]
    rows = (
        [
            "ok" if one["is_right"] else "FAILED",
            *(_short(str(one[key]), whole=not one["is_right"]) for key in _HEAD[1:]),
        ]
        for one in said
    )
    total = f"{count(len(said), 'example')}, {len(failed)} failed"
    result(said, as_json=as_json, text=lambda: [*table(_HEAD, rows), total])
    for error in errors[:-1]:
        complain(str(error))
    if errors:
        raise errors[-1]
    if failed:
        raise typer.Exit(FAILED)


def _short(text: str, *, whole: bool) -> str:
    """Cut what would make the table wider than any screen; of a failure all is said."""
    return text if whole or len(text) <= _WIDTH else text[: _WIDTH - 1] + "…"


def _files(place: Path) -> list[Path]:
    """Say which files are meant. Raises ConfigError for a folder that holds none."""
    if not place.is_dir():
        return [place]
    folder = place / "agreements" if (place / "agreements").is_dir() else place
    if files := sorted(folder.glob("*.toml")):
        return files
    raise ConfigError("holds no agreement file (*.toml)", file=folder)


def _run(terms: Agreement, file: Path) -> list[dict[str, Any]]:
    from filterd.agreement.examples import run_claims

    out = []
    for example in terms.example:
        claims = run_claims(terms, example)
        out.append(
            {
                "file": str(file),
                "agreement": terms.id,
                "version": terms.version,
                "name": example.name,
                "expected": _line((claim.name, claim.expected) for claim in claims),
                "actual": _line((claim.name, claim.actual) for claim in claims),
                "is_right": not _wrong(claims),
            }
        )
    return out


def _wrong(claims: tuple[Claim, ...]) -> bool:
    return any(claim.actual != claim.expected for claim in claims)


def _line(pairs: Iterable[tuple[str, str]]) -> str:
    return ", ".join(f"{name} {value}" for name, value in pairs)
