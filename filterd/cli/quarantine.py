"""`filterd quarantine`: mail that was taken and not delivered."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, Any

import typer

from filterd.cli.link import ask
from filterd.cli.options import ConfigFile, Json, Reason, StateDir, Token
from filterd.cli.places import find_token, load_config
from filterd.cli.say import printable, result, table

quarantine = typer.Typer(help="Held mail: list it, look at one, delete one, as a named person.")

ItemId = Annotated[str, typer.Argument(metavar="ID", help="The item's id, as `quarantine list` says it.")]


@quarantine.command("list")
def quarantine_list(
    every: Annotated[bool, typer.Option("--all", help="What was delivered, returned or deleted, too.")] = False,
    config: ConfigFile = None,
    state_dir: StateDir = None,
    as_json: Json = False,
) -> None:
    """List what is held, the first due first."""
    rows = ask(load_config(config, state_dir), "quarantine.list", all=every)
    head = ("item_id", "login", "reason", "state", "held_at", "due_at", "overdue")
    cells = ([("OVERDUE" if row[n] else "") if n == "overdue" else row[n] for n in head] for row in rows)
    result(rows, as_json=as_json, text=lambda: table(head, cells))


@quarantine.command("show")
def show(
    item: ItemId,
    reason: Reason,
    token: Token = None,
    config: ConfigFile = None,
    state_dir: StateDir = None,
    as_json: Json = False,
) -> None:
    """Say who wanted to send a held mail to whom. The ledger has a row that says who saw it."""
    said = ask(
        load_config(config, state_dir), "quarantine.show", item=item, reason=reason, token=find_token(token)
    )
    result(said, as_json=as_json, text=lambda: _lines(said))


@quarantine.command("delete")
def delete(
    item: ItemId,
    reason: Reason,
    token: Token = None,
    config: ConfigFile = None,
    state_dir: StateDir = None,
    as_json: Json = False,
) -> None:
    """Delete a held mail for good. Its sender was told that it was taken; nobody is told that it is gone."""
    said = ask(
        load_config(config, state_dir), "quarantine.delete", item=item, reason=reason, token=find_token(token)
    )
    result(said, as_json=as_json, text=lambda: [f"{said['item_id']} is {said['state']}"])


def _lines(said: dict[str, Any]) -> Iterable[str]:
    for name in ("item_id", "transaction_id", "login", "reason", "state", "held_at", "due_at", "digest"):
        yield f"{name:<16}{'-' if said[name] is None else printable(said[name])}"
    envelope = said["envelope"]
    if envelope is None:
        yield "its envelope can no longer be read"
        return
    yield f"{'from':<16}{printable(envelope['reverse_path'] or '<>')}"
    for address in envelope["forward_paths"]:
        yield f"{'to':<16}{printable(address)}"
