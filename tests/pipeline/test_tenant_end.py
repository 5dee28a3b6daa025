"""An enterprise's service ends for breach, on a real ledger: what an account is safe from, an enterprise is, too.

STANDING 5.4 rows 4, 8 and 11, 5.5, 5.6; TX-4.3.1, AL-7.1.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from filterd import app
from filterd.errors import RefusedError
from filterd.model import records as r
from filterd.model.about import EVERYTHING
from filterd.model.principal import Tenant
from filterd.pipeline.clockwork import Struck, begin, strike_tenant
from filterd.pipeline.notice_mail import NoticeDesk
from filterd.pipeline.notice_requests import read_request
from filterd.pipeline.notices import Audience, Templates
from filterd.share import path
from tests.kit.house import letter
from tests.pipeline.people import ALICE, ANN, BOB, DAY, Office, open_office

pytestmark = pytest.mark.slow

ADMIN, SECOND = "admin@cust.example", "owner@elsewhere.example"
ROW = {"line": 2, "name": "Cust", "domains": "cust.example", "contact": ADMIN, "second_contact": SECOND}
PROPOSED, TERMINATED, BACK = "tenant_termination_proposed", "tenant_terminated", "tenant_reinstated"


class Firm(Office):
    """An office with one enterprise of three mailboxes, one of them its administrator's."""

    tenant_id = ""

    async def settle_in(self, **more: Any) -> None:
        await self.hire("dana", "erin", "fritz")
        said = await self.act("dana", "tenant.import", rows=[ROW | more])
        assert said["errors"] == [], said
        for login in (ALICE, ADMIN):
            await self.mailbox(login)
        self.tenant_id = self.tenant().tenant_id
        # From now on this ledger keeps clocks.
        assert await self.clocks() == []

    def tenant(self) -> Tenant:
        found: Tenant = self.engine.run(lambda txn: next(t for t in txn.tenants() if t.name == "Cust"))
        return found

    async def two(self, act: str, *who: str, **more: Any) -> dict[str, Any]:
        """Have one propose and another approve."""
        first, second = who or ("dana", "erin")
        made = await self.act(first, "proposal.make", act=act, subject="Cust", reason="for cause", **more)
        wanted = {"proposal": made["proposal_id"], "digest": made["digest"]}
        said: dict[str, Any] = await self.act(second, "proposal.approve", **wanted)
        return said | {"proposal_id": made["proposal_id"]}

    async def decided(self, *channels: str, **more: Any) -> dict[str, Any]:
        """Suspend, propose to end it, approve; and have channels accept the notice of it."""
        await self.two("tenant.suspend", **{k: v for k, v in more.items() if k == "clause"})
        said = await self.two("tenant.terminate", **more)
        self.told_tenant(self.tenant_id, *channels)
        return said

    async def shown(self) -> dict[str, Any]:
        found: dict[str, Any] = await self.act("fritz", "tenant.show", tenant="Cust")
        return found

    async def coming(self) -> dict[str, Any]:
        (row,) = (await self.shown())["coming"]
        return dict(row)

    async def steps(self) -> list[str]:
        return sorted(x["step"] for x in (await self.shown())["steps"])

    async def clocks(self) -> list[str]:
        """Have the clocks strike for the tenant; say which did."""
        rules = self.rules
        struck: tuple[Struck, ...] = await self.engine.submit(
            lambda txn: strike_tenant(txn, self.tenant_id, rules, txn.now, since=begin(txn)), EVERYTHING
        )
        return [x.clock for x in struck]

    async def code(self, to: str = BOB, login: str = ALICE) -> int:
        """Say how a mail is answered; 250: it goes on."""
        self.script.codes = ()
        reply = (await self.send(letter("hello", sender=login), to, login=login)).reply
        return 250 if reply is None else reply.code

    def letters(self, event: str) -> dict[Audience, str]:
        """Word every copy of the one promised notice of this name."""
        desk = NoticeDesk(
            app.desk_rules(self.config, self.agreements),
            Templates(path("policies/notices")),
            app.notice_settings(self.config),
        )
        waiting = self.engine.run(lambda txn: txn.outbox.pending())
        (item,) = [x for x, _, _ in waiting if x.payload.get("event") == event]
        facts = self.engine.run(lambda txn: desk.gather(txn, read_request(item)))
        assert facts is not None
        copies = desk.copies(facts, self.clock.now(), (Audience.TENANT, Audience.SECOND))
        return {audience: copy.subject + "\n" + copy.text for audience, copy in copies.items()}

    def rows(self, kind: type[Any]) -> list[Any]:
        return [x for x in self.records(self.tenant_id) if isinstance(x, kind)]


