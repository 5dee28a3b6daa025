"""A mail walked through the real gate with nothing behind it: the same answers as in service, and nothing is kept."""

from __future__ import annotations

from typing import Any

import pytest

from filterd.agreement.terms import Agreement
from filterd.checks import clamd, rate
from filterd.checks.run import arrange
from filterd.checks.spec import Check, Code, Context
from filterd.clients.keys import derive
from filterd.config import RateConfig
from filterd.mail.address import parse_forward_path
from filterd.model.sanction import Preset
from filterd.model.session import Direction
from filterd.model.verdict import FailMode, Finding, Outcome, Verdict
from filterd.pipeline.gate import GateRules
from filterd.pipeline.reach import Reach
from filterd.pipeline.replies import ReplyStyle
from filterd.pipeline.scan import ScanOptions, ScanResult, scan
from tests.kit.clock import FrozenClock
from tests.kit.scanner import AWAY, CLEAN, Line, ScriptedScanner, match
from tests.kit.terms import tencent
from tests.kit.waiting import PATIENCE_S

RAW = b"From: Ann <ann@corp.example>\nTo: bob@else.example\nSubject: hi\nMessage-ID: <1@corp.example>\n\nhello\n"
APPEALS = "appeals@provider.example"
RULES = GateRules(
    listeners={},
    reach=Reach(appeals_address=APPEALS),
    style=ReplyStyle(appeals_address=APPEALS),
    preset=Preset.SUPERVISED,
)
OUTBOUND = ScanOptions(login="ann@corp.example", forward_paths=(parse_forward_path(b"<bob@else.example>"),))
INBOUND = ScanOptions(forward_paths=(parse_forward_path(b"<ann@corp.example>"),))
SPAM = "content.spam.model"


def spam(score: float, *, fails: bool = False) -> Check:
    """A check that is as sure as it is told, and leaves what it saw in `seen`."""

    async def run(context: Context) -> Verdict:
        SEEN.append(context)
        if fails:
            raise KeyError("words of the mail")
        findings = (Finding(code=SPAM, confidence=score, signal="content"),) if score > 0.5 else ()
        return Verdict(
            check="spam",
            version="7",
            outcome=Outcome.FOUND if findings else Outcome.CLEAN,
            findings=findings,
            scores=(("spam", score),),
        )

    return Check(
        name="spam",
        version="7",
        codes=(Code(code=SPAM, label="x"),),
        run=run,
        deadline_s=PATIENCE_S,
        fail_mode=FailMode.ACCEPT,
    )


SEEN: list[Context] = []


async def walk(
    options: ScanOptions, *, line: Line = CLEAN, score: float = 0.01, raw: bytes = RAW, **more: Any
) -> ScanResult:
    checks = arrange(
        (
            clamd.make(ScriptedScanner([line]), max_bytes=10_000, timeout_s=PATIENCE_S, fail_mode=FailMode.DEFER),
            spam(score, **more),
            rate.make(RateConfig(), timeout_s=PATIENCE_S),
        )
    )
    SEEN.clear()
    terms: Agreement = tencent()
    return await scan(raw, options, checks, terms, rules=RULES, clock=FrozenClock(), keys=derive(bytes(32)))


def outcomes(result: ScanResult) -> dict[str, str]:
    return {verdict["check"]: verdict["outcome"] for verdict in result.verdicts}


async def test_clean_outbound_mail_is_accepted_without_a_reply() -> None:
    result = await walk(OUTBOUND)
    assert (result.disposition, result.reply, result.direction) == ("accept", None, "outbound")
    assert result.scores == {"spam": 0.01}
    assert outcomes(result) == {"clamd": "clean", "spam": "clean", "rate": "skipped"}
    assert (result.clauses, result.decision["violations"], result.is_complete) == ((), [], True)
    assert result.size_bytes == len(RAW) + RAW.count(b"\n")


async def test_a_virus_outbound_is_refused_under_its_clauses_by_a_fresh_account() -> None:
    result = await walk(OUTBOUND, line=match("Win.Test.EICAR_HDB-1"))
    assert result.disposition == "reject"
    assert result.reply is not None
    assert (result.reply.code, result.reply.enhanced) == (550, "5.7.1")
    assert result.clauses
    assert all(number in result.reply.text for number in result.clauses)
    assert result.decision["violations"][0]["category"] == "malware"
    assert result.decision["rung_after"] == "warn"


