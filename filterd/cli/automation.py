"""`filterd automation`, `breaker`, `recall`: stop what runs wild, take back what it did.  STANDING 5.7-8, 5.7-21."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, Any

import typer

from filterd.cli.acting import who
from filterd.cli.link import ask
from filterd.cli.options import AsRoot, ConfigFile, Json, Reason, StateDir, Token
from filterd.cli.places import find_token, load_config
from filterd.cli.say import count, printable, result, table

automation = typer.Typer(help="The red button: stop automatic sanctions for a while. Mail is judged as ever.")
breakers = typer.Typer(help="Rules that stopped by themselves because they wanted to sanction too many at once.")
recalls = typer.Typer(help="Recall a wrong rule or signature: annul what rests on it, by two people.")

Tenant = Annotated[str | None, typer.Option("--tenant", help="Only of this tenant; left out: the whole site.")]
Rule = Annotated[str, typer.Option("--rule", help="The finding that was wrong: virus.signature.match, for example.")]
Version = Annotated[
    str | None,
    typer.Option("--version", help="The signal behind it: signature:Win.Test.X or model:spam-3. Left out: all of it."),
]
Since = Annotated[str, typer.Option("--since", help="From when on, 2026-11-20T08:00:00+08:00 for example.")]
Until = Annotated[str | None, typer.Option("--until", help="Until when; left out: now.")]


@automation.command("freeze")
def freeze(
    reason: Reason,
    hours: Annotated[int | None, typer.Option("--hours", min=1, help="For how long; left out: a day.")] = None,
    tenant: Tenant = None,
    token: Token = None,
    as_root: AsRoot = False,
    config: ConfigFile = None,
    state_dir: StateDir = None,
    as_json: Json = False,
) -> None:
    """Stop automatic sanctions. Messages are dealt with as before, and what protects accounts goes on."""
    said = ask(
        load_config(config, state_dir),
        "automation.freeze",
        reason=reason,
        hours=hours,
        tenant=tenant,
        **who(token, as_root=as_root),
    )
    whose = said["tenant_id"] or "the site"
    line = f"automatic sanctions of {whose} are stopped until {said['until']} ({said['freeze_id']})"
    result(said, as_json=as_json, text=lambda: [line])


@automation.command("thaw")
def thaw(
    freeze_id: Annotated[str | None, typer.Argument(metavar="[ID]", help="One freeze; left out: the site's.")] = None,
    tenant: Tenant = None,
    token: Token = None,
    as_root: AsRoot = False,
    config: ConfigFile = None,
    state_dir: StateDir = None,
    as_json: Json = False,
) -> None:
    """Let automation go on. What was held back meanwhile stays with people."""
    said = ask(
        load_config(config, state_dir),
        "automation.thaw",
        freeze=freeze_id,
        tenant=tenant,
        **who(token, as_root=as_root),
    )
    result(said, as_json=as_json, text=lambda: [f"{count(len(said['thawed']), 'freeze')} ended"])


@automation.command("show")
def show(config: ConfigFile = None, state_dir: StateDir = None, as_json: Json = False) -> None:
    """Show what stops automation now."""
    said = ask(load_config(config, state_dir), "automation.show")
    result(said, as_json=as_json, text=lambda: _stopped(said))


@breakers.command("list")
def breaker_list(
    every: Annotated[bool, typer.Option("--all", help="Those that were reset, too.")] = False,
    config: ConfigFile = None,
    state_dir: StateDir = None,
    as_json: Json = False,
) -> None:
    """List the rules and signals that give no points now."""
    rows = ask(load_config(config, state_dir), "breaker.list", all=every)
    result(rows, as_json=as_json, text=lambda: _breakers(rows))


@breakers.command("reset")
def breaker_reset(
    breaker: Annotated[str, typer.Argument(metavar="ID", help="The breaker's id.")],
    reason: Reason,
    token: Token = None,
    as_root: AsRoot = False,
    config: ConfigFile = None,
    state_dir: StateDir = None,
    as_json: Json = False,
) -> None:
    """Let a rule or signal count again: somebody has looked, and it is right."""
    said = ask(
        load_config(config, state_dir),
        "breaker.reset",
        breaker=breaker,
        reason=reason,
        **who(token, as_root=as_root),
    )
    result(said, as_json=as_json, text=lambda: [f"{said['breaker_id']} is reset by {printable(said['by'])}"])


@recalls.command("preview")
def recall_preview(
    rule: Rule,
    since: Since,
    version: Version = None,
    until: Until = None,
    token: Token = None,
    config: ConfigFile = None,
    state_dir: StateDir = None,
    as_json: Json = False,
) -> None:
    """Show what rests on a wrong rule or signature, without touching anything."""
    said = ask(
        load_config(config, state_dir),
        "recall.preview",
        rule=rule,
        version=version,
        since=since,
        until=until,
        token=find_token(token),
    )
    result(said, as_json=as_json, text=lambda: _preview(said))


@recalls.command("propose")
def recall_propose(
    rule: Rule,
    since: Since,
    reason: Reason,
    version: Version = None,
    until: Until = None,
    token: Token = None,
    config: ConfigFile = None,
    state_dir: StateDir = None,
    as_json: Json = False,
) -> None:
    """Propose the recall. Another person approves it: filterd proposal approve."""
    said = ask(
        load_config(config, state_dir),
        "proposal.make",
        act="rule.recall",
        subject="site",
        rule=rule,
        version=version,
        since=since,
        until=until,
        reason=reason,
        token=find_token(token),
    )
    lines = [f"proposed: {said['proposal_id']}", f"digest {said['digest']}", "another person reads and approves it"]
    result(said, as_json=as_json, text=lambda: lines)


def _stopped(said: dict[str, Any]) -> Iterable[str]:
    head = ("freeze_id", "tenant_id", "until", "by", "reason")
    yield from table(head, ([row[name] for name in head] for row in said["frozen"]))
    yield from _breakers(said["breakers"])


def _breakers(rows: list[dict[str, Any]]) -> Iterable[str]:
    head = ("breaker_id", "at", "finding", "signal", "subjects", "reset_at", "reset_by")
    return table(head, ([row[name] for name in head] for row in rows))


def _preview(said: dict[str, Any]) -> Iterable[str]:
    yield (
        f"{count(said['annulled'], 'incident')} of {count(said['accounts'], 'account')} to annul, "
        f"{said['looked_at_again']} for a person to look at again"
    )
    head = ("account_id", "incident_id", "does")
    yield from table(head, ([row[name] for name in head] for row in said["incidents"]))
