"""The decision: assessment, terms and standing in, Decision out.  HOUSE §4 steps 4 and 6.

Pure and synchronous. The ledger calls it inside its transaction with the warm history; for clean mail of an account in
good standing a worker calls the same function and writes nothing.
"""

from __future__ import annotations

from dataclasses import replace

from filterd.agreement.disposition import reasons, strongest
from filterd.agreement.offence import Offence, commit_offence
from filterd.agreement.standing import standing_at
from filterd.agreement.terms import Agreement
from filterd.agreement.violations import advisory, violations
from filterd.agreement.when import Mail
from filterd.model import records as r
from filterd.model.decision import Case, Decision, NoticeDue
from filterd.model.ids import derived_id
from filterd.model.principal import Strength
from filterd.model.sanction import Preset, Rung, Violation
from filterd.model.standing import ALONE, History, Surroundings

_TEMPLATES = {Rung.WARN: "warning", Rung.RESTRICT: "restriction", Rung.SUSPEND: "suspension"}


def breaches(case: Case, terms: Agreement) -> tuple[Violation, ...]:
    """Say what the mail of this case breached; only strong attribution carries points (HOUSE rule 7)."""
    return violations(
        terms,
        case.assessment,
        case.direction,
        is_attributed=_is_attributed(case),
        mail=Mail.of(case),
    )


def decide(
    case: Case,
    terms: Agreement,
    preset: Preset,
    history: History | None,
    new_deliveries: tuple[str, ...],
    around: Surroundings = ALONE,
) -> Decision:
    """Decide about one mail and what follows for its account.

    Args:
        history: None when nobody answers for the mail.
        new_deliveries: the case's delivery keys that were never counted for this account; none left means a retry,
            which is not a second offence (HOUSE rule 6).
        around: what else the account's standing depends on.
    """
    before = standing_at(history, terms, case.at, around) if history is not None else None
    found = breaches(case, terms) if history is not None else ()
    why = reasons(case, terms, before, found)
    decision_id = derived_id("d", case.transaction_id, terms.digest)
    rung = before.rung if before is not None else Rung.NONE
    clauses = tuple(dict.fromkeys(key for v in found for key in v.ground.ids))
    cited = {i for reason in why for i in reason.ids}
    named = [s for s in before.sanctions if s.sanction_id in cited] if before is not None else []
    holds = [h for h in before.holds if h.hold_id in cited] if before is not None else []
    ends = [s.ends_at for s in named if s.ends_at is not None]
    base = Decision(
        decision_id=decision_id,
        transaction_id=case.transaction_id,
        disposition=strongest(why),
        reasons=why,
        violations=found,
        advisory=advisory(
            terms,
            case.assessment,
            case.direction,
            has_account=case.principal.account_id is not None,
            is_attributed=_is_attributed(case),
            mail=Mail.of(case),
        ),
        clauses=clauses or tuple(dict.fromkeys(c for s in named for c in s.clauses)),
        incident_id=next(iter((*(s.incident_id for s in named), *(h.incident_id for h in holds), None))),
        ends_at=max(ends, default=None) if len(ends) == len(named) else None,
        policy_digest=terms.digest,
        rung_before=rung,
        rung_after=rung,
    )
    if history is None or not found:
        return base
    if not new_deliveries:
        return replace(base, is_retry=True, incident_id=_on_record(history, case.evidence_key) or base.incident_id)
    outcome = commit_offence(
        history,
        Offence(
            at=case.at,
            tenant_id=case.principal.tenant_id or "",
            transaction_id=case.transaction_id,
            decision_id=decision_id,
            evidence_key=case.evidence_key,
            text_fp=case.text_fp,
            violations=found,
            delivery_keys=new_deliveries,
            policy_digest=terms.digest,
            evidence_digest=case.evidence_digest,
            is_strong=case.principal.strength is Strength.STRONG,
        ),
        terms,
        preset,
    )
    return replace(
        base,
        records=outcome.records,
        is_recorded=True,
        notices=_notices(outcome.records),
        incident_id=outcome.incident_id,
        rung_after=standing_at(outcome.history, terms, case.at, around).rung,
    )


def _on_record(history: History, evidence_key: str) -> str | None:
    """Say the incident that a message tried again is on record in; one that stands before one that is annulled."""
    mine = [i for i in history.incidents if evidence_key in i.links]
    return next((i.opened.incident_id for i in sorted(mine, key=lambda i: i.is_annulled)), None)


def _is_attributed(case: Case) -> bool:
    return case.principal.account_id is not None and case.principal.strength is Strength.STRONG


def _notices(records: tuple[r.Record, ...]) -> tuple[NoticeDue, ...]:
    """One notice a sanction; a hold without a sanction of its own joins its incident's pending notice."""
    out = []
    for record in records:
        if isinstance(record, r.SanctionImposed):
            out.append(
                NoticeDue(
                    template=_TEMPLATES[record.rung],
                    account_id=record.account_id,
                    incident_id=record.incident_id,
                    sanction_ids=(record.sanction_id,),
                )
            )
        elif isinstance(record, r.HoldPlaced):
            out.append(NoticeDue(template="hold", account_id=record.account_id, incident_id=record.incident_id))
    return tuple(out)
