"""Deciding an appeal: what each outcome does.  STANDING 5.6, 5.7-3 to 5.7-6, 5.7-22.

    granted             the strike never counted: it and the sanctions of its own incident are annulled, the ladder is
                        run again without it, the like gives no points for a while, other appeals of the case with it
    partially_granted   the strike stays, this one sanction becomes milder, never anything else: `lift` ends it now;
                        else `rung` (warn, or restrict from a suspension, to what is off now or to `features` of it)
                        and `hours` from now, each left out as it is. What is over cannot become milder
    denied              it stands. That adds no points and confirms none; not possible where we lost the evidence
    inadmissible        it is no appeal against this: somebody else's case, for instance. The reason says so
    withdrawn           the account's side took it back

Each answers the objection. A grant is told in one notice, with the minutes served in error; the others in one each.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from filterd.agreement.appeal import DENIED, GRANTED, OUTCOMES, PARTIALLY, WITHDRAWN, alike
from filterd.agreement.appeal_review import Review
from filterd.agreement.exculpation import exculpations
from filterd.agreement.restitution import restitution
from filterd.agreement.standing import SENDING, Stretch, earlier, stretches
from filterd.errors import RefusedError
from filterd.model import records as r
from filterd.model.sanction import Feature, Rung
from filterd.model.standing import SanctionFile
from filterd.pipeline.appeal_desk import AppealCase, acting_on, cases_of, find, is_evidence_lost, reviewer
from filterd.pipeline.appeal_undo import undo
from filterd.pipeline.desk import Desk, SanctionCase, reason_in
from filterd.pipeline.enterprise import note_appeal
from filterd.pipeline.impose import MAX_HOURS, read_features, read_rung
from filterd.pipeline.notice_events import announce_event
from filterd.pipeline.people import Actor, Arguments
from filterd.ports import LedgerTxn

_LOST = (
    "what was kept of this case cannot be read any more, and its time is not over: the doubt is the account's, so"
    " grant it (an appeal cannot be denied on evidence that we lost)"
)
_BECAUSE = "appeal partially granted"


def decide(desk: Desk, txn: LedgerTxn, arguments: Arguments) -> Any:
    """Decide one appeal with `outcome` and `reason`."""
    actor, case = acting_on(desk, txn, arguments, "appeal.decide")
    minutes = _decide(desk, txn, case, actor, arguments)
    return desk.result(txn, case.account) | {
        "appeal_id": case.appeal.appeal_id,
        "outcome": arguments["outcome"],
        "minutes": minutes,
    }


def decide_batch(desk: Desk, txn: LedgerTxn, arguments: Arguments) -> Any:
    """Decide one appeal and, with it, every open one of the same incident or of a row of like incidents; or just those
    that `appeals` names, of one account. A milder sanction is a matter of each alone."""
    named = [str(x) for x in arguments.get("appeals") or ()]
    first = arguments.get("appeal") or (named[0] if named else "")
    actor, case = acting_on(desk, txn, {**arguments, "appeal": first}, "appeal.decide")
    if arguments.get("outcome") == PARTIALLY:
        raise RefusedError("each sanction is made milder by itself: decide them one by one")
    together = [x.appeal for x in cases_of(desk, txn, case.account)]
    chosen = named or [case.appeal.appeal_id, *(x.appeal_id for x in alike(together, case.appeal, case.history))]
    if unknown := sorted(set(chosen) - {x.appeal_id for x in together}):
        raise RefusedError(f"{unknown[0]} is no appeal of {case.account.account_id}")
    minutes, done = 0, []
    for appeal_id in dict.fromkeys(chosen):
        one = find(desk, txn, appeal_id)
        if not one.appeal.is_open:
            # The grant of another one of the same case has settled it.
            continue
        minutes += _decide(desk, txn, one, actor, arguments)
        done.append(appeal_id)
    if not done:
        raise RefusedError("none of these appeals is open")
    return desk.result(txn, case.account) | {"appeals": done, "outcome": arguments["outcome"], "minutes": minutes}


def _decide(desk: Desk, txn: LedgerTxn, case: AppealCase, actor: Actor, arguments: Arguments) -> int:
    """Write the decision and what it does; say the minutes served in error."""
    outcome, appeal = str(arguments.get("outcome") or ""), case.appeal
    if outcome not in OUTCOMES:
        raise RefusedError(f"outcome is one of {', '.join(OUTCOMES)}")
    if not appeal.is_open:
        raise RefusedError(f"this appeal is over: {appeal.outcome or appeal.state.value}")
    # To note that it was taken back is no decision about it.
    review = reviewer(desk, txn, actor, case) if outcome != WITHDRAWN else Review()
    reason = reason_in(arguments)
    is_lost = outcome in (DENIED, GRANTED, PARTIALLY) and is_evidence_lost(txn, case)
    if is_lost and outcome != GRANTED:
        raise RefusedError(_LOST)
    milder = _milder(txn, case, arguments, actor.name, reason) if outcome == PARTIALLY else None
    owned = [x.imposed.sanction_id for x in case.history.sanctions if _is_of(x.imposed, case)]
    served = restitution(case.history, owned, case.terms, txn.now) if outcome == GRANTED else None
    decided = r.AppealDecided(
        at=txn.now,
        appeal_id=appeal.appeal_id,
        incident_id=appeal.filed.incident_id,
        outcome=outcome,
        by=actor.name,
        reason=reason,
        is_self_review=review.is_self_review,
        minutes=served.minutes if served is not None else 0,
        is_evidence_lost=is_lost,
    )
    desk.append(txn, case.account, decided)
    _noted(txn, case)
    _answer(desk, txn, case, actor.name)
    if outcome == GRANTED:
        _grant(desk, txn, case, decided, arguments)
        return decided.minutes
    if milder is not None:
        desk.append(txn, case.account, milder)
    announce_event(
        txn,
        "appeal_decided",
        case.account.account_id,
        {
            "appeal_id": appeal.appeal_id,
            "incident_id": appeal.filed.incident_id,
            "outcome": outcome,
            "decided_at": txn.now,
            "can_reopen": find(desk, txn, appeal.appeal_id).appeal.can_reopen,
        },
    )
    return 0


def _is_of(imposed: r.SanctionImposed, case: AppealCase) -> bool:
    return imposed.incident_id == case.incident.opened.incident_id


def _noted(txn: LedgerTxn, case: AppealCase) -> None:
    """The tenant's termination waits for this one no more."""
    tenant_id = case.incident.opened.tenant_id or case.account.tenant_id
    appeal_id, incident_id = case.appeal.appeal_id, case.incident.opened.incident_id
    note_appeal(txn, case.account, tenant_id, appeal_id=appeal_id, incident_id=incident_id, is_open=False)


