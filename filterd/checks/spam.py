"""Is the text of this mail spam?  CLAUSES tail-a (group content), STANDING 5.7-24.

Needs no other verdict; reads subject and prose (checks/features), no headers, no network. Finds: content.spam.model
where the model has shown its false-positive rate for texts of that language and length, content.spam.advisory where it
has not, or where the probability is between the two. Never temporary: what a mail can do to it is `skipped`, with
`no_text` (too few words to judge: one word never decides) or `language` (one the model does not know).
"""

from __future__ import annotations

from filterd.checks import buckets
from filterd.checks.features import FEATURES_VERSION, features, read, text_of
from filterd.checks.spec import Builtin, Check, Code, Context, in_place, skipped
from filterd.checks.textmodel import TextModel, probability
from filterd.errors import ModelError
from filterd.model.message import Message
from filterd.model.verdict import FailMode, Finding, Outcome, Verdict

NAME = "spam"
VERSION = "1"
LABEL = "spam"
SIGNAL = "content"

MODEL = "content.spam.model"
ADVISORY = "content.spam.advisory"

CODES = (
    Code(
        code=MODEL,
        label="The text model is sure that this is spam, in a language and length it is proven for.",
        signal=SIGNAL,
    ),
    Code(
        code=ADVISORY,
        label="The text looks like spam, but the model is not sure or not proven for such texts.",
        signal=SIGNAL,
    ),
)

# Of the model's digest, enough to find it again.
_DIGEST_CHARS = 16


def judge(message: Message, model: TextModel) -> Verdict:
    """Say how much a mail reads like spam.

    Returns:
        `found` with one finding whose confidence is the probability and whose `why` has the model's digest, the bucket,
        the threshold passed and the gate ("A", "B" or "none"); else `clean` or `skipped`. The score is there whenever
        there were words.
    """
    text = text_of(message)
    reading = read(text)
    version = f"{VERSION} {model.name}-{model.version} {model.digest[:_DIGEST_CHARS]}"
    if reading.words.size < buckets.MIN_WORDS:
        return skipped(NAME, version, "no_text")
    head = model.heads[LABEL]
    chance = probability(head, features(reading, model.bits))
    language, length = buckets.language(reading), buckets.length(text)
    gate = head.gates.get((language, length))
    passed: tuple[str, str, float] | None = None
    if gate is not None and gate.a is not None and chance >= gate.a:
        passed = (MODEL, "A", gate.a)
    elif gate is not None and gate.b is not None and chance >= gate.b:
        passed = (MODEL, "B", gate.b)
    elif chance >= head.advisory:
        passed = (ADVISORY, "none", head.advisory)
    scores = ((LABEL, chance),)
    if passed is None:
        is_known = language != "other"
        outcome = Outcome.CLEAN if is_known else Outcome.SKIPPED
        return Verdict(
            check=NAME, version=version, outcome=outcome, scores=scores, reason=None if is_known else "language"
        )
    code, name, threshold = passed
    why = (
        ("model", f"{model.name}-{model.version}"),
        ("digest", model.digest[:_DIGEST_CHARS]),
        ("language", language),
        ("length", length),
        ("threshold", f"{threshold:.6f}"),
        ("gate", name),
    )
    finding = Finding(code=code, confidence=chance, why=why, signal=SIGNAL)
    return Verdict(check=NAME, version=version, outcome=Outcome.FOUND, findings=(finding,), scores=scores)


def make(model: TextModel, *, timeout_s: float, fail_mode: FailMode) -> Check:
    """Make the check.

    Raises:
        ModelError: the model was trained on other features, or knows no label `spam`.
    """
    if model.features_version != FEATURES_VERSION:
        raise ModelError(
            f"model {model.name}-{model.version}: trained on features version {model.features_version}, "
            f"this filterd makes version {FEATURES_VERSION}"
        )
    if LABEL not in model.heads:
        raise ModelError(f"model {model.name}-{model.version}: knows no label {LABEL}")

    def run(context: Context) -> Verdict:
        return judge(context.message, model)

    return Check(
        name=NAME,
        version=f"{VERSION} {model.name}-{model.version} {model.digest[:_DIGEST_CHARS]}",
        codes=CODES,
        run=in_place(run),
        deadline_s=timeout_s,
        fail_mode=fail_mode,
    )


BUILTIN = Builtin(name=NAME, codes=CODES, make=make)
