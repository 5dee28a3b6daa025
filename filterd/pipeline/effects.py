"""What a sanction or a hold has to do outside the ledger.  STANDING 5.7-14, 5.7-17, 5.7-20.

`promises_of` says of each row, in the row's own transaction, whether the account's queue is to be looked at; what a
hold asks of the identity system besides stands in pipeline/protecting. But for a person's, nothing is done by the name
of an act: whoever carries it out asks `EffectDesk` how the account stands by then, so that a promise that comes late,
twice or in another order does the same.

Mail of an account that may not send is held in the MTA's queue; so it stays during the trickle of a stolen account.
What was held goes on when it may send again, except after an attestation: then somebody else did use the account, and
a person says what of it leaves (`release` or `delete`). Nothing is deleted but by a person.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from filterd.agreement.disposition import SENDING
from filterd.agreement.standing import standing_at
from filterd.agreement.tenant_steps import SUSPEND
from filterd.errors import PeerError, RefusedError
from filterd.mail.address import parse_forward_path
from filterd.mail.names import canonical_login
from filterd.model import records as r
from filterd.model.principal import Account
from filterd.model.sanction import Rung
from filterd.model.standing import Standing
from filterd.pipeline.desk import Desk, reason_in
from filterd.pipeline.people import Arguments, PlainVerb
from filterd.pipeline.protecting import EFFECT, HOLD, MTA_QUEUE, RELEASE
from filterd.pipeline.reach import Reach
from filterd.pipeline.verbs import DeskRules, surroundings
from filterd.ports import FollowUp, LedgerTxn, Promise, QueuedMail

# Acts of promises besides those of pipeline/protecting: see to the queue, by standing alone; and a person's.
SETTLE, LOOK = "settle", "look"
DELETE = "delete"
SYSTEM = "system"
# Outcomes of rows. BEGUN is written before the MTA is told, with the ids: what filterd put on hold is known from it.
BEGUN, APPLIED, FAILED, NOTHING_DONE = "begun", "applied", "failed", "nothing"
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


def promises_of(effectors: Collection[str]) -> FollowUp:
    """Say what rows promise where these effectors are configured; nothing that nobody could carry out."""

    def follow_up(record: r.Record, account_id: str | None, tenant_id: str | None) -> Iterable[Promise]:
        if (due := _touches_queue(record)) is not None:
            yield _settle(account_id, tenant_id, due_at=due)

    return follow_up if MTA_QUEUE in effectors else lambda record, account_id, tenant_id: ()


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
            return record.starts_at if record.step == SUSPEND else None
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
        kept: of this, what a person has to say about.
        addresses: the account's own, in the spelling of look-ups.
        is_told: a row about `owner_id` says already how it went.
    """

    account_id: str
    tenant_id: str
    is_stopped: bool
    until: datetime | None
    owner_id: str
    held: frozenset[str]
    kept: frozenset[str]
    addresses: frozenset[str]
    domains: tuple[str, ...]
    is_told: bool
    has_failed: bool


