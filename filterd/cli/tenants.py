"""`filterd tenant`: the enterprises answerable for their users."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, Any

import typer

from filterd.cli.importing import DryRun, ListFile, import_list
from filterd.cli.link import ask
from filterd.cli.options import ConfigFile, Json, StateDir, Token
from filterd.cli.places import load_config
from filterd.cli.say import printable, result, table

tenants = typer.Typer(help="Tenants: the enterprises answerable for their users.")

# As the ledger knows them (pipeline.import_tenants).
_COLUMNS = (
    "name",
    "agreement",
    "domains",
    "language",
    "contact",
    "seats",
    "reseller",
    "dealer",
    "plan",
    "expires_on",
    "external_id",
    "supplement",
    "supplement_document",
    "supplement_signed_by_provider",
    "supplement_signed_by_tenant",
    "supplement_effective_from",
    "supplement_categories",
)


@tenants.command("list")
def tenant_list(config: ConfigFile = None, state_dir: StateDir = None, as_json: Json = False) -> None:
    """List every tenant."""
    rows = ask(load_config(config, state_dir), "tenant.list")
    rows.sort(key=lambda row: row["name"])
    head = ("name", "agreement", "domains", "accounts", "seats", "language", "supplement", "id")
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
                    _supplement_word(r["supplement"]),
                    r["tenant_id"],
                )
                for r in rows
            ),
        ),
    )


@tenants.command("show")
def tenant_show(
    tenant: Annotated[str, typer.Argument(metavar="NAME|ID|DOMAIN")],
    config: ConfigFile = None,
    state_dir: StateDir = None,
    as_json: Json = False,
) -> None:
    """Show what is known of a tenant, and which terms bind it now."""
    shown = ask(load_config(config, state_dir), "tenant.show", tenant=tenant)
    result(shown, as_json=as_json, text=lambda: _tenant_lines(shown))


def _supplement_word(supplement: dict[str, Any] | None) -> str | None:
    if supplement is None:
        return None
    return supplement["agreement"] if supplement["is_in_force"] else "not in force"


def _tenant_lines(shown: dict[str, Any]) -> Iterable[str]:
    declared = "declared" if shown["domains_declared"] else "as mail has shown them"
    facts = {
        "name": shown["name"],
        "id": shown["tenant_id"],
        "terms in force": shown["terms"],
        "agreement": shown["agreement"],
        "reseller": shown["reseller"],
        "domains": f"{' '.join(shown['domains']) or '-'} ({declared})",
        "accounts": shown["accounts"],
        "seats": shown["seats"],
        "plan": shown["plan"],
        "expires": shown["expires_on"],
        "external id": shown["external_id"],
        "language": shown["language"],
        "contact": shown["contact"],
    }
    if (record := shown["supplement"]) is not None:
        facts |= {
            "supplement": record["agreement"],
            "its document": record["document"],
            "signed by provider": record["signed_by_provider"],
            "signed by tenant": record["signed_by_tenant"],
            "from": record["effective_from"],
            "its categories": " ".join(record["categories"]) or "all",
            "in force": "yes" if record["is_in_force"] else f"no: {record['why_not']}",
        }
    for name, value in facts.items():
        yield f"{name + ':':20}{'-' if value is None else printable(value)}"


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

    Columns: name, agreement, domains (parted by blanks or semicolons), language, contact, seats, reseller or dealer (in
    whose name notices go out), plan, expires_on (YYYY-MM-DD), external_id (what your directory calls it for good). A
    tenant is known by its external_id, else by its name. A column that is not there keeps what is known; an empty cell
    takes it away (of agreement: keeps it).

    A signed supplement: supplement (the id of its file; an empty cell withdraws the record), supplement_document,
    supplement_signed_by_provider, supplement_signed_by_tenant, supplement_effective_from (days, YYYY-MM-DD) and
    supplement_categories (empty: all). Without both signatures it is recorded and not in force.
    """
    settings = load_config(config, state_dir)
    import_list(settings, "tenant.import", file, _COLUMNS, "tenant", token, dry_run=dry_run, as_json=as_json)
