"""A tenant's programs act with credentials of its own: one that leaks cannot act for another.  TX-7.2, AL-5.2.

Each verb of the ledger is one that an interface has: command line, and whatever asks the ledger's socket.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from filterd.errors import FilterdError, RefusedError
from filterd.pipeline.people import SERVICE, TENANT_ADMIN
from filterd.pipeline.roles import MATRIX
from tests.pipeline.people import ALICE, Office, open_office

pytestmark = pytest.mark.slow

CLARA = "clara@acme.example"


@pytest.fixture
async def office(tmp_path: Path) -> AsyncIterator[Office]:
    """Two tenants, each with an administrator and a program of its own."""
    async with open_office(tmp_path) as office:
        await office.hire("dana", role="admin")
        rows = [
            {"line": 2, "name": "Cust", "domains": "cust.example", "contact": "admin@cust.example"},
            {"line": 3, "name": "Acme", "domains": "acme.example", "contact": "admin@acme.example"},
        ]
        assert (await office.act("dana", "tenant.import", rows=rows))["errors"] == []
        for name, domain in (("cust", "cust.example"), ("acme", "acme.example")):
            await office.hire(f"{name}-admin", role="tenant_admin", tenant=domain)
            await office.hire(f"{name}-robot", role="service", tenant=domain)
        await office.mailbox(ALICE)
        await office.mailbox(CLARA)
        yield office


async def test_a_program_of_a_tenant_acts_for_its_own(office: Office) -> None:
    said = await office.act("cust-robot", "indicator.report", account=ALICE, indicator="auth.failures")
    assert said["account_id"]
    assert (await office.act("cust-robot", "account.show", account=ALICE))["login"] == ALICE


@pytest.mark.parametrize("who", ["cust-robot", "cust-admin"])
async def test_and_for_no_other(office: Office, who: str) -> None:
    """What a stolen key of one tenant opens is that tenant."""
    with pytest.raises(RefusedError, match="may only act"):
        await office.act(who, "indicator.report", account=CLARA, indicator="auth.failures")
    with pytest.raises(FilterdError):
        await office.act(who, "account.show", account=CLARA)
    shown = await office.act(who, "account.list")
    assert [row["login"] for row in shown] == [ALICE]
    assert (await office.show(CLARA))["standing"] == "good"


WRITES: dict[str, dict[str, Any]] = {
    "hold.place": {"account": CLARA, "reason": "leaked"},
    "hold.release": {"hold": CLARA, "reason": "leaked"},
    "hold.attest": {"hold": CLARA, "reason": "leaked"},
    "sanction.impose": {"account": CLARA, "rung": "warn", "clause": "4.3.1", "reason": "leaked"},
    "effect.queue": {"account": CLARA, "act": "release", "reason": "leaked"},
    "tenant.lock": {"tenant": "acme.example", "reason": "leaked"},
    "service.mx": {"tenant": "acme.example", "hosts": ["mx.acme.example"], "reason": "leaked"},
    "bypass.on": {"reason": "leaked", "minutes": 5},
    "person.add": {"name": "mole", "role": "admin"},
}


@pytest.mark.parametrize("verb", WRITES)
@pytest.mark.parametrize("who", ["cust-robot", "cust-admin"])
async def test_no_act_reaches_another_tenant(office: Office, who: str, verb: str) -> None:
    before = office.engine.run(lambda txn: len(txn.recent_entries(10_000)))
    with pytest.raises(FilterdError):
        await office.act(who, verb, **WRITES[verb])
    assert office.engine.run(lambda txn: len(txn.recent_entries(10_000))) == before


def test_whatever_a_program_may_is_bound_to_its_tenant_or_to_looking() -> None:
    """A new verb that a program may use has to be thought about here."""
    may = {verb for verb, marks in MATRIX.items() if marks[SERVICE] != "."}
    assert may == {"look", "indicator.report"}
    assert all(MATRIX[verb][TENANT_ADMIN] in ("o", ".") for verb in MATRIX)


async def test_a_leaked_key_ends_with_the_next_one(office: Office) -> None:
    leaked = office.tokens["cust-robot"]
    await office.hire("cust-robot", role="service", tenant="cust.example")
    with pytest.raises(RefusedError):
        await office.ledger.call("account.show", {"account": ALICE, "token": leaked})
    assert (await office.act("cust-robot", "account.show", account=ALICE))["login"] == ALICE
