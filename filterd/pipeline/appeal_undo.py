"""Annul one incident whole, whether or not it brought a sanction, and let everything follow.  STANDING 5.7-3, 5.7-4."""

from __future__ import annotations

from filterd.agreement.annul import annul
from filterd.errors import UsageError
from filterd.model import records as r
from filterd.model.decision import NoticeDue
from filterd.model.ids import derived_id
from filterd.model.principal import Account
from filterd.pipeline.desk import Desk
from filterd.pipeline.enterprise import settle_tenant
from filterd.ports import LedgerTxn


def undo(desk: Desk, txn: LedgerTxn, account: Account, incident_id: str, *, by: str, reason: str) -> int:
    """Annul, run the ladder of account and tenant again without it, promise the one notice. Says how many rows.

    It is replayed by the terms that its sanctions rest on. Doing it twice adds nothing.
    """
    history = txn.history(account.account_id)
    incident = next((i for i in history.incidents if i.opened.incident_id == incident_id), None)
    if incident is None:
        raise UsageError(f"{account.account_id} has no incident {incident_id}")
    if incident.is_annulled:
        return 0
    mine = [x.imposed for x in history.sanctions if x.imposed.incident_id == incident_id]
    in_force = desk.terms(txn, account)
    rows: tuple[r.Record, ...]
    changed: tuple[str, ...] = ()
    if incident.strike is None:
        # A person's act without points: no ladder has to be replayed without it.
        strike_id = derived_id("k", incident_id)
        rows = (r.StrikeAnnulled(at=txn.now, strike_id=strike_id, incident_id=incident_id, by=by, reason=reason),)
    else:
        undone = annul(
            account.account_id,
            txn.records(account.account_id),
            desk.rules.terms_with([key for x in mine for key in x.clauses], in_force),
            desk.rules.preset,
            incident_id=incident_id,
            at=txn.now,
            by=by,
            reason=reason,
            packs=desk.rules.by_digest.get,
        )
        rows, changed = undone.records, undone.changed_sanctions
    for row in rows:
        desk.append(txn, account, row)
    settle_tenant(txn, account, in_force)
    due = NoticeDue(
        template="annulled",
        account_id=account.account_id,
        incident_id=incident_id,
        sanction_ids=(*(x.sanction_id for x in mine), *changed),
    )
    desk.mail.announce(txn, due, account.tenant_id)
    return len(rows)
