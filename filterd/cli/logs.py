"""`filterd log`: what happened, out of the event stream's files. Needs no running filterd."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from filterd.cli.options import ConfigFile, Json, StateDir
from filterd.cli.places import events_of, key_of, load_config
from filterd.cli.say import dumps
from filterd.errors import UsageError

if TYPE_CHECKING:
    from filterd.config import Config

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


@logs.command("find")
def find(
    message_id: Annotated[
        str | None, typer.Option("--message-id", metavar="ID", help="The Message-ID field, with or without <>.")
    ] = None,
    queue_id: Annotated[
        str | None, typer.Option("--queue-id", metavar="ID", help="The next hop's queue id, from its own log.")
    ] = None,
    account: Annotated[
        str | None,
        typer.Option("--account", metavar="LOGIN|ID", help="Whose mail. A login needs the running ledger, an id not."),
    ] = None,
    number: Annotated[int, typer.Option("-n", "--limit", min=1, max=100_000, help="The latest so many.")] = 50,
    config: ConfigFile = None,
    state_dir: StateDir = None,
    as_json: Json = False,
) -> None:
    """Find mails and say what became of each, one line a mail; with --json one object a line.

    Several options narrow the search. `filterd log show TX` says everything about one of them.
    """
    from filterd.cli import finding
    from filterd.clients.keys import load_keys

    if message_id is None and queue_id is None and account is None:
        raise UsageError("give --message-id, --queue-id or --account")
    settings = load_config(config, state_dir)
    directory = _directory(config, state_dir)
    hashes = None
    if message_id is not None:
        hashes = finding.message_id_hashes(load_keys(key_of(settings), may_create=False).pseudonym, message_id)
    account_id = None if account is None else _account_id(settings, account)
    found = finding.find(directory, message_ids=hashes, queue_id=queue_id, account_id=account_id)[-number:]
    if not found:
        raise UsageError(f"no such mail in {directory}")
    for mail in found:
        print(dumps(mail.as_json()) if as_json else mail.line())


def _account_id(settings: Config, text: str) -> str:
    """Say the id of a login; an id is taken as it is."""
    from filterd.cli.link import ask

    return text if "@" not in text else str(ask(settings, "account.show", account=text)["account_id"])


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
