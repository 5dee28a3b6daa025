"""`filterd tenant`: the enterprises answerable for their users."""

from __future__ import annotations

import typer

from filterd.cli.importing import DryRun, ListFile, import_list
from filterd.cli.link import ask
from filterd.cli.options import ConfigFile, Json, StateDir, Token
from filterd.cli.places import load_config
from filterd.cli.say import result, table

tenants = typer.Typer(help="Tenants: the enterprises answerable for their users.")

# As the ledger knows them (pipeline.import_tenants).
_COLUMNS = ("name", "agreement", "domains", "language", "contact", "seats")


@tenants.command("list")
def tenant_list(config: ConfigFile = None, state_dir: StateDir = None, as_json: Json = False) -> None:
    """List every tenant."""
    rows = ask(load_config(config, state_dir), "tenant.list")
    rows.sort(key=lambda row: row["name"])
    head = ("name", "agreement", "domains", "accounts", "seats", "language", "id")
    result(
        rows,
        as_json=as_json,
        text=lambda: table(
            head,
            (
                (
                    r["name"],
                    r["agreement"],
                    " ".join(r["domains"]),
                    r["accounts"],
                    r["seats"],
                    r["language"],
                    r["tenant_id"],
                )
                for r in rows
            ),
        ),
    )


@tenants.command("import")
def tenant_import(
    file: ListFile,
    dry_run: DryRun = False,
    token: Token = None,
    config: ConfigFile = None,
    state_dir: StateDir = None,
    as_json: Json = False,
) -> None:
    """Create and change tenants as a list says: all of it, or nothing when a row is wrong.

    Columns: name, agreement, domains (parted by blanks or semicolons), language, contact, seats. A tenant is known by
    its name. A column that is not there keeps what is known; an empty cell takes it away (of agreement: keeps it).
    """
    settings = load_config(config, state_dir)
    import_list(settings, "tenant.import", file, _COLUMNS, "tenant", token, dry_run=dry_run, as_json=as_json)
