"""Appeals on the real ledger: from the objection to the decision and what follows.  STANDING 5.5, 5.6, 5.7-3 to 5.7-8,
5.7-22; TX-4.1.3, TX-6.1, TX-6.3, AL-7.1."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from filterd.config import Config
from filterd.errors import RefusedError, UsageError
from filterd.model import records as r
from filterd.model.sanction import Rung
from tests.kit.house import House, letter
from tests.pipeline.appeal_rig import ALICE, BURST, DAY_S, Scene
from tests.pipeline.test_gate import CONFIG

pytestmark = pytest.mark.slow

ANN, BEN, CAS = "ft_ann", "ft_ben", "ft_cas"


@pytest.fixture
async def scene(tmp_path: Path) -> AsyncIterator[Scene]:
    config = Config.model_validate({**CONFIG, "node": {"state_dir": str(tmp_path)}})
    house = await House(folder=tmp_path, config=config).open()
    scene = Scene(house)
    for name in ("ann", "ben", "cas"):
        await scene.person(name)
    yield scene
    await house.close()


async def show(scene: Scene) -> dict[str, Any]:
    return await scene.house.show(ALICE)


async def decide(scene: Scene, appeal: str, outcome: str, token: str = BEN, **more: Any) -> dict[str, Any]:
    said: dict[str, Any] = await scene.call(
        "appeal.decide", token, appeal=appeal, outcome=outcome, reason="because", **more
    )
    return said


async def kinds(scene: Scene) -> list[str]:
    return [type(x).__name__ for x in await scene.records()]


# --- filing -----------------------------------------------------------------------------------------------------------


async def test_an_objection_opens_one_appeal_and_is_acknowledged_at_once(scene: Scene) -> None:
    await scene.breach()
    appeal = await scene.appeal()
    assert "objection_received" in await scene.promised()
    with pytest.raises(RefusedError, match="already"):
        await scene.appeal()
    (row,) = await scene.call("appeal.list")
    assert (row["appeal_id"], row["state"], row["outcome"]) == (appeal, "filed", None)
    await scene.house.notice_received()
    (row,) = await scene.call("appeal.list")
    assert row["state"] == "acknowledged"


async def test_the_words_are_sealed_and_only_the_reviewer_reads_them(scene: Scene) -> None:
    incident = await scene.breach()
    await scene.call("appeal.file", ANN, target=incident, text="It was our payroll, not spam")
    (row,) = await scene.call("appeal.list")
    assert "payroll" not in str(await scene.records()) + str(row)
    shown = await scene.call("appeal.show", BEN, appeal=row["appeal_id"])
    assert [x["text"] for x in shown["said"]] == ["It was our payroll, not spam"]
    with pytest.raises(RefusedError, match="2000"):
        await scene.call("appeal.add", ANN, appeal=row["appeal_id"], text="x" * 2001)


async def test_what_is_over_can_be_contested_while_it_counts_and_afterwards_only_late(scene: Scene) -> None:
    """case_5_7_06 beside it: the window is longer than the sanction."""
    incident = await scene.breach()
    scene.house.clock.advance(100 * DAY_S)
    appeal = await scene.appeal(incident)
    assert appeal.startswith("p_")
    other = await scene.breach(*BURST)
    scene.house.clock.advance(800 * DAY_S)
    with pytest.raises(RefusedError, match="--late"):
        await scene.appeal(other)
    said = await scene.call("appeal.file", ANN, target=other, late=True)
    assert said["filed"] == 1


async def test_nobody_files_for_an_account_that_is_not_there(scene: Scene) -> None:
    with pytest.raises(UsageError, match="no account"):
        await scene.call("appeal.file", ANN, target="nobody@x.example")
    with pytest.raises(RefusedError, match="named person"):
        await scene.call("appeal.file", target=ALICE)


# --- review -----------------------------------------------------------------------------------------------------------


async def test_the_reviewer_sees_the_decision_the_facts_and_what_is_kept(scene: Scene) -> None:
    await scene.breach()
    appeal = await scene.appeal()
    await decide(scene, appeal, "denied")
    await scene.breach(login="carol@cust.example")
    other = await scene.appeal("carol@cust.example")
    shown = await scene.call("appeal.show", BEN, appeal=other)
    assert shown["decision"]["policy_digests"] == [scene.house.terms().digest]
    assert shown["decision"]["sanction"]["rung"] == "warn"
    (mail,) = shown["mails"]
    assert (mail["categories"], mail["codes"]) == (["malware"], ["virus.signature.match"])
    assert [x["transaction_id"] for x in shown["evidence"]["kept"]] == [mail["transaction_id"]]
    assert shown["evidence"]["is_lost"] is False
    assert shown["statement"]["categories"]
    assert [(x["appeal_id"], x["outcome"]) for x in shown["precedents"]] == [(appeal, "denied")]


async def test_it_is_claimed_asked_about_answered_and_handed_over(scene: Scene) -> None:
    await scene.breach()
    appeal = await scene.appeal()
    assert (await scene.call("appeal.claim", BEN, appeal=appeal))["state"] == "assigned"
    with pytest.raises(RefusedError, match="ben has it"):
        await scene.call("appeal.claim", CAS, appeal=appeal)
    assert (await scene.call("appeal.ask", BEN, appeal=appeal, text="Who are they?"))["state"] == "info_requested"
    assert "appeal_info_requested" in await scene.promised()
    assert (await scene.call("appeal.add", ANN, appeal=appeal, text="Our staff"))["state"] == "assigned"
    said = await scene.call("appeal.assign", BEN, appeal=appeal, reviewer="cas")
    assert (said["reviewer"], said["state"]) == ("cas", "assigned")
    with pytest.raises(UsageError, match="nobody"):
        await scene.call("appeal.assign", BEN, appeal=appeal, reviewer="zoe")


async def test_who_decided_does_not_decide_the_appeal(scene: Scene) -> None:
    """STANDING 5.5, team: decider, approver and reviewer all differ; an automatic decision anybody may review."""
    await scene.climb(0, 2)
    imposed = [x for x in await scene.records() if isinstance(x, r.SanctionImposed)][-1]
    await scene.call("sanction.confirm", ANN, sanction=imposed.sanction_id, reason="right")
    appeal = await scene.appeal(imposed.sanction_id, BEN)
    for verb in ("appeal.claim", "appeal.decide"):
        with pytest.raises(RefusedError, match="another person"):
            await scene.call(verb, ANN, appeal=appeal, outcome="denied", reason="no")
    assert (await decide(scene, appeal, "denied"))["outcome"] == "denied"


# --- outcomes ---------------------------------------------------------------------------------------------------------


async def test_granted_annuls_the_strike_and_its_own_sanction_and_says_the_minutes(scene: Scene) -> None:
    await scene.climb(0, 2)
    appeal = await scene.appeal()
    scene.house.clock.advance(3600.0)
    before = await show(scene)
    assert before["standing"] == "restricted"
    said = await decide(scene, appeal, "granted")
    # An hour, and the two minutes its notice took.
    assert (said["standing"], said["minutes"]) == ("warned", 62)
    decided = [x for x in await scene.records() if isinstance(x, r.AppealDecided)]
    assert [x.minutes for x in decided if x.appeal_id == appeal] == [62]
    assert (await scene.promised()).count("annulled") == 1
    assert "appeal_decided" not in await scene.promised()
    assert "ExculpationGranted" in await kinds(scene)


async def test_case_5_7_03(scene: Scene) -> None:
    """Granted after the ladder moved on: what came later becomes what it would have been; a person's act is a task."""
    incidents = await scene.climb(0, 2, 8)
    assert (await show(scene))["standing"] == "suspended"
    await scene.call(
        "sanction.impose", CAS, account=ALICE, features=["links"], hours=400, clause="4.3.1", reason="asked for"
    )
    appeal = await scene.appeal(incidents[1])
    said = await decide(scene, appeal, "granted")
    assert said["standing"] == "restricted"
    tasks = [x.what for x in await scene.records() if isinstance(x, r.TaskOpened)]
    assert "reassess: an earlier strike was annulled" in tasks
    replayed = [x for x in await scene.records() if isinstance(x, r.SanctionReplayed)]
    assert all(x.rung < Rung.SUSPEND for x in replayed)
    assert replayed
    assert not any(isinstance(x, r.SanctionLifted) for x in await scene.records())


