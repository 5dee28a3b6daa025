"""What has become of an appeal, and may one still be filed?  STANDING 5.6, CLAUSES §6 (appeal window).

    filed → acknowledged → assigned ↔ info_requested → decided        granted, partially_granted, denied
                                                     → inadmissible, withdrawn
    reopened once on new evidence: → acknowledged

Computed from an account's records, never stored. One appeal a sanction; a strike that brought no sanction has one of
its own, so that whatever counts can be contested. `moot`: what it was about is annulled without it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum

from filterd.agreement.appeal_clock import decide_by, end_of, look_by
from filterd.agreement.clocks import appeal_until
from filterd.agreement.cooling_off import later
from filterd.agreement.standing import strike_at
from filterd.agreement.terms import Agreement
from filterd.model import records as r
from filterd.model.ids import derived_id
from filterd.model.sanction import Rung
from filterd.model.standing import History, IncidentFile, SanctionFile

GRANTED, PARTIALLY, DENIED = "granted", "partially_granted", "denied"
INADMISSIBLE, WITHDRAWN = "inadmissible", "withdrawn"
OUTCOMES = (GRANTED, PARTIALLY, DENIED, INADMISSIBLE, WITHDRAWN)

# Notices that say that an objection was received.
_ACKNOWLEDGEMENTS = {"objection_received", "appeal_acknowledged"}


class State(StrEnum):
    """Where an appeal stands."""

    FILED = "filed"
    ACKNOWLEDGED = "acknowledged"
    ASSIGNED = "assigned"
    INFO_REQUESTED = "info_requested"
    DECIDED = "decided"
    INADMISSIBLE = "inadmissible"
    WITHDRAWN = "withdrawn"
    MOOT = "moot"


OVER = frozenset({State.DECIDED, State.INADMISSIBLE, State.WITHDRAWN, State.MOOT})


@dataclass(frozen=True, slots=True, kw_only=True)
class AppealFile:
    """An appeal with everything that happened to it.

    Args:
        reviewer: who has it now, None while nobody has.
        looked_at: when a person first took it up since it was filed, or reopened.
        is_asked: the reviewer waits for the account's side.
        decided: the decision in force, None while there is none.
        reopened: None while it was not; there is no second time.
        earlier: the decision that the reopening set aside.
    """

    filed: r.ObjectionFiled
    acknowledged_at: datetime | None = None
    reviewer: str | None = None
    looked_at: datetime | None = None
    is_asked: bool = False
    questions: int = 0
    additions: int = 0
    decided: r.AppealDecided | None = None
    reopened: r.AppealReopened | None = None
    earlier: r.AppealDecided | None = None
    is_moot: bool = False

    @property
    def appeal_id(self) -> str:
        return self.filed.appeal_id

    @property
    def begins_at(self) -> datetime:
        """From when on its targets run."""
        return self.reopened.at if self.reopened is not None else self.filed.at

    @property
    def outcome(self) -> str | None:
        return self.decided.outcome if self.decided is not None else None

    @property
    def state(self) -> State:
        if self.decided is not None:
            return State(self.decided.outcome) if self.outcome in (INADMISSIBLE, WITHDRAWN) else State.DECIDED
        if self.is_moot:
            return State.MOOT
        if self.reviewer is not None:
            return State.INFO_REQUESTED if self.is_asked else State.ASSIGNED
        return State.FILED if self.acknowledged_at is None else State.ACKNOWLEDGED

    @property
    def is_open(self) -> bool:
        return self.state not in OVER

    @property
    def can_reopen(self) -> bool:
        """Say whether new evidence may open it again: once, and not where everything was given."""
        return self.decided is not None and self.reopened is None and self.outcome != GRANTED


def appeals(records: Iterable[r.Record]) -> tuple[AppealFile, ...]:
    """Put an account's rows together, the oldest appeal first."""
    files: dict[str, AppealFile] = {}
    for record in records:
        match record:
            case r.ObjectionFiled():
                files.setdefault(record.appeal_id, AppealFile(filed=record))
            case r.NoticeSent() if _ACKNOWLEDGEMENTS & set(record.template.split("+")):
                for key, known in files.items():
                    if known.filed.incident_id in record.incident_ids and known.acknowledged_at is None:
                        files[key] = replace(known, acknowledged_at=record.at)
            case r.StrikeAnnulled():
                for key, known in files.items():
                    if known.filed.incident_id == record.incident_id:
                        files[key] = replace(known, is_moot=True)
            case (
                r.AppealAssigned() | r.AppealQuestioned() | r.AppealAdded() | r.AppealDecided() | r.AppealReopened()
            ) if record.appeal_id in files:
                files[record.appeal_id] = _after(files[record.appeal_id], record)
            case _:
                continue
    return tuple(files.values())


def _after(
    known: AppealFile,
    record: r.AppealAssigned | r.AppealQuestioned | r.AppealAdded | r.AppealDecided | r.AppealReopened,
) -> AppealFile:
    match record:
        case r.AppealAssigned():
            # Whoever is given it by somebody else has not looked yet.
            is_look = record.by == record.reviewer
            return replace(
                known,
                reviewer=record.reviewer,
                looked_at=known.looked_at or (record.at if is_look else None),
                is_asked=False,
            )
        case r.AppealQuestioned():
            return replace(
                known,
                reviewer=known.reviewer or record.by,
                looked_at=known.looked_at or record.at,
                is_asked=True,
                questions=known.questions + 1,
            )
        case r.AppealAdded():
            return replace(known, is_asked=False, additions=known.additions + 1)
        case r.AppealDecided():
            return known if known.decided is not None else replace(known, decided=record, is_asked=False)
        case r.AppealReopened():
            if not known.can_reopen:
                return known
            return replace(
                known, reopened=record, earlier=known.decided, decided=None, reviewer=None, looked_at=None
            )


