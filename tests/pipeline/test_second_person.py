"""Who counts as a person of their own: an administrator alone cannot be two.  STANDING 5.5."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from filterd.errors import RefusedError, UsageError
from filterd.log import EventStream, Log
from filterd.model import records as r
from tests.kit.house import KEYS
from tests.pipeline.people import ALICE, Office, open_office

pytestmark = pytest.mark.slow


@pytest.fixture
async def office(tmp_path: Path) -> AsyncIterator[Office]:
    """A new site: one administrator, who is the first person there is."""
    async with open_office(tmp_path) as opened:
        opened.tokens["mal"] = (await opened.ledger.call("person.add", {"name": "mal", "role": "admin"}))["token"]
        yield opened


async def add(office: Office, name: str, role: str = "moderator", **more: Any) -> dict[str, Any]:
    """Have the administrator add somebody."""
    said: dict[str, Any] = await office.act("mal", "person.add", name=name, role=role, **more)
    office.tokens[name] = said["token"]
    return said


async def proposed(office: Office, by: str) -> dict[str, Any]:
    await office.mailbox()
    made: dict[str, Any] = await office.act(
        by, "proposal.make", act="register.protect", subject=ALICE, reason="r", kind="hospital"
    )
    return made


async def approve(office: Office, by: str, made: dict[str, Any]) -> Any:
    return await office.act(by, "proposal.approve", proposal=made["proposal_id"], digest=made["digest"])


async def staffing(office: Office) -> str:
    return str((await office.ledger.call("staffing.show", {}))["staffing"])


async def test_whom_an_administrator_adds_acts_at_once_and_is_nobody_s_second_for_a_day(office: Office) -> None:
    first, second = await add(office, "one"), await add(office, "two")
    assert first["needs_second"]
    assert first["second_from"] == second["second_from"] == "2026-03-03T01:00:00Z"
    await office.suspend("one")
    assert await office.standing() == "suspended"
    made = await proposed(office, "one")
    with pytest.raises(RefusedError, match="two was added by one person"):
        await approve(office, "two", made)
    assert await staffing(office) == "solo"
    office.clock.advance(hours=24)
    assert (await approve(office, "two", made))["approver"] == "two"
    assert await staffing(office) == "pair"


async def test_where_somebody_decides_they_vouch_and_no_day_does(office: Office) -> None:
    await add(office, "one")
    office.clock.advance(hours=24)
    assert (await add(office, "two"))["second_from"] is None
    office.clock.advance(days=30)
    made = await proposed(office, "one")
    with pytest.raises(RefusedError, match="filterd person vouch"):
        await approve(office, "two", made)
    for who in ("mal", "two"):
        with pytest.raises(RefusedError):
            await office.act(who, "person.vouch", name="two", reason="I am")
    await office.act("one", "person.vouch", name="two", reason="seen in person")
    assert (await approve(office, "two", made))["approver"] == "two"
    (row,) = office.site(r.PersonVouched)
    assert (row.person, row.by, row.reason) == ("two", "one", "seen in person")


async def test_nobody_new_is_the_second_of_any_two(office: Office) -> None:
    await add(office, "one")
    office.clock.advance(hours=24)
    await add(office, "two", role="appeals_reviewer")
    await add(office, "adam", role="admin")
    sanction = await office.suspend("one")
    await office.act("one", "appeal.file", target=sanction, text="no")
    (appeal,) = await office.act("one", "appeal.list")
    given = {"appeal": appeal["appeal_id"], "outcome": "granted", "reason": "r"}
    await office.act("one", "evidence.hold", case=ALICE, reason="court")
    await office.act("mal", "tenant.lock", tenant="cust.example", reason="run")
    for who, verb, arguments in (
        ("two", "appeal.decide", given),
        ("two", "evidence.release", {"case": ALICE, "reason": "r"}),
        ("adam", "tenant.lock_confirm", {"tenant": "cust.example", "reason": "r"}),
    ):
        with pytest.raises(RefusedError, match="nobody's second"):
            await office.act(who, verb, **arguments)


async def test_vouching_is_for_those_who_wait_and_not_for_oneself(office: Office) -> None:
    await add(office, "one")
    office.clock.advance(hours=24)
    await add(office, "vera", role="viewer")
    for name, error, said in (
        ("nobody", UsageError, "there is no nobody"),
        ("one", RefusedError, "nobody vouches for themselves"),
        ("vera", RefusedError, "waits for nobody"),
        ("mal", RefusedError, "waits for nobody"),
    ):
        with pytest.raises(error, match=said):
            await office.act("one", "person.vouch", name=name, reason="r")


async def test_everybody_sees_who_waits_and_who_added_them(office: Office) -> None:
    await add(office, "one")
    rows = {row["name"]: row for row in await office.ledger.call("person.list", {})}
    assert (rows["one"]["waits_until"], rows["one"]["added_by"]) == ("2026-03-03T01:00:00Z", "mal")
    assert "waits_until" not in rows["mal"]
    office.clock.advance(hours=24)
    await add(office, "two")
    rows = {row["name"]: row for row in await office.ledger.call("person.list", {})}
    assert rows["two"]["waits_until"] == "vouched"
    assert "waits_until" not in rows["one"]


async def test_such_a_row_is_an_error_line_that_says_what_to_do(office: Office, tmp_path: Path) -> None:
    await add(office, "one")
    await add(office, "vera", role="viewer")
    found = office.engine.run(lambda txn: txn.recent_entries(50))
    log = Log(EventStream(tmp_path / "other", "t.x", office.clock.now), pseudonym_key=KEYS.pseudonym)
    with capture_logs() as lines:
        for row in found:
            log.entry(row.entry)
    log.stream.close()
    (line,) = [x for x in lines if x["log_level"] == "error"]
    assert line["event"] == "second_person_added"
    assert "filterd person list" in line["do"]


async def test_root_adds_without_waiting_under_its_own_alarm(office: Office) -> None:
    await office.hire("one", "two")
    made = await proposed(office, "one")
    assert (await approve(office, "two", made))["approver"] == "two"
    assert [x.verb for x in office.site(r.RootActed)] == ["person.add", "person.add"]


# --- scopes -----------------------------------------------------------------------------------------------------------


async def test_lists_heed_the_scope_of_a_token(office: Office) -> None:
    await office.hire("dana")
    await office.reselling("dana")
    await office.mailbox()
    await office.hire("tina", role="tenant_admin", tenant="acme.example")
    await office.hire("jiang", role="reseller", dealer="Jiang Ltd")
    await office.act("jiang", "mandate.give", dealer="Jiang Ltd", document="C-1")
    await office.act("dana", "automation.freeze", tenant="cust.example", hours=1, reason="r")
    assert [row["name"] for row in await office.act("tina", "person.list")] == ["tina"]
    assert len(await office.act("dana", "person.list")) == 4
    assert await office.act("tina", "mandate.list") == []
    assert len(await office.act("jiang", "mandate.list")) == len(await office.act("dana", "mandate.list")) == 1
    assert (await office.act("tina", "automation.show"))["frozen"] == []
    assert len((await office.act("dana", "automation.show"))["frozen"]) == 1
    with pytest.raises(UsageError, match="no account"):
        await office.act("tina", "effect.list", account=ALICE)
    assert await office.act("dana", "effect.list", account=ALICE) == []


async def test_nobody_looks_at_what_is_kept_of_their_own_mail_or_their_tenant_s(office: Office) -> None:
    await office.hire("dana")
    await office.mailbox()
    await office.spread(subject="v1")
    await office.hire("own", account=ALICE)
    await office.hire("near", tenant="cust.example")
    account = await office.mailbox()
    (mail,) = [x for x in office.records(account.account_id) if isinstance(x, r.ViolationRecorded)]
    for who, said in (("own", "own mailbox"), ("near", "is recused")):
        for verb, given in (
            ("evidence.show", {"target": mail.transaction_id}),
            ("evidence.read", {"target": mail.transaction_id}),
            ("evidence.hold", {"case": ALICE}),
            ("evidence.release", {"case": ALICE}),
            ("effect.queue", {"account": ALICE, "act": "release"}),
        ):
            with pytest.raises(RefusedError, match=said):
                await office.act(who, verb, reason="curious", **given)
    assert [x for x in office.records(account.account_id) if isinstance(x, r.EvidenceViewed)] == []


# --- objections by mail -----------------------------------------------------------------------------------------------


async def test_an_objection_by_mail_calls_the_desk(office: Office) -> None:
    await office.hire("dana")
    await office.suspend("dana")
    account = await office.mailbox()
    await office.ledger.object_by_mail(account.account_id, "t_1")
    assert office.promised().count("desk_task") == 1
    await office.ledger.object_by_mail(account.account_id, "t_2")
    assert office.promised().count("desk_task") == 1


async def test_an_account_s_service_is_shown(office: Office) -> None:
    await office.hire("dana")
    await office.mailbox()
    assert (await office.show(ALICE))["lifecycle"]["state"] == "active"
    await office.act("dana", "service.end", tenant="cust.example", because="insolvency", reason="gone")
    life = (await office.show(ALICE))["lifecycle"]
    assert (life["state"] != "active", life["because"]) == (True, "insolvency")
