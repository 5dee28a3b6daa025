"""Whose act it was, and who deleted what, told apart years later; a tenant restricts its own users.

AL-1.2, AL-6.1, TX-3.2.3: T-AL-1.2, T-AL-6.1, T-TX-3.2.3.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from filterd.errors import RefusedError, UsageError
from filterd.model import records as r
from filterd.model.held import HeldState
from filterd.model.session import Envelope
from filterd.pipeline.actors import Sides
from filterd.pipeline.purge import purge
from tests.kit.house import START, letter
from tests.pipeline.people import ALICE, ANN, BOB, Office, open_office

pytestmark = pytest.mark.slow

YEARS = timedelta(days=5 * 365)


@pytest.fixture
async def office(tmp_path: Path) -> AsyncIterator[Office]:
    async with open_office(tmp_path) as opened:
        await opened.hire("dana", "erin")
        await opened.reselling("dana")
        await opened.hire("jiang", role="reseller", dealer="Jiang Ltd")
        await opened.hire("anna", role="tenant_admin", tenant="acme.example")
        yield opened


def held_mail(office: Office, name: str, account_id: str, tenant_id: str) -> str:
    office.engine.spool.put(name, letter(name))
    due = office.clock.now() + timedelta(days=7)
    envelope = Envelope(reverse_path=None)
    return office.engine.run(
        lambda txn: txn.hold_mail(name, account_id, tenant_id, "virus.unscannable.limits", envelope, due)
    )


async def actors(office: Office, login: str = ANN, kind: str = "hold.placed") -> list[str]:
    rows = await office.ledger.call("account.history", {"account": login})
    return [row["actor"] for row in rows if row["kind"] == kind]


async def test_what_a_tenants_administrator_changes_is_the_tenants_own_act(office: Office) -> None:
    """T-AL-1.2."""
    await office.act("anna", "hold.place", account=ANN, features=["links"], reason="ours")
    await office.act("dana", "hold.place", account=ANN, features=["bulk"], reason="the platform's")
    await office.act("jiang", "hold.place", account=ANN, features=["attachments"], reason="the dealer's")
    assert await actors(office) == ["tenant_admin", "provider", "reseller"]
    # Whoever changes sides later leaves what they did where it was, years later too.
    office.clock.advance(YEARS.total_seconds())
    await office.hire("anna", role="moderator")
    assert await actors(office) == ["tenant_admin", "provider", "reseller"]
    await office.act("anna", "hold.place", account=ANN, features=["from_own"], reason="now the platform's")
    assert (await actors(office))[-1] == "provider"


async def test_the_rows_of_the_tenant_itself_say_it_too(office: Office) -> None:
    """T-AL-1.2."""
    await office.act("anna", "service.mx", tenant="Acme", hosts=["mx.acme.example"])
    await office.act("dana", "service.mx", tenant="Acme", hosts=[])
    rows = await office.ledger.call("tenant.history", {"tenant": "Acme"})
    assert [row["actor"] for row in rows if row["kind"] == "mx.declared"] == ["tenant_admin", "provider"]
    assert [row["actor"] for row in rows if row["kind"] == "tenant.opened"] == ["provider"]
    theirs = await office.act("anna", "tenant.history", tenant="Acme")
    assert [row["actor"] for row in theirs if row["kind"] == "mx.declared"] == ["tenant_admin", "provider"]
    assert not any("by" in row or "reason" in row for row in theirs)
    await office.mailbox(ALICE)
    for verb in ("tenant.history", "tenant.deletions"):
        with pytest.raises(RefusedError, match="not yours"):
            await office.act("anna", verb, tenant="cust.example")
        with pytest.raises(UsageError, match="no tenant"):
            await office.ledger.call(verb, {"tenant": "nobody"})


def test_machines_and_users_are_told_from_people() -> None:
    given = r.PersonAdded(at=START, person="anna", role="tenant_admin", by="root", scope="tenant:n_1")
    sides = Sides([given])
    later = START + timedelta(days=1)
    assert sides.of("anna", START - timedelta(seconds=1)) == "user"
    said = {name: sides.of(name, later) for name in ("anna", "system:clock", "directory:ldap", "root", "import:anna")}
    assert list(said.values()) == ["tenant_admin", "system", "directory", "provider", "tenant_admin"]


async def test_the_tenants_deletions_and_the_providers_are_told_apart_years_later(office: Office) -> None:
    """T-AL-6.1: also after everything personal of the tenant is gone."""
    account = await office.mailbox(ANN)
    mine, theirs = (held_mail(office, name, account.account_id, account.tenant_id) for name in ("t_1", "t_2"))
    await office.act("anna", "quarantine.delete", item=mine, reason="we do not want it")
    await office.act("dana", "quarantine.delete", item=theirs, reason="a virus after all")
    shown = await office.ledger.call("tenant.deletions", {"tenant": "Acme"})
    assert [(row["actor"], row["by"], row["item_id"]) for row in shown] == [
        ("tenant_admin", "anna", mine),
        ("provider", "dana", theirs),
    ]
    office.clock.advance(YEARS.total_seconds())
    await office.hire("anna", role="moderator")
    office.engine.run(lambda txn: txn.append(ended(txn.now, account.tenant_id), account_id=None,
                                             tenant_id=account.tenant_id))  # fmt: skip
    office.clock.advance(days=40)
    wiped = office.engine.run(lambda txn: erase(txn, office, account.tenant_id))
    assert account.account_id in wiped["purged"]
    assert office.engine.run(lambda txn: txn.account(account.account_id)) is None
    after = await office.ledger.call("tenant.deletions", {"tenant": account.account_id})
    assert [row["actor"] for row in after] == ["tenant_admin", "provider", "provider"]
    assert (after[-1]["what"], after[-1]["by"], after[-1]["approver"]) == ("everything", "dana", "erin")
    of_tenant = await office.ledger.call("tenant.deletions", {"tenant": account.tenant_id})
    assert [(row["what"], row["actor"]) for row in of_tenant] == [("everything", "provider")]


def ended(at: Any, tenant_id: str) -> r.ServiceEnded:
    return r.ServiceEnded(at=at, tenant_id=tenant_id, because="insolvency", by="dana", reason="r")


def erase(txn: Any, office: Office, tenant_id: str) -> dict[str, Any]:
    from filterd.pipeline.clockwork import began_at, strike_tenant

    for days in (0, 2):
        at = txn.now + timedelta(days=days)
        strike_tenant(txn, tenant_id, office.rules, at, since=began_at(txn))
    return purge(txn, [tenant_id], office.rules, proposal_id="q_1", by="dana", approver="erin")


async def test_a_tenants_administrator_deletes_its_own_held_mail_only(office: Office) -> None:
    alice = await office.mailbox(ALICE)
    item = held_mail(office, "t_3", alice.account_id, alice.tenant_id)
    with pytest.raises(RefusedError, match="only act for the tenants of"):
        await office.act("anna", "quarantine.delete", item=item, reason="curious")
    assert await office.act("anna", "quarantine.list") == []
    assert [row["item_id"] for row in await office.act("dana", "quarantine.list")] == [item]
    found = office.engine.run(lambda txn: txn.held_mail(item))
    assert found is not None
    assert found.state is HeldState.HELD


async def test_a_tenants_administrator_restricts_its_own_users_without_points(office: Office) -> None:
    """T-TX-3.2.3."""
    await office.mailbox(ALICE)
    await office.hire("carl", role="tenant_admin", tenant="cust.example")
    before = await office.show(ALICE)
    placed = await office.act("carl", "hold.place", account=ALICE, features=["external_recipients"], reason="our rule")
    assert placed["locked"] == ["external_recipients"]
    refused = await office.send(letter(), BOB, login=ALICE)
    assert refused.reply is not None
    assert refused.reply.code == 550
    inside = await office.send(letter("in"), "eve@cust.example", login=ALICE)
    assert inside.reply is None
    after = await office.show(ALICE)
    assert (after["standing"], after["points"], after["sanctions"]) == (before["standing"], 0, [])
    with pytest.raises(RefusedError, match="only act for the tenants of"):
        await office.act("anna", "hold.release", hold=placed["hold_id"], reason="not ours")
    await office.act("carl", "hold.release", hold=placed["hold_id"], reason="enough")
    assert (await office.send(letter("again"), BOB, login=ALICE)).reply is None
    # What the provider has imposed is not theirs to end, nor what the provider has locked.
    sanction = await office.suspend("dana")
    for verb in ("sanction.lift", "sanction.annul"):
        with pytest.raises(RefusedError, match="has role tenant_admin"):
            await office.act("carl", verb, sanction=sanction, reason="ours")
    locked = await office.act("dana", "hold.place", account=ALICE, features=["links"], reason="the platform's")
    with pytest.raises(RefusedError, match="a moderator unlocks this"):
        await office.act("carl", "hold.release", hold=locked["hold_id"], reason="ours")