async def test_case_5_7_04(scene: Scene) -> None:
    """Granted after the sanction expired: the strike is annulled and history is right."""
    await scene.climb(0, 2)
    appeal = await scene.appeal()
    scene.house.clock.advance(30 * DAY_S)
    before = (await show(scene))["points"]
    said = await decide(scene, appeal, "granted")
    assert said["points"] < before
    assert "StrikeAnnulled" in await kinds(scene)
    assert said["minutes"] > 0


async def test_case_5_7_05(scene: Scene) -> None:
    """The same mail again, after the appeal was won, gives no points; another virus does."""
    await scene.breach()
    appeal = await scene.appeal()
    await decide(scene, appeal, "granted")
    scene.house.clock.advance(2 * DAY_S)
    scene.house.script.codes = ("virus.signature.match",)
    answer = await scene.house.send(letter("s1"), "new@other.example", login=ALICE)
    assert answer.reply is not None
    assert answer.reply.code == 550
    assert (await show(scene))["points"] == 0
    await scene.breach("virus.signature.match", "rate.burst.running", "content.spam.model")
    assert (await show(scene))["points"] > 0


async def test_case_5_7_06(scene: Scene) -> None:
    """The sanction ends on time while its appeal is open, and the appeal stays decidable."""
    await scene.climb(0, 2)
    appeal = await scene.appeal()
    scene.house.clock.advance(30 * DAY_S)
    assert (await show(scene))["standing"] == "warned"
    assert (await decide(scene, appeal, "denied"))["outcome"] == "denied"


