"""Evidence: in which languages may a label speak?

A label counts as present in a language when it learned from enough texts of it and the dev split shows, with its
interval, that it knows something there. Elsewhere checks/prohibited says `skipped: no_model`. `spam` of a model trained
on little mail of one's own may stay below this; checks/spam is advisory there, since no gate is given either.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from filterd.checks.buckets import LANGUAGES
from filterd.learning.figures import curve
from filterd.learning.gates import Scored

# With thirty a share is known to about a fifth, with fewer hardly at all.
MIN_DEV_BAD = 30
MIN_DEV_CLEAN = 100
MIN_TRAIN_BAD = 100
# The lower end of the area's 95 % interval.
MIN_AUC = 0.8

RULE = (
    f"A label is present in a language with at least {MIN_TRAIN_BAD} train and {MIN_DEV_BAD} dev texts that are it, "
    f"{MIN_DEV_CLEAN} dev texts that are not, and a dev ROC AUC whose 95 % interval (DeLong) begins at {MIN_AUC} or "
    "above. Letters written for this project are train texts only and count for nothing here."
)


def judge(train: Scored, dev: Scored) -> dict[str, Any]:
    """Say for each language but "other" whether the label is present, and why not."""
    return {name: _judge(_in(train, name), _in(dev, name)) for name in LANGUAGES if name != "other"}


def present(rows: dict[str, Any]) -> list[str]:
    """Give the languages in which the label is present."""
    return [name for name, row in rows.items() if row["is_present"]]


def _in(scored: Scored, language: str) -> Scored:
    return scored.rows(np.char.startswith(scored.bucket, f"{language}/"))


def _judge(train: Scored, dev: Scored) -> dict[str, Any]:
    collected = train.rows(~np.char.startswith(train.sources, "letters_"))
    figures = curve(dev.probability, dev.is_bad)
    row = {
        "train_bad": int(collected.is_bad.sum()),
        "dev_bad": figures["bad"],
        "dev_clean": figures["clean"],
        "roc_auc": figures["roc_auc"],
        "roc_auc95": figures["roc_auc95"],
    }
    lacking = None
    if row["train_bad"] < MIN_TRAIN_BAD:
        lacking = "too few train texts"
    elif row["dev_bad"] < MIN_DEV_BAD or row["dev_clean"] < MIN_DEV_CLEAN:
        lacking = "too few dev texts"
    elif row["roc_auc95"][0] < MIN_AUC:
        lacking = "dev does not show enough"
    return {"is_present": lacking is None, **({"lacking": lacking} if lacking else {}), **row}
