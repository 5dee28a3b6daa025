"""The tables: what became of each mail, and what each check did."""

from __future__ import annotations

import textwrap
import unicodedata
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from statistics import median
from typing import Any

from filterd.agreement.terms import Agreement
from filterd.demo.outcome import Sent

_HEAD = ("#", "mail", "", "", "reply", "found", "clause", "account")
_WIDTHS = (3, 34, 2, 3, 9, 37, 20, 21)
_NOTHING = "-"


def mail_table(sent: Iterable[Sent], terms: Agreement) -> Iterator[str]:
    """Say the lines of the table of mails, one mail on as many as it needs."""
    yield from _lines(_HEAD)
    yield "  ".join("-" * width for width in _WIDTHS)
    for item in sent:
        yield from _lines(row(item, terms))


def row(sent: Sent, terms: Agreement) -> tuple[str, ...]:
    """Say a mail's cells."""
    sample = sent.sample
    code = sent.code + (" marked" if sent.is_marked else "")
    way = "out" if sample.login is not None else "in"
    if sent.event is not None and sent.event["direction"] == "internal":
        way = "own"
    found = "\n".join(_found(sent)) or _NOTHING
    clause = "\n".join(_clauses(sent, terms)) or _NOTHING
    return (str(sent.number), sample.what, sample.language, way, code, found, clause, _account(sent))


def _found(sent: Sent) -> Iterator[str]:
    """Say each finding once, with the score where there is one, in parentheses when nothing rests on it."""
    reasons = sent.decision.get("reasons", ())
    acting = {code for v in sent.decision.get("violations", ()) for code in v["finding_codes"]}
    acting |= {r["code"].removeprefix("protection.") for r in reasons}
    # A reason of protection from strangers names the findings it stands on; one of the agreement, clauses.
    acting |= {code for r in reasons for code in r["ids"]}
    strongest: dict[str, float] = {}
    for finding in sent.findings:
        strongest[finding["code"]] = max(finding["confidence"], strongest.get(finding["code"], 0.0))
    for code, confidence in strongest.items():
        text = f"{code} {confidence:.2f}" if code.startswith("content.") else code
        yield text if code in acting else f"({text})"
    yield from (f"{r['code'].removeprefix('feature.')} are off" for r in reasons if r["code"].startswith("feature."))
    if sent.sample.label is not None and not any(f".{sent.sample.label}." in code for code in strongest):
        yield f"({sent.sample.label}: {_answer(sent, sent.sample.label)})"


def _answer(sent: Sent, label: str) -> str:
    """Say what the check of a label answered that found nothing."""
    check = next((c for c in sent.checks if c["check"] == label), None)
    if check is None:
        return "not asked"
    score = check["scores"].get(label)
    return outcome_of(check) if score is None else f"{score:.2f}"


def outcome_of(check: Mapping[str, Any]) -> str:
    """Say an outcome as people read it."""
    reason = str(check["reason"] or "").replace("_", " ")
    return f"{check['outcome']}: {reason}" if reason else str(check["outcome"])


def _clauses(sent: Sent, terms: Agreement) -> Iterator[str]:
    """Say the clauses a mail was dealt with under; in parentheses those people are only reminded of."""
    decision = sent.decision
    said = list(decision.get("clauses", ()))
    said += [c for r in decision.get("reasons", ()) if r["code"].startswith("refused.") for c in r["ids"]]
    if said:
        yield ", ".join(dict.fromkeys(said))
    advised = (terms.find_category(name) for name in decision.get("advisory", ()))
    grounds = [c for category in advised if category is not None for c in category.ground]
    if rest := [c for c in dict.fromkeys(grounds) if c not in said]:
        yield f"({', '.join(rest)})"


def _account(sent: Sent) -> str:
    if sent.points is None:
        return "nobody of ours"
    if not sent.points:
        return "no points"
    return f"{sent.points:g} point{'s' if sent.points != 1 else ''}, {sent.standing}"


def check_table(events: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """Say for each check how often it gave which answer, and how long it took."""
    answers: dict[str, Counter[str]] = {}
    times: dict[str, list[float]] = {}
    for event in events:
        for check in event["checks"]:
            answers.setdefault(check["check"], Counter())[outcome_of(check)] += 1
            times.setdefault(check["check"], []).append(check["elapsed_ms"] or 0.0)
    yield f"{'check':<12}  {'clean':>5}  {'found':>5}  {'error':>5}  {'ms':>5}  {'max':>6}  skipped"
    for name, counted in answers.items():
        errors = sum(number for word, number in counted.items() if word.split(":")[0].endswith("error"))
        skips = (f"{number} {w.removeprefix('skipped: ')}" for w, number in counted.items() if w.startswith("skipped"))
        spent = times[name]
        yield (
            f"{name:<12}  {counted['clean']:>5}  {counted['found']:>5}  {errors:>5}  {median(spent):>5.1f}  "
            f"{max(spent):>6.1f}  {', '.join(skips)}"
        ).rstrip()


def _lines(cells: Sequence[str]) -> Iterator[str]:
    """Lay cells out side by side, each broken to its width."""
    columns = [
        [part for line in cell.split("\n") for part in textwrap.wrap(line, width, break_long_words=False) or [""]]
        for cell, width in zip(cells, _WIDTHS, strict=True)
    ]
    for index in range(max(map(len, columns))):
        parts = (column[index] if index < len(column) else "" for column in columns)
        yield "  ".join(_padded(part, width) for part, width in zip(parts, _WIDTHS, strict=True)).rstrip()


def _padded(text: str, width: int) -> str:
    """Fill up to a width on the screen, where Chinese characters are two wide."""
    wide = sum(unicodedata.east_asian_width(c) in "WF" for c in text)
    return text + " " * max(0, width - len(text) - wide)
