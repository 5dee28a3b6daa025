"""`filterd tenant`: the enterprises answerable for their users."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from filterd.cli.acting import who
from filterd.cli.importing import DryRun, ListFile, import_list
from filterd.cli.link import ask
from filterd.cli.options import AsRoot, ConfigFile, Json, Reason, StateDir, Token
from filterd.cli.places import find_token, load_config
from filterd.cli.registration import registrations
from filterd.cli.say import result, table
from filterd.cli.tenant_text import acted_lines, tenant_lines

TheTenant = Annotated[str, typer.Argument(metavar="NAME|ID|DOMAIN")]

tenants = typer.Typer(help="Tenants: the enterprises answerable for their users.")
tenants.add_typer(registrations, name="registration")

# As the ledger knows them (pipeline.import_tenants).
_COLUMNS = (
    "name",
    "agreement",
    "domains",
    "language",
    "contact",
    "second_contact",
    "seats",
    "reseller",
    "dealer",
    "plan",
    "expires_on",
    "channel",
    "starts_on",
    "term_months",
    "external_id",
    "registration_keys",
    "supplement",
    "supplement_document",
    "supplement_signed_by_provider",
    "supplement_signed_by_tenant",
    "supplement_effective_from",
    "supplement_categories",
)


@tenants.command("list")
def tenant_list(
    token: Token = None, config: ConfigFile = None, state_dir: StateDir = None, as_json: Json = False
) -> None:
    """List every tenant; a tenant's or reseller's person sees their own."""
    rows = ask(load_config(config, state_dir), "tenant.list", token=find_token(token))
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
    tenant: TheTenant,
    token: Token = None,
    config: ConfigFile = None,
    state_dir: StateDir = None,
    as_json: Json = False,
) -> None:
    """Show what is known of a tenant, which terms bind it now, and what counts or is in force against it."""
    shown = ask(load_config(config, state_dir), "tenant.show", tenant=tenant, token=find_token(token))
    result(shown, as_json=as_json, text=lambda: tenant_lines(shown))


@tenants.command("verify")
def tenant_verify(
    tenant: TheTenant,
    matter: Annotated[str, typer.Option("--matter", help="name, licence, domain, contact or payment.")],
    outcome: Annotated[str, typer.Option("--outcome", help="failed or passed.")],
    document: Annotated[str, typer.Option("--document", help="Where the file about it is.")],
    token: Token = None,
    config: ConfigFile = None,
    state_dir: StateDir = None,
    as_json: Json = False,
) -> None:
    """Note what came of verifying what a tenant says about itself. A failure is a task for a person, and no more."""
    said = ask(
        load_config(config, state_dir),
        "tenant.verify",
        tenant=tenant,
        matter=matter,
        outcome=outcome,
        document=document,
        token=find_token(token),
    )
    result(said, as_json=as_json, text=lambda: [f"{said['verification_id']}: {said['outcome']}"])


@tenants.command("history")
def tenant_history(
    tenant: TheTenant,
    token: Token = None,
    config: ConfigFile = None,
    state_dir: StateDir = None,
    as_json: Json = False,
) -> None:
    """Show every ledger entry about a tenant itself, and on which side whoever acted stood then."""
    from filterd.cli.event_text import record_line

    rows = ask(load_config(config, state_dir), "tenant.history", tenant=tenant, token=find_token(token))
    result(rows, as_json=as_json, text=lambda: (record_line(r["kind"], r) for r in rows))


@tenants.command("deletions")
def tenant_deletions(
    tenant: Annotated[str, typer.Argument(metavar="NAME|ID|DOMAIN", help="Of what was erased, the id.")],
    token: Token = None,
    config: ConfigFile = None,
    state_dir: StateDir = None,
    as_json: Json = False,
) -> None:
    """Show what was deleted of a tenant: the provider's deletions apart from the tenant's own, also years later."""
    rows = ask(load_config(config, state_dir), "tenant.deletions", tenant=tenant, token=find_token(token))
    head = ("at", "actor", "by", "what", "mails", "subject_id")
    result(rows, as_json=as_json, text=lambda: table(head, ([row.get(n) for n in head] for row in rows)))


def _supplement_word(supplement: dict[str, Any] | None) -> str | None:
    if supplement is None:
        return None
    return supplement["agreement"] if supplement["is_in_force"] else "not in force"


@tenants.command("lock")
def tenant_lock(
    tenant: TheTenant,
    reason: Reason,
    hours: Annotated[int | None, typer.Option("--hours", help="Default: as long as one person may.")] = None,
    token: Token = None,
    as_root: AsRoot = False,
    config: ConfigFile = None,
    state_dir: StateDir = None,
    as_json: Json = False,
) -> None:
    """Stop all outbound mail of a tenant in an emergency. It opens by itself unless a second person confirms."""
    _act(
        "tenant.lock",
        config,
        state_dir,
        as_json,
        tenant=tenant,
        hours=hours,
        reason=reason,
        **who(token, as_root=as_root),
    )


@tenants.command("confirm")
def tenant_confirm(
    tenant: TheTenant,
    hours: Annotated[int | None, typer.Option("--hours", help="From now on; default: until it is unlocked.")] = None,
    lock: Annotated[str | None, typer.Option("--lock", help="The lock's id, where there are several.")] = None,
    token: Token = None,
    config: ConfigFile = None,
    state_dir: StateDir = None,
    as_json: Json = False,
) -> None:
    """Keep a tenant's lock, as a second person."""
    _act(
        "tenant.lock_confirm",
        config,
        state_dir,
        as_json,
        tenant=tenant,
        hours=hours,
        lock=lock,
        token=find_token(token),
    )


