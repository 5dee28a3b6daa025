"""What a check is, what it gets to see, and how a pure judge becomes one.  HOUSE §3, STYLE 5.

A check answers one question about one mail with one `Verdict`, also when the answer is "clean" or "does not apply". It
has a fetching half (async, through ports) and a judging half (pure). Whatever it raises becomes a `temperror` in
`checks.run`; what mail can do to it is a value, never an exception.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from filterd.model.complaints import Complained
from filterd.model.decision import Counts
from filterd.model.message import Message
from filterd.model.principal import Principal
from filterd.model.session import Direction, Transaction
from filterd.model.verdict import FailMode, Outcome, Verdict
from filterd.ports import Lookups

# FAULTS §5: the event loop is never held longer than 50 ms. Below this size a thread would cost more than it saves.
IN_PLACE_MAX_BYTES = 100_000

# Of its own, so that a judge that hangs takes no thread from look-ups. Threads start with the first large mail.
_JUDGES = ThreadPoolExecutor(max_workers=4, thread_name_prefix="filterd-judge")


@dataclass(frozen=True, slots=True, kw_only=True)
class Code:
    """One thing a check can find.

    Args:
        code: `area.subject.state`, what an agreement names.
        label: what it means, one sentence for the people who write agreements.
        signal: group for rules that need agreeing groups (CLAUSES tail-a), None where that plays no part.
    """

    code: str
    label: str
    signal: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Context:
    """Everything a check may look at.

    Args:
        counts: what the counters say of the account, this mail included; None when nobody of ours answers for it.
        earlier: the verdicts of the checks named in `needs`, whatever their outcome; empty for the others.
        dns: the DNS questions this mail may ask, shared by all checks; None where there is no resolver.
        own_domains: the domains of the tenant answerable for the mail, lower-case A-labels; empty when nobody is.
        domains_declared: whether these are known to be all of them.
        complained: what people complained of the account; None when nobody of ours answers for it, or nobody counted.
    """

    transaction: Transaction
    message: Message
    direction: Direction
    principal: Principal
    counts: Counts | None = None
    earlier: tuple[Verdict, ...] = ()
    dns: Lookups | None = None
    own_domains: tuple[str, ...] = ()
    domains_declared: bool = False
    complained: Complained | None = None

    def verdict(self, check: str) -> Verdict | None:
        """Say what `check` answered, or None when it is not among `needs`."""
        return next((v for v in self.earlier if v.check == check), None)


Judge = Callable[[Context], Verdict]
Run = Callable[[Context], Awaitable[Verdict]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """A check, ready to run.

    Args:
        version: of the judging half; goes up when the same input may give another verdict.
        codes: all it can ever find; a finding with another code is an error of the check.
        run: answers within `deadline_s`, or is cancelled and left behind; a `Prompt` where it often need not wait.
        needs: names of the checks whose verdicts it reads; they run first.
        deadline_s: counted from the moment its needs are there, on the monotonic clock.
        fail_mode: what the operator wants when it could not do its work.
    """

    name: str
    version: str
    codes: tuple[Code, ...]
    run: Run
    needs: tuple[str, ...] = ()
    deadline_s: float
    fail_mode: FailMode


@dataclass(frozen=True, slots=True, kw_only=True)
class Builtin:
    """A line of `CHECKS`: a check that comes with filterd. `make` takes what it needs from outside (ports, limits)."""

    name: str
    codes: tuple[Code, ...]
    make: Callable[..., Check]


class Prompt:
    """A `run` that often knows its answer without waiting; the runner then asks it without a task.

    Args:
        at_once: gives the answer, or None where `later` has to be asked. Neither blocks nor waits.
        later: gives the answer in its time.
    """

    __slots__ = ("at_once", "later")

    def __init__(self, at_once: Callable[[Context], Verdict | None], later: Run):
        self.at_once, self.later = at_once, later

    async def __call__(self, context: Context) -> Verdict:
        said = self.at_once(context)
        return said if said is not None else await self.later(context)


def in_place(judge: Judge) -> Prompt:
    """Make `run` of a pure judge: called in place, or in a thread for mail larger than `IN_PLACE_MAX_BYTES`.

    A thread cannot be stopped: past its deadline a judge goes on unheard, and four of them make later large mail wait
    into its own deadline.
    """

    def at_once(context: Context) -> Verdict | None:
        return judge(context) if context.transaction.size_bytes <= IN_PLACE_MAX_BYTES else None

    async def later(context: Context) -> Verdict:
        return await asyncio.get_running_loop().run_in_executor(_JUDGES, judge, context)

    return Prompt(at_once, later)


def skipped(check: str, version: str, reason: str) -> Verdict:
    """Make the verdict of a check that does not apply to this mail."""
    return Verdict(check=check, version=version, outcome=Outcome.SKIPPED, reason=reason)
