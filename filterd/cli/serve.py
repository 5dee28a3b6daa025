"""`filterd serve` and `filterd demo`: the processes that stay; `filterd reload`: another policy for them."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import typer

from filterd.cli.options import Json
from filterd.cli.places import load_config
from filterd.cli.say import complain, dumps, result

Level = Annotated[str, typer.Option("--log-level", help="debug, info, warning or error.")]


def serve(
    config: Annotated[Path, typer.Option("--config", envvar="FILTERD_CONFIG", metavar="FILE", help="Configuration.")],
    workers: Annotated[
        int, typer.Option("--workers", min=0, max=64, help="Worker processes; 0: everything in this one.")
    ] = 0,
    log_level: Level = "info",
    as_json: Annotated[bool, typer.Option("--json", help="Write the service log as JSON, one object a line.")] = False,
) -> None:
    """Run filterd until SIGTERM or Ctrl-C; SIGHUP reloads. The service log goes to standard error."""
    from filterd.supervisor import serve as run

    settings = load_config(config)
    _set_up_log(log_level, as_json)

    def ready() -> None:
        line = dumps({"event": "ready", "workers": workers}) if as_json else "filterd ready"
        print(line, file=sys.stderr, flush=True)

    if code := run(settings, workers, ready, file=config.absolute()):
        raise typer.Exit(code)


def reload(
    config: Annotated[Path, typer.Option("--config", envvar="FILTERD_CONFIG", metavar="FILE", help="Configuration.")],
    state_dir: Annotated[
        Path | None, typer.Option("--state-dir", metavar="DIR", help="Where it runs; default: as the file says.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Have the running filterd read its files again; waits, and says what was taken.

    All of it is taken, or nothing: exit 1 with the reason. What needs a restart is refused by name.
    """
    from filterd.errors import ConfigError
    from filterd.supervisor import control

    try:
        outcome = control.ask(state_dir or _state_dir(config))
    except ConfigError as err:
        # So broken that it does not even say where filterd runs.
        complain(str(err))
        raise typer.Exit(1) from err
    if outcome.fault is not None:
        complain(outcome.fault.text)
        raise typer.Exit(1)
    changed = outcome.changed
    said = {"policies": outcome.policies, **changed}

    def lines() -> Iterator[str]:
        yield "reloaded" if any(changed.values()) else "reloaded: nothing had changed"
        yield from (f"key {name}" for name in changed["keys"])
        for name, digest in changed["agreements"].items():
            yield f"agreement {name} {digest[:12] if digest else 'is gone'}"
        if changed["model"]:
            yield f"model {changed['model']}"

    result(said, as_json=as_json, text=lines)


def _state_dir(file: Path) -> Path:
    """Say where filterd runs by a file that may be wrong otherwise: what is wrong is for the running one to say."""
    from filterd.config import NodeConfig
    from filterd.model.toml_source import TomlSource

    node = TomlSource.read(file).values.get("node", {})
    found = node.get("state_dir") if isinstance(node, dict) else None
    default: Path = NodeConfig.model_fields["state_dir"].default
    return Path(found) if isinstance(found, str) else default


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
