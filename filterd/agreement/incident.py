"""Which incident does an act belong to, and what kind of incident is a new one?  STANDING 5.3.

One account, one act: violations linked by clause family, text or message within the window of the first; the window
closes early some time after the incident's notice is received.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

from filterd.agreement.category import RAISED_FAMILY
from filterd.agreement.cure import cured_at
from filterd.agreement.standing import Stretch, stretches, strike_at, was_cut
from filterd.agreement.terms import Agreement, Category
from filterd.model.ids import derived_id
from filterd.model.records import IncidentOpened
from filterd.model.sanction import Feature, Mode, Rung, Violation
from filterd.model.standing import History, IncidentFile


def closes_at(incident: IncidentFile, terms: Agreement) -> datetime:
    """Say the last instant at which an incident takes something in."""
    end = incident.opened.at + timedelta(hours=terms.incident.window_hours)
    if incident.noticed_at is None:
        return end
    return min(end, incident.noticed_at + timedelta(hours=terms.incident.close_after_notice_hours))


def find_open(
    history: History, terms: Agreement, at: datetime, violations: tuple[Violation, ...], links: frozenset[str]
) -> IncidentFile | None:
    """Say the incident that these violations join: the older one when they link to two, None when they begin one.

    What happened a little before the first recorded act joins too: two workers do not record in the order of the clock
    (STANDING 5.7-11). An annulled incident still takes in what belongs to it, and gives nothing for it: an error is not
    made again by the next message of the same run. One that is excused takes in only what was done before it was: what
    comes after the password was changed is an act of its own. What gives points never joins an incident in which
    nothing did: a warning without points (agreement/raised) must not decide when another act begins.
    """
    counts = any(v.mode in (Mode.A, Mode.B) for v in violations)
    families = {v.family for v in violations}
    window = timedelta(hours=terms.incident.window_hours)
    linked = [
        incident
        for incident in history.incidents
        if incident.opened.at - window <= at <= closes_at(incident, terms)
        and (incident.excused_at is None or at < incident.excused_at)
        and not (counts and is_raised_only(incident))
        and (families & incident.families or links & incident.links)
    ]
    return min(linked, key=lambda i: i.opened.at, default=None)


def is_raised_only(incident: IncidentFile) -> bool:
    """Say whether it holds nothing but what a raised C2 category found: no points, a warning and no more."""
    return bool(incident.families) and all(family.startswith(RAISED_FAMILY) for family in incident.families)


def open_incident(
    history: History,
    terms: Agreement,
    at: datetime,
    violations: tuple[Violation, ...],
    *,
    tenant_id: str,
    evidence_key: str,
    first_delivery_key: str,
    incident_id: str | None = None,
) -> IncidentOpened:
    """Make the opening record of a new incident.

    The id follows from the subject, the family, the first evidence and its first recipient, so that two nodes agree and
    the same octets to new recipients on another day make another incident (STANDING 5.7-10, HOUSE rule 6).
    """
    family = violations[0].family
    opened = IncidentOpened(
        at=at,
        incident_id=incident_id or derived_id("i", history.account_id, family, evidence_key, first_delivery_key),
        account_id=history.account_id,
        tenant_id=tenant_id,
        family=family,
        evidence_key=evidence_key,
        is_after_notice=False,
        is_first=False,
        is_in_probation=is_in_probation(history, terms, at),
    )
    file = IncidentFile(opened=opened, families=frozenset(v.family for v in violations))
    return replace(opened, is_after_notice=is_after_notice(history, file), is_first=is_first(history, file))


def counting_before(history: History, incident: IncidentFile) -> list[IncidentFile]:
    """Say which other incidents' strikes counted when this one began, as far as we know today."""
    began = incident.opened.at
    return [i for i in _earlier(history, incident) if strike_at(i, history, began) is not None]


def is_first(history: History, incident: IncidentFile) -> bool:
    """Say whether no other strike counted when it began; a provisional one does (STANDING 5.3 step 2)."""
    return not counting_before(history, incident)


def is_after_notice(history: History, incident: IncidentFile) -> bool:
    """Say whether its author had been told about an earlier one of the family whose strike counted."""
    began = incident.opened.at
    # Of a family without points (agreement/raised) nobody is told anything that could make the next act dearer.
    families = {family for family in incident.families if not family.startswith(RAISED_FAMILY)}
    return any(
        i.families & families and i.noticed_at is not None and i.noticed_at < began
        for i in counting_before(history, incident)
    )


