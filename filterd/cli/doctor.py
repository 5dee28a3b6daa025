"""`filterd doctor`: what is wrong with this installation, and what to do about it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from filterd.cli.options import ConfigFile, Json, StateDir
from filterd.cli.places import load_config
from filterd.cli.say import Progress, count, printable, result
from filterd.errors import ConfigError, ModelError

if TYPE_CHECKING:
    from filterd.cli.probes.finding import Finding, Probe

_MARKS = {"ok": "ok     ", "warning": "WARNING", "broken": "BROKEN ", "skipped": "skipped"}


def doctor(
    config: ConfigFile = None,
    state_dir: StateDir = None,
    postfix: Annotated[
        Path | None,
        typer.Option("--postfix", metavar="DIR", help="Postfix's folder; default: /etc/postfix, where it is."),
    ] = None,
    sendmail: Annotated[
        Path | None, typer.Option("--sendmail", metavar="FILE", help="sendmail.mc or sendmail.cf.")
    ] = None,
    exim: Annotated[Path | None, typer.Option("--exim", metavar="FILE", help="exim.conf.")] = None,
    as_json: Json = False,
) -> None:
    """Say what is wrong here, and what to do.

    Looks at everything filterd leans on, and how the mail server is wired to it; exit 1 when something is broken. Run
    it as the user filterd runs as, while filterd runs. It sends no mail and changes nothing.
    """
    import asyncio

    found = asyncio.run(_examine(config, state_dir, {"postfix": postfix, "sendmail": sendmail, "exim": exim}))
    broken = sum(item["status"] == "broken" for item in found)
    warnings = sum(item["status"] == "warning" for item in found)
    result({"broken": broken, "warnings": warnings, "findings": found}, as_json=as_json, text=lambda: _lines(found))
    if broken:
        raise typer.Exit(1)


def _probes() -> tuple[tuple[str, Probe], ...]:
    """Every question, in the order of the answers."""
    from filterd.cli.probes import database, directory, doors, held, house, names, programs, state
    from filterd.cli.probes.wiring import probe as wiring

    return (
        ("agreement", house.agreement),
        ("two_people", house.two_people),
        ("attribution", house.attribution),
        ("reach", house.reach),
        ("paging", house.paging),
        ("clock", house.clock),
        ("state_dir", state.state_dir),
        ("key", state.key),
        ("database", database.database),
        ("ledger", state.ledger),
        ("chain", state.chain),
        ("events", state.events),
        ("held", held.held),
        ("directory", directory.directory),
        ("clamd", programs.clamd),
        ("dns", names.dns),
        ("model", programs.model),
        ("next_hop", programs.next_hop),
        ("appeals", programs.appeals),
        ("listeners", doors.listeners),
        ("beliefs", doors.beliefs),
        ("loop", doors.loop),
        ("policy_service", doors.policy_service),
        ("milter", doors.milter),
        ("socketmap", doors.socketmap),
        ("http", doors.http),
        ("postfix", wiring.postfix),
        ("sendmail", wiring.sendmail),
        ("exim", wiring.exim),
    )


async def _examine(file: Path | None, state_dir: Path | None, servers: dict[str, Path | None]) -> list[dict[str, Any]]:
    """Ask every question. A configuration that cannot be read is the only answer.

    Args:
        servers: the files of mail servers, by the names of `Patient`.
    """
    from filterd.app import load_agreements
    from filterd.cli.probes.finding import Patient, broken, ok
    from filterd.cli.settings import look_closer

    try:
        config = load_config(file, state_dir)
    except ConfigError as err:
        return [_said("config", broken(str(err), "mend the file; `filterd config check` says the same"))]
    found = []
    agreements = {}
    try:
        agreements = load_agreements(config)
        list(look_closer(config, file))
    except (ConfigError, ModelError) as err:
        found.append(_said("config", broken(str(err), "mend the file; `filterd config check` says the same")))
    else:
        found.append(_said("config", ok(str(file) if file is not None else "the embedded one")))
    patient = Patient(config=config, file=file, agreements=agreements, **servers)
    progress = Progress("looking at")
    for number, (name, probe) in enumerate(_probes(), start=1):
        progress.step(number)
        try:
            found += [_said(name, finding) async for finding in probe(patient)]
        # A probe that fails itself must not keep the others from being asked.
        except Exception as err:
            fix = "this is a bug of the doctor; the rest of what it says still holds"
            found.append(_said(name, broken(f"could not be looked at: {type(err).__name__}", fix)))
    progress.end()
    return found


def _said(name: str, finding: Finding) -> dict[str, Any]:
    change = finding.change
    edit = None if change is None else {
        "file": str(change.file), "line": change.line, "last": change.last, "do": change.do, "text": change.text
    }  # fmt: skip
    said = {"probe": name, "status": finding.status.value, "what": finding.what, "fix": finding.fix}
    return said | {"fault": finding.fault, "change": edit}


def _lines(found: list[dict[str, Any]]) -> Iterator[str]:
    width = max(len(item["probe"]) for item in found)
    for item in found:
        yield f"{_MARKS[item['status']]}  {item['probe']:{width}}  {printable(item['what'])}"
        if item["fix"]:
            yield f"{'':9}{'':{width}}  -> {printable(item['fix'])}"
    broken = sum(item["status"] == "broken" for item in found)
    warnings = sum(item["status"] == "warning" for item in found)
    yield f"{broken} broken, {count(warnings, 'warning')}"
