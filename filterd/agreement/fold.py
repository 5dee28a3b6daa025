"""Fold records into a History: the time-independent half of standing (STANDING 5.2).

`apply` never fails on a record of its own kinds and ignores what it does not know, so that an older reader survives a
newer writer. Order is the order written.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from datetime import datetime

from filterd.model import records as r
from filterd.model.decision import NO_TEXT
from filterd.model.sanction import Mode
from filterd.model.standing import UNKNOWN, History, IncidentFile, SanctionFile

# Enough to join the texts and the retries of one campaign; the family joins everything else anyway.
MAX_LINKS = 256

# What the other axes, and the registers, are computed from. The rest tells of acts that change nobody's standing.
_FURTHER = (
    r.AccountReinstated,
    r.AppealDecided,
    r.AppealReopened,
    r.Approved,
    r.AdviceIgnored,
    r.Advised,
    r.AuthorisationGiven,
    r.AutomationFrozen,
    r.AutomationThawed,
    r.BreakerReset,
    r.BreakerTripped,
    r.CategoryRaised,
    r.ChangeAnnounced,
    r.ClockStruck,
    r.BounceCounted,
    r.ComplaintCounted,
    r.ComplaintDiscounted,
    r.ComplaintFiled,
    r.ComplaintMuted,
    r.NotifierMuted,
    r.NotifierWarned,
    r.CureAnswered,
    r.CureFiled,
    r.CustodyCharged,
    r.DeletionRead,
    r.EntryEnded,
    r.EvidenceHeld,
    r.EvidenceReleased,
    r.ExculpationGranted,
    r.LockedCaseClosed,
    r.LockedCaseOpened,
    r.LockedListAdopted,
    r.LockedListsEnabled,
    r.MaintenanceAnnounced,
    r.MaintenanceEnded,
    r.MandateEnded,
    r.MandateGiven,
    r.MigrationOpened,
    r.MxDeclared,
    r.LegalRequestFiled,
    r.ListingNoted,
    r.OptOutEnded,
    r.OptOutFiled,
    r.OptOutIgnored,
    r.NoticeBounced,
    r.NoticeDelayed,
    r.PersonAdded,
    r.PersonVouched,
    r.ProposalEnded,
    r.Proposed,
    r.RegistrationErased,
    r.RegistrationMarked,
    r.RegistrationMatched,
    r.RegistrationSettled,
    r.ReportOpened,
    r.ReportSettled,
    r.SenderProtected,
    r.ServiceEnded,
    r.ServiceResumed,
    r.SiteDecommissioned,
    r.StandingOrderSigned,
    r.StreamDeclared,
    r.StreamNoticed,
    r.SubjectPurged,
    r.TaskClaimed,
    r.TaskClosed,
    r.TenantAppealNoted,
    r.TenantCharged,
    r.TenantDischarged,
    r.TenantLockConfirmed,
    r.TenantLocked,
    r.TenantStepEnded,
    r.TenantStepTaken,
    r.TenantUnlocked,
    r.TermListAdopted,
)

# The notice that a term ends soon.
RENEWAL = "renewal_due"
# The notices before a termination; it begins when enough channels have taken it (agreement/termination).
TERMINATION = "termination_proposed"
TENANT_TERMINATION = "tenant_termination_proposed"

# Notices that tell of a sanction (STANDING 5.3: the incident closes, the grace begins).
WARNINGS = {"warning", "restriction", "suspension"}


def fold(account_id: str, records: Iterable[r.Record]) -> History:
    """Say the history that these records make."""
    history = History(account_id=account_id)
    for record in records:
        history = apply(history, record)
    return history


def apply(history: History, record: r.Record) -> History:
    """Say the history after one more record."""
    match record:
        case r.IncidentOpened():
            opened = IncidentFile(opened=record, families=frozenset({record.family}))
            return replace(history, incidents=(*history.incidents, opened))
        case r.ViolationRecorded():
            return _incident(history, record.incident_id, lambda i: _add_violation(i, record))
        case r.StrikeIssued():
            return _incident(history, record.incident_id, lambda i: replace(i, strike=record))
        case r.SanctionImposed():
            return replace(history, sanctions=(*history.sanctions, SanctionFile(imposed=record)))
        case r.HoldPlaced():
            history = _incident(history, record.incident_id, lambda i: replace(i, has_hold=True))
            return replace(history, holds=(*history.holds, (record, None)))
        case r.HoldReleased() | r.HoldAttested():
            holds = tuple(
                (h, record.at if h.hold_id == record.hold_id and end is None else end) for h, end in history.holds
            )
            return replace(history, holds=holds, further=(*history.further, record))
        case r.IndicatorSeen():
            history = _incident(
                history, record.incident_id or "", lambda i: replace(i, indicators=i.indicators | {record.indicator})
            )
            return replace(history, further=(*history.further, record))
        case r.HypothesisSettled():
            history = _incident(history, record.incident_id, lambda i: replace(i, hypothesis=record.hypothesis))
            return replace(history, further=(*history.further, record))
        case r.StrikeExcused():
            return _excuse(history, record)
        case r.NoticeSent():
            for incident_id in record.incident_ids:
                history = _incident(history, incident_id, lambda i: _notice(i, record))
            if ({RENEWAL, TERMINATION, TENANT_TERMINATION} | WARNINGS) & set(record.template.split("+")):
                # How long data is kept depends on the one (AL-2.2), whether a termination begins on the other; a
                # warning that comes back may have to be taken back (TX-6.2).
                history = replace(history, further=(*history.further, record))
            return history
        case r.NoticeBounced():
            return _bounced(replace(history, further=(*history.further, record)), record)
        case r.SanctionConfirmed():
            history = _incident(history, record.incident_id, lambda i: replace(i, is_confirmed=True))
            return _sanction(
                history, record.sanction_id, lambda s: replace(s, confirmed_at=s.confirmed_at or record.at)
            )
        case r.SanctionLifted():
            return _sanction(history, record.sanction_id, lambda s: replace(s, lifted_at=s.lifted_at or record.at))
        case r.StrikeAnnulled():
            return _annul(history, record)
        case r.SanctionReplayed():
            return _sanction(history, record.sanction_id, lambda s: replace(s, replayed=(*s.replayed, record)))
        case r.ObjectionFiled() | r.ObjectionAnswered() if _is_apart(history, record.sanction_id):
            return replace(history, further=(*history.further, record))
        case r.ObjectionFiled():
            return _sanction(
                history,
                record.sanction_id,
                lambda s: replace(s, objected_at=s.objected_at or record.at, appeal_id=s.appeal_id or record.appeal_id),
            )
        case r.CaseShown():
            return _incident(history, record.incident_id, lambda i: replace(i, shown_at=i.shown_at or record.at))
        case r.AppealAssigned() if record.by != record.reviewer:
            # Given to somebody who has not looked yet.
            return history
        case r.AppealAssigned() | r.AppealQuestioned():
            return _looked(history, record.appeal_id, record.at)
        case r.ObjectionAnswered():
            return _sanction(history, record.sanction_id, lambda s: replace(s, answered_at=s.answered_at or record.at))
        case r.ComplaintClosed():
            # What is left are the cases whose clock still runs: anybody may file one.
            left = (x for x in history.further if not _is_case(x, record.complaint_id))
            return replace(history, further=tuple(left))
        case r.TaskOpened() if record.alert_at is not None:
            # A customer's request: its clock runs without an incident (agreement/requests).
            return replace(history, further=(*history.further, record))
        case r.TaskOpened():
            return _incident(history, record.incident_id, lambda i: replace(i, tasks=i.tasks | {record.task_id}))
    if isinstance(record, _FURTHER):
        return replace(history, further=(*history.further, record))
    return history


def _is_case(record: r.Record, complaint_id: str) -> bool:
    return isinstance(record, r.ComplaintFiled) and record.complaint_id == complaint_id


def _incident(history: History, incident_id: str, change: Callable[[IncidentFile], IncidentFile]) -> History:
    changed = tuple(change(i) if i.opened.incident_id == incident_id else i for i in history.incidents)
    return replace(history, incidents=changed)


def _sanction(history: History, sanction_id: str, change: Callable[[SanctionFile], SanctionFile]) -> History:
    changed = tuple(change(s) if s.imposed.sanction_id == sanction_id else s for s in history.sanctions)
    return replace(history, sanctions=changed)


def _add_violation(incident: IncidentFile, record: r.ViolationRecorded) -> IncidentFile:
    links = incident.links
    if len(links) < MAX_LINKS:
        # A text without letters is everybody's, and makes no campaign of two acts.
        links = links | ({record.evidence_key, record.text_fp} - {NO_TEXT})
    return replace(
        incident,
        families=incident.families | {v.family for v in record.violations},
        delivery_count=incident.delivery_count + len(record.delivery_keys),
        message_count=incident.message_count + 1,
        links=links,
        recipients=_count(incident.recipients, record),
        has_burst=incident.has_burst
        or (record.is_strong and any(v.is_burst and v.mode is Mode.A and not v.is_shadow for v in record.violations)),
        b_families=incident.b_families | {v.family for v in record.violations if v.mode is Mode.B and not v.is_shadow},
        indicators=incident.indicators | frozenset(record.indicators),
        hypothesis=record.hypothesis if incident.hypothesis == UNKNOWN else incident.hypothesis,
    )


def _count(known: tuple[tuple[str, int, int], ...], record: r.ViolationRecorded) -> tuple[tuple[str, int, int], ...]:
    """Add a message's new recipients to each category that may act by itself, apart for mode A."""
    new = len(record.delivery_keys)
    table = {name: (n, a) for name, n, a in known}
    for violation in record.violations:
        if violation.mode not in (Mode.A, Mode.B) or violation.is_shadow:
            continue
        n, a = table.get(violation.category, (0, 0))
        in_a = new if violation.mode is Mode.A and record.is_strong else 0
        table[violation.category] = (n + new, a + in_a)
    return tuple((name, n, a) for name, (n, a) in table.items())