def is_in_probation(history: History, terms: Agreement, at: datetime) -> bool:
    """Say whether a suspension ran out (or lapsed) at most the probation time before `at`.

    One that a person lifted, that stepped down, or that was undone leaves no probation; one that a cure lifted does.
    """
    length = timedelta(days=terms.probation_days)
    for sanction in history.sanctions:
        pieces = stretches(sanction, terms, at)
        # Mended, and lifted for that: on probation all the same (AL-7.1, STANDING 5.3).
        cured = cured_at(history, sanction.imposed.sanction_id, at)
        is_recent = cured is not None and sanction.annulled_at is None and cured <= at < cured + length
        if cured is not None and is_recent and any(_was_cut_short(piece, cured) for piece in pieces):
            return True
        if sanction.lifted_at is not None or sanction.annulled_at is not None or len(pieces) != 1:
            continue
        piece = pieces[0]
        if piece.rung is not Rung.SUSPEND or piece.until is None or was_cut(sanction, piece.until, terms):
            continue
        if piece.until <= at < piece.until + length:
            return True
    return False


def _was_cut_short(piece: Stretch, at: datetime) -> bool:
    return piece.rung > Rung.WARN and piece.since < at <= (piece.until or at)


def grace_cap(history: History, terms: Agreement, incident: IncidentFile) -> int | None:
    """Say the highest ladder step an incident may reach that began too soon after a notice; None for no cap.

    STANDING 5.3 step 3: the grace is that of the earlier incident's severity and runs from its latest notice; the cap
    is the step that notice told of; of several graces the mildest binds. A notice that has not gone out is one just
    received. From the second zero-tolerance incident on there is none.
    """
    began = incident.opened.at
    earlier_files = counting_before(history, incident)
    if is_zero_tolerance(incident, terms) and any(is_zero_tolerance(i, terms) for i in earlier_files):
        return None
    caps = []
    for other in earlier_files:
        if other.strike is None:
            continue
        received = [n for n in other.notices if n <= began]
        if received and began > received[-1] + terms.grace(other.strike.severity):
            continue
        told_at = received[-1] if received else began
        steps = [
            s.step
            for s in history.sanctions
            if s.imposed.incident_id == other.opened.incident_id and s.imposed.starts_at <= told_at
        ]
        caps.append(max(steps, default=0))
    return min(caps, default=None)


def is_long_noticed(history: History, terms: Agreement, incident: IncidentFile) -> bool:
    """Say whether a notice of an earlier incident was received long enough before this one for a suspension (AL-7.1).

    The first notice counts: what was told a week ago is not told anew by a second warning.
    """
    hours = terms.incident.suspension_notice_hours
    if hours is None:
        return True
    latest = incident.opened.at - timedelta(hours=hours)
    return any(noticed <= latest for i in counting_before(history, incident) for noticed in i.notices)


def is_zero_tolerance(incident: IncidentFile, terms: Agreement) -> bool:
    """Say whether an incident holds mode-A malware or its like, or a burst in mode A."""
    strict = {item.id for item in terms.category if item.zero_tolerance}
    return incident.has_burst or any(in_a and name in strict for name, _, in_a in incident.recipients)


def _earlier(history: History, incident: IncidentFile) -> list[IncidentFile]:
    """Say the incidents opened before this one, in the order written."""
    ids = [i.opened.incident_id for i in history.incidents]
    own = incident.opened.incident_id
    return list(history.incidents[: ids.index(own)] if own in ids else history.incidents)


def scope_of(incident: IncidentFile, terms: Agreement, shadows: tuple[Violation, ...] = ()) -> tuple[Feature, ...]:
    """The union of the scopes of the categories an incident has so far, and of those that count for nothing now."""
    more = [c for v in shadows if (c := terms.find_category(v.category)) is not None]
    found = [f for category in (*categories_of(incident, terms), *more) for f in category.features]
    return tuple(dict.fromkeys(found))


def categories_of(incident: IncidentFile, terms: Agreement) -> list[Category]:
    """The categories of an incident that the agreement still has."""
    found = [terms.find_category(name) for name, _, _ in incident.recipients]
    return [category for category in found if category is not None]
