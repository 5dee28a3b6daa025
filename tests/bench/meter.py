"""How much CPU time does each check take? Wraps checks and adds up their own steps, not what they wait for."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Awaitable, Callable, Generator
from dataclasses import replace
from typing import Any

from filterd.checks.spec import Check, Context, Prompt, Run
from filterd.model.verdict import Verdict


class Meter:
    """Seconds of CPU by check, in `spent_s`; give `around` to `House`."""

    def __init__(self) -> None:
        self.spent_s: defaultdict[str, float] = defaultdict(float)

    def around(self, check: Check) -> Check:
        run = check.run
        if isinstance(run, Prompt):
            metered: Run = Prompt(self._at_once(check.name, run.at_once), self._later(check.name, run.later))
        else:
            metered = self._later(check.name, run)
        return replace(check, run=metered)

    def _at_once(
        self, name: str, ask: Callable[[Context], Verdict | None]
    ) -> Callable[[Context], Verdict | None]:
        def at_once(context: Context) -> Verdict | None:
            started = time.thread_time()
            try:
                return ask(context)
            finally:
                self.spent_s[name] += time.thread_time() - started

        return at_once

    def _later(self, name: str, ask: Run) -> Run:
        async def later(context: Context) -> Verdict:
            return await _Stepped(ask(context), name, self.spent_s)

        return later


class _Stepped:
    """An awaitable whose every step is timed; what it awaits and what it is thrown pass through."""

    def __init__(self, inner: Awaitable[Verdict], name: str, spent_s: defaultdict[str, float]):
        self._inner, self._name, self._spent_s = inner, name, spent_s

    def __await__(self) -> Generator[Any, Any, Verdict]:
        steps = self._inner.__await__()
        thrown: BaseException | None = None
        while True:
            started = time.thread_time()
            try:
                waits_for = next(steps) if thrown is None else steps.throw(thrown)
            except StopIteration as end:
                verdict: Verdict = end.value
                return verdict
            finally:
                self._spent_s[self._name] += time.thread_time() - started
            try:
                yield waits_for
                thrown = None
            except BaseException as err:
                thrown = err
