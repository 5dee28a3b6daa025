"""`filterd policy`: agreement files, and what they make of findings."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from filterd.cli.options import ConfigFile, Json
from filterd.cli.places import load_config
from filterd.cli.say import complain, count, printable, result, table
from filterd.errors import ConfigError

if TYPE_CHECKING:
    from filterd.agreement.terms import Agreement

policies = typer.Typer(help="Service agreements: check the files, show what is in force.")


@policies.command("check")
def check(
    files: Annotated[list[Path], typer.Argument(metavar="FILE…", help="Agreement files.")],
    as_json: Json = False,
) -> None:
    """Read agreement files as start-up would, and run their examples. Exit 2, naming file, line and key, on an error.

    All files are looked at; what is only worth a look is said as a warning.
    """
    from filterd.agreement.load import load
    from filterd.checks import ALL_CODES

    said, errors = [], []
    for file in files:
        try:
            try:
                octets = file.read_bytes()
            except OSError as err:
                raise ConfigError(f"cannot be read: {err.strerror}", file=file) from err
            said.append({"file": str(file), **_facts(load(octets, str(file), ALL_CODES))})
        except ConfigError as err:
            errors.append(err)
    result(said, as_json=as_json, text=lambda: (line for one in said for line in _lines(one)))
    for error in errors[:-1]:
        complain(str(error))
    if errors:
        raise errors[-1]


@policies.command("show")
def show(config: ConfigFile = None, as_json: Json = False) -> None:
    """Show the agreements in force under a configuration, the default one marked."""
    from filterd.app import load_agreements

    settings = load_config(config)
    said = [
        {**_facts(terms), "is_default": terms.id == settings.agreement.default, "preset": settings.agreement.preset}
        for terms in load_agreements(settings).values()
    ]
    said.sort(key=lambda one: not one["is_default"])
    result(said, as_json=as_json, text=lambda: (line for one in said for line in _lines(one)))


def _facts(terms: Agreement) -> dict[str, Any]:
    """Say what an agreement comes to."""
    from dataclasses import asdict

    from filterd.agreement.crosswalk import crosswalk, rung_reach, severity_text
    from filterd.agreement.load import unmapped
    from filterd.checks import ALL_CODES

    return {
        "id": terms.id,
        "version": terms.version,
        "effective_from": terms.effective_from,
        "digest": terms.digest,
        "enforcing_party": terms.enforcing_party,
        "languages": list(terms.languages),
        "categories": [
            {
                "id": c.id,
                "name": c.en,
                "mode": c.mode.value,
                "single": c.single,
                "severity": severity_text(c),
                "is_urgent": c.is_urgent,
                "people_only": c.people_only,
                "disposition": c.disposition.value,
                "clauses": [terms.clause[key].number for key in c.ground],
                "findings": [rule.finding for rule in terms.rule if rule.category == c.id],
                "zero_tolerance": c.zero_tolerance,
                "arf": c.arf,
                "xarf": c.xarf,
                "dsa": list(c.dsa),
            }
            for c in terms.category
        ],
        "crosswalk": [asdict(row) for row in crosswalk(terms)],
        "rung_reach": [
            {"category": reach.category, "preset": reach.preset.value, "reaches": reach.text}
            for reach in rung_reach(terms)
        ],
        "ladder": [
            {
                "at": step.at,
                "rung": step.rung,
                "hours": step.hours,
                "proposes_termination": step.propose_termination,
            }
            for step in terms.ladder
        ],
        "advisory": list(terms.advisory),
        # Loading ran them all; one that does not come out refuses the file.
        "examples_passed": [example.name for example in terms.example],
        "unmapped": list(unmapped(terms, ALL_CODES)),
        "warnings": list(_warnings(terms)),
    }


def _warnings(terms: Agreement) -> Iterator[str]:
    """Say what loads, and is probably not meant so."""
    import datetime
    import zoneinfo

    try:
        zoneinfo.ZoneInfo(terms.timezone)
    except (zoneinfo.ZoneInfoNotFoundError, ValueError):
        yield f"timezone: this machine does not know {terms.timezone!r} (package tzdata)"
    if terms.effective_from.tzinfo is None:
        yield "effective_from: has no zone"
    elif terms.effective_from > datetime.datetime.now(datetime.UTC):
        yield f"effective_from: {terms.effective_from.isoformat()} is still to come; it is enforced all the same"
    ruled = {rule.category for rule in terms.rule}
    for category in terms.category:
        if category.id not in ruled and not category.people_only:
            yield f"category {category.id}: no rule leads to it"
    cited = {key for category in terms.category for key in category.ground} | set(terms.sanction_ground)
    for key, clause in terms.clause.items():
        if key not in cited and clause.in_mail:
            yield f"clause {key}: nothing stands on it"
    for finding in sorted({rule.finding for rule in terms.rule} & set(terms.advisory)):
        yield f"advisory: {finding} is listed as advisory and mapped by a rule"


def _lines(said: dict[str, Any]) -> Iterable[str]:
    marks = [word for word, is_so in (("default", said.get("is_default")),) if is_so]
    file = [f"({printable(said['file'])})"] if "file" in said else []
    yield " ".join([said["id"], said["version"], *file, *marks])
    yield f"  digest      {said['digest']}"
    if "preset" in said:
        yield f"  preset      {said['preset']}"
    yield f"  examples    {count(len(said['examples_passed']), 'example')} passed"
    steps = (
        f"{s['at']:g} {s['rung']}" + (f" {s['hours']} h" if s["hours"] is not None else "") for s in said["ladder"]
    )
    yield f"  ladder      {', '.join(steps)}"
    head = ("label", "finding", "category", "clauses", "mode", "severity", "mail")
    rows = ([", ".join(row[key]) if key == "clauses" else row[key] for key in head] for row in said["crosswalk"])
    yield from (f"  {line}" for line in table(head, rows))
    yield "  Without any person, one account that never stops reaches:"
    yield from (f"  {line}" for line in _reach_table(said["rung_reach"]))
    if said["unmapped"]:
        yield f"  unmapped    {' '.join(said['unmapped'])} (seen, and act on nothing)"
    for warning in said["warnings"]:
        yield f"  warning     {printable(warning)}"


def _reach_table(reached: list[dict[str, str]]) -> list[str]:
    """One line a category that reaches something, one for all the others."""
    presets = list(dict.fromkeys(one["preset"] for one in reached))
    said = {(one["category"], one["preset"]): one["reaches"] for one in reached}
    categories = list(dict.fromkeys(one["category"] for one in reached))
    acting = [c for c in categories if any(said[c, p] != "nothing" for p in presets)]
    lines = table(("category", *presets), ([c, *(said[c, p] for p in presets)] for c in acting))
    rest = [c for c in categories if c not in acting]
    return [*lines, *([f"nothing: {' '.join(rest)}"] if rest else [])]
