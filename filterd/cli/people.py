"""`filterd person`: who may act by name.  STANDING 5.5."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated

import typer

from filterd.cli.link import ask
from filterd.cli.options import ConfigFile, Json, Reason, StateDir, Token
from filterd.cli.places import find_token, load_config
from filterd.cli.say import complain, printable, result, table

people = typer.Typer(help="People who may act by name.")


@people.command("add")
def person_add(
    name: Annotated[str, typer.Argument(metavar="NAME", help="As it will stand in the ledger.")],
    role: Annotated[
        str,
        typer.Option(
            "--role",
            help="viewer, reviewer, moderator, approver, appeals_reviewer, policy_editor, auditor, admin, "
            "tenant_admin, reseller, or service (a program).",
        ),
    ],
    tenant: Annotated[
        str | None,
        typer.Option(
            "--tenant",
            help="Of a tenant_admin or reseller: which tenant is theirs. Of anybody else: where they belong "
            "themselves, and so decide nothing.",
        ),
    ] = None,
    dealer: Annotated[
        str | None, typer.Option("--dealer", help="Of a reseller: their name, as the tenants' records have it.")
    ] = None,
    account: Annotated[
        str | None, typer.Option("--account", help="Their own mailbox here; they decide nothing about it.")
    ] = None,
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
    said = ask(
        settings,
        "person.add",
        name=name,
        role=role,
        tenant=tenant,
        dealer=dealer,
        account=account,
        as_root=as_root,
        token=find_token(token),
    )

    def lines() -> Iterable[str]:
        yield f"{printable(said['name'])} is now {said['role']} (added by {printable(said['by'])})"
        if said["needs_second"]:
            end = f"until {said['second_from']}" if said["second_from"] else "until one who decides has vouched"
            yield f"acts alone at once; counts as the second of two not {end}: filterd person vouch"
        yield f"token: {said['token']}"
        yield "It is shown this once: put it into ~/.config/filterd/token (mode 0600) or FILTERD_TOKEN."

    result(said, as_json=as_json, text=lines)


@people.command("list")
def person_list(
    token: Token = None, config: ConfigFile = None, state_dir: StateDir = None, as_json: Json = False
) -> None:
    """List everybody who may act, and who of them is nobody's second person yet."""
    rows = ask(load_config(config, state_dir), "person.list", token=find_token(token))
    head = ("name", "role", "not a second person until")
    result(
        rows,
        as_json=as_json,
        text=lambda: table(head, ((r["name"], _role(r), r.get("waits_until", "")) for r in rows)),
    )


@people.command("vouch")
def person_vouch(
    name: Annotated[str, typer.Argument(metavar="NAME", help="Whom an administrator has added.")],
    reason: Reason,
    token: Token = None,
    config: ConfigFile = None,
    state_dir: StateDir = None,
    as_json: Json = False,
) -> None:
    """Say, as one who decides, that somebody is a person of their own: from now on they can be the second of two."""
    settings = load_config(config, state_dir)
    said = ask(settings, "person.vouch", name=name, reason=reason, token=find_token(token))
    result(said, as_json=as_json, text=lambda: [f"{printable(said['by'])} vouches for {printable(said['name'])}"])


@people.command("staffing")
def person_staffing(config: ConfigFile = None, state_dir: StateDir = None, as_json: Json = False) -> None:
    """Say whether there is a team, a pair or one person alone, and which promises that cannot keep."""
    said = ask(load_config(config, state_dir), "staffing.show")

    def lines() -> Iterable[str]:
        how = "as configured" if said["is_set"] else "as the roster is"
        yield f"{said['staffing']}, {how}: {', '.join(map(printable, said['deciders'])) or 'nobody'}"
        yield from (f"with so few: {line}" for line in said["unkept"])

    result(said, as_json=as_json, text=lines)


def _role(row: dict[str, str]) -> str:
    return f"{row['role']} ({row['scope']})" if "scope" in row else row["role"]
