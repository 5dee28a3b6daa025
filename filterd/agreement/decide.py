"""The decision: assessment, terms and standing in, Decision out.  HOUSE §4 steps 4 and 6.

Pure and synchronous. The ledger calls it inside its transaction with the warm history; for clean mail of an account in
good standing a worker calls the same function and writes nothing.
"""

from __future__ import annotations

from dataclasses import replace

from filterd.agreement.breaker import freeze
from filterd.agreement.disposition import reasons, strongest
from filterd.agreement.exculpation import MAX_RECIPIENTS, recipient_marks
from filterd.agreement.fold import apply
from filterd.agreement.lockout import attestation_task
from filterd.agreement.offence import Offence, commit_offence
from filterd.agreement.registers import NO_RELIEF, Relief, advise, relieve
from filterd.agreement.signals import signals_in
from filterd.agreement.sparing import spare
from filterd.agreement.standing import standing_at
from filterd.agreement.takeover import hypothesis_of, indicators_in, takeover_hold
from filterd.agreement.tenancy import Act, charge
from filterd.agreement.tenant_steps import PROPOSE
from filterd.agreement.terms import Agreement
from filterd.agreement.violations import Touched, advisory, touched, violation_of, violations
from filterd.agreement.when import Mail
from filterd.model import records as r
from filterd.model.decision import Case, Decision, Disposition, NoticeDue, Reason
from filterd.model.ids import derived_id
from filterd.model.principal import Strength
from filterd.model.sanction import Preset, Rung, Violation
from filterd.model.session import Direction
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


def is_for_the_record(case: Case, terms: Agreement, history: History | None) -> bool:
    """Say whether the ledger has to decide about a mail, because something may have to be written down: a breach, or a
    lock for protection. Anything else a worker decides by itself."""
    if bool(breaches(case, terms)) or any(_about_to_count(case, terms)):
        return True
    account_id = case.principal.account_id
    if history is None or account_id is None:
        return False
    return takeover_hold(case, history, terms, account_id) is not None


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
    relief = _relieved(case, terms, history, around) if history is not None else NO_RELIEF
    found = relief.counted
    why = _with_registers(reasons(case, terms, before, relief.stopped), relief)
    decision_id = derived_id("d", case.transaction_id, terms.digest)
    rung = before.rung if before is not None else Rung.NONE
    clauses = tuple(dict.fromkeys(key for v in relief.stopped for key in v.ground.ids))
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
        incident_id=next(iter((*(s.incident_id for s in named), *(h.incident_id for h in holds), None))) or None,
        ends_at=max(ends, default=None) if len(ends) == len(named) else None,
        policy_digest=terms.digest,
        rung_before=rung,
        rung_after=rung,
    )
    if history is None:
        return base
    if not found:
        noted = relief.records if new_deliveries else ()
        base = _protected(base, case, terms, history, around)
        return replace(base, records=(*noted, *base.records), advice=relief.advice if noted else ())
    if not new_deliveries:
        return replace(base, is_retry=True, incident_id=_on_record(history, case.evidence_key) or base.incident_id)
    is_frozen = freeze(around, case.at) is not None
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
            indicators=indicators_in(case, terms),
            hypothesis=hypothesis_of(case, history, terms, around),
            signals=signals_in(case.assessment, {code for v in found for code in v.finding_codes}),
            recipient_marks=recipient_marks(case.facts.recipient_hashes, MAX_RECIPIENTS),
            is_frozen=is_frozen,
        ),
        terms,
        preset,
    )
    # The enterprise answers for its users (TX-3.6): rows about the tenant follow those about the account.
    act = Act(
        at=case.at,
        tenant_id=case.principal.tenant_id or "",
        incident_id=outcome.incident_id,
        decision_id=decision_id,
        text_fp=case.text_fp,
    )
    charged = charge(outcome.history, around, terms, act)
    if is_frozen:
        # The tenant's steps are automatic sanctions, too: what it answers for is written down, and people are asked.
        charged = tuple(x for x in charged if not isinstance(x, r.TenantStepTaken) or x.step == PROPOSE)
    return replace(
        base,
        records=(*relief.records, *outcome.records, *charged),
        advice=relief.advice,
        is_recorded=True,
        notices=notices_of(outcome.records),
        incident_id=outcome.incident_id,
        rung_after=standing_at(outcome.history, terms, case.at, around).rung,
    )


def _relieved(case: Case, terms: Agreement, history: History, around: Surroundings) -> Relief:
    """Say what counts: breaches as registers leave them, and what only refused mail until enough advice was ignored."""
    waiting = {item.category.id: item for item in _about_to_count(case, terms)}
    records, ripe = advise(waiting, case, terms, history)
    found = (*breaches(case, terms), *(violation_of(waiting[name], terms) for name in ripe))
    relief = relieve(found, case, terms, history, around)
    relief = spare(relief, case, terms, history, around, lambda left: breaches(replace(case, assessment=left), terms))
    advice = tuple(x.code for x in records if isinstance(x, r.Advised))
    return replace(relief, records=(*records, *relief.records), advice=(*advice, *relief.advice))


def _about_to_count(case: Case, terms: Agreement) -> tuple[Touched, ...]:
    """Say which categories this mail touches that refuse it without points, and count once advice is ignored."""
    if terms.registers is None or not _is_attributed(case) or case.direction is Direction.INBOUND:
        return ()
    found = touched(terms, case.assessment, Mail.of(case))
    return tuple(
        item
        for item in found
        if item.mode is None
        and item.category.id in terms.registers.advised
        and any(rule.alone == "refuse" for rule, _ in item.hits)
    )


def _with_registers(why: tuple[Reason, ...], relief: Relief) -> tuple[Reason, ...]:
    """Say the reasons as registers leave them, and which entries have changed them."""
    allowed = {f"protection.{code}" for code in relief.allowed}
    entries = (
        Reason(code=code, disposition=Disposition.ACCEPT, ids=(entry_id,) if entry_id else ())
        for code, entry_id in relief.why
    )
    return (*(reason for reason in why if reason.code not in allowed), *entries)


def _protected(base: Decision, case: Case, terms: Agreement, history: History, around: Surroundings) -> Decision:
    """Say the decision about a mail that breaches nothing: what is being sent by somebody else is locked all the same,
    with this mail, and without an incident (STANDING 5.7-14). Behind the queue it waits there: it is on record nowhere.
    """
    account_id = case.principal.account_id
    hold = takeover_hold(case, history, terms, account_id) if account_id is not None else None
    if hold is None:
        return base
    found = reasons(case, terms, standing_at(apply(history, hold), terms, case.at, around), ())
    why = (*(x for x in found if x not in base.reasons), *base.reasons)
    task = attestation_task(hold.hold_id, hold.account_id, case.at, terms)
    return replace(base, disposition=strongest(why), reasons=why, records=(hold, task))


def _on_record(history: History, evidence_key: str) -> str | None:
    """Say the incident that a message tried again is on record in; one that stands before one that is annulled."""
    mine = [i for i in history.incidents if evidence_key in i.links]
    return next((i.opened.incident_id for i in sorted(mine, key=lambda i: i.is_annulled)), None)


def _is_attributed(case: Case) -> bool:
    return case.principal.account_id is not None and case.principal.strength is Strength.STRONG


def notices_of(records: tuple[r.Record, ...]) -> tuple[NoticeDue, ...]:
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
        elif isinstance(record, r.HoldPlaced) and record.incident_id:
            out.append(NoticeDue(template="hold", account_id=record.account_id, incident_id=record.incident_id))
    return tuple(out)