def _answer(desk: Desk, txn: LedgerTxn, case: AppealCase, person: str) -> None:
    if case.sanction is not None:
        about = SanctionCase(account=case.account, terms=case.terms, history=case.history, sanction=case.sanction)
        desk.answer(txn, about, person)


# --- granted ----------------------------------------------------------------------------------------------------------


def _grant(
    desk: Desk, txn: LedgerTxn, case: AppealCase, decided: r.AppealDecided, arguments: Arguments
) -> None:
    account, incident_id = case.account, case.incident.opened.incident_id
    for other in cases_of(desk, txn, account):
        if other.appeal.is_open and other.appeal.filed.incident_id == incident_id:
            # What it is about goes with this one; nobody has to ask for it again.
            desk.append(
                txn,
                account,
                r.AppealDecided(
                    at=txn.now,
                    appeal_id=other.appeal.appeal_id,
                    incident_id=incident_id,
                    outcome=GRANTED,
                    by=decided.by,
                    reason=decided.reason,
                    is_self_review=decided.is_self_review,
                ),
            )
            _noted(txn, other)
            _answer(desk, txn, other, decided.by)
    undo(desk, txn, account, incident_id, by=decided.by, reason=decided.reason)
    keys = _stream_keys(txn, case, arguments)
    for given in exculpations(
        case.records, incident_id, case.terms, txn.now, account_id=account.account_id, stream_keys=keys
    ):
        desk.append(txn, account, given)