# --- its targets ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Targets:
    """By when a person looks and decides, and which of both was missed by the instant asked for."""

    look_by: datetime
    decide_by: datetime
    missed: tuple[str, ...] = ()


def targets(appeal: AppealFile, sanction: SanctionFile | None, terms: Agreement, at: datetime) -> Targets:
    """Say the targets of an appeal at `at`. `sanction` None: it is about a strike alone."""
    return targets_until(appeal, end_of(sanction) if sanction is not None else None, terms, at)


def targets_until(appeal: AppealFile, ends_at: datetime | None, terms: Agreement, at: datetime) -> Targets:
    """Say the same of whatever ends by itself at `ends_at`; None: never."""
    look = look_by(appeal.begins_at, terms)
    decide = decide_by(appeal.begins_at, ends_at, terms)
    decided_at = appeal.decided.at if appeal.decided is not None else None
    first_at = min((x for x in (appeal.looked_at, decided_at) if x is not None), default=None)
    missed = []
    if not appeal.is_moot:
        missed = [name for name, due, done in (("look", look, first_at), ("decide", decide, decided_at))
                  if due <= (done if done is not None else at)]
    return Targets(look_by=look, decide_by=decide, missed=tuple(missed))


def is_alarm(appeal: AppealFile, sanction: SanctionFile | None, terms: Agreement, at: datetime) -> bool:
    """Say whether a missed target calls for people, because no clock answers it: of a person's own sanction, of one a
    person has confirmed, of a strike alone, and of what was reopened."""
    if not appeal.is_open or not targets(appeal, sanction, terms, at).missed:
        return False
    is_answered_by_clock = (
        sanction is not None
        and sanction.imposed.is_automatic
        and (sanction.confirmed_at is None or sanction.confirmed_at > appeal.filed.at)
        and appeal.reopened is None
    )
    return not is_answered_by_clock


# --- may one be filed? ------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """Until when a decision can be contested. `closes_at` None: nobody was told yet, so nothing closes."""

    closes_at: datetime | None

    def is_open(self, at: datetime) -> bool:
        return self.closes_at is None or at < self.closes_at


def window(incident: IncidentFile, history: History, terms: Agreement, at_act: Agreement | None = None) -> Window:
    """Say until when what an incident led to can be contested: while its strike counts, and for a term from its notice,
    or from the first refusal that showed the case where that was later.

    Args:
        at_act: the version of the agreement that was in force at the act, where it is another one: the later end of
            both counts (STANDING 5.7-7). None: there is no other.
    """
    rungs = [s.imposed.rung for s in history.sanctions if s.imposed.incident_id == incident.opened.incident_id]
    rung = max(rungs, default=Rung.WARN)
    return Window(
        closes_at=later(appeal_until(incident, rung, terms), appeal_until(incident, rung, at_act or terms))
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """What an appeal is about: a sanction, or where `sanction` is None the strike of an incident."""

    incident: IncidentFile
    sanction: SanctionFile | None

    @property
    def sanction_id(self) -> str:
        return self.sanction.imposed.sanction_id if self.sanction is not None else ""

    @property
    def appeal_id(self) -> str:
        return derived_id("p", self.sanction_id or self.incident.opened.incident_id)


def contestable(
    history: History,
    terms: Agreement,
    at: datetime,
    *,
    is_late_taken: bool = False,
    terms_at: Callable[[datetime], Agreement] | None = None,
) -> tuple[Target, ...]:
    """Say everything that can be contested at `at` and has not been: every sanction whose window is open, and every
    strike that counts and brought none.

    Args:
        terms_at: says the version in force at an act; None: there is but one.
        is_late_taken: also what is out of time, which is at the reviewer's discretion (CLAUSES §6).
    """
    out = []
    for incident in history.incidents:
        if incident.is_void:
            continue
        at_act = terms_at(incident.opened.at) if terms_at is not None else None
        if not is_late_taken and not window(incident, history, terms, at_act).is_open(at):
            continue
        files = [s for s in history.sanctions if s.imposed.incident_id == incident.opened.incident_id]
        counts = strike_at(incident, history, at) is not None
        found = [Target(incident=incident, sanction=s) for s in files if s.annulled_at is None]
        out += found or ([Target(incident=incident, sanction=None)] if counts else [])
    return tuple(out)


def is_contested(target: Target, known: Iterable[AppealFile]) -> bool:
    """Say whether an appeal about it was filed before, open or decided: there is one, and it can be reopened once."""
    return any(x.appeal_id == target.appeal_id for x in known)


def alike(known: Iterable[AppealFile], one: AppealFile, history: History) -> tuple[AppealFile, ...]:
    """Say the other open appeals of the account that one decision may settle with this one: those of the same incident,
    and of the row of incidents of its families that touch each other (a batch appeal)."""
    files = {i.opened.incident_id: i for i in history.incidents}
    mine = files.get(one.filed.incident_id)
    families = mine.families if mine is not None else frozenset()
    return tuple(
        x
        for x in known
        if x.is_open
        and x.appeal_id != one.appeal_id
        and (
            x.filed.incident_id == one.filed.incident_id
            or bool(families & (files[x.filed.incident_id].families if x.filed.incident_id in files else frozenset()))
        )
    )
