"""One kind of breach, and what leads to it: clauses, categories, rules, protections.  CLAUSES §1 and §4.

What a C1 or C2 category could do wrong by itself is refused here; what needs the whole file, in `terms`.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, field_validator, model_validator

from filterd.agreement.sections import Section
from filterd.model.decision import Disposition
from filterd.model.sanction import RECIPIENT, Feature, Mode, feature

FindingCode = Annotated[str, Field(pattern=r"^[a-z_]+\.[a-z_]+\.[a-z_]+$")]
Confidence = Annotated[float, Field(ge=0, le=1)]
# What a person weighs, and what nobody weighs before a person has: no automatic points, no automatic strike.
DECIDER = "decider"
URGENT = 4
LOCKED = (Mode.C1, Mode.C2)
# What is C1 whatever a file says of it: politics, religion, reputation, rights (HOUSE rule 9), by family and by name.
C1_FAMILIES = frozenset({"pol", "rights"})
C1_NAMES = frozenset({"pol", "rep", "rights"})
C1_IDS = frozenset({"hate.ethnic"})
# What a raised C2 category may do to a mail: hold it for a person, and nothing that loses or refuses it (STANDING 5.9).
RAISED_CEILING = ("accept", "tag", "quarantine")
# Before the family of what one found by itself.
RAISED_FAMILY = "raised."

# What a feature can be is part of the code, because the mail path must know how to refuse it (STANDING 5.11). True: it
# needs a limit. A recipient is named by a person, never by an agreement.
FEATURES = {
    "sending": False,
    "bulk": False,
    "attachments": False,
    "links": False,
    "external_recipients": False,
    "messages_per_hour": True,
    "messages_per_day": True,
    "recipients_per_hour": True,
    "recipients_per_day": True,
    "recipients_per_message": True,
    "external_recipients_per_day": True,
    "from_own": False,
    "strangers": False,
    "auto_forward": False,
    RECIPIENT: False,
}


# What a clause asks of the person who decides under it (CLAUSES §2.2).
PROVISION, WORDS, RIGHTS_NOTICE, VERIFICATION = "provision", "words", "rights_notice", "verification"


class Clause(Section):
    """A numbered clause, in our own words. `number` is what notices cite.

    `in_mail` is False for a clause that mail cannot breach; it is in the file so that none is forgotten. `needs` is
    what a person who decides under it must give besides: the law it means (PROVISION), the ground in words (WORDS), the
    rights holder's complete notice, or a verification that failed, which no category can stand on.
    """

    number: str
    en: str = Field(min_length=10)
    zh: str = Field(min_length=4)
    in_mail: bool = True
    needs: Literal["provision", "words", "rights_notice", "verification"] | None = None


class SeverityStep(Section):
    """From this many recipients in the incident on, the severity is this."""

    recipients: int = Field(ge=1)
    severity: Literal[1, 2, 3]


class Category(Section):
    """One kind of breach: what it is called, under which clauses, and how far it may act by itself.

    Args:
        single: the mode of an act that is not bulk (`bulk` of the agreement): mode B for a run of mail, C2 for one
            letter; None: it is always `mode`.
        severity: 4 is urgent and gives no automatic points; "decider": whoever decides weighs it.
        agreeing_groups: how many signal groups must agree for `mode`; what fewer are worth, each rule says (`alone`).
        contestable: what is done to mail that reaches mode B only; None: `disposition`.
        requires: a finding without which the category is not touched, however many other groups agree.
        raised: for mode C2: two people have let it hold mail for a person and warn (STANDING 5.5, 5.9). It gives no
            points and no rung above a warning; those are a person's.
        people_only: no check finds it; a person may decide on it.
        evidence: how much of a mail in breach is kept (model.evidence). Of several categories the one that asks most
            counts, below the operator's ceiling; "hash_only" is never more than the digest, whatever else the mail
            breaches, for what nobody may keep (child-abuse imagery).
        arf, xarf, dsa: what reports and statements call it: feedback type (RFC 5965), XARF v4 category/type, statement
            category and keyword of DSA Art. 17 without their prefixes. None or empty where there is no word.
    """

    id: str = Field(pattern=r"^[a-z]+(\.[a-z_]+)*$")
    en: str
    zh: str
    family: str
    ground: tuple[str, ...] = Field(min_length=1)
    mode: Mode
    single: Literal["C2"] | None = None
    severity: Literal[1, 2, 3, 4, "decider"] | None = None
    severity_by_recipients: tuple[SeverityStep, ...] = ()
    disposition: Disposition
    contestable: Literal["quarantine"] | None = None
    scope: tuple[str, ...] = ()
    zero_tolerance: bool = False
    agreeing_groups: int = Field(1, ge=1, le=3)
    requires: str | None = None
    people_only: bool = False
    raised: bool = False
    evidence: Literal["none", "hash", "hash_only", "headers", "excerpt", "full"] = "full"
    arf: Literal["abuse", "fraud", "virus", "other"] | None = None
    xarf: Annotated[str, Field(pattern=r"^[a-z]+/[a-z_]+$")] | None = None
    dsa: tuple[Annotated[str, Field(pattern=r"^[A-Z_]+$")], ...] = Field((), max_length=2)

    @field_validator("scope")
    @classmethod
    def _known_features(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for text in value:
            item = feature(text)
            if item.name not in FEATURES:
                raise ValueError(f"unknown feature {item.name!r}; known: {', '.join(sorted(FEATURES))}")
            if FEATURES[item.name] != (item.limit is not None):
                raise ValueError(f"feature {item.name!r} {'needs' if FEATURES[item.name] else 'takes no'} limit")
            if item.name == RECIPIENT:
                raise ValueError("which recipient is locked is for a person to say: filterd sanction impose")
        return value

    @model_validator(mode="after")
    def _one_severity(self) -> Category:
        if (self.severity is None) == (not self.severity_by_recipients):
            raise ValueError("give either severity or severity_by_recipients")
        steps = [step.recipients for step in self.severity_by_recipients]
        if steps and (steps[0] != 1 or steps != sorted(set(steps))):
            raise ValueError("severity_by_recipients starts at 1 and rises")
        if self.severity in (URGENT, DECIDER) and self.mode not in LOCKED:
            raise ValueError("severity 4 and 'decider' give no automatic points: the mode must be C1 or C2")
        if self.disposition is Disposition.DISCARD:
            raise ValueError("disposition 'discard' is what 'reject' becomes behind the queue; write 'reject'")
        if self.contestable is not None and self.mode is not Mode.A:
            raise ValueError("contestable is for mode A: mail of any other is contestable already; write disposition")
        if self.single is not None and self.mode is not Mode.B:
            raise ValueError("single is for mode B: what is high-precision or locked is so in every act")
        return self

    @model_validator(mode="after")
    def _no_effect_without_a_person(self) -> Category:
        # CLAUSES §1: C1 is locked by type, C2 acts on nothing without a person unless raised to hold and warn.
        if self.mode is not Mode.C1 and self.is_locked_by_type:
            raise ValueError(f"category {self.id!r} of the family {self.family!r} is C1 and cannot be raised")
        if self.raised and (self.mode is not Mode.C2 or self.people_only or self.is_urgent):
            raise ValueError("raised is for a C2 category that a check finds and that may wait for a person")
        if self.raised and self.disposition.value not in RAISED_CEILING:
            allowed = ", ".join(RAISED_CEILING)
            raise ValueError(f"a raised C2 category holds mail and warns, no more: disposition must be of {allowed}")
        if self.mode in LOCKED and not self.raised and self.disposition is not Disposition.ACCEPT:
            raise ValueError(f"a {self.mode.value} category cannot touch mail: disposition must be accept")
        if self.mode in LOCKED and (self.scope or self.zero_tolerance):
            raise ValueError(f"a {self.mode.value} category cannot restrict anything")
        if self.mode is Mode.C1 and not self.people_only:
            raise ValueError("a C1 category is locked: write people_only = true, for no check may lead to it")
        return self

    def severity_of(self, recipients: int) -> int:
        """Say S1..S3 for an incident that reached so many recipients; 0 for what only a person may weigh."""
        if self.severity in (URGENT, DECIDER):
            return 0
        if self.fixed_severity is not None:
            return self.fixed_severity
        return max(step.severity for step in self.severity_by_recipients if step.recipients <= max(recipients, 1))

    def effect(self, mode: Mode) -> Disposition:
        """Say what is done to mail in breach of it, in the mode it has reached."""
        return Disposition(self.contestable) if self.contestable and mode is Mode.B else self.disposition

    @property
    def may_hold(self) -> bool:
        """Say whether its mail may be held."""
        return self.contestable is not None or self.disposition is Disposition.QUARANTINE

    @property
    def is_locked_by_type(self) -> bool:
        """Whether it is of a kind that only people ever judge."""
        return self.family in C1_FAMILIES or self.id.partition(".")[0] in C1_NAMES or self.id in C1_IDS

    @property
    def fixed_severity(self) -> int | None:
        """S1..S4 where it is always the same, None where recipients or the decider settle it."""
        return self.severity if isinstance(self.severity, int) else None

    @property
    def is_urgent(self) -> bool:
        """Whether a person has to look at once (STANDING 5.3: S4)."""
        return self.severity == URGENT

    @property
    def features(self) -> tuple[Feature, ...]:
        return tuple(feature(text) for text in self.scope)


class Rule(Section):
    """Which finding means which category; one finding may mean several.

    Args:
        alone: what the finding's signal group is worth without another one: "B" a violation in mode B, "refuse" a
            refusal of the message without points, "none" nothing.
        min_confidence, below_confidence: which findings of that code are meant; the first included, the second not.
        group: the signal group it counts as for this category; None: the check's own.
        when: a CEL condition on the mail (agreement/when); None: every mail. What cannot be computed is told to people
            and means nothing.
    """

    finding: FindingCode
    category: str
    alone: Literal["B", "refuse", "none"] = "B"
    min_confidence: Confidence = 0.0
    below_confidence: Confidence | None = None
    group: str | None = None
    when: str | None = None

    @property
    def is_model(self) -> bool:
        """Whether it rests on a text model or a word list, which alone are never mode A (HOUSE rule 3)."""
        return self.finding.startswith("content.")

    def means(self, code: str, confidence: float) -> bool:
        """Say whether this rule speaks of such a finding."""
        is_below = self.below_confidence is None or confidence < self.below_confidence
        return code == self.finding and confidence >= self.min_confidence and is_below


class Protection(Section):
    """A finding that stops or marks the message itself: no ground, no points, no standing (HOUSE rule 8).

    `outbound` and `internal` are for mail of our own accounts. What strangers send is the operator's choice, not the
    agreement's (`protection.protect`).
    """

    finding: FindingCode
    outbound: Disposition = Disposition.ACCEPT
    internal: Disposition = Disposition.ACCEPT

    @model_validator(mode="after")
    def _does_something(self) -> Protection:
        if self.outbound is self.internal is Disposition.ACCEPT:
            raise ValueError("accepts everything: list the finding as advisory instead")
        if Disposition.DISCARD in (self.outbound, self.internal):
            raise ValueError("protection never discards; write 'reject'")
        return self


def misleads(rule: Rule, category: Category) -> str | None:
    """Say why the rule may not lead to the category, or None when it may."""
    if category.people_only:
        return f"category {category.id!r} is for people only"
    if rule.alone == "refuse" and Mode.C2 in (category.mode, category.single):
        return f"category {category.id!r} is C2 and cannot refuse mail"
    if category.mode is Mode.A and category.agreeing_groups == 1 and rule.is_model:
        return f"a score or a word alone is never mode A; category {category.id!r} needs agreeing_groups = 2"
    if rule.group is not None and rule.is_model:
        return "findings in text are always of the group content"
    if rule.below_confidence is not None and rule.below_confidence <= rule.min_confidence:
        return "below_confidence must be above min_confidence"
    return None
