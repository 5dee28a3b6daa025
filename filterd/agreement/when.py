"""The optional `when` of a rule: does the rule speak of this finding in this mail?  LIBRARIES §13, HOUSE §3.

A CEL expression over flat names of the mail and its findings; never of standing, which is the ladder's. CEL has no
limit on cost and no types, so a `when` is linted at load, by its text and then by what the compiler makes of it: only
declared names, no loops, no functions but the few listed, no text that none of the names can ever be. It is then
tried on sample mails. What can still fail at run time (a division by zero) is said and never taken for "no".
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from functools import lru_cache
from itertools import product
from typing import TYPE_CHECKING, Any

from filterd.model.decision import Case, MailFacts
from filterd.model.principal import Strength
from filterd.model.session import Direction

if TYPE_CHECKING:
    import cel

# Every name a `when` may use, and what it says.
NAMES = {
    "recipients": "how many recipients the mail has (whole number)",
    "external_recipients": "how many of them are outside the tenant (whole number)",
    "size_bytes": "of the whole mail (whole number)",
    "has_attachments": "true or false",
    "has_links": "true or false",
    "bulk": "whether a finding says that the act is a run of mail and not one letter (true or false)",
    "direction": "'outbound' or 'internal'",
    "strength": "how well we know whose mail it is: 'strong' or 'medium'",
    "confidence": "of the finding the rule is about, 0 to 1",
    "codes": "the codes of all findings of the mail, for `in`",
}
FUNCTIONS = frozenset({"size", "double", "int"})
# What the compiler calls the signs that may stand in a `when`.
_LOGIC = ("_&&_", "_||_", "!_", "_?_:_", "@in", "_==_", "_!=_", "_<_", "_<=_", "_>_", "_>=_")
_SIGNS = frozenset((*_LOGIC, "_+_", "_-_", "_*_", "_/_", "_%_", "-_"))
_WORDS = frozenset({"true", "false", "in"})
# Texts that `direction` and `strength` can be; a stranger's mail breaches nothing, so no rule is asked about it.
TEXTS = frozenset({Direction.OUTBOUND.value, Direction.INTERNAL.value, Strength.STRONG.value, Strength.MEDIUM.value})
# A condition one can read at a glance; it also bounds how deep the compiler has to go.
MAX_LENGTH = 400
# An agreement has a few hundred rules; two reloads of several agreements fit.
_KEPT = 4096

_TOKEN = re.compile(
    r"""(?P<text>'[^'"\\\n]*'|"[^'"\\\n]*")|(?P<number>[0-9]+(?:\.[0-9]+)?)|(?P<name>[A-Za-z_][A-Za-z0-9_]*)"""
    r"""|(?P<sign>&&|\|\||[=!<>]=|/(?!/)|[-+*%<>!?:(),\[\]])"""
)
_SPACE = " \t\r\n"
_MEMBER = re.compile(r"\.[ \t\r\n]*([A-Za-z_][A-Za-z0-9_]*)")

# What the library raises where a computation does not come out.
_FAILURES = (ArithmeticError, LookupError, RuntimeError, TypeError, ValueError)


@dataclass(frozen=True, slots=True, kw_only=True)
class Mail:
    """What a `when` may know of a mail besides its findings."""

    facts: MailFacts
    direction: Direction
    strength: Strength

    @classmethod
    def of(cls, case: Case) -> Mail:
        return cls(facts=case.facts, direction=case.direction, strength=case.principal.strength)


def names(mail: Mail, codes: Collection[str], *, is_bulk: bool) -> dict[str, Any]:
    """Say the value of every name but `confidence`, which is each finding's own."""
    return {
        "recipients": mail.facts.recipients,
        "external_recipients": mail.facts.external_recipients,
        "size_bytes": mail.facts.size_bytes,
        "has_attachments": mail.facts.has_attachments,
        "has_links": mail.facts.has_links,
        "bulk": is_bulk,
        "direction": mail.direction.value,
        "strength": mail.strength.value,
        "codes": list(codes),
    }


def holds(when: str, known: dict[str, Any], confidence: float) -> bool | None:
    """Say whether the condition holds; None when it cannot be computed, which is not "no"."""
    try:
        said = _program(when).execute({**known, "confidence": confidence})
    except _FAILURES:
        return None
    return said if isinstance(said, bool) else None


# --- at load ----------------------------------------------------------------------------------------------------------


def fault(when: str, known_codes: Collection[str]) -> str | None:
    """Say what is wrong with a `when`, None when nothing is."""
    if len(when) > MAX_LENGTH:
        return f"is longer than {MAX_LENGTH} characters: make two rules of it"
    if wrong := _text_fault(when, known_codes):
        return wrong
    try:
        program = _program(when)
    except ValueError as err:
        return f"is no expression: {_first_line(err)}"
    # The text has said it already; the compiler, which reads it in its own way, has to agree.
    used = program.references()
    if strange := sorted(set(used["variables"]) - set(NAMES)):
        return _unknown(strange[0])
    if strange := sorted(set(used["functions"]) - FUNCTIONS - _SIGNS):
        return f"{strange[0]!r} cannot stand in a when"
    if not used["variables"]:
        return "depends on nothing: leave it out, or the whole rule"
    return next((wrong for sample in _samples() if (wrong := _trial(program, sample))), None)


def _text_fault(when: str, known_codes: Collection[str]) -> str | None:
    """Read the text token by token: what is not allowed is refused, whatever CEL would make of it."""
    at = _skip_space(when, 0)
    while at < len(when):
        token = _TOKEN.match(when, at)
        if token is None:
            if member := _MEMBER.match(when, at):
                return f"names are flat and there are no loops: '.{member[1]}' cannot stand in a when"
            return f"{when[at]!r} cannot stand in a when"
        at = _skip_space(when, token.end())
        is_called = when.startswith("(", at)
        if (name := token["name"]) is not None and name not in _WORDS:
            if is_called and name not in FUNCTIONS:
                return f"no function {name!r} in a when; there are {', '.join(sorted(FUNCTIONS))}"
            if not is_called and name not in NAMES:
                return _unknown(name)
        if (text := token["text"]) is not None and text[1:-1] not in TEXTS and text[1:-1] not in known_codes:
            return f"{text} is no finding any check gives, no direction and no strength: it would never match"
    return None


def _skip_space(when: str, at: int) -> int:
    while at < len(when) and when[at] in _SPACE:
        at += 1
    return at


def _unknown(name: str) -> str:
    return f"unknown name {name!r}; a when sees {', '.join(NAMES)}, and nothing of standing"


def _first_line(err: Exception) -> str:
    said = str(err).splitlines()[0]
    return said.rpartition("ERROR: ")[2]


def _trial(program: cel.Program, sample: dict[str, Any]) -> str | None:
    """Say what happens on one sample mail, None when it answers true or false."""
    try:
        said = program.execute(sample)
    except _FAILURES as err:
        where = ", ".join(f"{name} {value}" for name, value in sample.items() if name in set(program.variables()))
        return f"cannot be computed for a mail with {where}: {_first_line(err)}"
    return None if isinstance(said, bool) else f"says {said!r} and not true or false"


def _samples() -> Iterator[dict[str, Any]]:
    """Ordinary mails, so different that a comparison of a number with a text shows on one of them."""
    flags = product((False, True), repeat=3)
    for index, (has_attachments, has_links, bulk) in enumerate(flags):
        for direction, strength in (("outbound", "strong"), ("internal", "medium")):
            yield {
                "recipients": 1 + index * 40,
                "external_recipients": index * 40 + (direction == "outbound"),
                "size_bytes": 2000 + index * 1_000_000,
                "has_attachments": has_attachments,
                "has_links": has_links,
                "bulk": bulk,
                "direction": direction,
                "strength": strength,
                "confidence": 1.0 - index / 8,
                "codes": ["content.spam.model", "rate.message.bulk"][: 1 + bulk],
            }


@lru_cache(maxsize=_KEPT)
def _program(when: str) -> cel.Program:
    """Compile it once. Raises ValueError for what is no expression."""
    # Imported where the first `when` stands: the package brings a command line along that takes a second to load, and
    # an agreement without any `when` never needs it.
    import cel

    return cel.compile(when)
