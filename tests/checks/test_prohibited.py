"""The checks of the labels: one reading for all, nothing said where nobody can tell, ordinary letters let through."""

from __future__ import annotations

import sys
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from filterd.checks import opinion, prohibited, spam
from filterd.checks.features import READ_CHARS, TEXT_CHARS, features, read, text_of, windows
from filterd.checks.opinion import Reader
from filterd.checks.run import arrange, run
from filterd.clients.modelstore import load_model
from filterd.errors import ModelError
from filterd.mail.parse import parse
from filterd.model.message import Message
from filterd.model.verdict import FailMode, Outcome
from filterd.share import path
from tests.checks.contexts import context
from tests.checks.fake_model import FakeModel, head, saying
from tests.checks.letters import HAM
from tests.kit.waiting import PATIENCE_S

EN = "please find the minutes of the last meeting below"
ZH = "请查收上次会议的纪要，谢谢大家的支持"
DE = "Bitte senden Sie mir das Protokoll der Sitzung und die Liste, wir warten auf Ihre Antwort."


def mail(text: str) -> Message:
    return parse(f"Content-Type: text/plain; charset=utf-8\r\n\r\n{text}\r\n".encode("utf-8", "replace"))


# --- One check a label ------------------------------------------------------------------------------------------------


def test_every_label_has_its_check_and_codes() -> None:
    assert [item.name for item in prohibited.BUILTINS] == list(prohibited.LABELS)
    assert {code.code for item in prohibited.BUILTINS for code in item.codes} == {
        f"content.{label}.{state}" for label in prohibited.LABELS for state in ("model", "advisory")
    }
    assert all(code.signal == "content" for item in prohibited.BUILTINS for code in item.codes)


@pytest.mark.parametrize(
    ("text", "probability", "outcome", "code", "reason"),
    [
        (EN, 0.95, Outcome.FOUND, "content.gambling.model", None),
        (EN, 0.75, Outcome.FOUND, "content.gambling.model", None),
        (EN, 0.60, Outcome.FOUND, "content.gambling.advisory", None),
        (EN, 0.40, Outcome.CLEAN, None, None),
        (ZH, 0.99, Outcome.SKIPPED, None, "no_model"),
        (DE, 0.99, Outcome.SKIPPED, None, "no_model"),
        ("casino", 0.99, Outcome.SKIPPED, None, "no_text"),
        ("", 0.99, Outcome.SKIPPED, None, "no_text"),
    ],
)
def test_gates_and_languages(text: str, probability: float, outcome: Outcome, code: str | None, reason: str) -> None:
    model = FakeModel(heads={"gambling": head(probability, languages=frozenset({"en"}))})
    verdict = prohibited.judge("gambling", mail(text), Reader(model))
    assert (verdict.check, verdict.outcome, verdict.reason) == ("gambling", outcome, reason)
    assert [finding.code for finding in verdict.findings] == ([code] if code else [])
    assert [name for name, _ in verdict.scores] == ([] if outcome is Outcome.SKIPPED else ["gambling"])


def test_a_finding_says_ids_and_numbers() -> None:
    (finding,) = prohibited.judge("fraud", mail(EN), Reader(saying(0.95, "fraud"))).findings
    assert (finding.signal, finding.where) == ("content", None)
    assert dict(finding.why) == {
        "model": "fake-7",
        "digest": "0123456789abcdef",
        "language": "en",
        "length": "short",
        "threshold": "0.900000",
        "gate": "A",
    }


def test_another_features_version_is_refused() -> None:
    with pytest.raises(ModelError, match="trained on features version 0"):
        prohibited.make("fraud", replace(saying(0.5), features_version=0), timeout_s=1, fail_mode=FailMode.ACCEPT)


async def test_a_label_without_a_model_is_skipped_and_not_even_read(monkeypatch: pytest.MonkeyPatch) -> None:
    read_texts = count_readings(monkeypatch)
    check = prohibited.make("terror", saying(0.99), timeout_s=1, fail_mode=FailMode.ACCEPT)
    verdict = await check.run(context(message=mail(EN)))
    assert (verdict.check, verdict.outcome, verdict.reason) == ("terror", Outcome.SKIPPED, "no_model")
    assert verdict.version == check.version
    assert read_texts == []


# --- One reading ------------------------------------------------------------------------------------------------------


def count_readings(monkeypatch: pytest.MonkeyPatch) -> list[Message]:
    seen: list[Message] = []

    def counted(message: Message) -> str:
        seen.append(message)
        return text_of(message)

    monkeypatch.setattr(opinion, "text_of", counted)
    return seen