@tenants.command("unlock")
def tenant_unlock(
    tenant: TheTenant,
    reason: Reason,
    lock: Annotated[str | None, typer.Option("--lock", help="The lock's id, where there are several.")] = None,
    token: Token = None,
    as_root: AsRoot = False,
    config: ConfigFile = None,
    state_dir: StateDir = None,
    as_json: Json = False,
) -> None:
    """Open a tenant's lock now."""
    _act(
        "tenant.unlock",
        config,
        state_dir,
        as_json,
        tenant=tenant,
        lock=lock,
        reason=reason,
        **who(token, as_root=as_root),
    )


@tenants.command("quota")
def tenant_quota(
    tenant: TheTenant,
    reason: Reason,
    quota: Annotated[
        int | None, typer.Option("--recipients", help="External recipients a day; default: as the agreement says.")
    ] = None,
    hours: Annotated[int | None, typer.Option("--hours", help="Default, and longest: as the agreement says.")] = None,
    token: Token = None,
    as_root: AsRoot = False,
    config: ConfigFile = None,
    state_dir: StateDir = None,
    as_json: Json = False,
) -> None:
    """Limit how many external recipients a tenant writes to a day, in answer to a proposal.

    By whoever enforces its agreement; by the platform as protection, once they have left the proposal unanswered.
    """
    _act(
        "tenant.quota",
        config,
        state_dir,
        as_json,
        tenant=tenant,
        quota=quota,
        hours=hours,
        reason=reason,
        **who(token, as_root=as_root),
    )


@tenants.command("lift-step")
def tenant_lift_step(
    tenant: TheTenant,
    step: Annotated[str, typer.Argument(metavar="STEP", help="Its id, as `tenant show` says it.")],
    reason: Reason,
    token: Token = None,
    as_root: AsRoot = False,
    config: ConfigFile = None,
    state_dir: StateDir = None,
    as_json: Json = False,
) -> None:
    """End a step against a tenant now, or answer a proposal with no. What was charged stays charged."""
    _act(
        "tenant.step_lift",
        config,
        state_dir,
        as_json,
        tenant=tenant,
        step=step,
        reason=reason,
        **who(token, as_root=as_root),
    )


def _act(verb: str, config: Path | None, state_dir: Path | None, as_json: bool, **arguments: Any) -> None:
    said = ask(load_config(config, state_dir), verb, **arguments)
    result(said, as_json=as_json, text=lambda: acted_lines(said))


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

    channel: how it has bought, direct or dealer (TX-2.1.1). term_months makes the last day: counted from starts_on, the
    day agreed with the dealer; without one, or bought directly, from the day on record (TX-2.2.3).

    registration_keys: what whoever registered is known by, kind:value parted by blanks or semicolons; kinds: payment,
    organisation, contact, dkim_key, client_net, template. Kept as keyed hashes only, for an enterprise that comes back
    after a termination for breach (`filterd tenant registration`).

    A signed supplement: supplement (the id of its file; an empty cell withdraws the record), supplement_document,
    supplement_signed_by_provider, supplement_signed_by_tenant, supplement_effective_from (days, YYYY-MM-DD) and
    supplement_categories (empty: all). Without both signatures it is recorded and not in force.
    """
    settings = load_config(config, state_dir)
    import_list(settings, "tenant.import", file, _COLUMNS, "tenant", token, dry_run=dry_run, as_json=as_json)
