"""Is the text of this mail spam?  CLAUSES tail-a (group content), STANDING 5.7-24.

Needs no other verdict; reads subject and prose (checks/features), no headers, no network. Finds: content.spam.model
where the model has shown its false-positive rate for texts of that language and length, content.spam.advisory where it
has not, or where the probability is between the two. Never temporary: what a mail can do to it is `skipped`, with
`no_text` (too few words to judge: one word never decides) or `language` (one the model does not know).
"""

from __future__ import annotations

from filterd.checks.opinion import SIGNAL, Reader, answer
from filterd.checks.spec import Builtin, Check, Code, Context, in_place
from filterd.checks.textmodel import TextModel
from filterd.errors import ModelError
from filterd.model.message import Message
from filterd.model.verdict import FailMode, Verdict

NAME = "spam"
VERSION = "2"
LABEL = "spam"

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


def judge(message: Message, reader: Reader) -> Verdict:
    """Say how much a mail reads like spam. The score is there whenever there were words."""
    return answer(NAME, reader.version(VERSION), LABEL, reader.of(message), reader.model, is_strict=False)


def make(model: TextModel | Reader, *, timeout_s: float, fail_mode: FailMode) -> Check:
    """Make the check.

    Args:
        model: a Reader to share it with the checks of checks/prohibited, or a model of its own.

    Raises:
        ModelError: the model was trained on other features, or knows no label `spam`.
    """
    reader = model if isinstance(model, Reader) else Reader(model)
    if LABEL not in reader.model.heads:
        raise ModelError(f"model {reader.model.name}-{reader.model.version}: knows no label {LABEL}")
    reader.join()

    def run(context: Context) -> Verdict:
        return judge(context.message, reader)

    return Check(
        name=NAME,
        version=reader.version(VERSION),
        codes=CODES,
        run=in_place(run),
        deadline_s=timeout_s,
        fail_mode=fail_mode,
    )


BUILTIN = Builtin(name=NAME, codes=CODES, make=make)
