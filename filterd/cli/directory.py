"""`filterd tenant`, `filterd account`, `filterd person`: who there is, what they may do, and lists of them."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any

import typer

from filterd.cli.link import ask
from filterd.cli.options import ConfigFile, Json, StateDir, Token
from filterd.cli.places import find_token, load_config
from filterd.cli.say import complain, count, printable, result, table
from filterd.errors import ConfigError

tenants = typer.Typer(help="Tenants: the enterprises answerable for their users.")
accounts = typer.Typer(help="Accounts: their standing, their history, and lists of them.")
people = typer.Typer(help="People who may act by name.")

# As the ledger knows them (pipeline.import_tenants, pipeline.import_accounts).
_TENANT_COLUMNS = ("name", "agreement", "domains", "language", "contact", "seats")
_ACCOUNT_COLUMNS = ("login", "tenant", "language", "contact")
_CHANGES_SHOWN = 50
# A long list is one transaction.
_IMPORT_WITHIN_S = 600.0

ListFile = Annotated[Path, typer.Argument(metavar="FILE", help="CSV with a header, or JSONL; - is standard input.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Say what would change, and change nothing.")]


# --- tenants ----------------------------------------------------------------------------------------------------------


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
    _import(settings, "tenant.import", file, _TENANT_COLUMNS, "tenant", token, dry_run=dry_run, as_json=as_json)


# --- accounts ---------------------------------------------------------------------------------------------------------


@accounts.command("list")
def account_list(
    only_sanctioned: Annotated[
        bool, typer.Option("--sanctioned", help="Only those with a strike or a sanction.")
    ] = False,
    config: ConfigFile = None,
    state_dir: StateDir = None,
    as_json: Json = False,
) -> None:
    """List every account with its standing."""
    rows = ask(load_config(config, state_dir), "account.list", only_sanctioned=only_sanctioned)
    rows.sort(key=lambda row: row["login"])
    head = ("login", "standing", "until", "points", "provisional", "id")
    result(
        rows,
        as_json=as_json,
        text=lambda: table(
            head,
            (
                (
                    r["login"],
                    r["standing"],
                    r["until"],
                    f"{r['points']:g}",
                    f"{r['provisional_points']:g}",
                    r["account_id"],
                )
                for r in rows
            ),
        ),
    )


@accounts.command("show")
def account_show(
    account: Annotated[str, typer.Argument(metavar="LOGIN|ID")],
    config: ConfigFile = None,
    state_dir: StateDir = None,
    as_json: Json = False,
) -> None:
    """Show what an account may do now, and why."""
    shown = ask(load_config(config, state_dir), "account.show", account=account)
    result(shown, as_json=as_json, text=lambda: _account_lines(shown))


@accounts.command("history")
def account_history(
    account: Annotated[str, typer.Argument(metavar="LOGIN|ID")],
    config: ConfigFile = None,
    state_dir: StateDir = None,
    as_json: Json = False,
) -> None:
    """Show every ledger entry about an account, in order."""
    from filterd.cli.event_text import record_line

    rows = ask(load_config(config, state_dir), "account.history", account=account)
    result(rows, as_json=as_json, text=lambda: (record_line(r["kind"], r) for r in rows))


@accounts.command("import")
def account_import(
    file: ListFile,
    dry_run: DryRun = False,
    token: Token = None,
    config: ConfigFile = None,
    state_dir: StateDir = None,
    as_json: Json = False,
) -> None:
    """Create and change accounts as a list says: all of it, or nothing when a row is wrong.

    At most 10,000 rows. Columns: login, tenant (name, id, or a domain; left empty: whose domain the login has),
    language, contact. A column that is not there keeps what is known; an empty cell takes it away (tenant: keeps it).
    """
    settings = load_config(config, state_dir)
    _import(settings, "account.import", file, _ACCOUNT_COLUMNS, "account", token, dry_run=dry_run, as_json=as_json)


def _account_lines(shown: dict[str, Any]) -> Iterable[str]:
    until = f" until {shown['until']}" if shown["until"] else ""
    yield f"{printable(shown['login'])}  {shown['account_id']}"
    yield f"standing  {shown['standing']}{until}"
    yield f"points    {shown['points']:g} ({shown['provisional_points']:g} of them provisional)"
    if shown["features_off"]:
        yield f"off       {', '.join(shown['features_off'])}"
    for key, head in (
        (
            "sanctions",
            ("sanction_id", "rung", "features", "category", "clauses", "ends_at", "confirmed", "incident_id"),
        ),
        ("holds", ("hold_id", "features", "ends_at", "incident_id")),
        ("strikes", ("strike_id", "points", "provisional", "fades_at", "incident_id")),
        ("incidents", ("incident_id", "began_at", "families", "messages", "recipients", "points", "annulled")),
    ):
        if shown[key]:
            yield ""
            yield f"{key}:"
            yield from (
                f"  {line}" for line in table(head, ([_cell(row[name]) for name in head] for row in shown[key]))
            )


def _cell(value: Any) -> Any:
    if isinstance(value, list):
        return ", ".join(map(str, value)) or None
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:g}" if isinstance(value, float) else value


# --- people -----------------------------------------------------------------------------------------------------------


@people.command("add")
def person_add(
    name: Annotated[str, typer.Argument(metavar="NAME", help="As it will stand in the ledger.")],
    role: Annotated[
        str,
        typer.Option(
            "--role",
            help="viewer, reviewer, moderator, approver, appeals_reviewer, policy_editor, auditor, or admin.",
        ),
    ],
    as_root: Annotated[
        bool, typer.Option("--as-root", help="Without a person: the entry says 'root'. For when no admin is left.")
    ] = False,
    token: Token = None,
    config: ConfigFile = None,
    state_dir: StateDir = None,
    as_json: Json = False,
) -> None:
    """Add a person, or give one another role and token. The token is printed once and stored nowhere.

    The first person needs no token; later ones are added with the token of a person whose role is admin.
    """
    settings = load_config(config, state_dir)
    if as_root:
        complain(
            "WARNING: adding a person as root. No named person answers for this; the ledger entry says 'root', "
            "and everybody who reads the ledger will see it"
        )
    said = ask(settings, "person.add", name=name, role=role, as_root=as_root, token=find_token(token))

    def lines() -> Iterable[str]:
        yield f"{printable(said['name'])} is now {said['role']} (added by {printable(said['by'])})"
        yield f"token: {said['token']}"
        yield "It is shown this once: put it into ~/.config/filterd/token (mode 0600) or FILTERD_TOKEN."

    result(said, as_json=as_json, text=lines)


@people.command("list")
def person_list(config: ConfigFile = None, state_dir: StateDir = None, as_json: Json = False) -> None:
    """List everybody who may act."""
    rows = ask(load_config(config, state_dir), "person.list")
    result(rows, as_json=as_json, text=lambda: table(("name", "role"), ((r["name"], r["role"]) for r in rows)))


# --- lists ------------------------------------------------------------------------------------------------------------


def _import(
    settings: Any,
    verb: str,
    file: Path,
    columns: tuple[str, ...],
    noun: str,
    token: str | None,
    *,
    dry_run: bool,
    as_json: bool,
) -> None:
    """Hand a list to the ledger and say what came of it. Raises ConfigError for the last wrong row; says the others."""
    from filterd.cli.lists import read_list

    rows = read_list(file, columns, columns[0])
    said = ask(settings, verb, answer_within_s=_IMPORT_WITHIN_S, rows=rows, dry_run=dry_run, token=find_token(token))
    name = "standard input" if str(file) == "-" else file
    errors = [ConfigError(e["message"], file=name, line=e["line"], key=e["key"]) for e in said["errors"]]
    for error in errors[:-1]:
        complain(str(error))
    if errors:
        raise errors[-1]
    result(said, as_json=as_json, text=lambda: _import_lines(said, noun))


def _import_lines(said: dict[str, Any], noun: str) -> Iterable[str]:
    for change in said["changes"][:_CHANGES_SHOWN]:
        fields = "; ".join(
            f"{key}: {_value(v['to'])}"
            if change["what"] == "create"
            else f"{key}: {_value(v['from'])} -> {_value(v['to'])}"
            for key, v in change["fields"].items()
            # A new subject's name is said already, and its id says nothing yet.
            if change["what"] == "change" or key not in ("name", "login", "account_id", "tenant_id")
        )
        yield f"{change['what']} {printable(change['name'])}: {fields}"
    if (more := len(said["changes"]) - _CHANGES_SHOWN) > 0:
        yield f"and {more} more (--json shows all)"
    would = "would be " if said["dry_run"] else ""
    made, changed = count(said["created"], noun), said["changed"]
    yield f"{made} {would}created, {changed} {would}changed, {said['unchanged']} unchanged"


def _value(value: Any) -> str:
    if isinstance(value, list):
        value = " ".join(map(str, value))
    return "-" if value in (None, "") else printable(value)