@asynccontextmanager
async def opened(folder: Path, **row: Any) -> AsyncIterator[Firm]:
    async with open_office(folder) as plain:
        firm = Firm(plain.folder, plain.config)
        firm.__dict__.update(plain.__dict__)
        await firm.settle_in(**row)
        yield firm


@pytest.fixture
async def firm(tmp_path: Path) -> AsyncIterator[Firm]:
    async with opened(tmp_path) as found:
        yield found


# --- how it comes about -----------------------------------------------------------------------------------------------


async def test_case_5_4_11_after_the_cooling_off_and_two_channels_and_then_it_is_told(firm: Firm) -> None:
    said = await firm.decided("tenant", "second")
    # Decided on 2 March 09:00 in Shanghai; seven natural days end with the 9th (TX-9.3).
    assert said["earliest_at"] == "2026-03-09T16:00:00Z"
    assert PROPOSED in firm.promised()
    # It is no suspension, and is not told as one: the one there is stands for itself.
    assert firm.promised().count("tenant_suspended") == 1
    firm.clock.set(firm.at("2026-03-09T15:59:59+00:00"))
    assert (await firm.steps(), (await firm.coming())["begins_at"]) == (["suspend"], said["earliest_at"])
    assert "tenant_termination.begun" not in await firm.clocks()
    firm.clock.advance(1)
    assert await firm.steps() == ["suspend", "terminate"]
    assert (await firm.shown())["coming"] == []
    assert await firm.clocks() == ["tenant_termination.begun"]
    assert await firm.clocks() == []
    assert TERMINATED in firm.promised()
    (step,) = [x for x in firm.rows(r.TenantStepTaken) if x.step == "terminate"]
    (approved,) = [x for x in firm.rows(r.Approved) if x.proposal_id == said["proposal_id"]]
    assert (step.by, approved.by, step.clauses) == ("dana", "erin", ("3.6", "4.3.1"))


async def test_nobody_of_it_sends_then_and_everybody_still_reaches_the_desk(firm: Firm) -> None:
    await firm.decided("tenant", "second")
    (suspension,) = [x["step_id"] for x in (await firm.shown())["steps"]]
    await firm.act("dana", "tenant.step_lift", tenant="Cust", step=suspension, reason="pending")
    assert await firm.code() == 250
    firm.clock.advance(DAY * 8)
    assert (await firm.code(), await firm.code("appeals@provider.example")) == (550, 250)


async def test_one_channel_is_not_enough_and_the_second_lets_it_begin_then(firm: Firm) -> None:
    await firm.decided("tenant")
    firm.clock.advance(DAY * 12)
    row = await firm.coming()
    assert (row["begins_at"], row["held_up_by"], row["channels"]) == (None, ["notice"], ["tenant"])
    firm.told_tenant(firm.tenant_id, "tenant")
    assert await firm.steps() == ["suspend"]
    firm.told_tenant(firm.tenant_id, "second")
    assert await firm.steps() == ["suspend", "terminate"]


async def test_an_emergency_lock_stops_the_clock(firm: Firm) -> None:
    await firm.decided("tenant", "second")
    await firm.act("fritz", "tenant.lock", tenant="Cust", reason="look")
    await firm.act("erin", "tenant.lock_confirm", tenant="Cust", lock=firm.rows(r.TenantLocked)[0].lock_id)
    firm.clock.advance(DAY * 30)
    assert (await firm.coming())["held_up_by"] == ["hold"]


async def test_one_person_alone_ends_nothing_and_gives_nothing_back(firm: Firm) -> None:
    await firm.two("tenant.suspend")
    made = await firm.act("dana", "proposal.make", act="tenant.terminate", subject="Cust", reason="x")
    wanted = {"proposal": made["proposal_id"], "digest": made["digest"]}
    with pytest.raises(RefusedError, match="another person approves"):
        await firm.act("dana", "proposal.approve", **wanted)
    said = await firm.act("erin", "proposal.approve", **wanted)
    firm.told_tenant(firm.tenant_id, "tenant", "second")
    # During the cooling-off, and after it.
    for _ in range(2):
        with pytest.raises(RefusedError, match=r"two people: filterd proposal make tenant\.reinstate"):
            await firm.act("fritz", "tenant.step_lift", tenant="Cust", step=said["step_id"], reason="mercy")
        firm.clock.advance(DAY * 8)
    with pytest.raises(RefusedError, match="in effect"):
        await firm.act("fritz", "proposal.veto", proposal=made["proposal_id"], reason="too late")
    assert await firm.steps() == ["suspend", "terminate"]