def _notice(incident: IncidentFile, record: r.NoticeSent) -> IncidentFile:
    # An acknowledgement or a protective hold is no warning: it starts no grace and closes nothing.
    if record.deemed_at is None or not WARNINGS & set(record.template.split("+")):
        return incident
    return replace(incident, notices=(*incident.notices, record.deemed_at))


def _bounced(history: History, record: r.NoticeBounced) -> History:
    """Take the deemed time back where every channel that had accepted the notice failed by our fault (TX-6.2)."""
    told = {i for x in history.of(r.NoticeSent) if x.notice_id == record.notice_id for i in x.incident_ids}
    for incident_id in told if not record.is_theirs else ():
        history = _incident(history, incident_id, _with_notices(_received(history, incident_id)))
    return history


def _with_notices(received: tuple[datetime, ...]) -> Callable[[IncidentFile], IncidentFile]:
    return lambda incident: replace(incident, notices=received)


def _received(history: History, incident_id: str) -> tuple[datetime, ...]:
    """Say when each warning of an incident counts as received, in the order written."""
    failed = {(x.notice_id, x.audience) for x in history.of(r.NoticeBounced) if not x.is_theirs}
    doubtful = {notice_id for notice_id, _ in failed}
    found = []
    for x in history.of(r.NoticeSent):
        if x.deemed_at is None or incident_id not in x.incident_ids or not WARNINGS & set(x.template.split("+")):
            continue
        if any((x.notice_id, channel) not in failed for channel in x.channel.split("+")):
            # A channel that was slower than the one that failed counts from its own time.
            found.append(x.at if x.notice_id in doubtful else x.deemed_at)
    return tuple(found)


