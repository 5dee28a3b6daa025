"""Which signature, link, list or model version was behind a finding?  STANDING 5.7-8, 5.7-21.

A rule is rarely wrong as a whole: one signature is, or one version of a model. Rows of violations name these as
`code=signal`, so that a breaker can stop, and a recall annul, no more than is wrong. What a signal names comes from our
own lists, signatures and models, or is the registrable domain of a link; never an address, never words of the mail.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from dataclasses import replace

from filterd.model.verdict import Assessment, Finding, Outcome

# What names a thing in the mail, and what names the version of us that found it (`why` of Finding).
_THINGS = ("signature", "domain", "list")
_VERSIONS = ("model",)
# A mail with more different links than this is told apart by the first of them.
MAX_SIGNALS = 16
_MAX_CHARS = 120


def things(finding: Finding) -> tuple[str, ...]:
    """Say what a finding found, by name; none where its code says it all."""
    return _named(finding, _THINGS)


def signals(finding: Finding) -> tuple[str, ...]:
    """Say every signal behind a finding, its model's version too."""
    return _named(finding, (*_THINGS, *_VERSIONS))


def signals_in(assessment: Assessment, codes: Collection[str]) -> tuple[str, ...]:
    """Say `code=signal` for all findings of a mail with these codes, in the order found."""
    found = (f"{f.code}={x}" for f in _found(assessment) if f.code in codes for x in signals(f))
    return tuple(dict.fromkeys(found))[:MAX_SIGNALS]


def split(signal: str) -> tuple[str, str | None]:
    """Say (code, signal) of what `signals_in` says; a code alone has no signal."""
    code, _, rest = signal.partition("=")
    return code, rest or None


def without(assessment: Assessment, is_left_out: Callable[[Finding], bool]) -> Assessment:
    """Say an assessment as if some findings had not been made."""
    verdicts = tuple(
        replace(v, findings=tuple(f for f in v.findings if not is_left_out(f))) if v.outcome is Outcome.FOUND else v
        for v in assessment.verdicts
    )
    return replace(assessment, verdicts=verdicts)


def _found(assessment: Assessment) -> Iterable[Finding]:
    return (f for v in assessment.verdicts if v.outcome is Outcome.FOUND for f in v.findings)


def _named(finding: Finding, keys: tuple[str, ...]) -> tuple[str, ...]:
    said = ((key, value) for key, value in finding.why if key in keys)
    return tuple(dict.fromkeys(f"{key}:{_printable(value)}" for key, value in said))


def _printable(value: str) -> str:
    return "".join(c if c.isascii() and c.isprintable() and c != "=" else "?" for c in value[:_MAX_CHARS])
