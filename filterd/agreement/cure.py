"""Was a breach cured, and since when?  AL-7.1, STANDING 5.4 row 6.

A cure has three parts: it has stopped, its effects were dealt with, and the loss was made good or that was waived in
writing. Accepted, it lifts the sanction; so does silence: who gets no answer in time is believed, which follows from
the records and the instant alone. Refused, it changes nothing, and can be filed again.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from filterd.model import records as r
from filterd.model.standing import History

ACCEPTED, REFUSED = "accepted", "refused"
PARTS = ("stopped", "measures", "compensation")


@dataclass(frozen=True, slots=True, kw_only=True)
class CureFile:
    """A cure with its answer; None: nobody has answered."""

    filed: r.CureFiled
    answered: r.CureAnswered | None = None

    def state(self, at: datetime) -> str:
        """Say `open`, `accepted`, `refused`, or `unanswered`: then the sanction is lifted all the same."""
        # An answer after the time for it is none: the sanction was lifted already.
        if self.answered is not None and self.answered.at < self.filed.due_at:
            return self.answered.outcome
        return "open" if at < self.filed.due_at else "unanswered"


def missing(filed: r.CureFiled) -> tuple[str, ...]:
    """Say which of PARTS it lacks."""
    has = (filed.has_stopped, filed.has_measures, filed.has_compensation or filed.has_waiver)
    return tuple(part for part, is_there in zip(PARTS, has, strict=True) if not is_there)


def cures(history: History) -> tuple[CureFile, ...]:
    """Say every cure on record, the oldest first."""
    answers = {answer.cure_id: answer for answer in reversed(history.of(r.CureAnswered))}
    return tuple(CureFile(filed=filed, answered=answers.get(filed.cure_id)) for filed in history.of(r.CureFiled))


def cured_at(history: History, sanction_id: str, known_at: datetime) -> datetime | None:
    """Say when a cure ended a sanction, None when none has by `known_at`. One with a part missing ends nothing."""
    ends = []
    for file in cures(history):
        if file.filed.sanction_id != sanction_id or missing(file.filed):
            continue
        match file.state(known_at):
            case "accepted" if file.answered is not None and file.answered.at <= known_at:
                ends.append(file.answered.at)
            case "unanswered":
                ends.append(file.filed.due_at)
            case _:
                pass
    return min(ends, default=None)
