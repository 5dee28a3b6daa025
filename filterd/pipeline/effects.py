"""What a sanction or a hold has to do outside the ledger.  STANDING 5.7-14, 5.7-17, 5.7-20.

`promises_of` says of each row, in the row's own transaction, what is to be done: whether the account's queue is to be
looked at, whether credentials are to be revoked. But for a person's, nothing is done by the name
of an act: whoever carries it out asks `EffectDesk` how the account stands by then, so that a promise that comes late,
twice or in another order does the same.

Mail of an account that may not send is held in the MTA's queue; so it stays during the trickle of a stolen account.
What was held goes on when it may send again, except after an attestation: then somebody else did use the account. What
is known to be no copy of that campaign (pipeline/campaign) goes on; the copies, and what nobody knows, stay until a
person says what becomes of them (`release` or `delete`). The copies come back to the sender as one summary; those that
were delivered are in pipeline/copies. Nothing is deleted but by a person; and where two people have
ended the account or its tenant, once that is in effect: then what is held is returned with a report (`return`) to the
tenant's contact, and kept where nobody takes the report. A termination by standing order keeps it held (STANDING 5.9).
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Set
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from filterd.agreement.disposition import SENDING
from filterd.agreement.due import TERMINATED
from filterd.agreement.due_tenant import TERMINATED as TENANT_TERMINATED
from filterd.agreement.standing import standing_at
from filterd.agreement.takeover import COMPROMISE
from filterd.agreement.tenant_steps import SUSPEND, running_steps
from filterd.agreement.tenant_termination import TERMINATE
from filterd.agreement.terms import Agreement
from filterd.errors import PeerError
from filterd.mail.address import parse_forward_path
from filterd.model import records as r
from filterd.model.principal import Account, Tenant
from filterd.model.sanction import Rung
from filterd.model.standing import History, Standing
from filterd.pipeline.campaign import Campaign, Sample, campaign_of, sample_of
from filterd.pipeline.copies import (
    APPLIED,
    CLAW_BACK,
    FAILED,
    MAILBOX,
    REPORT,
    WARN,
    CopiesDesk,
    addresses_of,
    login_of,
)
from filterd.pipeline.protecting import CREDENTIALS, EFFECT, HOLD, MTA_QUEUE, RELEASE, REVOKE
from filterd.pipeline.reach import Reach
from filterd.pipeline.verbs import DeskRules, surroundings
from filterd.ports import FollowUp, LedgerTxn, Promise, QueuedMail

# Acts of promises besides those of pipeline/protecting: see to the queue, by standing alone; and a person's.
SETTLE, LOOK = "settle", "look"
# The copies of a campaign come back as one letter.
SUMMARY = "summary"
# The search index follows the event stream; what it has not read by then is looked for again at the attestation.
_WARN_AFTER = timedelta(minutes=2)
# The tenant's contact reads how far the mail store has got by then.
_REPORT_AFTER = timedelta(minutes=10)
DELETE = "delete"
# Reported to the tenant's contact, and then deleted.
RETURN = "return"
SYSTEM = "system"
# Outcomes of rows. BEGUN is written before the MTA is told, with the ids: what filterd put on hold is known from it.
BEGUN = "begun"
IDS_A_ROW = 500

_CHANGES_SENDING = (
    r.SanctionLifted,
    r.StrikeAnnulled,
    r.SanctionReplayed,
    r.AccountReinstated,
    r.HoldReleased,
    r.HoldAttested,
    r.CureAnswered,
)
_CHANGES_TENANT = (r.TenantLocked, r.TenantLockConfirmed, r.TenantUnlocked, r.TenantStepEnded)


# --- what follows from a row ------------------------------------------------------------------------------------------


def promises_of(effectors: Set[str]) -> FollowUp:
    """Say what rows promise where these effectors are configured; nothing that nobody could carry out."""

    def follow_up(record: r.Record, account_id: str | None, tenant_id: str | None) -> Iterable[Promise]:
        if MTA_QUEUE in effectors and (due := _touches_queue(record)) is not None:
            yield _settle(account_id, tenant_id, due_at=due)
        if not isinstance(record, (r.HoldPlaced, r.HoldAttested)):
            return
        is_stolen = isinstance(record, r.HoldAttested) or record.because == COMPROMISE
        if CREDENTIALS in effectors and isinstance(record, r.HoldPlaced) and is_stolen:
            yield revoke(record, tenant_id)
        if not effectors.isdisjoint((MTA_QUEUE, CLAW_BACK)) and is_stolen:
            key = f"{WARN}:{record.hold_id}:{record.at.isoformat()}"
            due = record.at if isinstance(record, r.HoldAttested) else record.at + _WARN_AFTER
            yield _promise(MAILBOX, WARN, account_id, tenant_id, owner_id=record.hold_id, due_at=due, merge_key=key)

    return follow_up if effectors else lambda record, account_id, tenant_id: ()


def revoke(hold: r.HoldPlaced, tenant_id: str | None) -> Promise:
    """Promise that the identity system is asked to revoke an account's credentials; once a hold."""
    key = f"{CREDENTIALS}:{REVOKE}:{hold.hold_id}"
    return _promise(CREDENTIALS, REVOKE, hold.account_id, tenant_id, owner_id=hold.hold_id, merge_key=key)


