"""The files of terminated enterprises: what is kept of whom, for how long, and erased when.  TX-8.2.4, CLAUSES §6.

A file is a subject of the ledger of its own, with the fingerprints sealed under its key; the site's history says which
there are. Who has to be found again is who was terminated for breach: an enterprise by two people, one whose
administrator's account was, or one whose accounts all were.
"""

from __future__ import annotations

from datetime import datetime

from filterd.agreement.clocks import registration_kept_until
from filterd.agreement.registration import EXPIRED, ended_at, kinds_of, marks, why_erase
from filterd.agreement.standing import half_points_at
from filterd.agreement.terms import Agreement
from filterd.model import records as r
from filterd.model.entry import SITE
from filterd.model.ids import derived_id
from filterd.model.principal import Tenant
from filterd.model.sanction import Rung
from filterd.pipeline.clockwork import Struck
from filterd.pipeline.enterprise import is_administrator
from filterd.pipeline.registration import KEYS, joined, keys_of, terms_of
from filterd.pipeline.verbs import DeskRules
from filterd.ports import LedgerTxn

CLOCK = "fingerprint.erased"


def mark_step(txn: LedgerTxn, tenant: Tenant, terms: Agreement, step: r.TenantStepTaken) -> None:
    """Keep the fingerprints of an enterprise that two people have terminated."""
    _mark(txn, tenant, terms, step.step_id, by=step.by, step_id=step.step_id)


def mark_accounts(txn: LedgerTxn, tenant: Tenant | None, terms: Agreement, *, by: str) -> None:
    """Keep the fingerprints of an enterprise whose administrator's account has been terminated for breach, or each of
    its accounts where it is known that these are all. Called when two people have decided about one of them."""
    if tenant is None:
        return
    accounts = [x for x in txn.accounts() if x.tenant_id == tenant.tenant_id and x.retired_at is None]
    ended = {x.account_id: file for x in accounts if (file := _termination(txn, x.account_id)) is not None}
    administrators = [x.account_id for x in accounts if x.account_id in ended and is_administrator(x, tenant)]
    known, listed = txn.accounts_in_use(tenant.tenant_id)
    # Mail shows who sends; whoever never did may be many.
    is_all = known >= (tenant.seats or 1) and (listed > 0 or tenant.seats is not None)
    causes = administrators[:1] or (list(ended) if is_all and len(ended) == len(accounts) else [])
    if causes:
        pairs = tuple(text for account_id in sorted(causes) for text in (account_id, ended[account_id]))
        _mark(txn, tenant, terms, *pairs, by=by, sanction_ids=pairs)


def _termination(txn: LedgerTxn, account_id: str) -> str | None:
    for file in txn.history(account_id).sanctions:
        is_gone = file.lifted_at is not None or file.annulled_at is not None
        if file.imposed.rung is Rung.TERMINATE and file.imposed.clauses and not is_gone:
            return file.imposed.sanction_id
    return None


def _mark(
    txn: LedgerTxn,
    tenant: Tenant,
    terms: Agreement,
    *causes: str,
    by: str,
    step_id: str = "",
    sanction_ids: tuple[str, ...] = (),
) -> None:
    keys, file_id = keys_of(txn, tenant), derived_id("f", tenant.tenant_id, *causes)
    known = {x.file_id for x in txn.history(SITE).of(r.RegistrationMarked)}
    if terms.tenant is None or terms.tenant.registration is None or not keys or file_id in known:
        return
    marked = r.RegistrationMarked(
        at=txn.now,
        file_id=file_id,
        tenant_id=tenant.tenant_id,
        agreement=terms.id,
        kinds=kinds_of(keys),
        by=by,
        step_id=step_id,
        sanction_ids=sanction_ids,
    )
    txn.append(marked, account_id=None, tenant_id=None)
    # Under a key of its own: the tenant's data goes long before, and this may have to go sooner.
    txn.append(marked, account_id=file_id, tenant_id=None, personal={KEYS: joined(keys)})


def erase_undone(txn: LedgerTxn, rules: DeskRules, at: datetime, *, is_dry: bool = False) -> tuple[Struck, ...]:
    """Erase the fingerprints whose years are over, and those of a termination that was undone; say which."""
    struck = []
    for mark in marks(txn.history(SITE)):
        terms = terms_of(rules, mark)
        because = why_erase(mark, txn.history, terms, at, half_points_at)
        if because is None:
            continue
        since = ended_at(mark, txn.history, terms, at, half_points_at)
        due_at = registration_kept_until(since, terms) if because == EXPIRED and since is not None else at
        struck.append(Struck(clock=CLOCK, subject_id=mark.tenant_id, object_id=mark.file_id, due_at=due_at))
        if not is_dry:
            erased = r.RegistrationErased(
                at=txn.now, file_id=mark.file_id, tenant_id=mark.tenant_id, because=because
            )
            txn.append(erased, account_id=None, tenant_id=None)
            txn.erase_subject(mark.file_id)
    return tuple(struck)
