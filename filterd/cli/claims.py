"""`filterd rights`, `filterd report`, `filterd change`: claims by others, what authorities may be owed, announcements.

TX-3.3.2 tail-f, 4.3.2, 4.1.4, 5.1. None of it goes out by itself but the notices that tell of a change.
"""

from __future__ import annotations

from typing import Annotated, Any

import typer

from filterd.cli.acting import who
from filterd.cli.link import ask
from filterd.cli.options import AsRoot, ConfigFile, Json, Reason, StateDir, Token
from filterd.cli.places import find_token, load_config
from filterd.cli.say import count, printable, result, table

rights = typer.Typer(help="Rights holders' notices: taken in, sent back for what they lack, listed.")
reports = typer.Typer(
    help="Reports that may be due to an authority: a list that people work off; none goes out by itself."
)
changes = typer.Typer(help="Changes of the service: announced before they take effect.")

Fields = Annotated[
    list[str] | None,
    typer.Option("--has", help="identity, contact, authority, right, location, statement. May be repeated."),
]
Holder = Annotated[str | None, typer.Option("--holder", metavar="ADDRESS", help="Who is asked for what is missing.")]
Document = Annotated[str, typer.Option("--document", help="Where it is filed.")]


@rights.command("file")
def rights_file(
    account: Annotated[str, typer.Argument(metavar="LOGIN|ID", help="Whom it is about.")],
    right: Annotated[str, typer.Option("--right", help="reputation, portrait, ip or secret.")],
    document: Document,
    has: Fields = None,
    holder: Holder = None,
    token: Token = None,
    config: ConfigFile = None,
    state_dir: StateDir = None,
    as_json: Json = False,
) -> None:
    """Take a notice in. What it lacks is asked for; complete, it is a task for a person. It has no effect by itself."""
    _act(
        "rights.file",
        config,
        state_dir,
        as_json,
        account=account,
        right=right,
        document=document,
        fields=has,
        holder=holder,
        token=find_token(token),
    )


@rights.command("add")
def rights_add(
    notice: Annotated[str, typer.Argument(metavar="ID")],
    has: Fields = None,
    holder: Holder = None,
    token: Token = None,
    config: ConfigFile = None,
    state_dir: StateDir = None,
    as_json: Json = False,
) -> None:
    """Note that the rights holder has sent what was missing, or a part of it."""
    _act("rights.add", config, state_dir, as_json, rights=notice, fields=has, holder=holder, token=find_token(token))


@rights.command("list")
def rights_list(
    token: Token = None, config: ConfigFile = None, state_dir: StateDir = None, as_json: Json = False
) -> None:
    """List the notices, and what each lacks."""
    rows = ask(load_config(config, state_dir), "rights.list", token=find_token(token))
    head = ("rights_id", "account_id", "right", "missing", "at", "document")
    cells = ([" ".join(row[n]) if n == "missing" else row[n] for n in head] for row in rows)
    result(rows, as_json=as_json, text=lambda: table(head, cells))


@reports.command("open")
def report_open(
    authority: Annotated[str, typer.Option("--authority", help="public_security, telecom, market, …")],
    ground: Annotated[str, typer.Option("--ground", help="The law or order it may be due under.")],
    due: Annotated[str, typer.Option("--due", metavar="DAY", help="Its last day, YYYY-MM-DD.")],
    account: Annotated[str | None, typer.Option("--account", metavar="LOGIN|ID")] = None,
    token: Token = None,
    config: ConfigFile = None,
    state_dir: StateDir = None,
    as_json: Json = False,
) -> None:
    """Put on the list that a report may be due. When its day is over and nobody has settled it, an alarm sounds."""
    _act(
        "report.open",
        config,
        state_dir,
        as_json,
        authority=authority,
        ground=ground,
        due=due,
        account=account,
        token=find_token(token),
    )


@reports.command("list")
def report_list(
    every: Annotated[bool, typer.Option("--all", help="Those that are settled, too.")] = False,
    token: Token = None,
    config: ConfigFile = None,
    state_dir: StateDir = None,
    as_json: Json = False,
) -> None:
    """List what nobody has settled yet."""
    rows = ask(load_config(config, state_dir), "report.list", all=every or None, token=find_token(token))
    head = ("report_id", "authority", "ground", "due_at", "overdue", "outcome", "decided_by")
    cells = (["OVERDUE" if row[n] is True else "" if row[n] is False else row[n] for n in head] for row in rows)
    result(rows, as_json=as_json, text=lambda: table(head, cells))


@reports.command("not-required")
def report_not_required(
    report: Annotated[str, typer.Argument(metavar="ID")],
    reason: Reason,
    token: Token = None,
    config: ConfigFile = None,
    state_dir: StateDir = None,
    as_json: Json = False,
) -> None:
    """Close one as not required, with a reason.

    One that was made takes two people and the document it was made in: filterd proposal make report.made site --set
    report=ID --set document=REF.
    """
    _act("report.not_required", config, state_dir, as_json, report=report, reason=reason, token=find_token(token))


@changes.command("announce")
def change_announce(
    what: Annotated[str, typer.Argument(metavar="WHAT", help="function, price, use, terms, or stop.")],
    on: Annotated[str, typer.Option("--on", metavar="DAY", help="The first day it is in effect, YYYY-MM-DD.")],
    document: Annotated[str, typer.Option("--document", help="Where it is published, such as news-2026-04.")],
    tenant: Annotated[str | None, typer.Option("--tenant", help="One customer only; default: all.")] = None,
    agreement: Annotated[
        str | None, typer.Option("--agreement", help="Whose terms are new, by id; where one binds all, that one.")
    ] = None,
    token: Token = None,
    as_root: AsRoot = False,
    config: ConfigFile = None,
    state_dir: StateDir = None,
    as_json: Json = False,
) -> None:
    """Announce a change. Every customer it concerns gets a notice; it cannot take effect on the same day.

    `stop` has to be announced as long before as the agreement gives for a change of law; then `filterd service end
    --because policy` is possible.
    """
    said = ask(
        load_config(config, state_dir),
        "change.announce",
        what=what,
        effective_on=on,
        document=document,
        tenant=tenant,
        agreement=agreement,
        **who(token, as_root=as_root),
    )
    line = f"{what} from {said['effective_at']} on; {count(said['told'], 'tenant')} will be told ({said['change_id']})"
    result(said, as_json=as_json, text=lambda: [line])


@changes.command("list")
def change_list(
    every: Annotated[bool, typer.Option("--all", help="Those in effect, too.")] = False,
    token: Token = None,
    config: ConfigFile = None,
    state_dir: StateDir = None,
    as_json: Json = False,
) -> None:
    """List what was announced, and how many customers have received their notice."""
    rows = ask(load_config(config, state_dir), "change.list", all=every or None, token=find_token(token))
    head = ("change_id", "what", "agreement", "effective_at", "tenant_id", "received", "document", "by")
    result(rows, as_json=as_json, text=lambda: table(head, ([row[n] for n in head] for row in rows)))


def _act(verb: str, config: Any, state_dir: Any, as_json: bool, **arguments: Any) -> None:
    said = ask(load_config(config, state_dir), verb, **arguments)
    result(said, as_json=as_json, text=lambda: [printable(f"{name}: {value}") for name, value in said.items()])
