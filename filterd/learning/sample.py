"""One labelled text, from wherever it comes."""

from __future__ import annotations

from dataclasses import dataclass

# Everything a text can be labelled as; a model has the labels it could learn (recipe, evidence).
LABELS = (
    "spam",
    "advertising",
    "phishing",
    "fraud",
    "sexual",
    "gambling",
    "harassment",
    "hate",
    "violence",
    "terror",
    "insult",
    "drugs",
    "weapons",
)

# What counts as bad for the label `spam`: unsolicited or deceiving mail of any kind.
BAD = frozenset({"spam", "phishing", "advertising", "fraud"})
# Labels that say nothing about being bad: such texts are as clean as those without any.
NEUTRAL = frozenset({"pii"})
# What people say to hurt. Unsolicited mail is none of it, whoever labelled it.
ABUSE = frozenset({"harassment", "hate", "violence", "insult"})


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
        known: of a text with labels, the labels it would bear if they were true of it. Those who labelled spam as spam
            did not look whether it was gambling; a clean text is clean of everything.
        is_mail: it was a mail, not a short message or a post.
    """

    id: str
    source: str
    text: str
    labels: frozenset[str]
    split: str
    cluster: str
    licence: str
    known: frozenset[str] = frozenset()
    is_mail: bool = True

    @property
    def is_clean(self) -> bool:
        """None of the bad things."""
        return self.labels <= NEUTRAL

    def says(self, label: str) -> bool | None:
        """Say whether the text is `label`; None when nobody knows."""
        if label in self.labels or (label == "spam" and self.labels & BAD):
            return True
        return False if self.is_clean or label in self.known else None
