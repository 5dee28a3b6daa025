"""Figures: how good a model's probabilities are, with intervals. Everything here goes into JSON as it is."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

# The false-positive rates at which the true-positive rate is told.
RATES = (0.001, 0.01)
_Z95 = 1.959964
_BINS = 10


def wilson(hits: int, of: int) -> tuple[float, float]:
    """The 95 % Wilson interval of a share; (0, 1) of nothing."""
    if not of:
        return 0.0, 1.0
    share, z2 = hits / of, _Z95**2
    middle = share + z2 / (2 * of)
    half = _Z95 * math.sqrt(share * (1 - share) / of + z2 / (4 * of * of))
    return round(max(0.0, (middle - half) / (1 + z2 / of)), 6), round(min(1.0, (middle + half) / (1 + z2 / of)), 6)


def share(hits: int, of: int) -> dict[str, Any]:
    """A share with its counts and interval; `rate` is None of nothing."""
    return {"count": hits, "of": of, "rate": round(hits / of, 6) if of else None, "wilson95": wilson(hits, of)}


def auc(clean: NDArray[np.float64], bad: NDArray[np.float64]) -> float | None:
    """The area under the ROC curve: how often a bad text scores above a clean one. None when there is only one kind."""
    if not clean.size or not bad.size:
        return None
    return round(float(_above(bad, clean).mean()), 6)


def auc_interval(clean: NDArray[np.float64], bad: NDArray[np.float64]) -> tuple[float, float] | None:
    """The 95 % interval of the area under the curve by DeLong, DeLong and Clarke-Pearson (1988); None with fewer than
    two texts of a kind. Where classes are parted completely the variance is 0 and the interval a point: look at the
    counts too."""
    if clean.size < 2 or bad.size < 2:
        return None
    bad_above, clean_below = _above(bad, clean), 1 - _above(clean, bad)
    middle = float(bad_above.mean())
    half = _Z95 * math.sqrt(float(bad_above.var(ddof=1)) / bad.size + float(clean_below.var(ddof=1)) / clean.size)
    return round(max(0.0, middle - half), 6), round(min(1.0, middle + half), 6)


def _above(these: NDArray[np.float64], those: NDArray[np.float64]) -> NDArray[np.float64]:
    """For each of `these`, the share of `those` that it stands above; ties count half."""
    ordered = np.sort(those)
    above = np.searchsorted(ordered, these, "left") + np.searchsorted(ordered, these, "right")
    shares: NDArray[np.float64] = above / (2 * those.size)
    return shares


def threshold_at(clean: NDArray[np.float64], rate: float) -> float:
    """The smallest threshold that no more than this share of clean texts reaches, rounded up to six digits."""
    allowed = int(rate * clean.size)
    if allowed >= clean.size:
        return 0.0
    highest_refused = float(np.sort(clean)[::-1][allowed])
    return math.floor(highest_refused * 1e6 + 1) / 1e6


def curve(probability: NDArray[np.float64], is_bad: NDArray[np.bool_]) -> dict[str, Any]:
    """Area under the curve, and how much is caught at the rates of RATES."""
    clean, bad = probability[~is_bad], probability[is_bad]
    caught = {}
    for rate in RATES if clean.size and bad.size else ():
        limit = threshold_at(clean, rate)
        caught[f"{rate:g}"] = {"threshold": limit, **share(int((bad >= limit).sum()), int(bad.size))}
    return {
        "clean": int(clean.size),
        "bad": int(bad.size),
        "roc_auc": auc(clean, bad),
        "roc_auc95": auc_interval(clean, bad),
        "caught_at_rate": caught,
    }


def calibration(
    probability: NDArray[np.float64], is_bad: NDArray[np.bool_], weight: NDArray[np.float64]
) -> list[dict[str, Any]]:
    """For each tenth of the probabilities: what was said and what was so, both weighed."""
    rows = []
    for number in range(_BINS):
        low, high = number / _BINS, (number + 1) / _BINS
        inside = (probability >= low) & ((probability < high) | (number == _BINS - 1))
        if total := float(weight[inside].sum()):
            rows.append(
                {
                    "from": low,
                    "texts": int(inside.sum()),
                    "said": round(float((probability * weight)[inside].sum()) / total, 4),
                    "was": round(float((is_bad * weight)[inside].sum()) / total, 4),
                }
            )
    return rows