def summarise(order: QueueOrder) -> Promise:
    """Promise the one letter about an account's campaign copies; one at a time."""
    key = f"{SUMMARY}:{order.account_id}"
    return _promise(MTA_QUEUE, SUMMARY, order.account_id, order.tenant_id, merge_key=key)


def report_later(account_id: str, tenant_id: str | None, hold_id: str, now: datetime, *, is_asked: bool) -> Promise:
    """Promise the letter to the tenant's contact about delivered copies; one at a time. `is_asked`: for some the mail
    store is asked first."""
    due = now + _REPORT_AFTER if is_asked else now
    key = f"{REPORT}:{account_id}"
    return _promise(MAILBOX, REPORT, account_id, tenant_id, owner_id=hold_id, due_at=due, merge_key=key)


def asked_by(person: str, act: str, account: Account) -> Promise:
    """Promise what a person wants done with the mail that is held of an account."""
    return _promise(MTA_QUEUE, act, account.account_id, account.tenant_id, by=person)


def look_again(account_id: str, tenant_id: str | None, due_at: datetime) -> Promise:
    """Promise another look at the queue of an account that may not send; one at a time."""
    return _promise(MTA_QUEUE, LOOK, account_id, tenant_id, due_at=due_at, merge_key=f"{LOOK}:{account_id}")


def _touches_queue(record: r.Record) -> datetime | None:
    """Say from when on a record may have changed who may send; None: it has not."""
    match record:
        case r.SanctionImposed():
            return record.starts_at if record.rung >= Rung.SUSPEND else None
        case r.HoldPlaced():
            return record.starts_at if SENDING in record.features else None
        case r.TenantStepTaken():
            return record.starts_at if record.step in (SUSPEND, TERMINATE) else None
        case r.ClockStruck():
            # What held a termination up is over.
            return record.at if record.clock in (TERMINATED, TENANT_TERMINATED) else None
        case _:
            return record.at if isinstance(record, (*_CHANGES_SENDING, *_CHANGES_TENANT)) else None


def _settle(account_id: str | None, tenant_id: str | None, *, due_at: datetime) -> Promise:
    # Of two for the same account one look is enough, unless one of them is for later.
    key = f"{SETTLE}:{account_id or tenant_id}:{due_at.isoformat()}"
    return _promise(MTA_QUEUE, SETTLE, account_id, tenant_id, due_at=due_at, merge_key=key)


def _promise(
    effector: str,
    act: str,
    account_id: str | None,
    tenant_id: str | None,
    *,
    owner_id: str = "",
    by: str = SYSTEM,
    due_at: datetime | None = None,
    merge_key: str | None = None,
) -> Promise:
    payload = {"effector": effector, "act": act, "owner_id": owner_id, "by": by}
    who = {"account_id": account_id or "", "tenant_id": tenant_id or ""}
    return Promise(topic=EFFECT, payload=payload | who, merge_key=merge_key, due_at=due_at)


