"""An account's service ends for breach: two people, a cooling-off, two channels; and every way it does not.

STANDING 5.4 rows 4, 6 and 8; TX-4.3.1.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from filterd import app
from filterd.errors import RefusedError
from filterd.model import records as r
from filterd.model.ids import derived_id
from filterd.model.sanction import Feature
from filterd.pipeline.notice_mail import NoticeDesk
from filterd.pipeline.notice_requests import read_request
from filterd.pipeline.notices import Templates
from filterd.share import path
from tests.pipeline.people import ALICE, DAY, Office, open_office

pytestmark = pytest.mark.slow


@pytest.fixture
async def office(tmp_path: Path) -> AsyncIterator[Office]:
    async with open_office(tmp_path) as opened:
        await opened.hire("dana", "erin", "fritz")
        yield opened


async def decided(office: Office, *channels: str) -> dict[str, Any]:
    """Suspend, propose, approve; and have channels accept the notice of it."""
    await office.suspend("dana")
    proposal = await office.act("dana", "proposal.make", act="account.terminate", subject=ALICE, reason="again")
    wanted = {"proposal": proposal["proposal_id"], "digest": proposal["digest"]}
    said: dict[str, Any] = await office.act("erin", "proposal.approve", **wanted)
    await office.told(await office.mailbox(), *channels)
    return said


async def coming(office: Office) -> dict[str, Any]:
    (row,) = (await office.show(ALICE))["coming"]
    return dict(row)


async def test_case_5_4_04_after_seven_natural_days_and_two_channels(office: Office) -> None:
    said = await decided(office, "account", "tenant")
    # Decided on 2 March 09:00 in Shanghai; seven natural days end with the 9th (TX-9.3).
    assert said["earliest_at"] == "2026-03-09T16:00:00Z"
    assert await office.standing() == "suspended"
    assert (await coming(office))["begins_at"] == "2026-03-09T16:00:00Z"
    assert "termination_proposed" in office.promised()
    office.clock.set(office.at("2026-03-09T15:59:59+00:00"))
    assert await office.standing() == "suspended"
    office.clock.advance(1)
    assert await office.standing() == "terminated"
    (sanction,) = [x for x in (await office.show(ALICE))["sanctions"] if x["rung"] == "terminate"]
    assert (sanction["automatic"], sanction["clauses"], sanction["ends_at"]) == (False, ["3.6", "4.3.1"], None)
    rows = office.records((await office.mailbox()).account_id)
    (imposed,) = [x for x in rows if isinstance(x, r.SanctionImposed) and x.sanction_id == sanction["sanction_id"]]
    (confirmed,) = [x for x in rows if isinstance(x, r.SanctionConfirmed) and x.sanction_id == imposed.sanction_id]
    assert (imposed.by, confirmed.by) == ("dana", "erin")


async def test_one_channel_is_not_enough_and_the_second_lets_it_begin_then(office: Office) -> None:
    await decided(office, "account")
    office.clock.advance(days=12)
    assert await office.standing() == "suspended"
    row = await coming(office)
    assert (row["begins_at"], row["held_up_by"], row["channels"]) == (None, ["notice"], ["account"])
    account = await office.mailbox()
    # The same channel again is no second one, and a notice that failed is none.
    await office.told(account, "account")
    assert await office.standing() == "suspended"
    office.clock.advance(DAY)
    await office.told(account, "tenant")
    assert await office.standing() == "terminated"


async def test_a_channel_that_bounced_by_our_fault_does_not_count(office: Office) -> None:
    await decided(office, "account", "tenant")
    account = await office.mailbox()
    (first, _) = [x for x in office.records(account.account_id) if isinstance(x, r.NoticeSent)]
    bounced = r.NoticeBounced(
        at=office.clock.now(),
        notice_id=first.notice_id,
        account_id=account.account_id,
        audience=first.channel,
        status="5.1.1",
        is_theirs=False,
    )
    office.engine.run(lambda txn: txn.append(bounced, account_id=account.account_id, tenant_id=account.tenant_id))
    office.clock.advance(days=30)
    assert await office.standing() == "suspended"
    assert (await coming(office))["held_up_by"] == ["notice"]


async def test_a_security_hold_stops_the_clock(office: Office) -> None:
    await decided(office, "account", "tenant")
    account = await office.mailbox()
    hold = r.HoldPlaced(
        at=office.clock.now(),
        hold_id="h_1",
        incident_id="",
        account_id=account.account_id,
        features=(Feature(name="sending"),),
        starts_at=office.clock.now(),
        ends_at=None,
    )
    office.engine.run(lambda txn: txn.append(hold, account_id=account.account_id, tenant_id=account.tenant_id))
    office.clock.advance(days=20)
    assert await office.standing() == "suspended"
    assert (await coming(office))["held_up_by"] == ["hold"]
    released = r.HoldReleased(at=office.clock.now(), hold_id="h_1", by="dana", reason="reset")
    office.engine.run(lambda txn: txn.append(released, account_id=account.account_id, tenant_id=account.tenant_id))
    # All of the cooling-off is still to come.
    assert (await coming(office))["begins_at"] == "2026-03-29T16:00:00Z"
    office.clock.set(office.at("2026-03-29T15:59:59+00:00"))
    assert await office.standing() == "suspended"
    office.clock.advance(1)
    assert await office.standing() == "terminated"


async def test_an_appeal_against_it_stops_the_clock_until_it_is_decided(office: Office) -> None:
    said = await decided(office, "account", "tenant")
    office.clock.advance(days=2)
    account = await office.mailbox()
    filed = r.ObjectionFiled(
        at=office.clock.now(),
        appeal_id=derived_id("p", said["sanction_id"]),
        sanction_id=said["sanction_id"],
        incident_id=next(
            x.incident_id
            for x in office.records(account.account_id)
            if isinstance(x, r.SanctionImposed) and x.sanction_id == said["sanction_id"]
        ),
        account_id=account.account_id,
        channel="mail",
    )
    office.engine.run(lambda txn: txn.append(filed, account_id=account.account_id, tenant_id=account.tenant_id))
    office.clock.advance(days=30)
    assert await office.standing() == "suspended"
    assert (await coming(office))["held_up_by"] == ["appeal"]
    denied = r.AppealDecided(
        at=office.clock.now(),
        appeal_id=filed.appeal_id,
        incident_id=filed.incident_id,
        outcome="denied",
        by="fritz",
        reason="rightly",
    )
    office.engine.run(lambda txn: txn.append(denied, account_id=account.account_id, tenant_id=account.tenant_id))
    assert (await coming(office))["begins_at"] == "2026-04-08T16:00:00Z"
    office.clock.advance(days=8)
    assert await office.standing() == "terminated"


@pytest.mark.parametrize("is_decisive", [True, False])
async def test_an_appeal_that_could_take_the_points_away_stops_it_and_no_other_does(
    office: Office, is_decisive: bool
) -> None:
    await office.spread(subject="one")
    if not is_decisive:
        # A warning without points: granting an appeal against it takes nothing off the score.
        await office.act(
            "dana", "sanction.impose", account=ALICE, rung="warn", clause="4.3.1", reason="beside the point"
        )
    shown = await office.show(ALICE)
    meant = next(s for s in shown["sanctions"] if s["automatic"] is is_decisive)
    await decided(office, "account", "tenant")
    account = await office.mailbox()
    filed = r.ObjectionFiled(
        at=office.clock.now(),
        appeal_id="p_x",
        sanction_id=meant["sanction_id"],
        incident_id=meant["incident_id"],
        account_id=account.account_id,
        channel="mail",
    )
    office.engine.run(lambda txn: txn.append(filed, account_id=account.account_id, tenant_id=account.tenant_id))
    office.clock.advance(days=20)
    assert await office.standing() == ("suspended" if is_decisive else "terminated")
    if is_decisive:
        assert (await coming(office))["held_up_by"] == ["appeal_on_points"]


async def test_case_pair_appeal_of_termination(tmp_path: Path) -> None:
    """STANDING 5.5: of two people the proposer is barred from the appeal, the approver may decide it, marked."""
    async with open_office(tmp_path) as office:
        await office.hire("dana", "erin")
        said = await decided(office, "account", "tenant")
        filed = await office.act("dana", "appeal.file", target=said["sanction_id"])
        (appeal,) = [x for x in filed["appeals"] if x["sanction_id"] == said["sanction_id"]]
        wanted = {"appeal": appeal["appeal_id"], "outcome": "granted", "reason": "too hard"}
        with pytest.raises(RefusedError, match="dana decided this"):
            await office.act("dana", "appeal.decide", **wanted)
        await office.act("erin", "appeal.decide", **wanted)
        account = await office.mailbox()
        (done,) = [x for x in office.records(account.account_id) if isinstance(x, r.AppealDecided)]
        assert (done.by, done.is_self_review) == ("erin", True)
        office.clock.advance(days=40)
        assert await office.standing() == "suspended"
        assert (await office.show(ALICE))["coming"] == []


async def test_a_strike_annulled_meanwhile_has_people_look_again(office: Office) -> None:
    """STANDING 5.7-3: what people decided is not lifted silently; they get a task."""
    await office.spread(subject="one")
    office.clock.advance(3600)
    said = await decided(office, "account", "tenant")
    office.clock.advance(3600)
    (incident,) = [x for x in (await office.show(ALICE))["incidents"] if x["points"]]
    await office.act("fritz", "sanction.annul", sanction=incident["incident_id"], reason="our error")
    tasks = [x for x in await office.ledger.call("task.list", {}) if x["what"].startswith("reassess")]
    termination = next(
        x
        for x in office.records((await office.mailbox()).account_id)
        if isinstance(x, r.SanctionImposed) and x.sanction_id == said["sanction_id"]
    )
    assert termination.incident_id in {x["incident_id"] for x in tasks}


async def test_what_is_told_of_it_can_be_put_into_words(office: Office) -> None:
    """Every notice that people's acts promise has its facts: nothing in the outbox is without words."""
    await office.mailbox()
    await office.act("dana", "sanction.impose", account=ALICE, rung="warn", clause="4.3.1", reason="seen")
    said = await decided(office)
    await office.act("fritz", "proposal.veto", proposal=said["proposal_id"], reason="no")
    desk = NoticeDesk(
        app.desk_rules(office.config, office.agreements),
        Templates(path("policies/notices")),
        app.notice_settings(office.config),
    )
    items = await office.engine.lease(office.clock.now() + timedelta(hours=1), 9)
    assert len(items) == 4
    for item in items:
        request = read_request(item)
        facts = office.engine.run(lambda txn, request=request: desk.gather(txn, request))
        assert facts is not None
        assert desk.letters(facts, office.clock.now())