class EffectDesk:
    """The ledger's side of effectors: plain functions of one open transaction."""

    def __init__(self, rules: Callable[[], DeskRules], reach: Reach):
        """`rules` says those in force now."""
        self._rules, self._reach = rules, reach

    def accounts(self, txn: LedgerTxn, payload: Mapping[str, Any], senders: Collection[str]) -> tuple[str, ...]:
        """Say whose queue is meant: one account's, or those of a tenant's that one of `senders` is an address of."""
        if payload["account_id"]:
            return (payload["account_id"],) if txn.account(payload["account_id"]) is not None else ()
        mine = [a for a in txn.accounts() if a.tenant_id == payload["tenant_id"]]
        named = {login for sender in senders if (login := _login(sender)) is not None}
        held = [a for a in mine if _held(txn.records(a.account_id))]
        found = [a.account_id for a in mine if not named.isdisjoint(_addresses(a))]
        return tuple(dict.fromkeys((*found, *(a.account_id for a in held))))

    def order(self, txn: LedgerTxn, account_id: str) -> QueueOrder | None:
        """Say what is to become of an account's mail now; None when there is no such account any more."""
        account = txn.account(account_id)
        if account is None:
            return None
        tenant = txn.tenant(account.tenant_id)
        around = surroundings(txn, account_id, account.tenant_id)
        standing = standing_at(txn.history(account_id), self._rules().terms_for(tenant, txn.now), txn.now, around)
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
            held=_held(records),
            kept=_kept(records),
            addresses=_addresses(account),
            domains=tenant.domains if tenant is not None else (),
            is_told=bool(mine),
            has_failed=bool(reports) and reports[-1].outcome == FAILED,
        )

    def is_reachable(self, mail: QueuedMail, domains: tuple[str, ...]) -> bool:
        """Say whether a queued mail goes only to those whom nobody is kept from writing to."""
        try:
            paths = [parse_forward_path(f"<{to}>".encode(), smtputf8=True) for to in mail.recipients]
        except PeerError:
            return False
        return bool(paths) and all(self._reach.covers(path, domains) for path in paths)

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


def _addresses(account: Account) -> frozenset[str]:
    return frozenset(login for text in (account.login, *account.aliases) if (login := _login(text)) is not None)


def _login(text: str) -> str | None:
    try:
        return canonical_login(text)
    except PeerError:
        return None


def _held(records: Iterable[r.Record]) -> frozenset[str]:
    """Say which queue ids filterd has put on hold and not let go."""
    held: set[str] = set()
    for record in records:
        if isinstance(record, r.EffectReported) and record.effector == MTA_QUEUE:
            if record.act == HOLD and record.outcome == BEGUN:
                held.update(record.ids)
            elif record.act in (RELEASE, DELETE) and record.outcome == APPLIED:
                held.difference_update(record.ids)
    return frozenset(held)


def _kept(records: tuple[r.Record, ...]) -> frozenset[str]:
    """Say which of these were held before somebody attested that the account had been taken over."""
    last = max((i for i, x in enumerate(records) if isinstance(x, r.HoldAttested)), default=None)
    return frozenset() if last is None else _held(records) & _held(records[:last])


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


# --- by a person ------------------------------------------------------------------------------------------------------


class EffectVerbs:
    """What people do about the queue. One instance a ledger process."""

    def __init__(self, desk: Desk):
        self._desk = desk

    def table(self) -> dict[str, PlainVerb]:
        """Say every verb by name."""
        return {"effect.queue": self.queue, "effect.list": self.list}

    def queue(self, txn: LedgerTxn, arguments: Arguments) -> Any:
        """Let what is held of an account's mail go on (`release`), or take it out of the queue (`delete`)."""
        person, account = self._desk.person(txn, arguments), self._desk.account(txn, arguments["account"])
        reason_in(arguments)
        act = arguments["act"]
        if act not in (RELEASE, DELETE):
            raise RefusedError(f"{act!r} is neither {RELEASE} nor {DELETE}")
        if MTA_QUEUE not in self._desk.rules.effectors:
            raise RefusedError("no effector configured: [effectors.mta_queue]")
        held = _held(txn.records(account.account_id))
        if not held:
            raise RefusedError(f"nothing of {account.login} is held in the queue")
        work = _promise(MTA_QUEUE, act, account.account_id, account.tenant_id, by=person)
        txn.post(work.topic, work.payload, due_at=txn.now)
        return {"account_id": account.account_id, "act": act, "held": len(held)}

    def list(self, txn: LedgerTxn, arguments: Arguments) -> Any:
        """Say what effectors did for an account, the newest last."""
        account = self._desk.account(txn, arguments["account"])
        rows = [x for x in txn.records(account.account_id) if isinstance(x, r.EffectReported)]
        return [
            {"at": x.at.isoformat(), "effector": x.effector, "act": x.act, "outcome": x.outcome, "count": x.count}
            | {"owner_id": x.owner_id, "detail": x.detail, "by": x.by}
            for x in rows
        ]
