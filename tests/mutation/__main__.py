"""Would a test notice?  `make mutants`, or `python -m tests.mutation [--minutes N] [--number N] [MODULE ...]`.

Copies the tree, runs the tests once under coverage.py, then puts one small fault at a time into the copy
(mutation/mutants) and runs the tests that reach its line until one fails (mutation/trial). Prints branch coverage and
mutation score a file and in all, and every survivor with file and line. Reported, not judged: the exit code is 0
unless the run itself went wrong.

The faults are drawn in an order that the seed alone decides; a run that stops early is a random sample, and the score
comes with an interval. The score is a lower bound: a survivor may say the same as the original, or die of a test that
did not fit into what one mutant may cost.
"""

from __future__ import annotations

import argparse
import importlib
import os
import random
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from tests.mutation.mutants import Mutant, difference, mutants_of, mutated
from tests.mutation.reach import QUICK, WHOLE, Reach, measure
from tests.mutation.report import branches, scores
from tests.mutation.trial import Outcome, run

PACKAGE = "filterd/agreement"
TESTS = ("tests/agreement", "tests/pipeline")
_CPU_S = 600
_LEFT_BEHIND = shutil.ignore_patterns(".git", ".venv", ".*_cache", ".hypothesis", "__pycache__", "build", "dist")


def main() -> int:
    given = _arguments()
    if given.here:
        return _here(given)
    with tempfile.TemporaryDirectory(prefix="filterd-mutants-") as folder:
        tree = Path(folder) / "tree"
        shutil.copytree(Path.cwd(), tree, ignore=_LEFT_BEHIND)
        command = [sys.executable, "-m", "tests.mutation", "--here", folder, *sys.argv[1:]]
        # The packages of the copy come first: the working tree stays as it is.
        environment = {**os.environ, "PYTHONPATH": str(tree), "OPENBLAS_NUM_THREADS": "1"}
        return subprocess.run(command, cwd=tree, env=environment, check=False).returncode


def _arguments() -> argparse.Namespace:
    options = argparse.ArgumentParser(
        prog="tests.mutation", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    options.add_argument("modules", nargs="*", metavar="MODULE", help=f"of {PACKAGE}, as `ladder`; all by default")
    options.add_argument("--minutes", type=float, default=60.0, help="stop trying after so long (60)")
    options.add_argument("--number", type=int, default=None, help="stop after so many; 0: branch coverage alone")
    options.add_argument("--seed", type=int, default=None, help="decides the order; by default a new one, printed")
    options.add_argument("--tests", nargs="+", default=list(TESTS), help="files or folders of tests")
    options.add_argument("--quick", action="store_true", help="leave tests marked slow out")
    options.add_argument("--each", type=float, default=60.0, help="CPU seconds of tests that one mutant may cost (60)")
    options.add_argument("--here", type=Path, help=argparse.SUPPRESS)
    return options.parse_args()


def _here(given: argparse.Namespace) -> int:
    root = Path.cwd()
    paths = [f"{PACKAGE}/{name}.py" for name in given.modules] or sorted(
        str(file.relative_to(root)) for file in (root / PACKAGE).glob("*.py")
    )
    if missing := [path for path in paths if not (root / path).is_file()]:
        print(f"no such module: {', '.join(missing)}", file=sys.stderr)
        return 2
    reach = measure(root, PACKAGE, given.tests, given.here, QUICK if given.quick else WHOLE)
    print(f"{len(reach.seconds)} tests of {' '.join(given.tests)}, {sum(reach.seconds.values()):.0f} s of CPU")
    for test in sorted(reach.failed):
        print(f"fails or is skipped without any mutant, left out: {test}")
    print("\n".join(branches({path: of_file for path, of_file in reach.branches.items() if path in paths})), flush=True)
    if given.number == 0:
        return 0
    _preload(reach)
    seed = random.randrange(10**6) if given.seed is None else given.seed
    drawn = [mutant for path in paths for mutant in mutants_of(root, path)]
    places = {path: sum(mutant.path == path for mutant in drawn) for path in paths}
    random.Random(seed).shuffle(drawn)
    print(f"\n{len(drawn)} places for a fault, seed {seed}", flush=True)
    if not _passes_without(root, reach, drawn, given.each):
        print("the chosen tests fail without any mutant: they depend on their order", file=sys.stderr)
        return 1
    outcomes = _try(root, reach, drawn, given)
    print(f"\nseed {seed}, {len(outcomes)} mutants tried of {len(drawn)}")
    print("\n".join(scores(outcomes, places)))
    return 0


def _try(
    root: Path, reach: Reach, drawn: Sequence[Mutant], given: argparse.Namespace
) -> list[tuple[Mutant, Outcome]]:
    outcomes: list[tuple[Mutant, Outcome]] = []
    ends_at = time.monotonic() + given.minutes * 60
    for mutant in drawn:
        if time.monotonic() > ends_at or len(outcomes) == given.number:
            break
        original = (root / mutant.path).read_text(encoding="utf-8")
        changed = mutated(original, mutant)
        if changed is None:
            continue
        tests = reach.tests_for(mutant, given.each)
        outcome = outcome_of(root, reach, mutant, changed, tests, given.tests)
        outcomes.append((mutant, outcome))
        if outcome is Outcome.SURVIVED:
            told = f"{len(tests)} tests" if tests else "no test gets there"
            print(f"{mutant.path}:{mutant.line}: {difference(original, changed)}  ({told})", flush=True)
    return outcomes


def outcome_of(
    root: Path, reach: Reach, mutant: Mutant, changed: str, tests: Sequence[str], groups: Sequence[str]
) -> Outcome:
    """Ask one group of tests after the other: what the first one notices costs no import of the next one's half."""
    for group in groups:
        asked = tuple(test for test in tests if test.startswith(group))
        if not asked:
            continue
        # Coverage makes tests slower, a mutant some more: three times what they took, and the imports.
        cpu_s = int(3 * sum(reach.seconds[test] for test in asked)) + 20
        if (outcome := run(root, mutant, changed, asked, cpu_s)) is not Outcome.SURVIVED:
            return outcome
    return Outcome.SURVIVED


def _passes_without(root: Path, reach: Reach, drawn: Sequence[Mutant], each: float) -> bool:
    """The control: what kills mutants must let the original live."""
    mutant = max(drawn[:20], key=lambda mutant: len(reach.tests_for(mutant, each)), default=None)
    tests = reach.tests_for(mutant, each) if mutant else ()
    if not mutant or not tests:
        return True
    original = (root / mutant.path).read_text(encoding="utf-8")
    return run(root, mutant, original, tests, _CPU_S) is Outcome.SURVIVED


def _preload(reach: Reach) -> None:
    """Import once, here, what no mutant can change."""
    for name in reach.modules:
        try:
            importlib.import_module(name)
        except Exception:  # Some modules are made at run time. Whoever needs one imports it.
            continue


if __name__ == "__main__":
    sys.exit(main())
