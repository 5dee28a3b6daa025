"""Undo an error, or excuse what was not its user's doing: take incidents out and replay the ladder without them.

STANDING 5.4 row 7, 5.7-3, 5.7-4, 5.7-7, 5.7-14. Every later automatic sanction becomes min(old, replayed) and time
served counts; replay never raises anyone. An act is weighed again by the versions of the agreement it was weighed by,
the milder of them, whatever is in force now. Human decisions are left for a person to look at again.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import partial

from filterd.agreement.fold import apply, fold
from filterd.agreement.offence import Offence, Outcome, commit_hypothesis, commit_indicator, commit_offence
from filterd.agreement.standing import Stretch, earlier, stretches
from filterd.agreement.terms import Agreement
from filterd.agreement.versions import Packs, milder_of, pinned_by
from filterd.model import records as r
from filterd.model.ids import derived_id
from filterd.model.sanction import Feature, Preset, Rung
from filterd.model.standing import History, SanctionFile


def _none(_: str) -> Agreement | None:
    """There is but one version."""
    return None


@dataclass(frozen=True, slots=True, kw_only=True)
class Annulment:
    """What annulling adds to the ledger, and whether there was anything to annul."""

    records: tuple[r.Record, ...]
    changed_sanctions: tuple[str, ...]


def annul(
    account_id: str,
    records: Sequence[r.Record],
    terms: Agreement,
    preset: Preset,
    *,
    incident_id: str,
    at: datetime,
    by: str,
    reason: str,
    packs: Packs = _none,
) -> Annulment:
    """Say the records that undo an incident and what follows from it; empty when it is undone already.

    Args:
        terms: those in force, or that the case rests on. `packs`: finds earlier versions.
    """
    history = fold(account_id, records)
    incident = next((i for i in history.incidents if i.opened.incident_id == incident_id), None)
    if incident is None or incident.strike is None or incident.is_annulled:
        return Annulment(records=(), changed_sanctions=())
    annulled = r.StrikeAnnulled(
        at=at, strike_id=incident.strike.strike_id, incident_id=incident_id, by=by, reason=reason
    )
    return _without(history, records, terms, preset, (annulled,), at, "strike annulled", packs)


def excuse(
    account_id: str,
    records: Sequence[r.Record],
    terms: Agreement,
    preset: Preset,
    *,
    incident_ids: Sequence[str],
    at: datetime,
    by: str,
    attestation_id: str,
    packs: Packs = _none,
) -> Annulment:
    """Say the records that make the strikes of some incidents not attributable, and what follows from it.

    The incidents go on existing and count for nothing; what the machine imposed for them ends (STANDING 5.7-14).
    """
    history = fold(account_id, records)
    wanted = set(incident_ids)
    excused = tuple(
        r.StrikeExcused(
            at=at,
            strike_id=i.strike.strike_id if i.strike is not None else derived_id("k", i.opened.incident_id),
            incident_id=i.opened.incident_id,
            by=by,
            attestation_id=attestation_id,
        )
        for i in history.incidents
        if i.opened.incident_id in wanted and not i.is_void
    )
    if not excused:
        return Annulment(records=(), changed_sanctions=())
    return _without(history, records, terms, preset, excused, at, "strike not attributable", packs)


def _without(
    history: History,
    records: Sequence[r.Record],
    terms: Agreement,
    preset: Preset,
    undone: Sequence[r.StrikeAnnulled | r.StrikeExcused],
    at: datetime,
    because: str,
    packs: Packs,
) -> Annulment:
    """Write down what is undone, replay without it, and make milder what would have been."""
    out: list[r.Record] = list(undone)
    for record in undone:
        history = apply(history, record)
    gone = {x.incident_id for x in undone}
    without = gone | _already_undone(records)
    replayed = replay(history.account_id, records, terms, preset, without=without, packs=packs)
    # A strike that would have weighed less without the error weighs less from now on.
    for new in replayed.incidents:
        old = next(i for i in history.incidents if i.opened.incident_id == new.opened.incident_id)
        if milder := _milder_strike(old.strike, new.strike):
            out.append(milder)
    changed = []
    for file in history.sanctions:
        if not file.imposed.is_automatic or file.annulled_at is not None or file.imposed.at > at:
            continue
        if change := _milder_sanction(file, replayed, terms, at, because):
            out.append(change)
            changed.append(file.imposed.sanction_id)
    began = min(i.opened.at for i in history.incidents if i.opened.incident_id in gone)
    out += _reassessments(history, began, terms, at)
    return Annulment(records=tuple(out), changed_sanctions=tuple(changed))


def replay(
    account_id: str,
    records: Sequence[r.Record],
    terms: Agreement,
    preset: Preset,
    *,
    without: set[str],
    packs: Packs = _none,
) -> History:
    """Run the ladder again over the violations of an account, leaving some incidents out.

    Incidents keep their ids and times; what people did to the others is applied again at its place, and what they did
    to a sanction to the one that its message brings this time.
    """
    history = History(account_id=account_id)
    automatic = {x.sanction_id: x for x in records if isinstance(x, r.SanctionImposed) and x.is_automatic}
    tenants = {x.incident_id: x.tenant_id for x in records if isinstance(x, r.IncidentOpened)}
    # By which versions the last act of each incident was weighed: what people settle about it holds by the same.
    pinned: dict[str, tuple[Agreement, ...]] = {}
    for record in records:
        if getattr(record, "incident_id", None) in without:
            continue
        match record:
            case r.ViolationRecorded():
                pinned[record.incident_id] = between = pinned_by(record, terms, packs)
                history = _weighed(history, partial(commit_offence, offence=_offence(record, tenants)), between, preset)
            case r.SanctionLifted() | r.SanctionConfirmed() | r.ObjectionFiled() | r.ObjectionAnswered():
                if meant := automatic.get(record.sanction_id):
                    history, sanction_id = _counterpart(history, meant)
                    record = replace(record, sanction_id=sanction_id)
                history = apply(history, record)
            case r.IndicatorSeen():
                # One without a case speaks through the mail that came after it, which has it on record.
                if record.incident_id is not None:
                    own = pinned.get(record.incident_id, (terms,))[0]
                    history = commit_indicator(history, record, own).history
            case r.HypothesisSettled():
                between = pinned.get(record.incident_id, (terms,))
                history = _weighed(history, partial(commit_hypothesis, settled=record), between, preset)
            case r.NoticeSent() | r.HoldReleased() | r.AppealAssigned() | r.AppealQuestioned():
                history = apply(history, record)
            case r.SanctionImposed() if not record.is_automatic:
                history = apply(history, record)
            case _:
                continue
    return history


def _weighed(
    history: History, commit: Callable[..., Outcome], between: tuple[Agreement, ...], preset: Preset
) -> History:
    """Commit one act by the milder of the versions it lies between."""
    return milder_of(lambda terms: commit(history, terms=terms, preset=preset), between)[1].history


def _counterpart(history: History, meant: r.SanctionImposed) -> tuple[History, str]:
    """Find the sanction that the same message brought in the replay, whatever its step and so its id.

    Where it brought none, an empty one stands in: the incident is under objection all the same (STANDING 5.3).
    """
    found = _same(history, meant)
    if found is not None:
        return history, found.imposed.sanction_id
    # Not the old id, which another message of the incident may come to use.
    sanction_id = derived_id("s", meant.decision_id, "none")
    empty = replace(meant, sanction_id=sanction_id, rung=Rung.NONE, step=-1, features=())
    return apply(history, empty), sanction_id


def _same(history: History, meant: r.SanctionImposed) -> SanctionFile | None:
    """Say the automatic sanction of the same message, None when it has none."""
    ours = (s for s in history.sanctions if s.imposed.is_automatic)
    return next((s for s in ours if s.imposed.decision_id == meant.decision_id), None)


def _offence(record: r.ViolationRecorded, tenants: dict[str, str]) -> Offence:
    return Offence(
        at=record.at,
        tenant_id=tenants[record.incident_id],
        transaction_id=record.transaction_id,
        decision_id=record.decision_id,
        evidence_key=record.evidence_key,
        text_fp=record.text_fp,
        violations=record.violations,
        delivery_keys=record.delivery_keys,
        policy_digest=record.policy_digest,
        evidence_digest=record.evidence_digest,
        is_strong=record.is_strong,
        incident_id=record.incident_id,
        indicators=record.indicators,
        hypothesis=record.hypothesis,
        signals=record.signals,
        recipient_marks=record.recipient_marks,
    )


def _already_undone(records: Sequence[r.Record]) -> set[str]:
    return {x.incident_id for x in records if isinstance(x, (r.StrikeAnnulled, r.StrikeExcused))}


def _milder_strike(old: r.StrikeIssued | None, new: r.StrikeIssued | None) -> r.StrikeIssued | None:
    """Say the strike with the fewer points and the longer doubt of the two; None when that is the old one."""
    if old is None or new is None:
        return None
    milder = replace(
        old,
        a_half_points=min(old.a_half_points, new.a_half_points),
        b_half_points=min(old.b_half_points, new.b_half_points),
        # Without the error this may have been the first incident, whose points are provisional.
        provisional_until=old.provisional_until or new.provisional_until,
    )
    return milder if milder != old else None


def _milder_sanction(
    file: SanctionFile, replayed: History, terms: Agreement, at: datetime, because: str
) -> r.SanctionReplayed | None:
    """Say how a sanction changes when the replay gives less for the same message; None when it does not.

    Served time counts: what goes on keeps its start, and ends at the earlier of the two ends.
    """
    same = _same(replayed, file.imposed)
    step = min(file.step, same.step if same is not None else -1)
    running = _running(file, terms, at, lapse=file.imposed.lapses_at)
    now = _running(same, terms, at, lapse=file.imposed.lapses_at) if same is not None else None
    if now is not None and now.rung <= Rung.WARN:
        now = None
    rung: Rung = Rung.NONE
    features: tuple[Feature, ...] = ()
    ends_at: datetime | None = at
    if running is not None and now is not None:
        kept = now if now.rung < running.rung else running
        rung, features, ends_at = kept.rung, kept.features, earlier(running.until, now.until)
    is_same = running is None or running.rung <= Rung.WARN or (rung, ends_at) == (running.rung, running.until)
    if step == file.step and is_same:
        return None
    return r.SanctionReplayed(
        at=at,
        sanction_id=file.imposed.sanction_id,
        incident_id=file.imposed.incident_id,
        because=because,
        rung=rung,
        step=step,
        features=features,
        ends_at=ends_at,
    )


def _running(file: SanctionFile, terms: Agreement, at: datetime, *, lapse: datetime | None) -> Stretch | None:
    """Say what of a sanction runs at `at`, with the end it has once a person confirms it; None when nothing does.

    A `lapse` still to come is no end yet: the sanction replayed keeps it, and a person may confirm it after the
    replay. An earlier lapse, by the rule of a milder rung, stays an end.
    """
    found = next((p for p in stretches(file, terms, at) if p.covers(at)), None)
    own = file.imposed.lapses_at
    if found is None or own is None or lapse is None or own < lapse:
        return found
    unlapsed = replace(file, imposed=replace(file.imposed, lapses_at=None))
    return next((p for p in stretches(unlapsed, terms, at) if p.covers(at)), None)


def _reassessments(history: History, since: datetime, terms: Agreement, at: datetime) -> list[r.Record]:
    """Later human decisions get a task, not a silent lift (STANDING 5.7-3)."""
    return [
        r.TaskOpened(
            at=at,
            task_id=derived_id("w", file.imposed.sanction_id, "reassess", at.isoformat()),
            incident_id=file.imposed.incident_id,
            account_id=history.account_id,
            what="reassess: an earlier strike was annulled",
            warranted="none",
            imposed=file.imposed.rung.word,
            due_at=at + timedelta(hours=terms.incident.task_due_hours),
        )
        for file in history.sanctions
        if file.imposed.at > since
        and (not file.imposed.is_automatic or file.confirmed_at is not None)
        and file.annulled_at is None
        # A termination that is decided and has not begun is looked at again too.
        and any(p.until is None or p.until > at for p in stretches(file, terms, at))
    ]
