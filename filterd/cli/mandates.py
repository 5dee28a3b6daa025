"""`filterd mandate`: a reseller lets the platform's people decide in its name.  CLAUSES 0.15."""

from __future__ import annotations

from typing import Annotated

import typer

from filterd.cli.acting import who
from filterd.cli.link import ask
from filterd.cli.options import AsRoot, ConfigFile, Json, Reason, StateDir, Token
from filterd.cli.places import load_config
from filterd.cli.say import result, table

mandates = typer.Typer(help="Mandates: a reseller lets the platform's people decide about its tenants.")


@mandates.command("give")
def mandate_give(
    dealer: Annotated[str, typer.Argument(metavar="RESELLER", help="Its name, as the tenants' records have it.")],
    document: Annotated[str, typer.Option("--document", help="Where it stands: a contract number, for instance.")],
    until: Annotated[str | None, typer.Option("--until", help="An instant with its zone; left out: for good.")] = None,
    token: Token = None,
    as_root: AsRoot = False,
    config: ConfigFile = None,
    state_dir: StateDir = None,
    as_json: Json = False,
) -> None:
    """Put a mandate on record."""
    said = ask(
        load_config(config, state_dir),
        "mandate.give",
        dealer=dealer,
        document=document,
        until=until,
        **who(token, as_root=as_root),
    )
    until = said["until"] or "it is ended"
    result(said, as_json=as_json, text=lambda: [f"{said['mandate_id']} is in force until {until}"])


@mandates.command("end")
def mandate_end(
    mandate: Annotated[str, typer.Argument(metavar="ID", help="The mandate's id.")],
    reason: Reason,
    token: Token = None,
    as_root: AsRoot = False,
    config: ConfigFile = None,
    state_dir: StateDir = None,
    as_json: Json = False,
) -> None:
    """End a mandate now."""
    verb = "mandate.end"
    said = ask(load_config(config, state_dir), verb, mandate=mandate, reason=reason, **who(token, as_root=as_root))
    result(said, as_json=as_json, text=lambda: [f"{mandate} has ended"])


@mandates.command("list")
def mandate_list(config: ConfigFile = None, state_dir: StateDir = None, as_json: Json = False) -> None:
    """List the mandates in force; a reseller is shown as a keyed hash."""
    rows = ask(load_config(config, state_dir), "mandate.list")
    head = ("mandate_id", "dealer", "document", "since", "until", "by")
    result(rows, as_json=as_json, text=lambda: table(head, ([row[name] for name in head] for row in rows)))
