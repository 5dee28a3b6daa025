"""`filterd serve` and `filterd demo`: the processes that stay."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from filterd.cli.options import Json
from filterd.cli.places import load_config
from filterd.cli.say import dumps

Level = Annotated[str, typer.Option("--log-level", help="debug, info, warning or error.")]


def serve(
    config: Annotated[Path, typer.Option("--config", envvar="FILTERD_CONFIG", metavar="FILE", help="Configuration.")],
    workers: Annotated[
        int, typer.Option("--workers", min=0, max=64, help="Worker processes; 0: everything in this one.")
    ] = 0,
    log_level: Level = "info",
    as_json: Annotated[bool, typer.Option("--json", help="Write the service log as JSON, one object a line.")] = False,
) -> None:
    """Run filterd until SIGTERM or Ctrl-C. The service log goes to standard error."""
    from filterd.supervisor import serve as run

    settings = load_config(config)
    _set_up_log(log_level, as_json)

    def ready() -> None:
        line = dumps({"event": "ready", "workers": workers}) if as_json else "filterd ready"
        print(line, file=sys.stderr, flush=True)

    if code := run(settings, workers, ready):
        raise typer.Exit(code)


def demo(
    state_dir: Annotated[
        Path | None,
        typer.Option("--state-dir", metavar="DIR", help="Keep everything here; default: a folder for this run."),
    ] = None,
    once: Annotated[
        bool, typer.Option("--once", help="End after the tables instead of staying up; implies --check.")
    ] = False,
    check: Annotated[
        bool, typer.Option("--check", help="Exit 1 when a mail did not get what the tables claim.")
    ] = False,
    log_level: Level = "error",
    as_json: Json = False,
) -> None:
    """Show everything, on this machine.

    Real SMTP, clamd, DNS, ledger, sanctions and notices, on simulated days.
    """
    import asyncio

    from filterd.demo import run

    is_as_claimed = asyncio.run(run(state_dir, once=once, check=check, log_level=log_level, as_json=as_json))
    if not is_as_claimed and (once or check):
        raise typer.Exit(1)


def _set_up_log(level: str, as_json: bool) -> None:
    from filterd.errors import ConfigError
    from filterd.log.service import LEVELS, set_up

    if level not in LEVELS:
        raise ConfigError(f"{level!r} is none of {', '.join(LEVELS)}", key="--log-level")
    set_up(level, json=as_json)
