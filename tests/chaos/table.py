"""The outcomes as one table to read, and as one tree to keep."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import asdict
from typing import Any

from tests.chaos.campaign import Outcome


def table(outcomes: Sequence[Outcome]) -> str:
    """Write the table: a line a phase, a column a campaign; then what came of each; then what is broken."""
    names = list(dict.fromkeys(phase.name for outcome in outcomes for phase in outcome.ways))
    heads = [f"{o.store} w={o.workers}" for o in outcomes]
    width = max(len(name) for name in [*names, "double strikes"]) + 2
    lines = [
        "kills at each phase (with a mail or more in hand that had to be tried again; not reached in time)",
        "".ljust(width) + "".join(f"{head:>20}" for head in heads) + f"{'all':>8}",
    ]
    for name in names:
        cells = [_cell(outcome, name) for outcome in outcomes]
        total = sum(outcome.killed[name] for outcome in outcomes)
        lines.append(name.ljust(width) + "".join(f"{cell:>20}" for cell in cells) + f"{total:>8}")
    lines.append("")
    for what, of in _SUMS:
        values = [of(outcome) for outcome in outcomes]
        lines.append(what.ljust(width) + "".join(f"{value:>20}" for value in values) + f"{sum(values):>8}")
    lines.append("")
    doubled: Counter[str] = sum((o.judgement.doubled_at for o in outcomes), Counter())
    lines += [f"doubled at {where}: {count}" for where, count in sorted(doubled.items())]
    for outcome, head in zip(outcomes, heads, strict=True):
        lines += [f"BROKEN {head}: {text}" for text in outcome.judgement.broken[:20]]
        if (more := len(outcome.judgement.broken) - 20) > 0:
            lines.append(f"BROKEN {head}: and {more} more")
    lines.append("all promises kept" if not any(o.judgement.broken for o in outcomes) else "PROMISES BROKEN")
    return "\n".join(lines)


def tree(outcomes: Sequence[Outcome]) -> dict[str, Any]:
    """Say everything as plain values, each doubled mail by its ids."""
    return {
        "campaigns": [
            {
                "store": outcome.store,
                "workers": outcome.workers,
                "servers": outcome.servers,
                "seconds": round(outcome.seconds, 1),
                "phases": {
                    phase.name: {
                        "kills": outcome.killed[phase.name],
                        "in_hand": outcome.judgement.in_hand[phase.name],
                        "missed": outcome.missed[phase.name],
                    }
                    for phase in outcome.ways
                },
                **{what.replace(" ", "_"): of(outcome) for what, of in _SUMS if what != "seconds"},
                "doubled_mails": [asdict(doubled) for doubled in outcome.judgement.doubled],
                "notices_sent_again": outcome.judgement.notices_again,
                "broken": outcome.judgement.broken,
            }
            for outcome in outcomes
        ],
        "mails": sum(outcome.judgement.mails for outcome in outcomes),
        "kills": sum(len(outcome.kills) for outcome in outcomes),
        "is_kept": not any(outcome.judgement.broken for outcome in outcomes),
    }


_SUMS: tuple[tuple[str, Callable[[Outcome], int]], ...] = (
    ("seconds", lambda o: round(o.seconds)),
    ("kills", lambda o: len(o.kills)),
    ("mails", lambda o: o.judgement.mails),
    ("tries", lambda o: o.judgement.tries),
    ("delivered", lambda o: o.judgement.delivered),
    ("refused", lambda o: o.judgement.refused),
    ("held", lambda o: o.judgement.held),
    ("lost", lambda o: len(o.judgement.lost)),
    ("doubled", lambda o: len(o.judgement.doubled)),
    ("violations", lambda o: o.judgement.violations),
    ("double strikes", lambda o: len(o.judgement.double_strikes)),
    ("sanctions", lambda o: o.judgement.sanctions),
    ("notices", lambda o: o.judgement.notices),
    ("notices pending", lambda o: o.judgement.notices_pending),
    ("notices again", lambda o: len(o.judgement.notices_again)),
    ("ledger rows", lambda o: o.judgement.rows),
    ("broken", lambda o: len(o.judgement.broken)),
)


def _cell(outcome: Outcome, name: str) -> str:
    if name not in {phase.name for phase in outcome.ways}:
        return "-"
    cell = f"{outcome.killed[name]} ({outcome.judgement.in_hand[name]})"
    return f"{cell} miss {outcome.missed[name]}" if outcome.missed[name] else cell
