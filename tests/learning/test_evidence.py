"""A label speaks only where the dev split has shown that it knows something."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from filterd.learning.evidence import judge, present
from filterd.learning.gates import Scored


def scored(bad: int, clean: int, *, shift: float = 3.0, source: str = "posts", language: str = "en") -> Scored:
    """Bad texts score `shift` deviations above clean ones."""
    rng = np.random.default_rng(5)
    scores = np.concatenate([rng.normal(shift, 1, bad), rng.normal(0, 1, clean)])
    return Scored(
        probability=1 / (1 + np.exp(-scores)),
        is_bad=np.arange(bad + clean) < bad,
        sources=np.full(bad + clean, source),
        bucket=np.full(bad + clean, f"{language}/short"),
        is_mail=np.full(bad + clean, False),
    )


@pytest.mark.parametrize(
    ("train", "dev", "lacking"),
    [
        (scored(100, 500), scored(30, 100), None),
        (scored(99, 500), scored(30, 100), "too few train texts"),
        (scored(500, 500, source="letters_en"), scored(30, 100), "too few train texts"),
        (scored(100, 500), scored(29, 100), "too few dev texts"),
        (scored(100, 500), scored(30, 99), "too few dev texts"),
        (scored(100, 500), scored(100, 500, shift=0.8), "dev does not show enough"),
        # Not far below in the middle, but nothing is shown by so few.
        (scored(100, 500), scored(30, 100, shift=1.3), "dev does not show enough"),
    ],
)
def test_the_rule(train: Scored, dev: Scored, lacking: str | None) -> None:
    rows = judge(train, dev)
    assert rows["en"].get("lacking") == lacking
    assert present(rows) == ([] if lacking else ["en"])


def test_languages_are_judged_by_themselves() -> None:
    rows: dict[str, Any] = judge(scored(100, 500), scored(30, 100, language="zh"))
    assert {name: row["lacking"] for name, row in rows.items()} == {
        "en": "too few dev texts",
        "zh": "too few train texts",
    }
    assert (rows["zh"]["dev_bad"], rows["zh"]["dev_clean"], rows["en"]["train_bad"]) == (30, 100, 100)
