"""Which test runs which line, what does each test cost, and which branches does none take?  coverage.py says.

Every test runs once, each group of tests in a process of its own. A test that fails here, without any mutant, or is
skipped, cannot tell anything and is left out; the report names those that fail.
"""

from __future__ import annotations

import json
import sys
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import coverage
import pytest

from tests.mutation.mutants import Mutant
from tests.mutation.trial import Brief, Timed, ended, started

# Which tests there are to ask; `slow` ones are not asked in a quick run.
WHOLE, QUICK = "not (server or database or nightly)", "not (server or database or nightly or slow)"
_ARGUMENTS = ("-q", "-p", "no:cacheprovider", "-p", "no:xdist", "-p", "no:warnings")
_CPU_S = 3600
# Rooms that never import the agreement (tests/test_house.py): the parent may have them imported already.
_APART = ("checks", "clients", "errors", "ledger", "log", "mail", "markers", "metrics", "model", "ports", "share")


@dataclass(frozen=True, kw_only=True)
class Branches:
    """Of one file. `missed` are pairs of lines: from, to; a negative `to` leaves the function."""

    count: int
    missed: tuple[tuple[int, int], ...]
    lines_missed: tuple[int, ...]

    @property
    def share(self) -> float:
        return 1.0 if not self.count else 1 - len(self.missed) / self.count


@dataclass(frozen=True, kw_only=True)
class Reach:
    """`lines`: path → line → tests that ran it; "" stands for what runs when the file is read."""

    seconds: Mapping[str, float]
    failed: frozenset[str]
    lines: Mapping[str, Mapping[int, frozenset[str]]]
    branches: Mapping[str, Branches]
    modules: tuple[str, ...]

    def tests_for(self, mutant: Mutant, cpu_s: float) -> tuple[str, ...]:
        """The tests that may notice, those that run the line first, each group beginning with the quickest.

        After them, as far as `cpu_s` goes, those that run anything of the same file: what one test computes and
        keeps, others use without running the line again.
        """
        at_line = self.lines.get(mutant.path, {}).get(mutant.line, frozenset())
        at_file = frozenset[str]().union(*self.lines.get(mutant.path, {}).values())
        subject = mutant.path.rpartition("/")[2].removesuffix(".py")
        is_read_at_import = "" in at_line

        def rank(test: str) -> tuple[int, float]:
            if test in at_line:
                return 0, self.seconds[test]
            if f"test_{subject}.py" in test:
                return 1, self.seconds[test]
            # What is computed when the file is read, a table or a limit, any test may notice.
            return (2 if test in at_file or is_read_at_import else 3), self.seconds[test]

        chosen: list[str] = []
        spent = 0.0
        for test in sorted(self.seconds, key=rank):
            if rank(test)[0] == 3:
                break
            if chosen and spent + self.seconds[test] > cpu_s:
                continue
            chosen.append(test)
            spent += self.seconds[test]
        return tuple(chosen)


def measure(root: Path, package: str, tests: Sequence[str], folder: Path, tier: str = WHOLE) -> Reach:
    """Run every test once.

    Args:
        package: a folder of the tree, `filterd/agreement`.
        tests: files or folders of tests, each a process of its own, all at once.
        folder: for what the processes write.
        tier: which of them, as pytest's `-m` says it.

    Raises:
        RuntimeError: a group of tests could not be run at all.
    """
    outs = [folder / f"reach-{number}" for number in range(len(tests))]
    pids = [started(_work(root, package, group, out, tier), _CPU_S) for group, out in zip(tests, outs, strict=True)]
    for group, pid in zip(tests, pids, strict=True):
        code = ended(pid, _CPU_S)
        # 1: some tests failed; the report names them.
        if code not in (0, 1):
            raise RuntimeError(f"{group}: its tests could not be run (pytest exit code {code})")
    return _read(root, package, outs)


def _work(root: Path, package: str, group: str, out: Path, tier: str) -> Callable[[], int]:
    def work() -> int:
        source = [str(root / package)]
        counted = coverage.Coverage(data_file=f"{out}.coverage", branch=True, source=source, config_file=False)
        timed = Timed(counted.switch_context, {}, set())
        counted.start()
        code = int(pytest.main([*_ARGUMENTS, "-m", tier, group], plugins=[Brief(), timed]))
        counted.stop()
        counted.save()
        named = [name for name in sys.modules if name.partition(".")[0] != "tests"]
        found = {"seconds": timed.seconds, "failed": sorted(timed.failed), "modules": named}
        Path(f"{out}.json").write_text(json.dumps(found), encoding="utf-8")
        return code

    return work


def _read(root: Path, package: str, outs: Sequence[Path]) -> Reach:
    seconds: dict[str, float] = {}
    failed: set[str] = set()
    modules: dict[str, None] = {}
    lines: dict[str, dict[int, set[str]]] = defaultdict(lambda: defaultdict(set))
    whole = coverage.Coverage(data_file=None, branch=True, source=[str(root / package)], config_file=False)
    for out in outs:
        found = json.loads(Path(f"{out}.json").read_text(encoding="utf-8"))
        seconds |= found["seconds"]
        failed |= set(found["failed"])
        modules |= dict.fromkeys(found["modules"])
        data = coverage.CoverageData(f"{out}.coverage")
        data.read()
        whole.get_data().update(data)
        for file in data.measured_files():
            for line, contexts in data.contexts_by_lineno(file).items():
                lines[str(Path(file).relative_to(root))][line] |= set(contexts)
    useful = {test: spent for test, spent in seconds.items() if test not in failed}
    return Reach(
        seconds=useful,
        failed=frozenset(failed),
        lines={
            file: {line: frozenset(t for t in found if not t or t in useful) for line, found in of_file.items()}
            for file, of_file in lines.items()
        },
        branches=_branches(whole, root, outs[0].parent / "branches.json"),
        modules=tuple(name for name in modules if _may_be_kept(name)),
    )


def _branches(whole: coverage.Coverage, root: Path, out: Path) -> dict[str, Branches]:
    whole.json_report(outfile=str(out))
    files = json.loads(out.read_text(encoding="utf-8"))["files"]
    return {
        str((Path.cwd() / file).relative_to(root)): Branches(
            count=found["summary"]["num_branches"],
            missed=tuple((line, to) for line, to in found["missing_branches"]),
            lines_missed=tuple(found["missing_lines"]),
        )
        for file, found in files.items()
    }


def _may_be_kept(module: str) -> bool:
    top, _, rest = module.partition(".")
    return top != "filterd" or not rest or rest.partition(".")[0] in _APART
