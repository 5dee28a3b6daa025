"""One labelled text, from wherever it comes."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """A text and what people said it is.

    Args:
        id: unique within its source.
        source: the corpus; figures and weights are kept by it.
        text: as `checks.features.text` would give it for the mail: subject, line break, prose.
        labels: the bad things it is ("spam", "phishing", ...); empty: clean.
        split: "train" or "dev".
        cluster: near-duplicates share it; never parted by cross-validation.
        licence: of the source, as its data sheet words it.
    """

    id: str
    source: str
    text: str
    labels: frozenset[str]
    split: str
    cluster: str
    licence: str