async def test_whoever_belongs_to_it_has_no_say(firm: Firm) -> None:
    await firm.hire("insider", tenant="cust.example")
    await firm.two("tenant.suspend")
    with pytest.raises(RefusedError, match="recused"):
        await firm.act("insider", "proposal.make", act="tenant.terminate", subject="Cust", reason="x")


async def test_alone_it_is_the_same_person_a_day_later_and_marked(tmp_path: Path) -> None:
    async with open_office(tmp_path) as plain:
        firm = Firm(plain.folder, plain.config)
        firm.__dict__.update(plain.__dict__)
        await firm.hire("solo")
        assert (await firm.act("solo", "tenant.import", rows=[ROW]))["errors"] == []
        firm.tenant_id = firm.tenant().tenant_id
        for act in ("tenant.suspend", "tenant.terminate"):
            made = await firm.act("solo", "proposal.make", act=act, subject="Cust", reason="alone")
            wanted = {"proposal": made["proposal_id"], "digest": made["digest"]}
            with pytest.raises(RefusedError, match="look again from"):
                await firm.act("solo", "proposal.approve", **wanted)
            firm.clock.advance(DAY)
            assert (await firm.act("solo", "proposal.approve", **wanted))["is_self_review"]


async def test_a_veto_stops_it_before_it_takes_effect_and_is_told(firm: Firm) -> None:
    said = await firm.decided("tenant", "second")
    firm.clock.advance(DAY * 3)
    await firm.act("fritz", "proposal.veto", proposal=said["proposal_id"], reason="not like this")
    assert "tenant_termination_withdrawn" in firm.promised()
    assert "a person vetoed it" in firm.letters("tenant_termination_withdrawn")[Audience.TENANT]
    firm.clock.advance(DAY * 30)
    assert (await firm.steps(), (await firm.shown())["coming"]) == (["suspend"], [])
    with pytest.raises(RefusedError):
        await firm.act("fritz", "proposal.veto", proposal=said["proposal_id"], reason="again")


async def test_only_a_suspended_enterprise_and_only_once(firm: Firm) -> None:
    with pytest.raises(RefusedError, match="only a suspended enterprise"):
        await firm.act("dana", "proposal.make", act="tenant.terminate", subject="Cust", reason="x")
    await firm.decided()
    with pytest.raises(RefusedError, match="ends already"):
        await firm.act("dana", "proposal.make", act="tenant.terminate", subject="Cust", reason="x")


async def test_the_bare_reseller_agreement_ends_it_on_a_statute_alone(tmp_path: Path) -> None:
    row = {"agreement": "aliyun-mail", "reseller": "Jiang Ltd"}
    async with opened(tmp_path, **row) as firm:
        await firm.hire("jo", "ji", role="reseller", dealer="Jiang Ltd")
        await firm.two("tenant.suspend", "jo", "ji", clause="1.2")
        with pytest.raises(RefusedError, match="on a clause"):
            await firm.act("jo", "proposal.make", act="tenant.terminate", subject="Cust", reason="x")
        said = await firm.two("tenant.terminate", "jo", "ji", statute="CSL 47")
        firm.told_tenant(firm.tenant_id, "tenant", "second")
        text = firm.letters(PROPOSED)[Audience.TENANT]
        assert "CSL 47" in text
        assert "4.3.1" not in text
        firm.clock.advance(DAY * 9)
        assert await firm.steps() == ["suspend", "terminate"]
        (step,) = [x for x in firm.rows(r.TenantStepTaken) if x.step_id == said["step_id"]]
        assert (step.clauses, step.statute) == ((), "CSL 47")