# --- how it stands ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class QueueOrder:
    """What is to become of one account's mail in the queue.

    Args:
        is_stopped: it may not send; else what is held goes on.
        until: when that ends by itself, None: nobody knows.
        owner_id: what stops it; of an account that may send, empty.
        held: what filterd has put on hold and not let go.
        kept: of this, what was held when somebody attested that another had used the account.
        campaign: by what the other's copies are known.
        summed: of the copies, those the sender was written about.
        login: whose it is, and where the summary goes.
        addresses: the account's own, in the spelling of look-ups.
        is_told: a row about `owner_id` says already how it went.
        is_ended: people have ended its service, and that is in effect.
        contacts: who is told of mail that is returned then, the first first.
    """

    account_id: str
    tenant_id: str
    is_stopped: bool
    until: datetime | None
    owner_id: str
    held: frozenset[str]
    kept: frozenset[str]
    campaign: Campaign
    summed: frozenset[str]
    login: str
    addresses: frozenset[str]
    domains: tuple[str, ...]
    is_told: bool
    has_failed: bool
    is_ended: bool = False
    contacts: tuple[str, ...] = ()


class EffectDesk:
    """The ledger's side of effectors: plain functions of one open transaction."""

    def __init__(
        self, rules: Callable[[], DeskRules], reach: Reach, hash_of: Callable[[str], str] = lambda address: address
    ):
        """`rules` says those in force now; `hash_of` an address as the event stream has it."""
        self._rules, self._reach = rules, reach
        self.copies = CopiesDesk(hash_of, lambda: rules().effectors)

    def accounts(self, txn: LedgerTxn, payload: Mapping[str, Any], senders: Collection[str]) -> tuple[str, ...]:
        """Say whose queue is meant: one account's, or those of a tenant's that one of `senders` is an address of."""
        if payload["account_id"]:
            return (payload["account_id"],) if txn.account(payload["account_id"]) is not None else ()
        mine = [a for a in txn.accounts() if a.tenant_id == payload["tenant_id"]]
        named = {login for sender in senders if (login := login_of(sender)) is not None}
        held = [a for a in mine if held_of(txn.records(a.account_id))]
        found = [a.account_id for a in mine if not named.isdisjoint(addresses_of(a))]
        return tuple(dict.fromkeys((*found, *(a.account_id for a in held))))

    def order(self, txn: LedgerTxn, account_id: str) -> QueueOrder | None:
        """Say what is to become of an account's mail now; None when there is no such account any more."""
        account = txn.account(account_id)
        if account is None:
            return None
        tenant = txn.tenant(account.tenant_id)
        around = surroundings(txn, account_id, account.tenant_id)
        terms = self._rules().terms_for(tenant, txn.now)
        standing = standing_at(txn.history(account_id), terms, txn.now, around)
        records = txn.records(account_id)
        reports = [x for x in records if isinstance(x, r.EffectReported) and x.effector == MTA_QUEUE]
        owner_id, until = _stopped_by(standing)
        mine = [x for x in reports if x.owner_id == owner_id and x.outcome != BEGUN]
        return QueueOrder(
            account_id=account_id,
            tenant_id=account.tenant_id,
            is_stopped=bool(owner_id),
            until=until,
            owner_id=owner_id,
            held=held_of(records),
            kept=_kept(records),
            campaign=campaign_of(records),
            summed=frozenset(i for x in reports if (x.act, x.outcome) == (SUMMARY, APPLIED) for i in x.ids),
            login=account.login,
            addresses=addresses_of(account),
            domains=tenant.domains if tenant is not None else (),
            is_told=bool(mine),
            has_failed=bool(reports) and reports[-1].outcome == FAILED,
            is_ended=_is_ended(standing, around.tenant, terms),
            contacts=_contacts(account, tenant),
        )

    def is_reachable(self, mail: QueuedMail, domains: tuple[str, ...]) -> bool:
        """Say whether a queued mail goes only to those whom nobody is kept from writing to."""
        try:
            paths = [parse_forward_path(f"<{to}>".encode(), smtputf8=True) for to in mail.recipients]
        except PeerError:
            return False
        return bool(paths) and all(self._reach.covers(path, domains) for path in paths)

    def sample(self, txn: LedgerTxn, order: QueueOrder) -> Sample | None:
        """Say what one of the campaign's copies looks like, None where nobody knows."""
        terms = self._rules().terms_for(txn.tenant(order.tenant_id), txn.now)
        return sample_of(txn, order.account_id, order.campaign, terms)

    def login(self, txn: LedgerTxn, account_id: str, hold_id: str) -> str | None:
        """Say whose credentials are to be revoked; None when the hold is over or the account is gone."""
        account = txn.account(account_id)
        order = self.order(txn, account_id)
        ended = {x.hold_id for x in txn.records(account_id) if isinstance(x, (r.HoldReleased, r.HoldAttested))}
        if account is None or order is None or hold_id in ended:
            return None
        return account.login


