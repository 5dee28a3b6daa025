"""What the ledger's tests share: keys, records, a small fold, and an engine with nothing faked in it."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from filterd.clients.keys import derive
from filterd.ledger.engine import LedgerEngine
from filterd.model.ids import derived_id
from filterd.model.principal import Account, Tenant
from filterd.model.records import (
    AccountOpened,
    AutomationFrozen,
    IncidentOpened,
    Record,
    SanctionImposed,
    StrikeIssued,
    TenantCharged,
    ViolationRecorded,
)
from filterd.model.sanction import Feature, Rung
from filterd.model.standing import History, IncidentFile, SanctionFile
from filterd.ports import Clock, LedgerTxn
from tests.kit.clock import NOON, FrozenClock

KEYS = derive(bytes(range(32)))
NODE = "node1"
WRITER = "node1.ledger"
AT = datetime(2026, 11, 1, 9, 30, 0, 123456, tzinfo=UTC)
LATER = AT + timedelta(days=200)


def fold(history: History, record: Record, account_id: str) -> History:
    """Enough of a fold to see which records came in, in which order."""
    assert history.account_id == account_id
    match record:
        case IncidentOpened():
            return replace(history, incidents=(*history.incidents, IncidentFile(opened=record)))
        case StrikeIssued():
            incidents = [
                replace(file, strike=record) if file.opened.incident_id == record.incident_id else file
                for file in history.incidents
            ]
            return replace(history, incidents=tuple(incidents))
        case SanctionImposed():
            return replace(history, sanctions=(*history.sanctions, SanctionFile(imposed=record)))
        case TenantCharged() | AutomationFrozen():
            return replace(history, further=(*history.further, record))
        case _:
            return history


def open_engine(state_dir: Path, clock: Clock | None = None, **options: Any) -> LedgerEngine:
    """Open a real ledger: in the state directory, or in the database that `url_file` names."""
    options = {"state_dir": state_dir, "node": NODE, "keys": KEYS, "apply": fold, "url": url_of(state_dir)} | options
    return LedgerEngine.open(clock=clock or FrozenClock(NOON), **options)


def url_file(state_dir: Path) -> Path:
    """Say where it stands which database belongs to a state directory; SQLite where there is no such file."""
    return state_dir.with_suffix(".url")


def url_of(state_dir: Path) -> str | None:
    return url_file(state_dir).read_text() if url_file(state_dir).exists() else None


def opened(account_id: str, source: str = "import", at: datetime = AT) -> AccountOpened:
    return AccountOpened(at=at, account_id=account_id, tenant_id="n_1", source=source)


def incident(account_id: str, number: int | str = 1, at: datetime = AT) -> IncidentOpened:
    return IncidentOpened(
        at=at,
        incident_id=incident_id(account_id, number),
        account_id=account_id,
        tenant_id="n_1",
        family="spam",
        evidence_key=f"e{number}",
        is_after_notice=False,
        is_first=True,
    )


def incident_id(account_id: str, number: int | str = 1) -> str:
    return derived_id("i", account_id, str(number))


def violation(account_id: str, transaction_id: str, number: int | str = 1) -> ViolationRecorded:
    return ViolationRecorded(
        at=AT,
        incident_id=incident_id(account_id, number),
        decision_id=f"d_{number}",
        transaction_id=transaction_id,
        evidence_key=f"e{number}",
        text_fp="f",
        violations=(),
        delivery_keys=("k1",),
        policy_digest="p",
    )


def strike(account_id: str, number: int | str = 1, half_points: int = 2) -> StrikeIssued:
    return StrikeIssued(
        at=AT,
        strike_id=f"s_{account_id}_{number}",
        incident_id=incident_id(account_id, number),
        decision_id=f"d_{number}",
        category="spam.outbound",
        severity=1,
        a_half_points=half_points,
        b_half_points=0,
        provisional_until=None,
        provisional_cap=4,
        expires_at=LATER,
    )


def sanction(account_id: str, number: int | str = 1, rung: Rung = Rung.WARN) -> SanctionImposed:
    return SanctionImposed(
        at=AT,
        sanction_id=f"x_{account_id}_{number}",
        incident_id=incident_id(account_id, number),
        decision_id=f"d_{number}",
        account_id=account_id,
        rung=rung,
        features=(Feature(name="bulk"), Feature(name="messages_per_hour", limit=20)),
        category="spam.outbound",
        clauses=("TX-3.1",),
        starts_at=AT,
        ends_at=None,
        lapses_at=None,
        step_down_features=(),
        is_automatic=True,
        by="system",
        warranted=rung,
        step=int(rung),
    )


def act(txn: LedgerTxn, account_id: str, number: int | str = 1) -> int:
    """What a decision does: an incident, a strike and a sanction in one go; says the last seq."""
    subjects = {"account_id": account_id, "tenant_id": "n_1"}
    txn.append(incident(account_id, number), **subjects, personal={"recipient": "somebody@example.org"})
    txn.append(strike(account_id, number), **subjects)
    txn.mark_deliveries(account_id, incident_id(account_id, number), [f"k{number}"], AT)
    return txn.append(sanction(account_id, number), **subjects).seq


TENANT = Tenant(
    tenant_id="n_1",
    name="Lindenhof Werkstatt",
    agreement="tencent-exmail",
    domains=("example.com", "example.net"),
    contact="chief@example.net",
    seats=12,
)
ACCOUNT = Account(
    account_id="a_1",
    tenant_id="n_1",
    login="wilhelmine.oster@example.com",
    language="de",
    contact="wilhelmine@privat.example",
)


def people_the_directory(txn: LedgerTxn) -> None:
    txn.put_tenant(TENANT)
    txn.put_account(ACCOUNT)