@pytest.mark.parametrize("language", ["en", "zh-Hans"])
async def test_every_notice_of_it_has_words_for_both_contacts(tmp_path: Path, language: str) -> None:
    async with opened(tmp_path, language=language) as firm:
        await firm.decided("tenant", "second")
        firm.clock.advance(DAY * 8)
        await firm.clocks()
        await firm.two("tenant.reinstate", "fritz", "erin")
        for event in (PROPOSED, TERMINATED, BACK):
            texts = firm.letters(event)
            assert set(texts) == {Audience.TENANT, Audience.SECOND}
            assert all("Cust" in x and "appeals@provider.example" in x for x in texts.values())
        proposed = firm.letters(PROPOSED)[Audience.TENANT]
        assert ("It is decided to end" in proposed) is (language == "en")
        assert "2026-03-10" in proposed


# --- giving it back ---------------------------------------------------------------------------------------------------


async def test_case_5_4_08_two_people_give_it_back_and_what_was_in_force_before_still_is(firm: Firm) -> None:
    said = await firm.decided("tenant", "second")
    with pytest.raises(RefusedError, match="has not ended"):
        await firm.act("fritz", "proposal.make", act="tenant.reinstate", subject="Cust", reason="early")
    firm.clock.advance(DAY * 8)
    made = await firm.act("fritz", "proposal.make", act="tenant.reinstate", subject="Cust", reason="mercy")
    with pytest.raises(RefusedError, match="another person approves"):
        await firm.act("fritz", "proposal.approve", proposal=made["proposal_id"], digest=made["digest"])
    back = await firm.act("erin", "proposal.approve", proposal=made["proposal_id"], digest=made["digest"])
    assert (back["step_id"], back["is_empty"], len(back["suspensions"])) == (said["step_id"], False, 1)
    assert await firm.steps() == ["suspend"]
    assert BACK in firm.promised()
    (ended,) = [x for x in firm.rows(r.TenantStepEnded) if x.step_id == said["step_id"]]
    assert (ended.because, ended.by) == ("reinstated", "erin")


# --- appeals ----------------------------------------------------------------------------------------------------------


async def filed(firm: Firm, said: dict[str, Any]) -> dict[str, Any]:
    answer = await firm.act("dana", "appeal.file", target=said["step_id"], text="we have mended it")
    (row,) = [x for x in answer["appeals"] if x["sanction_id"] == said["step_id"]]
    return dict(row)


async def test_an_appeal_stops_the_clock_until_another_person_has_decided_it(firm: Firm) -> None:
    said = await firm.decided("tenant", "second")
    firm.clock.advance(DAY * 2)
    row = await filed(firm, said)
    assert (row["login"], row["state"], row["tenant_id"]) == ("Cust", "filed", firm.tenant_id)
    assert {"appeal_acknowledged", "desk_task"} <= set(firm.promised())
    with pytest.raises(RefusedError, match="one objection a step"):
        await firm.act("dana", "appeal.file", target=said["step_id"])
    firm.clock.advance(DAY * 30)
    assert (await firm.coming())["held_up_by"] == ["appeal"]
    assert "appeal.overdue" in await firm.clocks()
    wanted = {"appeal": row["appeal_id"], "outcome": "denied", "reason": "rightly"}
    for who in ("dana", "erin"):
        with pytest.raises(RefusedError, match="had a part in this decision"):
            await firm.act(who, "appeal.decide", **wanted)
    (listed,) = await firm.act("fritz", "appeal.list")
    assert (listed["appeal_id"], listed["is_alarm"]) == (row["appeal_id"], True)
    assert (await firm.act("fritz", "appeal.claim", appeal=row["appeal_id"]))["state"] == "assigned"
    shown = await firm.act("fritz", "appeal.show", appeal=row["appeal_id"])
    assert (shown["said"][0]["text"], shown["step"]["step"]) == ("we have mended it", "terminate")
    await firm.act("fritz", "appeal.decide", **wanted)
    assert "appeal_decided" in firm.promised()
    # Two days of the cooling-off were over when it came.
    assert (await firm.coming())["begins_at"] == "2026-04-08T16:00:00Z"
    firm.clock.advance(DAY * 9)
    assert await firm.steps() == ["suspend", "terminate"]


async def test_what_is_said_in_an_appeal_is_sealed(firm: Firm) -> None:
    await filed(firm, await firm.decided())
    assert b"we have mended it" not in b"".join(x.read_bytes() for x in firm.folder.rglob("*.db*") if x.is_file())
    assert "we have mended it" not in json.dumps([str(x) for x in firm.records(firm.tenant_id)])


