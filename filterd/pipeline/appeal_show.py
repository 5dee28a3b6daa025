"""What whoever decides an appeal needs to see, on one screen.  STANDING 5.6.

The decision as it was made (by which version of the agreement, on which facts, with which explanation), what is kept of
the mails, what the account's side says, and how the like was decided before. No mail: that is read with `evidence`.
"""

from __future__ import annotations

from typing import Any

from filterd.agreement.appeal import appeals, window
from filterd.agreement.standing import stretches
from filterd.agreement.statement import statement
from filterd.errors import UsageError
from filterd.model import records as r
from filterd.model.principal import Account
from filterd.pipeline.appeal_desk import AppealCase, is_evidence_lost
from filterd.pipeline.desk import Desk, iso, plain
from filterd.pipeline.people import Actor
from filterd.pipeline.roles import is_scoped
from filterd.ports import LedgerTxn

# An incident may have thousands of mails; these tell what kind they are.
MAX_ACTS = 50
MAX_PRECEDENTS = 10


def show(desk: Desk, txn: LedgerTxn, case: AppealCase, actor: Actor) -> dict[str, Any]:
    """Say the screen in JSON. Precedents of other tenants are not for whoever is limited to their own."""
    incident_id = case.incident.opened.incident_id
    acts = [x for x in case.records if isinstance(x, r.ViolationRecorded) and x.incident_id == incident_id]
    strike = case.incident.strike
    at_act = desk.rules.at_act(case.terms, txn.tenant(case.account.tenant_id), case.incident.opened.at)
    closes_at = window(case.incident, case.history, case.terms, at_act).closes_at
    return {
        "standing": desk.result(txn, case.account),
        "decision": {
            "agreement": case.terms.id,
            "version": case.terms.version,
            "policy_digests": list(dict.fromkeys(x.policy_digest for x in acts)),
            "policy_digests_act": list(dict.fromkeys(x.policy_digest_act for x in acts if x.policy_digest_act)),
            "sanction": _sanction(case, txn),
            "strike": plain(strike) if strike is not None else None,
            "confirmed": any(
                isinstance(x, r.SanctionConfirmed) and x.incident_id == incident_id for x in case.records
            ),
        },
        "statement": _statement(case, txn),
        "mails": [_act(x) for x in acts[:MAX_ACTS]],
        "mail_count": len(acts),
        "evidence": _evidence(txn, case, acts),
        "said": _said(txn, case),
        "window_closes_at": iso(closes_at),
        "precedents": [] if is_scoped(actor) else _precedents(txn, case),
    }


def _sanction(case: AppealCase, txn: LedgerTxn) -> dict[str, Any] | None:
    file = case.sanction
    if file is None:
        return None
    life = stretches(file, case.terms, txn.now)
    imposed: dict[str, Any] = plain(file.imposed)
    return imposed | {
        "life": [
            {"since": iso(x.since), "until": iso(x.until), "rung": x.rung.word, "features": list(map(str, x.features))}
            for x in life
        ]
    }


def _statement(case: AppealCase, txn: LedgerTxn) -> dict[str, Any] | None:
    """The explanation as the account got it; None where the agreement has no words for it any more."""
    incident_id = case.incident.opened.incident_id
    ids = [x.imposed.sanction_id for x in case.history.sanctions if x.imposed.incident_id == incident_id]
    try:
        said = statement(
            case.history, case.terms, txn.now, incident_id=incident_id, sanction_ids=ids, records=case.records
        )
    except UsageError:
        return None
    found: dict[str, Any] = plain(said)
    return found


def _act(act: r.ViolationRecorded) -> dict[str, Any]:
    return {
        "at": iso(act.at),
        "transaction_id": act.transaction_id,
        "categories": [v.category for v in act.violations],
        "codes": list(dict.fromkeys(code for v in act.violations for code in v.finding_codes)),
        "signals": list(act.signals),
        "recipients": len(act.delivery_keys),
        "evidence_digest": act.evidence_digest,
        "evidence_kept": act.evidence_kept,
        "is_strong": act.is_strong,
        "indicators": list(act.indicators),
        "hypothesis": act.hypothesis,
    }


def _evidence(txn: LedgerTxn, case: AppealCase, acts: list[r.ViolationRecorded]) -> dict[str, Any]:
    mine = {x.transaction_id for x in acts}
    kept = [x for x in txn.evidence_of(case.account.account_id) if x.transaction_id in mine]
    return {
        "is_lost": is_evidence_lost(txn, case),
        "kept": [
            {
                "transaction_id": x.transaction_id,
                "digest": x.digest,
                "class": x.kept.word,
                "until": iso(x.retention_until),
            }
            for x in kept[:MAX_ACTS]
        ],
    }


def _said(txn: LedgerTxn, case: AppealCase) -> list[dict[str, Any]]:
    """What both sides wrote, in order; None where the account's key is destroyed."""
    out = []
    for row in txn.opened_entries(case.account.account_id):
        record = row.record
        if not isinstance(record, (r.ObjectionFiled, r.AppealAdded, r.AppealQuestioned)):
            continue
        if record.appeal_id == case.appeal.appeal_id:
            side = "reviewer" if isinstance(record, r.AppealQuestioned) else "account"
            text = row.personal.get("text", "") if row.personal is not None else None
            out.append({"at": iso(record.at), "side": side, "text": text})
    return out


def _precedents(txn: LedgerTxn, case: AppealCase) -> list[dict[str, Any]]:
    """How appeals about the same category were decided, the latest first, whoever's they were."""
    category = _category(case.records, case.incident.opened.incident_id)
    found = [x for account in txn.accounts() for x in _decided(txn, account, category)]
    mine = case.appeal.appeal_id
    latest = sorted((x for x in found if x["appeal_id"] != mine), key=lambda x: str(x["decided_at"]), reverse=True)
    return latest[:MAX_PRECEDENTS]


def _decided(txn: LedgerTxn, account: Account, category: str | None) -> list[dict[str, Any]]:
    if category is None or not txn.history(account.account_id).of(r.AppealDecided):
        return []
    records = txn.records(account.account_id)
    return [
        {
            "appeal_id": x.appeal_id,
            "incident_id": x.filed.incident_id,
            "category": category,
            "outcome": x.outcome,
            "decided_at": iso(x.decided.at),
            "by": x.decided.by,
            "reason": x.decided.reason,
        }
        for x in appeals(records)
        if x.decided is not None and _category(records, x.filed.incident_id) == category
    ]


def _category(records: tuple[r.Record, ...], incident_id: str) -> str | None:
    """Say what an incident's strike was for, else its first violation; None for what rests on no mail."""
    mine = [x for x in records if getattr(x, "incident_id", None) == incident_id]
    strikes = [x.category for x in mine if isinstance(x, r.StrikeIssued)]
    acts = [v.category for x in mine if isinstance(x, r.ViolationRecorded) for v in x.violations]
    return strikes[-1] if strikes else next(iter(acts), None)
