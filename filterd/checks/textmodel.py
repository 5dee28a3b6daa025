"""What a learned text model is to the checks.

The Protocols say what the checks read (checks/opinion asks them); clients/modelstore makes the objects, learning/ the
files.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

from numpy.typing import NDArray


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

    `weights` are floats of any width, one for each place. `languages`: in which the label has shown on the dev split
    that it knows something; in others it has no say. `advisory`: from which probability on a person may want to know.
    `gates` by (language, length); a bucket that is missing has no gate.
    """

    @property
    def weights(self) -> NDArray[Any]: ...

    @property
    def bias(self) -> float: ...

    @property
    def slope(self) -> float: ...

    @property
    def offset(self) -> float: ...

    @property
    def advisory(self) -> float: ...

    @property
    def languages(self) -> frozenset[str]: ...

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
