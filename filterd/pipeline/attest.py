"""The attestation that a password was reset and all sessions were revoked.  STANDING 5.7-14, TX-3.6, AL-3.2.

The lock becomes a watch. The first in the term excuses the user: the strikes are not attributable, the incidents stay.
The second makes the tenant answer for them, with points and a warning where its agreement has a clause for that, with
advice and a task for the written notice where it has none. The third is a moderator's, with a task for a tenant step.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from filterd.agreement.annul import excuse
from filterd.agreement.standing import strike_at
from filterd.agreement.takeover import attestable, attestation_number, excusable
from filterd.agreement.terms import Agreement
from filterd.errors import RefusedError
from filterd.model import records as r
from filterd.model.ids import derived_id
from filterd.model.principal import Account
from filterd.model.standing import IncidentFile
from filterd.pipeline.desk import Desk, reason_in
from filterd.pipeline.enterprise import is_administrator, settle_tenant
from filterd.pipeline.holds import Held, close_task, find_hold, open_task, protection_row
from filterd.pipeline.notice_events import announce_event
from filterd.pipeline.people import TENANT_ADMIN, Actor, Arguments
from filterd.pipeline.protecting import CREDENTIALS, REVOKE, follow_end, tenant_opened_at
from filterd.pipeline.roles import is_tenants_side
from filterd.ports import LedgerTxn

# What a row about a revocation says where the identity system has said that all is reset and revoked.
VERIFIED = "verified"
# Which attestation of the term the tenant answers for, and from which on only a moderator may attest.
TENANT_ANSWERS, MODERATORS_ONLY = 2, 3


class Attestation:
    """The verb. One instance a ledger process."""

    def __init__(self, desk: Desk):
        self._desk = desk

    def hold_attest(self, txn: LedgerTxn, arguments: Arguments) -> Any:
        """Answer for it that the password was reset and all sessions were revoked: the lock becomes a watch."""
        held = find_hold(self._desk, txn, arguments["hold"])
        account, terms = held.account, held.terms
        actor = self._desk.permit(txn, arguments, "hold.attest", account)
        holds = attestable(held.history, txn.now)
        number = attestation_number(held.history, terms, txn.now)
        self._refuse_attestation(txn, held, actor, holds, number)
        reason_in(arguments)
        incidents = excusable(held.history, holds, terms)
        attestation_id = derived_id("at", held.hold.hold_id, txn.now.isoformat())
        is_verified = self._is_revoked(txn, account, holds)
        hours = terms.security.watch_hours if is_verified else terms.security.watch_unverified_hours
        for hold in holds:
            attested = r.HoldAttested(
                at=txn.now,
                attestation_id=attestation_id if hold is holds[0] else derived_id("at", attestation_id, hold.hold_id),
                hold_id=hold.hold_id,
                account_id=account.account_id,
                incident_ids=tuple(i.opened.incident_id for i in incidents),
                by=actor.name,
                number=number,
                is_verified=is_verified,
                watch_until=txn.now + timedelta(hours=hours),
                watch_features=terms.security.watch,
            )
            self._desk.append(txn, account, attested)
            close_task(self._desk, txn, account, hold, actor.name, "attested")
            follow_end(txn, hold, attested, "attested")
        if number >= TENANT_ANSWERS:
            self._charge(txn, held, incidents, number)
        self._excuse(txn, account, terms, incidents, actor.name, attestation_id)
        return protection_row(self._desk, txn, account) | {
            "attestation_id": attestation_id,
            "number": number,
            "verified": is_verified,
            "excused": [i.opened.incident_id for i in incidents],
        }

    def _refuse_attestation(
        self, txn: LedgerTxn, held: Held, actor: Actor, holds: tuple[r.HoldPlaced, ...], number: int
    ) -> None:
        account, terms = held.account, held.terms
        if held.hold.hold_id not in {h.hold_id for h in holds}:
            raise RefusedError("nothing speaks for a stolen account here: release the hold, there is nothing to attest")
        if _is_holder(actor, account) or self._is_said_contact(txn, actor, account):
            raise RefusedError("whoever uses the mailbox cannot attest for it: another administrator or a moderator")
        opened = tenant_opened_at(txn, account.tenant_id, terms)
        if opened is not None and txn.now < opened + timedelta(days=terms.security.attestation_tenant_days):
            days = terms.security.attestation_tenant_days
            raise RefusedError(f"the organisation has been here less than {days} days: a moderator releases the hold")
        if not is_tenants_side(actor, terms.enforcing_party):
            return
        if number >= MODERATORS_ONLY:
            raise RefusedError(
                f"the {number}. time in {terms.security.attestation_days} days: only a moderator may attest"
            )
        if self._has_one_seat(txn, account):
            raise RefusedError("the organisation has one mailbox: a moderator attests")

    def _is_said_contact(self, txn: LedgerTxn, actor: Actor, account: Account) -> bool:
        """Say whether the mailbox is the tenant's own contact's and nobody has said whose the administrator's is: then
        they may well be the same person."""
        tenant = txn.tenant(account.tenant_id)
        is_theirs = actor.role == TENANT_ADMIN and actor.account_id is None
        return is_theirs and tenant is not None and is_administrator(account, tenant)

    def _has_one_seat(self, txn: LedgerTxn, account: Account) -> bool:
        tenant = txn.tenant(account.tenant_id)
        if tenant is not None and tenant.seats is not None:
            return tenant.seats == 1
        mine = [x for x in txn.accounts() if x.tenant_id == account.tenant_id and x.retired_at is None]
        return len(mine) == 1

    def _is_revoked(self, txn: LedgerTxn, account: Account, holds: tuple[r.HoldPlaced, ...]) -> bool:
        """Say whether the operator's identity system has said that it revoked what there was, for one of the holds."""
        ids = {h.hold_id for h in holds}
        return any(
            x.owner_id in ids and (x.effector, x.act, x.outcome, x.detail) == (CREDENTIALS, REVOKE, "applied", VERIFIED)
            for x in txn.records(account.account_id)
            if isinstance(x, r.EffectReported)
        )

    def _excuse(
        self,
        txn: LedgerTxn,
        account: Account,
        terms: Agreement,
        incidents: tuple[IncidentFile, ...],
        person: str,
        attestation_id: str,
    ) -> None:
        """Make the strikes not attributable, and have account and tenant follow."""
        if not incidents:
            return
        records = txn.records(account.account_id)
        ids = tuple(i.opened.incident_id for i in incidents)
        tenant = txn.tenant(account.tenant_id)
        under = self._desk.rules.terms_of_incident(records, ids[0], tenant, txn.now)
        undone = excuse(
            account.account_id,
            records,
            under,
            self._desk.rules.preset,
            incident_ids=ids,
            at=txn.now,
            by=person,
            attestation_id=attestation_id,
            packs=self._desk.rules.by_digest.get,
        )
        for record in undone.records:
            self._desk.append(txn, account, record)
        settle_tenant(txn, account, terms)

    def _charge(self, txn: LedgerTxn, held: Held, incidents: tuple[IncidentFile, ...], number: int) -> None:
        """The tenant answers for an account taken over again: points and a warning where its agreement has a clause for
        it, else advice and a task for the written notice (AL-3.2, TX-3.6)."""
        account, section = held.account, held.terms.security
        counting = [(i, s) for i in incidents if (s := strike_at(i, held.history, txn.now)) is not None]
        expires_at = txn.now + timedelta(days=section.custody_days)
        if section.custody_clauses and counting:
            for incident, strike in counting:
                charged = r.CustodyCharged(
                    at=txn.now,
                    tenant_id=account.tenant_id,
                    account_id=account.account_id,
                    incident_id=incident.opened.incident_id,
                    half_points=strike.half_points,
                    expires_at=expires_at,
                )
                txn.append(charged, account_id=None, tenant_id=account.tenant_id)
                facts: dict[str, Any] = {
                    "incident_id": charged.incident_id,
                    "at": txn.now,
                    "half_points": charged.half_points,
                    "expires_at": expires_at,
                    "attestations": number,
                }
                announce_event(txn, "custody_warning", account.tenant_id, facts)
        else:
            facts = {"code": "custody.repeated", "count": number, "since": held.hold.starts_at}
            announce_event(txn, "advice", account.tenant_id, facts)
            what = "custody: taken over again; decide about the written notice for careless custody of accounts"
            open_task(self._desk, txn, account, held.hold, f"custody.{number}", what, held.terms)
        if number >= MODERATORS_ONLY:
            what = f"tenant: taken over for the {number}. time in the term; decide about a step against the tenant"
            open_task(self._desk, txn, account, held.hold, f"tenant.{number}", what, held.terms)


def _is_holder(actor: Actor, account: Account) -> bool:
    """Say whether somebody uses the mailbox themself, as far as the roster or a name tells."""
    names = {account.login.lower(), *(alias.lower() for alias in account.aliases)}
    return actor.account_id == account.account_id or actor.name.lower() in names
