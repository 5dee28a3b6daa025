"""Do more people complain of this account's mail than of ordinary mail?  STANDING 5.7-13, 5.11, CLAUSES tail-a.

Needs what the ledger has of complaints about the account, and how many recipients it wrote to; no other verdict. Finds:
complaint.rate.high, of the signal group "complaints", which alone never means anything: it is one of the two groups
that spam needs for mode A. Pure: nothing is temporary; without an account, or without counters, it is skipped.

complaint.stop.ignored is found before there is a message, where a recipient is refused who asked the account to stop
(pipeline/optouts); it is listed here so that agreements can name it.
"""

from __future__ import annotations

from filterd.checks.spec import Builtin, Check, Code, Context, in_place, skipped
from filterd.model.complaints import Complained
from filterd.model.session import Direction
from filterd.model.verdict import FailMode, Finding, Outcome, Verdict

NAME = "complaints"
VERSION = "1"

RATE = "complaint.rate.high"
STOP = "complaint.stop.ignored"
SIGNAL = "complaints"

CODES = (
    Code(
        code=RATE, signal=SIGNAL, label="More distinct people complained of this account's mail than the bound allows."
    ),
    Code(code=STOP, signal=SIGNAL, label="Mail to somebody who asked this account to stop writing to them."),
)
# It is a comparison of two numbers.
_DEADLINE_S = 5.0


def judge(said: Complained) -> Verdict:
    """Say whether the complaints are beyond the bound. The finding has numbers, and nobody's name."""
    findings: tuple[Finding, ...] = ()
    if said.is_above:
        why = (
            ("complainants", str(said.complainants)),
            ("delivered", str(said.delivered)),
            ("lower_bound_percent", f"{100 * said.lower_bound:.3f}"),
            ("above_percent", f"{said.percent:g}"),
        )
        findings = (Finding(code=RATE, confidence=1.0, why=why, signal=SIGNAL),)
    outcome = Outcome.FOUND if findings else Outcome.CLEAN
    return Verdict(check=NAME, version=VERSION, outcome=outcome, findings=findings)


def stopped() -> Verdict:
    """Make the verdict about mail to somebody who asked for it to stop."""
    finding = Finding(code=STOP, confidence=1.0, signal=SIGNAL)
    return Verdict(check=NAME, version=VERSION, outcome=Outcome.FOUND, findings=(finding,))


def make() -> Check:
    """Make the check. Its fail mode is to accept: it has no error of its own."""

    def run(context: Context) -> Verdict:
        if context.direction is Direction.INBOUND:
            return skipped(NAME, VERSION, "inbound")
        if context.complained is None:
            return skipped(NAME, VERSION, "unattributed")
        return judge(context.complained)

    return Check(
        name=NAME,
        version=VERSION,
        codes=CODES,
        run=in_place(run),
        deadline_s=_DEADLINE_S,
        fail_mode=FailMode.ACCEPT,
    )


BUILTIN = Builtin(name=NAME, codes=CODES, make=make)
