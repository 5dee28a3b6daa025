"""Recipe: every choice that goes into a model besides the data. The defaults are those of models/default.

Chosen on the train split alone, by cross-validation over clusters and by leaving whole corpora out; the dev split was
used for the figures in the card, once.
"""

from __future__ import annotations

import random
from collections.abc import Iterable
from dataclasses import dataclass, field, replace

from filterd.learning.sample import Sample

# Words in the licence of a source that keep it out of a model one may pass on and sell services with.
NOT_FREE = ("BY-NC", "NonCommercial", "BY-SA", "GPL")

# For the label `spam`. Short public texts are many and alike; more of them would only crowd out the mail.
CAPS = {"cold": 4_000, "edos": 2_500, "olid": 2_500, "davidson": 1_500, "swsr": 2_500, "vicomtech": 2_500}

# For the other labels: texts of one source that are the label, and that are not.
LABEL_CAPS = (3_000, 2_000)

# Corpora that share authors or a way of being made: leaving one out means leaving all of them out.
FAMILIES = {
    "enron": ("enron_ham", "enron_text"),
    "tweets": ("edos", "olid", "davidson", "surge"),
    "zh forums": ("cold", "swsr"),
    "letters": ("letters_en", "letters_zh"),
}
# For labels that only such corpora have, leaving a family out would leave nothing: there each stands for itself, since
# what they share is a platform, not those who labelled them.
_ALIKE_FOR_SPAM_ONLY = ("tweets", "zh forums")

# Shorter texts say too little to teach anything.
MIN_CHARS = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """How to train.

    Args:
        bits: log2 of the number of weights.
        alpha, label_alpha: strength of the L2 penalty, for `spam` and for the other labels, which have fewer texts.
        epochs: passes over the data; the weights are averaged over all steps.
        label_epochs: the same for the other labels.
        source_power: a source with n texts weighs n**source_power, so that no corpus drowns the others.
        letters_weight: factor for the letters written for this project.
        crop_share: how much of the weight of a long text goes to a passage cut from it, for the sake of short mail.
        folds, label_folds: of the cross-validation that gives out-of-fold scores.
        exclude_licences: a source whose licence has one of these words in it is not trained on.
        exclude_sources: names of sources that are not trained on.
        caps: most texts of a source, for `spam`.
        label_caps: the same for the other labels: of those that are it, and of those that are not.
    """

    seed: int = 20_261_122
    bits: int = 18
    alpha: float = 1.5e-6
    label_alpha: float = 2e-5
    epochs: int = 12
    label_epochs: int = 6
    source_power: float = 0.5
    letters_weight: float = 3.0
    crop_share: float = 0.5
    folds: int = 5
    label_folds: int = 4
    exclude_licences: tuple[str, ...] = NOT_FREE
    exclude_sources: tuple[str, ...] = ()
    caps: dict[str, int] = field(default_factory=lambda: dict(CAPS))
    label_caps: tuple[int, int] = LABEL_CAPS

    def takes(self, sample: Sample) -> bool:
        """Say whether a text may be trained on, by licence and source."""
        if sample.source in self.exclude_sources:
            return False
        return not any(word.lower() in sample.licence.lower() for word in self.exclude_licences)

    def pick(self, samples: Iterable[Sample], label: str = "spam") -> list[Sample]:
        """Choose the training texts of a label: train split, allowed, known to be it or not, long enough, within caps.

        The more a text has in common with the label, the more it teaches: those that are labelled as something else
        are not capped away by plain ones of the same source.
        """
        piles: dict[tuple[str, str], list[Sample]] = {}
        for sample in samples:
            said = sample.says(label)
            if sample.split == "train" and said is not None and len(sample.text) >= MIN_CHARS and self.takes(sample):
                kind = "" if label == "spam" else "bad" if said else "clean" if sample.is_clean else "other"
                piles.setdefault((sample.source, kind), []).append(sample)
        # Not for secrets: the same seed must give the same choice.
        rng = random.Random(self.seed)  # noqa: S311
        chosen: list[Sample] = []
        for source, kind in sorted(piles):
            texts = piles[source, kind]
            cap = self.label_caps[kind != "bad"] if kind else self.caps.get(source, len(texts))
            chosen += rng.sample(texts, min(len(texts), cap))
        return chosen

    def of(self, label: str) -> Recipe:
        """Give the recipe as it is for one label's fits."""
        return self if label == "spam" else replace(
            self, alpha=self.label_alpha, epochs=self.label_epochs, folds=self.label_folds
        )


def family(source: str, label: str = "spam") -> str:
    """Say which family of corpora a source belongs to; most are their own."""
    name = next((name for name, members in FAMILIES.items() if source in members), source)
    return source if label != "spam" and name in _ALIKE_FOR_SPAM_ONLY else name
