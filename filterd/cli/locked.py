"""`filterd terms locked`: an operator's lists of locked categories; two people switch them on, one switches them off.

ops/docs/TERM-LISTS.md.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any

import typer

from filterd.cli.adopting import LOCKED_ENABLED, LOCKED_STATES, locked_rows
from filterd.cli.link import ask
from filterd.cli.options import ConfigFile, Json, Reason, StateDir, Token
from filterd.cli.places import find_token, load_config
from filterd.cli.say import complain, result, table
from filterd.errors import RefusedError

locked_lists = typer.Typer(help="Lists of locked categories: off until two people say otherwise.")


@locked_lists.command("list")
def locked_list(
    token: Token = None, config: ConfigFile = None, state_dir: StateDir = None, as_json: Json = False
) -> None:
    """Say whether such lists run, and what acts of each file of the folder."""
    settings = load_config(config, state_dir)
    entries = ask(settings, "register.list", token=find_token(token))
    enabled = [x for x in entries if x["register"] == LOCKED_ENABLED]
    lists = locked_rows(settings, entries)
    head = ("list", "category", "on_hit", "entries", "expires", "digest", "state")

    def lines() -> Iterable[str]:
        for x in enabled:
            yield f"such lists run since {x['at']}: {x['by']} and {x['approver']}; entry {x['entry_id']}"
        if not enabled:
            yield "such lists do not run"
        yield from table(
            head,
            (
                (
                    x["list"],
                    x["category"],
                    x["on_hit"],
                    x["entries"],
                    x["expires_at"],
                    x["digest"][:12],
                    LOCKED_STATES[x["state"]],
                )
                for x in lists
            ),
        )

    result({"is_enabled": bool(enabled), "enabled": enabled, "lists": lists}, as_json=as_json, text=lines)


@locked_lists.command("enable")
def locked_enable(
    legal_basis: Annotated[str, typer.Option("--legal-basis", help="What law or order asks for it.")],
    reason: Reason,
    token: Token = None,
    config: ConfigFile = None,
    state_dir: StateDir = None,
    as_json: Json = False,
) -> None:
    """Propose that such lists run at all; another person approves. Not where one person is alone."""
    _propose(config, state_dir, token, as_json, act="locked_lists.enable", legal_basis=legal_basis, reason=reason)


@locked_lists.command("propose")
def locked_propose(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="The list as it is to be.")],
    reason: Reason,
    token: Token = None,
    config: ConfigFile = None,
    state_dir: StateDir = None,
    as_json: Json = False,
) -> None:
    """Propose just this content of a list; it acts once another person has approved it, if such lists run.

    The other person reads the file, compares its SHA-256 with `filterd proposal show`, and approves.
    """
    from filterd.clients.clock import SystemClock
    from filterd.clients.locked_lists import read_locked

    one = read_locked(file, SystemClock().now())
    _propose(
        config,
        state_dir,
        token,
        as_json,
        act="locked_list.adopt",
        reason=reason,
        list=one.id,
        list_digest=one.digest,
        category=one.category,
        until=one.expires_at.isoformat(),
        entries=str(len(one.terms) + len(one.patterns)),
        legal_basis=one.legal_basis,
        scope=one.scope,
        on_hit=one.on_hit,
    )


@locked_lists.command("off")
def locked_off(
    reason: Reason, token: Token = None, config: ConfigFile = None, state_dir: StateDir = None, as_json: Json = False
) -> None:
    """Switch all such lists off, at once and alone. To have them again takes two people."""
    settings, person = load_config(config, state_dir), find_token(token)
    entries = ask(settings, "register.list", token=person)
    said = [
        ask(settings, "register.end", entry=x["entry_id"], reason=reason, token=person)
        for x in entries
        if x["register"] == LOCKED_ENABLED
    ]
    if not said:
        raise RefusedError("such lists do not run")
    result(said, as_json=as_json, text=lambda: ["lists of locked categories are off"])


def _propose(config: Path | None, state_dir: Path | None, token: str | None, as_json: bool, **terms: Any) -> None:
    settings, person = load_config(config, state_dir), find_token(token)
    said = ask(settings, "proposal.make", subject="site", token=person, **terms)
    next_step = f"filterd proposal approve {said['proposal_id']} --digest {said['digest'][:12]}"
    complain(f"another person approves it by {said['expires_at']}: {next_step}")
    result(said, as_json=as_json, text=lambda: [f"{said['proposal_id']}  {said['act']}"])