async def test_a_veto_is_one_act_of_anybody_who_decides(office: Office) -> None:
    said = await decided(office, "account", "tenant")
    office.clock.advance(days=3)
    ended = await office.act("fritz", "proposal.veto", proposal=said["proposal_id"], reason="not like this")
    assert ended["state"] == "vetoed"
    office.clock.advance(days=30)
    shown = await office.show(ALICE)
    assert (shown["standing"], shown["coming"]) == ("suspended", [])
    assert "termination_withdrawn" in office.promised()
    with pytest.raises(RefusedError):
        await office.act("fritz", "proposal.veto", proposal=said["proposal_id"], reason="again")


async def test_what_is_in_effect_is_vetoed_no_more(office: Office) -> None:
    said = await decided(office, "account", "tenant")
    office.clock.advance(days=8)
    assert await office.standing() == "terminated"
    with pytest.raises(RefusedError, match="reinstating takes two people"):
        await office.act("fritz", "proposal.veto", proposal=said["proposal_id"], reason="too late")
    with pytest.raises(RefusedError, match=r"account\.reinstate"):
        await office.act("fritz", "sanction.lift", sanction=said["sanction_id"], reason="alone")
    assert await office.standing() == "terminated"


async def test_case_5_4_08_two_people_bring_it_back(office: Office) -> None:
    await decided(office, "account", "tenant")
    office.clock.advance(days=8)
    proposal = await office.act("fritz", "proposal.make", act="account.reinstate", subject=ALICE, reason="mercy")
    assert await office.standing() == "terminated"
    said = await office.act(
        "erin", "proposal.approve", proposal=proposal["proposal_id"], digest=proposal["digest"]
    )
    # What was in force before it still is: the suspension without an end.
    assert (said["standing"], said["is_empty"]) == ("suspended", False)
    assert "reinstated" in office.promised()
    account = await office.mailbox()
    (back,) = [x for x in office.records(account.account_id) if isinstance(x, r.AccountReinstated)]
    assert (back.by, back.proposal_id) == ("erin", proposal["proposal_id"])


