"""The runner: every check gives one verdict, whatever it does."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable
from dataclasses import fields, replace
from types import SimpleNamespace
from typing import Any

import pytest

from filterd.checks.run import arrange, run, timed
from filterd.checks.spec import IN_PLACE_MAX_BYTES, Check, Code, Context, Prompt, in_place
from filterd.errors import UsageError
from filterd.model.verdict import Assessment, AuthResult, FailMode, Finding, Outcome, Verdict
from tests.checks.contexts import RAW, context
from tests.kit.loops import now_s
from tests.kit.waiting import PATIENCE_S

Run = Callable[[Context], Awaitable[Verdict]]


def clean(name: str) -> Verdict:
    return Verdict(check=name, version="1", outcome=Outcome.CLEAN)


def check(name: str, run: Run | None = None, **changes: Any) -> Check:
    async def say_clean(_context: Context) -> Verdict:
        return clean(name)

    said: dict[str, Any] = {
        "name": name,
        "version": "1",
        "codes": (Code(code="a.b.c", label="A test."),),
        "run": run or say_clean,
        # No stall of the machine is one of a check.
        "deadline_s": PATIENCE_S,
        "fail_mode": FailMode.DEFER,
    }
    return Check(**(said | changes))


class Errors:
    """Keeps what on_error was told."""

    def __init__(self) -> None:
        self.told: list[tuple[str, str, str]] = []

    def __call__(self, name: str, transaction_id: str, error: BaseException) -> None:
        self.told.append((name, transaction_id, type(error).__name__))


async def ask(*checks: Check, on_error: Callable[[str, str, BaseException], None] | None = None) -> Assessment:
    return await run(arrange(checks), context(), on_error=on_error or Errors())


async def test_clean_checks_make_a_complete_assessment_in_order() -> None:
    actual = await ask(check("one"), check("two"))
    assert [v.check for v in actual.verdicts] == ["one", "two"]
    assert actual.is_complete
    assert actual.fail_modes == ()


async def test_no_checks_make_an_empty_assessment() -> None:
    assert await ask() == Assessment(verdicts=())


async def test_exception_is_a_temperror_and_is_told_without_stopping_the_others() -> None:
    async def fail(_context: Context) -> Verdict:
        raise ValueError("secret words of the mail")

    errors = Errors()
    actual = await ask(check("bad", fail, fail_mode=FailMode.ACCEPT), check("good"), on_error=errors)
    bad, good = actual.verdicts
    assert (bad.outcome, bad.reason, bad.findings) == (Outcome.TEMPERROR, "exception", ())
    assert good.outcome is Outcome.CLEAN
    assert not actual.is_complete
    assert actual.fail_modes == (("bad", FailMode.ACCEPT),)
    assert errors.told == [("bad", "t_1", "ValueError")]


async def test_permerror_makes_the_assessment_partial() -> None:
    async def give_up(_context: Context) -> Verdict:
        return Verdict(check="bad", version="1", outcome=Outcome.PERMERROR, reason="broken")

    actual = await ask(check("bad", give_up))
    assert (actual.is_complete, actual.fail_modes) == (False, (("bad", FailMode.DEFER),))


class Panic(BaseException):
    """What a Rust extension raises: no Exception."""


@pytest.mark.parametrize("error", [Panic(), RecursionError(), MemoryError(), asyncio.CancelledError(), TimeoutError()])
async def test_anything_raised_by_a_check_is_a_temperror(error: BaseException) -> None:
    async def fail(_context: Context) -> Verdict:
        raise error

    actual = await ask(check("bad", fail))
    assert (actual.verdicts[0].outcome, actual.verdicts[0].reason) == (Outcome.TEMPERROR, "exception")


async def test_on_error_that_fails_costs_no_verdict() -> None:
    async def fail(_context: Context) -> Verdict:
        raise ValueError

    def broken(_name: str, _transaction_id: str, _error: BaseException) -> None:
        raise OSError

    assert (await ask(check("bad", fail), on_error=broken)).verdicts[0].reason == "exception"


@pytest.fixture
def leapt(monkeypatch: pytest.MonkeyPatch) -> None:
    """The runner's clocks are the event loop's, for a test that leaps."""
    monkeypatch.setattr("filterd.checks.run.time", SimpleNamespace(perf_counter=now_s, monotonic=now_s))


@pytest.mark.leaping
async def test_silent_check_ends_at_its_deadline(leapt: None) -> None:
    async def wait(_context: Context) -> Verdict:
        await asyncio.Event().wait()
        raise AssertionError

    actual = await ask(check("slow", wait, deadline_s=5), check("good"))
    slow, good = actual.verdicts
    assert (slow.outcome, slow.reason, slow.elapsed_ms) == (Outcome.TEMPERROR, "deadline", 5000.0)
    assert now_s() == 5
    assert good.outcome is Outcome.CLEAN
    assert actual.fail_modes == (("slow", FailMode.DEFER),)


async def test_check_that_ignores_cancelling_is_left_behind() -> None:
    free = asyncio.Event()

    async def stubborn(_context: Context) -> Verdict:
        while not free.is_set():
            try:
                await free.wait()
            except asyncio.CancelledError:
                continue
        return clean("slow")

    actual = await ask(check("slow", stubborn, deadline_s=0.05))
    assert actual.verdicts[0].reason == "deadline"
    free.set()


async def test_checks_run_at_the_same_time() -> None:
    both = asyncio.Barrier(2)

    def meet(name: str) -> Run:
        async def run(_context: Context) -> Verdict:
            await both.wait()
            return clean(name)

        return run

    actual = await ask(check("one", meet("one")), check("two", meet("two")))
    assert actual.is_complete


async def test_check_sees_the_verdicts_it_needs_and_no_others() -> None:
    seen: list[Context] = []

    async def look(context: Context) -> Verdict:
        seen.append(context)
        return clean("late")

    async def fail(_context: Context) -> Verdict:
        raise ValueError

    actual = await ask(check("late", look, needs=("bad", "first")), check("bad", fail), check("first"), check("other"))
    assert [v.check for v in actual.verdicts] == ["bad", "first", "other", "late"]
    assert [(v.check, v.outcome) for v in seen[0].earlier] == [("bad", Outcome.TEMPERROR), ("first", Outcome.CLEAN)]
    assert seen[0].verdict("first") == actual.verdicts[1]
    assert seen[0].verdict("other") is None


@pytest.mark.leaping
async def test_a_needed_check_that_is_late_leaves_its_follower_a_whole_deadline(leapt: None) -> None:
    async def wait(_context: Context) -> Verdict:
        await asyncio.Event().wait()
        raise AssertionError

    async def look(context: Context) -> Verdict:
        await asyncio.sleep(5)
        assert context.verdict("slow") is not None
        return clean("late")

    actual = await ask(check("slow", wait, deadline_s=6), check("late", look, needs=("slow",), deadline_s=6))
    assert [v.outcome for v in actual.verdicts] == [Outcome.TEMPERROR, Outcome.CLEAN]


async def test_cancelling_the_run_cancels_its_checks() -> None:
    begun, cancelled = asyncio.Event(), asyncio.Event()

    async def wait(_context: Context) -> Verdict:
        begun.set()
        try:
            await asyncio.Event().wait()
        finally:
            cancelled.set()
        raise AssertionError

    errors = Errors()
    task = asyncio.create_task(ask(check("slow", wait), on_error=errors))
    await begun.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await cancelled.wait()
    assert errors.told == []


@pytest.mark.leaping
async def test_elapsed_time_is_set(leapt: None) -> None:
    async def wait(_context: Context) -> Verdict:
        await asyncio.sleep(2)
        return clean("slow")

    assert (await ask(check("slow", wait))).verdicts[0].elapsed_ms == 2000.0


def found(code: str, confidence: float = 1.0, name: str = "liar") -> Verdict:
    finding = Finding(code=code, confidence=confidence)
    return Verdict(check=name, version="1", outcome=Outcome.FOUND, findings=(finding,))


@pytest.mark.parametrize(
    "verdict",
    [
        found("x.y.z"),
        found("a.b.c", 1.5),
        found("a.b.c", float("nan")),
        found("a.b.c", name="somebody"),
        Verdict(check="liar", version="1", outcome=Outcome.CLEAN, scores=(("spam", float("nan")),)),
        None,
    ],
)
async def test_verdict_against_the_check_s_own_declaration_is_an_error(verdict: Any) -> None:
    async def lie(_context: Context) -> Any:
        return verdict

    errors = Errors()
    actual = await ask(check("liar", lie), on_error=errors)
    assert (actual.verdicts[0].outcome, actual.findings) == (Outcome.TEMPERROR, ())
    assert len(errors.told) == 1


async def test_declared_finding_passes() -> None:
    async def say(_context: Context) -> Verdict:
        return found("a.b.c", name="honest")

    assert [f.code for f in (await ask(check("honest", say))).findings] == ["a.b.c"]


@pytest.mark.parametrize(
    ("checks", "words"),
    [
        ((check("one"), check("one")), "two checks are called one"),
        ((check("one", needs=("two",)),), "one needs two"),
        ((check("one", needs=("two",)), check("two", needs=("one",))), "need each other: one, two"),
    ],
)
def test_arrange_refuses_what_could_not_run(checks: tuple[Check, ...], words: str) -> None:
    with pytest.raises(UsageError, match=words):
        arrange(checks)


# --- checks that need not wait ------------------------------------------------------------------------------------


def prompt(name: str, judge: Callable[[Context], Verdict | None], later: Run | None = None, **changes: Any) -> Check:
    async def never(_context: Context) -> Verdict:
        raise AssertionError("asked twice")

    return check(name, Prompt(judge, later or never), **changes)


async def test_checks_that_answer_at_once_need_no_task() -> None:
    tasks: list[set[asyncio.Task[Any]]] = []

    def judge(context: Context) -> Verdict:
        tasks.append(asyncio.all_tasks())
        return clean("one" if not context.earlier else "two")

    actual = await ask(prompt("two", judge, needs=("one",)), prompt("one", judge))
    assert [v.check for v in actual.verdicts] == ["one", "two"]
    assert tasks == [{asyncio.current_task()}] * 2


async def test_what_cannot_be_said_at_once_is_asked_later_within_its_deadline() -> None:
    async def answer(_context: Context) -> Verdict:
        await asyncio.sleep(0)
        return clean("slow")

    async def hang(_context: Context) -> Verdict:
        await asyncio.Event().wait()
        raise AssertionError

    checks = (prompt("slow", lambda _: None, answer), prompt("stuck", lambda _: None, hang, deadline_s=0.02))
    actual = await ask(*checks, check("after", needs=("slow",)))
    said = {v.check: (v.outcome, v.reason) for v in actual.verdicts}
    assert said["slow"] == said["after"] == (Outcome.CLEAN, None)
    assert said["stuck"] == (Outcome.TEMPERROR, "deadline")


@pytest.mark.parametrize("error", [ValueError(), Panic(), asyncio.CancelledError()])
async def test_a_prompt_check_that_raises_is_a_temperror_like_any_other(error: BaseException) -> None:
    def fail(_context: Context) -> Verdict:
        raise error

    errors = Errors()
    actual = await ask(prompt("bad", fail), prompt("good", lambda _: clean("good")), on_error=errors)
    bad, good = actual.verdicts
    assert (bad.outcome, bad.reason, good.outcome) == (Outcome.TEMPERROR, "exception", Outcome.CLEAN)
    assert actual.fail_modes == (("bad", FailMode.DEFER),)
    assert errors.told == [("bad", "t_1", type(error).__name__)]


async def test_a_prompt_check_is_held_to_its_declaration() -> None:
    actual = await ask(prompt("liar", lambda _: found("x.y.z")))
    assert (actual.verdicts[0].outcome, actual.findings) == (Outcome.TEMPERROR, ())


async def test_questions_travel_before_the_others_judge() -> None:
    order: list[str] = []

    async def travel(_context: Context) -> Verdict:
        order.append("asked")
        await asyncio.sleep(0)
        return clean("far")

    def judge(_context: Context) -> Verdict:
        order.append("judged")
        return clean("near")

    await ask(prompt("near", judge), check("far", travel))
    assert order == ["asked", "judged"]


def test_timing_a_verdict_changes_nothing_else(monkeypatch: pytest.MonkeyPatch) -> None:
    finding = Finding(code="a.b.c", confidence=0.5)
    result = AuthResult(method="spf", result="pass")
    said: dict[str, Any] = {
        "check": "one",
        "version": "7",
        "outcome": Outcome.FOUND,
        "findings": (finding,),
        "scores": (("spam", 0.25),),
        "reason": "why",
        "elapsed_ms": 0.0,
        "results": (result,),
    }
    assert set(said) == {item.name for item in fields(Verdict)}
    now = 1000.0
    monkeypatch.setattr("filterd.checks.run.time", SimpleNamespace(perf_counter=lambda: now))
    actual = timed(Verdict(**said), now - 0.5)
    assert actual.elapsed_ms == 500.0
    assert replace(actual, elapsed_ms=0.0) == Verdict(**said)
    assert timed(Verdict(**said), now - 0.00001).elapsed_ms == 0.0


# --- judges of large mail -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(("size", "is_apart"), [(IN_PLACE_MAX_BYTES, False), (IN_PLACE_MAX_BYTES + 1, True)])
async def test_large_mail_is_judged_in_a_thread(size: int, is_apart: bool) -> None:
    seen: list[int] = []

    def judge(_context: Context) -> Verdict:
        seen.append(threading.get_ident())
        return clean("text")

    actual = await in_place(judge)(context(RAW.ljust(size, b"x")))
    assert actual == clean("text")
    assert (seen[0] != threading.get_ident()) == is_apart


async def test_judge_of_large_mail_that_takes_too_long_stalls_nobody() -> None:
    free = threading.Event()

    def judge(_context: Context) -> Verdict:
        free.wait(3600)
        return clean("text")

    large = context(b"x" * (IN_PLACE_MAX_BYTES + 1))
    checks = (check("text", in_place(judge), deadline_s=0.05), check("other"))
    try:
        actual = await run(arrange(checks), large, on_error=Errors())
    finally:
        free.set()
    assert [v.outcome for v in actual.verdicts] == [Outcome.TEMPERROR, Outcome.CLEAN]
