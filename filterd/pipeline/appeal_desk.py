"""Finding an appeal with all that it is about, and who may decide it.  STANDING 5.5, 5.6."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from filterd.agreement.appeal import AppealFile, Target, Targets, appeals, contestable, is_contested, targets
from filterd.agreement.appeal_review import Review, may_review
from filterd.agreement.proposal import staffing_of
from filterd.agreement.terms import Agreement
from filterd.errors import PortError, RefusedError, UsageError
from filterd.model import records as r
from filterd.model.decision import NoticeDue
from filterd.model.evidence import Kept, kept
from filterd.model.ids import derived_id
from filterd.model.principal import Account
from filterd.model.standing import History, IncidentFile, SanctionFile
from filterd.pipeline.desk import Desk
from filterd.pipeline.enterprise import note_appeal
from filterd.pipeline.notice_events import announce_event
from filterd.pipeline.people import Actor, Arguments
from filterd.pipeline.roles import deciders, permitted
from filterd.ports import LedgerTxn

MAX_TEXT_CHARS = 2000
# Opening more to see whether anything is left would hold the ledger up.
_READ_AT_MOST = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class AppealCase:
    """An appeal with everything around it. `sanction` None: it is about a strike alone."""

    account: Account
    terms: Agreement
    history: History
    records: tuple[r.Record, ...]
    appeal: AppealFile
    incident: IncidentFile
    sanction: SanctionFile | None

    @property
    def subject_id(self) -> str:
        """Whose history has its rows."""
        return self.account.account_id

    def targets(self, at: datetime) -> Targets:
        return targets(self.appeal, self.sanction, self.terms, at)


def find(desk: Desk, txn: LedgerTxn, appeal_id: str) -> AppealCase:
    """Find an appeal by its id. Raises UsageError; and RefusedError for one against a hold, which is answered apart."""
    account_id = txn.account_of(appeal_id)
    account = txn.account(account_id) if account_id is not None else None
    found = cases_of(desk, txn, account) if account is not None else ()
    case = next((x for x in found if x.appeal.appeal_id == appeal_id), None)
    if case is not None:
        return case
    known = appeals(txn.records(account.account_id)) if account is not None else ()
    if any(x.appeal_id == appeal_id for x in known):
        raise RefusedError("this objection is against a hold, not a sanction: filterd hold answer")
    raise UsageError(f"no appeal {appeal_id}")


def acting_on(desk: Desk, txn: LedgerTxn, arguments: Arguments, verb: str) -> tuple[Actor, AppealCase]:
    """Say who acts, and on which appeal. Raises RefusedError for who may not, UsageError for no appeal."""
    actor = permitted(txn, arguments, verb)
    case = find(desk, txn, str(arguments.get("appeal") or ""))
    desk.refuse_unless_reached(txn, actor, verb, case.account)
    return actor, case


def cases_of(desk: Desk, txn: LedgerTxn, account: Account) -> tuple[AppealCase, ...]:
    """Say every appeal of an account against a sanction or a strike, the oldest first."""
    records = txn.records(account.account_id)
    files = appeals(records)
    if not files:
        return ()
    history = txn.history(account.account_id)
    in_force = desk.terms(txn, account)
    incidents = {i.opened.incident_id: i for i in history.incidents}
    sanctions = {s.imposed.sanction_id: s for s in history.sanctions}
    out = []
    for appeal in files:
        incident = incidents.get(appeal.filed.incident_id)
        sanction = sanctions.get(appeal.filed.sanction_id)
        if incident is None or (sanction is None and appeal.filed.sanction_id):
            continue
        clauses = sanction.imposed.clauses if sanction is not None else ()
        out.append(
            AppealCase(
                account=account,
                terms=desk.rules.terms_with(clauses, in_force),
                history=history,
                records=records,
                appeal=appeal,
                incident=incident,
                sanction=sanction,
            )
        )
    return tuple(out)


def reviewer(desk: Desk, txn: LedgerTxn, actor: Actor, case: AppealCase) -> Review:
    """Say that somebody may decide an appeal, and whether that is marked. Raises RefusedError for who may not."""
    rules = desk.rules.staffing
    staffing = staffing_of(rules, len(deciders(txn)))
    review = may_review(case.appeal, case.records, actor.name, txn.now, staffing, rules)
    if review.refusal is not None:
        raise RefusedError(review.refusal)
    return review


# --- filing -----------------------------------------------------------------------------------------------------------


def open_targets(
    desk: Desk, txn: LedgerTxn, account: Account, *, case: str | None = None, is_late_taken: bool = False
) -> tuple[Target, ...]:
    """Say what of an account can be contested now and has not been; of one sanction, incident or case id, only that."""
    history, terms = txn.history(account.account_id), desk.terms(txn, account)
    known = appeals(txn.records(account.account_id))
    found = contestable(
        history,
        terms,
        txn.now,
        is_late_taken=is_late_taken,
        terms_at=lambda at: desk.rules.at_act(terms, txn.tenant(account.tenant_id), at),
    )
    return tuple(x for x in found if not is_contested(x, known) and (case is None or _is_meant(x, case)))


def _is_meant(target: Target, said: str) -> bool:
    incident_id = target.incident.opened.incident_id
    return said in (target.sanction_id, incident_id) or incident_id.split("_", 1)[-1].startswith(
        said.split("_", 1)[-1]
    )


def file(desk: Desk, txn: LedgerTxn, account: Account, target: Target, *, channel: str, text: str | None) -> str:
    """Record one objection, which opens an appeal, and promise its acknowledgement. Says the appeal's id.

    Args:
        text: the account's own words, sealed; None: none, which is enough.
    """
    incident_id = target.incident.opened.incident_id
    filed = r.ObjectionFiled(
        at=txn.now,
        appeal_id=target.appeal_id,
        sanction_id=target.sanction_id,
        incident_id=incident_id,
        account_id=account.account_id,
        channel=channel,
    )
    desk.append(txn, account, filed, {"text": text} if text else None)
    tenant_id = target.incident.opened.tenant_id or account.tenant_id
    note_appeal(txn, account, tenant_id, appeal_id=filed.appeal_id, incident_id=incident_id, is_open=True)
    terms = desk.terms(txn, account)
    if target.sanction is not None:
        due = NoticeDue(
            template="objection_received",
            account_id=account.account_id,
            incident_id=incident_id,
            sanction_ids=(target.sanction_id,),
        )
        desk.mail.announce(txn, due, account.tenant_id)
    else:
        by = targets(AppealFile(filed=filed), None, terms, txn.now).decide_by
        announce_event(
            txn,
            "appeal_acknowledged",
            account.account_id,
            {"appeal_id": filed.appeal_id, "incident_id": incident_id, "filed_at": txn.now, "decide_by": by},
        )
    call_desk(txn, account, filed.appeal_id, "appeal", txn.now + timedelta(hours=terms.incident.objection_hours))
    return filed.appeal_id


def call_desk(txn: LedgerTxn, account: Account, owner_id: str, what: str, due_at: datetime) -> None:
    """Tell the enforcing party's own people that somebody waits for them."""
    task_id = derived_id("w", owner_id, what)
    announce_event(txn, "desk_task", account.account_id, {"task_id": task_id, "what": what, "due_at": due_at})


