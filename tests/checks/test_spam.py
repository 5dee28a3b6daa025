"""The spam check: gates by bucket, nothing certain from few words, no words of the mail in what it says."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from filterd.checks import spam
from filterd.checks.features import FEATURES_VERSION
from filterd.checks.opinion import Reader
from filterd.checks.run import arrange, run
from filterd.clients.modelstore import load_model
from filterd.errors import ModelError
from filterd.mail.parse import parse
from filterd.model.message import Message
from filterd.model.verdict import FailMode, Outcome, Verdict
from filterd.share import path
from tests.checks.contexts import context
from tests.checks.fake_model import saying
from tests.checks.letters import HAM, SPAM
from tests.kit.waiting import PATIENCE_S

pytestmark = pytest.mark.slow


def mail(text: str, subject: str = "") -> Message:
    return parse(
        f"Subject: {subject}\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n{text}\r\n".encode("utf-8", "replace")
    )


EN = "please find the minutes of the last meeting below"
EN_LONG = "Please find the minutes of the last meeting of our group below. " * 5
ZH = "请查收上次会议的纪要，谢谢大家的支持"
DE = "Bitte senden Sie mir das Protokoll der Sitzung und die Liste, wir warten auf Ihre Antwort."


@pytest.mark.parametrize(
    ("text", "probability", "outcome", "code", "gate"),
    [
        (EN, 0.95, Outcome.FOUND, spam.MODEL, "A"),
        (EN, 0.80, Outcome.FOUND, spam.MODEL, "B"),
        (EN, 0.60, Outcome.FOUND, spam.ADVISORY, "none"),
        (EN, 0.40, Outcome.CLEAN, None, None),
        (EN_LONG, 0.95, Outcome.FOUND, spam.MODEL, "B"),
        (EN_LONG, 0.60, Outcome.FOUND, spam.ADVISORY, "none"),
        (ZH, 0.99, Outcome.FOUND, spam.ADVISORY, "none"),
        (ZH * 20, 0.99, Outcome.FOUND, spam.ADVISORY, "none"),
        (ZH, 0.40, Outcome.CLEAN, None, None),
        (DE, 0.99, Outcome.FOUND, spam.ADVISORY, "none"),
        (DE, 0.40, Outcome.SKIPPED, None, None),
    ],
)
def test_gates_by_bucket(text: str, probability: float, outcome: Outcome, code: str | None, gate: str | None) -> None:
    verdict = spam.judge(mail(text), Reader(saying(probability)))
    assert verdict.outcome is outcome
    assert [finding.code for finding in verdict.findings] == ([code] if code else [])
    assert [dict(finding.why)["gate"] for finding in verdict.findings] == ([gate] if gate else [])
    assert dict(verdict.scores)["spam"] == pytest.approx(probability)
    assert verdict.elapsed_ms == 0.0
    assert verdict.reason == ("language" if outcome is Outcome.SKIPPED else None)


def test_a_finding_says_ids_and_numbers() -> None:
    (finding,) = spam.judge(mail(EN), Reader(saying(0.95))).findings
    assert finding.signal == "content"
    assert finding.confidence == pytest.approx(0.95)
    assert dict(finding.why) == {
        "model": "fake-7",
        "digest": "0123456789abcdef",
        "language": "en",
        "length": "short",
        "threshold": "0.900000",
        "gate": "A",
    }
    assert finding.where is None


@pytest.mark.parametrize("text", ["", "发票", "Hi", "免费 优惠", "http://a.example/b", "see below, thanks"])
def test_too_few_words_are_not_judged(text: str) -> None:
    verdict = spam.judge(mail(text), Reader(saying(0.99)))
    assert (verdict.outcome, verdict.reason, verdict.findings, verdict.scores) == (Outcome.SKIPPED, "no_text", (), ())


def test_another_features_version_is_refused() -> None:
    with pytest.raises(ModelError, match=r"fake-7: trained on features version 0, this filterd makes version \d"):
        spam.make(replace(saying(0.5), features_version=0), timeout_s=1, fail_mode=FailMode.ACCEPT)


def test_a_model_without_the_label_is_refused() -> None:
    with pytest.raises(ModelError, match="knows no label spam"):
        spam.make(replace(saying(0.5), heads={}), timeout_s=1, fail_mode=FailMode.ACCEPT)


async def test_the_runner_takes_its_verdict() -> None:
    check = spam.make(saying(0.95), timeout_s=PATIENCE_S, fail_mode=FailMode.ACCEPT)
    assessment = await run(arrange([check]), context(message=mail(EN)), on_error=lambda *_: None)
    (verdict,) = assessment.verdicts
    assert (verdict.outcome, verdict.check) == (Outcome.FOUND, "spam")
    assert verdict.version == check.version == "2 fake-7 0123456789abcdef"


# --- The shipped model ------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def model() -> Reader:
    return Reader(load_model(path("models/default"), features_version=FEATURES_VERSION))


def score(verdict: Verdict) -> float:
    return dict(verdict.scores)["spam"]


@pytest.mark.parametrize("name", SPAM)
def test_spam_letters_are_seen(name: str, model: Reader) -> None:
    verdict = spam.judge(mail(SPAM[name]), model)
    assert verdict.outcome is Outcome.FOUND
    assert score(verdict) > 0.8


@pytest.mark.parametrize("name", HAM)
def test_ham_letters_pass_no_gate(name: str, model: Reader) -> None:
    verdict = spam.judge(mail(HAM[name]), model)
    assert spam.MODEL not in [finding.code for finding in verdict.findings]
    assert score(verdict) < 0.8


def test_every_spam_letter_scores_above_every_ham_letter(model: Reader) -> None:
    ham = [score(spam.judge(mail(text), model)) for text in HAM.values()]
    bad = [score(spam.judge(mail(text), model)) for text in SPAM.values()]
    assert max(ham) < min(bad)


def test_padding_does_not_hide_what_it_surrounds(model: Reader) -> None:
    pad = HAM["en meeting"] + "\n"
    padded = pad * 6 + SPAM["en meds"] * 8 + pad * 3
    assert score(spam.judge(mail(pad * 14), model)) < 0.5
    assert score(spam.judge(mail(padded), model)) > 0.8


@pytest.mark.parametrize("word", ["发票", "优惠", "免费", "中奖", "贷款"])
def test_one_word_never_decides(word: str, model: Reader) -> None:
    for name in ("zh meeting", "zh thesis", "zh-Hant minutes"):
        verdict = spam.judge(mail(f"{HAM[name]}{word}"), model)
        assert spam.MODEL not in [finding.code for finding in verdict.findings]


def test_traditional_characters_score_as_simplified_ones(model: Reader) -> None:
    hans = "本公司代开各类发票，点数优惠，验证后付款，欢迎来电洽谈，联络人陈先生。"
    assert score(spam.judge(mail(hans), model)) == score(spam.judge(mail(SPAM["zh-Hant invoices"]), model))


CERTAIN = Reader(saying(0.95))


@given(st.binary(max_size=600))
@settings(max_examples=60, deadline=None)
def test_no_mail_makes_it_raise(raw: bytes) -> None:
    verdict = spam.judge(parse(raw), CERTAIN)
    assert verdict.outcome in (Outcome.CLEAN, Outcome.FOUND, Outcome.SKIPPED)


def test_serving_needs_no_learning_libraries() -> None:
    code = (
        "import sys\n"
        "from pathlib import Path\n"
        "from filterd.checks import spam\n"
        "from filterd.checks.opinion import Reader\n"
        "from filterd.clients.modelstore import load_model\n"
        "from filterd.mail.parse import parse\n"
        "from filterd.share import path\n"
        "model = Reader(load_model(path('models/default')))\n"
        "verdict = spam.judge(parse(b'Subject: x\\r\\n\\r\\nplease find the minutes below, thanks\\r\\n'), model)\n"
        "assert verdict.scores\n"
        "print([m for m in ('sklearn', 'scipy', 'joblib', 'pandas', 'filterd.learning') if m in sys.modules])\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=Path(__file__).parents[2])
    assert (done.stdout.strip(), done.stderr) == ("[]", "")