def _stream_keys(txn: LedgerTxn, case: AppealCase, arguments: Arguments) -> tuple[str, ...]:
    """Say the keys of the declared stream `stream` names, whose mail is known again by it."""
    entry_id = str(arguments.get("stream") or "")
    if not entry_id:
        return ()
    declared = txn.history(case.account.tenant_id).of(r.StreamDeclared)
    found = [x.key for x in declared if x.entry_id == entry_id and x.account_id == case.account.account_id]
    if not found:
        raise RefusedError(f"{entry_id} is no declared stream of {case.account.account_id}")
    return tuple(found)


# --- partially granted ------------------------------------------------------------------------------------------------


def _milder(txn: LedgerTxn, case: AppealCase, arguments: Arguments, by: str, reason: str) -> r.Record:
    """Make the row that eases a sanction. Raises RefusedError for what is over, or would not be milder."""
    file = case.sanction
    running = _running(case, txn.now)
    if file is None or running is None:
        raise RefusedError("nothing of this sanction is left that could be made milder: grant or deny the appeal")
    imposed = file.imposed
    if arguments.get("lift"):
        return r.SanctionLifted(
            at=txn.now, sanction_id=imposed.sanction_id, incident_id=imposed.incident_id, by=by, reason=reason
        )
    rung = read_rung(arguments["rung"]) if arguments.get("rung") else running.rung
    ends_at = earlier(running.until, _end(arguments, txn.now))
    if rung > running.rung or rung not in (Rung.WARN, Rung.RESTRICT, Rung.SUSPEND):
        raise RefusedError(f"{rung.word} is not milder than {running.rung.word}")
    if imposed.rung is Rung.TERMINATE:
        raise RefusedError("a termination ends by a grant, or as a reinstatement (two people)")
    features = _features(txn, file, running, rung, arguments)
    if (rung, ends_at, features) == (running.rung, running.until, running.features):
        raise RefusedError("say what becomes milder: --lift, --rung, --hours or --feature")
    return r.SanctionReplayed(
        at=txn.now,
        sanction_id=imposed.sanction_id,
        incident_id=imposed.incident_id,
        because=_BECAUSE,
        rung=rung,
        # The step stays: what its incident deserved is not what was eased, and no later mail of it takes that back.
        step=file.step,
        features=features,
        ends_at=ends_at,
    )


def _running(case: AppealCase, at: datetime) -> Stretch | None:
    if case.sanction is None:
        return None
    return next((x for x in stretches(case.sanction, case.terms, at) if x.covers(at)), None)


def _end(arguments: Mapping[str, Any], now: datetime) -> datetime | None:
    if arguments.get("hours") is None:
        return None
    hours = int(arguments["hours"])
    if not 1 <= hours <= MAX_HOURS:
        raise RefusedError(f"hours are 1 to {MAX_HOURS}, from now on; --lift ends it now")
    return now + timedelta(hours=hours)


def _features(
    txn: LedgerTxn, file: SanctionFile, running: Stretch, rung: Rung, arguments: Arguments
) -> tuple[Feature, ...]:
    """Say what stays off. From a suspension down it is the scope of the category; otherwise what is off now."""
    if rung is Rung.WARN:
        return ()
    if rung is Rung.SUSPEND:
        return SENDING
    most = file.imposed.step_down_features if running.rung is Rung.SUSPEND else running.features
    asked = arguments.get("features") or []
    if not asked:
        if not most:
            raise RefusedError("say what stays off: --feature")
        return most
    wanted = read_features(txn, asked)
    if most and (more := [x for x in wanted if x not in most]):
        raise RefusedError(f"{more[0]} is not off now; a milder sanction takes no more away")
    return wanted
