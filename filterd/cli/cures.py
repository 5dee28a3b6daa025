"""`filterd cure`: a breach was mended.  AL-7.1."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from filterd.cli.acting import who
from filterd.cli.link import ask
from filterd.cli.options import AsRoot, ConfigFile, Json, Reason, StateDir, Token
from filterd.cli.places import find_token, load_config
from filterd.cli.say import printable, result, table

cures = typer.Typer(help="Cures: a breach was mended, in three parts; file one, answer it.")


@cures.command("file")
def cure_file(
    sanction: Annotated[str, typer.Argument(metavar="ID", help="The sanction, incident or case it is about.")],
    stopped: Annotated[str, typer.Option("--stopped", help="That the breach has stopped, and how.")],
    measures: Annotated[str, typer.Option("--measures", help="What was done about its effects, and against the next.")],
    compensation: Annotated[str | None, typer.Option("--compensation", help="How the loss was made good.")] = None,
    waiver: Annotated[str | None, typer.Option("--waiver", help="Where making it good was waived in writing.")] = None,
    token: Token = None,
    as_root: AsRoot = False,
    config: ConfigFile = None,
    state_dir: StateDir = None,
    as_json: Json = False,
) -> None:
    """File a cure. Its words are sealed; unanswered in time, it lifts the sanction."""
    said = ask(
        load_config(config, state_dir),
        "cure.file",
        sanction=sanction,
        stopped=stopped,
        measures=measures,
        compensation=compensation,
        waiver=waiver,
        **who(token, as_root=as_root),
    )
    result(said, as_json=as_json, text=lambda: [f"{said['cure_id']} is filed; an answer is due by {said['due_at']}"])


@cures.command("answer")
def cure_answer(
    cure: Annotated[str, typer.Argument(metavar="ID", help="The cure's id.")],
    outcome: Annotated[str, typer.Argument(metavar="OUTCOME", help="accepted or refused.")],
    reason: Reason,
    token: Token = None,
    as_root: AsRoot = False,
    config: ConfigFile = None,
    state_dir: StateDir = None,
    as_json: Json = False,
) -> None:
    """Accept a cure, which lifts the sanction on probation, or refuse it."""
    said = ask(
        load_config(config, state_dir),
        "cure.answer",
        cure=cure,
        outcome=outcome,
        reason=reason,
        **who(token, as_root=as_root),
    )
    result(said, as_json=as_json, text=lambda: [f"{cure} is {said['state']}; {_standing(said)}"])


@cures.command("list")
def cure_list(
    every: Annotated[bool, typer.Option("--all", help="The answered ones too.")] = False,
    token: Token = None,
    config: ConfigFile = None,
    state_dir: StateDir = None,
    as_json: Json = False,
) -> None:
    """List the cures that wait for an answer."""
    rows = ask(load_config(config, state_dir), "cure.list", all=every, token=find_token(token))
    head = ("due_at", "login", "state", "sanction_id", "cure_id")
    result(rows, as_json=as_json, text=lambda: table(head, ([row[name] for name in head] for row in rows)))


def _standing(said: dict[str, Any]) -> str:
    return f"{printable(said['login'])} is now {said['standing']}"