def text_in(given: object) -> str | None:
    """Say what somebody wrote, None for nothing. Raises RefusedError for more than fits."""
    text = str(given or "").strip()
    if len(text) > MAX_TEXT_CHARS:
        raise RefusedError(f"at most {MAX_TEXT_CHARS} characters")
    return text or None


# --- evidence ---------------------------------------------------------------------------------------------------------


def is_evidence_lost(txn: LedgerTxn, case: AppealCase) -> bool:
    """Say whether of all that was kept of an incident nothing can be read any more, although its time is not over.

    Where nothing was to be kept, or the account had itself erased, nothing is lost by us (STANDING 5.7-22).
    """
    strike = case.incident.strike
    if strike is None or txn.now >= strike.expires_at + timedelta(days=case.terms.appeal.evidence_days):
        return False
    acts = [
        x
        for x in case.records
        if isinstance(x, r.ViolationRecorded)
        and x.incident_id == case.incident.opened.incident_id
        and x.evidence_digest is not None
        and (x.evidence_kept is None or kept(x.evidence_kept) > Kept.HASH)
    ]
    if not acts:
        return False
    there = {x.transaction_id for x in txn.evidence_of(case.account.account_id)}
    left = [x for x in acts if x.transaction_id in there][:_READ_AT_MOST]
    return not any(_is_readable(txn, x.transaction_id) for x in left)


def _is_readable(txn: LedgerTxn, transaction_id: str) -> bool:
    try:
        return txn.read_evidence(transaction_id) is not None
    except PortError as err:
        if err.temporary:
            raise
        return False