def _looked(history: History, appeal_id: str, at: datetime) -> History:
    """Somebody has taken an appeal up."""
    changed = tuple(
        replace(s, looked_at=s.looked_at or at) if s.appeal_id == appeal_id else s for s in history.sanctions
    )
    return replace(history, sanctions=changed)


def _is_apart(history: History, some_id: str) -> bool:
    """Say whether an objection is against a hold, or against a step about the whole tenant: no sanction holds it."""
    is_hold = any(hold.hold_id == some_id for hold, _ in history.holds)
    return is_hold or any(step.step_id == some_id for step in history.of(r.TenantStepTaken))


def _excuse(history: History, record: r.StrikeExcused) -> History:
    """Not attributable: the incident stays and counts for nothing, what the machine did because of it ends."""
    history = _incident(history, record.incident_id, lambda i: replace(i, excused_at=i.excused_at or record.at))
    sanctions = tuple(
        replace(s, annulled_at=s.annulled_at or record.at)
        if s.imposed.incident_id == record.incident_id and s.imposed.is_automatic
        else s
        for s in history.sanctions
    )
    return replace(history, sanctions=sanctions, holds=_let_go(history, record.incident_id, record.at))


def _let_go(history: History, incident_id: str, at: datetime) -> tuple[tuple[r.HoldPlaced, datetime | None], ...]:
    """End what protects because of an incident that counts for nothing any more (STANDING 5.4 row 10, 5.7-14)."""
    return tuple((h, at if end is None and h.incident_id == incident_id else end) for h, end in history.holds)


def _annul(history: History, record: r.StrikeAnnulled) -> History:
    history = _incident(history, record.incident_id, lambda i: replace(i, is_annulled=True))
    sanctions = tuple(
        replace(s, annulled_at=s.annulled_at or record.at) if s.imposed.incident_id == record.incident_id else s
        for s in history.sanctions
    )
    return replace(history, sanctions=sanctions, holds=_let_go(history, record.incident_id, record.at))
