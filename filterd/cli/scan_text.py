"""`filterd scan-text`: what does a model say of these texts?  One JSON object a line in, one a line out."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Annotated, Any

import typer

from filterd.cli.options import Json
from filterd.cli.say import dumps, printable

if TYPE_CHECKING:
    from filterd.checks.opinion import Reader

_STDIN = "-"


def scan_text(
    file: Annotated[str, typer.Argument(metavar="FILE.jsonl|-", help='One {"id", "text"} a line; -: standard input.')],
    model: Annotated[
        str, typer.Option("--model", metavar="NAME|DIR", help="A name under models/, or a model folder.")
    ] = "default",
    as_json: Json = False,
) -> None:
    """Judge texts as the content checks would.

    Says for every label how probable it is, in the order of the input and as it comes. Labels that cannot be told are
    named with the reason: no_model (the model does not have them in the language of the text), no_text (too few words).
    With --json {"id", "scores", "skipped"} a line. A line that is no such object is answered by one with the error and
    its number; the rest goes on, and the exit code is 1.
    """
    from filterd.checks.opinion import Reader
    from filterd.cli.learn import stored_model

    reader = Reader(stored_model(model))
    failures = 0
    for said in _scanned(reader, _lines(file), file):
        failures += "error" in said
        # Whoever writes to our standard input line by line may be waiting for the answer.
        print(dumps(said) if as_json else _line(said), flush=file == _STDIN)
    if failures:
        raise typer.Exit(1)


def _lines(file: str) -> Iterator[bytes]:
    if file == _STDIN:
        yield from sys.stdin.buffer
        return
    with open(file, "rb") as lines:
        yield from lines


def _scanned(reader: Reader, lines: Iterable[bytes], file: str) -> Iterator[dict[str, Any]]:
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            yield _judged(reader, line)
        # A number of more digits than Python reads, or brackets without end, are no better than any other bad line.
        except (ValueError, RecursionError) as err:
            yield {"line": number, "error": f"{file}:{number}: {err}"}


def _judged(reader: Reader, line: bytes) -> dict[str, Any]:
    """Judge one line. Raises ValueError when it is not an object with `id` and `text`."""
    import json

    from filterd.checks import prohibited, spam
    from filterd.checks.features import plain_text
    from filterd.checks.opinion import NO_MODEL, NO_TEXT

    row = json.loads(line)
    if not isinstance(row, dict) or not isinstance(row.get("id"), str | int) or isinstance(row["id"], bool):
        raise ValueError("not an object with an id (a string or a whole number)")
    if not isinstance(row.get("text"), str):
        raise ValueError("text: missing, or not a string")
    opinion, heads = reader.opinion(plain_text(row["text"])), reader.model.heads
    scores = {name: chance for name, chance in opinion.chances.items() if opinion.language in heads[name].languages}
    skipped = {
        name: NO_TEXT if name in heads and not opinion.chances else NO_MODEL
        for name in (spam.LABEL, *prohibited.LABELS)
        if name not in scores
    }
    return {"id": row["id"], "scores": scores, "skipped": skipped}


def _line(said: dict[str, Any]) -> str:
    """Say a result for people, the most probable label first."""
    if "error" in said:
        return f"error     {printable(said['error'])}"
    ordered = sorted(said["scores"].items(), key=lambda item: -item[1])
    scores = " ".join(f"{name}={chance:.3f}" for name, chance in ordered)
    return f"{printable(said['id'])}  {scores or 'nothing to judge'}"
