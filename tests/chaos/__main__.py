"""The kill campaign in its long form: `make chaos`, or `python -m tests.chaos --help`.  ops/docs/CHAOS.md."""

from __future__ import annotations

import argparse
import json
import sys
from functools import partial
from pathlib import Path

from tests.chaos.campaign import Outcome, run
from tests.chaos.site import Store
from tests.chaos.table import table, tree

_STORES: dict[str, tuple[Store, ...]] = {
    "sqlite": ("sqlite",),
    "postgresql": ("postgresql",),
    "both": ("sqlite", "postgresql"),
}
_WORKERS = {"0": (0,), "2": (2,), "both": (0, 2)}


def main() -> int:
    """Run the campaigns one after the other; says the exit code: 1 when a promise was broken or a phase never came."""
    options = _options()
    setups = [(store, workers) for store in _STORES[options.store] for workers in _WORKERS[options.workers]]
    outcomes: list[Outcome] = []
    for store, workers in setups:
        head = f"{store} w={workers}"
        print(f"-- {head}", file=sys.stderr, flush=True)
        outcomes.append(
            run(
                store=store,
                workers=workers,
                mails=-(-options.mails // len(setups)),
                kills=-(-options.kills // len(setups)),
                seed=f"{options.seed}.{head}",
                minutes=None if options.minutes is None else options.minutes / len(setups),
                say=partial(_say, head),
            )
        )
    print(table(outcomes))
    if options.json is not None:
        options.json.write_text(json.dumps(tree(outcomes), indent=1) + "\n")
    never = sorted({p.name for o in outcomes for p in o.ways} - {k.phase.name for o in outcomes for k in o.kills})
    if never:
        print(f"never killed at: {', '.join(never)}")
    # A run cut short by --minutes is a look, not a proof: phases that had no turn are named, not held against it.
    is_whole = options.minutes is not None or not never
    return 0 if is_whole and not any(outcome.judgement.broken for outcome in outcomes) else 1


def _say(head: str, text: str) -> None:
    print(f"   {head}: {text}", file=sys.stderr, flush=True)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description=__doc__)
    parser.add_argument("--mails", type=int, default=20_000, help="at least so many, over all campaigns")
    parser.add_argument("--kills", type=int, default=520, help="over all campaigns")
    parser.add_argument("--store", choices=sorted(_STORES), default="both")
    parser.add_argument("--workers", choices=sorted(_WORKERS), default="both")
    parser.add_argument("--minutes", type=float, help="at most so long, over all campaigns; begun mails are finished")
    parser.add_argument("--seed", default="1", help="the order of the kills and the mails; timing differs all the same")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write everything there, doubled mails by their ids")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
