"""`filterd terms`: the operator's term lists, and which of them two people have approved.  ops/docs/TERM-LISTS.md."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from filterd.cli.adopting import approvals, list_rows
from filterd.cli.link import ask
from filterd.cli.locked import locked_lists
from filterd.cli.options import ConfigFile, Json, Reason, StateDir, Token
from filterd.cli.places import find_token, load_config
from filterd.cli.say import complain, result, table

term_lists = typer.Typer(help="Term lists: what is in force, and proposing a change to a second person.")
term_lists.add_typer(locked_lists, name="locked", no_args_is_help=True)

_STATES = {
    "in_force": "in force",
    "held_back": "held back: the version approved last acts",
    "off": "off: two people have not approved it",
    "expired": "expired",
    "unknown": "nobody can be asked: the ledger does not run",
}


@term_lists.command("list")
def terms_list(config: ConfigFile = None, state_dir: StateDir = None, as_json: Json = False) -> None:
    """List the files of the folder, and what acts of each."""
    settings = load_config(config, state_dir)
    rows = list_rows(settings, approvals(settings))
    head = ("list", "label", "entries", "expires", "digest", "state")
    result(
        rows,
        as_json=as_json,
        text=lambda: table(
            head,
            (
                (x["list"], x["label"], x["entries"], x["expires_at"], x["digest"][:12], _STATES[x["state"]])
                for x in rows
            ),
        ),
    )


@term_lists.command("propose")
def terms_propose(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="The list as it is to be.")],
    reason: Reason,
    token: Token = None,
    config: ConfigFile = None,
    state_dir: StateDir = None,
    as_json: Json = False,
) -> None:
    """Propose just this content of a list; it acts once another person has approved it.

    The other person reads the file, compares its SHA-256 with `filterd proposal show`, and approves.
    """
    from filterd.clients.clock import SystemClock
    from filterd.clients.term_lists import read_list

    one = read_list(file, SystemClock().now())
    said = ask(
        load_config(config, state_dir),
        "proposal.make",
        act="terms.adopt",
        subject="site",
        reason=reason,
        list=one.id,
        list_digest=one.digest,
        label=one.label,
        until=one.expires_at.isoformat(),
        entries=str(len(one.terms) + len(one.patterns)),
        legal_basis=one.legal_basis,
        token=find_token(token),
    )
    next_step = f"filterd proposal approve {said['proposal_id']} --digest {said['digest'][:12]}"
    complain(f"another person approves it by {said['expires_at']}: {next_step}")
    result(said, as_json=as_json, text=lambda: [f"{said['proposal_id']}  {one.id} {one.digest}"])
