"""The enterprise answers for its users, on a real ledger.  STANDING 5.4 rows 9 and 11, 5.5, 5.7-15; TX-3.6, AL-1.2."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from filterd.config import Config
from filterd.errors import RefusedError
from filterd.mail.address import parse_forward_path
from filterd.model import records as r
from filterd.model.reply import Reply
from filterd.model.session import Door, Session
from tests.kit.house import House, letter

pytestmark = pytest.mark.slow

CONFIG = {
    "listener": [{"name": "submission", "attribution": "xclient", "direction": "outbound"}],
    "notices": {"appeals_address": "appeals@provider.example", "merge_s": 60},
}
SPAM = ("content.spam.model", "rate.recipients.high")
ANN, BOB, CAT, DAN = (f"{name}@acme.example" for name in ("ann", "bob", "cat", "dan"))
SIGNED = {
    "supplement": "aliyun-supplement",
    "supplement_document": "C-17",
    "supplement_signed_by_provider": "2026-02-01",
    "supplement_signed_by_tenant": "2026-02-20",
}


class Company(House):
    """A house with a tenant in it, whose accounts a list has told, and people of several parties."""

    def __init__(self, **arguments: Any):
        super().__init__(**arguments)
        self.tokens: dict[str, str] = {}
        self.sent = 0

    async def hire(self, name: str, role: str = "moderator", **more: str) -> None:
        said = await self.ledger.call("person.add", {"name": name, "role": role, "as_root": True, **more})
        self.tokens[name] = said["token"]

    async def found(self, *logins: str, seats: int = 4, **more: str) -> None:
        """Have the tenant with its accounts."""
        tenant = {"name": "Acme", "domains": "acme.example", "seats": str(seats), "contact": "boss@elsewhere.example"}
        rows = [{"line": 2, "agreement": "tencent-exmail", **tenant, **more}]
        await self.act("dana", "tenant.import", rows=rows)
        accounts = [{"line": n, "login": login, "tenant": "Acme"} for n, login in enumerate(logins, start=2)]
        await self.act("dana", "account.import", rows=accounts)

    async def act(self, person: str, verb: str, **arguments: Any) -> Any:
        return await self.ledger.call(verb, {"token": self.tokens[person], "reason": "looked at it"} | arguments)

    async def spam(self, login: str, recipients: int = 1000, codes: tuple[str, ...] = SPAM) -> None:
        """One incident: 4 points in mode A by default."""
        self.script.codes = codes
        self.sent += 1
        to = [f"p{self.sent}.{n}@other.example" for n in range(recipients)]
        await self.send(letter(f"run {self.sent}", sender=login), *to, login=login)
        self.script.codes = ()

    async def shown(self) -> dict[str, Any]:
        found: dict[str, Any] = await self.ledger.call("tenant.show", {"tenant": "acme.example"})
        return found

    async def reply(self, login: str, to: str = "bob@other.example") -> Reply | None:
        self.sent += 1
        return (await self.send(letter(f"mail {self.sent}", sender=login), to, login=login)).reply

    def events_promised(self, name: str) -> list[dict[str, Any]]:
        items = self.engine.run(lambda txn: txn.outbox.pending())
        return [x.payload for x, _, _ in items if x.payload.get("event") == name]

    def tenant_rows(self, *kinds: type) -> list[Any]:
        found = self.engine.run(lambda txn: [txn.records(t.tenant_id) for t in txn.tenants()])
        return [row for rows in found for row in rows if isinstance(row, kinds)]


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[Company]:
    opened = Company(folder=tmp_path, config=Config.model_validate({**CONFIG, "node": {"state_dir": str(tmp_path)}}))
    await opened.open()
    await opened.hire("dana")
    await opened.hire("eva")
    yield opened
    await opened.close()


async def climb(house: Company) -> None:
    """Two steps: a warning at a score of 4, a quota at 6."""
    for login in (ANN, BOB, CAT):
        await house.spam(login)


async def test_a_tenant_is_warned_and_then_limited_for_what_several_of_its_accounts_did(house: Company) -> None:
    await house.found(ANN, BOB, CAT, DAN)
    await house.spam(ANN)
    assert (await house.shown())["score"] == {
        "points": 2.0, "final_points": 2.0, "a_points": 2.0, "accounts": 1, "accounts_needed": 2, "counts": False,
    }
    await house.spam(BOB)
    shown = await house.shown()
    assert [x["step"] for x in shown["steps"]] == ["warn"]
    assert [x["score_milli"] for x in [e["facts"][0] for e in house.events_promised("tenant_warning")]] == [4000]
    await house.spam(CAT)
    shown = await house.shown()
    assert [(x["step"], x["quota"]) for x in shown["steps"]] == [("warn", None), ("quota", 200)]
    assert shown["features_off"] == ["tenant_external_per_day:200"]
    facts = house.events_promised("tenant_quota")[0]["facts"][0]
    assert (facts["quota"], facts["is_technical"], facts["clauses"]) == (200, False, ["3.6", "4.3.1"])
    assert all(row.tenant_id == shown["tenant_id"] for row in house.tenant_rows(r.TenantCharged, r.TenantStepTaken))


async def test_innocent_co_users_are_told_and_read_that_their_own_standing_is_good(house: Company) -> None:
    await house.found(ANN, BOB, CAT, DAN)
    await climb(house)
    told = house.events_promised("co_user")
    assert [x["facts"][0]["step"] for x in told] == ["quota"]
    # Whoever has something charged gets notices of their own.
    ids = {(await house.show(login))["account_id"] for login in (ANN, BOB, CAT)}
    assert set(told[0]["facts"][0]["except_ids"]) == ids
    reply = await house.reply(DAN)
    assert reply is not None
    assert reply.code == 451
    for words in ("your whole organisation", "own standing is good", "Ask your administrator"):
        assert words in reply.text
    for word in (*(login.split("@")[0] for login in (ANN, BOB, CAT)), "spam", "points"):
        assert word not in reply.text
    assert (await house.show(DAN))["standing"] == "good"
    # Inside, and to the desk, mail goes on; after 72 hours so does all else.
    assert await house.reply(DAN, "ann@acme.example") is None
    assert await house.reply(DAN, "appeals@provider.example") is None
    house.clock.advance(hours=72)
    assert await house.reply(DAN) is None


async def test_one_member_of_fifty_never_moves_the_tenant(house: Company) -> None:
    await house.found(*(f"u{n}@acme.example" for n in range(50)), seats=50)
    for _ in range(6):
        await house.spam("u0@acme.example", 1, ("virus.signature.match",))
        await house.notice_received()
        # Past its suspension.
        house.clock.advance(days=8)
    shown = await house.shown()
    assert shown["score"]["points"] > 3
    assert (shown["steps"], shown["proposals"]) == ([], [])


async def test_seats_bought_count_where_only_mail_has_told_the_accounts(house: Company) -> None:
    await house.act(
        "dana",
        "tenant.import",
        rows=[{"line": 2, "name": "Acme", "domains": "acme.example", "seats": "50", "agreement": "tencent-exmail"}],
    )
    await house.spam(ANN)
    assert (await house.shown())["score"]["accounts_needed"] == 3


async def test_a_one_seat_tenant_and_an_administrator_can_be_reached(house: Company) -> None:
    await house.found(ANN, BOB, CAT, DAN, seats=4, contact=ANN)
    await house.spam(ANN)
    shown = await house.shown()
    assert [x["admin"] for x in shown["charges"]] == [True]
    assert shown["score"]["counts"]


async def test_case_hydra_successor_mailbox(house: Company) -> None:
    await house.found(*(f"u{n}@acme.example" for n in range(20)), seats=20)
    await house.spam("u0@acme.example")
    house.clock.advance(days=2)
    await house.spam("new@acme.example")
    shown = await house.shown()
    assert [(x["successor"]) for x in shown["charges"] if x["points"]].count(True) == 1
    assert shown["score"]["counts"]


async def test_an_annulment_takes_the_tenant_s_steps_back(house: Company) -> None:
    await house.found(ANN, BOB, CAT, DAN)
    await climb(house)
    assert await house.reply(DAN) is not None
    incident = (await house.show(CAT))["incidents"][0]["incident_id"]
    await house.act("eva", "sanction.annul", sanction=incident)
    shown = await house.shown()
    assert [x["step"] for x in shown["steps"]] == ["warn"]
    assert shown["score"]["points"] == 4.0
    assert await house.reply(DAN) is None
    assert [x["facts"][0]["because"] for x in house.events_promised("tenant_step_ended")] == ["replayed"]


async def test_the_same_run_of_mail_is_charged_once(house: Company) -> None:
    await house.found(ANN, BOB, CAT, DAN)
    for _ in range(3):
        await house.spam(ANN)
    rows = house.tenant_rows(r.TenantCharged)
    assert {x.incident_id for x in rows} == {rows[0].incident_id}
    assert (await house.shown())["score"]["points"] == 2.0


# --- the emergency lock -----------------------------------------------------------------------------------------------


async def test_case_emergency_lock_opens_after_4h(house: Company) -> None:
    await house.found(ANN)
    said = await house.act("dana", "tenant.lock", tenant="Acme")
    assert [x["confirmed_by"] for x in said["locks"]] == [None]
    reply = await house.reply(ANN)
    assert reply is not None
    assert (reply.code, reply.enhanced, reply.text.split()[0]) == (550, "5.7.13", "H-ORGANISATION")
    session = Session(id="c", door=Door.POLICY, listener="policy", peer_address="127.0.0.1", login=ANN)
    early = await house.gate.admit(session, None, parse_forward_path(b"<bob@other.example>"))
    assert early is not None
    assert early.text == reply.text
    assert await house.reply(ANN, "appeals@provider.example") is None
    assert await house.reply(ANN, "postmaster@acme.example") is None
    house.clock.advance(hours=4, seconds=-1)
    assert await house.reply(ANN) is not None
    house.clock.advance(1)
    assert await house.reply(ANN) is None


async def test_a_second_person_confirms_and_one_person_never_goes_on_alone(house: Company) -> None:
    await house.found(ANN)
    for hours in (0, 5, "4"):
        if hours:
            with pytest.raises(RefusedError, match="1 to 4 hours"):
                await house.act("dana", "tenant.lock", tenant="Acme", hours=hours)
    await house.act("dana", "tenant.lock", tenant="Acme")
    with pytest.raises(RefusedError, match="another person confirms"):
        await house.act("dana", "tenant.lock_confirm", tenant="Acme")
    with pytest.raises(RefusedError, match="locked already"):
        await house.act("eva", "tenant.lock", tenant="Acme")
    await house.act("eva", "tenant.lock_confirm", tenant="Acme", hours=20)
    house.clock.advance(hours=19)
    assert await house.reply(ANN) is not None
    await house.act("dana", "tenant.unlock", tenant="Acme")
    assert await house.reply(ANN) is None
    assert [x["facts"][0]["step"] for x in house.events_promised("co_user")] == ["lock"]
    await house.act("eva", "tenant.lock", tenant="Acme")
    house.clock.advance(hours=5)
    with pytest.raises(RefusedError, match="another person does it"):
        await house.act("eva", "tenant.lock", tenant="Acme")
    await house.act("dana", "tenant.lock", tenant="Acme")


async def test_a_lock_that_has_opened_cannot_be_confirmed_any_more(house: Company) -> None:
    await house.found(ANN)
    await house.act("dana", "tenant.lock", tenant="Acme", hours=2)
    house.clock.advance(hours=2)
    with pytest.raises(RefusedError, match="no lock in force"):
        await house.act("eva", "tenant.lock_confirm", tenant="Acme")


# --- two people -------------------------------------------------------------------------------------------------------


async def suspend(house: Company, first: str, second: str, **more: Any) -> Any:
    made = await house.act(first, "proposal.make", act="tenant.suspend", subject="Acme", **more)
    return await house.act(second, "proposal.approve", proposal=made["proposal_id"], digest=made["digest"])


async def test_two_people_suspend_a_whole_tenant_and_one_lifts_it(house: Company) -> None:
    await house.found(ANN, BOB, CAT, DAN)
    await climb(house)
    said = await suspend(house, "dana", "eva", hours=48)
    reply = await house.reply(DAN)
    assert reply is not None
    assert (reply.code, reply.text.split()[0]) == (550, "S-ORGANISATION")
    assert "under 3.6, 4.3.1" in reply.text
    assert await house.reply(DAN, "appeals@provider.example") is None
    await house.act("eva", "tenant.step_lift", tenant="Acme", step=said["step_id"])
    assert "suspend" not in [x["step"] for x in (await house.shown())["steps"]]


async def test_what_is_proposed_waits_as_a_task_for_people_and_is_answered_by_them(house: Company) -> None:
    await house.found(ANN, BOB, CAT, DAN)
    await climb(house)
    await house.spam(DAN)
    shown = await house.shown()
    assert [x["proposes"] for x in shown["proposals"]] == ["suspend"]
    tasks = await house.ledger.call("task.list", {})
    assert "tenant.suspend" in [x["what"] for x in tasks]
    proposal = shown["proposals"][0]
    await house.act("eva", "tenant.step_lift", tenant="Acme", step=proposal["step_id"])
    assert (await house.shown())["proposals"] == []
    assert "tenant.suspend" not in [x["what"] for x in await house.ledger.call("task.list", {})]


# --- the reseller -----------------------------------------------------------------------------------------------------


async def resold(house: Company, **more: str) -> None:
    await house.found(ANN, BOB, CAT, DAN, agreement="aliyun-mail", reseller="Resell Ltd", **more)
    await house.hire("rosa", "reseller", dealer="Resell Ltd")
    await house.hire("rolf", "reseller", dealer="Resell Ltd")


async def test_story_s4_without_a_supplement_nothing_is_charged_and_the_platform_only_protects(
    house: Company,
) -> None:
    await resold(house)
    await climb(house)
    shown = await house.shown()
    assert (shown["score"], shown["charges"], shown["steps"], shown["enforcing_party"]) == (None, [], [], "reseller")
    assert house.tenant_rows(r.TenantCharged, r.TenantStepTaken, r.TaskOpened) == []
    with pytest.raises(RefusedError, match="reseller's to decide"):
        await house.act("dana", "tenant.quota", tenant="Acme")
    with pytest.raises(RefusedError, match="no ground"):
        await house.act("rosa", "tenant.quota", tenant="Acme")
    with pytest.raises(RefusedError, match="--clause"):
        await house.act("rosa", "proposal.make", act="tenant.suspend", subject="Acme")
    await house.act("dana", "tenant.lock", tenant="Acme")
    assert await house.reply(DAN) is not None


async def test_case_reseller_idle_quota(house: Company) -> None:
    await resold(house, **SIGNED)
    await climb(house)
    await house.spam(DAN)
    house.clock.advance(hours=73)
    shown = await house.shown()
    assert [x["proposes"] for x in shown["proposals"]] == ["suspend"]
    assert shown["features_off"] == []
    house.clock.advance(hours=-50)
    with pytest.raises(RefusedError, match="24 hours"):
        await house.act("dana", "tenant.quota", tenant="Acme")
    house.clock.advance(hours=2)
    said = await house.act("dana", "tenant.quota", tenant="Acme")
    assert said["technical"] is True
    (step,) = [x for x in house.tenant_rows(r.TenantStepTaken) if x.is_technical]
    # Protection, and no measure: no clause, and it answers nobody's proposal.
    assert (step.clauses, step.by, step.is_automatic) == ((), "dana", False)
    assert [x["proposes"] for x in said["proposals"]] == ["suspend"]
    with pytest.raises(RefusedError, match="platform's own"):
        await house.act("rosa", "tenant.step_lift", tenant="Acme", step=step.step_id)


async def test_the_reseller_decides_about_its_own_tenants_and_no_others(house: Company) -> None:
    await resold(house, **SIGNED)
    await house.hire("olga", "reseller", dealer="Other Ltd")
    await climb(house)
    await house.spam(DAN)
    for person in ("dana", "olga"):
        with pytest.raises(RefusedError):
            await suspend(house, person, "rosa")
    said = await suspend(house, "rosa", "rolf")
    reply = await house.reply(DAN)
    assert reply is not None
    assert reply.text.startswith("S-ORGANISATION")
    assert (await house.shown())["proposals"] == []
    assert said["until"] is None
    with pytest.raises(RefusedError, match="mandate"):
        await house.act("dana", "tenant.step_lift", tenant="Acme", step=said["step_id"])


async def test_who_belongs_to_a_tenant_or_a_reseller_sees_their_own_tenants_only(house: Company) -> None:
    await resold(house)
    await house.hire("olga", "reseller", dealer="Other Ltd")
    await house.hire("anna", "tenant_admin", tenant="Acme")
    for person, seen in (("rosa", ["Acme"]), ("anna", ["Acme"]), ("olga", []), ("dana", ["Acme"])):
        assert [x["name"] for x in await house.act(person, "tenant.list")] == seen
        if seen:
            assert (await house.act(person, "tenant.show", tenant="Acme"))["name"] == "Acme"
        else:
            with pytest.raises(RefusedError, match="not yours"):
                await house.act(person, "tenant.show", tenant="Acme")
    with pytest.raises(RefusedError):
        await house.act("anna", "tenant.lock", tenant="Acme")


# --- numbers ----------------------------------------------------------------------------------------------------------


async def test_the_quota_follows_the_tenant_s_own_days(house: Company) -> None:
    await house.found(ANN, BOB, CAT, DAN)
    for day in range(5):
        to = [f"d{day}.{n}@other.example" for n in range(150)]
        await house.send(letter(f"news {day}", sender=DAN), *to, login=DAN)
        house.clock.advance(days=1)
    await house.engine.counters.flush()
    await climb(house)
    assert [x["quota"] for x in (await house.shown())["steps"] if x["step"] == "quota"] == [300]


async def test_a_warning_fades_with_its_points(house: Company) -> None:
    await house.found(ANN, BOB, CAT, DAN)
    await house.spam(ANN)
    await house.spam(BOB)
    house.clock.advance(days=90)
    shown = await house.shown()
    assert (shown["steps"], shown["charges"]) == ([], [])
