"""`filterd security`: what protects an account, and what people do about it.  STANDING 5.4 rows 9-10, 5.7-14."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from filterd.cli.link import ask
from filterd.cli.options import ConfigFile, Json, Reason, StateDir, Token
from filterd.cli.places import find_token, load_config
from filterd.cli.say import printable, result, table

security = typer.Typer(help="Protection without points: lock an account, attest, unlock, say whose doing it was.")

AccountArgument = Annotated[str, typer.Argument(metavar="ACCOUNT", help="A login or account id.")]
HoldArgument = Annotated[
    str, typer.Argument(metavar="ID", help="A hold's or incident's id; or a login: the gravest that locks it.")
]


@security.command("show")
def show(
    account: AccountArgument,
    token: Token = None,
    config: ConfigFile = None,
    state_dir: StateDir = None,
    as_json: Json = False,
) -> None:
    """Say what protects an account now, what spoke for it, and whether somebody may attest."""
    said = ask(load_config(config, state_dir), "security.show", account=account, token=find_token(token))
    result(said, as_json=as_json, text=lambda: _shown(said))


@security.command("hold")
def hold(
    account: AccountArgument,
    reason: Reason,
    feature: Annotated[
        list[str] | None, typer.Option("--feature", help="What is locked; default: sending. May be repeated.")
    ] = None,
    hours: Annotated[int | None, typer.Option("--hours", min=1, help="For how long; default: until released.")] = None,
    indicator: Annotated[
        list[str] | None,
        typer.Option("--indicator", help="What speaks for a stolen account: then an attestation unlocks it."),
    ] = None,
    revoke: Annotated[bool, typer.Option("--revoke", help="Have the credentials revoked, too.")] = False,
    token: Token = None,
    config: ConfigFile = None,
    state_dir: StateDir = None,
    as_json: Json = False,
) -> None:
    """Lock an account for protection. It gives no points and counts as no misconduct."""
    _act(
        "hold.place",
        config,
        state_dir,
        as_json,
        account=account,
        features=feature or None,
        hours=hours,
        indicators=indicator or None,
        revoke=revoke or None,
        reason=reason,
        token=find_token(token),
    )


@security.command("release")
def release(
    hold: HoldArgument,
    reason: Reason,
    clear: Annotated[
        bool, typer.Option("--clear", help="Nothing was stolen: no low caps afterwards.")
    ] = False,
    token: Token = None,
    config: ConfigFile = None,
    state_dir: StateDir = None,
    as_json: Json = False,
) -> None:
    """Unlock an account, or end the low caps after a lock. Strikes stay; to excuse the user, attest."""
    _act(
        "hold.release",
        config,
        state_dir,
        as_json,
        hold=hold,
        clear=clear or None,
        reason=reason,
        token=find_token(token),
    )


@security.command("attest")
def attest(
    hold: HoldArgument,
    reason: Reason,
    token: Token = None,
    config: ConfigFile = None,
    state_dir: StateDir = None,
    as_json: Json = False,
) -> None:
    """Answer for it that the password was reset and all sessions were revoked; the user is excused."""
    _act("hold.attest", config, state_dir, as_json, hold=hold, reason=reason, token=find_token(token))


@security.command("answer")
def answer(
    hold: HoldArgument,
    reason: Reason,
    token: Token = None,
    config: ConfigFile = None,
    state_dir: StateDir = None,
    as_json: Json = False,
) -> None:
    """Answer an objection to a lock that stays."""
    _act("hold.answer", config, state_dir, as_json, hold=hold, reason=reason, token=find_token(token))


@security.command("report")
def report(
    account: Annotated[str, typer.Option("--account", help="A login or account id.")],
    indicator: Annotated[str, typer.Option("--indicator", help="What was seen, such as auth.failures.")],
    incident: Annotated[
        str | None, typer.Option("--incident", metavar="ID", help="The incident it is about; default: an open one.")
    ] = None,
    token: Token = None,
    config: ConfigFile = None,
    state_dir: StateDir = None,
    as_json: Json = False,
) -> None:
    """Report what speaks for a stolen account, as a log watcher does. Saying it again adds nothing."""
    _act(
        "indicator.report",
        config,
        state_dir,
        as_json,
        account=account,
        indicator=indicator,
        incident=incident,
        token=find_token(token),
    )


@security.command("settle")
def settle(
    incident: Annotated[str, typer.Argument(metavar="ID", help="An incident's or case id.")],
    hypothesis: Annotated[str, typer.Option("--as", help="compromised, malicious or unknown.")],
    reason: Reason,
    token: Token = None,
    config: ConfigFile = None,
    state_dir: StateDir = None,
    as_json: Json = False,
) -> None:
    """Say whose doing an incident was. Malicious: its points are final at once, and the ladder follows."""
    _act(
        "hypothesis.settle",
        config,
        state_dir,
        as_json,
        incident=incident,
        hypothesis=hypothesis,
        reason=reason,
        token=find_token(token),
    )


@security.command("urgent")
def urgent(
    account: Annotated[str, typer.Argument(metavar="LOGIN|ID")],
    what: Annotated[
        str, typer.Option("--what", help="A category of severity 4, or imminent harm: self_harm, threat.")
    ],
    source: Annotated[str, typer.Option("--source", help="report, hash or order.")],
    reason: Reason,
    token: Token = None,
    config: ConfigFile = None,
    state_dir: StateDir = None,
    as_json: Json = False,
) -> None:
    """Have an account looked at within the hour: whoever is on call is called until somebody claims the task.

    Nothing else follows by itself. To whoever may harm themselves a letter says where help is found.
    """
    said = ask(
        load_config(config, state_dir),
        "urgent.open",
        account=account,
        what=what,
        source=source,
        reason=reason,
        token=find_token(token),
    )
    result(said, as_json=as_json, text=lambda: _urgent_lines(said))


def _urgent_lines(said: dict[str, Any]) -> list[str]:
    called = "whoever is on call is called" if said["paged"] else "NOBODY IS CALLED: [paging] is not set"
    hotline = [printable(text) for text in said["hotline"].values() if text]
    return [f"{said['task_id']}: look by {said['due_at']}; {called}", *hotline]


def _act(verb: str, config: Path | None, state_dir: Path | None, as_json: bool, **arguments: Any) -> None:
    said = ask(load_config(config, state_dir), verb, **arguments)
    result(said, as_json=as_json, text=lambda: [_line(said)])


def _line(said: dict[str, Any]) -> str:
    until = f" until {said['locked_until']}" if said["locked_until"] else ""
    locked = f": {', '.join(said['locked'])} locked{until}" if said["security"] == "hold" else until
    return f"{printable(said['login'])}: {said['security']}{locked}; {said['standing']} with {said['points']:g} points"


def _shown(said: dict[str, Any]) -> list[str]:
    head = ("hold", "because", "locked", "since", "until", "indicators")
    rows = (
        (
            x["hold_id"],
            x["because"],
            " ".join(x["features"]),
            x["starts_at"],
            x["ends_at"],
            " ".join(x["indicators"]) or None,
        )
        for x in said["holds"]
    )
    lines = [_line(said), *table(head, rows)]
    if said["attestable"]:
        who = "a moderator" if said["moderators_only"] else "the tenant's administrator or a moderator"
        lines.append(f"attestation {said['attestation_number']} in the term; {who} may attest")
    return lines
