"""`filterd register`: what somebody answers for beforehand.  CLAUSES §2.2, §2.3, STANDING 5.9.

Authorisations, protected senders, standing orders, delayed notices and legal requests take two people: `filterd
proposal make register.authorise …`, then `filterd proposal approve`.
"""

from __future__ import annotations

from typing import Annotated, Any

import typer

from filterd.cli.link import ask
from filterd.cli.options import ConfigFile, Json, Reason, StateDir, Token
from filterd.cli.places import find_token, load_config
from filterd.cli.say import printable, result, table

registers = typer.Typer(help="Registers: declared streams, migration windows, authorisations and others.")


@registers.command("list")
def register_list(
    all_: Annotated[bool, typer.Option("--all", help="Those that are over, too.")] = False,
    token: Token = None,
    config: ConfigFile = None,
    state_dir: StateDir = None,
    as_json: Json = False,
) -> None:
    """List the entries in force."""
    rows = ask(load_config(config, state_dir), "register.list", all=all_ or None, token=find_token(token))
    head = ("register", "about", "until", "by", "entry")
    result(
        rows,
        as_json=as_json,
        text=lambda: table(
            head,
            (
                (
                    row["register"],
                    row.get("account_id") or row.get("tenant_id") or "site",
                    row.get("until") or "",
                    "+".join(x for x in (row["by"], row.get("approver")) if x),
                    row["entry_id"],
                )
                for row in rows
            ),
        ),
    )


@registers.command("declare")
def register_declare(
    account: Annotated[str, typer.Argument(metavar="ACCOUNT", help="A login or account id.")],
    consent: Annotated[str, typer.Option("--consent", help="Where the recipients agreed: signup, contract, members…")],
    list_id: Annotated[str | None, typer.Option("--list-id", help="What its mails share: their List-Id.")] = None,
    from_: Annotated[str | None, typer.Option("--from", help="Or their author address.")] = None,
    opt_out_works: Annotated[
        bool, typer.Option("--opt-out-works", help="Attest that opting out works, with one click.")
    ] = False,
    token: Token = None,
    config: ConfigFile = None,
    state_dir: StateDir = None,
    as_json: Json = False,
) -> None:
    """Declare bulk mail of an account, so that it is no advertising nobody asked for."""
    _act(
        "register.declare",
        config,
        state_dir,
        as_json,
        account=account,
        consent=consent,
        list_id=list_id,
        opt_out_works=opt_out_works or None,
        token=find_token(token),
        **({"from": from_} if from_ else {}),
    )


@registers.command("migrate")
def register_migrate(
    tenant: Annotated[str, typer.Argument(metavar="NAME|ID|DOMAIN")],
    days: Annotated[int, typer.Option("--days", min=1, help="For how long.")],
    token: Token = None,
    config: ConfigFile = None,
    state_dir: StateDir = None,
    as_json: Json = False,
) -> None:
    """Open a window in which a tenant brings its old mail in: nothing gives points."""
    _act("register.migrate", config, state_dir, as_json, tenant=tenant, days=days, token=find_token(token))


@registers.command("listing")
def register_listing(
    address: Annotated[str, typer.Argument(metavar="ADDRESS", help="An IP address we send from.")],
    blocklist: Annotated[str, typer.Option("--blocklist", help="Its name or zone.")],
    pool: Annotated[str | None, typer.Option("--pool", help="The pool of addresses it belongs to.")] = None,
    moved_to: Annotated[
        str | None, typer.Option("--moved-to", help="The pool its mail goes out from since, in the mail server.")
    ] = None,
    token: Token = None,
    config: ConfigFile = None,
    state_dir: StateDir = None,
    as_json: Json = False,
) -> None:
    """Note that an address of ours stands on a blocklist. It is nobody's points; `register end` when it is off."""
    _act(
        "register.listing",
        config,
        state_dir,
        as_json,
        address=address,
        blocklist=blocklist,
        pool=pool,
        moved_to=moved_to,
        token=find_token(token),
    )


@registers.command("end")
def register_end(
    entry: Annotated[str, typer.Argument(metavar="ENTRY")],
    reason: Reason,
    token: Token = None,
    config: ConfigFile = None,
    state_dir: StateDir = None,
    as_json: Json = False,
) -> None:
    """End an entry."""
    _act("register.end", config, state_dir, as_json, entry=entry, reason=reason, token=find_token(token))


@registers.command("veto")
def register_veto(
    sanction: Annotated[str, typer.Argument(metavar="SANCTION", help="A termination by standing order.")],
    reason: Reason,
    token: Token = None,
    config: ConfigFile = None,
    state_dir: StateDir = None,
    as_json: Json = False,
) -> None:
    """Stop a termination by standing order before it begins; one person is enough."""
    _act("order.veto", config, state_dir, as_json, sanction=sanction, reason=reason, token=find_token(token))


def _act(verb: str, config: Any, state_dir: Any, as_json: bool, **arguments: Any) -> None:
    said = ask(load_config(config, state_dir), verb, **arguments)
    result(said, as_json=as_json, text=lambda: [printable(f"{name}: {value}") for name, value in said.items()])
