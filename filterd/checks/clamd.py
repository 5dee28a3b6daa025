"""Does the virus scanner know something in this mail?  CLAUSES tail-b; FAULTS F20, rows 7-10.

Needs no other verdict. Finds: virus.signature.match, virus.heuristic.match, virus.unscannable.limits,
virus.unscannable.size. Temporary: the scanner is away, silent, or answers what nobody can read (`scanner.away`).
Only "nothing found" about the whole mail is clean.
"""

from __future__ import annotations

from filterd.checks.spec import Check, Code, Context
from filterd.errors import PortError
from filterd.model.verdict import FailMode, Finding, Outcome, Verdict
from filterd.ports import ScanAnswer, Scanner

NAME = "clamd"
VERSION = "1"

MATCH = "virus.signature.match"
HEURISTIC = "virus.heuristic.match"
LIMITS = "virus.unscannable.limits"
SIZE = "virus.unscannable.size"

CODES = (
    Code(code=MATCH, label="A signature of known malware matches the mail or something in it."),
    Code(code=HEURISTIC, label="The scanner's heuristics or its list of unwanted programs match; not known malware."),
    Code(code=LIMITS, label="Part of the mail is beyond the scanner's limits, or encrypted, and was not looked into."),
    Code(code=SIZE, label="The mail is larger than the scanner takes, and was not looked into."),
)

# Signature names that are no malware; the first prefix that fits decides, and a name without one is malware.
# Names: ClamAV, libclamav (AlertExceedsMax, AlertEncrypted, AlertBroken*, DetectPUA).
NOT_MALWARE: tuple[tuple[str, str], ...] = (
    ("Heuristics.Limits.Exceeded", LIMITS),
    ("Heuristics.Encrypted.", LIMITS),
    ("Heuristics.", HEURISTIC),
    ("PUA.", HEURISTIC),
)

# The scanner's own deadline is the configured one. The runner's stands behind it, so that the reason names the scanner.
MARGIN_S = 1.0


def judge(answer: ScanAnswer) -> Verdict:
    """Say what the scanner's answer means."""
    version = f"{VERSION} {answer.version}"
    if answer.signature is None:
        return Verdict(check=NAME, version=version, outcome=Outcome.CLEAN)
    code = next((code for prefix, code in NOT_MALWARE if answer.signature.startswith(prefix)), MATCH)
    why = (("signature", answer.signature), ("engine", answer.version))
    return Verdict(
        check=NAME,
        version=version,
        outcome=Outcome.FOUND,
        findings=(Finding(code=code, confidence=1.0, why=why),),
    )


def judge_size(size_bytes: int, limit_bytes: int | None) -> Verdict:
    """Say that a mail is too large to be scanned. `limit_bytes` None: the scanner's own limit, which nobody told us."""
    limit = "scanner" if limit_bytes is None else str(limit_bytes)
    why = (("size_bytes", str(size_bytes)), ("limit_bytes", limit))
    return Verdict(
        check=NAME,
        version=VERSION,
        outcome=Outcome.FOUND,
        findings=(Finding(code=SIZE, confidence=1.0, why=why),),
    )


def make(scanner: Scanner, *, max_bytes: int, timeout_s: float, fail_mode: FailMode) -> Check:
    """Make the check.

    Args:
        scanner: bounds itself by `timeout_s`. A PortError of `scan` that is not temporary means: this mail is beyond
            the scanner's size limit and always will be.
        max_bytes: larger mail is not handed over.
    """

    async def run(context: Context) -> Verdict:
        size_bytes = context.transaction.size_bytes
        if size_bytes > max_bytes:
            return judge_size(size_bytes, max_bytes)
        try:
            return judge(await scanner.scan(context.message.raw))
        except PortError as err:
            if not err.temporary:
                return judge_size(size_bytes, None)
            return Verdict(check=NAME, version=VERSION, outcome=Outcome.TEMPERROR, reason="scanner.away")

    return Check(name=NAME, version=VERSION, codes=CODES, run=run, deadline_s=timeout_s + MARGIN_S, fail_mode=fail_mode)
