"""`filterd clock`: what time does under the agreements, and what would strike when.  CLAUSES §6."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Annotated

import typer

from filterd.cli.link import ask
from filterd.cli.options import AsRoot, ConfigFile, Json, StateDir, Token
from filterd.cli.places import find_token, load_config
from filterd.cli.say import count, result, table

if TYPE_CHECKING:
    from filterd.config import Config

clocks = typer.Typer(help="Clocks: what ends, stops, is asked for and may be deleted as time goes by.")

# A look at everybody takes longer than an ordinary answer.
_ANSWER_WITHIN_S = 300.0


@clocks.command("list")
def clock_list(config: ConfigFile = None, state_dir: StateDir = None, as_json: Json = False) -> None:
    """List every clock: whose clause it is, from when, how long, what follows, what pauses it."""
    rows = ask(load_config(config, state_dir), "clock.list")
    head = ("name", "clause", "start", "length", "end", "pause")
    result(rows, as_json=as_json, text=lambda: table(head, ([row[n] for n in head] for row in rows)))


@clocks.command("run")
def clock_run(
    at: Annotated[
        str | None, typer.Option("--at", metavar="INSTANT", help="With its zone: 2026-12-01T09:00:00+08:00.")
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would strike.")] = False,
    as_root: AsRoot = False,
    token: Token = None,
    config: ConfigFile = None,
    state_dir: StateDir = None,
    as_json: Json = False,
) -> None:
    """Say what strikes at an instant (default: now), and carry it out, unless --dry-run.

    The job does the same every minute; nothing that ends waits for it. To carry it out takes a person's token, or a
    clock that people set: that one is set to --at first. Nothing strikes ahead of its time.
    """
    settings = load_config(config, state_dir)
    if at is not None and not dry_run and settings.node.clock == "settable":
        _set_clock(settings, at)
    said = ask(
        settings,
        "clock.run",
        answer_within_s=_ANSWER_WITHIN_S,
        at=at,
        dry_run=dry_run,
        as_root=as_root or None,
        token=find_token(token),
    )

    def lines() -> Iterable[str]:
        verb = "would strike" if said["dry_run"] else "struck"
        yield f"{count(len(said['struck']), 'clock')} {verb} at {said['at']}"
        head = ("clock", "subject_id", "due_at", "event", "alarm")
        rows = (
            (x["clock"], x["subject_id"], x["due_at"], x["event"], "ALARM" if x["is_alarm"] else "")
            for x in said["struck"]
        )
        if said["struck"]:
            yield from table(head, rows)

    result(said, as_json=as_json, text=lines)


def _set_clock(settings: Config, at: str) -> None:
    from datetime import datetime

    from filterd.clients.clock import FILE_NAME, set_clock
    from filterd.errors import ConfigError

    try:
        instant = datetime.fromisoformat(at)
    except ValueError as err:
        raise ConfigError(f"{at!r} is no instant", key="--at") from err
    set_clock(settings.node.state_dir / FILE_NAME, instant)
