"""Recipe: every choice that goes into a model besides the data. The defaults are those of models/default.

Chosen on the train split alone, by cross-validation over clusters and by leaving whole corpora out; the dev split was
used for the figures in the card, once.
"""

from __future__ import annotations

import random
from collections.abc import Iterable
from dataclasses import dataclass, field

from filterd.learning.sample import Sample

# Words in the licence of a source that keep it out of a model one may pass on and sell services with.
NOT_FREE = ("BY-NC", "NonCommercial", "BY-SA", "GPL")

# Short public texts are many and alike; more of them would only crowd out the mail.
CAPS = {"cold": 4_000, "edos": 2_500, "olid": 2_500, "davidson": 1_500, "swsr": 2_500}

# Corpora that share authors or a way of being made: leaving one out means leaving all of them out.
FAMILIES = {
    "enron": ("enron_ham", "enron_text"),
    "tweets": ("edos", "olid", "davidson", "surge"),
    "zh forums": ("cold", "swsr"),
    "letters": ("letters_en", "letters_zh"),
}

# Shorter texts say too little to teach anything.
MIN_CHARS = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """How to train.

    Args:
        bits: log2 of the number of weights.
        alpha: strength of the L2 penalty.
        epochs: passes over the data; the weights are averaged over all steps.
        source_power: a source with n texts weighs n**source_power, so that no corpus drowns the others.
        letters_weight: factor for the letters written for this project.
        crop_share: how much of the weight of a long text goes to a passage cut from it, for the sake of short mail.
        folds: of the cross-validation that gives out-of-fold scores.
        exclude_licences: a source whose licence has one of these words in it is not trained on.
        exclude_sources: names of sources that are not trained on.
    """

    seed: int = 20_261_122
    bits: int = 18
    alpha: float = 1.5e-6
    epochs: int = 12
    source_power: float = 0.5
    letters_weight: float = 3.0
    crop_share: float = 0.5
    folds: int = 5
    exclude_licences: tuple[str, ...] = NOT_FREE
    exclude_sources: tuple[str, ...] = ()
    caps: dict[str, int] = field(default_factory=lambda: dict(CAPS))

    def takes(self, sample: Sample) -> bool:
        """Say whether a text may be trained on, by licence and source."""
        if sample.source in self.exclude_sources:
            return False
        return not any(word.lower() in sample.licence.lower() for word in self.exclude_licences)

    def pick(self, samples: Iterable[Sample]) -> list[Sample]:
        """Choose the training texts: train split, allowed, clean or bad, long enough, no more than the caps."""
        sources: dict[str, list[Sample]] = {}
        for sample in samples:
            fits = sample.split == "train" and (sample.is_bad or sample.is_clean) and len(sample.text) >= MIN_CHARS
            if fits and self.takes(sample):
                sources.setdefault(sample.source, []).append(sample)
        # Not for secrets: the same seed must give the same choice.
        rng = random.Random(self.seed)  # noqa: S311
        chosen: list[Sample] = []
        for source in sorted(sources):
            texts = sources[source]
            chosen += rng.sample(texts, min(len(texts), self.caps.get(source, len(texts))))
        return chosen


def family(source: str) -> str:
    """Say which family of corpora a source belongs to; most are their own."""
    return next((name for name, members in FAMILIES.items() if source in members), source)
