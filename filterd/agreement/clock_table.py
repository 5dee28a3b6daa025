"""The table of all clocks, for people to read: `filterd clock list`.  CLAUSES §6.

A row: what strikes, whose clause it is, from when, how long, what follows, what pauses or ends it. Lengths are the
shipped ones; an agreement's own stand in its file.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Clock:
    """One row."""

    name: str
    clause: str
    start: str
    length: str
    end: str
    pause: str


def _row(text: str) -> Clock:
    name, clause, start, length, end, pause = (cell.strip() for cell in text.split("|"))
    return Clock(name=name, clause=clause, start=start, length=length, end=end, pause=pause)


CLOCKS = tuple(
    map(
        _row,
        (
            "renewal.due | AL-2.2 | last day | -7 d | notice once | renewal",
            "service.stopped | AL-2.2 | last day 24:00 | 0 | stopped | renewal",
            "service.over | AL-2.2 | stop | 30 d; 37 d from the first provable notice | deletion eligible"
            " | renewal, legal hold, appeal",
            "breach.grace | AL-7.1 | written notice deemed | 24 h | suspension possible | cure",
            "cure.unanswered | AL-7.1 | cure filed | 3 d | lifted on probation | answered",
            "mx.ended | TX-4.4.4 | first bad probe | 30 full bad days | ended | a good probe; unknown adds its days",
            "service.ended | TX-4.4.3 | last day 24:00 | 30 d | deletion eligible | renewal, legal hold",
            "law.changed | TX-8.2.7 | notice deemed | 15 d | may end | -",
            "shutdown | TX-8.2.8 | notice | 30 d at least | intake closes | taken back",
            "termination.kept | TX-4.3.1 | termination | 30 d, and no appeal | deletion eligible | legal hold, appeal",
            "sanction.expired | TX-4.3.1 | start | ladder time | ends | -",
            "sanction.lapsed | STANDING 5.9 | start | 72 h, attended | lapses | confirmation",
            "review.overdue | STANDING 5.9 | start of an automatic sanction | 24 h | alarm | confirmation",
            "sanction.stepped_down | TX-6.1 | objection | 24 h | one rung down | a person answered",
            "appeal.overdue | STANDING 5.6 | objection to a person's act | 24 h, then 7 d or half | alarm | decided",
            "points.final | STANDING 5.3 | strike | 72 h | final at 2 at most | attestation, a person",
            "appeal.closed | TX-6.1 | deemed or first shown | while it counts; 180 d or 30 d | closed | -",
            "hold.decision | AL-2.1 | outbound hold | 2 h | alarm | maintenance",
            "hold.returned | STANDING 5.7-23 | outbound hold | 24 h | back to the sender | -",
            "hold.removed | STANDING 5.7-23 | inbound hold | 30 d, told 3 d before | removed | released",
            "complaint.overdue | TX-4.1.3, AL-2.1 | receipt | 24 h; trouble with mail 2 h | alarm and task"
            " | maintenance, closed by a person",
            "request.overdue | AL-2.1 | question, or trouble with mail (our hold) | 5 h, 2 h | alarm | maintenance",
            "request.three_quarters | AL-2.1 | the same | three quarters of it | the desk is told | maintenance",
            "report.overdue | TX-4.3.2 | a report that may be due | its day | alarm | settled by a person",
            "change.effective | TX-4.1.4 | announcement | the day it names | it is in effect | -",
            "site.erased | TX-8.2.8 | shutdown | the day it names | nothing personal is left | taken back",
            "termination.executes | STANDING 5.4 | approval and notice | 7 d | executes | appeal, veto",
            "locked_hit.erased | CLAUSES 1 | sealed hit | 30 d | erased | a person opened a case",
            "fingerprint.erased | TX-8.2.4 | termination | 3 y | erased | annulment erases at once",
            "suspension.relook | AL-7.1 | open-ended suspension | every 30 d | task | ended",
            "hold.reminder | STANDING 5.7-14 | open hold | every 7 d | notice | ended",
        ),
    )
)
