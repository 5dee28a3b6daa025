"""What a learned text model is to the checks, and what it says of a text.

The Protocols say what the checks read; clients/modelstore makes the objects, learning/ the files.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from filterd.checks.features import Features


class Gate(Protocol):
    """From which probability on a label counts, in one bucket of language and length (STANDING 5.7-24).

    `a` may feed mode A (clean-source false-positive rate shown <= 0.1 %), `b` mode B (<= 1 %). None: not shown.
    """

    @property
    def a(self) -> float | None: ...

    @property
    def b(self) -> float | None: ...


class Head(Protocol):
    """One label of a model: probability = sigmoid(slope * (features · weights + bias) + offset).

    `advisory`: from which probability on a person may want to know. `gates` by (language, length); a bucket that is
    missing has no gate.
    """

    @property
    def weights(self) -> NDArray[np.float32]: ...

    @property
    def bias(self) -> float: ...

    @property
    def slope(self) -> float: ...

    @property
    def offset(self) -> float: ...

    @property
    def advisory(self) -> float: ...

    @property
    def gates(self) -> Mapping[tuple[str, str], Gate]: ...


class TextModel(Protocol):
    """A loaded model. `digest` is the SHA-256 of its manifest, which has those of its weights; `bits` is log2 of their
    number."""

    @property
    def name(self) -> str: ...

    @property
    def version(self) -> str: ...

    @property
    def digest(self) -> str: ...

    @property
    def features_version(self) -> int: ...

    @property
    def bits(self) -> int: ...

    @property
    def heads(self) -> Mapping[str, Head]: ...


def score(head: Head, features: Features) -> float:
    """The linear score: any real number, 0 at the border."""
    return float(head.weights[features.indices].astype(np.float64) @ features.values.astype(np.float64)) + head.bias


def probability(head: Head, features: Features) -> float:
    """How probable the label is, between 0 and 1, where bad and good texts are equally frequent."""
    # Beyond 500 exp leaves the floats; the probability is 0 or 1 there anyway.
    exponent = max(-500.0, min(500.0, head.slope * score(head, features) + head.offset))
    return 1.0 / (1.0 + math.exp(-exponent))
