"""`filterd log`: what happened, out of the event stream's files. Needs no running filterd."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from filterd.cli.log_index import indexes
from filterd.cli.log_verify import verify
from filterd.cli.options import ConfigFile, Json, StateDir
from filterd.cli.places import events_of, load_config
from filterd.cli.say import complain, dumps
from filterd.errors import UsageError

if TYPE_CHECKING:
    from filterd.config import Config

logs = typer.Typer(help="The event stream: what happened to a mail, an account, a case.")

logs.command("verify")(verify)
logs.add_typer(indexes, name="index", no_args_is_help=True)

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
    since: Annotated[
        str | None, typer.Option("--since", metavar="TIME", help="From then on: 2h, 7d, 2026-11-02, or RFC 3339 (UTC).")
    ] = None,
    until: Annotated[str | None, typer.Option("--until", metavar="TIME", help="Before then, likewise.")] = None,
    account: Annotated[
        str | None,
        typer.Option("--account", metavar="LOGIN|ID", help="Whose mail. A login needs the running ledger, an id not."),
    ] = None,
    tenant: Annotated[str | None, typer.Option("--tenant", metavar="ID", help="Of which tenant.")] = None,
    code: Annotated[str | None, typer.Option("--code", metavar="CODE", help="With this finding.")] = None,
    disposition: Annotated[
        str | None,
        typer.Option(
            "--disposition",
            help="accept, tag, quarantine, defer, reject, discard; bypassed (unjudged), denied (RCPT).",
        ),
    ] = None,
    sender_domain: Annotated[
        str | None, typer.Option("--sender-domain", metavar="DOMAIN", help="Domain of the envelope sender.")
    ] = None,
    message_id: Annotated[
        str | None, typer.Option("--message-id", metavar="ID", help="The Message-ID field, with or without <>.")
    ] = None,
    queue_id: Annotated[
        str | None, typer.Option("--queue-id", metavar="ID", help="The next hop's queue id, from its own log.")
    ] = None,
    incident: Annotated[str | None, typer.Option("--incident", metavar="ID", help="Of this incident.")] = None,
    number: Annotated[int, typer.Option("-n", "--limit", min=1, max=100_000, help="The latest so many.")] = 50,
    from_files: Annotated[bool, typer.Option("--files", help="Read the files, whatever the index has.")] = False,
    config: ConfigFile = None,
    state_dir: StateDir = None,
    as_json: Json = False,
) -> None:
    """Find mails and say what became of each, one line a mail; with --json one object a line.

    Several options narrow the search. `filterd log show TX` says everything about one of them. Standard error says
    whether the index was asked or the files were read.
    """
    from datetime import UTC, datetime

    from filterd.cli import finding
    from filterd.cli.keys import keys_of
    from filterd.cli.log_index import index_of
    from filterd.log import message_id_hashes
    from filterd.log.search import micros
    from filterd.model.found import MailQuery

    asked = (since, until, account, tenant, code, disposition, sender_domain, message_id, queue_id, incident)
    if all(item is None for item in asked):
        raise UsageError("say what to look for, such as --account or --since; `filterd log find --help` has it all")
    settings = load_config(config, state_dir)
    directory = _directory(config, state_dir)
    now = datetime.now(UTC)
    query = MailQuery(
        since_us=None if since is None else micros(finding.moment(since, now)),
        until_us=None if until is None else micros(finding.moment(until, now)),
        account_id=None if account is None else _account_id(settings, account),
        tenant_id=tenant,
        code=code,
        disposition=disposition,
        sender_domain=None if sender_domain is None else sender_domain.lower(),
        message_ids=None if message_id is None else message_id_hashes(keys_of(settings).pseudonym, message_id),
        queue_id=queue_id,
        incident_id=incident,
        limit=number,
    )
    index = None if from_files else index_of(settings)
    try:
        found = finding.find(directory, index, query)
    finally:
        if index is not None:
            index.close()
    if not found.mails:
        raise UsageError(f"no such mail in {directory} ({found.source})")
    complain(found.source)
    for mail in found.mails:
        print(dumps(finding.as_json(mail)) if as_json else finding.line(mail))


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
