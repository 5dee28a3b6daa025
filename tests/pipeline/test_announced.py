"""New terms that nobody was told of do not stand alone: the milder sanction of the last told ones counts.  TX-4.1.4."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from filterd.agreement.sections import LadderStep
from filterd.agreement.versions import shelved
from filterd.model import records as r
from filterd.model.sanction import Rung
from tests.pipeline.people import ALICE, DAY, Office, open_office

pytestmark = pytest.mark.slow


def ladder(*steps: tuple[float, str, int | None]) -> tuple[LadderStep, ...]:
    return tuple(LadderStep.model_validate({"at": at, "rung": rung, "hours": hours}) for at, rung, hours in steps)


MILD = ladder((0.5, "warn", None), (90, "restrict", 24))
HARSH = ladder((0.5, "warn", None), (3, "suspend", 168))


@pytest.fixture
async def office(tmp_path: Path) -> AsyncIterator[Office]:
    """A house whose second terms, with a harsher ladder, begin on the tenth day; alice's company is there before."""
    async with open_office(tmp_path) as opened:
        await opened.hire("dana")
        await opened.mailbox()
        base, since = opened.terms(), opened.clock.now()
        first = base.model_copy(update={"digest": "1" * 64, "ladder": MILD})
        begins = base.calendar.start_of((since + timedelta(days=10)).date())
        later = {"digest": "2" * 64, "version": "next", "effective_from": begins, "ladder": HARSH}
        second = base.model_copy(update=later)
        opened.agreements[base.id] = shelved([first, second], since)[base.id]
        opened.by_digest.update({x.digest: x for x in (first, second)})
        yield opened


async def announce(office: Office, days: int) -> None:
    on = (office.clock.now() + timedelta(days=days)).date().isoformat()
    await office.act("dana", "change.announce", what="terms", effective_on=on, document="terms-next")


async def twice(office: Office, login: str = ALICE) -> list[r.SanctionImposed]:
    """Have an account act twice, each time after its notice; say what was imposed."""
    account = await office.mailbox(login)
    for number in range(2):
        await office.spread(login, subject=f"{login}{number}")
        await office.notice_received()
        office.clock.advance(DAY * 2)
    return [x for x in office.records(account.account_id) if isinstance(x, r.SanctionImposed)]


async def test_until_it_is_announced_the_milder_version_counts(office: Office) -> None:
    office.clock.advance(DAY * 11)
    assert office.rules.terms_for(None, office.clock.now()).version == "next"
    assert {x.rung for x in await twice(office)} == {Rung.WARN}
    rows = [x for x in office.records((await office.mailbox()).account_id) if isinstance(x, r.ViolationRecorded)]
    assert rows
    # Both stand on the record, so that an annulment weighs by both again.
    assert {(x.policy_digest_act, x.policy_digest_decision) for x in rows} == {("2" * 64, "1" * 64)}


@pytest.mark.parametrize(("waits", "days"), [(0, 10), (11, 2)], ids=["before", "late"])
async def test_announced_it_stands_alone_from_that_day(office: Office, waits: int, days: int) -> None:
    office.clock.advance(DAY * waits)
    await announce(office, days)
    office.clock.advance(DAY * (days + 1))
    assert max(x.rung for x in await twice(office)) is Rung.SUSPEND


async def test_a_customer_who_came_later_came_under_it(office: Office) -> None:
    office.clock.advance(DAY * 11)
    assert max(x.rung for x in await twice(office, "eve@later.example")) is Rung.SUSPEND


async def test_what_was_announced_to_one_customer_binds_that_one(office: Office) -> None:
    await office.mailbox("eve@else.example")
    on = (office.clock.now() + timedelta(days=10)).date().isoformat()
    more: dict[str, Any] = {"tenant": "else.example"}
    await office.act("dana", "change.announce", what="terms", effective_on=on, document="terms-next", **more)
    office.clock.advance(DAY * 11)
    assert max(x.rung for x in await twice(office, "eve@else.example")) is Rung.SUSPEND
    assert {x.rung for x in await twice(office)} == {Rung.WARN}
