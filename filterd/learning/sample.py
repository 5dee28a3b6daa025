"""One labelled text, from wherever it comes."""

from __future__ import annotations

from dataclasses import dataclass

# What counts as bad for the label `spam`: unsolicited or deceiving mail of any kind.
BAD = frozenset({"spam", "phishing", "advertising", "fraud"})
# Labels that say nothing about being spam: such texts are as clean as those without any.
NEUTRAL = frozenset({"pii"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """A text and what people said it is.

    Args:
        id: unique within its source.
        source: the corpus; figures and weights are kept by it.
        text: as `checks.features.text_of` gives it for a mail: subject, line break, prose.
        labels: the bad things it is ("spam", "phishing", ...); empty: clean.
        split: "train" or "dev".
        cluster: near-duplicates share it; cross-validation never parts them.
        licence: of the source, as its data sheet words it.
    """

    id: str
    source: str
    text: str
    labels: frozenset[str]
    split: str
    cluster: str
    licence: str

    @property
    def is_bad(self) -> bool:
        return bool(self.labels & BAD)

    @property
    def is_clean(self) -> bool:
        """Neither bad nor something else that people object to, such as an insult: that says nothing of spam."""
        return self.labels <= NEUTRAL
