"""Handing a list to the ledger, and saying what came of it: shared by `tenant import` and `account import`."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from filterd.cli.link import ask
from filterd.cli.places import find_token
from filterd.cli.say import complain, count, printable, result
from filterd.errors import ConfigError

if TYPE_CHECKING:
    from filterd.config import Config

_CHANGES_SHOWN = 50
# Of a new subject the name is said already, its id says nothing yet, and domains in a list are declared by it.
_SAID = ("name", "login", "account_id", "tenant_id", "domains_declared")
# A long list is one transaction.
_IMPORT_WITHIN_S = 600.0

ListFile = Annotated[Path, typer.Argument(metavar="FILE", help="CSV with a header, or JSONL; - is standard input.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Say what would change, and change nothing.")]


def import_list(
    settings: Config,
    verb: str,
    file: Path,
    columns: tuple[str, ...],
    noun: str,
    token: str | None,
    *,
    dry_run: bool,
    as_json: bool,
) -> None:
    """Hand a list to the ledger and say what came of it. Raises ConfigError for the last wrong row; says the others."""
    from filterd.cli.lists import read_list

    rows = read_list(file, columns, columns[0])
    said = ask(settings, verb, answer_within_s=_IMPORT_WITHIN_S, rows=rows, dry_run=dry_run, token=find_token(token))
    name = "standard input" if str(file) == "-" else file
    errors = [ConfigError(e["message"], file=name, line=e["line"], key=e["key"]) for e in said["errors"]]
    for error in errors[:-1]:
        complain(str(error))
    if errors:
        raise errors[-1]
    result(said, as_json=as_json, text=lambda: _import_lines(said, noun))


def _import_lines(said: dict[str, Any], noun: str) -> Iterable[str]:
    for change in said["changes"][:_CHANGES_SHOWN]:
        fields = "; ".join(
            f"{key}: {_value(v['to'])}"
            if change["what"] == "create"
            else f"{key}: {_value(v['from'])} -> {_value(v['to'])}"
            for key, v in change["fields"].items()
            if change["what"] == "change" or key not in _SAID
        )
        yield f"{change['what']} {printable(change['name'])}{': ' if fields else ''}{fields}"
    if (more := len(said["changes"]) - _CHANGES_SHOWN) > 0:
        yield f"and {more} more (--json shows all)"
    for note in said.get("notes", ()):
        yield printable(f"line {note['line']}: {note['message']}")
    would = "would be " if said["dry_run"] else ""
    made, changed = count(said["created"], noun), said["changed"]
    retired = f"{said['retired']} {would}retired, " if said.get("retired") else ""
    yield f"{made} {would}created, {changed} {would}changed, {retired}{said['unchanged']} unchanged"


def _value(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{key} {_value(item)}" for key, item in value.items() if item not in (None, []))
    if isinstance(value, list):
        value = " ".join(map(str, value))
    return "-" if value in (None, "") else printable(value)
