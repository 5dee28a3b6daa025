"""Calibration: from scores to probabilities, by Platt's two numbers (Platt 1999; Lin, Lin, Weng 2007)."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

_STEPS = 100


class Platt(NamedTuple):
    """probability = sigmoid(slope * score + offset)."""

    slope: float
    offset: float


def platt(scores: NDArray[np.float64], is_bad: NDArray[np.bool_], weight: NDArray[np.float64]) -> Platt:
    """Fit the two numbers to out-of-fold scores by Newton's method; weights say how much a text counts."""
    # Platt's targets, a little inside 0 and 1: classes that are parted completely have a finite answer too.
    bad, clean = int(is_bad.sum()), int((~is_bad).sum())
    target = np.where(is_bad, (bad + 1) / (bad + 2), 1 / (clean + 2))
    slope, offset = 1.0, 0.0
    for _ in range(_STEPS):
        said = sigmoid(slope * scores + offset)
        miss, spread = weight * (said - target), weight * said * (1 - said)
        gradient = np.array([miss @ scores, miss.sum()])
        cross = spread @ scores
        hessian = np.array([[spread @ scores**2 + 1e-9, cross], [cross, spread.sum() + 1e-9]])
        step = np.clip(np.linalg.solve(hessian, gradient), -1.0, 1.0)
        slope, offset = slope - float(step[0]), offset - float(step[1])
        if float(np.abs(step).max()) < 1e-9:
            break
    return Platt(slope, offset)


def sigmoid(exponent: NDArray[np.float64]) -> NDArray[np.float64]:
    """1 / (1 + exp(-x)), without overflow."""
    return 1.0 / (1.0 + np.exp(-np.clip(exponent, -500.0, 500.0)))
