"""What a run says: tables of scores and branches, survivors with file and line."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence

from tests.mutation.mutants import Mutant
from tests.mutation.reach import Branches
from tests.mutation.trial import Outcome

# Two-sided 95 %.
_Z = 1.96
_TARGET_SCORE = 0.85
_TARGET_BRANCHES = 0.95


def interval(killed: int, tried: int) -> tuple[float, float]:
    """Wilson's interval of a share, 95 %; the whole range when nothing was tried."""
    if not tried:
        return 0.0, 1.0
    share = killed / tried
    middle = share + _Z**2 / (2 * tried)
    half = _Z * math.sqrt(share * (1 - share) / tried + _Z**2 / (4 * tried**2))
    return (middle - half) / (1 + _Z**2 / tried), (middle + half) / (1 + _Z**2 / tried)


def scores(outcomes: Sequence[tuple[Mutant, Outcome]], places: Mapping[str, int]) -> Iterator[str]:
    """One line a file, then the sum. `places`: how many faults could stand in it."""
    by_file: dict[str, list[Outcome]] = defaultdict(list)
    for mutant, outcome in outcomes:
        by_file[mutant.path].append(outcome)
    yield f"{'file':44} {'places':>6} {'tried':>6} {'killed':>6} {'endless':>7} {'score':>7}  95 % interval"
    for path in sorted(by_file):
        yield _score(path, places[path], by_file[path])
    yield _score("all", sum(places.values()), [outcome for _, outcome in outcomes])


def _score(name: str, places: int, found: Sequence[Outcome]) -> str:
    endless = found.count(Outcome.TIMEOUT)
    dead = found.count(Outcome.KILLED) + endless
    low, high = interval(dead, len(found))
    mark = "" if len(found) == 0 or dead >= _TARGET_SCORE * len(found) else f"  below {_TARGET_SCORE:.0%}"
    share = f"{dead / len(found):7.1%}" if found else "      –"
    return f"{name:44} {places:6} {len(found):6} {dead:6} {endless:7} {share}  {low:.1%} to {high:.1%}{mark}"


def branches(found: Mapping[str, Branches]) -> Iterator[str]:
    yield f"{'file':44} {'branches':>8} {'taken':>7}  never taken"
    for path, of_file in sorted(found.items()):
        yield _branch_line(path, of_file)
    count, missed = sum(b.count for b in found.values()), sum(len(b.missed) for b in found.values())
    yield f"{'all':44} {count:8} {1 - missed / count if count else 1:7.1%}"


def _branch_line(path: str, found: Branches) -> str:
    missed = ", ".join(f"{line}→{to if to > 0 else 'exit'}" for line, to in found.missed)
    mark = "" if found.share >= _TARGET_BRANCHES else f"below {_TARGET_BRANCHES:.0%}: "
    return f"{path:44} {found.count:8} {found.share:7.1%}  {mark}{missed}".rstrip()
