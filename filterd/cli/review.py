"""`filterd sanction`, `hold`, `appeal`, `task`: what people do to standing.  STANDING 5.4-5.6."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any

import typer

from filterd.cli.link import ask
from filterd.cli.options import ConfigFile, Json, Reason, StateDir, Token
from filterd.cli.places import find_token, load_config
from filterd.cli.say import count, printable, result, table

sanctions = typer.Typer(help="Sanctions: impose, confirm, lift or annul one, as a named person.")
holds = typer.Typer(help="Protective holds: release one, as a named person.")
appeals = typer.Typer(help="Appeals: file one for somebody, list them, decide them.")
tasks = typer.Typer(help="What waits for a person.")

SanctionId = Annotated[str, typer.Argument(metavar="ID", help="A sanction, incident or case id.")]


@sanctions.command("impose")
def impose(
    account: Annotated[str, typer.Argument(metavar="ACCOUNT", help="A login or account id.")],
    feature: Annotated[
        list[str],
        typer.Option(
            "--feature",
            help="What is switched off: links, messages_per_day:50, recipient:someone@example.com. May be repeated.",
        ),
    ],
    hours: Annotated[int, typer.Option("--hours", min=1, help="For how long.")],
    clause: Annotated[str, typer.Option("--clause", help="Under which clause of the account's agreement.")],
    reason: Reason,
    case: Annotated[
        str | None, typer.Option("--case", metavar="ID", help="The incident or case it answers, if there is one.")
    ] = None,
    token: Token = None,
    config: ConfigFile = None,
    state_dir: StateDir = None,
    as_json: Json = False,
) -> None:
    """Switch features of an account off for a time. Everything else goes on working; its user is told."""
    _act(
        "sanction.impose",
        config,
        state_dir,
        as_json,
        account=account,
        features=feature,
        hours=hours,
        clause=clause,
        case=case,
        reason=reason,
        token=find_token(token),
    )


@sanctions.command("confirm")
def confirm(
    sanction: SanctionId,
    reason: Reason,
    token: Token = None,
    config: ConfigFile = None,
    state_dir: StateDir = None,
    as_json: Json = False,
) -> None:
    """Confirm a sanction: a person has looked, and it is right."""
    _act("sanction.confirm", config, state_dir, as_json, sanction=sanction, reason=reason, token=find_token(token))


@sanctions.command("lift")
def lift(
    sanction: SanctionId,
    reason: Reason,
    token: Token = None,
    config: ConfigFile = None,
    state_dir: StateDir = None,
    as_json: Json = False,
) -> None:
    """End a sanction now. The strike stays; to undo an error, annul."""
    _act("sanction.lift", config, state_dir, as_json, sanction=sanction, reason=reason, token=find_token(token))


@sanctions.command("annul")
def annul(
    sanction: SanctionId,
    reason: Reason,
    token: Token = None,
    config: ConfigFile = None,
    state_dir: StateDir = None,
    as_json: Json = False,
) -> None:
    """Undo our error: the strike never counted, later sanctions are replayed without it, the user is told."""
    _act("sanction.annul", config, state_dir, as_json, sanction=sanction, reason=reason, token=find_token(token))


@holds.command("release")
def release(
    hold: Annotated[str, typer.Argument(metavar="ID", help="The hold's id, as `account show` says it.")],
    reason: Reason,
    token: Token = None,
    config: ConfigFile = None,
    state_dir: StateDir = None,
    as_json: Json = False,
) -> None:
    """Unlock an account: somebody has made sure that it is in its owner's hands."""
    _act("hold.release", config, state_dir, as_json, hold=hold, reason=reason, token=find_token(token))


@appeals.command("file")
def appeal_file(
    target: Annotated[str, typer.Argument(metavar="TARGET", help="A login or account id, or one sanction or case id.")],
    token: Token = None,
    config: ConfigFile = None,
    state_dir: StateDir = None,
    as_json: Json = False,
) -> None:
    """File an objection for somebody who asked for it, against one sanction or all in force."""
    said = ask(load_config(config, state_dir), "appeal.file", target=target, token=find_token(token))
    result(
        said,
        as_json=as_json,
        text=lambda: [f"{count(said['filed'], 'objection')} filed", *_appeal_lines(said["appeals"])],
    )


@appeals.command("list")
def appeal_list(
    every: Annotated[bool, typer.Option("--all", help="The decided ones too.")] = False,
    config: ConfigFile = None,
    state_dir: StateDir = None,
    as_json: Json = False,
) -> None:
    """List the appeals that wait for a decision."""
    rows = ask(load_config(config, state_dir), "appeal.list", all=every)
    result(rows, as_json=as_json, text=lambda: _appeal_lines(rows))


@appeals.command("decide")
def appeal_decide(
    appeal: Annotated[str, typer.Argument(metavar="ID", help="The appeal's id.")],
    outcome: Annotated[
        str, typer.Option("--outcome", help="granted, partially_granted, denied, inadmissible, or withdrawn.")
    ],
    reason: Reason,
    token: Token = None,
    config: ConfigFile = None,
    state_dir: StateDir = None,
    as_json: Json = False,
) -> None:
    """Decide an appeal. Whoever confirmed the sanction cannot; granted annuls it."""
    _act(
        "appeal.decide",
        config,
        state_dir,
        as_json,
        appeal=appeal,
        outcome=outcome,
        reason=reason,
        token=find_token(token),
    )


@tasks.command("list")
def task_list(config: ConfigFile = None, state_dir: StateDir = None, as_json: Json = False) -> None:
    """List what is warranted and waits for a person."""
    rows = ask(load_config(config, state_dir), "task.list")
    head = ("due", "login", "what", "warranted", "imposed", "overdue", "incident")
    result(
        rows,
        as_json=as_json,
        text=lambda: table(
            head,
            (
                (
                    r["due_at"],
                    r["login"],
                    r["what"],
                    r["warranted"],
                    r["imposed"],
                    "OVERDUE" if r["overdue"] else "",
                    r["incident_id"],
                )
                for r in rows
            ),
        ),
    )


def _act(verb: str, config: Path | None, state_dir: Path | None, as_json: bool, **arguments: Any) -> None:
    """Do something to an account and say its standing afterwards."""
    said = ask(load_config(config, state_dir), verb, **arguments)
    until = f" until {said['until']}" if said["until"] else ""
    line = f"{printable(said['login'])} is now {said['standing']}{until} with {said['points']:g} points"
    result(said, as_json=as_json, text=lambda: [line])


def _appeal_lines(rows: list[dict[str, Any]]) -> Iterable[str]:
    head = ("appeal_id", "login", "filed_at", "channel", "outcome", "sanction_id")
    return table(head, ([row[name] for name in head] for row in rows))
