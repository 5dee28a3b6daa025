"""Do registers, agreements and notice templates fit together?  CLAUSES §8 (a)-(h), as far as files alone can say.

What one file can get wrong by itself, its loader refuses. Much of it is asked again here of the finished objects, so
that no other way of making an agreement, nor a gap in a loader, lets a locked category act. That the tests a register
names exist and can fail is for the test suite; that a supplement binds nobody before both signatures, for `supplement`.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass

from filterd.agreement.category import Category, Rule
from filterd.agreement.clauses import CONTENT_MODES, ClauseEntry, Register
from filterd.agreement.crosswalk import label_of
from filterd.agreement.load import unmapped
from filterd.agreement.supplement import unfounded
from filterd.agreement.terms import Agreement
from filterd.model.decision import Disposition
from filterd.model.sanction import Mode

# CLAUSES §1: hold and warn is the most a C2 category does, whatever raises it; these go beyond.
_BEYOND_HOLDING = (Disposition.REJECT, Disposition.DISCARD)
_TAG = re.compile(r"\{\{.*?\}\}|\{%.*?%\}|\{#.*?#\}", re.DOTALL)
_QUOTED = re.compile(r"\"([^\"]*)\"|'([^']*)'")
# As agreements number their clauses: 3.3.2 (7), S14. "550 5.7.1" is an SMTP reply, and none.
_NUMBER = re.compile(r"(?<![\d.])(?<![245]\d\d )\d+(?:\.\d+)+(?: \(\d+\))?(?!\.?\d)|\bS\d+\b")


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """What does not fit. `clause` None: no clause in particular."""

    agreement: str
    clause: str | None
    text: str

    def __str__(self) -> str:
        where = self.agreement if self.clause is None else f"{self.agreement}, clause {self.clause}"
        return f"{where}: {self.text}"


def faults(
    registers: Mapping[str, Register],
    agreements: Mapping[str, Agreement],
    templates: Mapping[str, str],
    known_codes: Collection[str],
) -> tuple[Fault, ...]:
    """Say everything that does not fit; empty when all does.

    Args:
        registers: by the id of the agreement. An agreement of our own making needs none: its file is the whole of it.
        agreements: every agreement that ships, by id.
        templates: notice templates by name, with their tags; they serve every agreement.
        known_codes: every finding code some check can give.
    """
    out: list[Fault] = []
    for name, register in registers.items():
        if name not in agreements:
            out.append(Fault(agreement=name, clause=None, text="has a register and no agreement file"))
            continue
        out += _register_faults(register, agreements[name])
    for terms in agreements.values():
        out += _locked_faults(terms)
        out += _label_faults(terms, known_codes)
        out += _template_faults(terms, templates)
    if wrong := unfounded(agreements):
        out.append(Fault(agreement=wrong.split()[0], clause=None, text=wrong))
    return tuple(out)


# --- a register and its agreement: CLAUSES §8 (a), (d) ----------------------------------------------------------------


def _register_faults(register: Register, terms: Agreement) -> Iterator[Fault]:
    for key in terms.clause:
        if register.find(key) is None:
            yield Fault(agreement=terms.id, clause=key, text="is in the agreement file and not in the register")
    cited = {key for category in terms.category for key in category.ground} | set(terms.sanction_ground)
    for key in sorted(cited - set(terms.clause)):
        yield Fault(agreement=terms.id, clause=key, text="is cited as a ground and is not in the agreement file")
    for entry in register.clause:
        yield from (Fault(agreement=terms.id, clause=entry.id, text=text) for text in _entry_faults(entry, terms))


def _entry_faults(entry: ClauseEntry, terms: Agreement) -> Iterator[str]:
    standing = {category.id: category for category in terms.category if entry.id in category.ground}
    if set(entry.categories) != set(standing):
        yield f"has categories {_listed(entry.categories)}; by the agreement file {_listed(tuple(standing))}"
    for category in standing.values():
        modes = modes_of(category, terms)
        if beyond := [mode for mode in sorted(modes) if mode not in entry.mode]:
            yield f"is not of mode {', '.join(beyond)}, and category {category.id!r} is"
    clause = terms.clause.get(entry.id)
    if clause is None:
        return
    if (clause.en, clause.zh) != (entry.paraphrase_en, entry.paraphrase_zh):
        yield "has another paraphrase in the agreement file"
    if standing and not clause.in_mail:
        yield "cannot be breached by mail (in_mail), and categories stand on it"
    if not standing and clause.in_mail and entry.id not in terms.sanction_ground and CONTENT_MODES & set(entry.mode):
        yield "can be breached by mail, and no category stands on it"


def modes_of(category: Category, terms: Agreement) -> frozenset[str]:
    """Say every mode in which the category can come out: its own, that of a single letter, B where groups disagree."""
    modes = {category.mode.value}
    if category.single is not None:
        modes.add(category.single)
    rules = (rule for rule in terms.rule if rule.category == category.id)
    if category.agreeing_groups > 1 and category.mode is Mode.A and any(rule.alone == "B" for rule in rules):
        modes.add(Mode.B.value)
    return frozenset(modes)


# --- C1 and C2: CLAUSES §8 (e) ----------------------------------------------------------------------------------------


def _locked_faults(terms: Agreement) -> Iterator[Fault]:
    for category in terms.category:
        rules = [rule for rule in terms.rule if rule.category == category.id]
        said = _c1(category, rules) if category.mode is Mode.C1 else _c2(category, rules)
        yield from (Fault(agreement=terms.id, clause=None, text=f"category {category.id!r} {text}") for text in said)


def _c1(category: Category, rules: list[Rule]) -> Iterator[str]:
    for rule in rules:
        yield f"is C1, and a rule leads to it from {rule.finding}"
    if not category.people_only:
        yield "is C1 and not for people only"
    if category.disposition is not Disposition.ACCEPT or category.scope or category.zero_tolerance:
        yield "is C1 and has an effect of its own"


def _c2(category: Category, rules: list[Rule]) -> Iterator[str]:
    if Mode.C2 in (category.mode, category.single):
        for rule in rules:
            if rule.alone == "refuse":
                yield f"is C2, and {rule.finding} alone refuses the message"
    if category.mode is not Mode.C2:
        return
    if category.disposition in _BEYOND_HOLDING:
        yield f"is C2 and goes beyond holding mail: {category.disposition.value}"
    if category.scope or category.zero_tolerance:
        yield "is C2 and restricts something"


# --- labels and templates: CLAUSES §8 (f), (c) ------------------------------------------------------------------------


def _label_faults(terms: Agreement, known_codes: Collection[str]) -> Iterator[Fault]:
    for code in unmapped(terms, known_codes):
        label = label_of(code)
        what = f"label {label!r} is unmapped: " if label is not None else ""
        yield Fault(agreement=terms.id, clause=None, text=f"{what}{code} is in no rule, no protection and not advisory")


def _template_faults(terms: Agreement, templates: Mapping[str, str]) -> Iterator[Fault]:
    numbers = {clause.number for clause in terms.clause.values()}
    for name, text in templates.items():
        for number in clauses_cited(text):
            if number not in numbers:
                yield Fault(agreement=terms.id, clause=number, text=f"is cited by template {name} and is not there")


def clauses_cited(template: str) -> tuple[str, ...]:
    """Say which clause numbers a template writes itself, in its text or in quotation marks inside a tag."""
    inside = " ".join(a or b for tag in _TAG.findall(template) if tag[1] != "#" for a, b in _QUOTED.findall(tag))
    return tuple(dict.fromkeys(_NUMBER.findall(_TAG.sub(" ", template) + " " + inside)))


def _listed(names: tuple[str, ...]) -> str:
    return ", ".join(sorted(names)) or "none"