@pytest.mark.parametrize("is_begun", [False, True])
async def test_a_grant_ends_it_alone_and_nothing_else(firm: Firm, is_begun: bool) -> None:
    said = await firm.decided("tenant", "second")
    if is_begun:
        firm.clock.set(firm.at("2026-03-09T16:00:01+00:00"))
    row = await filed(firm, said)
    firm.clock.advance(3600)
    done = await firm.act("fritz", "appeal.decide", appeal=row["appeal_id"], outcome="granted", reason="our error")
    assert (done["outcome"], done["minutes"]) == ("granted", 60 if is_begun else 0)
    event = BACK if is_begun else "tenant_termination_withdrawn"
    assert event in firm.promised()
    assert "an appeal against it was granted" in firm.letters(event)[Audience.TENANT]
    firm.clock.advance(DAY * 60)
    assert (await firm.steps(), (await firm.shown())["coming"]) == (["suspend"], [])
    with pytest.raises(RefusedError, match="can be contested"):
        await firm.act("dana", "appeal.file", target=said["step_id"])


async def test_an_appeal_is_asked_about_answered_and_reopened_once(firm: Firm) -> None:
    said = await firm.decided("tenant", "second")
    appeal = (await filed(firm, said))["appeal_id"]
    asked = await firm.act("fritz", "appeal.ask", appeal=appeal, text="since when?")
    assert asked["state"] == "info_requested"
    assert (await firm.act("dana", "appeal.add", appeal=appeal, text="since May"))["state"] == "assigned"
    with pytest.raises(RefusedError, match="grant, or as a reinstatement"):
        await firm.act("fritz", "appeal.decide", appeal=appeal, outcome="partially_granted", reason="a little")
    await firm.act("fritz", "appeal.decide", appeal=appeal, outcome="denied", reason="stands")
    with pytest.raises(RefusedError, match="is over"):
        await firm.act("fritz", "appeal.claim", appeal=appeal)
    firm.clock.advance(3600)
    again = await firm.act("fritz", "appeal.reopen", appeal=appeal, reason="new evidence")
    assert again["state"] == "filed"
    assert (await firm.coming())["held_up_by"] == ["appeal"]
    await firm.act("fritz", "appeal.decide", appeal=appeal, outcome="withdrawn", reason="they say so")
    with pytest.raises(RefusedError, match="opened again before"):
        await firm.act("fritz", "appeal.reopen", appeal=appeal, reason="once more")


async def test_case_pair_appeal_of_a_tenant_s_termination(tmp_path: Path) -> None:
    """STANDING 5.5: of two people the proposer is barred from the appeal, the approver may decide it, marked."""
    async with open_office(tmp_path) as plain:
        firm = Firm(plain.folder, plain.config)
        firm.__dict__.update(plain.__dict__)
        await firm.hire("dana", "erin")
        assert (await firm.act("dana", "tenant.import", rows=[ROW]))["errors"] == []
        firm.tenant_id = firm.tenant().tenant_id
        row = await filed(firm, await firm.decided("tenant", "second"))
        wanted = {"appeal": row["appeal_id"], "outcome": "granted", "reason": "too hard"}
        with pytest.raises(RefusedError, match="dana decided this"):
            await firm.act("dana", "appeal.decide", **wanted)
        await firm.act("erin", "appeal.decide", **wanted)
        (done,) = firm.rows(r.AppealDecided)
        assert (done.by, done.is_self_review) == ("erin", True)


async def test_the_administrator_s_mail_to_the_appeals_desk_is_an_appeal_and_a_user_s_is_not(firm: Firm) -> None:
    said = await firm.decided("tenant", "second")
    assert await firm.code("appeals@provider.example", ALICE) == 250
    assert firm.rows(r.ObjectionFiled) == []
    assert await firm.code("appeals@provider.example", ADMIN) == 250
    objected = {x.sanction_id for x in firm.rows(r.ObjectionFiled)}
    # Against the suspension that is in force, and against what is to come.
    assert said["step_id"] in objected
    assert len(objected) == 2
    assert await firm.code("appeals@provider.example", ADMIN) == 250
    assert len(firm.rows(r.ObjectionFiled)) == 2
    assert (await firm.coming())["held_up_by"] == ["appeal"]


