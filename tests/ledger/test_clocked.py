"""For which accounts does time do anything?  What the clock job looks at, on both stores."""

from __future__ import annotations

from dataclasses import replace
from datetime import date

from filterd.ledger.engine import LedgerEngine
from filterd.model import records as r
from filterd.model.principal import Account, Tenant
from filterd.model.sanction import Feature, Rung
from filterd.ports import LedgerTxn
from tests.ledger.rig import AT

SANCTION = r.SanctionImposed(
    at=AT,
    sanction_id="s_1",
    incident_id="i_1",
    decision_id="d_1",
    account_id="a_b",
    rung=Rung.RESTRICT,
    step=1,
    features=(Feature(name="bulk"),),
    category="spam.outbound",
    clauses=(),
    starts_at=AT,
    ends_at=None,
    lapses_at=None,
    step_down_features=(),
    is_automatic=True,
    by="system",
    warranted=Rung.RESTRICT,
)
HOLD = r.HoldPlaced(
    at=AT, hold_id="h_1", incident_id="i_2", account_id="a_c", features=(), starts_at=AT, ends_at=None
)
OPENED = r.IncidentOpened(
    at=AT,
    incident_id="i_9",
    account_id="a_e",
    tenant_id="n_1",
    family="spam",
    evidence_key="e",
    is_after_notice=False,
    is_first=True,
)


def _write(txn: LedgerTxn) -> None:
    txn.put_tenant(Tenant(tenant_id="n_1", name="Cust", agreement="tencent-exmail"))
    for name in "abcde":
        account = Account(account_id=f"a_{name}", tenant_id="n_1", login=f"{name}@cust.example")
        txn.put_account(replace(account, expires_on=date(2026, 12, 1)) if name == "a" else account)
    txn.append(SANCTION, account_id="a_b", tenant_id="n_1")
    txn.append(replace(SANCTION, sanction_id="s_2"), account_id="a_b", tenant_id="n_1")
    txn.append(HOLD, account_id="a_c", tenant_id="n_1")
    # A step against a tenant begins with its own letters, and an incident alone ends by itself.
    txn.append(OPENED, account_id="a_e", tenant_id="n_1")
    txn.append(replace(HOLD, hold_id="h_2"), account_id=None, tenant_id="n_1")


def test_those_with_a_sanction_a_hold_or_a_last_day_each_once_in_order(engine: LedgerEngine) -> None:
    engine.run(_write)
    assert engine.run(lambda txn: txn.clocked()) == ("a_a", "a_b", "a_c")
    assert engine.run(lambda txn: txn.clocked("", 2)) == ("a_a", "a_b")
    assert engine.run(lambda txn: txn.clocked("a_b", 2)) == ("a_c",)
    assert engine.run(lambda txn: txn.clocked("a_c")) == ()


def test_who_was_erased_has_no_clock_of_its_own(engine: LedgerEngine) -> None:
    engine.run(_write)
    engine.run(lambda txn: txn.erase_subject("a_a"))
    assert engine.run(lambda txn: txn.clocked()) == ("a_b", "a_c")
