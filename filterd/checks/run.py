"""Which verdicts does this mail get?  Runs all checks at once, as far as their needs allow.  HOUSE §4 step 3.

Every check gives exactly one verdict. Temporary, never a finding (HOUSE rule 3): an exception (`exception`), no answer
in time (`deadline`). A check that does not stop when cancelled is left behind: nobody waits for it.
"""

from __future__ import annotations

import asyncio
import contextlib
import math
import time
from collections.abc import Callable, Iterable
from dataclasses import replace

from filterd.checks.spec import Check, Context
from filterd.errors import UsageError
from filterd.model.verdict import Assessment, Outcome, Verdict

ERRORS = (Outcome.TEMPERROR, Outcome.PERMERROR)

# Takes the check's name, the transaction id and what was raised, whose text may quote the mail and is not to be logged.
OnError = Callable[[str, str, BaseException], None]


def arrange(checks: Iterable[Check]) -> tuple[Check, ...]:
    """Put checks in an order in which needs come first; for start-up.

    Raises:
        UsageError: two checks bear one name, a need is not among them, or needs go round in a circle.
    """
    left = {}
    for check in checks:
        if check.name in left:
            raise UsageError(f"two checks are called {check.name}")
        left[check.name] = check
    for check in left.values():
        if missing := [need for need in check.needs if need not in left]:
            raise UsageError(f"check {check.name} needs {', '.join(missing)}, which does not run")
    ordered: list[Check] = []
    while left:
        ready = [check for check in left.values() if not any(need in left for need in check.needs)]
        if not ready:
            raise UsageError(f"these checks need each other: {', '.join(sorted(left))}")
        ordered += ready
        for check in ready:
            del left[check.name]
    return tuple(ordered)


async def run(checks: tuple[Check, ...], context: Context, *, on_error: OnError) -> Assessment:
    """Ask every check and collect the verdicts, in the order of `checks`.

    Args:
        checks: as `arrange` returned them.
        context: without earlier verdicts; each check gets those it needs.
        on_error: told of every exception; what it raises itself is dropped.
    """
    done: dict[str, Verdict] = {}
    waiting = list(checks)
    running: dict[asyncio.Task[Verdict], tuple[Check, float]] = {}
    try:
        while waiting or running:
            for check in [c for c in waiting if all(need in done for need in c.needs)]:
                waiting.remove(check)
                seen = replace(context, earlier=tuple(done[need] for need in check.needs)) if check.needs else context
                task = asyncio.create_task(_ask(check, seen, on_error), name=f"check {check.name}")
                running[task] = (check, time.monotonic() + check.deadline_s)
            left_s = min(until for _, until in running.values()) - time.monotonic()
            await asyncio.wait(running, timeout=max(0.0, left_s), return_when=asyncio.FIRST_COMPLETED)
            for task, (check, until) in list(running.items()):
                if task.done():
                    done[check.name] = task.result()
                elif time.monotonic() >= until:
                    task.cancel()
                    done[check.name] = _error(check, "deadline", elapsed_ms=check.deadline_s * 1000)
                else:
                    continue
                del running[task]
    finally:
        for task in running:
            task.cancel()
    verdicts = tuple(done[check.name] for check in checks)
    return Assessment(
        verdicts=verdicts,
        is_complete=not any(v.outcome in ERRORS for v in verdicts),
        fail_modes=tuple((c.name, c.fail_mode) for c in checks if done[c.name].outcome in ERRORS),
    )


async def _ask(check: Check, context: Context, on_error: OnError) -> Verdict:
    """One verdict, with the time it took. Raises only when this very task is cancelled."""
    started = time.monotonic()
    try:
        verdict = await check.run(context)
        _accept(check, verdict)
    except (KeyboardInterrupt, SystemExit):
        raise
    # Not only Exception: a panic inside a Rust extension is a BaseException, and so is CancelledError out of a library.
    except BaseException as err:
        me = asyncio.current_task()
        if isinstance(err, asyncio.CancelledError) and me is not None and me.cancelling():
            raise
        with contextlib.suppress(Exception):
            on_error(check.name, context.transaction.id, err)
        verdict = _error(check, "exception")
    return replace(verdict, elapsed_ms=round((time.monotonic() - started) * 1000, 3))


def _accept(check: Check, verdict: Verdict) -> None:
    """Hold a check to its own declaration: start-up relied on it when it accepted the agreement."""
    if verdict.check != check.name:
        raise UsageError(f"check {check.name} answered as another")
    for finding in verdict.findings:
        if not any(finding.code == known.code for known in check.codes):
            raise UsageError(f"check {check.name} found a code it does not declare")
        if not 0.0 <= finding.confidence <= 1.0:
            raise UsageError(f"check {check.name} is sure beyond 0 to 1")
    if not all(math.isfinite(score) for _, score in verdict.scores):
        raise UsageError(f"check {check.name} gave a score that is no number")


def _error(check: Check, reason: str, *, elapsed_ms: float = 0.0) -> Verdict:
    return Verdict(
        check=check.name, version=check.version, outcome=Outcome.TEMPERROR, reason=reason, elapsed_ms=elapsed_ms
    )
