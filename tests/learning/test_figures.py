"""Shares, intervals, curves and calibration, against values worked out elsewhere."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from filterd.learning.calibrate import platt, sigmoid
from filterd.learning.figures import auc, auc_interval, calibration, curve, share, threshold_at, wilson


@pytest.mark.parametrize(
    ("hits", "of", "interval"),
    [(0, 0, (0.0, 1.0)), (0, 10, (0.0, 0.277533)), (10, 10, (0.722467, 1.0)), (5, 10, (0.236593, 0.763407))],
)
def test_wilson(hits: int, of: int, interval: tuple[float, float]) -> None:
    assert wilson(hits, of) == pytest.approx(interval, abs=1e-5)


def test_a_share_of_nothing_has_no_rate() -> None:
    assert share(0, 0) == {"count": 0, "of": 0, "rate": None, "wilson95": (0.0, 1.0)}
    assert share(1, 4)["rate"] == 0.25


def test_auc_is_that_of_scikit_learn_ties_included() -> None:
    rng = np.random.default_rng(1)
    scores = rng.integers(0, 20, 400) / 20
    is_bad = rng.random(400) < scores
    assert auc(scores[~is_bad], scores[is_bad]) == pytest.approx(roc_auc_score(is_bad, scores), abs=1e-6)
    assert auc(scores, scores[:0]) is None


def test_the_interval_of_an_area_is_that_of_resampling() -> None:
    rng = np.random.default_rng(3)
    clean, bad = rng.normal(0, 1, 300), rng.normal(1.5, 1, 80)
    drawn = [auc(rng.choice(clean, 300), rng.choice(bad, 80)) for _ in range(2_000)]
    expected = np.quantile(np.array(drawn, dtype=np.float64), (0.025, 0.975))
    found = auc_interval(clean, bad)
    assert found == pytest.approx(expected.tolist(), abs=0.006)


def test_one_text_of_a_kind_has_no_interval() -> None:
    assert auc_interval(np.array([0.1]), np.array([0.5, 0.6])) is None
    assert auc_interval(np.array([0.1, 0.2]), np.array([0.5, 0.6])) == (1.0, 1.0)


@pytest.mark.parametrize(("rate", "reached"), [(0.0, 0), (0.01, 10), (0.0105, 10), (0.5, 500), (1.0, 1000)])
def test_a_threshold_keeps_its_rate(rate: float, reached: int) -> None:
    clean = np.linspace(0, 0.999, 1_000)
    assert int((clean >= threshold_at(clean, rate)).sum()) == reached


def test_ties_are_refused_together() -> None:
    clean = np.array([0.5] * 10 + [0.1] * 90)
    assert int((clean >= threshold_at(clean, 0.05)).sum()) == 0


def test_the_curve_tells_what_is_caught() -> None:
    probability = np.concatenate([np.linspace(0, 0.5, 1_000), np.linspace(0.4, 0.9, 100)])
    is_bad = np.arange(1_100) >= 1_000
    found = curve(probability, is_bad)
    assert (found["clean"], found["bad"]) == (1_000, 100)
    assert found["caught_at_rate"]["0.001"]["count"] == int((probability[is_bad] >= 0.5).sum())
    assert curve(probability[is_bad], is_bad[is_bad])["caught_at_rate"] == {}


def test_calibration_finds_the_numbers_scores_were_made_with() -> None:
    rng = np.random.default_rng(2)
    scores = rng.normal(0, 3, 20_000)
    is_bad = rng.random(20_000) < sigmoid(1.5 * scores - 0.7)
    found = platt(scores, is_bad, np.ones(20_000))
    assert (found.slope, found.offset) == pytest.approx((1.5, -0.7), abs=0.1)
    rows = calibration(sigmoid(found.slope * scores + found.offset), is_bad, np.ones(20_000))
    assert sum(row["texts"] for row in rows) == 20_000
    assert all(abs(row["said"] - row["was"]) < 0.06 for row in rows)


def test_classes_parted_completely_have_a_finite_answer() -> None:
    scores = np.array([-2.0, -1.0, 1.0, 2.0] * 50)
    found = platt(scores, scores > 0, np.ones(200))
    assert np.isfinite([found.slope, found.offset]).all()
    assert found.slope > 0