async def test_case_5_7_07(scene: Scene) -> None:
    """Another version of the agreement neither ends nor brings back what was imposed; an appeal is decided by the terms
    that it rests on."""
    await scene.climb(0, 2)
    appeal = await scene.appeal()
    before = await show(scene)
    scene.house.swap_terms(scene.house.terms().model_copy(update={"category": ()}))
    after = await show(scene)
    assert (after["standing"], after["until"]) == (before["standing"], before["until"])
    assert (await decide(scene, appeal, "denied"))["standing"] == before["standing"]


async def test_granting_one_settles_the_other_appeals_of_the_case(scene: Scene) -> None:
    incident = await scene.breach(*BURST, noticed=False)
    for _ in range(3):
        await scene.breach(*BURST, to=400, noticed=False)
    await scene.house.notice_received()
    mine = [x for x in await scene.records() if isinstance(x, r.SanctionImposed) and x.incident_id == incident]
    filed = [await scene.appeal(x.sanction_id) for x in mine]
    await decide(scene, filed[0], "granted")
    assert await scene.call("appeal.list") == []
    assert {x["outcome"] for x in await scene.call("appeal.list", all=True)} == {"granted"}


@pytest.mark.parametrize(
    ("how", "standing"),
    [({"lift": True}, "warned"), ({"hours": 1}, "restricted"), ({"rung": "warn"}, "warned")],
    ids=["lifted", "shorter", "lower"],
)
async def test_partially_granted_eases_this_sanction_and_keeps_the_strike(
    scene: Scene, how: dict[str, Any], standing: str
) -> None:
    await scene.climb(0, 2)
    appeal = await scene.appeal()
    points = (await show(scene))["points"]
    said = await decide(scene, appeal, "partially_granted", **how)
    assert (said["standing"], said["points"]) == (standing, points)
    assert "appeal_decided" in await scene.promised()
    scene.house.clock.advance(2 * 3600.0)
    assert (await show(scene))["standing"] == "warned"
    assert "StrikeAnnulled" not in await kinds(scene)


async def test_a_suspension_is_eased_to_the_scope_of_its_category(scene: Scene) -> None:
    await scene.climb(0, 2, 8)
    appeal = await scene.appeal([x for x in await scene.records() if isinstance(x, r.SanctionImposed)][-1].sanction_id)
    said = await decide(scene, appeal, "partially_granted", rung="restrict")
    assert said["standing"] == "restricted"
    # The next mail of the same act does not take that back.
    await scene.breach(noticed=False)
    assert (await show(scene))["standing"] == "restricted"


@pytest.mark.parametrize(
    "how",
    [{}, {"rung": "suspend"}, {"hours": 400}, {"hours": 0}, {"features": ["attachments"]}, {"rung": "terminate"}],
    ids=str,
)
async def test_what_is_not_milder_is_no_partial_grant(scene: Scene, how: dict[str, Any]) -> None:
    await scene.climb(0, 2)
    appeal = await scene.appeal()
    with pytest.raises(RefusedError):
        await decide(scene, appeal, "partially_granted", **how)
    assert (await scene.call("appeal.list"))[0]["outcome"] is None


