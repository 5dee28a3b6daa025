"""What people decide after a change of the agreement about an act before it holds by both versions.  STANDING 5.7-7."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from filterd.agreement.sections import LadderStep
from filterd.agreement.versions import shelved
from filterd.errors import RefusedError
from filterd.model import records as r
from filterd.model.sanction import Rung
from tests.pipeline.people import ALICE, DAY, Office, open_office

pytestmark = pytest.mark.slow

CHANGE_D = 10


class Changing(Office):
    """An office whose agreement changes on the tenth day. `incident` is of an act before."""

    incident = ""

    async def begin(self, old: dict[str, Any], new: dict[str, Any], *, acts: int = 1) -> None:
        await self.hire("dana", "erin", "fritz")
        base, since = self.terms(), self.clock.now()
        first = base.model_copy(update={"digest": "1" * 64, **old})
        second = base.model_copy(
            update={"digest": "2" * 64, "version": "next", "effective_from": since + timedelta(days=CHANGE_D), **new}
        )
        # The dictionary that the whole house shares.
        self.agreements[base.id] = shelved([first, second], since)[base.id]
        self.by_digest.update({x.digest: x for x in (first, second)})
        for number in range(acts):
            await self.spread(subject=f"before{number}")
            await self.notice_received()
            self.clock.advance(DAY * 2)
        self.incident = (await self.show(ALICE))["incidents"][0]["incident_id"]
        self.clock.set(since + timedelta(days=CHANGE_D + 1))
        assert self.rules.terms_for(None, self.clock.now()).version == "next"

    async def impose(self, **more: Any) -> Any:
        wanted = {"account": ALICE, "rung": "suspend", "clause": "4.3.1", "reason": "seen", **more}
        return await self.act("dana", "sanction.impose", **wanted)

    def imposed(self) -> list[r.SanctionImposed]:
        ref = self.engine.run(lambda txn: txn.find_account(ALICE))
        assert ref is not None
        return [x for x in self.records(ref.account_id) if isinstance(x, r.SanctionImposed)]


@pytest.fixture
async def office(tmp_path: Path) -> AsyncIterator[Changing]:
    async with open_office(tmp_path) as plain:
        found = Changing(plain.folder, plain.config)
        found.__dict__.update(plain.__dict__)
        yield found


def with_incident(office: Office, **changes: Any) -> dict[str, Any]:
    return {"incident": office.terms().incident.model_copy(update=changes)}


async def test_what_was_no_ground_at_the_act_is_none_for_it_now(office: Changing) -> None:
    clause = office.terms().clause
    await office.begin({}, {"clause": {**clause, "9.9": clause["4.3.1"].model_copy(update={"number": "9.9"})}})
    with pytest.raises(RefusedError, match=r"in force at the act, has no clause '9\.9'"):
        await office.impose(clause="9.9", case=office.incident)
    # What happens under the new version rests on it.
    assert (await office.impose(clause="9.9"))["standing"] == "suspended"


@pytest.mark.parametrize("is_old", [True, False])
async def test_a_written_notice_is_asked_for_where_either_version_asks_for_one(office: Changing, is_old: bool) -> None:
    strict = with_incident(office, suspension_notice_hours=24)
    await office.begin(*((strict, {}) if is_old else ({}, strict)))
    with pytest.raises(RefusedError, match="asks for a written notice first"):
        await office.impose(case=office.incident)


async def test_a_warning_lasts_as_long_as_the_shorter_of_both_says(office: Changing) -> None:
    points = office.terms().points
    shorter = points.model_copy(update={"counts_days": dict.fromkeys(points.counts_days, 15)})
    await office.begin({"points": shorter}, {})
    await office.impose(rung="warn", case=office.incident)
    imposed = office.imposed()[-1]
    assert imposed.ends_at is not None
    assert imposed.ends_at - imposed.at == timedelta(days=15)


async def test_what_ended_nobody_s_service_at_the_acts_ends_none_for_them(office: Changing) -> None:
    await office.begin({"termination": None}, {})
    await office.impose()
    with pytest.raises(RefusedError, match="in force at the acts, gives no ground"):
        await office.act("dana", "proposal.make", act="account.terminate", subject=ALICE, reason="x")


async def test_of_two_cooling_offs_the_longer_one_counts(office: Changing) -> None:
    lifecycle = office.terms().lifecycle
    assert lifecycle is not None
    await office.begin({"lifecycle": lifecycle.model_copy(update={"cooling_off_days": 20})}, {})
    await office.impose()
    made = await office.act("dana", "proposal.make", act="account.terminate", subject=ALICE, reason="x")
    said = await office.act("erin", "proposal.approve", proposal=made["proposal_id"], digest=made["digest"])
    until = office.at(said["earliest_at"].replace("Z", "+00:00")) - office.clock.now()
    assert timedelta(days=19) < until < timedelta(days=22)


def ladder(*steps: tuple[float, str, int | None]) -> dict[str, Any]:
    return {
        "ladder": tuple(LadderStep.model_validate({"at": at, "rung": rung, "hours": h}) for at, rung, h in steps)
    }


MILD = ladder((0.5, "warn", None), (8, "restrict", 24))
HARSH = ladder((0.5, "warn", None), (3, "suspend", 168))


@pytest.mark.parametrize(("old", "new"), [(MILD, HARSH), (HARSH, MILD)])
async def test_whose_doing_it_was_is_settled_by_the_milder_version(
    office: Changing, old: dict[str, Any], new: dict[str, Any]
) -> None:
    await office.begin(old, new)
    before = len(office.imposed())
    await office.act("fritz", "hypothesis.settle", incident=office.incident, hypothesis="malicious", reason="drop")
    assert all(x.rung < Rung.SUSPEND for x in office.imposed()[before:])


async def test_an_annulment_after_a_change_weighs_by_the_version_of_the_acts(office: Changing) -> None:
    """The restriction under the old ladder goes with what it rested on, whatever the new one would have said."""
    month = 24 * 30
    await office.begin(ladder((0.5, "warn", None), (8, "restrict", month)), HARSH, acts=3)
    assert (await office.show(ALICE))["standing"] == "restricted"
    await office.act("fritz", "sanction.annul", sanction=office.incident, reason="our error")
    assert (await office.show(ALICE))["standing"] == "warned"
