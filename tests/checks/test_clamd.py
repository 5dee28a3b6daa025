"""The virus check: what a scanner's answers mean. The protocol has its own tests in tests/clients."""

from __future__ import annotations

import pytest

from filterd.checks import clamd
from filterd.checks.run import arrange, run
from filterd.checks.spec import Check
from filterd.model.verdict import Assessment, FailMode, Outcome
from tests.checks.contexts import RAW, context
from tests.kit.scanner import AWAY, CLEAN, SILENT, TOO_LARGE, VERSION, Line, ScriptedScanner, match
from tests.kit.waiting import PATIENCE_S


def make(scanner: ScriptedScanner, *, max_bytes: int = 10_000, timeout_s: float = PATIENCE_S) -> Check:
    return clamd.make(scanner, max_bytes=max_bytes, timeout_s=timeout_s, fail_mode=FailMode.DEFER)


async def assess(line: Line, raw: bytes = RAW) -> Assessment:
    def on_error(_check: str, _transaction_id: str, error: BaseException) -> None:
        raise AssertionError from error

    return await run(arrange([make(ScriptedScanner([line]))]), context(raw), on_error=on_error)


async def test_nothing_found_is_clean() -> None:
    actual = (await assess(CLEAN)).verdicts[0]
    assert (actual.outcome, actual.findings, actual.version) == (Outcome.CLEAN, (), f"1 {VERSION}")


async def test_the_whole_mail_is_scanned_as_it_is() -> None:
    scanner = ScriptedScanner()
    await run(arrange([make(scanner)]), context(), on_error=lambda *_: None)
    assert scanner.scanned == [RAW]


async def test_match_names_signature_and_engine() -> None:
    actual = (await assess(match("Win.Trojan.Agent-1"))).verdicts[0]
    finding = actual.findings[0]
    assert actual.outcome is Outcome.FOUND
    assert (finding.code, finding.confidence) == ("virus.signature.match", 1.0)
    assert finding.why == (("signature", "Win.Trojan.Agent-1"), ("engine", VERSION))


@pytest.mark.parametrize(
    ("signature", "code"),
    [
        ("Eicar-Test-Signature", "virus.signature.match"),
        ("Filterd.Test.Eicar.UNOFFICIAL", "virus.signature.match"),
        ("Email.Phishing.VOF1-6295004-0", "virus.signature.match"),
        ("Heuristics.Limits.Exceeded", "virus.unscannable.limits"),
        ("Heuristics.Limits.Exceeded.MaxRecursion", "virus.unscannable.limits"),
        ("Heuristics.Encrypted.Zip", "virus.unscannable.limits"),
        ("Heuristics.Phishing.Email.SpoofedDomain", "virus.heuristic.match"),
        ("Heuristics.OLE2.ContainsMacros.VBA", "virus.heuristic.match"),
        ("Heuristics.Broken.Media.JPEG", "virus.heuristic.match"),
        ("Heuristics.Structured.CreditCardNumber", "virus.heuristic.match"),
        ("PUA.Win.Packer.Upx-1", "virus.heuristic.match"),
        # A name that only holds such a word is malware.
        ("Win.PUA.Thing", "virus.signature.match"),
    ],
)
def test_only_known_malware_is_a_match(signature: str, code: str) -> None:
    assert [f.code for f in clamd.judge(match(signature)).findings] == [code]


async def test_mail_over_our_limit_is_unscannable_and_not_handed_over() -> None:
    scanner = ScriptedScanner()
    actual = await make(scanner, max_bytes=len(RAW) - 1).run(context())
    assert [f.code for f in actual.findings] == ["virus.unscannable.size"]
    assert actual.findings[0].why == (("size_bytes", str(len(RAW))), ("limit_bytes", str(len(RAW) - 1)))
    assert scanner.scanned == []


async def test_mail_at_our_limit_is_scanned() -> None:
    assert (await make(ScriptedScanner(), max_bytes=len(RAW)).run(context())).outcome is Outcome.CLEAN


async def test_mail_over_the_scanner_s_limit_is_unscannable() -> None:
    actual = await assess(TOO_LARGE)
    assert [f.code for f in actual.findings] == ["virus.unscannable.size"]
    assert actual.is_complete


async def test_scanner_away_is_an_error_with_the_operator_s_fail_mode() -> None:
    actual = await assess(AWAY)
    assert (actual.verdicts[0].outcome, actual.verdicts[0].reason) == (Outcome.TEMPERROR, "scanner.away")
    assert actual.findings == ()
    assert actual.fail_modes == (("clamd", FailMode.DEFER),)


async def test_scanner_that_never_answers_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clamd, "MARGIN_S", 0.0)
    checks = arrange([make(ScriptedScanner([SILENT]), timeout_s=0.05)])
    actual = await run(checks, context(), on_error=lambda *_: None)
    assert (actual.verdicts[0].outcome, actual.verdicts[0].reason) == (Outcome.TEMPERROR, "deadline")


def test_every_code_of_the_tables_is_declared() -> None:
    declared = {c.code for c in clamd.CODES}
    assert {code for _, code in clamd.NOT_MALWARE} | {clamd.MATCH, clamd.SIZE} == declared
