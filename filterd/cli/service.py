"""`filterd service`: the contract of a tenant or an account: its term, its end, its renewal.  CLAUSES §6."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, Any

import typer

from filterd.cli.link import ask
from filterd.cli.options import AsRoot, ConfigFile, Json, Reason, StateDir, Token
from filterd.cli.places import find_token, load_config
from filterd.cli.say import printable, result

services = typer.Typer(help="Service: whose term runs, has stopped or ended, and until when data is kept.")

Tenant = Annotated[str, typer.Argument(metavar="TENANT", help="Its name, its id, or one of its domains.")]
Account = Annotated[str | None, typer.Option("--account", metavar="LOGIN|ID", help="One account with its own term.")]


@services.command("show")
def show(
    tenant: Annotated[str | None, typer.Argument(metavar="[TENANT]")] = None,
    account: Account = None,
    config: ConfigFile = None,
    state_dir: StateDir = None,
    as_json: Json = False,
) -> None:
    """Say how the service of a tenant, or of one account, stands; and what stands between it and a deletion."""
    said = ask(load_config(config, state_dir), "service.show", tenant=tenant, account=account)
    result(said, as_json=as_json, text=lambda: _lines(said))


@services.command("renew")
def renew(
    until: Annotated[str, typer.Option("--until", metavar="DAY", help="The last day, YYYY-MM-DD; `never`: no end.")],
    tenant: Annotated[str | None, typer.Argument(metavar="[TENANT]")] = None,
    account: Account = None,
    as_root: AsRoot = False,
    token: Token = None,
    config: ConfigFile = None,
    state_dir: StateDir = None,
    as_json: Json = False,
) -> None:
    """Set the last day of the term. What had stopped works again at once, and nothing was deleted before."""
    said = ask(
        load_config(config, state_dir),
        "service.renew",
        tenant=tenant,
        account=account,
        until="" if until == "never" else until,
        as_root=as_root or None,
        token=find_token(token),
    )
    result(said, as_json=as_json, text=lambda: _lines(said))


@services.command("end")
def end(
    tenant: Tenant,
    because: Annotated[str, typer.Option("--because", help="refused_terms, insolvency, law_change, policy or other.")],
    reason: Reason,
    as_root: AsRoot = False,
    token: Token = None,
    config: ConfigFile = None,
    state_dir: StateDir = None,
    as_json: Json = False,
) -> None:
    """End a tenant's service for a reason that is no misconduct; after a change of law, when the notice has run."""
    said = ask(
        load_config(config, state_dir),
        "service.end",
        tenant=tenant,
        because=because,
        reason=reason,
        as_root=as_root or None,
        token=find_token(token),
    )
    line = f"the service of {said['tenant_id']} ends at {said['ends_at']} ({said['because']})"
    result(said, as_json=as_json, text=lambda: [line])


@services.command("resume")
def resume(
    tenant: Tenant,
    reason: Reason,
    as_root: AsRoot = False,
    token: Token = None,
    config: ConfigFile = None,
    state_dir: StateDir = None,
    as_json: Json = False,
) -> None:
    """Take up again what had ended."""
    said = ask(
        load_config(config, state_dir),
        "service.resume",
        tenant=tenant,
        reason=reason,
        as_root=as_root or None,
        token=find_token(token),
    )
    result(said, as_json=as_json, text=lambda: _lines(said))


@services.command("mx")
def mx(
    tenant: Tenant,
    hosts: Annotated[
        list[str] | None, typer.Option("--host", help="Its mail comes to this host directly; none: any MX is good.")
    ] = None,
    as_root: AsRoot = False,
    token: Token = None,
    config: ConfigFile = None,
    state_dir: StateDir = None,
    as_json: Json = False,
) -> None:
    """Write down whether a free tenant's mail comes here directly (TX-4.4.4)."""
    said = ask(
        load_config(config, state_dir),
        "service.mx",
        tenant=tenant,
        hosts=hosts or [],
        as_root=as_root or None,
        token=find_token(token),
    )
    result(said, as_json=as_json, text=lambda: [f"good MX: {' '.join(said['hosts']) or 'any'}"])


def _lines(said: dict[str, Any]) -> Iterable[str]:
    facts = {
        "service": said["state"],
        "since": said["since"],
        "because": said["because"],
        "last day": said["expires_on"],
        "over at": said["over_at"],
        "data kept until": said["kept_until"],
        "legal hold": "yes" if said["is_held"] else "no",
        "read for deletion": " ".join(said["readings"]) or None,
        "not deleted because": said["why_not_deleted"],
        "agreement": said["agreement"],
        "id": said["subject_id"],
    }
    for name, value in facts.items():
        yield f"{name + ':':22}{'-' if value is None else printable(value)}"
