"""`filterd account`: who there is, what they may do, and why."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, Any

import typer

from filterd.cli.importing import DryRun, ListFile, import_list
from filterd.cli.link import ask
from filterd.cli.options import ConfigFile, Json, StateDir, Token
from filterd.cli.places import find_token, load_config
from filterd.cli.say import printable, result, table

accounts = typer.Typer(help="Accounts: their standing, their history, and lists of them.")

# As the ledger knows them (pipeline.import_accounts).
_COLUMNS = ("login", "tenant", "language", "contact", "external_id", "aliases", "send_as", "expires_on")


@accounts.command("list")
def account_list(
    only_sanctioned: Annotated[
        bool, typer.Option("--sanctioned", help="Only those with a strike or a sanction.")
    ] = False,
    token: Token = None,
    config: ConfigFile = None,
    state_dir: StateDir = None,
    as_json: Json = False,
) -> None:
    """List every account with its standing."""
    rows = ask(load_config(config, state_dir), "account.list", only_sanctioned=only_sanctioned, token=find_token(token))
    rows.sort(key=lambda row: row["login"])
    head = ("login", "standing", "until", "points", "provisional", "id")
    result(
        rows,
        as_json=as_json,
        text=lambda: table(
            head,
            (
                (
                    _name(r),
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
    token: Token = None,
    config: ConfigFile = None,
    state_dir: StateDir = None,
    as_json: Json = False,
) -> None:
    """Show what an account may do now, and why."""
    shown = ask(load_config(config, state_dir), "account.show", account=account, token=find_token(token))
    result(shown, as_json=as_json, text=lambda: _account_lines(shown))


@accounts.command("history")
def account_history(
    account: Annotated[str, typer.Argument(metavar="LOGIN|ID")],
    token: Token = None,
    config: ConfigFile = None,
    state_dir: StateDir = None,
    as_json: Json = False,
) -> None:
    """Show every ledger entry about an account, in order."""
    from filterd.cli.event_text import record_line

    rows = ask(load_config(config, state_dir), "account.history", account=account, token=find_token(token))
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
    """Create, change and retire accounts as a list says: all of it, or nothing when a row is wrong.

    At most 10,000 rows. Columns: login, tenant (name, id, or a domain; left empty: whose domain the login has),
    language, contact, external_id, aliases and send_as (addresses of other mailboxes it may write from), both parted by
    blanks or semicolons, expires_on (YYYY-MM-DD). A column that is not there keeps what is known; an empty cell takes
    it away (tenant: keeps it).

    With external_id, what your directory calls a mailbox for good: the same one under another login is a rename and
    keeps its record; another one under the same login is another person, and the account of the first is retired.
    """
    settings = load_config(config, state_dir)
    import_list(settings, "account.import", file, _COLUMNS, "account", token, dry_run=dry_run, as_json=as_json)


# What is said of a service that is not simply active.
_LIFE = (("because of", "because"), ("since", "since"), ("over at", "over_at"), ("data kept until", "keep_until"))


def _account_lines(shown: dict[str, Any]) -> Iterable[str]:
    until = f" until {shown['until']}" if shown["until"] else ""
    yield f"{printable(_name(shown))}  {shown['account_id']}"
    yield f"tenant    {printable(shown['tenant'] or '-')}{_bought(shown)}"
    if shown["aliases"]:
        yield f"aliases   {printable(' '.join(shown['aliases']))}"
    if shown["send_as"]:
        yield f"send as   {printable(' '.join(shown['send_as']))}"
    if shown["external_id"]:
        yield f"external  {printable(shown['external_id'])}"
    if shown["expires_on"]:
        yield f"expires   {shown['expires_on']}"
    yield f"standing  {shown['standing']}{until}"
    yield f"points    {shown['points']:g} ({shown['provisional_points']:g} of them provisional)"
    if shown["features_off"]:
        yield f"off       {', '.join(shown['features_off'])}"
    if (life := shown["lifecycle"]) and (life["state"] != "active" or life["is_held"]):
        said = (f"{word} {life[key]}" for word, key in _LIFE if life[key])
        held = ["under legal hold"] if life["is_held"] else []
        yield f"service   {', '.join((life['state'].replace('_', ' '), *said, *held))}"
    for key, head in (
        (
            "sanctions",
            (
                "sanction_id",
                "rung",
                "features",
                "category",
                "clauses",
                "ends_at",
                "confirmed",
                "enforcement",
                "incident_id",
            ),
        ),
        ("coming", ("sanction_id", "decided_at", "earliest_at", "begins_at", "held_up_by", "channels")),
        ("holds", ("hold_id", "features", "ends_at", "enforcement", "incident_id")),
        ("held_mails", ("item_id", "direction", "state", "due_at")),
        ("strikes", ("strike_id", "points", "provisional", "fades_at", "incident_id")),
        ("incidents", ("incident_id", "began_at", "families", "messages", "recipients", "points", "annulled")),
    ):
        if shown[key]:
            yield ""
            yield f"{key}:"
            yield from (
                f"  {line}" for line in table(head, ([_cell(row[name]) for name in head] for row in shown[key]))
            )


def _name(row: dict[str, Any]) -> str:
    return f"{row['login']} (retired)" if row["retired_at"] else str(row["login"])


def _bought(shown: dict[str, Any]) -> str:
    said = [
        *([f"plan {printable(shown['plan'])}"] if shown["plan"] else []),
        *([f"expires {shown['tenant_expires_on']}"] if shown["tenant_expires_on"] else []),
    ]
    return f" ({', '.join(said)})" if said else ""


def _cell(value: Any) -> Any:
    if isinstance(value, list):
        return ", ".join(map(str, value)) or None
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:g}" if isinstance(value, float) else value
