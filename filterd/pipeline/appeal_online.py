"""The two verbs behind the signed link: what the page shows, and the objection it files.  STANDING 5.6.

The page's own door has checked the link; here is only what it is bound to, an account and an incident. Filing needs no
log-in and changes nothing else. Filing again adds nothing; while the reviewer waits for an answer, it is the answer.
"""

from __future__ import annotations

from typing import Any

from filterd.agreement.appeal import State, window
from filterd.agreement.incident import is_in_probation
from filterd.agreement.ladder import climb
from filterd.errors import UsageError
from filterd.model import records as r
from filterd.model.principal import Account
from filterd.model.sanction import Rung
from filterd.model.standing import IncidentFile
from filterd.pipeline.appeal_desk import cases_of, file, open_targets, text_in
from filterd.pipeline.desk import Desk, iso
from filterd.pipeline.notices import choose_languages
from filterd.pipeline.people import Arguments
from filterd.ports import LedgerTxn


def look_online(desk: Desk, txn: LedgerTxn, arguments: Arguments) -> dict[str, Any]:
    """Say what the account itself may know: its standing, points and when they fade, and this case."""
    account, incident = _bound(txn, arguments)
    terms, standing = desk.terms(txn, account), desk.standing(txn, account)
    history = txn.history(account.account_id)
    at_act = desk.rules.at_act(terms, txn.tenant(account.tenant_id), incident.opened.at)
    is_strict = is_in_probation(history, terms, txn.now)
    reached = climb(terms, standing.half_points, is_in_probation=is_strict)
    above = next(
        (
            (step, points)
            for points in range(standing.half_points + 1, round(terms.ladder[-1].at * 2) + 1)
            if (step := climb(terms, points, is_in_probation=is_strict)).index > reached.index
        ),
        None,
    )
    mine = [x for x in cases_of(desk, txn, account) if x.incident is incident]
    targets = open_targets(desk, txn, account, case=incident.opened.incident_id)
    sanctions = [s for s in history.sanctions if s.imposed.incident_id == incident.opened.incident_id]
    return {
        "case": incident.opened.incident_id.split("_", 1)[-1][:12],
        "agreement": terms.title,
        "party": terms.enforcing_party,
        "zone": terms.timezone,
        "languages": list(choose_languages(account, txn.tenant(account.tenant_id), terms)),
        "standing": standing.conduct.value,
        "until": iso(standing.until),
        "is_held": bool(standing.holds),
        "points": standing.half_points / 2,
        "fades": [{"points": s.half_points / 2, "at": iso(s.expires_at)} for s in standing.strikes],
        "next_rung": above[0].rung.word if above is not None else None,
        "next_points": above[1] / 2 if above is not None else None,
        "is_annulled": incident.is_annulled,
        "clauses": sorted(
            {terms.clause[key].number for s in sanctions for key in s.imposed.clauses if key in terms.clause}
        ),
        "refused_since": iso(min((s.imposed.starts_at for s in sanctions if s.imposed.rung > Rung.WARN), default=None)),
        "sanctions": [
            {
                "sanction_id": s.sanction_id,
                "rung": s.rung.word,
                "until": iso(s.ends_at),
                "features": list(map(str, s.features)),
            }
            for s in standing.sanctions
        ],
        "appeals": [
            {
                "state": x.appeal.state.value,
                "outcome": x.appeal.outcome,
                "filed_at": iso(x.appeal.filed.at),
                "decide_by": iso(x.targets(txn.now).decide_by),
            }
            for x in mine
        ],
        "closes_at": iso(window(incident, history, terms, at_act).closes_at),
        "can_file": bool(targets),
        "can_add": any(x.appeal.state is State.INFO_REQUESTED for x in mine),
    }


def file_online(desk: Desk, txn: LedgerTxn, arguments: Arguments) -> dict[str, Any]:
    """File an objection against all that the incident led to, with `text` or without; or answer what was asked."""
    account, incident = _bound(txn, arguments)
    text = text_in(arguments.get("text"))
    targets = open_targets(desk, txn, account, case=incident.opened.incident_id)
    for target in targets:
        file(desk, txn, account, target, channel="link", text=text)
        # Once is enough for all that one act led to.
        text = None
    if targets:
        return {"filed": len(targets), "added": 0}
    asked = [
        x for x in cases_of(desk, txn, account) if x.incident is incident and x.appeal.state is State.INFO_REQUESTED
    ]
    if text is None:
        asked = []
    for case in asked:
        added = r.AppealAdded(
            at=txn.now,
            appeal_id=case.appeal.appeal_id,
            incident_id=incident.opened.incident_id,
            channel="link",
        )
        desk.append(txn, account, added, {"text": text or ""})
    return {"filed": 0, "added": len(asked)}


def _bound(txn: LedgerTxn, arguments: Arguments) -> tuple[Account, IncidentFile]:
    account = txn.account(str(arguments["account_id"]))
    if account is None:
        raise UsageError("no such account any more")
    history = txn.history(account.account_id)
    found = next((i for i in history.incidents if i.opened.incident_id == str(arguments["incident_id"])), None)
    if found is None:
        raise UsageError("no such case of this account")
    return account, found
