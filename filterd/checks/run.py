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

from filterd.checks.spec import Check, Context, Prompt, Run
from filterd.errors import UsageError
from filterd.model.verdict import Assessment, Outcome, Verdict

ERRORS = (Outcome.TEMPERROR, Outcome.PERMERROR)

# Making a verdict anew costs a tenth of this, which many a skip does not take.
LEAST_MS = 0.02

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

    Those that must wait start first; while their questions travel, the others answer one after the other.

    Args:
        checks: as `arrange` returned them.
        context: without earlier verdicts; each check gets those it needs.
        on_error: told of every exception; what it raises itself is dropped.
    """
    walk = _Walk(checks, context, on_error)
    try:
        while walk.waiting or walk.running:
            if walk.start():
                await asyncio.sleep(0)
            is_stuck = not walk.answer_at_once()
            if is_stuck and (walk.running or walk.waiting):
                await walk.collect()
    finally:
        for task in walk.running:
            task.cancel()
    done = walk.done
    verdicts = tuple([done[check.name] for check in checks])
    return Assessment(
        verdicts=verdicts,
        is_complete=not any(v.outcome in ERRORS for v in verdicts),
        fail_modes=tuple((c.name, c.fail_mode) for c in checks if done[c.name].outcome in ERRORS),
    )


class _Walk:
    """How far one mail has come: verdicts by check, checks not yet asked, and tasks of checks that were."""

    def __init__(self, checks: tuple[Check, ...], context: Context, on_error: OnError):
        self._context, self._on_error = context, on_error
        self.done: dict[str, Verdict] = {}
        self.waiting: list[Check] = list(checks)
        self.running: dict[asyncio.Task[Verdict], tuple[Check, float]] = {}

    def start(self) -> bool:
        """Start every check that may run and always waits. Says whether there was one."""
        rest = []
        for check in self.waiting:
            if isinstance(check.run, Prompt) or not self._may_run(check):
                rest.append(check)
            else:
                self._start(check, check.run, self._sight(check))
        is_any = len(rest) < len(self.waiting)
        self.waiting = rest
        return is_any

    def answer_at_once(self) -> bool:
        """Ask every check that may run and can answer without waiting. Says whether others may run now."""
        rest = []
        for check in self.waiting:
            if not isinstance(check.run, Prompt) or not self._may_run(check):
                rest.append(check)
                continue
            sight = self._sight(check)
            verdict = _ask_at_once(check, check.run, sight, self._on_error)
            if verdict is None:
                self._start(check, check.run.later, sight)
            else:
                self.done[check.name] = verdict
        self.waiting = rest
        return any(self._may_run(check) for check in rest)

    async def collect(self) -> None:
        """Wait until a check has answered or its time is up, and take what there is."""
        if not any(task.done() for task in self.running):
            # What finds all its answers in caches needs no more than to be let run.
            await asyncio.sleep(0)
        if not any(task.done() for task in self.running):
            left_s = min(until for _, until in self.running.values()) - time.monotonic()
            await asyncio.wait(self.running, timeout=max(0.0, left_s), return_when=asyncio.FIRST_COMPLETED)
        for task, (check, until) in list(self.running.items()):
            if task.done():
                self.done[check.name] = task.result()
            elif time.monotonic() >= until:
                task.cancel()
                self.done[check.name] = _error(check, "deadline", elapsed_ms=check.deadline_s * 1000)
            else:
                continue
            del self.running[task]

    def _may_run(self, check: Check) -> bool:
        return not check.needs or all(need in self.done for need in check.needs)

    def _sight(self, check: Check) -> Context:
        if not check.needs:
            return self._context
        return replace(self._context, earlier=tuple(self.done[need] for need in check.needs))

    def _start(self, check: Check, ask: Run, sight: Context) -> None:
        task = asyncio.create_task(_ask(check, ask, sight, self._on_error), name=f"check {check.name}")
        self.running[task] = (check, time.monotonic() + check.deadline_s)


async def _ask(check: Check, ask: Run, context: Context, on_error: OnError) -> Verdict:
    """One verdict, with the time it took. Raises only when this very task is cancelled."""
    started = time.perf_counter()
    try:
        verdict = await ask(context)
        _accept(check, verdict)
    except (KeyboardInterrupt, SystemExit):
        raise
    # Not only Exception: a panic inside a Rust extension is a BaseException, and so is CancelledError out of a library.
    except BaseException as err:
        me = asyncio.current_task()
        if isinstance(err, asyncio.CancelledError) and me is not None and me.cancelling():
            raise
        verdict = _failed(check, context, err, on_error)
    return timed(verdict, started)


def _ask_at_once(check: Check, run: Prompt, context: Context, on_error: OnError) -> Verdict | None:
    """One verdict without waiting, or None when it takes waiting. Nothing cancels us here: whatever is raised is the
    check's own doing."""
    started = time.perf_counter()
    try:
        verdict = run.at_once(context)
        if verdict is None:
            return None
        _accept(check, verdict)
    except (KeyboardInterrupt, SystemExit):
        raise
    except BaseException as err:
        verdict = _failed(check, context, err, on_error)
    return timed(verdict, started)


def _failed(check: Check, context: Context, err: BaseException, on_error: OnError) -> Verdict:
    with contextlib.suppress(Exception):
        on_error(check.name, context.transaction.id, err)
    return _error(check, "exception")


def timed(verdict: Verdict, started: float) -> Verdict:
    """Give the verdict with the milliseconds since `started` (perf_counter); what took less than `LEAST_MS` took none.
    """
    elapsed_ms = (time.perf_counter() - started) * 1000
    if elapsed_ms < LEAST_MS and not verdict.elapsed_ms:
        return verdict
    # Written out, because dataclasses.replace takes twice as long, and a mail has some 25 verdicts.
    return Verdict(
        check=verdict.check,
        version=verdict.version,
        outcome=verdict.outcome,
        findings=verdict.findings,
        scores=verdict.scores,
        reason=verdict.reason,
        elapsed_ms=round(elapsed_ms, 3),
        results=verdict.results,
    )


def _accept(check: Check, verdict: Verdict) -> None:
    """Hold a check to its own declaration: start-up relied on it when it accepted the agreement."""
    if verdict.check != check.name:
        raise UsageError(f"check {check.name} answered as another")
    for finding in verdict.findings:
        if not any(finding.code == known.code for known in check.codes):
            raise UsageError(f"check {check.name} found a code it does not declare")
        if not 0.0 <= finding.confidence <= 1.0:
            raise UsageError(f"check {check.name} is sure beyond 0 to 1")
    for _, score in verdict.scores:
        if not math.isfinite(score):
            raise UsageError(f"check {check.name} gave a score that is no number")


def _error(check: Check, reason: str, *, elapsed_ms: float = 0.0) -> Verdict:
    return Verdict(
        check=check.name, version=check.version, outcome=Outcome.TEMPERROR, reason=reason, elapsed_ms=elapsed_ms
    )
