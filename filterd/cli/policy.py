"""`filterd policy`: agreement files, and what they make of findings."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from filterd.cli.adopting import approvals, list_faults, list_rows
from filterd.cli.announcing import to_announce
from filterd.cli.clauses import clauses
from filterd.cli.options import ConfigFile, Json
from filterd.cli.places import load_config
from filterd.cli.policy_facts import facts, whole
from filterd.cli.policy_test import run_examples
from filterd.cli.policy_text import lines, whole_lines
from filterd.cli.say import complain, result
from filterd.errors import ConfigError, UsageError

policies = typer.Typer(help="Service agreements: check the files, show what is in force.")
policies.command("clauses")(clauses)
policies.command("test")(run_examples)


@policies.command("check")
def check(
    files: Annotated[list[Path], typer.Argument(metavar="FILE…", help="Agreement files.")],
    config: ConfigFile = None,
    as_json: Json = False,
) -> None:
    """Read agreement files as start-up would, and run their examples. Exit 2, naming file, line and key, on an error.

    All files are looked at; what is only worth a look is said as a warning. How far each category goes is said for
    nobody, one person and a team on duty, under the preset of the configuration.
    """
    from filterd.agreement.load import load
    from filterd.checks import ALL_CODES

    settings = load_config(config)
    preset = settings.agreement.preset
    read, errors = [], []
    for file in files:
        try:
            try:
                octets = file.read_bytes()
            except OSError as err:
                raise ConfigError(f"cannot be read: {err.strerror}", file=file) from err
            read.append((file, load(octets, str(file), ALL_CODES)))
        except ConfigError as err:
            errors.append(err)
    approved = approvals(settings, (terms for _, terms in read))
    said = [{"file": str(file), **facts(terms, approved), "preset": preset} for file, terms in read]
    untold = to_announce(settings, (terms for _, terms in read))
    for one in said:
        one["warnings"] += [untold[one["digest"]]] if one["digest"] in untold else []
    try:
        faults = list(list_faults(list_rows(settings, approved)))
    except ConfigError as err:
        faults, errors = [], [*errors, err]
    result(said, as_json=as_json, text=lambda: (line for one in said for line in lines(one)))
    for what, do in faults:
        complain(f"WARNING: {what}: {do}")
    for error in errors[:-1]:
        complain(str(error))
    if errors:
        raise errors[-1]


@policies.command("show")
def show(
    agreement: Annotated[str | None, typer.Argument(metavar="[ID]", help="This one, with every clause.")] = None,
    config: ConfigFile = None,
    as_json: Json = False,
) -> None:
    """Show the agreements in force under a configuration, the default one marked; with an id that one, whole."""
    from filterd.app import load_agreements

    settings = load_config(config)
    found = load_agreements(settings)
    approved = approvals(settings, found.values())
    marks = {"preset": settings.agreement.preset}
    if agreement is not None:
        if agreement not in found:
            raise UsageError(f"no agreement {agreement!r}; there is {', '.join(found)}")
        is_default = agreement == settings.agreement.default
        one = {**whole(found[agreement], approved), "is_default": is_default, **marks}
        result(one, as_json=as_json, text=lambda: whole_lines(one))
        return
    said = [
        {**facts(terms, approved), "is_default": terms.id == settings.agreement.default, **marks}
        for terms in found.values()
    ]
    said.sort(key=lambda one: not one["is_default"])
    result(said, as_json=as_json, text=lambda: (line for one in said for line in lines(one)))