def _stopped_by(standing: Standing) -> tuple[str, datetime | None]:
    """Say what keeps an account from sending and until when; ("", None) for nothing. A trickle keeps its queue."""
    if standing.rung >= Rung.SUSPEND:
        return next(s.sanction_id for s in standing.sanctions if s.rung is standing.rung), standing.until
    for limit in standing.tenant_limits:
        if SENDING in limit.features:
            return limit.limit_id, limit.ends_at
    for hold in standing.holds:
        if SENDING in hold.features or (standing.security.is_trickle and hold.indicators and hold.ends_at is None):
            return hold.hold_id, hold.ends_at
    return "", None


def _is_ended(standing: Standing, tenant: History | None, terms: Agreement) -> bool:
    """Say whether people have ended the service of the account or of its tenant. What a standing order ends keeps the
    mail effect of a suspension (STANDING 5.9)."""
    if any(x.rung is Rung.TERMINATE and not x.is_automatic for x in standing.sanctions):
        return True
    return tenant is not None and any(x.step == TERMINATE for x in running_steps(tenant, terms, standing.at))


def _contacts(account: Account, tenant: Tenant | None) -> tuple[str, ...]:
    """Say who answers for the account besides its own mailbox."""
    own = {account.login.lower(), *(x.lower() for x in account.aliases)}
    known = (tenant.contact, tenant.second_contact) if tenant is not None else ()
    return tuple(x for x in known if x and x.lower() not in own)


def held_of(records: Iterable[r.Record]) -> frozenset[str]:
    """Say which queue ids filterd has put on hold and not let go."""
    held: set[str] = set()
    for record in records:
        if isinstance(record, r.EffectReported) and record.effector == MTA_QUEUE:
            if record.act == HOLD and record.outcome == BEGUN:
                held.update(record.ids)
            elif record.act in (RELEASE, DELETE, RETURN) and record.outcome == APPLIED:
                held.difference_update(record.ids)
    return frozenset(held)


def _kept(records: tuple[r.Record, ...]) -> frozenset[str]:
    """Say which of these were held before somebody attested that the account had been taken over."""
    last = max((i for i, x in enumerate(records) if isinstance(x, r.HoldAttested)), default=None)
    return frozenset() if last is None else held_of(records) & held_of(records[:last])


def enforcement(records: Iterable[r.Record], owner_id: str, since: datetime, effectors: Collection[str]) -> str:
    """Say how far a suspension or hold has reached the queue: `pending`, `applied`, `failed`, or that nobody could."""
    if MTA_QUEUE not in effectors:
        return "no effector configured"
    mine = [
        x
        for x in records
        if isinstance(x, r.EffectReported)
        and x.effector == MTA_QUEUE
        and x.outcome != BEGUN
        and (x.owner_id == owner_id or (not x.owner_id and x.at >= since))
    ]
    if not mine:
        return "pending"
    return "failed" if mine[-1].outcome == FAILED else "applied"
