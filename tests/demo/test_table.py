"""The tables of the demonstration: what is shown, and what stands in parentheses."""

from __future__ import annotations

from typing import Any

from filterd.app import load_agreements
from filterd.config import Config
from filterd.demo.outcome import Sent
from filterd.demo.sample import Expected, Sample
from filterd.demo.table import check_table, mail_table, row

TERMS = load_agreements(Config())["tencent-exmail"]


def check(
    name: str, outcome: str, *codes: str, reason: str | None = None, score: float | None = None
) -> dict[str, Any]:
    return {
        "check": name,
        "outcome": outcome,
        "reason": reason,
        "elapsed_ms": 2.0,
        "scores": {} if score is None else {name: score},
        "results": [],
        "findings": [{"code": code, "confidence": 0.75} for code in codes],
    }


def sent(*checks: dict[str, Any], label: str | None = None, **decision: Any) -> Sent:
    sample = Sample(
        what="信件 about 中文",
        language="zh",
        login="a@b.example",
        write=lambda language, head: b"",
        expected=Expected(),
        label=label,
    )
    decided = {"violations": [], "reasons": [], "advisory": [], "clauses": [], **decision}
    event = {"tx": "t_1", "direction": "outbound", "checks": list(checks), "decision": decided}
    return Sent(
        number=1, sample=sample, message_id="<x@y>", reply="250 Ok", points=0, standing="good", event=event
    )


def test_what_nothing_rests_on_stands_in_parentheses() -> None:
    gambling = check("gambling", "found", "content.gambling.model")
    assert row(sent(gambling, advisory=["illegal.gambling"]), TERMS)[5:7] == (
        "(content.gambling.model 0.75)",
        "(3.3.2 (7), 3.3.2 (11), 3.5.5)",
    )
    breach = [{"category": "illegal.gambling", "finding_codes": ["content.gambling.model"]}]
    assert row(sent(gambling, violations=breach, clauses=["3.5.5"]), TERMS)[5:7] == (
        "content.gambling.model 0.75",
        "3.5.5",
    )


def test_a_label_without_a_model_is_seen() -> None:
    assert row(sent(check("insult", "skipped", reason="no_model"), label="insult"), TERMS)[5] == (
        "(insult: skipped: no model)"
    )
    assert row(sent(check("insult", "clean", score=0.31), label="insult"), TERMS)[5] == "(insult: 0.31)"


def test_a_feature_that_is_off_is_seen() -> None:
    off = [{"code": "feature.attachments", "ids": ["s_1"]}]
    assert row(sent(reasons=off, clauses=["4.3.1"]), TERMS)[5:7] == ("attachments are off", "4.3.1")


def test_chinese_characters_are_two_wide() -> None:
    head, rule, line = mail_table([sent()], TERMS)
    # The language stands below the same column: four characters of the title are twice as wide.
    assert line.index(" zh ") + 4 == len(rule.split("  ")[0]) + len(rule.split("  ")[1]) + 3
    assert head.startswith("#")


def test_checks_are_counted_by_their_answers() -> None:
    events = [
        {"checks": [check("spam", "clean"), check("drugs", "skipped", reason="no_model")]},
        {"checks": [check("spam", "found"), check("drugs", "skipped", reason="no_model")]},
        {"checks": [check("spam", "temperror", reason="timeout"), check("drugs", "skipped", reason="no_text")]},
    ]
    lines = [line.split() for line in check_table(events)]
    assert lines[1] == ["spam", "1", "1", "1", "2.0", "2.0"]
    assert lines[2] == ["drugs", "0", "0", "0", "2.0", "2.0", "2", "no", "model,", "1", "no", "text"]
