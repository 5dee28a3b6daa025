"""How a tenant has bought: the channel, and whose day its term begins on.  T-TX-2.1.1, T-TX-2.2.3, TX-9.3."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from filterd.agreement.sale import CONTRACT, RECORD, term_of
from filterd.model import records as r
from tests.pipeline.people import Office, open_office

pytestmark = pytest.mark.slow

RECORDED = date(2026, 3, 2)
AGREED = date(2026, 2, 10)
TERMS = [
    # channel, day agreed, months, first day, whose, last day
    ("dealer", AGREED, 12, AGREED, CONTRACT, date(2027, 2, 9)),
    ("dealer", None, 12, RECORDED, RECORD, date(2027, 3, 1)),
    ("direct", AGREED, 12, RECORDED, RECORD, date(2027, 3, 1)),
    (None, None, None, RECORDED, RECORD, None),
    ("dealer", date(2026, 1, 31), 1, date(2026, 1, 31), CONTRACT, date(2026, 2, 27)),
    ("dealer", date(2028, 1, 31), 1, date(2028, 1, 31), CONTRACT, date(2028, 2, 28)),
    ("dealer", date(2026, 12, 1), 1, date(2026, 12, 1), CONTRACT, date(2026, 12, 31)),
]


@pytest.fixture
async def office(tmp_path: Path) -> AsyncIterator[Office]:
    async with open_office(tmp_path) as opened:
        await opened.hire("dana", role="admin")
        yield opened


async def take(office: Office, **cells: Any) -> Any:
    return await office.act("dana", "tenant.import", rows=[{"line": 2, "name": "Acme", **cells}])


async def shown(office: Office) -> dict[str, Any]:
    found: dict[str, Any] = await office.ledger.call("tenant.show", {"tenant": "Acme"})
    return found


@pytest.mark.parametrize(("channel", "agreed", "months", "first", "by", "last"), TERMS)
def test_the_dealers_day_and_the_day_on_record(
    channel: str | None, agreed: date | None, months: int | None, first: date, by: str, last: date | None
) -> None:
    term = term_of(channel, agreed, RECORDED, months)
    assert (term.first_day, term.by, term.last_day) == (first, by, last)


async def test_the_channel_stands_beside_the_resellers_name(office: Office) -> None:
    assert (await take(office, reseller="Jiang Ltd", channel="direct"))["errors"] == []
    assert ((await shown(office))["channel"], (await shown(office))["reseller"]) == ("direct", "Jiang Ltd")
    assert (await take(office, channel="dealer"))["errors"] == []
    assert ((await shown(office))["channel"], (await shown(office))["reseller"]) == ("dealer", "Jiang Ltd")
    changed = [x for x in office.records((await shown(office))["tenant_id"]) if isinstance(x, r.TenantChanged)]
    assert (changed[-1].fields, changed[-1].channel) == (("channel",), "dealer")
    # A list without the column keeps what is known; an empty cell takes it away.
    assert (await take(office, seats=5))["errors"] == []
    assert (await shown(office))["channel"] == "dealer"
    await take(office, channel="")
    assert (await shown(office))["channel"] is None


async def test_the_clock_of_a_term_runs_from_the_dealers_day_or_from_the_day_on_record(office: Office) -> None:
    bought = {"reseller": "Jiang Ltd", "channel": "dealer", "starts_on": AGREED.isoformat(), "term_months": 12}
    assert (await take(office, **bought))["errors"] == []
    said = await shown(office)
    assert (said["term_begins"], said["begins_by"], said["expires_on"]) == ("2026-02-10", CONTRACT, "2027-02-09")
    # Bought directly meanwhile: what the dealer had agreed on says nothing any more.
    office.clock.advance(days=3)
    assert (await take(office, channel="direct", starts_on="", term_months=12))["errors"] == []
    said = await shown(office)
    assert (said["term_begins"], said["begins_by"], said["expires_on"]) == ("2026-03-02", RECORD, "2027-03-01")
    # A renewal, and other columns, leave the last day alone.
    await office.act("dana", "service.renew", tenant="Acme", until="2028-03-01")
    assert (await take(office, seats=9))["errors"] == []
    assert (await shown(office))["expires_on"] == "2028-03-01"


@pytest.mark.parametrize(
    ("cells", "key", "says"),
    [
        ({"channel": "shop"}, "channel", "none of direct, dealer"),
        ({"channel": "dealer"}, "channel", "no dealer is named"),
        ({"channel": "direct", "starts_on": "2026-02-10"}, "starts_on", "the day on record counts"),
        ({"term_months": "0"}, "term_months", "whole number of months"),
        ({"term_months": 12, "expires_on": "2027-01-01"}, "term_months", "leave expires_on out"),
    ],
)
async def test_a_wrong_cell_is_said(office: Office, cells: dict[str, Any], key: str, says: str) -> None:
    (error,) = (await take(office, **cells))["errors"]
    assert error["key"] == key
    assert says in error["message"]
