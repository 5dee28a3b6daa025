"""What a statement of reasons is made of.  STANDING 2.6 (names of DSA Art. 17), CLAUSES §7.

There is no field for words of the mail, recipients, rule names or scores, so no template can show one.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from filterd.model.sanction import Feature, Mode, Rung


class AutomatedDecision(StrEnum):
    """How far a person took part: not at all, by confirming, or by deciding."""

    FULLY = "fully"
    PARTIALLY = "partially"
    NOT_AUTOMATED = "not_automated"


@dataclass(frozen=True, slots=True, kw_only=True)
class CitedClause:
    """A clause as the agreement numbers it, in our words."""

    number: str
    en: str
    zh: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CategoryName:
    en: str
    zh: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Effect:
    """What one sanction does.

    Args:
        ends_at: None is open-ended; in the past when `is_over`.
        stands_until: the end if a person confirms before `lapses_at`; None is open-ended. Only read with `lapses_at`.
        lapses_at: when it ends unless a person confirms it; None when it does not lapse.
        eased_to: what is off since it was eased to a lower rung; None while it is as it was imposed.
        steps_down: an objection that no person answers in time takes it one rung down.
    """

    sanction_id: str
    rung: Rung
    features: tuple[Feature, ...]
    starts_at: datetime
    ends_at: datetime | None
    is_over: bool
    lapses_at: datetime | None
    stands_until: datetime | None
    eased_to: tuple[Feature, ...] | None
    steps_down: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Protection:
    """A hold: never a sanction, never points. `ends_at` None: until somebody opens it."""

    features: tuple[Feature, ...]
    starts_at: datetime
    ends_at: datetime | None
    is_over: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Share:
    """What one strike adds to the points, and when that fades.

    `provisional_until` is None once the points are final; until then at most `final_half_points` are sure to stay.
    `is_half`: a contestable sign, at half weight so far.
    """

    incident_id: str
    half_points: int
    fades_at: datetime
    provisional_until: datetime | None
    final_half_points: int
    is_half: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class NextStep:
    """A step of the ladder. `hours` None: open-ended, or for a warning as long as points count."""

    rung: Rung
    hours: int | None
    half_points: int
    proposes_termination: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class OtherEffect:
    """What another case has in force besides."""

    incident_id: str
    rung: Rung
    features: tuple[Feature, ...]
    ends_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Undone:
    """A sanction annulled, and how long it had really been in force, begun minutes counted whole (0: a warning)."""

    rung: Rung
    since: datetime
    until: datetime
    minutes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Milder:
    """A sanction of another case that weighs less now. `rung` NONE: it is over."""

    incident_id: str
    imposed: Rung
    rung: Rung
    features: tuple[Feature, ...]
    ends_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Received:
    """The objection being acknowledged. `answer_due_at`: when a person owes the answer."""

    at: datetime
    answer_due_at: datetime
    is_answered: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Points:
    """What every sanction notice says of points, whatever it is about. Fields as in Statement."""

    half_points: int
    shares: tuple[Share, ...]
    due_step: NextStep | None
    next_step: NextStep | None
    probation_days: int
    after_suspension: NextStep | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Statement:
    """Everything a notice about one incident may say.

    Args:
        grounds: what was breached first, then what allows the sanction.
        mode: A when the signs agree, B when they are contestable.
        mail_refused: every message of the incident was refused, by its category's disposition.
        effects: the sanctions the notice is about, the highest rung first; empty for a hold alone.
        due_step: what the points already reach beyond what is in force: the next violation may mean it.
        next_step: the next step above that and the points it begins at; None at the top.
        after_suspension: the step the present points reach in the probation behind a suspension that ends.
        undone_at: None unless the incident's strike was annulled.
    """

    incident_id: str
    account_id: str
    grounds: tuple[CitedClause, ...]
    categories: tuple[CategoryName, ...]
    message_count: int
    recipient_count: int
    first_at: datetime
    last_at: datetime
    mode: Mode
    is_after_notice: bool
    mail_refused: bool
    automated_detection: bool
    automated_decision: AutomatedDecision
    effects: tuple[Effect, ...]
    hold: Protection | None
    half_points: int
    shares: tuple[Share, ...]
    due_step: NextStep | None
    next_step: NextStep | None
    probation_days: int
    after_suspension: NextStep | None
    others: tuple[OtherEffect, ...]
    answer_hours: int
    received: Received | None
    undone_at: datetime | None
    undone: tuple[Undone, ...]
    milder: tuple[Milder, ...]