@pytest.mark.parametrize("outcome", ["denied", "inadmissible", "withdrawn"])
async def test_the_other_outcomes_leave_everything_as_it_is(scene: Scene, outcome: str) -> None:
    """Filing or losing an appeal never adds points; the objection is answered, so nothing steps down."""
    await scene.climb(0, 2)
    appeal = await scene.appeal()
    before = await show(scene)
    said = await decide(scene, appeal, outcome)
    assert (said["standing"], said["points"], said["minutes"]) == (before["standing"], before["points"], 0)
    scene.house.clock.advance(30 * 3600.0)
    assert (await show(scene))["standing"] == before["standing"]
    with pytest.raises(RefusedError, match="over"):
        await decide(scene, appeal, "granted")


async def test_one_who_was_denied_is_heard_once_more_on_new_evidence(scene: Scene) -> None:
    await scene.climb(0, 2)
    appeal = await scene.appeal()
    await decide(scene, appeal, "denied")
    said = await scene.call("appeal.reopen", BEN, appeal=appeal, reason="they sent the contract")
    assert (said["state"], said["outcome"]) == ("filed", None)
    assert "appeal_reopened" in await scene.promised()
    with pytest.raises(RefusedError, match="another person"):
        await decide(scene, appeal, "granted", BEN)
    assert (await decide(scene, appeal, "granted", CAS))["standing"] == "warned"
    with pytest.raises(RefusedError, match="not reopened"):
        await scene.call("appeal.reopen", BEN, appeal=appeal, reason="again")


async def test_a_row_of_like_incidents_is_decided_at_once(scene: Scene) -> None:
    first, second = await scene.climb(0, 2)
    for incident in (first, second):
        await scene.appeal(incident)
    (one, _) = await scene.call("appeal.list")
    said = await scene.call(
        "appeal.decide_batch", BEN, appeal=one["appeal_id"], outcome="granted", reason="a solicited list"
    )
    assert (len(said["appeals"]), said["standing"], said["points"]) == (2, "good", 0)
    with pytest.raises(RefusedError, match="one by one"):
        await scene.call(
            "appeal.decide_batch", BEN, appeal=one["appeal_id"], outcome="partially_granted", reason="x"
        )


# --- evidence ---------------------------------------------------------------------------------------------------------


async def test_case_5_7_22(scene: Scene) -> None:
    """Evidence that we lost before its time: the appeal cannot be denied, and a grant says why."""
    await scene.breach()
    appeal = await scene.appeal()
    await scene.lose_evidence()
    for outcome in ("denied", "partially_granted"):
        with pytest.raises(RefusedError, match="doubt"):
            await decide(scene, appeal, outcome)
    assert (await scene.call("appeal.show", BEN, appeal=appeal))["evidence"]["is_lost"] is True
    await decide(scene, appeal, "granted")
    (decided,) = [x for x in await scene.records() if isinstance(x, r.AppealDecided)]
    assert decided.is_evidence_lost


async def test_after_its_time_the_evidence_was_not_lost_but_let_go(scene: Scene) -> None:
    await scene.breach()
    appeal = await scene.appeal()
    await scene.lose_evidence()
    strike = [x for x in await scene.records() if isinstance(x, r.StrikeIssued)][-1]
    left = strike.expires_at - scene.house.clock.now()
    scene.house.clock.advance(left.total_seconds() + 31 * DAY_S)
    assert (await decide(scene, appeal, "denied"))["outcome"] == "denied"


# --- time -------------------------------------------------------------------------------------------------------------


async def test_a_claim_keeps_the_first_target_and_the_list_says_what_was_missed(scene: Scene) -> None:
    await scene.climb(0, 2, 8)
    appeal = await scene.appeal([x for x in await scene.records() if isinstance(x, r.SanctionImposed)][-1].sanction_id)
    await scene.call("appeal.claim", BEN, appeal=appeal)
    scene.house.clock.advance(30 * 3600.0)
    assert (await show(scene))["standing"] == "suspended"
    scene.house.clock.advance(4 * DAY_S)
    assert (await show(scene))["standing"] == "restricted"
    row = next(x for x in await scene.call("appeal.list") if x["appeal_id"] == appeal)
    assert (row["missed"], row["is_alarm"]) == (["decide"], False)


async def test_a_missed_target_of_a_persons_sanction_is_an_alarm(scene: Scene) -> None:
    await scene.breach()
    await scene.call("sanction.impose", CAS, account=ALICE, features=["links"], hours=400, clause="4.3.1", reason="x")
    await scene.appeal()
    scene.house.clock.advance(25 * 3600.0)
    rows = await scene.call("appeal.list")
    assert [x["is_alarm"] for x in rows] == [True] * len(rows)
    assert (await show(scene))["standing"] == "restricted"