async def test_all_checks_of_a_mail_share_one_reading(monkeypatch: pytest.MonkeyPatch) -> None:
    seen = count_readings(monkeypatch)
    reader = Reader(FakeModel(heads={label: head(0.8) for label in ("spam", "fraud", "gambling")}))
    checks = [spam.make(reader, timeout_s=PATIENCE_S, fail_mode=FailMode.ACCEPT)]
    checks += [
        prohibited.make(label, reader, timeout_s=PATIENCE_S, fail_mode=FailMode.ACCEPT)
        for label in ("fraud", "gambling", "weapons")
    ]
    one, two = mail(EN), mail(ZH)
    for message in (one, two, one):
        assessment = await run(arrange(checks), context(message=message), on_error=lambda *_: None)
        assert [len(verdict.scores) for verdict in assessment.verdicts] == [1, 1, 1, 0]
    assert seen == [one, two, one]


def test_a_mail_is_let_go_when_every_check_has_asked() -> None:
    reader = Reader(saying(0.8))
    for _ in range(3):
        reader.join()
    message = mail(EN)
    before = sys.getrefcount(message)
    assert [reader.of(message) is reader.of(message), sys.getrefcount(message) > before] == [True, True]
    reader.of(message)
    assert sys.getrefcount(message) == before


def test_mails_that_are_never_asked_for_again_do_not_pile_up() -> None:
    reader = Reader(saying(0.8))
    reader.join()
    reader.join()
    mails = [mail(f"{EN} {number}") for number in range(10)]
    first = mails[0]
    before = sys.getrefcount(first)
    for message in mails:
        reader.of(message)
    after = sys.getrefcount(first)
    assert after == before


# --- Windows ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("chars", "count"),
    [(0, 1), (TEXT_CHARS, 1), (TEXT_CHARS + 1, 2), (3_000, 3), (READ_CHARS, 4), (READ_CHARS + 9_999, 4)],
)
def test_windows_are_few_and_whole(chars: int, count: int) -> None:
    text = "".join(chr(0x4E00 + number % 5_000) for number in range(chars))
    parts = windows(text)
    assert len(parts) == count
    assert count == 1 or {len(part) for part in parts} == {TEXT_CHARS}
    assert set(text[:READ_CHARS]) <= set("".join(parts))


def test_the_highest_window_counts() -> None:
    rng = np.random.default_rng(1)
    one = replace(head(0.5), weights=rng.normal(0, 3, 1 << 18).astype(np.float32))
    reader = Reader(FakeModel(heads={"spam": one}))
    text = " ".join(f"word{number}x" for number in range(900))
    chances = [reader.opinion(part).chances["spam"] for part in windows(text)]
    assert len(chances) == 4
    assert reader.opinion(text).chances["spam"] == pytest.approx(max(chances))


def test_all_labels_are_scored_as_each_alone_would_be() -> None:
    rng = np.random.default_rng(2)
    heads = {
        label: replace(head(0.3), weights=rng.normal(0, 1, 1 << 18).astype(np.float32), slope=slope, offset=0.1)
        for label, slope in (("spam", 1.0), ("fraud", 2.0), ("hate", 0.5))
    }
    found = features(read(EN), 18)
    said = Reader(FakeModel(heads=heads)).opinion(EN)
    assert (said.language, said.length) == ("en", "short")
    for label, one in heads.items():
        score = float(one.weights[found.indices].astype(np.float64) @ found.values.astype(np.float64)) + one.bias
        assert said.chances[label] == pytest.approx(1 / (1 + np.exp(-(one.slope * score + one.offset))))


# --- The shipped models -----------------------------------------------------------------------------------------------


@pytest.fixture(scope="module", params=["default", "research"])
def shipped(request: pytest.FixtureRequest) -> Reader:
    return Reader(load_model(path(f"models/{request.param}")))


@pytest.mark.parametrize("name", HAM)
def test_ordinary_letters_pass_no_gate_of_any_label(name: str, shipped: Reader) -> None:
    for label in prohibited.LABELS:
        codes = [finding.code for finding in prohibited.judge(label, mail(HAM[name]), shipped).findings]
        assert f"content.{label}.model" not in codes


FUZZED = Reader(FakeModel(heads={label: head(0.95) for label in prohibited.LABELS}))


@given(st.binary(max_size=600))
@settings(max_examples=60, deadline=None)
def test_no_mail_makes_it_raise(raw: bytes) -> None:
    message = parse(raw)
    for label in prohibited.LABELS:
        assert prohibited.judge(label, message, FUZZED).outcome in (Outcome.CLEAN, Outcome.FOUND, Outcome.SKIPPED)