async def test_a_tenant_admin_files_and_decides_nothing(firm: Firm) -> None:
    said = await firm.decided("tenant", "second")
    await firm.hire("ada", role="tenant_admin", tenant="cust.example")
    await firm.mailbox(BOB)
    await firm.hire("other", role="tenant_admin", tenant="other.example")
    with pytest.raises(RefusedError):
        await firm.act("other", "appeal.file", target=said["step_id"])
    answer = await firm.act("ada", "appeal.file", target=firm.tenant_id)
    assert answer["filed"] == 2
    appeal = next(x["appeal_id"] for x in answer["appeals"] if x["sanction_id"] == said["step_id"])
    with pytest.raises(RefusedError):
        await firm.act("ada", "appeal.decide", appeal=appeal, outcome="granted", reason="mine")
    assert [x["appeal_id"] for x in await firm.act("other", "appeal.list", all=True)] == []


async def test_a_granted_appeal_against_a_suspension_ends_that(firm: Firm) -> None:
    said = await firm.two("tenant.suspend")
    row = await filed(firm, said)
    await firm.act("fritz", "appeal.decide", appeal=row["appeal_id"], outcome="granted", reason="our error")
    assert await firm.steps() == []
    (ended,) = firm.rows(r.TenantStepEnded)
    assert ended.because == "annulled"
    assert "tenant_step_ended" in firm.promised()


async def test_an_account_s_appeal_that_could_take_the_score_away_stops_the_clock_and_no_other_does(
    firm: Firm,
) -> None:
    """STANDING 5.4 row 4: paused by an appeal whose grant would bring the points below what warrants it."""
    await firm.spread(subject="one")
    await firm.mailbox(ANN)
    said = await firm.decided("tenant", "second")
    target = next(x["incident_id"] for x in (await firm.show(ALICE))["incidents"])
    firm.clock.advance(DAY)
    answer = await firm.act("fritz", "appeal.file", target=target)
    (noted,) = firm.rows(r.TenantAppealNoted)
    assert (noted.incident_id, noted.is_open) == (target, True)
    (appeal,) = answer["appeals"]
    await firm.act("erin", "appeal.decide", appeal=appeal["appeal_id"], outcome="denied", reason="stands")
    assert [x.is_open for x in firm.rows(r.TenantAppealNoted)] == [True, False]
    assert (await firm.coming())["step_id"] == said["step_id"]


# --- the story --------------------------------------------------------------------------------------------------------


async def test_story_an_enterprise_ends_appeals_and_comes_back(firm: Firm) -> None:
    """TX-4.3.1, 6.1, 8.3: proposed, appealed, ended, given back; and nobody of it was worse off for a job's sake."""
    # D0: two people suspend it, and two decide to end it. Both contacts hear of it.
    said = await firm.decided("tenant", "second")
    assert await firm.code() == 550
    # D2: the administrator answers the notice. The clock stands still; the desk is called.
    firm.clock.advance(DAY * 2)
    assert await firm.code("appeals@provider.example", ADMIN) == 250
    firm.clock.advance(DAY * 5)
    appeals = await firm.act("fritz", "appeal.list")
    assert said["step_id"] in {x["sanction_id"] for x in appeals}
    # D7: somebody with no part in it decides within the week. Nothing is added by having appealed.
    for appeal in appeals:
        await firm.act("fritz", "appeal.decide", appeal=appeal["appeal_id"], outcome="denied", reason="stands")
    assert (await firm.steps(), await firm.clocks()) == (["suspend"], [])
    # D12: the five days are made up for, then it is in effect; one letter says so.
    firm.clock.set(firm.at("2026-03-14T16:00:00+00:00"))
    assert await firm.steps() == ["suspend", "terminate"]
    assert await firm.clocks() == ["tenant_termination.begun"]
    assert firm.promised().count(TERMINATED) == 1
    # D20: two people give it back; the suspension is still there until a person lifts it.
    firm.clock.advance(DAY * 8)
    await firm.two("tenant.reinstate", "fritz", "erin")
    (suspension,) = [x["step_id"] for x in (await firm.shown())["steps"]]
    assert await firm.code() == 550
    await firm.act("erin", "tenant.step_lift", tenant="Cust", step=suspension, reason="mended")
    assert await firm.code() == 250
    firm.clock.advance(timedelta(days=400).total_seconds())
    assert (await firm.steps(), await firm.code()) == ([], 250)
