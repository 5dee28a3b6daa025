"""A text model that says the same of every text."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from filterd.checks.features import FEATURES_VERSION


@dataclass(frozen=True)
class FakeGate:
    a: float | None
    b: float | None


@dataclass(frozen=True)
class FakeHead:
    """Says sigmoid(bias)."""

    bias: float
    gates: Mapping[tuple[str, str], FakeGate]
    weights: NDArray[np.float32] = field(default_factory=lambda: np.zeros(1 << 18, np.float32))
    slope: float = 1.0
    offset: float = 0.0
    advisory: float = 0.5
    languages: frozenset[str] = frozenset({"zh", "en"})


@dataclass(frozen=True)
class FakeModel:
    heads: Mapping[str, FakeHead]
    name: str = "fake"
    version: str = "7"
    digest: str = "0123456789abcdef" * 4
    features_version: int = FEATURES_VERSION
    bits: int = 18


GATES = {
    ("en", "short"): FakeGate(0.9, 0.7),
    ("en", "long"): FakeGate(None, 0.7),
    ("zh", "short"): FakeGate(None, None),
}


def head(probability: float, languages: frozenset[str] = frozenset({"zh", "en"})) -> FakeHead:
    """A head that is so sure of everything."""
    bias = float(np.log(probability / (1 - probability)))
    return FakeHead(bias=bias, gates=MappingProxyType(GATES), languages=languages)


def saying(probability: float, label: str = "spam") -> FakeModel:
    """A model of one label."""
    return FakeModel(heads={label: head(probability)})