async def test_only_a_suspended_account_and_only_once(office: Office) -> None:
    await office.mailbox()
    with pytest.raises(RefusedError, match="only a suspended account"):
        await office.act("dana", "proposal.make", act="account.terminate", subject=ALICE, reason="x")
    await decided(office)
    with pytest.raises(RefusedError, match="ends already"):
        await office.act("dana", "proposal.make", act="account.terminate", subject=ALICE, reason="x")


async def test_one_person_cannot_impose_it(office: Office) -> None:
    await office.mailbox()
    with pytest.raises(RefusedError, match=r"proposal make account\.terminate"):
        await office.act(
            "dana", "sanction.impose", account=ALICE, rung="terminate", clause="4.3.1", reason="x"
        )


async def test_a_statute_names_itself_and_no_clause(office: Office) -> None:
    await office.suspend("dana")
    proposal = await office.act(
        "dana", "proposal.make", act="account.terminate", subject=ALICE, reason="order", statute="CSL 47"
    )
    assert (proposal["terms"]["ground"], proposal["terms"]["clauses"]) == ("statute", [])
    await office.act("erin", "proposal.approve", proposal=proposal["proposal_id"], digest=proposal["digest"])
    imposed = [x for x in office.records((await office.mailbox()).account_id) if isinstance(x, r.SanctionImposed)]
    assert (imposed[-1].statute, imposed[-1].clauses) == ("CSL 47", ())


