"""What every command that changes something says of whoever gives it: a token, or that it is root, who has no name."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from filterd.cli.link import ask
from filterd.cli.places import find_token, load_config
from filterd.cli.say import complain, printable, result


def who(token: str | None, *, as_root: bool) -> dict[str, Any]:
    """Say the arguments of a verb that name whoever acts; root is warned what that means."""
    if not as_root:
        return {"token": find_token(token)}
    complain(
        "WARNING: acting as root. No named person answers for this; the ledger entry says 'root', everybody who reads"
        " the ledger will see it, and an alarm sounds"
    )
    return {"as_root": True}


def act(verb: str, config: Path | None, state_dir: Path | None, as_json: bool, **arguments: Any) -> None:
    """Do something to an account and say its standing afterwards."""
    said = ask(load_config(config, state_dir), verb, **arguments)
    result(said, as_json=as_json, text=lambda: [standing_line(said)])


def standing_line(said: dict[str, Any]) -> str:
    """Say an account's standing in one line."""
    until = f" until {said['until']}" if said["until"] else ""
    return f"{printable(said['login'])} is now {said['standing']}{until} with {said['points']:g} points"
