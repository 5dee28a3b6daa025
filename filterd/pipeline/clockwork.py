"""Time made known: what strikes for an account or a tenant, with its rows, notices and tasks.  STANDING 5.7-16.

Plain functions of one open transaction. Everything that changes by itself is computed without them (HOUSE rule 12); who
never runs them keeps nobody suspended and lets no data go. Running them twice adds nothing. With `is_dry` they only say
what would strike.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime

from filterd.agreement.deletion import run_out
from filterd.agreement.due import RELOOK, Due, not_struck, of_account
from filterd.agreement.due_service import of_deletion, of_service
from filterd.agreement.due_tenant import of_tenant_steps
from filterd.agreement.free_mx import MxState, ends_on, mx_state, of_domains
from filterd.agreement.maintenance import windows
from filterd.agreement.requests import of_requests
from filterd.agreement.terms import Agreement
from filterd.model import records as r
from filterd.model.entry import SITE
from filterd.model.evidence import frozen
from filterd.model.principal import Tenant
from filterd.model.standing import History, Surroundings
from filterd.pipeline.notice_events import announce_event
from filterd.pipeline.standing_orders import order_termination, withdraw_fallen
from filterd.pipeline.verbs import DeskRules
from filterd.ports import LedgerTxn

BY_CLOCK = "system:clock"
BEGAN = "clocks.began"


@dataclass(frozen=True, slots=True, kw_only=True)
class Struck:
    """One clock that struck, or would. `is_alarm`: somebody on duty must look."""

    clock: str
    subject_id: str
    object_id: str
    due_at: datetime
    event: str | None = None
    is_alarm: bool = False


def begin(txn: LedgerTxn) -> datetime:
    """Say since when this ledger keeps clocks; the first time, from now on. What ended before is told to nobody."""
    known = (x.at for x in txn.records(SITE) if isinstance(x, r.ClockStruck) and x.clock == BEGAN)
    found = min(known, default=None)
    if found is None:
        found = txn.now
        began = r.ClockStruck(at=found, clock=BEGAN, subject_id=SITE, object_id=BEGAN, due_at=found)
        txn.append(began, account_id=None, tenant_id=None)
    return found


def began_at(txn: LedgerTxn) -> datetime:
    """Say the same and write nothing; now, where it never began."""
    known = (x.at for x in txn.records(SITE) if isinstance(x, r.ClockStruck) and x.clock == BEGAN)
    return min(known, default=txn.now)


def strike_account(
    txn: LedgerTxn,
    account_id: str,
    rules: DeskRules,
    at: datetime,
    *,
    since: datetime,
    is_dry: bool = False,
    may_read: bool = True,
) -> tuple[Struck, ...]:
    """Strike what is due for an account at `at`.

    Args:
        since: conduct and security that ended earlier is told to nobody (see begin).
        may_read: whether the clock can be trusted with a reading before a deletion (STANDING 5.7-16).
    """
    account = txn.account(account_id)
    if account is None:
        return ()
    tenant = txn.tenant(account.tenant_id)
    terms, history = rules.terms_for(tenant, at), txn.history(account_id)
    found = of_account(history, terms, at, since=since, windows=windows(txn.history(SITE)))
    found += of_service(history, account.expires_on, terms, at)
    struck = _carried_out(
        txn, history, found, terms, at, account.expires_on, account_id, account.tenant_id, is_dry, may_read
    )
    struck += tuple(
        Struck(
            clock="termination.fallen",
            subject_id=account_id,
            object_id=file.imposed.sanction_id,
            due_at=at,
            event="termination_withdrawn",
        )
        for file in withdraw_fallen(txn, account, terms, at, by=BY_CLOCK, is_dry=is_dry)
    )
    ordered = order_termination(txn, account, terms, at, is_dry=is_dry)
    if ordered is None:
        return struck
    told = Struck(
        clock="termination.ordered",
        subject_id=account_id,
        object_id=ordered.sanction_id,
        due_at=at,
        event="termination_proposed",
        is_alarm=True,
    )
    return (*struck, told)


def strike_tenant(
    txn: LedgerTxn,
    tenant_id: str,
    rules: DeskRules,
    at: datetime,
    *,
    since: datetime,
    is_dry: bool = False,
    may_read: bool = True,
) -> tuple[Struck, ...]:
    """Strike what is due for a tenant itself; as strike_account."""
    tenant = txn.tenant(tenant_id)
    if tenant is None:
        return ()
    terms, history = rules.terms_for(tenant, at), txn.history(tenant_id)
    found = of_tenant_steps(history, terms, at, since=since)
    found += of_service(history, tenant.expires_on, terms, at)
    found += not_struck(history, of_requests(history, windows(txn.history(SITE))), at)
    return _carried_out(txn, history, found, terms, at, tenant.expires_on, None, tenant_id, is_dry, may_read)


def _carried_out(
    txn: LedgerTxn,
    history: History,
    found: tuple[Due, ...],
    terms: Agreement,
    at: datetime,
    expires_on: date | None,
    account_id: str | None,
    tenant_id: str,
    is_dry: bool,
    may_read: bool,
) -> tuple[Struck, ...]:
    reading = None
    around = Surroundings(expires_on=expires_on)
    if may_read and run_out(history, terms, at, around) is not None:
        # Every row, for an appeal may be as old as the account; few accounts come here.
        more, reading = of_deletion(history, expires_on, frozen(txn.records(history.account_id)), terms, at)
        found += more
    if not is_dry:
        if reading is not None:
            txn.append(reading, account_id=account_id, tenant_id=tenant_id)
        for item in found:
            _strike(txn, item, at, account_id, tenant_id)
    return tuple(_said(item) for item in found)


def _strike(txn: LedgerTxn, item: Due, at: datetime, account_id: str | None, tenant_id: str) -> None:
    """Write that it struck, and whatever follows, in this transaction or not at all."""
    struck = r.ClockStruck(
        at=at, clock=item.clock, subject_id=item.subject_id, object_id=item.object_id, due_at=item.due_at
    )
    txn.append(struck, account_id=account_id, tenant_id=tenant_id)
    if item.event is not None:
        announce_event(txn, item.event, item.subject_id, item.facts)
    if item.task is not None and not _has_open(txn.records(item.subject_id), item.task.incident_id):
        txn.append(item.task, account_id=account_id, tenant_id=tenant_id)


def _has_open(records: Iterable[r.Record], incident_id: str) -> bool:
    """Say whether a person was asked to look again already, and has not answered."""
    asked: set[str] = set()
    for record in records:
        if isinstance(record, r.TaskOpened) and record.incident_id == incident_id and record.what == RELOOK:
            asked.add(record.task_id)
        elif isinstance(record, r.TaskClosed):
            asked.discard(record.task_id)
    return bool(asked)


def _said(item: Due) -> Struck:
    return Struck(
        clock=item.clock,
        subject_id=item.subject_id,
        object_id=item.object_id,
        due_at=item.due_at,
        event=item.event,
        is_alarm=item.is_alarm,
    )


# --- the MX of free tenants -------------------------------------------------------------------------------------------


def wants_probe(txn: LedgerTxn, tenant: Tenant, rules: DeskRules, at: datetime) -> tuple[str, ...] | None:
    """Say which hosts a free tenant has declared, if its MX is to be looked at today; None: it is not (TX-4.4.4)."""
    terms = rules.terms_for(tenant, at)
    if terms.lifecycle is None or tenant.plan not in terms.lifecycle.free_plans or not tenant.domains:
        return None
    history = txn.history(tenant.tenant_id)
    if _ended(history) or any(x.day == terms.calendar.day_of(at) for x in _probes(txn, tenant.tenant_id)):
        return None
    declared = next(reversed(history.of(r.MxDeclared)), None)
    return declared.hosts if declared is not None else ()


def take_probe(
    txn: LedgerTxn, tenant_id: str, verdicts: Mapping[str, str], resolvers: int, rules: DeskRules, at: datetime
) -> tuple[Struck, ...]:
    """Write down today's look at a tenant's MX, once a day, and end the service on the 31st bad day.

    Args:
        verdicts: good, bad or unknown, by domain.
        resolvers: how many were asked.
    """
    tenant = txn.tenant(tenant_id)
    if tenant is None or wants_probe(txn, tenant, rules, at) is None:
        return ()
    terms = rules.terms_for(tenant, at)
    today = terms.calendar.day_of(at)
    before = _probes(txn, tenant_id)
    probe = r.MxProbed(
        at=at, tenant_id=tenant_id, day=today, answer=of_domains(tuple(verdicts.values())), resolvers=resolvers
    )
    txn.append(probe, account_id=None, tenant_id=tenant_id)
    resumed = next(reversed(txn.history(tenant_id).of(r.ServiceResumed)), None)
    since = terms.calendar.day_of(resumed.at) if resumed is not None else None
    state = mx_state((*before, probe), terms, since=since, today=today)
    if state.is_over:
        ended = r.ServiceEnded(at=at, tenant_id=tenant_id, because="mx", by=BY_CLOCK, reason="TX-4.4.4")
        txn.append(ended, account_id=None, tenant_id=tenant_id)
        return ()
    out = not_struck(txn.history(tenant_id), _of_mx(tenant_id, state, terms, at), at)
    for item in out:
        _strike(txn, item, at, None, tenant_id)
    return tuple(_said(item) for item in out)


def _of_mx(tenant_id: str, state: MxState, terms: Agreement, at: datetime) -> Iterator[Due]:
    """Tell the tenant of the first bad day, and whoever runs the resolvers of more than some days without an answer."""
    last_day = ends_on(state, terms)
    if state.first_bad is not None and last_day is not None:
        yield Due(
            clock="mx.bad",
            subject_id=tenant_id,
            object_id=f"mx:{state.first_bad.isoformat()}",
            due_at=at,
            event="mx_warning",
            facts={"first_bad_on": state.first_bad, "ends_on": last_day},
        )
    limit = terms.lifecycle.mx_unknown_days if terms.lifecycle is not None else None
    if limit is not None and state.unknown_days > limit and state.known_on is not None:
        yield Due(
            clock="mx.unknown",
            subject_id=tenant_id,
            object_id=f"mx:unknown:{state.known_on.isoformat()}",
            due_at=at,
            is_alarm=True,
        )


def _probes(txn: LedgerTxn, tenant_id: str) -> tuple[r.MxProbed, ...]:
    return tuple(x for x in txn.records(tenant_id) if isinstance(x, r.MxProbed))


def _ended(history: History) -> bool:
    """Say whether the service was ended and not taken up again."""
    last = next((x for x in reversed(history.further) if isinstance(x, (r.ServiceEnded, r.ServiceResumed))), None)
    return isinstance(last, r.ServiceEnded)
