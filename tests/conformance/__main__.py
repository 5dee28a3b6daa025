"""How do we stand by the suites of mail authentication?  `python -m tests.conformance`

One line a suite: how many of its cases we answer as it says, and how many we answer otherwise on purpose, with the file
that says which and why. The numbers come from what the tests of the suites compare; the tests hold them to it.
Exit 1 when a case is answered otherwise without a reason. Needs the outside data (FILTERD_DATA, by default ../shared).
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Awaitable, Callable, Collection, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.conformance import test_arc, test_arc_sealing, test_dkim, test_dmarc, test_psl, test_spf
from tests.conftest import find_data


@dataclass(frozen=True, kw_only=True)
class Row:
    """One suite. `argued`: cases answered otherwise with a reason; `wrong`: without, by name. `file`: the reasons."""

    suite: str
    total: int
    argued: int = 0
    wrong: tuple[str, ...] = ()
    file: str = ""

    @property
    def passed(self) -> int:
        return self.total - self.argued - len(self.wrong)


def row(suite: str, cases: Collection[str], differing: Iterable[str], argued: Collection[str], file: str = "") -> Row:
    """Count a suite in which each case has a name."""
    names = set(differing)
    wrong = tuple(sorted(names - set(argued)))
    return Row(suite=suite, total=len(set(cases)), argued=len(names & set(argued)), wrong=wrong, file=file)


async def holding(test: Callable[..., Awaitable[Any]], cases: Iterable[Any], *more: Any) -> list[Any]:
    """Say which cases the test of a suite does not hold for."""
    failed = []
    for case in cases:
        try:
            await test(case, *more)
        except AssertionError:
            failed.append(case)
    return failed


async def spf(_: Path) -> list[Row]:
    cases, argued = [case.name for case in test_spf.CASES], test_spf.argued()
    ways = {"in memory": test_spf.in_memory, "over loopback": test_spf.over_loopback}
    found = []
    for way, answers in ways.items():
        differing = test_spf.differing(await answers())
        good = [name for name, ours in argued.items() if differing.get(name) == ours]
        found.append(row(f"spf-rfc7208, {way}", cases, {*differing, *argued}, good, "spf_deviations.toml"))
    return found


async def arc(_: Path) -> list[Row]:
    differing = [name for name, *_ in await test_arc.differing()]
    sealing = await holding(test_arc_sealing.test_a_set_says_what_the_suite_s_says_and_holds, test_arc_sealing.CASES)
    return [
        row("arc, validation", [case.name for case in test_arc.CASES], differing, ()),
        row(
            "arc, sealing and round trip",
            [case.name for case in test_arc_sealing.CASES],
            [case.name for case in sealing],
            (),
        ),
    ]


async def dkim(data: Path) -> list[Row]:
    cases = test_dkim.CASES
    failed = {case["id"] for case in await holding(test_dkim.test_every_signature_ends_as_the_suite_says, cases, data)}
    argued = test_dkim.DEVIATIONS.keys() - failed
    return [row("dkim-vectors", [case["id"] for case in cases], failed | argued, argued, "dkim_deviations.toml")]


async def dmarc(data: Path) -> list[Row]:
    tables = test_dmarc.read_tables(data)
    answers = {
        "alignment": await test_dmarc.alignment(tables),
        "from": test_dmarc.author_domain(tables),
        "record": test_dmarc.records(tables),
    }
    rows = []
    for table, (actual, expected) in answers.items():
        argued = {key: said["ours"] for key, said in test_dmarc.DEVIATIONS[table].items()}
        differing = [key for key in expected if actual[key] != expected[key]]
        good = [key for key in argued if actual.get(key) == argued[key]]
        rows.append(row(f"dmarc-opendmarc, {table}", expected, differing, good, "dmarc_deviations.toml"))
    return rows


async def psl(data: Path) -> list[Row]:
    found = test_psl.answers(data)
    wrong = tuple(asked for asked, expected, actual in found if expected != actual)
    return [Row(suite="psl", total=len(found), wrong=wrong)]


SUITES = (spf, arc, dkim, dmarc, psl)


async def rows(data: Path) -> list[Row]:
    return [one for suite in SUITES for one in await suite(data)]


def table(found: list[Row]) -> str:
    """Write the rows as a table for people, then what is wrong."""
    lines = [f"{'suite':<30} {'as the suite':>13} {'otherwise, argued':>18} {'wrong':>6}"]
    for one in found:
        counts = f"{one.passed}/{one.total}"
        file = f"  tests/conformance/{one.file}" if one.argued else ""
        lines.append(f"{one.suite:<30} {counts:>13} {one.argued:>18} {len(one.wrong):>6}{file}")
    lines += [f"wrong: {one.suite}: {name}" for one in found for name in one.wrong]
    return "\n".join(lines)


def main() -> int:
    data = find_data()
    if data is None:
        print("the suites are not there: FILTERD_DATA names no folder with data/MANIFEST.json", file=sys.stderr)
        return 1
    found = asyncio.run(rows(data))
    print(table(found))
    return 1 if any(one.wrong or not one.total for one in found) else 0


if __name__ == "__main__":
    sys.exit(main())
