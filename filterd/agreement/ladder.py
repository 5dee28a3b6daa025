"""Which rung follows?  STANDING 5.3 (evaluation per incident) and 5.9 (presets).

*warranted* is what the points say, *allowed* what may happen without a person; the highest step not above either is
imposed at once and the difference becomes a task, never silence.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from filterd.agreement.breaker import FROZEN
from filterd.agreement.incident import grace_cap, is_first, is_long_noticed
from filterd.agreement.standing import repeats, standing_at
from filterd.agreement.takeover import is_malicious
from filterd.agreement.terms import Agreement
from filterd.model.sanction import Preset, Rung
from filterd.model.standing import History, IncidentFile


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One step of the ladder, ready to be imposed. `index` -1 is no step at all; `hours` None is open-ended."""

    index: int
    rung: Rung
    hours: int | None = None
    proposes_termination: bool = False

    def name(self) -> str:
        if self.rung in (Rung.NONE, Rung.WARN):
            return self.rung.word
        return f"{self.rung.word} {self.hours} h" if self.hours else f"{self.rung.word} open-ended"


NO_STEP = Step(index=-1, rung=Rung.NONE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Evaluation:
    """What one incident leads to. `held_back` says why `imposed` is below `warranted`, None when it is not."""

    warranted: Step
    imposed: Step
    held_back: str | None = None


def climb(terms: Agreement, half_points: int, *, is_in_probation: bool = False) -> Step:
    """Say the step that so many half-points reach. In probation the thresholds are one step lower."""
    thresholds = [round(step.at * 2) for step in terms.ladder]
    if is_in_probation:
        # 12 -> 8, 8 -> 5, 5 -> 3; the first two steps keep theirs: a warning stays at any point, a restriction at 3.
        first_two = 2
        thresholds = [t if i < first_two else thresholds[i - 1] for i, t in enumerate(thresholds)]
    reached = [index for index, threshold in enumerate(thresholds) if half_points >= threshold]
    return _step(terms, max(reached)) if reached else NO_STEP


def _step(terms: Agreement, index: int) -> Step:
    step = terms.ladder[index]
    return Step(index=index, rung=step.as_rung, hours=step.hours, proposes_termination=step.propose_termination)


def evaluate(
    history: History,
    incident: IncidentFile,
    terms: Agreement,
    preset: Preset,
    at: datetime,
    *,
    is_frozen: bool = False,
) -> Evaluation:
    """Say what the incident warrants and what may be imposed, its strike already part of `history`.

    Frozen, automation imposes nothing at all, and all of it waits for a person (STANDING 5.7-21).

    Probation lowers what is warranted; what automation may do follows the plain ladder over mode-A points, so that
    probation asks for a person and never acts by itself.
    """
    now = standing_at(history, terms, at)
    if incident.is_annulled or all(s.incident_id != incident.opened.incident_id for s in now.strikes):
        return Evaluation(warranted=NO_STEP, imposed=NO_STEP)
    warranted = climb(terms, now.half_points, is_in_probation=incident.opened.is_in_probation)
    if is_frozen:
        return Evaluation(warranted=warranted, imposed=NO_STEP, held_back=FROZEN)
    if incident.has_mode_a:
        points = sum(s.a_half_points for s in now.strikes)
        reached = _at_least_warn(terms, climb(terms, points))
        allowed = _capped(terms, reached, preset)
        held_back = "preset" if allowed.index < reached.index else "points automation may not use"
    else:
        allowed, held_back = _b_rule(history, incident, terms, preset), "mode B"
    cap = grace_cap(history, terms, incident)
    if cap is not None and allowed.index > cap:
        allowed, held_back = _step(terms, cap), "grace"
    if allowed.rung is Rung.SUSPEND and not is_long_noticed(history, terms, incident):
        allowed, held_back = _below_suspension(terms, allowed), "notice before a suspension"
    if is_first(history, incident) and not is_malicious(incident) and allowed.rung > Rung.WARN:
        allowed, held_back = _step(terms, 0), "first incident"
    if allowed.index >= warranted.index:
        return Evaluation(warranted=warranted, imposed=warranted)
    return Evaluation(warranted=warranted, imposed=allowed, held_back=held_back)


def _at_least_warn(terms: Agreement, step: Step) -> Step:
    return step if step.index >= 0 else _step(terms, 0)


def _capped(terms: Agreement, step: Step, preset: Preset) -> Step:
    """Go down to the highest step the preset lets happen without a person (STANDING 5.9, mode A)."""
    limit = terms.preset[preset].suspend_max_hours
    index = step.index
    while limit is not None and index > 0 and terms.ladder[index].as_rung is Rung.SUSPEND:
        hours = terms.ladder[index].hours
        if hours is not None and hours <= limit:
            break
        index -= 1
    return _step(terms, index)


def _below_suspension(terms: Agreement, step: Step) -> Step:
    """Say the highest step under a suspension; no step at all on a ladder that begins with one."""
    index = max((i for i in range(step.index) if terms.ladder[i].as_rung < Rung.SUSPEND), default=None)
    return NO_STEP if index is None else _step(terms, index)


def _b_rule(history: History, incident: IncidentFile, terms: Agreement, preset: Preset) -> Step:
    """A mode-B incident warns; the third of a chain, each begun after the notice of the one before, may also switch
    the one feature used off (STANDING 5.9)."""
    hours = terms.preset[preset].b_restrict_hours
    chain = any(
        repeats(first, second, history) and repeats(second, incident, history)
        for second in history.incidents
        for first in history.incidents
    )
    if hours is None or not chain:
        return _step(terms, 0)
    fitting = [
        index
        for index, step in enumerate(terms.ladder)
        if step.as_rung is Rung.RESTRICT and step.hours is not None and step.hours <= hours
    ]
    return _step(terms, max(fitting, default=0))


def ends_at(
    terms: Agreement, step: Step, preset: Preset, starts_at: datetime
) -> tuple[datetime | None, datetime | None]:
    """Say when a step imposed at `starts_at` ends, and when it lapses unless a person confirms it."""
    rules = terms.preset[preset]
    lapse_hours = {Rung.RESTRICT: rules.restrict_lapse_hours, Rung.SUSPEND: rules.suspend_lapse_hours}.get(step.rung)
    end = starts_at + timedelta(hours=step.hours) if step.hours else None
    return end, starts_at + timedelta(hours=lapse_hours) if lapse_hours else None
