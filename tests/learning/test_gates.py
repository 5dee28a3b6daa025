"""Gates are claimed only where they were shown."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from filterd.learning.gates import LOWEST, Scored, choose


def scored(
    count: int, *, false: int = 0, source: str = "one", bucket: str = "en/short", is_mail: bool = True
) -> Scored:
    """`count` clean texts of which `false` score 0.95, the others less than 0.5, and as many bad ones at 0.9."""
    clean = np.concatenate([np.full(false, 0.95), np.linspace(0.0, 0.5, count - false)])
    return Scored(
        probability=np.concatenate([clean, np.full(count, 0.9)]),
        is_bad=np.arange(2 * count) >= count,
        sources=np.full(2 * count, source),
        bucket=np.full(2 * count, bucket),
        is_mail=np.full(2 * count, is_mail),
    )


def joined(*parts: Scored) -> Scored:
    return Scored(
        probability=np.concatenate([part.probability for part in parts]),
        is_bad=np.concatenate([part.is_bad for part in parts]),
        sources=np.concatenate([part.sources for part in parts]),
        bucket=np.concatenate([part.bucket for part in parts]),
        is_mail=np.concatenate([part.is_mail for part in parts]),
    )


def gate(train: Scored, dev: Scored, left_out: Scored | None = None) -> dict[str, Any]:
    (row,) = [r for r in choose(train, dev, left_out) if (r["language"], r["length"]) == ("en", "short")]
    return row


def refusals(row: dict[str, Any]) -> list[str | None]:
    return [row["figures"][key].get("refused") for key in ("a", "b")]


def test_both_gates_where_both_are_shown() -> None:
    row = gate(scored(4_000, false=3), scored(1_000, false=5))
    assert refusals(row) == [None, None]
    assert 0.9 < row["a"] <= 1.0
    assert row["b"] <= row["a"]
    dev_false = row["figures"]["b"]["dev_false"]
    assert (dev_false["count"], dev_false["of"], dev_false["rate"]) == (5, 1_000, 0.005)


@pytest.mark.parametrize(
    ("train", "dev", "expected"),
    [
        (scored(299), scored(1_000), ["too few clean train texts", "too few clean train texts"]),
        (scored(300), scored(1_000), ["too few clean train texts", None]),
        (scored(3_000), scored(299), ["too few clean dev texts", None]),
        (scored(3_000), scored(99), ["too few clean dev texts", "too few clean dev texts"]),
        (scored(3_000), scored(1_000, false=2), ["dev misses the rate", None]),
        (scored(3_000), scored(1_000, false=11), ["dev misses the rate", "dev misses the rate"]),
    ],
)
def test_what_is_not_shown_is_refused(train: Scored, dev: Scored, expected: list[str | None]) -> None:
    row = gate(train, dev)
    assert refusals(row) == expected
    assert [row[key] is None for key in ("a", "b")] == [reason is not None for reason in expected]


def test_a_small_source_with_many_errors_raises_the_threshold() -> None:
    alone = gate(scored(10_000), scored(1_000))
    beside = gate(joined(scored(10_000), scored(100, false=20, source="two")), scored(1_000))
    assert alone["b"] < 0.95 < beside["b"]


def test_corpora_left_out_raise_the_threshold_letters_do_not() -> None:
    train, dev = scored(10_000), scored(1_000)
    assert gate(train, dev, scored(1_000, false=30))["b"] > 0.95 > gate(train, dev)["b"]
    assert gate(train, dev, scored(1_000, false=30, source="letters_en"))["b"] == gate(train, dev)["b"]


def test_what_is_not_shown_on_mail_is_refused() -> None:
    posts = scored(10_000, is_mail=False)
    assert refusals(gate(posts, scored(1_000))) == ["too few clean mails"] * 2
    assert refusals(gate(joined(posts, scored(100)), scored(1_000))) == ["too few clean mails", None]


def test_mail_keeps_the_rate_by_itself() -> None:
    """Many quiet posts do not make up for mails that the label would take."""
    posts, one, two = scored(30_000, is_mail=False), scored(90, false=9), scored(90, false=9, source="two")
    row = gate(joined(posts, one, two), scored(1_000))
    assert row["b"] > 0.95
    assert row["figures"]["b"]["mail_false"]["rate"] <= 0.01


def test_a_gate_is_never_lower_than_sure() -> None:
    quiet = scored(10_000)
    quiet.probability[:10_000] /= 10
    assert gate(quiet, scored(1_000))["b"] == LOWEST


def test_a_label_has_gates_in_its_languages_only() -> None:
    both = joined(scored(4_000), scored(4_000, bucket="zh/short"))
    rows = {row["language"]: row for row in choose(both, both, languages=["en"]) if row["length"] == "short"}
    assert rows["en"]["b"] is not None
    assert (rows["zh"]["b"], refusals(rows["zh"])) == (None, ["label not shown"] * 2)


def test_other_languages_have_no_gate() -> None:
    both = scored(9_000, bucket="other/long")
    assert {row["language"] for row in choose(both, both)} == {"zh", "en"}
    assert all(row["a"] is row["b"] is None for row in choose(both, both))
