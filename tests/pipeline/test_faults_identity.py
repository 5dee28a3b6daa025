"""Fault 39 by its number (tests/faults.toml): an account writes in the name of another.  FAULTS §3; CVE-2024-7208.

The check is the real one, in the gate, on a real ledger, with the directory's aliases and grants.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from filterd import app
from filterd.app.checks import Files, Neighbours, build_checks
from filterd.app.identities import account_of, may_send_as
from filterd.model.reply import Reply
from tests.kit.house import letter
from tests.pipeline.people import ALICE, Office, open_office

pytestmark = pytest.mark.slow

BEA, SALES, CLARA = "bea@cust.example", "sales@cust.example", "clara@other.example"
TABLES = {
    "clamd": {"enabled": False},
    "spam": {"enabled": False},
    "content": {"enabled": False},
    "authentication": {"enabled": False},
}


class Shared(Office):
    """Two tenants; of the first one Alice with an alias, Bea, and a shared mailbox that Alice may write from."""

    async def begin(self) -> None:
        neighbours = Neighbours(
            scanner=None,
            clock=self.clock,
            owner_of=self.ledger.domain_owner,
            account_of=account_of(self.ledger),
            may_send_as=may_send_as(self.ledger),
        )
        made = build_checks(self.config, neighbours, Files(model=None, feed=None, terms=None))
        self.gate = self.gate.adopt(
            terms=self.agreements,
            default_terms=self.terms(),
            checks=tuple(x for x in made if x.name == "sender"),
            rules=app.gate_rules(self.config),
            resolver=None,
        )
        await self.hire("dana", role="admin")
        tenants = [
            {"line": 2, "name": "Cust", "domains": "cust.example", "contact": "admin@cust.example"},
            {"line": 3, "name": "Other", "domains": "other.example", "contact": "admin@other.example"},
        ]
        assert (await self.act("dana", "tenant.import", rows=tenants))["errors"] == []
        accounts = [
            {"line": 2, "login": ALICE, "aliases": "office@cust.example", "send_as": SALES},
            {"line": 3, "login": BEA},
            {"line": 4, "login": SALES},
            {"line": 5, "login": CLARA},
        ]
        assert (await self.act("dana", "account.import", rows=accounts))["errors"] == []

    async def write(self, sender: str, *fields: str, login: str = ALICE) -> tuple[Reply | None, set[str]]:
        """Send a mail; say the reply and the codes of what the check found."""
        answer = await self.send(letter(f"of {sender}", *fields, sender=sender), "bob@far.example", login=login)
        await self.gate.flush()
        checks = self.events("decided")[-1]["checks"]
        return answer.reply, {str(found["code"]) for check in checks for found in check["findings"]}


@pytest.fixture
async def office(tmp_path: Path) -> AsyncIterator[Shared]:
    async with open_office(tmp_path, **TABLES) as opened:
        opened.__class__ = Shared
        assert isinstance(opened, Shared)
        await opened.begin()
        yield opened


@pytest.mark.parametrize(
    "sender", [ALICE, "alice+news@cust.example", "office@cust.example", SALES, "sales+q4@cust.example"]
)
async def test_fault_39_ones_own_an_alias_and_a_lent_address_are_no_other_account(office: Shared, sender: str) -> None:
    assert await office.write(sender) == (None, set())


@pytest.mark.parametrize("sender", [BEA, "bea+x@cust.example", "Bea@CUST.example"])
async def test_fault_39_a_colleagues_from_is_the_writers_finding(office: Shared, sender: str) -> None:
    reply, codes = await office.write(sender)
    assert (reply, codes) == (None, {"sender.from.other_account"})
    # What is lent to Alice is lent to her alone.
    assert (await office.write(SALES, login=BEA))[1] == {"sender.from.other_account"}
    for login in (ALICE, BEA, SALES):
        shown = await office.show(login)
        assert (shown["standing"], shown["points"], shown["incidents"]) == ("good", 0, [])


@pytest.mark.parametrize(
    "fields",
    [
        (f"Sender: {CLARA}",),
        (f"Resent-From: {CLARA}",),
        (f"Resent-Sender: {CLARA}", f"Resent-From: {ALICE}"),
    ],
    ids=["sender", "resent-from", "resent-sender"],
)
async def test_fault_39_another_tenants_name_in_any_field_of_the_sender_is_refused(
    office: Shared, fields: tuple[str, ...]
) -> None:
    reply, codes = await office.write(ALICE, *fields)
    assert reply is not None
    assert reply.code == 550
    assert codes == {"sender.from.other_tenant"}


async def test_fault_39_another_tenants_user_is_never_the_one_who_pays(office: Shared) -> None:
    for _ in range(5):
        reply, codes = await office.write(CLARA)
        assert reply is not None
        assert (reply.code, codes & {"sender.from.other_tenant"}) == (550, {"sender.from.other_tenant"})
    # The writer's events name the writer; of Clara and her tenant there is no incident, no point, no notice.
    wrote = {event["principal"]["account_id"] for event in office.events("decided")}
    alice, clara = await office.mailbox(ALICE), await office.mailbox(CLARA)
    assert wrote == {alice.account_id}
    shown = await office.show(CLARA)
    assert (shown["standing"], shown["points"], shown["incidents"]) == ("good", 0, [])
    assert office.records(clara.account_id)[1:] == ()
