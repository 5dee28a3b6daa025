"""`filterd policy clauses`: every clause of the agreements, what it asks, what holds it, and what does not fit."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated, Any

import typer

from filterd.cli.entry import FAILED
from filterd.cli.options import ConfigFile, Json
from filterd.cli.places import load_config
from filterd.cli.say import complain, count, printable, result, table
from filterd.errors import UsageError

if TYPE_CHECKING:
    from filterd.agreement.clause_faults import Fault
    from filterd.agreement.clauses import Register
    from filterd.agreement.terms import Agreement

_HEAD = ("clause", "mode", "duties", "categories", "tests", "pending")


def clauses(
    agreement: Annotated[str | None, typer.Argument(metavar="[AGREEMENT]", help="Its clauses only.")] = None,
    config: ConfigFile = None,
    as_json: Json = False,
) -> None:
    """Show the clause registers, and check them against the agreements in force and the notice templates.

    Exit 1 when something does not fit, a line each; 2, naming file, line and key, when a register cannot be read.
    """
    from filterd.app import load_agreements

    agreements = load_agreements(load_config(config))
    registers = _registers(agreements)
    if agreement is not None and agreement not in registers:
        raise UsageError(f"no register for {agreement!r}; there is one for {', '.join(registers)}")
    shown = [register for name, register in registers.items() if agreement in (None, name)]
    wrong = _faults(registers, agreements)
    said = {
        "registers": [_facts(register) for register in shown],
        "faults": [{"agreement": f.agreement, "clause": f.clause, "text": f.text} for f in wrong],
    }
    result(said, as_json=as_json, text=lambda: (line for register in shown for line in _lines(register)))
    for fault in wrong:
        complain(str(fault))
    if wrong:
        raise typer.Exit(FAILED)


def _registers(agreements: dict[str, Agreement]) -> dict[str, Register]:
    """Read the registers of these agreements. An agreement of an operator's own needs none."""
    from filterd.agreement.clauses import load_register
    from filterd.share import path

    files = sorted(path("policies/clauses").glob("*.toml"))
    read = [load_register(file.read_bytes(), str(file)) for file in files]
    return {register.agreement: register for register in read if register.agreement in agreements}


def _faults(registers: dict[str, Register], agreements: dict[str, Agreement]) -> tuple[Fault, ...]:
    from filterd.agreement.clause_faults import faults
    from filterd.checks import ALL_CODES
    from filterd.share import path

    folder = path("policies/notices")
    templates = {str(f.relative_to(folder)): f.read_text(encoding="utf-8") for f in sorted(folder.rglob("*.j2"))}
    return faults(registers, agreements, templates, ALL_CODES)


def _facts(register: Register) -> dict[str, Any]:
    entries = register.clause
    return {
        "agreement": register.agreement,
        "clauses": [entry.model_dump(mode="json") for entry in entries],
        "not_actionable": [entry.id for entry in entries if not entry.is_actionable],
        "pending": {entry.id: entry.pending for entry in register.pending},
    }


def _lines(register: Register) -> Iterator[str]:
    actionable = sum(entry.is_actionable for entry in register.clause)
    tests = len({test for entry in register.clause for test in entry.tests})
    yield printable(
        f"{register.agreement}: {count(len(register.clause), 'clause')}, {actionable} of them actionable,"
        f" {count(tests, 'test')}, {len(register.pending)} with something pending"
    )
    rows = (
        (
            entry.id,
            " ".join(entry.mode),
            " ".join(entry.duties) or None,
            " ".join(entry.categories) or None,
            len(entry.tests),
            entry.pending,
        )
        for entry in register.clause
    )
    yield from (f"  {line}" for line in table(_HEAD, rows))
