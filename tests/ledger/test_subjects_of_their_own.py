"""Tenants and the site have histories of their own: kept warm, pushed, read again from the store.

HOUSE §4, STANDING 5.4.
"""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime

from filterd.ledger.codec import decode, encode
from filterd.ledger.engine import LedgerEngine
from filterd.model import records as r
from filterd.model.entry import SITE
from filterd.model.standing import History
from filterd.ports import LedgerTxn
from tests.kit.waiting import PATIENCE_S
from tests.ledger.link_house import House

AT = datetime(2026, 3, 2, 8, tzinfo=UTC)
CHARGED = r.TenantCharged(
    at=AT, tenant_id="n_1", account_id="a_1", incident_id="i_1", half_points=4, a_half_points=4
)
FROZEN = r.AutomationFrozen(at=AT, freeze_id="z_1", tenant_id=None, until=AT, by="Ana", reason="too many")


def _write(txn: LedgerTxn) -> None:
    txn.append(CHARGED, account_id=None, tenant_id="n_1")
    txn.append(FROZEN, account_id=None, tenant_id=None)


def test_a_tenants_own_rows_are_not_its_accounts(engine: LedgerEngine) -> None:
    engine.run(_write)
    assert engine.run(lambda txn: txn.history("n_1")).further == (CHARGED,)
    assert engine.run(lambda txn: txn.history(SITE)).further == (FROZEN,)
    assert engine.run(lambda txn: txn.history("a_1")) == History(account_id="a_1")
    assert engine.run(lambda txn: txn.records("n_1")) == (CHARGED,)
    # The id of what a tenant's row brought leads to the tenant.
    assert engine.run(lambda txn: txn.account_of("z_1")) == SITE


async def test_workers_hear_of_them(house: House) -> None:
    remote = await house.client()
    assert (await remote.history("n_1")).further == ()
    await house.engine.submit(_write)
    # A push comes when it comes.
    async with asyncio.timeout(PATIENCE_S):
        while not (await remote.history("n_1")).further:
            await asyncio.sleep(0.005)
    assert (await remote.history("n_1")).further == (CHARGED,)
    assert (await remote.history(SITE)).further == (FROZEN,)


def test_a_history_crosses_the_link_whole() -> None:
    lifted = r.TenantStepEnded(at=AT, step_id="s", tenant_id="n_1", because="lifted", by="Ana", reason="x")
    history = History(account_id="n_1", further=(CHARGED, FROZEN, lifted))
    assert decode(History, encode(history)) == history


def test_a_kind_of_a_newer_program_is_passed_over() -> None:
    body = encode(History(account_id="n_1", further=(CHARGED,))).replace(b"tenant.charged", b"tenant.blessed")
    assert decode(History, body) == History(account_id="n_1")
