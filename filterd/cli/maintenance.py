"""`filterd maintenance`: windows in which mail waits and no clock of people runs.  AL-6.3, TX-5.2."""

from __future__ import annotations

from typing import Annotated

import typer

from filterd.cli.link import ask
from filterd.cli.options import AsRoot, ConfigFile, Json, StateDir, Token
from filterd.cli.places import find_token, load_config
from filterd.cli.say import count, result, table

maintenance = typer.Typer(help="Maintenance windows: announced, listed, ended.")


@maintenance.command("announce")
def announce(
    until: Annotated[str, typer.Option("--until", metavar="INSTANT", help="With its zone.")],
    since: Annotated[str | None, typer.Option("--from", metavar="INSTANT", help="Default: now.")] = None,
    emergency: Annotated[
        bool, typer.Option("--emergency", help="It begins now although an agreement promises to tell beforehand.")
    ] = False,
    as_root: AsRoot = False,
    token: Token = None,
    config: ConfigFile = None,
    state_dir: StateDir = None,
    as_json: Json = False,
) -> None:
    """Announce a window. Every tenant gets a notice; in the window mail waits (451) and nothing counts as overdue."""
    said = ask(
        load_config(config, state_dir),
        "maintenance.announce",
        since=since,
        until=until,
        is_emergency=emergency or None,
        as_root=as_root or None,
        token=find_token(token),
    )
    told = count(said["told"], "tenant")
    line = f"mail waits from {said['since']} to {said['until']}; {told} will be told ({said['window_id']})"
    result(said, as_json=as_json, text=lambda: [line])


@maintenance.command("list")
def listed(
    every: Annotated[bool, typer.Option("--all", help="Those that are over, too.")] = False,
    config: ConfigFile = None,
    state_dir: StateDir = None,
    as_json: Json = False,
) -> None:
    """List the windows that are open or to come."""
    rows = ask(load_config(config, state_dir), "maintenance.list", all=every or None)
    head = ("window_id", "since", "until", "is_open", "is_emergency", "by")
    cells = (["yes" if row[n] is True else "" if row[n] is False else row[n] for n in head] for row in rows)
    result(rows, as_json=as_json, text=lambda: table(head, cells))


@maintenance.command("end")
def end(
    window: Annotated[str, typer.Argument(metavar="ID", help="As `maintenance list` says it.")],
    as_root: AsRoot = False,
    token: Token = None,
    config: ConfigFile = None,
    state_dir: StateDir = None,
    as_json: Json = False,
) -> None:
    """End a window now; one that has not begun does not happen, and everybody is told so."""
    said = ask(
        load_config(config, state_dir),
        "maintenance.end",
        window=window,
        as_root=as_root or None,
        token=find_token(token),
    )
    result(said, as_json=as_json, text=lambda: [f"{said['window_id']} is over"])