async def test_it_remembers_nothing() -> None:
    first = await walk(OUTBOUND, line=match("Win.Test.EICAR_HDB-1"))
    again = await walk(OUTBOUND, line=match("Win.Test.EICAR_HDB-1"))
    assert (again.disposition, again.decision["rung_before"]) == (first.disposition, "none")
    assert again.decision["is_retry"] is False


async def test_a_breach_without_recipients_is_still_one() -> None:
    result = await walk(ScanOptions(login="ann@corp.example"), line=match("Win.Test.EICAR_HDB-1"))
    assert (result.disposition, result.decision["rung_after"]) == ("reject", "warn")


@pytest.mark.parametrize(
    ("line", "score", "disposition"),
    [(CLEAN, 0.01, "accept"), (CLEAN, 0.99, "tag"), (match("Win.Test.EICAR_HDB-1"), 0.99, "reject")],
)
async def test_inbound_mail_is_protected_and_breaches_nothing(line: Line, score: float, disposition: str) -> None:
    result = await walk(INBOUND, line=line, score=score)
    assert (result.direction, result.disposition) == ("inbound", disposition)
    assert (result.clauses, result.decision["violations"]) == ((), [])


async def test_mail_within_the_tenant_is_internal() -> None:
    inside = ScanOptions(login="ann@corp.example", forward_paths=(parse_forward_path(b"<bob@corp.example>"),))
    assert (await walk(inside)).direction == "internal"


async def test_a_scanner_that_is_away_defers_as_in_service() -> None:
    result = await walk(OUTBOUND, line=AWAY)
    assert (result.disposition, outcomes(result)["clamd"], result.is_complete) == ("defer", "temperror", False)
    assert result.reply is not None
    assert result.reply.code == 451


async def test_a_check_that_raises_is_a_temperror_and_named() -> None:
    result = await walk(OUTBOUND, fails=True)
    assert outcomes(result)["spam"] == "temperror"
    assert result.troubles == (("spam", "KeyError"),)
    assert "words" not in str(result.as_json())


async def test_the_checks_see_the_session_they_are_told() -> None:
    options = ScanOptions(login="ann@corp.example", client_address="192.0.2.9", helo="mx.example")
    await walk(options)
    (context,) = SEEN
    session = context.transaction.session
    assert (session.client_address, session.helo, session.login) == ("192.0.2.9", "mx.example", "ann@corp.example")
    assert (context.principal.strength, context.counts, context.direction) == ("strong", None, Direction.OUTBOUND)


async def test_mail_to_the_appeals_desk_is_not_judged() -> None:
    desk = ScanOptions(
        login="ann@corp.example", forward_paths=(parse_forward_path(APPEALS.encode().join((b"<", b">"))),)
    )
    result = await walk(desk, line=match("Win.Test.EICAR_HDB-1"), score=0.99)
    assert (result.disposition, result.reply) == ("accept", None)


@pytest.mark.parametrize(
    "raw", [b"", b"\n", b"\0\xff\r", b"no header at all", b"From: x\n" * 3000, bytes(range(256)) * 20]
)
async def test_nothing_that_mail_can_be_raises(raw: bytes) -> None:
    assert (await walk(INBOUND, raw=raw)).disposition in ("accept", "reject", "tag", "defer")


async def test_the_json_form_has_every_promised_key() -> None:
    said = (await walk(OUTBOUND, line=match("Win.Test.EICAR_HDB-1"))).as_json()
    assert set(said) == {
        "disposition",
        "reply",
        "scores",
        "verdicts",
        "clauses",
        "reasons",
        "violations",
        "rung_after",
        "direction",
        "is_complete",
        "defects",
        "troubles",
        "size_bytes",
        "elapsed_ms",
    }
    assert set(said["reply"]) == {"code", "enhanced", "text"}
    keys = {"check", "version", "outcome", "reason", "elapsed_ms", "scores", "results", "findings"}
    assert set(said["verdicts"][0]) == keys
    assert set(said["verdicts"][0]["findings"][0]) == {"code", "confidence", "where", "signal", "why"}
