"""Is the text of this mail one of the things an agreement prohibits?  One check a label.  CLAUSES 4, STANDING 5.7-24.

Labels are those of the agreement's table; the check of a label has the label's name. Needs no other verdict; reads
subject and prose through the one reading that checks/spam uses too (checks/opinion). Finds, for each label:
content.<label>.model where the model has shown its false-positive rate for texts of that language and length, and
content.<label>.advisory below that. Never temporary: what a mail can do to it is `skipped`, with `no_text` (too few
words) or `no_model` (the model does not have the label, or not in the language of the text). An answer `clean` so
always means that somebody looked.
"""

from __future__ import annotations

from functools import partial

from filterd.checks.opinion import NO_MODEL, SIGNAL, Reader, answer
from filterd.checks.spec import Builtin, Check, Code, Context, in_place, skipped
from filterd.checks.textmodel import TextModel
from filterd.model.message import Message
from filterd.model.verdict import FailMode, Verdict

VERSION = "1"

# What each label is about, as the codes say it to people who write agreements.
TOPICS = {
    "advertising": "unsolicited or black-market promotion",
    "phishing": "impersonation to obtain credentials or money",
    "fraud": "a scam, or an offer of forged documents or invoices",
    "sexual": "sexual content or services",
    "gambling": "an invitation to gamble",
    "harassment": "harassment of a person",
    "hate": "hatred against a group of people",
    "violence": "a threat or praise of violence",
    "terror": "support of terror",
    "insult": "abuse or profanity",
    "drugs": "an offer of drugs",
    "weapons": "an offer of weapons or explosives",
}
LABELS = tuple(TOPICS)


def codes(label: str) -> tuple[Code, Code]:
    """Say what the check of a label can find."""
    topic = TOPICS[label]
    return (
        Code(
            code=f"content.{label}.model",
            label=f"The text model is sure that this is {topic}, in a language and length it is proven for.",
            signal=SIGNAL,
        ),
        Code(
            code=f"content.{label}.advisory",
            label=f"The text reads like {topic}, but the model is not sure or not proven for such texts.",
            signal=SIGNAL,
        ),
    )


def judge(label: str, message: Message, reader: Reader) -> Verdict:
    """Say how much a mail reads like `label`; `skipped` with `no_model` where nobody can tell."""
    return answer(label, reader.version(VERSION), label, reader.of(message), reader.model, is_strict=True)


def make(label: str, model: TextModel | Reader, *, timeout_s: float, fail_mode: FailMode) -> Check:
    """Make the check of one label.

    Args:
        model: a Reader to share it with checks/spam and the other labels, or a model of its own. That it does not have
            the label is no error: the check then says so of every mail.

    Raises:
        ModelError: the model was trained on other features.
    """
    reader = model if isinstance(model, Reader) else Reader(model)
    has_label = label in reader.model.heads
    if has_label:
        reader.join()
    without = skipped(label, reader.version(VERSION), NO_MODEL)

    def run(context: Context) -> Verdict:
        return judge(label, context.message, reader) if has_label else without

    return Check(
        name=label,
        version=reader.version(VERSION),
        codes=codes(label),
        run=in_place(run),
        deadline_s=timeout_s,
        fail_mode=fail_mode,
    )


BUILTINS = tuple(Builtin(name=label, codes=codes(label), make=partial(make, label)) for label in LABELS)
