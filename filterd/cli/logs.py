"""`filterd log`: what happened, out of the event stream's files. Needs no running filterd."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated

import typer

from filterd.cli.options import ConfigFile, Json, StateDir
from filterd.cli.places import events_of, load_config
from filterd.cli.say import dumps
from filterd.errors import UsageError

logs = typer.Typer(help="The event stream: what happened to a mail, an account, a case.")

_LOOK_EVERY_S = 0.3


@logs.command("show")
def show(
    ident: Annotated[
        str,
        typer.Argument(metavar="ID", help="A transaction, incident, case, sanction, account or queue id."),
    ],
    config: ConfigFile = None,
    state_dir: StateDir = None,
    as_json: Json = False,
) -> None:
    """Show every event and ledger entry about an id, in the order they happened."""
    from filterd.cli.event_text import event_lines
    from filterd.cli.events import everything_about

    directory = _directory(config, state_dir)
    events = everything_about(directory, ident)
    if not events:
        hint = "; the stream knows no addresses, `filterd account show` says the account's id" if "@" in ident else ""
        raise UsageError(f"nothing about {ident} in {directory}{hint}")
    for event in events:
        for line in [dumps(event)] if as_json else event_lines(event):
            print(line)


@logs.command("tail")
def tail(
    number: Annotated[int, typer.Option("-n", "--lines", min=1, max=100_000, help="How many events.")] = 20,
    follow: Annotated[bool, typer.Option("-f", "--follow", help="Go on with what comes, until Ctrl-C.")] = False,
    config: ConfigFile = None,
    state_dir: StateDir = None,
    as_json: Json = False,
) -> None:
    """Show the latest events of all processes, one line each; with --json one object a line."""
    from filterd.cli import events as stream
    from filterd.cli.event_text import event_lines

    directory = _directory(config, state_dir)
    # Before the files are read backwards, so that nothing is missed between; what is then read twice is said once.
    positions = stream.ends(directory)
    events = stream.latest(directory, number)
    said = {(event["writer"], event["seq"]) for event in events}
    while True:
        for event in events:
            for line in [dumps(event)] if as_json else event_lines(event, is_brief=True):
                print(line, flush=follow)
        if not follow:
            return
        time.sleep(_LOOK_EVERY_S)
        events = [e for e in stream.follow(directory, positions) if (e["writer"], e["seq"]) not in said]


def _directory(config: Path | None, state_dir: Path | None) -> Path:
    directory = events_of(load_config(config, state_dir))
    if not directory.is_dir():
        raise UsageError(f"{directory}: there is no event stream here; --config or --state-dir says where")
    return directory
