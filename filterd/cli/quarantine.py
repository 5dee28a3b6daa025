"""`filterd quarantine`: mail that was taken and not delivered yet."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any

import typer

from filterd.cli.evidence import hand_out
from filterd.cli.link import ask
from filterd.cli.options import ConfigFile, Json, Reason, StateDir, Token
from filterd.cli.places import find_token, load_config
from filterd.cli.say import printable, result, table

quarantine = typer.Typer(help="Held mail: list it, read it, let it go, send it back, delete it, as a named person.")

Copies = Annotated[
    bool, typer.Option("--copies", help="With it, all that is held of the same campaign of the account.")
]
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
    head = ("item_id", "login", "direction", "reason", "state", "held_at", "due_at", "overdue")
    cells = ([("OVERDUE" if row[n] else "") if n == "overdue" else row[n] for n in head] for row in rows)
    result(rows, as_json=as_json, text=lambda: table(head, cells))


@quarantine.command("show")
def show(
    item: ItemId,
    reason: Reason,
    raw: Annotated[
        Path | None,
        typer.Option("--raw", metavar="FILE", help="Write the mail to a new file of mode 0600; - is standard output."),
    ] = None,
    token: Token = None,
    config: ConfigFile = None,
    state_dir: StateDir = None,
    as_json: Json = False,
) -> None:
    """Say who wanted to send a held mail to whom; with --raw hand out the mail. The ledger says who saw it."""
    settings, person = load_config(config, state_dir), find_token(token)
    if raw is not None:
        hand_out(settings, "quarantine.read", raw, item=item, reason=reason, token=person)
        return
    said = ask(settings, "quarantine.show", item=item, reason=reason, token=person)
    result(said, as_json=as_json, text=lambda: _lines(said))


@quarantine.command("release")
def release(
    item: ItemId,
    reason: Reason,
    copies: Copies = False,
    annul: Annotated[bool, typer.Option("--annul", help="It was no breach: annul what followed from it, too.")] = False,
    token: Token = None,
    config: ConfigFile = None,
    state_dir: StateDir = None,
    as_json: Json = False,
) -> None:
    """Let a held mail go to the next hop. What it does not take for good comes back to the sender."""
    given: dict[str, Any] = {"item": item, "reason": reason, "copies": copies, "token": find_token(token)}
    said = ask(load_config(config, state_dir), "quarantine.release", annul=annul, **given)
    result(said, as_json=as_json, text=lambda: _moved(said))


@quarantine.command("return")
def return_(
    item: ItemId,
    reason: Reason,
    copies: Copies = False,
    token: Token = None,
    config: ConfigFile = None,
    state_dir: StateDir = None,
    as_json: Json = False,
) -> None:
    """Send a held mail back to whoever sent it, in a report with the mail attached. Nothing counts for it."""
    given: dict[str, Any] = {"item": item, "reason": reason, "copies": copies, "token": find_token(token)}
    said = ask(load_config(config, state_dir), "quarantine.return", **given)
    result(said, as_json=as_json, text=lambda: _moved(said))


@quarantine.command("confirm")
def confirm(
    item: ItemId,
    reason: Reason,
    copies: Copies = False,
    token: Token = None,
    config: ConfigFile = None,
    state_dir: StateDir = None,
    as_json: Json = False,
) -> None:
    """Say that a held mail is a breach: its sanction is confirmed, as `sanction confirm` does, and it goes back."""
    given: dict[str, Any] = {"item": item, "reason": reason, "copies": copies, "token": find_token(token)}
    said = ask(load_config(config, state_dir), "quarantine.confirm", **given)
    result(said, as_json=as_json, text=lambda: _moved(said))


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


def _moved(said: dict[str, Any]) -> Iterable[str]:
    for row in said["copies"]:
        yield f"{row['item_id']} is {row['state']}"
    if (standing := said.get("standing")) is not None:
        yield f"{standing['login']} is {standing['standing']}"


def _lines(said: dict[str, Any]) -> Iterable[str]:
    names = ("item_id", "transaction_id", "incident_id", "login", "direction", "reason", "state", "held_at", "due_at")
    for name in (*names, "digest"):
        yield f"{name:<16}{'-' if said[name] is None else printable(said[name])}"
    if said["queue_ids"]:
        yield f"{'on hold as':<16}{printable(' '.join(said['queue_ids']))}"
    envelope = said["envelope"]
    if envelope is None:
        yield "its envelope can no longer be read"
        return
    yield f"{'from':<16}{printable(envelope['reverse_path'] or '<>')}"
    for address in envelope["forward_paths"]:
        yield f"{'to':<16}{printable(address)}"
