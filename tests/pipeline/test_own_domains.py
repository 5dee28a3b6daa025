"""From and envelope against what is the tenant's: its domains, what is below them, what is delegated.  TX-2.2.1, 3.1.1.

The check is the real one, in the gate, on a real ledger.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from filterd import app
from filterd.app.checks import Files, Neighbours, build_checks
from filterd.ports import Answer
from tests.kit.house import letter
from tests.pipeline.people import Office, open_office

pytestmark = pytest.mark.slow

ALICE, SALES, CLARA = "alice@cust.example", "sales@cust.example", "clara@other.example"
LENT = "news.lent.example"
TABLES = {
    "clamd": {"enabled": False},
    "spam": {"enabled": False},
    "content": {"enabled": False},
    "authentication": {"enabled": False},
    "sender": {"delegated": {"cust.example": [LENT]}},
}


@pytest.fixture
async def office(tmp_path: Path) -> AsyncIterator[Office]:
    """Two tenants whose domains are declared, and the check `sender` as the configuration makes it."""
    async with open_office(tmp_path, **TABLES) as office:
        neighbours = Neighbours(scanner=None, clock=office.clock, owner_of=office.ledger.domain_owner)
        made = build_checks(office.config, neighbours, Files(model=None, feed=None, terms=None))
        office.gate = office.gate.adopt(
            terms=office.agreements,
            default_terms=office.terms(),
            checks=tuple(x for x in made if x.name == "sender"),
            rules=app.gate_rules(office.config),
            resolver=None,
        )
        await office.hire("dana", role="admin")
        rows = [
            {"line": 2, "name": "Cust", "domains": "cust.example", "contact": "admin@cust.example"},
            {"line": 3, "name": "Other", "domains": "other.example", "contact": "admin@other.example"},
        ]
        assert (await office.act("dana", "tenant.import", rows=rows))["errors"] == []
        await office.mailbox(ALICE)
        yield office


async def send(office: Office, sender: str) -> Answer:
    return await office.send(letter(f"of {sender}", sender=sender), "bob@far.example", login=ALICE)


@pytest.mark.parametrize("sender", [ALICE, SALES, f"alice@{LENT}", f"a@deep.{LENT}", "a@mail.cust.example"])
async def test_ones_own_an_alias_a_name_below_and_a_delegated_domain_pass(office: Office, sender: str) -> None:
    assert (await send(office, sender)).reply is None
    assert office.promised() == []


@pytest.mark.parametrize("sender", [CLARA, "me@freemail.example", "a@lent.example", f"a@not{LENT}"])
async def test_what_is_another_tenants_or_nobodys_is_refused_without_points_and_advised_once(
    office: Office, sender: str
) -> None:
    said = [(await send(office, sender)).reply for _ in range(2)]
    assert [x.code for x in said if x is not None] == [550] * 2
    await office.gate.flush()
    # Both refusals are one notice, for the sender and for the administrator.
    assert office.promised() == ["advice"]
    shown = await office.show(ALICE)
    assert (shown["standing"], shown["points"]) == ("good", 0)


async def test_what_is_delegated_to_one_tenant_is_no_others(office: Office) -> None:
    await office.mailbox(CLARA)
    raw = letter("borrowed", sender=f"clara@{LENT}")
    assert (await office.send(raw, "bob@far.example", login=CLARA)).reply is not None
    # Lent, it is still whoever's it is: a tenant that declares it has it.
    rows = [{"line": 2, "name": "Lender", "domains": LENT, "contact": f"admin@{LENT}"}]
    assert (await office.act("dana", "tenant.import", rows=rows))["errors"] == []
    assert (await send(office, f"alice@{LENT}")).reply is None
    assert (await office.send(raw.replace(b"borrowed", b"again"), "bob@far.example", login=CLARA)).reply is not None