# --- every rung by one person -----------------------------------------------------------------------------------------


async def test_a_person_warns_restricts_and_suspends(office: Office) -> None:
    await office.mailbox()
    for rung, more, standing in (
        ("warn", {}, "warned"),
        ("restrict", {"features": ["links"], "hours": 2}, "restricted"),
        ("suspend", {"hours": 5}, "suspended"),
    ):
        said = await office.act(
            "dana", "sanction.impose", account=ALICE, rung=rung, clause="4.3.1", reason="seen", **more
        )
        assert said["standing"] == standing
    office.clock.advance(hours=3)
    assert await office.standing() == "suspended"
    office.clock.advance(hours=2)
    # STANDING 5.7-1: what is lower applies for what is left of it; the warning has no end like that.
    assert await office.standing() == "warned"
    assert office.promised() == ["restriction", "suspension", "warning"]
    imposed = [x for x in office.records((await office.mailbox()).account_id) if isinstance(x, r.SanctionImposed)]
    assert {x.by for x in imposed} == {"dana"}


@pytest.mark.parametrize(
    ("wanted", "said"),
    [
        ({"rung": "suspend", "features": ["links"]}, "switched off by a restriction"),
        ({"rung": "restrict"}, "what is to be switched off"),
        ({"rung": "restrict", "features": ["links"]}, "say for how long"),
        ({"rung": "restrict", "features": ["sending"], "hours": 1}, "--rung suspend"),
        ({"rung": "ban"}, "may impose warn, restrict, suspend"),
        ({"rung": "suspend", "reason": " "}, "say why"),
        ({"rung": "suspend", "clause": "9.9"}, "no clause"),
        ({"rung": "suspend", "hours": 9000}, "1 to 8784 hours"),
    ],
)
async def test_what_makes_no_sense_is_refused_in_words(office: Office, wanted: dict[str, Any], said: str) -> None:
    await office.mailbox()
    with pytest.raises(RefusedError, match=said):
        await office.act("dana", "sanction.impose", **{"account": ALICE, "clause": "4.3.1", "reason": "r", **wanted})


async def test_the_same_suspension_twice_is_refused_and_a_longer_one_is_not(office: Office) -> None:
    await office.suspend("dana", hours=10)
    with pytest.raises(RefusedError, match="as long already"):
        await office.suspend("erin", hours=10)
    await office.suspend("erin")
    assert (await office.show(ALICE))["until"] is None


async def test_case_5_4_06_clemency_by_a_person_leaves_the_strike(office: Office) -> None:
    await office.spread(subject="one")
    before = await office.show(ALICE)
    await office.suspend("dana")
    (mine,) = [s for s in (await office.show(ALICE))["sanctions"] if s["rung"] == "suspend"]
    with pytest.raises(RefusedError, match="say why"):
        await office.act("erin", "sanction.lift", sanction=mine["sanction_id"], reason="")
    said = await office.act("erin", "sanction.lift", sanction=mine["sanction_id"], reason="clemency")
    assert (said["standing"], said["points"]) == ("warned", before["points"])
