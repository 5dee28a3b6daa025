"""`filterd tenant registration`: whoever registers again after a termination for breach.  TX-8.2.4."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, Any

import typer

from filterd.cli.acting import who
from filterd.cli.link import ask
from filterd.cli.options import AsRoot, ConfigFile, Json, Reason, StateDir, Token
from filterd.cli.places import find_token, load_config
from filterd.cli.say import printable, result, table

TheTenant = Annotated[str, typer.Argument(metavar="NAME|ID|DOMAIN")]

registrations = typer.Typer(help="Tenants that answer to one whose service was ended for breach: a person looks.")


@registrations.command("list")
def registration_list(
    every: Annotated[bool, typer.Option("--all", help="Those that a person has looked at, too.")] = False,
    token: Token = None,
    config: ConfigFile = None,
    state_dir: StateDir = None,
    as_json: Json = False,
) -> None:
    """List the tenants that are held until a person has looked at their registration."""
    rows = ask(load_config(config, state_dir), "registration.list", all=every, token=find_token(token))
    result(rows, as_json=as_json, text=lambda: (line for shown in rows for line in _lines(shown)))


@registrations.command("show")
def registration_show(
    tenant: TheTenant,
    token: Token = None,
    config: ConfigFile = None,
    state_dir: StateDir = None,
    as_json: Json = False,
) -> None:
    """Show what a tenant's registration matched: kinds, never values; no value is kept."""
    shown = ask(load_config(config, state_dir), "registration.show", tenant=tenant, token=find_token(token))
    result(shown, as_json=as_json, text=lambda: _lines(shown))


@registrations.command("dismiss")
def registration_dismiss(
    tenant: TheTenant,
    reason: Reason,
    token: Token = None,
    as_root: AsRoot = False,
    config: ConfigFile = None,
    state_dir: StateDir = None,
    as_json: Json = False,
) -> None:
    """Say that a match means nothing: the tenant may send, and the same keys do not match again."""
    settings = load_config(config, state_dir)
    shown = ask(settings, "registration.dismiss", tenant=tenant, reason=reason, **who(token, as_root=as_root))
    result(shown, as_json=as_json, text=lambda: _lines(shown))


@registrations.command("confirm")
def registration_confirm(
    tenant: TheTenant,
    reason: Reason,
    token: Token = None,
    config: ConfigFile = None,
    state_dir: StateDir = None,
    as_json: Json = False,
) -> None:
    """Propose that the tenant is suspended for it; another person approves (`filterd proposal approve`)."""
    wanted: dict[str, Any] = {"act": "tenant.registration", "subject": tenant, "reason": reason}
    said = ask(load_config(config, state_dir), "proposal.make", **wanted, token=find_token(token))
    line = f"proposed as {said['proposal_id']}, digest {said['digest'][:12]}; another person approves it"
    result(said, as_json=as_json, text=lambda: [line])


def _lines(shown: dict[str, Any]) -> Iterable[str]:
    state = "held until a person has looked" if shown["is_held"] else "not held"
    yield f"{printable(shown['name'])} ({shown['tenant_id']}): {state}"
    yield f"{'kept:':12}{' '.join(shown['kept_kinds']) or '-'}"
    if shown["matches"]:
        head = ("at", "state", "kinds", "clauses", "matched_tenant_ids", "by", "match_id")
        yield from table(head, ([_cell(row.get(name)) for name in head] for row in shown["matches"]))


def _cell(value: Any) -> Any:
    return " ".join(value) if isinstance(value, list) else value
