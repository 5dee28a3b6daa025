"""`filterd proposal`: acts that take two people.  STANDING 5.5."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any

import typer

from filterd.cli.acting import who
from filterd.cli.link import ask
from filterd.cli.options import AsRoot, ConfigFile, Json, Reason, StateDir, Token
from filterd.cli.places import find_token, load_config
from filterd.cli.say import printable, result, table

proposals = typer.Typer(help="Proposals: acts that take two people, such as ending an account's service.")

ProposalId = Annotated[str, typer.Argument(metavar="ID", help="The proposal's id.")]
Digest = Annotated[
    str,
    typer.Option("--digest", help="What you have read: 12 characters or more of the digest that `show` prints."),
]


@proposals.command("list")
def proposal_list(
    every: Annotated[bool, typer.Option("--all", help="Those that are over, too.")] = False,
    token: Token = None,
    config: ConfigFile = None,
    state_dir: StateDir = None,
    as_json: Json = False,
) -> None:
    """List the proposals that wait for a second person."""
    rows = ask(load_config(config, state_dir), "proposal.list", all=every, token=find_token(token))
    head = ("expires_at", "state", "act", "subject_id", "by", "approved_by", "proposal_id")
    result(rows, as_json=as_json, text=lambda: table(head, ([row[name] for name in head] for row in rows)))


@proposals.command("show")
def proposal_show(
    proposal: ProposalId,
    token: Token = None,
    config: ConfigFile = None,
    state_dir: StateDir = None,
    as_json: Json = False,
) -> None:
    """Show a proposal with its digest, and what has changed of that which it rests on."""
    shown = ask(load_config(config, state_dir), "proposal.show", proposal=proposal, token=find_token(token))
    result(shown, as_json=as_json, text=lambda: _lines(shown))


@proposals.command("make")
def proposal_make(
    act: Annotated[str, typer.Argument(metavar="ACT", help="account.terminate or account.reinstate, for example.")],
    subject: Annotated[str, typer.Argument(metavar="SUBJECT", help="The account, or the tenant, by name or id.")],
    reason: Reason,
    clause: Annotated[
        str | None, typer.Option("--clause", help="Under which clause; left out: those that the agreement names.")
    ] = None,
    statute: Annotated[str | None, typer.Option("--statute", help="The law it rests on, where it is a law.")] = None,
    term: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="What else the act wants to know. May be repeated."),
    ] = None,
    token: Token = None,
    config: ConfigFile = None,
    state_dir: StateDir = None,
    as_json: Json = False,
) -> None:
    """Propose an act; another person approves it. There is no --as-root: nobody is not a second person."""
    wanted: dict[str, Any] = dict(_terms(term))
    wanted |= {"act": act, "subject": subject, "reason": reason, "clause": clause, "statute": statute}
    said = ask(load_config(config, state_dir), "proposal.make", **wanted, token=find_token(token))
    result(said, as_json=as_json, text=lambda: _lines(said))


@proposals.command("approve")
def proposal_approve(
    proposal: ProposalId,
    digest: Digest,
    token: Token = None,
    config: ConfigFile = None,
    state_dir: StateDir = None,
    as_json: Json = False,
) -> None:
    """Approve just this proposal, and have it carried out. It fails when what it rests on has changed."""
    approve_proposal("proposal.approve", proposal, digest, token, config, state_dir, as_json=as_json)


@proposals.command("withdraw")
def proposal_withdraw(
    proposal: ProposalId,
    reason: Reason,
    token: Token = None,
    config: ConfigFile = None,
    state_dir: StateDir = None,
    as_json: Json = False,
) -> None:
    """Take your own proposal back."""
    _end("withdraw", proposal, reason, {"token": find_token(token)}, config, state_dir, as_json=as_json)


@proposals.command("refuse")
def proposal_refuse(
    proposal: ProposalId,
    reason: Reason,
    token: Token = None,
    config: ConfigFile = None,
    state_dir: StateDir = None,
    as_json: Json = False,
) -> None:
    """Say no as the second person."""
    _end("refuse", proposal, reason, {"token": find_token(token)}, config, state_dir, as_json=as_json)


@proposals.command("veto")
def proposal_veto(
    proposal: ProposalId,
    reason: Reason,
    token: Token = None,
    as_root: AsRoot = False,
    config: ConfigFile = None,
    state_dir: StateDir = None,
    as_json: Json = False,
) -> None:
    """Stop it, alone: while it is open, and while what it decided has not taken effect."""
    _end("veto", proposal, reason, who(token, as_root=as_root), config, state_dir, as_json=as_json)


def approve_proposal(
    verb: str,
    proposal: str,
    digest: str,
    token: str | None,
    config: Path | None,
    state_dir: Path | None,
    *,
    as_json: bool,
) -> None:
    """Approve, and say what came of it."""
    settings = load_config(config, state_dir)
    said = ask(settings, verb, proposal=proposal, digest=digest, token=find_token(token))
    alone = ", on their own second look" if said["is_self_review"] else ""
    later = f"; not before {said['earliest_at']}" if said.get("earliest_at") else ""
    people = f"{printable(said['by'])} and {printable(said['approver'])}"
    line = f"{said['act']} is decided by {people}{alone}{later}"
    result(said, as_json=as_json, text=lambda: [line])


def _end(
    how: str,
    proposal: str,
    reason: str,
    by: dict[str, Any],
    config: Path | None,
    state_dir: Path | None,
    *,
    as_json: bool,
) -> None:
    said = ask(load_config(config, state_dir), f"proposal.{how}", proposal=proposal, reason=reason, **by)
    result(said, as_json=as_json, text=lambda: [f"{said['act']} is {said['state'].replace('_', ' ')}"])


def _terms(given: list[str] | None) -> dict[str, str]:
    """Read KEY=VALUE; the act checks them."""
    pairs = [item.partition("=") for item in given or []]
    if wrong := [key for key, equals, _ in pairs if not equals or not key]:
        raise typer.BadParameter(f"{wrong[0]!r} is no KEY=VALUE", param_hint="--set")
    return {key: value for key, _, value in pairs}


def _lines(shown: dict[str, Any]) -> Iterable[str]:
    yield f"{shown['proposal_id']}  {shown['act']} {shown['subject_id']}  {shown['state'].replace('_', ' ')}"
    yield f"{'by':12}{printable(shown['by'])} at {shown['at']}: {printable(shown['reason'])}"
    for key, value in shown["terms"].items():
        yield f"{key:12}{printable(value)}"
    yield f"{'expires':12}{shown['expires_at']}"
    yield f"{'digest':12}{shown['digest']}"
    for line in shown.get("changed", []):
        yield f"{'CHANGED':12}{printable(line)}"
