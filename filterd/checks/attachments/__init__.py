"""Does the mail carry a file that runs, hides what it is, or cannot be looked into?  TX-3.5.2; MAIL-PATH item 31.

Needs no other verdict. Every part is sniffed (kinds), every name read (names), zips are walked within a budget (zips,
search), office documents asked for macros (office), other archives for a password (closed). Whether what is found is
forbidden is the agreement's to say. `why` names kinds and extensions of our tables, or of the operator's list, and
`where` the part; never the name of a file.
Finds: attachment.type.blocked, attachment.type.disguised (always beside the former), attachment.archive.encrypted,
attachment.archive.unscannable, attachment.macro.present. Pure: nothing is temporary.
"""

from __future__ import annotations

from filterd.checks.attachments import names
from filterd.checks.attachments.codes import CODES
from filterd.checks.attachments.search import Limits, Rules, Search
from filterd.checks.spec import Builtin, Check, Context, in_place
from filterd.model.message import Message
from filterd.model.verdict import FailMode, Outcome, Verdict

__all__ = ["BUILTIN", "CODES", "NAME", "VERSION", "Limits", "Rules", "judge", "make"]

NAME = "attachments"
VERSION = "1"


def judge(message: Message, rules: Rules) -> Verdict:
    """Say what is wrong with the files of a mail; all of them share one budget."""
    search = Search(rules)
    for part in message.parts:
        # Parts of other readings stand beside the first: the same file is said once.
        search.file(part.content, names.read(part.filename), part.content_type, part.path.lstrip("~"))
    findings = tuple(search.findings.values())
    return Verdict(
        check=NAME, version=VERSION, outcome=Outcome.FOUND if findings else Outcome.CLEAN, findings=findings
    )


def make(limits: Limits, *, timeout_s: float, fail_mode: FailMode = FailMode.ACCEPT) -> Check:
    """Make the check."""
    rules = Rules(limits)

    def run(context: Context) -> Verdict:
        return judge(context.message, rules)

    return Check(
        name=NAME, version=VERSION, codes=CODES, run=in_place(run), deadline_s=timeout_s, fail_mode=fail_mode
    )


BUILTIN = Builtin(name=NAME, codes=CODES, make=make)
