"""`filterd effect`: what was done outside for an account, and its mail in the MTA's queue.  STANDING 5.7-17, 5.7-20."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from filterd.cli.link import ask
from filterd.cli.options import ConfigFile, Json, Reason, StateDir, Token
from filterd.cli.places import find_token, load_config
from filterd.cli.say import printable, result, table

effects = typer.Typer(help="What effectors did outside: the MTA's queue, the identity system, the mail store.")

AccountArgument = Annotated[str, typer.Argument(metavar="ACCOUNT", help="A login or account id.")]


@effects.command("list")
def list_effects(
    account: AccountArgument, config: ConfigFile = None, state_dir: StateDir = None, as_json: Json = False
) -> None:
    """Say what was done for an account, the newest last."""
    rows = ask(load_config(config, state_dir), "effect.list", account=account)
    head = ("at", "effector", "act", "outcome", "count", "owner_id", "by", "detail")
    cells = ([printable(str(row[name])) for name in head] for row in rows)
    result(rows, as_json=as_json, text=lambda: table(head, cells))


@effects.command("queue")
def queue(
    account: AccountArgument,
    act: Annotated[str, typer.Option("--act", help="release, or delete.")],
    reason: Reason,
    token: Token = None,
    config: ConfigFile = None,
    state_dir: StateDir = None,
    as_json: Json = False,
) -> None:
    """Let go what filterd holds of an account's mail in the queue, or take it out for good."""
    settings = load_config(config, state_dir)
    said = ask(settings, "effect.queue", account=account, act=act, reason=reason, token=find_token(token))
    result(said, as_json=as_json, text=lambda: _told(said))


def _told(said: dict[str, Any]) -> list[str]:
    return [f"{said['held']} mails of {said['account_id']}: {said['act']} as soon as the queue is told"]
