"""A wrong rule is taken back in bulk by two people, and automation stopped by one.  STANDING 5.7-8, 5.7-21."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from filterd.config import Config
from filterd.errors import RefusedError, UsageError
from filterd.model import records as r
from tests.kit.house import House
from tests.pipeline.appeal_rig import ALICE, BURST, Scene
from tests.pipeline.test_gate import CONFIG

pytestmark = pytest.mark.slow

ANN, BEN, CAS, MOD = "ft_ann", "ft_ben", "ft_cas", "ft_mod"
CAROL = "carol@cust.example"
VIRUS = "virus.signature.match"


@pytest.fixture
async def scene(tmp_path: Path) -> AsyncIterator[Scene]:
    config = Config.model_validate({**CONFIG, "node": {"state_dir": str(tmp_path)}})
    house = await House(folder=tmp_path, config=config).open()
    scene = Scene(house)
    for name in ("ann", "ben", "cas"):
        await scene.person(name)
    await scene.person("mod", "moderator")
    yield scene
    await house.close()


def window(scene: Scene) -> dict[str, str]:
    return {"rule": VIRUS, "since": "2026-03-01T00:00:00+00:00", "until": scene.house.clock.now().isoformat()}


async def propose(scene: Scene, **more: Any) -> dict[str, Any]:
    said: dict[str, Any] = await scene.call(
        "proposal.make", ANN, act="rule.recall", subject="site", reason="a false positive", **window(scene) | more
    )
    return said


async def approve(scene: Scene, proposal: dict[str, Any], token: str = BEN) -> dict[str, Any]:
    said: dict[str, Any] = await scene.call(
        "proposal.approve", token, proposal=proposal["proposal_id"], digest=proposal["digest"]
    )
    return said


async def points(scene: Scene, login: str = ALICE) -> float:
    return float((await scene.house.show(login))["points"])


async def test_case_5_7_08(scene: Scene) -> None:
    """What rests on it alone is annulled for everybody, with replay; what rests on more is for a person."""
    await scene.breach()
    await scene.breach(login=CAROL)
    mixed = await scene.breach(VIRUS, *BURST, login="dave@cust.example")
    scene.house.clock.advance(3600)
    preview = await scene.call("recall.preview", ANN, **window(scene))
    assert (preview["accounts"], preview["annulled"], preview["looked_at_again"]) == (3, 2, 1)
    assert await points(scene) > 0
    said = await approve(scene, await propose(scene))
    assert (len(said["annulled"]), said["reassessed"]) == (2, [mixed])
    assert [await points(scene, x) for x in (ALICE, CAROL)] == [0, 0]
    assert await points(scene, "dave@cust.example") > 0
    assert (await scene.promised()).count("annulled") == 2
    tasks = [x.what for x in await scene.records("dave@cust.example") if isinstance(x, r.TaskOpened)]
    assert "reassess: part of what it rests on was recalled" in tasks


async def test_it_takes_two_people_and_what_they_read(scene: Scene) -> None:
    await scene.breach()
    scene.house.clock.advance(3600)
    proposal = await propose(scene)
    with pytest.raises(RefusedError, match="another person"):
        await approve(scene, proposal, ANN)
    appeal = await scene.appeal(token=CAS)
    await scene.call("appeal.decide", BEN, appeal=appeal, outcome="granted", reason="right")
    with pytest.raises(RefusedError, match="changed"):
        await approve(scene, proposal)


async def test_outside_its_window_and_of_another_rule_nothing_is_touched(scene: Scene) -> None:
    await scene.breach()
    scene.house.clock.advance(3600)
    for more in (
        {"rule": "link.feed.match"},
        {"version": "signature:Win.Other.Y"},
        {"since": (scene.house.clock.now()).replace(minute=59, hour=1).isoformat()},
    ):
        with pytest.raises(RefusedError):
            await propose(scene, **more)


async def test_later_sanctions_are_replayed_without_it(scene: Scene) -> None:
    first, _, _ = await scene.climb(0, 2, 8)
    assert (await scene.house.show(ALICE))["standing"] == "suspended"
    opened = next(
        x for x in await scene.records() if isinstance(x, r.IncidentOpened) and x.incident_id == first
    )
    scene.house.clock.advance(3600)
    until = opened.at.replace(day=opened.at.day + 1)
    await approve(scene, await propose(scene, until=until.isoformat()))
    assert (await scene.house.show(ALICE))["standing"] != "suspended"


# --- the red button ---------------------------------------------------------------------------------------------------


async def test_a_person_freezes_automation_for_a_day_at_most_and_thaws_it(scene: Scene) -> None:
    with pytest.raises(RefusedError, match="24"):
        await scene.call("automation.freeze", MOD, hours=25, reason="x")
    with pytest.raises(RefusedError, match="why"):
        await scene.call("automation.freeze", MOD)
    with pytest.raises(RefusedError):
        await scene.call("automation.freeze", ANN, reason="an appeals reviewer stops nothing")
    frozen = await scene.call("automation.freeze", MOD, hours=2, reason="odd verdicts")
    assert [x["freeze_id"] for x in (await scene.call("automation.show"))["frozen"]] == [frozen["freeze_id"]]
    await scene.breach()
    assert not [x for x in await scene.records() if isinstance(x, r.SanctionImposed)]
    assert (await scene.call("automation.thaw", MOD))["thawed"] == [frozen["freeze_id"]]
    assert (await scene.call("automation.show"))["frozen"] == []
    await scene.breach(login=CAROL)
    assert [x for x in await scene.records(CAROL) if isinstance(x, r.SanctionImposed)]
    with pytest.raises(UsageError):
        await scene.call("automation.thaw", MOD)


async def test_a_freeze_of_one_tenant_leaves_the_others(scene: Scene) -> None:
    await scene.breach(login="erin@other.example")
    await scene.call("automation.freeze", MOD, tenant="other.example", reason="their gateway is broken")
    scene.house.clock.advance(2 * 24 * 3600 - 60 * 60 * 25)
    await scene.breach(login=ALICE)
    assert [x for x in await scene.records() if isinstance(x, r.SanctionImposed)]
    before = len([x for x in await scene.records("erin@other.example") if isinstance(x, r.SanctionImposed)])
    await scene.breach(*BURST, login="erin@other.example")
    after = len([x for x in await scene.records("erin@other.example") if isinstance(x, r.SanctionImposed)])
    assert after == before


async def test_what_was_held_back_is_not_imposed_by_the_thaw(scene: Scene) -> None:
    frozen = await scene.call("automation.freeze", MOD, reason="x")
    await scene.breach()
    await scene.call("automation.thaw", MOD, freeze=frozen["freeze_id"])
    scene.house.clock.advance(3600)
    assert not [x for x in await scene.records() if isinstance(x, r.SanctionImposed)]
